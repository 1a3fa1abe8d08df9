"""The op convolution, of any spatial rank, with strides, padding, dilations and groups.

Rule and name are StableHLO's.  Dimension numbers are tuples of positions: lhs_spec and out_spec
name the dims (batch, feature, spatial...), rhs_spec (output feature, input feature, spatial...).
Where `reversal` is 1 the kernel is read backwards along that spatial dim.  Sums of f16 and bf16
are kept in f32.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorkiln.compiler.ir.dims import Dim
from tensorkiln.compiler.ir.function import Array, Attributes, Op
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.expr import Binary, Const, Expr, Index
from tensorkiln.compiler.kernel.index import add, const, floordiv, mul, sub
from tensorkiln.compiler.ops.checks import (
    accumulator,
    all_of,
    expect,
    ints,
    pairs,
    require,
    widened,
)
from tensorkiln.compiler.ops.convolution_gradient import convolution_gradient
from tensorkiln.compiler.ops.dot import combine_sum
from tensorkiln.compiler.ops.record import (
    Cost,
    ElementContext,
    OpRecord,
    Reduction,
    Types,
    bytes_moved,
)
from tensorkiln.compiler.ops.windows import WindowDim, taps_of


def spatial_windows(attributes: Attributes, kernel: Sequence[int]) -> tuple[WindowDim, ...]:
    """C2: strides, padding, dilations and reversal have an entry for each spatial dim.  C3: the
    kernel's spatial sizes, strides and dilations are positive; reversal is 0 or 1."""
    padding = pairs(attributes, "padding")
    names = ("strides", "lhs_dilation", "rhs_dilation", "reversal")
    columns = [ints(attributes, name) for name in names]
    fits = {len(padding), *map(len, columns)} == {len(kernel)}
    require(fits, f"C2: {', '.join(names)} and padding must have {len(kernel)} entries")
    found = []
    for axis, (size, stride, base, dilation, flip, (low, high)) in enumerate(
        zip(kernel, *columns, padding, strict=True)
    ):
        window = WindowDim(size, stride, low, high, base, dilation)
        positive = min(size, stride, base, dilation) >= 1
        require(positive, f"C3: spatial dim {axis}: sizes must be positive in {window}")
        require(flip in (0, 1), f"C3: reversal {flip} of spatial dim {axis} is neither 0 nor 1")
        found.append(window)
    return tuple(found)


def _types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: the operands have one dtype, a number, and one rank, of which the specs are
    permutations.  C2, C3: see spatial_windows.  C4: the kernel's shape is static.  C5: group
    counts are positive and not both above 1.  C6: input features are feature_groups times the
    kernel's.  C7: output features are a multiple of the groups.  C8: the batch is a multiple of
    batch_groups."""
    x, kernel = expect(types, 2)
    numbers = x.dtype == kernel.dtype and x.dtype.is_number
    require(numbers, f"C1: operands {x} and {kernel} must have one dtype, a number")
    specs = [ints(attributes, name) for name in ("lhs_spec", "rhs_spec", "out_spec")]
    for spec in specs:
        fits = sorted(spec) == list(range(x.rank)) and x.rank == kernel.rank >= 2
        require(fits, f"C1: {spec} does not name the dims of {x} and {kernel}")
    require(all(isinstance(n, int) for n in kernel.shape), f"C4: kernel {kernel} is not static")
    (n, c, *lhs), (o, i, *rhs) = (
        [kind.shape[k] for k in spec] for kind, spec in zip((x, kernel), specs, strict=False)
    )
    outputs, inputs = int(str(o)), int(str(i))
    windows = spatial_windows(attributes, [int(str(size)) for size in rhs])
    features, batches = attributes["feature_groups"], attributes["batch_groups"]
    assert isinstance(features, int)
    assert isinstance(batches, int)
    groups = features >= 1 and batches >= 1 and 1 in (features, batches)
    require(groups, f"C5: feature_groups {features} and batch_groups {batches}")
    require(c == inputs * features, f"C6: {c} input features for {features} groups of {inputs}")
    divides = outputs % (features * batches) == 0
    require(divides, f"C7: {outputs} output features in {features * batches} groups")
    divides = batches == 1 or (isinstance(n, int) and n % batches == 0)
    require(divides, f"C8: a batch of {n} in {batches} groups")
    batch = n // batches if isinstance(n, int) else n
    sizes: list[Dim] = [batch, outputs]
    sizes += [window.count(size) for window, size in zip(windows, lhs, strict=True)]
    return (x.with_shape(tuple(sizes[specs[2].index(k)] for k in range(x.rank))),)


def _ordered(shape: Sequence[int], spec: Sequence[int]) -> tuple[int, ...]:
    """A shape in the order of its spec: batch, feature, spatial."""
    return tuple(shape[k] for k in spec)


def _kernel_shape(op: Op) -> tuple[int, ...]:
    return _ordered(op.operands[1].shape, op.ints("rhs_spec"))


def _windows(op: Op) -> tuple[WindowDim, ...]:
    return spatial_windows(op.attributes, _kernel_shape(op)[2:])


def _evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    """One matrix multiply a tap of the kernel and a group, over the output positions that meet an
    element there."""
    kind = op.result.dtype
    wide = accumulator(kind).numpy
    x, kernel = (
        array.transpose(op.ints(spec)).astype(wide, copy=False)
        for array, spec in zip(arrays, ("lhs_spec", "rhs_spec"), strict=True)
    )
    features, batches = op.integer("feature_groups"), op.integer("batch_groups")
    batch, outputs, *counts = _ordered(op.result.shape, op.ints("out_spec"))
    groups, inputs = features * batches, kernel.shape[1]
    # x: group, batch, spatial, input feature; kernel: group, spatial, input, output feature.
    x = x.reshape(batches, batch, features, inputs, *x.shape[2:])
    x = np.moveaxis(x, 2, 1).reshape(groups, batch, inputs, *x.shape[4:])
    x = np.ascontiguousarray(np.moveaxis(x, 2, -1))
    kernel = np.moveaxis(
        kernel.reshape(groups, outputs // groups, *kernel.shape[1:]), (1, 2), (-1, -2)
    )
    flips = tuple(axis for axis, flip in enumerate(op.ints("reversal"), 1) if flip)
    taps = np.moveaxis(np.flip(kernel, flips), 0, -3)  # spatial, group, input, output feature
    windows = _windows(op)
    total = np.zeros((groups, batch, *counts, outputs // groups), wide)
    for tap in np.ndindex(*taps.shape[:-3]):
        outer, inner = taps_of(windows, tap, x.shape[2:-1], counts)
        met = x[_inside(inner)]
        weights = np.ascontiguousarray(taps[tap])
        rows = met.reshape(groups, math.prod(met.shape[1:-1]), inputs)
        added = np.matmul(rows, weights) if inputs != 1 else rows * weights
        total[_inside(outer)] += added.reshape(*met.shape[:-1], outputs // groups)
    # Back to batch, feature, spatial, and from there to the result's own order.
    found = np.moveaxis(np.moveaxis(total, 0, -2).reshape(batch, *counts, outputs), -1, 1)
    order = op.ints("out_spec")
    back = found.transpose([order.index(k) for k in range(len(order))])
    return [back.astype(kind.numpy, order="C")]


def _inside(spatial: tuple[slice, ...]) -> tuple[Any, ...]:
    return (..., *spatial, slice(None))


def _extents(op: Op) -> tuple[int, ...]:
    """The kernel's spatial sizes, then its input features."""
    _, inputs, *spatial = _kernel_shape(op)
    return (*spatial, inputs)


