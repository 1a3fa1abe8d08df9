"""Samples of complex numbers: ops of their own, and every op that takes them as well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ops.samples import Sample, draw

from tensorkiln.compiler.ir.dtypes import BOOL, C64, C128, F16, F32, F64, I32, DType

Array = NDArray[Any]
_SHAPE = (3, 5)


def _z(shape: tuple[int, ...] = _SHAPE, dtype: DType = C128, seed: int = 0) -> Array:
    return np.asarray(draw(shape, dtype, seed=seed))


def _unary(op: str, function: Callable[[Array], Array], slack: float = 16.0) -> tuple[Sample, ...]:
    return tuple(
        Sample(op, (_z(dtype=dtype),), function, label="complex", slack=slack)
        for dtype in (C128, C64)
    )


def _binary(op: str, function: Callable[[Array, Array], Array]) -> tuple[Sample, ...]:
    return tuple(
        Sample(op, (_z(dtype=dtype), _z(dtype=dtype, seed=1)), function, label="complex", slack=16)
        for dtype in (C128, C64)
    )


def _moved(op: str, function: Callable[[Array], Array], **attributes: Any) -> Sample:
    return Sample(op, (_z(),), function, attributes, label="complex", exact=True)


_ROOTS = np.array([4 + 0j, -4 + 0j, -4 - 1e-30j, 0j, 2j, -2j, 3e200 + 4e200j, 1e-300 + 0j])
_DOT = {"lhs_batch": (), "rhs_batch": (), "lhs_contracting": (1,), "rhs_contracting": (0,)}

SAMPLES = (
    Sample("complex", (draw(_SHAPE, F64), draw(_SHAPE, F64, seed=1)), lambda a, b: a + 1j * b),
    Sample("complex", (draw((2,), F32), draw((2,), F32, seed=1)), lambda a, b: a + 1j * b),
    *_unary("real", np.real),
    *_unary("imag", np.imag),
    *_unary("conjugate", np.conj),
    *_unary("negate", np.negative),
    *_unary("abs", np.abs),
    *_unary("sign", lambda z: z / np.abs(z)),
    *_unary("exponential", np.exp),
    *_unary("log", np.log),
    *_unary("sqrt", np.sqrt),
    *_unary("rsqrt", lambda z: 1 / np.sqrt(z)),
    *_unary("sine", np.sin),
    *_unary("cosine", np.cos),
    *_unary("tanh", np.tanh),
    Sample("sqrt", (_ROOTS,), np.sqrt, label="edges", slack=1e188, differentiate=()),
    Sample("abs", (_ROOTS,), np.abs, label="edges", differentiate=()),
    Sample("abs", (np.array([np.inf + 1j, np.nan + np.inf * 1j, np.nan + 1j]),), np.abs,
           label="not_finite", differentiate=()),
    Sample("sign", (np.array([0j, 2j, -3]),), lambda z: np.array([0, 1j, -1]), label="zero", differentiate=()),
    *_binary("add", np.add),
    *_binary("subtract", np.subtract),
    *_binary("multiply", np.multiply),
    *_binary("divide", np.divide),
    *_binary("power", np.power),
    Sample("divide", (np.array([1e200 + 2e200j]), np.array([3e200 - 1e200j])),
           lambda a, b: (a / 1e200) / (b / 1e200), label="large", differentiate=()),
    Sample("power", (np.array([0j, 0j]), np.array([2 + 1j, 0j])), lambda a, b: np.array([0, 1]),
           label="zero", differentiate=()),
    *(
        Sample("compare", (_z(), np.where(np.arange(5) < 2, _z(), 1j)), function,
               {"direction": direction}, label="complex")
        for direction, function in (("EQ", np.equal), ("NE", np.not_equal))
    ),
    Sample("select", (draw(_SHAPE, BOOL), _z(), _z(seed=1)), np.where, label="complex", exact=True),
    Sample("convert", (_z(dtype=C64),), lambda z: z, {"dtype": C128}, label="complex"),
    Sample("convert", (_z(),), lambda z: z, {"dtype": C64}, label="complex"),
    Sample("convert", (draw(_SHAPE, F16),), lambda x: x, {"dtype": C64}, label="complex"),
    Sample("convert", (draw(_SHAPE, I32, -9, 9),), lambda x: x, {"dtype": C128}, label="complex"),
    Sample("iota", (), lambda: np.arange(4), {"shape": (4,), "dtype": C64, "dimension": 0},
           label="complex"),
    _moved("identity", lambda z: z),
    _moved("broadcast_in_dim", lambda z: np.broadcast_to(z, (2, 3, 5)), shape=(2, 3, 5),
           dimensions=(1, 2)),
    _moved("reshape", lambda z: z.reshape(5, 3), shape=(5, 3)),
    _moved("transpose", np.transpose, permutation=(1, 0)),
    _moved("reverse", lambda z: z[:, ::-1], dimensions=(1,)),
    _moved("slice", lambda z: z[1:3, ::2], start=(1, 0), limit=(3, 5), strides=(1, 2)),
    Sample("pad", (_z(), np.array(1 + 2j)), lambda z, v: np.pad(z, 1, constant_values=v),
           {"low": (1, 1), "high": (1, 1), "interior": (0, 0)}, label="complex", exact=True),
    Sample("concatenate", (_z(), _z(seed=1)), lambda a, b: np.concatenate([a, b], 1),
           {"dimension": 1}, label="complex", exact=True),
    Sample("reduce", (_z(),), lambda z: z.sum(1), {"dimensions": (1,), "reducer": "add"},
           label="complex"),
    Sample("dynamic_slice", (_z(), np.array(1), np.array(2)), lambda z, i, j: z[1:3, 2:5],
           {"sizes": (2, 3)}, label="complex", exact=True, differentiate=(0,)),
    Sample("sort", (draw((7,), F64), _z((7,))), lambda x, z: (np.sort(x), z[np.argsort(x)]),
           {"dimension": 0, "descending": (0,), "total_order": False}, label="complex",
           exact=True, differentiate=(0, 1)),
    *(
        Sample("dot_general", (_z((3, 4), dtype), _z((4, 2), dtype, 1)), np.matmul, _DOT,
               label="complex", slack=8)
        for dtype in (C128, C64)
    ),
    Sample("hypot", (draw(_SHAPE, F64), draw(_SHAPE, F64, seed=1)), np.hypot, slack=2),
    Sample("hypot", (draw(_SHAPE, F32) * np.float32(1e30), draw(_SHAPE, F32, seed=1)), np.hypot,
           label="large", slack=2, differentiate=()),
    Sample("hypot", (draw(_SHAPE, F16), draw(_SHAPE, F16, seed=1)), np.hypot, differentiate=()),
    Sample("hypot", (np.array([0.0, np.inf, np.nan, 3.0]), np.array([0.0, np.nan, -np.inf, -4.0])),
           np.hypot, label="edges", differentiate=()),
)  # fmt: skip
