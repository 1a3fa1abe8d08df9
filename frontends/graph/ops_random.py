"""Random tensors, drawn anew at each run; the numbers are TensorFlow's for the same seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import random
from tensorkiln.compiler.ops.shorthand import reshape
from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import graph_of, make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.dtypes import DType
from tensorkiln.frontends.graph.errors import InvalidArgumentError
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.stack import get_default_graph
from tensorkiln.frontends.graph.statics import static_shape
from tensorkiln.frontends.graph.tensor import Tensor

DEFAULT_GRAPH_SEED = 87654321
_LARGEST_SEED = 2**31 - 1
_UNIFORM = (
    dtypes.float16, dtypes.bfloat16, dtypes.float32, dtypes.float64, dtypes.int32, dtypes.int64,
)  # fmt: skip


def get_seed(op_seed: int | None) -> tuple[int | None, int | None]:
    """The two seeds of a random op made now; (None, None) asks for other numbers each time.

    The rule is that of `tf.set_random_seed`'s public documentation.
    """
    graph = get_default_graph()
    if graph.seed is None and op_seed is None:
        return None, None
    first = DEFAULT_GRAPH_SEED if graph.seed is None else graph.seed
    second = graph.last_id if op_seed is None else op_seed
    for seed in (first, second):
        if isinstance(seed, str | bytes):
            raise TypeError(f"a seed is an integer, not {seed!r}")
    pair = (int(first) % _LARGEST_SEED, int(second) % _LARGEST_SEED)
    return (0, _LARGEST_SEED) if pair == (0, 0) else pair


def set_random_seed(seed: int | None) -> None:
    """Sets the default graph's seed, which the random ops made after it look at."""
    get_default_graph().seed = seed


def _infer(op: Operation) -> Sequence[Result]:
    dtype = op.attributes["dtype"]
    assert isinstance(dtype, DType)
    return [(dtype, static_shape(op.inputs[0]))]


def _lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, shape = lowering.builder, lowering.integers(op, 0, values)
    state, dtype = lowering.random_state(op), op.outputs[0].dtype.ir
    match op.type:
        case "RandomStandardNormal":
            drawn = random.normal(builder, state, shape, dtype)
        case "TruncatedNormal":
            drawn = random.truncated_normal(builder, state, shape, dtype)
        case "RandomUniform":
            drawn = random.uniform(builder, state, shape, dtype)
        case _:
            low, high = (reshape(builder, value, ()) for value in values[1:])
            _check_bounds(lowering, op, values, shape)
            drawn = random.uniform_integers(builder, state, shape, low, high)
    lowering.next_counters[op] = random.next_state(builder, state, math.prod(shape))
    return [drawn]


def _check_bounds(
    lowering: Lowering, op: Operation, values: Sequence[Value], shape: tuple[int, ...]
) -> None:
    """InvalidArgumentError for bounds that are known before the run and hold no integer."""
    low, high = (lowering.known(value) for value in values[1:])
    if low is not None and high is not None and 0 not in shape and low.item() >= high.item():
        raise InvalidArgumentError(
            op.name, op, f"Need minval < maxval, got {low.item()} >= {high.item()}\n"
            f"\t {op.node_text}",
        )  # fmt: skip


def _draw(kind: str, inputs: Sequence[object], dtype: DType, seed: int | None, name: str) -> Tensor:
    first, second = get_seed(seed)
    return make(kind, inputs, name, dtype=dtype, seed=first, seed2=second)


def _normal(
    kind: str, op_name: str, shape: object, mean: object, stddev: object, dtype: object,
    seed: int | None, name: str,
) -> Tensor:  # fmt: skip
    kind_of = dtypes.as_dtype(dtype)
    with graph_of([shape, mean, stddev]).name_scope(name) as scope:
        dims = convert_to_tensor(shape, name="shape", preferred_dtype=dtypes.int32)
        average = convert_to_tensor(mean, kind_of, "mean")
        deviation = convert_to_tensor(stddev, kind_of, "stddev")
        drawn = _draw(kind, (dims,), kind_of, seed, op_name)
        return make("Add", (drawn * deviation, average), scope)


def random_normal(
    shape: object, mean: object = 0.0, stddev: object = 1.0, dtype: object = dtypes.float32,
    seed: int | None = None, name: str | None = None,
) -> Tensor:  # fmt: skip
    """Numbers from a normal distribution."""
    return _normal(
        "RandomStandardNormal", "RandomStandardNormal", shape, mean, stddev, dtype, seed,
        name or "random_normal",
    )  # fmt: skip


def truncated_normal(
    shape: object, mean: object = 0.0, stddev: object = 1.0, dtype: object = dtypes.float32,
    seed: int | None = None, name: str | None = None,
) -> Tensor:  # fmt: skip
    """Numbers from a normal distribution, drawn again beyond two standard deviations."""
    return _normal(
        "TruncatedNormal", "TruncatedNormal", shape, mean, stddev, dtype, seed,
        name or "truncated_normal",
    )  # fmt: skip


def random_uniform(
    shape: object, minval: object = 0, maxval: object = None, dtype: object = dtypes.float32,
    seed: int | None = None, name: str | None = None,
) -> Tensor:  # fmt: skip
    """Numbers spread evenly over [minval, maxval); integers need `maxval`."""
    kind = dtypes.as_dtype(dtype)
    if kind not in _UNIFORM:
        names = ", ".join(f"tf.{item.name}" for item in _UNIFORM)
        raise ValueError(
            f"Argument `dtype` got invalid value {kind}. Accepted dtypes are ({names})."
        )
    if maxval is None and kind.is_integer:
        raise ValueError(f"Must specify maxval for integer dtype {kind!r}")
    top = 1 if maxval is None else maxval
    with graph_of([shape, minval, top]).name_scope(name or "random_uniform") as scope:
        dims = convert_to_tensor(shape, name="shape", preferred_dtype=dtypes.int32)
        low = convert_to_tensor(_number(minval, kind), kind, "min")
        high = convert_to_tensor(_number(top, kind), kind, "max")
        if kind.is_integer:
            return _draw("RandomUniformInt", (dims, low, high), kind, seed, scope)
        drawn = _draw("RandomUniform", (dims,), kind, seed, "RandomUniform")
        return make("Add", (drawn * (high - low), low), scope)


def _number(value: object, kind: DType) -> object:
    """A Python number as a float where floats are drawn, so that bounds may be integers."""
    return float(value) if isinstance(value, int) and kind.is_floating else value


register(
    *(
        OpKind(name, "shape:index", _infer, _lower, differentiable=False)
        for name in ("RandomStandardNormal", "TruncatedNormal", "RandomUniform")
    ),
    OpKind(
        "RandomUniformInt", "shape:index minval:T maxval:T",
        lambda op: [(base(op.inputs[1]), static_shape(op.inputs[0]))], _lower,
        {"T": dtypes.INDEXES}, differentiable=False,
    ),
)  # fmt: skip
