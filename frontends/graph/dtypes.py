"""Element types as TensorFlow programs name them (`tf.float32`), and their numpy and IR types."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from tensorkiln.compiler.ir import dtypes as ir
from tensorkiln.runtime.errors import UnsupportedError


class DType:
    """One element type; the `_ref` variant is the type of a variable's mutable tensor."""

    __slots__ = ("_base", "_is_ref", "_name", "_numpy", "_ref")

    def __init__(self, name: str, numpy: np.dtype[np.generic], base: DType | None = None) -> None:
        self._name = name
        self._numpy = numpy
        self._is_ref = base is not None
        self._base = base or self
        self._ref = self if base is not None else DType(f"{name}_ref", numpy, self)

    @property
    def name(self) -> str:
        """The name in messages and printed tensors, such as `float32` or `float32_ref`."""
        return self._name

    @property
    def base_dtype(self) -> DType:
        """The type without the mark of a reference."""
        return self._base

    @property
    def as_ref(self) -> DType:
        """The reference variant of this type."""
        return self._ref

    @property
    def is_ref(self) -> bool:
        """True for the type of a variable's mutable tensor."""
        return self._is_ref

    @property
    def as_numpy_dtype(self) -> Any:
        """The numpy scalar type (`object` for strings); a numpy dtype where it is quantized."""
        if self.is_quantized:
            return self._numpy
        return object if self._numpy.kind == "O" else self._numpy.type

    @property
    def numpy(self) -> np.dtype[np.generic]:
        """The numpy dtype."""
        return self._numpy

    @property
    def ir(self) -> ir.DType:
        """The tensor IR's element type; UnsupportedError where the compiler has none."""
        try:
            return ir.dtype_of(self._numpy)
        except KeyError:
            raise UnsupportedError(f"tensors of dtype {self._name} cannot be compiled") from None

    @property
    def is_floating(self) -> bool:
        """True for real floating-point types."""
        return self._base._name in _FLOATING

    @property
    def is_complex(self) -> bool:
        """True for complex types."""
        return self._numpy.kind == "c"

    @property
    def is_inexact(self) -> bool:
        """True for the types that have gradients: floats and complex numbers."""
        return self.is_floating or self.is_complex

    @property
    def is_integer(self) -> bool:
        """True for signed and unsigned integers."""
        return self._numpy.kind in "iu" and not self.is_floating

    @property
    def is_unsigned(self) -> bool:
        """True for unsigned integers."""
        return self._numpy.kind == "u"

    @property
    def is_bool(self) -> bool:
        """True for bool."""
        return self._numpy.kind == "b"

    @property
    def is_quantized(self) -> bool:
        """True for integers that stand for real numbers, such as `qint8`."""
        return self._numpy.names is not None

    @property
    def is_numpy_compatible(self) -> bool:
        """True for the types that numpy has; those that are quantized are records there."""
        return not self.is_quantized

    @property
    def size(self) -> int:
        """Bytes of one element."""
        return self._numpy.itemsize

    @property
    def min(self) -> float | int:
        """The smallest finite value."""
        return self._limits()[0]

    @property
    def max(self) -> float | int:
        """The largest finite value."""
        return self._limits()[1]

    def _limits(self) -> tuple[float | int, float | int]:
        if self.is_quantized:
            raise TypeError(f"the quantized type {self!s} has no smallest and largest value")
        if self.is_floating:
            known = ml_dtypes.finfo(self._numpy)  # type: ignore[no-untyped-call]
            return float(known.min), float(known.max)
        bits = 8 * self.size
        if self.is_unsigned:
            return 0, 2**bits - 1
        return (0, 1) if self.is_bool else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)

    def is_compatible_with(self, other: object) -> bool:
        """True if both are the same type, references aside."""
        return self._base is as_dtype(other).base_dtype

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if other is None:
            return False
        try:
            return as_dtype(other) is self
        except TypeError:
            return False

    def __hash__(self) -> int:
        return id(self)

    def __str__(self) -> str:
        return f"<dtype: {self._name!r}>"

    def __repr__(self) -> str:
        return f"tf.{self._name}"

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return as_dtype, (self._name,)


_FLOATING = ("float16", "bfloat16", "float32", "float64")

float16 = half = DType("float16", np.dtype(np.float16))
bfloat16 = DType("bfloat16", np.dtype(ml_dtypes.bfloat16))
float32 = DType("float32", np.dtype(np.float32))
float64 = double = DType("float64", np.dtype(np.float64))
int8 = DType("int8", np.dtype(np.int8))
int16 = DType("int16", np.dtype(np.int16))
int32 = DType("int32", np.dtype(np.int32))
int64 = DType("int64", np.dtype(np.int64))
uint8 = DType("uint8", np.dtype(np.uint8))
uint16 = DType("uint16", np.dtype(np.uint16))
uint32 = DType("uint32", np.dtype(np.uint32))
uint64 = DType("uint64", np.dtype(np.uint64))
boolean = DType("bool", np.dtype(np.bool_))
string = DType("string", np.dtype(np.object_))
complex64 = DType("complex64", np.dtype(np.complex64))
complex128 = DType("complex128", np.dtype(np.complex128))


def _quantized(name: str, element: str) -> DType:
    """A type that numpy knows as a record with one field of its name."""
    return DType(name, np.dtype([(name, element)]))


qint8, quint8 = _quantized("qint8", "i1"), _quantized("quint8", "u1")
qint16, quint16 = _quantized("qint16", "<i2"), _quantized("quint16", "<u2")
qint32 = _quantized("qint32", "<i4")
QUANTIZED = (qint8, quint8, qint16, quint16, qint32)
"""Types that have names only: placeholders are of them, but nothing computes with them."""
QUANTIZED_DTYPES = frozenset(QUANTIZED) | {dtype.as_ref for dtype in QUANTIZED}

ALL: tuple[DType, ...] = (
    float16, bfloat16, float32, float64, int8, int16, int32, int64,
    uint8, uint16, uint32, uint64, boolean, string, complex64, complex128,
)  # fmt: skip
FLOATS = (bfloat16, float16, float32, float64)
INTEGERS = (int8, int16, int32, int64, uint8, uint16, uint32, uint64)
NUMBERS = (*FLOATS, *INTEGERS, complex64, complex128)
INDEXES = (int32, int64)

_NAMED = (*ALL, *QUANTIZED)
_BY_NAME = {d.name: d for d in _NAMED} | {d.as_ref.name: d.as_ref for d in _NAMED}
_BY_NAME |= {"half": float16, "float": float32, "double": float64, "str": string}
_BY_NUMPY = {d.numpy: d for d in _NAMED}
_BY_PYTHON: dict[object, DType] = {float: float32, int: int64, complex: complex128, str: string}


def as_dtype(value: object) -> DType:
    """The DType that a DType, a name, a numpy dtype or a Python type stands for; else TypeError.

    Python's `float` is float32 and its `int` int64, as in TensorFlow.
    """
    if isinstance(value, DType):
        return value
    if isinstance(value, str) and value in _BY_NAME:
        return _BY_NAME[value]
    if isinstance(value, type) and value in _BY_PYTHON:
        return _BY_PYTHON[value]
    try:
        numpy = None if value is None else np.dtype(value)  # type: ignore[call-overload]
    except TypeError:
        raise TypeError(f"Cannot convert value {value!r} to a TensorFlow DType.") from None
    if numpy is not None and numpy.kind in "SUO":
        return string
    found = _BY_NUMPY.get(numpy) if numpy is not None else None
    if found is None:
        raise TypeError(f"Cannot convert value {value!r} to a TensorFlow DType.")
    return found
