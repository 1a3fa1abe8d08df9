"""Running sums and products along a dim."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.scan_gradient import cumulative
from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.dtypes import NUMBERS
from tensorkiln.frontends.graph.errors import InvalidArgumentError
from tensorkiln.frontends.graph.kinds import Lower, OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.tensor import Tensor


def cumsum(
    x: object, axis: object = 0, exclusive: bool = False, reverse: bool = False,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """Running sums along `axis`; `exclusive` leaves each element itself out."""
    return make("Cumsum", (x, axis), name, exclusive=exclusive, reverse=reverse)


def cumprod(
    x: object, axis: object = 0, exclusive: bool = False, reverse: bool = False,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """Running products along `axis`; `exclusive` leaves each element itself out."""
    return make("Cumprod", (x, axis), name, exclusive=exclusive, reverse=reverse)


def _infer(op: Operation) -> Sequence[Result]:
    return [(base(op.inputs[0]), op.inputs[0].sizes)]


def _scan(reducer: str) -> Lower:
    def lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
        axis, rank = lowering.integer(op, 1, values), len(values[0].shape)
        if not -rank <= axis < rank:
            raise InvalidArgumentError(
                op.name, op,
                f"ScanOp: Expected scan axis in the range [{-rank}, {rank}), but got {axis}\n"
                f"\t {op.node_text}",
            )  # fmt: skip
        exclusive, reverse = op.flag("exclusive"), op.flag("reverse")
        return [cumulative(lowering.builder, values[0], reducer, axis, exclusive, reverse)]

    return lower


_NUMBER = {"T": NUMBERS}
register(
    OpKind("Cumsum", "x:T axis:index", _infer, _scan("add"), _NUMBER),
    OpKind("Cumprod", "x:T axis:index", _infer, _scan("multiply"), _NUMBER),
)
