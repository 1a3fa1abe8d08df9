"""Passes that bring ops into the forms that kernels have, on the table of op samples."""

from __future__ import annotations

import numpy as np
import pytest
from ops.samples import Sample, all_samples, assert_agrees, build, type_of

from tensorkiln.compiler.evaluate.evaluate import evaluate
from tensorkiln.compiler.ir.dims import Symbol, symbol_dim
from tensorkiln.compiler.ir.dtypes import F32
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder, shorthand
from tensorkiln.compiler.ops.checks import op_pairs
from tensorkiln.compiler.ops.record import Composite
from tensorkiln.compiler.passes.canonicalize import canonicalize
from tensorkiln.compiler.passes.expand_composites import expand_composites
from tensorkiln.compiler.passes.fold_constants import fold_constants
from tensorkiln.compiler.passes.legalize_convolution import legalize_convolution
from tensorkiln.compiler.passes.legalize_dot import legalize_dot
from tensorkiln.compiler.passes.legalize_windows import legalize_windows
from tensorkiln.compiler.passes.push_movement import push_movement


def samples_of(*names: str) -> list[object]:
    # Complex numbers are split in pairs before anything else.
    return [
        pytest.param(s, id=s.name)
        for s in all_samples()
        if s.op in names and not any(map(np.iscomplexobj, s.arrays))
    ]


def agrees(sample: Sample, after: Function) -> None:
    types = [v.type for v in after.results]
    assert_agrees(sample, evaluate(after, sample.arrays), sample.expectation(types))


@pytest.mark.parametrize("sample", samples_of("dot_general"))
def test_products_are_matrix_products(sample: Sample) -> None:
    after = legalize_dot(build(sample))
    (product,) = [op for op in after.ops if op.name == "dot_general"]
    for side, operand in zip(("lhs", "rhs"), product.operands, strict=True):
        batch = product.ints(f"{side}_batch")
        assert batch in ((), (0,))
        assert operand.type.rank == len(batch) + 2
        assert len(product.ints(f"{side}_contracting")) == 1
    agrees(sample, after)
    assert legalize_dot(after) is after


def test_a_symbolic_batch_is_merged_and_two_are_not() -> None:
    builder = Builder(REGISTRY)
    n, m = (symbol_dim(Symbol(name)) for name in "nm")
    x = builder.parameter("x", TensorType((n, 2, 4), F32))
    y = builder.parameter("y", TensorType((n, m, 4), F32))
    w = builder.parameter("w", TensorType((4, 3), F32))
    products = [shorthand.matmul(builder, v, w) for v in (x, y)]
    after = legalize_dot(builder.finish(products))
    ranks = [op.operands[0].type.rank for op in after.ops if op.name == "dot_general"]
    kept = [op for op in after.ops if op.name == "dot_general" and op.operands[0] is y]
    assert ranks == [2, 3]
    assert len(kept) == 1
    arrays = [np.ones(s, np.float32) for s in ((5, 2, 4), (5, 6, 4), (4, 3))]
    for result in evaluate(after, arrays):
        assert (result == 4).all()


@pytest.mark.parametrize("sample", samples_of("reduce_window"))
def test_windows_have_no_holes(sample: Sample) -> None:
    after = legalize_windows(build(sample))
    for op in after.ops:
        if op.name == "reduce_window":
            assert set(op.ints("base_dilations")) <= {1}
    agrees(sample, after)
    assert legalize_windows(after) is after


@pytest.mark.parametrize("sample", samples_of("convolution"))
def test_convolutions_are_plain(sample: Sample) -> None:
    after = legalize_convolution(build(sample))
    for op in after.ops:
        if op.name == "convolution":
            assert not any(low or high for low, high in op_pairs(op, "padding"))
            assert set(op.ints("lhs_dilation")) <= {1}
            assert not any(op.ints("reversal"))
            assert op.integer("batch_groups") == 1
    agrees(sample, after)
    assert legalize_convolution(after) is after


@pytest.mark.parametrize("sample", samples_of("convolution", "dot_general"))
def test_transposed_operands_and_results_are_absorbed(sample: Sample) -> None:
    builder = Builder(REGISTRY)
    operands = []
    for k, array in enumerate(sample.arrays):
        value = builder.parameter(f"x{k}", type_of(array.T))
        operands.append(builder.one("transpose", (value,), permutation=order(array.ndim)))
    (result,) = builder.op(sample.op, operands, sample.attributes)
    turned = builder.one("transpose", (result,), permutation=order(result.type.rank))
    function = builder.finish([turned])
    after = push_movement(function)
    arrays = [np.array(a.T) for a in sample.arrays]
    (found,) = evaluate(after, arrays)
    assert_agrees(sample, [found.T], sample.expectation([result.type]))
    if sample.op == "convolution":
        assert "transpose" not in {op.name for op in after.ops}


def order(rank: int) -> tuple[int, ...]:
    return tuple(range(rank))[::-1]


COMPOSITES = [r.name for r in REGISTRY if isinstance(r.lowering, Composite)]


@pytest.mark.parametrize("sample", samples_of(*COMPOSITES))
def test_composites_become_primitives(sample: Sample) -> None:
    function = build(sample)
    after = expand_composites(function)
    assert not {op.name for op in after.ops} & {*COMPOSITES}
    agrees(sample, after)
    assert expand_composites(function, keep=(sample.op,)) is function


SAMPLES: dict[str, list[Sample]] = {}
for each in all_samples():
    if not each.regions:
        SAMPLES.setdefault(each.op, []).append(each)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_op_survives_canonicalize(name: str) -> None:
    for sample in SAMPLES[name]:
        after = canonicalize(build(sample))
        agrees(sample, after)
        assert canonicalize(after) is after


@pytest.mark.parametrize("name", SAMPLES)
def test_every_op_folds(name: str) -> None:
    for sample in SAMPLES[name]:
        builder = Builder(REGISTRY)
        operands = [builder.constant(array) for array in sample.arrays]
        function = builder.finish(builder.op(sample.op, operands, sample.attributes))
        after = fold_constants(canonicalize(function))
        types = [v.type for v in after.results]
        assert_agrees(sample, evaluate(after, ()), sample.expectation(types))
