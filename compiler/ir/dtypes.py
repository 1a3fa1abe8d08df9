"""Element types of tensors and their numpy counterparts."""

from __future__ import annotations

from dataclasses import dataclass

import ml_dtypes
import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class DType:
    """An element type; there is one object of each, so they compare by identity.

    `kind` is one of "bool", "int", "uint", "float"; `bits` is the width in memory, where a bool
    and a number of 2 or 4 bits take a whole byte (the rest of it is 0).
    """

    name: str
    kind: str
    bits: int
    numpy: np.dtype[np.generic]

    @property
    def bytes(self) -> int:
        """Size of one element in memory, in bytes."""
        return max(1, self.bits // 8)

    @property
    def is_float(self) -> bool:
        """True for the floating-point kinds."""
        return self.kind == "float"

    @property
    def is_complex(self) -> bool:
        """True for the complex kinds."""
        return self.kind == "complex"

    @property
    def is_inexact(self) -> bool:
        """True for the kinds that have gradients: floats and complex numbers."""
        return self.kind in ("float", "complex")

    @property
    def is_integer(self) -> bool:
        """True for signed and unsigned integers, not for bool."""
        return self.kind in ("int", "uint")

    @property
    def is_storage(self) -> bool:
        """True for the kinds that are stored only: to be computed with they are converted."""
        return self.kind != "bool" and self.bits < (16 if self.is_float else 8)

    @property
    def is_number(self) -> bool:
        """True for numbers that are computed with."""
        return self.kind != "bool" and not self.is_storage

    @property
    def is_signed(self) -> bool:
        """True where negative values exist."""
        return self.kind in ("int", "float")

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return self.name


BOOL = DType("bool", "bool", 8, np.dtype(np.bool_))
I8 = DType("i8", "int", 8, np.dtype(np.int8))
I16 = DType("i16", "int", 16, np.dtype(np.int16))
I32 = DType("i32", "int", 32, np.dtype(np.int32))
I64 = DType("i64", "int", 64, np.dtype(np.int64))
U8 = DType("u8", "uint", 8, np.dtype(np.uint8))
U16 = DType("u16", "uint", 16, np.dtype(np.uint16))
U32 = DType("u32", "uint", 32, np.dtype(np.uint32))
U64 = DType("u64", "uint", 64, np.dtype(np.uint64))
# Integers of 2 and 4 bits lie in a byte each, as in numpy: single elements can be addressed, and the
# models that hold them unpack them once.
I2 = DType("i2", "int", 2, np.dtype(ml_dtypes.int2))
U2 = DType("u2", "uint", 2, np.dtype(ml_dtypes.uint2))
I4 = DType("i4", "int", 4, np.dtype(ml_dtypes.int4))
U4 = DType("u4", "uint", 4, np.dtype(ml_dtypes.uint4))
# The 4-bit float of the OCP Microscaling Formats (2023): 0 0.5 1 1.5 2 3 4 6 and their negatives.
F4E2M1FN = DType("f4e2m1fn", "float", 4, np.dtype(ml_dtypes.float4_e2m1fn))
# Its 6-bit floats, and its scales: powers of two from 2^-127 to 2^127, no sign and no zero.
F6E2M3FN = DType("f6e2m3fn", "float", 6, np.dtype(ml_dtypes.float6_e2m3fn))
F6E3M2FN = DType("f6e3m2fn", "float", 6, np.dtype(ml_dtypes.float6_e3m2fn))
F8E8M0FNU = DType("f8e8m0fnu", "float", 8, np.dtype(ml_dtypes.float8_e8m0fnu))
# The 8-bit floats of Micikevicius et al., FP8 formats for deep learning (2022), and their forms
# without infinities and -0 (Noune et al., 8-bit numerical formats for deep neural networks, 2022).
F8E4M3FN = DType("f8e4m3fn", "float", 8, np.dtype(ml_dtypes.float8_e4m3fn))
F8E5M2 = DType("f8e5m2", "float", 8, np.dtype(ml_dtypes.float8_e5m2))
F8E4M3FNUZ = DType("f8e4m3fnuz", "float", 8, np.dtype(ml_dtypes.float8_e4m3fnuz))
F8E5M2FNUZ = DType("f8e5m2fnuz", "float", 8, np.dtype(ml_dtypes.float8_e5m2fnuz))
# Formats with infinities and NaN as IEEE 754 has them, and that of Sun et al., Hybrid 8-bit floating point
# training and inference for deep neural networks (2019).
F8E4M3 = DType("f8e4m3", "float", 8, np.dtype(ml_dtypes.float8_e4m3))
F8E3M4 = DType("f8e3m4", "float", 8, np.dtype(ml_dtypes.float8_e3m4))
F8E4M3B11FNUZ = DType("f8e4m3b11fnuz", "float", 8, np.dtype(ml_dtypes.float8_e4m3b11fnuz))
F16 = DType("f16", "float", 16, np.dtype(np.float16))
BF16 = DType("bf16", "float", 16, np.dtype(ml_dtypes.bfloat16))
F32 = DType("f32", "float", 32, np.dtype(np.float32))
F64 = DType("f64", "float", 64, np.dtype(np.float64))

DTYPES: tuple[DType, ...] = (
    BOOL, I2, I4, I8, I16, I32, I64, U2, U4, U8, U16, U32, U64,
    F4E2M1FN, F6E2M3FN, F6E3M2FN, F8E4M3FN, F8E5M2, F8E4M3FNUZ, F8E5M2FNUZ, F8E4M3, F8E3M4,
    F8E4M3B11FNUZ, F8E8M0FNU, F16, BF16, F32, F64,
)  # fmt: skip
# Pairs of floats, the real part first.  Only tensors have them: kernels see the parts.
C64 = DType("c64", "complex", 64, np.dtype(np.complex64))
C128 = DType("c128", "complex", 128, np.dtype(np.complex128))
COMPLEX: tuple[DType, ...] = (C64, C128)

_BY_NAME = {dtype.name: dtype for dtype in (*DTYPES, *COMPLEX)}
_BY_NUMPY = {dtype.numpy: dtype for dtype in (*DTYPES, *COMPLEX)}


def part_of(dtype: DType) -> DType:
    """The dtype of the parts of a complex one."""
    return {C64: F32, C128: F64}[dtype]


def complex_of(dtype: DType) -> DType:
    """The complex dtype whose parts are f32 or f64."""
    return {F32: C64, F64: C128}[dtype]


def dtype_named(name: str) -> DType:
    """The dtype whose text form is `name`; KeyError if there is none."""
    return _BY_NAME[name]


def is_dtype_name(name: str) -> bool:
    """True if `name` is the text form of a dtype."""
    return name in _BY_NAME


def dtype_of(value: np.dtype[np.generic] | type) -> DType:
    """The dtype of a numpy dtype; KeyError if tensors cannot have it (strings, objects)."""
    return _BY_NUMPY[np.dtype(value).newbyteorder("=")]
