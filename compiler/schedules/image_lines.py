"""Lines of padding in front of convolutions: their products are zeros, so nobody makes them."""

from __future__ import annotations

from collections.abc import Mapping

from tensorkiln.compiler.ir.function import Op, Value
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Binary, Expr
from tensorkiln.compiler.schedules.conv_tiling import ConvShape


def image_lines(
    op: Op, hero: Op, shape: ConvShape, producers: Mapping[Value, Op]
) -> tuple[int, int] | None:
    """Where a convolution's input has more than zeros along its first spatial dim: from, below.

    `op` is the fusion that `hero` is in.  None if no other fusion is seen to pad that dim.
    """
    (region,) = op.regions
    outer = dict(zip(region.parameters, op.operands, strict=True)).get(hero.operands[0])
    source = None if outer is None else producers.get(outer)
    if outer is None or source is None or source.name != "fusion":
        return None
    (made,) = source.regions
    inner = made.producers()
    pad = inner.get(made.results[source.results.index(outer)])
    if pad is None or pad.name != "pad" or any(pad.ints("interior")):
        return None
    filler = inner.get(pad.operands[1])
    if filler is None or filler.name != "constant" or filler.array("value").any():
        return None
    dim = shape.positions[0][2]
    low, high = max(0, pad.ints("low")[dim]), max(0, pad.ints("high")[dim])
    return (low, outer.shape[dim] - high) if low or high else None


def lines_inside(
    shape: ConvShape, image: tuple[int, int] | None, place: Expr, start: Expr, stop: Expr
) -> tuple[Expr, Expr] | None:
    """The lines of the window from `start` below `stop` that meet the image at `place`.

    None if that is all of them, or where lines of the window do not lie next to each other.
    """
    if image is None or shape.dilation[0] != 1:
        return None
    line = ix.mul(place, shape.strides[0])
    first, last = (ix.sub(ix.const(end), line) for end in image)
    return Binary("max", start, first), Binary("min", stop, last)
