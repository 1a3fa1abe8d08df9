"""Ops that rename, repeat or generate indices: broadcast_in_dim reshape transpose reverse iota.

Rules and names are StableHLO's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.dims import Affine, Shape
from tensorkiln.compiler.ir.dtypes import DType
from tensorkiln.compiler.ir.function import Array, Attributes, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.expr import Convert, Expr, Index
from tensorkiln.compiler.kernel.index import ZERO, const, flatten, sub, unflatten
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.checks import are_axes, dims, expect, ints, is_size, op_dims, require
from tensorkiln.compiler.ops.record import (
    Element,
    ElementContext,
    NoGradient,
    OpRecord,
    Types,
    movement_cost,
)
from tensorkiln.compiler.ops.shorthand import reduce_sum, reshape, reverse, transpose

Cotangents = Sequence[Value | None]


def _broadcast_types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: one dimension per operand dim.  C2: they are different dims of the result.
    C3: operand dim k is 1 or equal to result dim dimensions[k].  C4: sizes are not negative."""
    (x,), shape, dimensions = (
        expect(types, 1),
        dims(attributes, "shape"),
        ints(attributes, "dimensions"),
    )
    require(len(dimensions) == x.rank, f"C1: {len(dimensions)} dimensions for operand {x}")
    require(are_axes(dimensions, len(shape)), f"C2: dimensions {dimensions} for shape {shape}")
    for dim, axis in zip(x.shape, dimensions, strict=True):
        fits = dim in (1, shape[axis])
        require(fits, f"C3: operand {x} has {dim} where the result has {shape[axis]}")
    require(all(map(is_size, shape)), f"C4: shape {shape} has a negative size")
    return (x.with_shape(shape),)


def _broadcast_evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    shape, dimensions = op.ints("shape"), op.ints("dimensions")
    order = sorted(range(len(dimensions)), key=lambda k: dimensions[k])
    aligned = [1] * len(shape)
    for k in order:
        aligned[dimensions[k]] = arrays[0].shape[k]
    return [np.broadcast_to(arrays[0].transpose(order).reshape(aligned), shape).copy()]


def _broadcast_element(context: ElementContext, op: Op, index: Index) -> Expr:
    (x,) = op.operands
    return context.read(
        x,
        tuple(
            ZERO if size == 1 else index[axis]
            for size, axis in zip(x.shape, op.ints("dimensions"), strict=True)
        ),
    )


def _broadcast_gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    (x,), (g,) = op.operands, cotangents
    if g is None:
        return [None]
    dimensions, shape = op.ints("dimensions"), op_dims(op, "shape")
    kept = {axis: k for k, axis in enumerate(dimensions) if x.type.shape[k] == shape[axis]}
    summed = reduce_sum(builder, g, [axis for axis in range(len(shape)) if axis not in kept])
    # The kept dims stand in the result's order; put them in the operand's, then the ones between.
    order = [kept[axis] for axis in sorted(kept)]
    ordered = transpose(builder, summed, [order.index(k) for k in sorted(order)])
    return [reshape(builder, ordered, x.type.shape)]


