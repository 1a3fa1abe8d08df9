"""StableHLO's ops that are others of its ops in a certain form.

Most have sizes as operands: each function takes the values that hold them as StableHLO's op does and
appends the static op; UnsupportedError where sizes depend on the function's parameters.
"""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.evaluate.evaluate import evaluate_op
from tensorkiln.compiler.ir.dtypes import I32, DType
from tensorkiln.compiler.ir.function import Array, Attribute, Function, Value
from tensorkiln.compiler.ops import Builder, shorthand
from tensorkiln.compiler.ops.scalar_bodies import lifted
from tensorkiln.runtime.errors import UnsupportedError

_LARGEST = 1 << 16  # elements of a value that is worked out here


def known_array(builder: Builder, value: Value) -> Array | None:
    """The value if it follows from constants alone, by the ops' own evaluation, else None."""
    if value.type.elements > _LARGEST:
        return None
    for op in reversed(builder.ops):
        if value in op.results:
            operands = [known_array(builder, operand) for operand in op.operands]
            arrays = [array for array in operands if array is not None]
            if len(arrays) < len(operands) or op.regions:
                return None
            return evaluate_op(op, arrays)[op.results.index(value)]
    return None


def _sizes(builder: Builder, op: str, what: str, value: Value) -> tuple[int, ...]:
    array = known_array(builder, value)
    if array is None:
        place = "" if not builder.location.node else f" ({builder.location})"
        raise UnsupportedError(
            f"{op}{place}: its {what} %{value.name} depends on values that only a run knows; give "
            "them as constants"
        )
    return tuple(int(size) for size in array.reshape(-1))


def dynamic_reshape(builder: Builder, x: Value, shape: Value) -> Value:
    """`x` with the same elements in the shape that a vector holds."""
    return shorthand.reshape(builder, x, _sizes(builder, "dynamic_reshape", "shape", shape))


def dynamic_broadcast_in_dim(
    builder: Builder, x: Value, shape: Value, dimensions: Sequence[int]
) -> Value:
    """`x` repeated to the shape that a vector holds; dim k of `x` becomes dim `dimensions[k]`."""
    sizes = _sizes(builder, "dynamic_broadcast_in_dim", "shape", shape)
    return shorthand.broadcast_in_dim(builder, x, sizes, dimensions)


def dynamic_iota(builder: Builder, shape: Value, dimension: int, dtype: DType) -> Value:
    """Each element of the shape that a vector holds is its own index along a dim."""
    sizes = _sizes(builder, "dynamic_iota", "shape", shape)
    return shorthand.iota(builder, sizes, dimension, dtype)


def dynamic_pad(
    builder: Builder, x: Value, value: Value, low: Value, high: Value, interior: Value
) -> Value:
    """`x` with `value` before, after and between its elements, as many as vectors hold."""
    before, after, between = (
        _sizes(builder, "dynamic_pad", name, amounts)
        for name, amounts in (("low", low), ("high", high), ("interior", interior))
    )
    return shorthand.pad(builder, x, before, after, between, value)


def real_dynamic_slice(
    builder: Builder, x: Value, start: Value, limit: Value, strides: Value
) -> Value:
    """Elements start, start + stride, ... below limit, for each dim."""
    first, end, step = (
        _sizes(builder, "real_dynamic_slice", name, places)
        for name, places in (("start", start), ("limit", limit), ("strides", strides))
    )
    return shorthand.slice_(builder, x, first, end, step)


def dynamic_gather(
    builder: Builder,
    x: Value,
    indices: Value,
    slice_sizes: Value,
    dimension_numbers: dict[str, Attribute],
) -> Value:
    """Slices of the sizes that a vector holds; the other attributes are those of gather."""
    sizes = _sizes(builder, "dynamic_gather", "slice_sizes", slice_sizes)
    return builder.one("gather", (x, indices), slice_sizes=sizes, **dimension_numbers)


def dynamic_conv(
    builder: Builder, x: Value, kernel: Value, padding: Value, attributes: dict[str, Attribute]
) -> Value:
    """A convolution padded by what a matrix of pairs holds; `attributes` are convolution's others."""
    flat = _sizes(builder, "dynamic_conv", "padding", padding)
    pairs = tuple(zip(flat[::2], flat[1::2], strict=True))
    return builder.one("convolution", (x, kernel), padding=pairs, **attributes)


def get_dimension_size(builder: Builder, x: Value, dimension: int) -> Value:
    """The size of a dim as an i32 scalar; of one that is open, what it is in the run."""
    return shorthand.count(builder, (x.type.shape[dimension],), I32)


def map_(builder: Builder, inputs: Sequence[Value], computation: Function) -> list[Value]:
    """A region of elementwise ops on scalars, of each element of the inputs."""
    return lifted(builder, computation, inputs)


def optimization_barrier(builder: Builder, values: Sequence[Value]) -> list[Value]:
    """The values: no pass moves anything that has an effect, so that there is nothing to hold."""
    return [builder.one("identity", (value,)) for value in values]
