"""Det; halves are computed in f32."""

from __future__ import annotations

from tensorkiln.compiler.ir.dtypes import F32
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.linalg_solve import determinant
from tensorkiln.compiler.ops.shorthand import convert
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.table import Lowering


def _determinant(node: Node) -> Value:
    builder, x = node.builder, node.value()
    if x.type.rank < 2 or x.shape[-1] != x.shape[-2]:
        raise node.invalid(f"{x.type} does not hold square matrices")
    wide = convert(builder, x, F32) if x.dtype.bits < 32 else x
    return convert(builder, determinant(builder, wide), x.dtype)


LOWERINGS = (Lowering("Det", _determinant),)
