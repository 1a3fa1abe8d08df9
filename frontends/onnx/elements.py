"""ONNX element types and their dtypes."""

from __future__ import annotations

from onnx import TensorProto

from tensorkiln.compiler.ir.dtypes import (
    BF16,
    BOOL,
    F16,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
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
}
ELEMENT_OF_DTYPE = {dtype: element for element, dtype in DTYPE_OF_ELEMENT.items()}

_TYPE_STRING = {
    BOOL: "bool", I8: "int8", I16: "int16", I32: "int32", I64: "int64", U8: "uint8",
    U16: "uint16", U32: "uint32", U64: "uint64", F16: "float16", BF16: "bfloat16", F32: "float",
    F64: "double",
}  # fmt: skip


def dtype_of_element(element: int, what: str) -> DType:
    """The dtype of an ONNX element type; `what` names the value in errors.

    ModelError if the number is no element type, UnsupportedError if tensors here cannot have it
    (strings, complex numbers, fp8 and 4-bit kinds).
    """
    dtype = DTYPE_OF_ELEMENT.get(element)
    if dtype is not None:
        return dtype
    if element == TensorProto.UNDEFINED or element not in TensorProto.DataType.values():
        raise ModelError(f"{what} has element type {element}, which ONNX does not define")
    name = TensorProto.DataType.Name(TensorProto.DataType.ValueType(element))
    raise UnsupportedError(f"{what} has element type {name}, which cannot be compiled")


def type_string(dtype: DType) -> str:
    """The name an ONNX operator schema uses for tensors of `dtype`: `tensor(float)`."""
    return f"tensor({_TYPE_STRING[dtype]})"