def _elements(shape: Shape) -> tuple[int, tuple[Affine, ...]]:
    """A normal form of the product of dims: an integer, and affines without common factor."""
    count, symbolic = 1, []
    for dim in shape:
        if isinstance(dim, int):
            count *= dim
            continue
        shared = math.gcd(dim.constant, *(c for _, c in dim.terms))
        count *= shared
        terms = tuple((s, c // shared) for s, c in dim.terms)
        symbolic.append(Affine(terms, dim.constant // shared))
    return count, tuple(sorted(symbolic, key=str))


def _reshape_types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: sizes are not negative.  C2: the operand and the result have equally many elements."""
    (x,), shape = expect(types, 1), dims(attributes, "shape")
    require(all(map(is_size, shape)), f"C1: shape {shape} has a negative size")
    result = x.with_shape(shape)
    same = _elements(x.shape) == _elements(shape)
    require(same, f"C2: {x} and {result} have different numbers of elements")
    return (result,)


def _reshape_evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    return [arrays[0].reshape(op.ints("shape"))]


def _reshape_element(context: ElementContext, op: Op, index: Index) -> Expr:
    (x,), shape = op.operands, op.result.shape
    strides = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
    return context.read(x, unflatten(flatten(index, strides), x.shape))


def _reshape_gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    (g,) = cotangents
    return [None if g is None else reshape(builder, g, op.operands[0].type.shape)]


def _transpose_types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: permutation is a permutation of the operand's dims."""
    (x,), permutation = expect(types, 1), ints(attributes, "permutation")
    fits = sorted(permutation) == list(range(x.rank))
    require(fits, f"C1: {permutation} is no permutation of the dims of {x}")
    return (x.with_shape(tuple(x.shape[axis] for axis in permutation)),)


def _transpose_evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    return [np.asarray(arrays[0].transpose(op.ints("permutation")), order="C")]


def _transpose_element(context: ElementContext, op: Op, index: Index) -> Expr:
    permutation = op.ints("permutation")
    return context.read(
        op.operands[0], tuple(index[permutation.index(k)] for k in range(len(permutation)))
    )


def _transpose_gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    (g,), permutation = cotangents, op.ints("permutation")
    if g is None:
        return [None]
    return [transpose(builder, g, [permutation.index(k) for k in range(len(permutation))])]


def _reverse_types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: dimensions are different dims of the operand."""
    (x,), dimensions = expect(types, 1), ints(attributes, "dimensions")
    require(are_axes(dimensions, x.rank), f"C1: dimensions {dimensions} for operand {x}")
    return (x,)


def _reverse_evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    return [np.flip(arrays[0], op.ints("dimensions")).copy()]


def _reverse_element(context: ElementContext, op: Op, index: Index) -> Expr:
    (x,), dimensions = op.operands, op.ints("dimensions")
    return context.read(
        x,
        tuple(
            sub(const(size - 1), i) if axis in dimensions else i
            for axis, (size, i) in enumerate(zip(x.shape, index, strict=True))
        ),
    )


def _reverse_gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    (g,) = cotangents
    return [None if g is None else reverse(builder, g, op.ints("dimensions"))]


def _iota_types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: dimension is a dim of the result.  C2: dtype is a number.  C3: sizes are not negative."""
    shape, dtype, dimension = (
        dims(attributes, "shape"),
        attributes["dtype"],
        attributes["dimension"],
    )
    fits = isinstance(dimension, int) and 0 <= dimension < len(shape)
    require(fits, f"C1: shape {shape} has no dimension {dimension}")
    number = isinstance(dtype, DType) and dtype.is_number
    require(number, f"C2: iota gives numbers, not {dtype}")
    assert isinstance(dtype, DType)
    require(all(map(is_size, shape)), f"C3: shape {shape} has a negative size")
    return (TensorType(shape, dtype),)


def _iota_evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    shape, axis = op.ints("shape"), op.integer("dimension")
    line = np.arange(shape[axis]).astype(op.dtype("dtype").numpy)
    along = [size if k == axis else 1 for k, size in enumerate(shape)]
    return [np.broadcast_to(line.reshape(along), shape).copy()]


def _iota_element(context: ElementContext, op: Op, index: Index) -> Expr:
    position, dtype = index[op.integer("dimension")], op.dtype("dtype")
    return position if position.dtype == dtype else Convert(position, dtype)


RECORDS = (
    OpRecord(
        "broadcast_in_dim",
        {"shape": "dims", "dimensions": "ints"},
        _broadcast_types,
        _broadcast_evaluate,
        _broadcast_gradient,
        Element(_broadcast_element),
        movement_cost,
    ),
    OpRecord(
        "reshape",
        {"shape": "dims"},
        _reshape_types,
        _reshape_evaluate,
        _reshape_gradient,
        Element(_reshape_element),
        movement_cost,
    ),
    OpRecord(
        "transpose",
        {"permutation": "ints"},
        _transpose_types,
        _transpose_evaluate,
        _transpose_gradient,
        Element(_transpose_element),
        movement_cost,
    ),
    OpRecord(
        "reverse",
        {"dimensions": "ints"},
        _reverse_types,
        _reverse_evaluate,
        _reverse_gradient,
        Element(_reverse_element),
        movement_cost,
    ),
    OpRecord(
        "iota",
        {"shape": "dims", "dtype": "dtype", "dimension": "int"},
        _iota_types,
        _iota_evaluate,
        NoGradient("it has no operand"),
        Element(_iota_element),
        movement_cost,
    ),
)