def _initial(op: Op) -> tuple[Expr, ...]:
    state = accumulator(op.result.dtype)
    return (Const(0.0 if state.is_float else 0, state),)


def _positions(op: Op, index: Index, inner: Index) -> list[Expr]:
    """The dilated positions in the input's spatial dims."""
    spatial = [index[k] for k in op.ints("out_spec")[2:]]
    return [w.position(o, t) for w, o, t in zip(_windows(op), spatial, inner, strict=False)]


def _valid(op: Op, index: Index, inner: Index) -> Expr | None:
    sizes = _ordered(op.operands[0].shape, op.ints("lhs_spec"))[2:]
    return all_of(
        condition
        for window, position, size in zip(
            _windows(op), _positions(op, index, inner), sizes, strict=True
        )
        for condition in window.conditions(position, size)
    )


def operand_indices(op: Op, index: Index, inner: Index) -> tuple[Index, Index]:
    """The elements of input and kernel whose product is member `inner` of result element `index`."""
    (x, _), windows = op.operands, _windows(op)
    lhs_spec, rhs_spec, out_spec = (op.ints(name) for name in ("lhs_spec", "rhs_spec", "out_spec"))
    *taps, channel = inner
    batch, feature = index[out_spec[0]], index[out_spec[1]]
    outputs, inputs, *spatial = _kernel_shape(op)
    features, batches = op.integer("feature_groups"), op.integer("batch_groups")
    group = floordiv(feature, max(outputs // (features * batches), 1))
    if batches > 1:
        batch = add(batch, mul(group, x.shape[lhs_spec[0]] // batches))
    source = channel if features == 1 else add(channel, mul(group, inputs))
    places = [
        window.source(position)
        for window, position in zip(windows, _positions(op, index, inner), strict=True)
    ]
    weights = [
        sub(const(size - 1), tap) if flip else tap
        for tap, size, flip in zip(taps, spatial, op.ints("reversal"), strict=True)
    ]
    lhs = dict(zip(lhs_spec, (batch, source, *places), strict=True))
    rhs = dict(zip(rhs_spec, (feature, channel, *weights), strict=True))
    rank = range(len(lhs_spec))
    return tuple(lhs[k] for k in rank), tuple(rhs[k] for k in rank)


def _element(context: ElementContext, op: Op, index: Index, inner: Index) -> tuple[Expr, ...]:
    wide = accumulator(op.result.dtype)
    a, b = (
        widened(context.read(value, at), wide)
        for value, at in zip(op.operands, operand_indices(op, index, inner), strict=True)
    )
    return (Binary("mul", a, b),)


def _cost(op: Op) -> Cost:
    """A multiplication and an addition a member."""
    return Cost(2 * op.result.type.elements * math.prod(_extents(op)), bytes_moved(op))


RECORDS = (
    OpRecord(
        "convolution",
        {
            "strides": "ints",
            "padding": "pairs",
            "lhs_dilation": "ints",
            "rhs_dilation": "ints",
            "reversal": "ints",
            "lhs_spec": "ints",
            "rhs_spec": "ints",
            "out_spec": "ints",
            "feature_groups": "int",
            "batch_groups": "int",
        },
        _types,
        _evaluate,
        convolution_gradient,
        Reduction(_extents, _initial, _element, combine_sum, _valid),
        _cost,
    ),
)
