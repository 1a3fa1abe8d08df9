"""Matrix products."""

from __future__ import annotations

from tensorkiln.compiler.ir.dtypes import I32, DType
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.shorthand import (
    binary,
    broadcast_to,
    convert,
    dot_general,
    matmul,
    reshape,
    scalar,
)  # fmt: skip
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.table import Lowering


def _matmul(node: Node) -> Value:
    return matmul(node.builder, node.value(0), node.value(1))


def _gemm(node: Node) -> Value:
    """alpha A' B' + beta C, where A' and B' may be transposed and C is broadcast."""
    builder, a, b = node.builder, node.value(0), node.value(1)
    if a.type.rank != 2 or b.type.rank != 2:
        raise node.invalid(f"operands {a.type} and {b.type} are not matrices")
    inner_a = 0 if node.integer("transA") else 1
    inner_b = 1 if node.integer("transB") else 0
    product = dot_general(builder, a, b, (), (), (inner_a,), (inner_b,))
    product = _scaled(node, product, node.number("alpha"))
    beta = node.number("beta")
    if not node.has(2) or beta == 0:
        return product
    c = _scaled(node, node.value(2), beta)
    return builder.one("add", (product, broadcast_to(builder, c, product.type.shape)))


def _scaled(node: Node, x: Value, factor: float) -> Value:
    if factor == 1:
        return x
    if not x.dtype.is_float and factor != int(factor):
        raise node.unsupported(f"a factor of {factor} on {x.dtype}")
    value = factor if x.dtype.is_float else int(factor)
    return binary(node.builder, "multiply", x, scalar(node.builder, value, x.dtype))


def centered(node: Node, index: int, zero_point: int, dtype: DType, axis: int) -> Value:
    """Operand `index` minus its zero point, widened to `dtype`.

    A zero point that is a vector holds one number for each index along `axis` of the operand.
    """
    builder = node.builder
    x = convert(builder, node.value(index), dtype)
    if not node.has(zero_point):
        return x
    zero = convert(builder, node.value(zero_point), dtype)
    if zero.type.rank == 1:
        if zero.type.elements == 1:
            zero = reshape(builder, zero, ())
        else:
            trailing = x.type.rank - axis % x.type.rank - 1
            zero = reshape(builder, zero, (*zero.shape, *(1,) * trailing))
    return binary(builder, "subtract", x, zero)


def _matmul_integer(node: Node) -> Value:
    a = centered(node, 0, 2, I32, max(node.value(0).type.rank - 2, 0))
    return matmul(node.builder, a, centered(node, 1, 3, I32, -1))


LOWERINGS = (
    Lowering("MatMul", _matmul),
    Lowering("Gemm", _gemm),
    Lowering("MatMulInteger", _matmul_integer, 10),
)
