"""complex real imag conjugate: the ops that put complex numbers together and take them apart.

No kernel knows complex numbers: the pass split_complex makes two real tensors of each complex one.
The cotangent of a complex value holds, as its parts, the cotangents of the value's parts, as in
TensorFlow (JAX's is the conjugate).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.dtypes import COMPLEX, F32, F64, complex_of, part_of
from tensorkiln.compiler.ir.function import Array, Attributes, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.record import OpRecord, Structural, Types, movement_cost
from tensorkiln.compiler.ops.rules import check_count, check_dtype, check_equal, same_types
from tensorkiln.compiler.ops.shorthand import zeros_like

Cotangents = Sequence[Value | None]
_SPLIT = Structural("split_complex")


def join(builder: Builder, real: Value, imaginary: Value) -> Value:
    """The complex numbers that have these parts."""
    return builder.one("complex", (real, imaginary))


def parts(builder: Builder, x: Value) -> tuple[Value, Value]:
    """The real and the imaginary parts of complex numbers."""
    return builder.one("real", (x,)), builder.one("imag", (x,))


def _join_rule(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    check_count(types, 2)
    check_equal(types)
    check_dtype("C3", types[0], (F32, F64))
    return (types[0].with_dtype(complex_of(types[0].dtype)),)


def _part_rule(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    check_count(types, 1)
    check_dtype("C2", types[0], COMPLEX)
    return (types[0].with_dtype(part_of(types[0].dtype)),)


def _join_evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    both = np.stack(arrays, -1)
    return [both.view(op.result.dtype.numpy).reshape(op.result.shape)]


def _real_evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    return [np.real(arrays[0])]


def _imag_evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    return [np.imag(arrays[0])]


def _join_gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    (g,) = cotangents
    return [None, None] if g is None else parts(builder, g)


def _real_gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    (g,) = cotangents
    return [None if g is None else join(builder, g, zeros_like(builder, g))]


def _imag_gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    (g,) = cotangents
    return [None if g is None else join(builder, zeros_like(builder, g), g)]


def _conjugate_gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    (g,) = cotangents
    return [None if g is None else builder.one("conjugate", (g,))]


def _conjugate_evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    return [np.conj(arrays[0])]


RECORDS = (
    OpRecord(
        "conjugate", {}, same_types(1, COMPLEX), _conjugate_evaluate, _conjugate_gradient, _SPLIT,
        movement_cost,
    ),
    OpRecord("complex", {}, _join_rule, _join_evaluate, _join_gradient, _SPLIT, movement_cost),
    OpRecord("real", {}, _part_rule, _real_evaluate, _real_gradient, _SPLIT, movement_cost),
    OpRecord("imag", {}, _part_rule, _imag_evaluate, _imag_gradient, _SPLIT, movement_cost),
)  # fmt: skip
