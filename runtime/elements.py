"""Element types as artifacts name them, with their numpy dtypes and their C types."""

from __future__ import annotations

from dataclasses import dataclass

import ml_dtypes
import numpy as np


@dataclass(frozen=True, slots=True)
class Element:
    """An element type: its name in manifests, its numpy dtype, and its C99 type."""

    name: str
    numpy: np.dtype[np.generic]
    c_type: str


ELEMENTS: dict[str, Element] = {
    element.name: element
    for element in (
        Element("bool", np.dtype(np.bool_), "uint8_t"),
        Element("i8", np.dtype(np.int8), "int8_t"),
        Element("i16", np.dtype(np.int16), "int16_t"),
        Element("i32", np.dtype(np.int32), "int32_t"),
        Element("i64", np.dtype(np.int64), "int64_t"),
        Element("u8", np.dtype(np.uint8), "uint8_t"),
        Element("u16", np.dtype(np.uint16), "uint16_t"),
        Element("u32", np.dtype(np.uint32), "uint32_t"),
        Element("u64", np.dtype(np.uint64), "uint64_t"),
        # One a byte, in its lowest bits
        Element("i2", np.dtype(ml_dtypes.int2), "uint8_t"),
        Element("u2", np.dtype(ml_dtypes.uint2), "uint8_t"),
        Element("i4", np.dtype(ml_dtypes.int4), "uint8_t"),
        Element("u4", np.dtype(ml_dtypes.uint4), "uint8_t"),
        Element("f4e2m1fn", np.dtype(ml_dtypes.float4_e2m1fn), "uint8_t"),
        Element("f6e2m3fn", np.dtype(ml_dtypes.float6_e2m3fn), "uint8_t"),
        Element("f6e3m2fn", np.dtype(ml_dtypes.float6_e3m2fn), "uint8_t"),
        # C99 has no floats of 8 and 16 bits: their bits travel as integers
        Element("f8e4m3fn", np.dtype(ml_dtypes.float8_e4m3fn), "uint8_t"),
        Element("f8e5m2", np.dtype(ml_dtypes.float8_e5m2), "uint8_t"),
        Element("f8e4m3fnuz", np.dtype(ml_dtypes.float8_e4m3fnuz), "uint8_t"),
        Element("f8e5m2fnuz", np.dtype(ml_dtypes.float8_e5m2fnuz), "uint8_t"),
        Element("f8e4m3", np.dtype(ml_dtypes.float8_e4m3), "uint8_t"),
        Element("f8e3m4", np.dtype(ml_dtypes.float8_e3m4), "uint8_t"),
        Element("f8e4m3b11fnuz", np.dtype(ml_dtypes.float8_e4m3b11fnuz), "uint8_t"),
        Element("f8e8m0fnu", np.dtype(ml_dtypes.float8_e8m0fnu), "uint8_t"),
        Element("f16", np.dtype(np.float16), "uint16_t"),
        Element("bf16", np.dtype(ml_dtypes.bfloat16), "uint16_t"),
        Element("f32", np.dtype(np.float32), "float"),
        Element("f64", np.dtype(np.float64), "double"),
        # Pairs of a real and an imaginary part, as C99's complex types and C++'s lie in memory
        Element("c64", np.dtype(np.complex64), "float"),
        Element("c128", np.dtype(np.complex128), "double"),
    )
}
