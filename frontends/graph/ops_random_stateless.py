"""Random tensors that follow from a seed alone, and numbers of classes drawn by their logits."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.dtypes import F64, I64, U64
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import random, shorthand
from tensorkiln.compiler.ops.formula import Formula
from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import graph_of, make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.dtypes import FLOATS, DType
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_random import get_seed
from tensorkiln.frontends.graph.rules import with_rank
from tensorkiln.frontends.graph.statics import static_integer, static_shape
from tensorkiln.frontends.graph.tensor import Tensor

# The key under which TensorFlow's stateless ops scramble the seed they are given.
_SCRAMBLE = 0x02461E29_3EC8F720


def stateless_random_normal(
    shape: object, seed: object, mean: object = 0.0, stddev: object = 1.0,
    dtype: object = dtypes.float32, name: str | None = None,
) -> Tensor:  # fmt: skip
    """Normal numbers that are the same whenever shape and seed (two integers) are."""
    return _scaled(
        "StatelessRandomNormal", "stateless_random_normal", shape, seed, mean, stddev, dtype, name
    )


def stateless_truncated_normal(
    shape: object, seed: object, mean: object = 0.0, stddev: object = 1.0,
    dtype: object = dtypes.float32, name: str | None = None,
) -> Tensor:  # fmt: skip
    """Normal numbers within two standard deviations that follow from the seed."""
    return _scaled(
        "StatelessTruncatedNormal", "stateless_truncated_normal", shape, seed, mean, stddev,
        dtype, name,
    )  # fmt: skip


def _scaled(
    kind: str, label: str, shape: object, seed: object, mean: object, stddev: object,
    dtype: object, name: str | None,
) -> Tensor:  # fmt: skip
    target = dtypes.as_dtype(dtype)
    with graph_of([shape, seed, mean, stddev]).name_scope(name or label) as scope:
        dims = convert_to_tensor(shape, name="shape", preferred_dtype=dtypes.int32)
        average = convert_to_tensor(mean, target, "mean")
        deviation = convert_to_tensor(stddev, target, "stddev")
        drawn = make(kind, (dims, _seed(seed)), dtype=target)
        return make("Add", (drawn * deviation, average), scope)


def stateless_random_uniform(
    shape: object, seed: object, minval: object = 0, maxval: object = None,
    dtype: object = dtypes.float32, name: str | None = None,
) -> Tensor:  # fmt: skip
    """Numbers spread evenly over [minval, maxval) that follow from the seed."""
    target = dtypes.as_dtype(dtype)
    if maxval is None and target.is_integer:
        raise ValueError(f"Must specify maxval for integer dtype {target!r}")
    with graph_of([shape, seed, minval, maxval]).name_scope(
        name or "stateless_random_uniform"
    ) as scope:
        dims = convert_to_tensor(shape, name="shape", preferred_dtype=dtypes.int32)
        low, high = (
            convert_to_tensor(
                float(v) if target.is_floating and isinstance(v, int) else v, target, n
            )
            for v, n in ((minval, "min"), (1 if maxval is None else maxval, "max"))
        )
        if target.is_integer:
            return make(
                "StatelessRandomUniformInt", (dims, _seed(seed), low, high), scope, dtype=target
            )
        drawn = make("StatelessRandomUniform", (dims, _seed(seed)), dtype=target)
        return make("Add", (drawn * (high - low), low), scope)


def _seed(seed: object) -> Tensor:
    """Two integers; numbers that are no tensors are taken whole."""
    return convert_to_tensor(seed, name="seed", preferred_dtype=dtypes.int64)


def _infer(op: Operation) -> Sequence[Result]:
    dtype = op.attributes["dtype"]
    assert isinstance(dtype, DType)
    return [(dtype, static_shape(op.inputs[0]))]


def _state(lowering: Lowering, seed: Value) -> Value:
    """The state that two seeds stand for: the seeds as counter of one block, whose words are key
    and high half of the counter."""
    builder = lowering.builder
    wide = shorthand.convert(builder, seed, I64)
    counter = builder.one("bitcast_convert", (wide,), dtype=U64)
    key = builder.constant(np.array([_SCRAMBLE], np.uint64))
    block = random.bits(builder, shorthand.concat(builder, [key, counter], 0), (4,))
    words = shorthand.convert(builder, block, U64)
    parts = [shorthand.slice_axis(builder, words, 0, k, k + 1) for k in range(4)]
    half = shorthand.scalar(builder, 32, U64)
    key, high = (
        builder.one("or", (low, shorthand.binary(builder, "shift_left", top, half)))
        for low, top in (parts[:2], parts[2:])
    )
    zero = builder.constant(np.zeros(1, np.uint64))
    return shorthand.concat(builder, [key, zero, high], 0)


def _lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, shape = lowering.builder, lowering.integers(op, 0, values)
    state, dtype = _state(lowering, values[1]), op.outputs[0].dtype.ir
    match op.type:
        case "StatelessRandomNormal":
            return [random.normal(builder, state, shape, dtype)]
        case "StatelessTruncatedNormal":
            return [random.truncated_normal(builder, state, shape, dtype)]
        case "StatelessRandomUniform":
            return [random.uniform(builder, state, shape, dtype)]
        case _:
            low, high = (shorthand.reshape(builder, value, ()) for value in values[2:])
            return [random.uniform_integers(builder, state, shape, low, high)]


def multinomial(
    logits: object, num_samples: object, seed: int | None = None, name: str | None = None,
    output_dtype: object = None,
) -> Tensor:  # fmt: skip
    """For each row of logits `num_samples` numbers of classes, drawn by softmax(logits)."""
    with graph_of([logits, num_samples]).name_scope(name or "multinomial"):
        return _classes("Multinomial", (logits, num_samples), seed, output_dtype)


def categorical(
    logits: object, num_samples: object, dtype: object = None, seed: int | None = None,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """For each row of logits `num_samples` numbers of classes, drawn by softmax(logits)."""
    with graph_of([logits, num_samples]).name_scope(name or "categorical"):
        return _classes("Multinomial", (logits, num_samples), seed, dtype)


def stateless_multinomial(
    logits: object, num_samples: object, seed: object, output_dtype: object = dtypes.int64,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """Numbers of classes drawn by softmax(logits) that follow from the seed."""
    with graph_of([logits, num_samples, seed]).name_scope(name or "stateless_multinomial"):
        target = dtypes.as_dtype(output_dtype)
        return make("StatelessMultinomial", (logits, num_samples, _seed(seed)), output_dtype=target)


def _classes(kind: str, inputs: Sequence[object], seed: int | None, dtype: object) -> Tensor:
    first, second = get_seed(seed)
    target = dtypes.int64 if dtype is None else dtypes.as_dtype(dtype)
    return make(kind, inputs, seed=first, seed2=second, output_dtype=target)


def _classes_infer(op: Operation) -> Sequence[Result]:
    dtype = op.attributes["output_dtype"]
    assert isinstance(dtype, DType)
    rows = with_rank(op.inputs[0].sizes, 2)[0]
    return [(dtype, (rows, static_integer(op.inputs[1])))]


def _classes_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, logits, count = lowering.builder, values[0], lowering.integer(op, 1, values)
    rows, classes = logits.shape
    kept = op.type == "Multinomial"
    state = lowering.random_state(op) if kept else _state(lowering, values[2])
    wide = Formula(builder, logits).convert(F64)
    finite = wide.apply("is_finite")
    least = float(np.finfo(np.float64).min)
    top = finite.select(wide, least).reduce("maximum", (1,), keep_dims=True)
    weights = finite.keep((wide - top).apply("exponential"))
    # Each class owns a part of [0, total); a number falls behind as many ends as its class.
    ends = Formula(
        builder,
        builder.one(
            "cumulative",
            (weights.value,),
            dimension=1,
            reducer="add",
            exclusive=False,
            reverse=False,
        ),
    )
    total = Formula(builder, shorthand.slice_axis(builder, ends.value, 1, classes - 1, classes))
    drawn = Formula(builder, random.uniform(builder, state, (rows, count), F64)) * total
    place = shorthand.expand_dims(builder, drawn.value, (2,))
    row = shorthand.expand_dims(builder, ends.value, (1,))
    behind = shorthand.compare(builder, "LE", row, place)
    number = shorthand.reduce_sum(builder, shorthand.convert(builder, behind, I64), (2,))
    if kept:
        reserved = rows * (math.ceil(count / 4) * 4) * 2
        lowering.next_counters[op] = random.next_state(builder, state, reserved)
    return [shorthand.convert(builder, number, op.outputs[0].dtype.ir)]


register(
    *(
        OpKind(name, "shape:index seed:index", _infer, _lower, differentiable=False)
        for name in (
            "StatelessRandomNormal", "StatelessTruncatedNormal", "StatelessRandomUniform",
        )
    ),
    OpKind("StatelessRandomUniformInt", "shape:index seed:index minval:T maxval:T", _infer,
           _lower, {"T": dtypes.INDEXES}, differentiable=False),
    OpKind("Multinomial", "logits:T num_samples:int32", _classes_infer, _classes_lower,
           {"T": FLOATS}, differentiable=False),
    OpKind("StatelessMultinomial", "logits:T num_samples:int32 seed:index", _classes_infer,
           _classes_lower, {"T": FLOATS}, differentiable=False),
)  # fmt: skip
