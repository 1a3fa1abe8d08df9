"""Python's operators on tensors and variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import graph_of, make
from tensorkiln.frontends.graph.convert import Convertible, convert_to_tensor
from tensorkiln.frontends.graph.indexing import index_tensor

if TYPE_CHECKING:
    from tensorkiln.frontends.graph.tensor import Tensor

# Integers are divided as floats that hold them (Python's true division).
_TRUE_DIVISION = {
    dtypes.int8: dtypes.float32, dtypes.uint8: dtypes.float32,
    dtypes.int16: dtypes.float32, dtypes.uint16: dtypes.float32,
    dtypes.int32: dtypes.float64, dtypes.int64: dtypes.float64,
}  # fmt: skip


def binary(kind: str, name: str, x: object, y: object) -> Tensor:
    """`x kind y`, where the second operand takes the first one's dtype."""
    graph = graph_of([x, y])
    with graph.as_default(), graph.name_scope(name) as scope:
        left = convert_to_tensor(x, name="x")
        right = convert_to_tensor(y, name="y", preferred_dtype=left.dtype.base_dtype)
        return make(kind, (left, right), scope)


def reflected(kind: str, name: str, x: Operand, y: object) -> Tensor:
    """`y kind x`, where `y` takes the dtype of the tensor `x`."""
    graph = graph_of([x, y])
    with graph.as_default(), graph.name_scope(name) as scope:
        left = convert_to_tensor(y, x._as_tensor().dtype.base_dtype, name="x")
        return make(kind, (left, x), scope)


def _bits(kind: str, name: str, x: object, y: object) -> Tensor:
    """`x kind y` of integers, whose op is named after its type below the operator's scope."""
    graph = graph_of([x, y])
    with graph.as_default(), graph.name_scope(name):
        first = next(v for v in (x, y) if isinstance(v, Convertible))
        hint = first._as_tensor().dtype.base_dtype
        left = convert_to_tensor(x, name="x", preferred_dtype=hint)
        right = convert_to_tensor(y, name="y", preferred_dtype=hint)
        return make(kind, (left, right))


def _logical(bool_kind: str, bit_kind: str, name: str, x: Operand, y: object) -> Tensor:
    if x._as_tensor().dtype.is_bool:
        return binary(bool_kind, name, x, y)
    return _bits(bit_kind, name, x, y)


def _reflected_logical(bool_kind: str, bit_kind: str, name: str, x: Operand, y: object) -> Tensor:
    if x._as_tensor().dtype.is_bool:
        return reflected(bool_kind, name, x, y)
    return _bits(bit_kind, name, y, x)


def true_divide(x: object, y: object, name: str = "truediv") -> Tensor:
    """Python's `/`: integers are converted to floats first."""
    graph = graph_of([x, y])
    with graph.as_default(), graph.name_scope(name) as scope:
        left = convert_to_tensor(x, name="x")
        right = convert_to_tensor(y, name="y", preferred_dtype=left.dtype.base_dtype)
        return _divide(left, right, scope)


def _reflected_true_divide(x: Operand, y: object) -> Tensor:
    graph = graph_of([x, y])
    with graph.as_default(), graph.name_scope("truediv") as scope:
        left = convert_to_tensor(y, x._as_tensor().dtype.base_dtype, name="x")
        return _divide(left, x._as_tensor(), scope)


def _divide(left: Tensor, right: Tensor, scope: str) -> Tensor:
    if left.dtype.base_dtype is not right.dtype.base_dtype:
        raise TypeError(f"x and y must have the same dtype, got {left.dtype!r} != {right.dtype!r}")
    target = _TRUE_DIVISION.get(left.dtype.base_dtype)
    if target is not None:
        left = make("Cast", (left,), "Cast", DstT=target)
        right = make("Cast", (right,), "Cast", DstT=target)
    return make("RealDiv", (left, right), scope)


