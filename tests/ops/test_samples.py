"""Every op against numpy and against finite differences, by the table of samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from ops.samples import Numbers, Sample, all_samples, assert_agrees, build, draw, type_of

from tensorkiln.compiler.differentiate import differentiate
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dtypes import C128, F64, DType, dtype_of
from tensorkiln.compiler.ir.function import Array, Function, Value
from tensorkiln.compiler.ir.parse import parse_function
from tensorkiln.compiler.ir.text import print_function
from tensorkiln.compiler.ir.verify import verify_function
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.ops.record import NoGradient, Structural
from tensorkiln.compiler.ops.shorthand import zeros_like

SAMPLES = all_samples()
STEP = 1e-6


def _smooth() -> list[Sample]:
    """One sample for each use of an op that has a gradient, whatever its dtypes."""
    found: dict[object, Sample] = {}
    for sample in SAMPLES:
        inexact = any(dtype_of(a.dtype).is_inexact for a in sample.arrays)
        if inexact and not isinstance(REGISTRY[sample.op].gradient, NoGradient):
            shapes = tuple(a.shape for a in sample.arrays)
            attributes = {k: v for k, v in sample.attributes.items() if k != "dtype"}
            found.setdefault((sample.op, sample.label, shapes, str(attributes)), sample)
    return [s for s in found.values() if s.differentiate != ()]


SMOOTH = _smooth()


def test_every_op_has_a_sample() -> None:
    missing = {r.name for r in REGISTRY if not isinstance(r.lowering, Structural)}
    assert missing - {sample.op for sample in SAMPLES} == set()


def test_every_gradient_is_checked() -> None:
    differentiable = {r.name for r in REGISTRY if not isinstance(r.gradient, NoGradient)}
    structural = {r.name for r in REGISTRY if isinstance(r.lowering, Structural)}
    assert differentiable - structural - {sample.op for sample in SMOOTH} == set()


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_evaluate_is_what_numpy_expects(sample: Sample) -> None:
    function = build(sample)
    found = evaluate(function, sample.arrays)
    assert [type_of(a) for a in found] == [v.type for v in function.results]
    assert_agrees(sample, found, sample.expectation([v.type for v in function.results]))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_text_reads_back_and_cost_is_known(sample: Sample) -> None:
    function = build(sample)
    text = print_function(function)
    again = parse_function(text)
    verify_function(again, REGISTRY.types)
    assert print_function(again) == text
    cost = REGISTRY[sample.op].cost(function.ops[0])
    assert cost.flops >= 0
    assert cost.bytes >= 0


def _double(array: Numbers) -> Numbers:
    if array.dtype.kind == "c":
        return array.astype(np.complex128)
    return array.astype(np.float64) if dtype_of(array.dtype).is_float else array


def _backward(sample: Sample, arrays: Sequence[Numbers], inputs: Sequence[int]) -> Function:
    """The function of operands and cotangents that gives the gradient for `inputs`."""
    builder = Builder(REGISTRY)
    operands = [builder.parameter(f"x{k}", type_of(a)) for k, a in enumerate(arrays)]
    results = builder.op(sample.op, operands, sample.attributes, sample.regions)
    weights = [builder.parameter(f"w{k}", v.type) for k, v in enumerate(results)]
    return _finish(builder, results, [operands[k] for k in inputs], weights)


def _finish(
    builder: Builder, outputs: Sequence[Value], inputs: Sequence[Value], weights: Sequence[Value]
) -> Function:
    """Returns the gradients; where there is none, zeros must be right."""
    found = differentiate(builder, outputs, inputs, weights)
    return builder.finish(
        [zeros_like(builder, v) if g is None else g for v, g in zip(inputs, found, strict=True)]
    )


def _weighted(function: Function, arrays: Sequence[Numbers], weights: Sequence[Numbers]) -> float:
    found = evaluate(function, arrays)
    return sum(_inner(a, w) for a, w in zip(found, weights, strict=True))


def _inner(a: Array, b: Array) -> float:
    """The sum of the products of elements, and of parts of complex ones."""
    return float(np.vdot(a, b).real) if a.size else 0.0


def _weights(function: Function) -> list[Numbers]:
    return [
        draw(v.shape, _widest(v.dtype), seed=50 + k)
        if v.dtype.is_inexact
        else np.zeros(v.shape, v.dtype.numpy)
        for k, v in enumerate(function.results)
    ]


def _slope(function: Function, arrays: list[Numbers], weights: list[Numbers], k: int) -> float:
    """The central difference along the direction that `_direction` gives for operand k."""
    ends = []
    for sign in (1, -1):
        moved = list(arrays)
        moved[k] = np.asarray(arrays[k] + sign * STEP * _direction(arrays[k], k))
        ends.append(_weighted(function, moved, weights))
    return (ends[0] - ends[1]) / (2 * STEP)


def _direction(array: Numbers, k: int) -> Numbers:
    return draw(array.shape, _widest(dtype_of(array.dtype)), seed=90 + k)


def _widest(dtype: DType) -> DType:
    return C128 if dtype.is_complex else F64


@pytest.mark.parametrize("sample", SMOOTH, ids=lambda sample: sample.name)
def test_gradient_is_the_finite_difference(sample: Sample) -> None:
    arrays = [_double(a) for a in sample.arrays]
    inputs = sample.differentiate
    if inputs is None:
        inputs = tuple(k for k, a in enumerate(arrays) if dtype_of(a.dtype).is_inexact)
    forward = build(sample, arrays)
    weights = _weights(forward)
    backward = _backward(sample, arrays, inputs)
    found = evaluate(backward, [*arrays, *weights])
    for k, slope in zip(inputs, found, strict=True):
        expected = _slope(forward, arrays, weights, k)
        assert _inner(slope, _direction(arrays[k], k)) == pytest.approx(expected, 1e-5, 1e-6)


TWICE = (
    "multiply", "divide", "power", "atan2", "exponential", "log", "tanh", "logistic", "sqrt",
    "rsqrt", "erf", "tan", "softmax", "log_softmax", "layer_norm", "batch_norm_inference",
    "batch_norm_training", "dot_general", "convolution", "reduce", "reduce_window", "pad",
    "attention", "recurrence",
    "sort", "top_k", "cholesky", "triangular_solve", "lu", "linear_solve", "matrix_inverse",
    "determinant", "log_determinant", "qr", "eigh", "svd", "hypot",
)  # fmt: skip


@pytest.mark.parametrize("name", TWICE)
def test_second_derivative_is_the_finite_difference_of_the_first(name: str) -> None:
    sample = next(s for s in SMOOTH if s.op == name and not any(map(np.iscomplexobj, s.arrays)))
    arrays = [_double(a) for a in sample.arrays]
    inputs = range(len(arrays))
    weights = _weights(build(sample, arrays))
    first = _backward(sample, arrays, inputs)
    outer = _weights(first)
    builder = Builder(REGISTRY)
    parameters = [builder.parameter(v.name, v.type) for v in first.parameters]
    results = builder.inline(first, parameters)
    cotangents = [builder.constant(w) for w in outer]
    second = _finish(builder, results, parameters[: len(arrays)], cotangents)
    given = [*arrays, *weights]
    for k, slope in enumerate(evaluate(second, given)):
        expected = _slope(first, given, outer, k)
        assert (slope * _direction(arrays[k], k)).sum() == pytest.approx(expected, 1e-4, 1e-5)
