"""ONNX element types and their dtypes."""

from __future__ import annotations

from onnx import TensorProto

from tensorkiln.compiler.ir.dtypes import (
    BF16,
    BOOL,
    F4E2M1FN,
    F6E2M3FN,
    F6E3M2FN,
    F8E4M3FN,
    F8E4M3FNUZ,
    F8E5M2,
    F8E5M2FNUZ,
    F8E8M0FNU,
    F16,
    F32,
    F64,
    I2,
    I4,
    I8,
    I16,
    I32,
    I64,
    U2,
    U4,
    U8,
    U16,
    U32,
    U64,
    DType,
)  # fmt: skip
from tensorkiln.runtime.errors import ModelError, UnsupportedError

DTYPE_OF_ELEMENT: dict[int, DType] = {
    TensorProto.BOOL: BOOL,
    TensorProto.INT8: I8,
    TensorProto.INT16: I16,
    TensorProto.INT32: I32,
    TensorProto.INT64: I64,
    TensorProto.UINT8: U8,
    TensorProto.UINT16: U16,
    TensorProto.UINT32: U32,
    TensorProto.UINT64: U64,
    TensorProto.FLOAT16: F16,
    TensorProto.BFLOAT16: BF16,
    TensorProto.FLOAT: F32,
    TensorProto.DOUBLE: F64,
    TensorProto.FLOAT4E2M1: F4E2M1FN,
    TensorProto.FLOAT8E4M3FN: F8E4M3FN,
    TensorProto.FLOAT8E4M3FNUZ: F8E4M3FNUZ,
    TensorProto.FLOAT8E5M2: F8E5M2,
    TensorProto.FLOAT8E5M2FNUZ: F8E5M2FNUZ,
    TensorProto.FLOAT8E8M0: F8E8M0FNU,
    TensorProto.FLOAT6E2M3: F6E2M3FN,
    TensorProto.FLOAT6E3M2: F6E3M2FN,
    TensorProto.UINT4: U4,
    TensorProto.INT4: I4,
    TensorProto.UINT2: U2,
    TensorProto.INT2: I2,
}
ELEMENT_OF_DTYPE = {dtype: element for element, dtype in DTYPE_OF_ELEMENT.items()}

_TYPE_STRING = {
    BOOL: "bool", I8: "int8", I16: "int16", I32: "int32", I64: "int64", U8: "uint8",
    U16: "uint16", U32: "uint32", U64: "uint64", F16: "float16", BF16: "bfloat16", F32: "float",
    F64: "double", F4E2M1FN: "float4e2m1", F8E4M3FN: "float8e4m3fn", F8E4M3FNUZ: "float8e4m3fnuz", F8E5M2: "float8e5m2",
    F8E5M2FNUZ: "float8e5m2fnuz", F8E8M0FNU: "float8e8m0", F6E2M3FN: "float6e2m3", F6E3M2FN: "float6e3m2", U4: "uint4", I4: "int4", U2: "uint2", I2: "int2",
}  # fmt: skip


def dtype_of_element(element: int, what: str) -> DType:
    """The dtype of an ONNX element type; `what` names the value in errors.

    ModelError if the number is no element type, UnsupportedError if tensors here cannot have it
    (strings, complex numbers).
    """
    dtype = DTYPE_OF_ELEMENT.get(element)
    if dtype is not None:
        return dtype
    if element == TensorProto.UNDEFINED or element not in TensorProto.DataType.values():
        raise ModelError(f"{what} has element type {element}, which ONNX does not define")
    name = TensorProto.DataType.Name(TensorProto.DataType.ValueType(element))
    hint = ""
    if element == TensorProto.STRING:
        hint = "; tensorkiln.frontends.onnx.backend.prepare(model) runs models with texts"
    raise UnsupportedError(f"{what} has element type {name}, which cannot be compiled{hint}")


def type_string(dtype: DType) -> str:
    """The name an ONNX operator schema uses for tensors of `dtype`: `tensor(float)`."""
    return f"tensor({_TYPE_STRING[dtype]})"