class Operand(Convertible):
    """What tensors and variables share: operators, which all make new ops.

    `==` and hashing are by identity, so that tensors are keys of feed dictionaries.
    """

    __slots__ = ()
    # numpy leaves `array + tensor` to the tensor.
    __array_priority__ = 100

    def __add__(self, other: object) -> Tensor:
        return binary("Add", "add", self, other)

    def __radd__(self, other: object) -> Tensor:
        return reflected("Add", "add", self, other)

    def __sub__(self, other: object) -> Tensor:
        return binary("Sub", "sub", self, other)

    def __rsub__(self, other: object) -> Tensor:
        return reflected("Sub", "sub", self, other)

    def __mul__(self, other: object) -> Tensor:
        return binary("Mul", "mul", self, other)

    def __rmul__(self, other: object) -> Tensor:
        return reflected("Mul", "mul", self, other)

    def __truediv__(self, other: object) -> Tensor:
        return true_divide(self, other)

    def __rtruediv__(self, other: object) -> Tensor:
        return _reflected_true_divide(self, other)

    def __floordiv__(self, other: object) -> Tensor:
        return binary("FloorDiv", "floordiv", self, other)

    def __rfloordiv__(self, other: object) -> Tensor:
        return reflected("FloorDiv", "floordiv", self, other)

    def __mod__(self, other: object) -> Tensor:
        return binary("FloorMod", "mod", self, other)

    def __rmod__(self, other: object) -> Tensor:
        return reflected("FloorMod", "mod", self, other)

    def __pow__(self, other: object) -> Tensor:
        return binary("Pow", "pow", self, other)

    def __rpow__(self, other: object) -> Tensor:
        return reflected("Pow", "pow", self, other)

    def __matmul__(self, other: object) -> Tensor:
        return _matmul(self, convert_to_tensor(other, self._as_tensor().dtype.base_dtype))

    def __rmatmul__(self, other: object) -> Tensor:
        return _matmul(convert_to_tensor(other, self._as_tensor().dtype.base_dtype), self)

    def __neg__(self) -> Tensor:
        return make("Neg", (self,))

    def __abs__(self) -> Tensor:
        return make("ComplexAbs" if self._as_tensor().dtype.is_complex else "Abs", (self,))

    def __invert__(self) -> Tensor:
        return make("LogicalNot" if self._as_tensor().dtype.is_bool else "Invert", (self,))

    def __lt__(self, other: object) -> Tensor:
        return binary("Less", "Less", self, other)

    def __le__(self, other: object) -> Tensor:
        return binary("LessEqual", "LessEqual", self, other)

    def __gt__(self, other: object) -> Tensor:
        return binary("Greater", "Greater", self, other)

    def __ge__(self, other: object) -> Tensor:
        return binary("GreaterEqual", "GreaterEqual", self, other)

    def __and__(self, other: object) -> Tensor:
        return _logical("LogicalAnd", "BitwiseAnd", "and", self, other)

    def __rand__(self, other: object) -> Tensor:
        return _reflected_logical("LogicalAnd", "BitwiseAnd", "and", self, other)

    def __or__(self, other: object) -> Tensor:
        return _logical("LogicalOr", "BitwiseOr", "or", self, other)

    def __ror__(self, other: object) -> Tensor:
        return _reflected_logical("LogicalOr", "BitwiseOr", "or", self, other)

    def __xor__(self, other: object) -> Tensor:
        return _logical("NotEqual", "BitwiseXor", "xor", self, other)

    def __rxor__(self, other: object) -> Tensor:
        return _reflected_logical("NotEqual", "BitwiseXor", "xor", self, other)

    def __getitem__(self, key: object) -> Tensor:
        return index_tensor(self._as_tensor(), key)

    def __iter__(self) -> NoReturn:
        raise TypeError("'Tensor' object is not iterable.")

    def __len__(self) -> NoReturn:
        raise TypeError(
            f"len is not well defined for symbolic Tensors. ({self._as_tensor().name}) Please call "
            "`x.shape` rather than `len(x)` for shape information."
        )

    def __array__(self, *arguments: object, **options: object) -> NoReturn:
        raise NotImplementedError(
            f"Cannot convert a symbolic Tensor ({self._as_tensor().name}) to a numpy array."
        )

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "Using a `tf.Tensor` as a Python `bool` is not allowed. Use `if t is not None:` instead "
            "of `if t:` to test if a tensor is defined, and use TensorFlow ops such as tf.cond to "
            "execute subgraphs conditioned on the value of a tensor."
        )


def _matmul(x: Operand, y: Operand) -> Tensor:
    ranks = [t.sizes for t in (x._as_tensor(), y._as_tensor())]
    batched = any(sizes is not None and len(sizes) > 2 for sizes in ranks)
    if batched:
        return make("BatchMatMul", (x, y), "matmul", adj_x=False, adj_y=False)
    return make("MatMul", (x, y), "matmul", transpose_a=False, transpose_b=False)
