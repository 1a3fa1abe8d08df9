"""TopK; k moved from an attribute to an input in opset 10, and opset 11 added `largest`.

Of equal elements the first comes first, whatever `sorted` says, and a NaN is the greatest.  Where
only a run knows k, all elements are sorted, of which k are meant.
"""

from __future__ import annotations

from tensorkiln.compiler.ir.dtypes import I64
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.shorthand import axis_of, binary, convert, reshape, scalar
from tensorkiln.compiler.ops.top_k import top_k
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.operand import Bounded, Extent
from tensorkiln.frontends.onnx.table import Lowering


def _top(node: Node, k: int) -> list[Value]:
    x = node.value()
    axis = axis_of(node.integer("axis"), x.type.rank)
    if not 0 <= k <= x.shape[axis]:
        raise node.invalid(f"k is {k}, but {x.type} has {x.shape[axis]} elements along {axis}")
    values, indices = top_k(node.builder, x, k, axis, bool(node.integer("largest", 1)))
    return [values, convert(node.builder, indices, I64)]


def _by_attribute(node: Node) -> list[Value]:
    return _top(node, node.integer("k"))


def _by_input(node: Node) -> list[Value] | list[Bounded]:
    if node.operand(1).known is None and node.operand(1).type.elements == 1:
        return _as_many_as_asked(node)
    sizes = node.known_ints(1)
    if len(sizes) != 1:
        raise node.invalid(f"k has {len(sizes)} elements, not one")
    return _top(node, sizes[0])


def _as_many_as_asked(node: Node) -> list[Bounded]:
    builder, x = node.builder, node.operand(0)
    axis = axis_of(node.integer("axis"), len(x.shape))
    asked = reshape(builder, node.value(1), ())
    size = scalar(builder, x.shape[axis], I64)
    number = binary(builder, "minimum", asked, size)
    number = binary(builder, "maximum", number, scalar(builder, 0, I64))
    extent = Extent(axis, number)
    return [Bounded(value, extent) for value in _top(node, x.shape[axis])]


LOWERINGS = (Lowering("TopK", _by_attribute), Lowering("TopK", _by_input, 10))
