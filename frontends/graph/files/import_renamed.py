"""Op types of graph definitions that go by another name here, or whose attributes say what two
types say here."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.frontends.graph.files.import_nodes import Build, Node
from tensorkiln.frontends.graph.ops_einsum import labels_of
from tensorkiln.frontends.graph.statics import static_array, static_integers
from tensorkiln.frontends.graph.tensor import Tensor


def _einsum(node: Node) -> Sequence[Tensor]:
    equation = str(node.attributes()["equation"])
    attributes = {"equation": equation, "labels": labels_of(equation, node.inputs)}
    return node.operation("Einsum", node.inputs, attributes).outputs


def _divide(node: Node) -> Sequence[Tensor]:
    """Integers are rounded towards zero."""
    whole = node.inputs[0].dtype.base_dtype.is_integer
    return node.operation("TruncateDiv" if whole else "RealDiv", node.inputs, {}).outputs


def _nothing(node: Node) -> Sequence[Tensor]:
    node.operation("NoOp", (), {})
    return ()


def _main_diagonal(kind: str) -> Build:
    """An op for the main diagonal; ValueError for others."""

    def build(node: Node) -> Sequence[Tensor]:
        diagonals = 1 if kind != "MatrixSetDiag" else 2
        count = 2 if kind == "MatrixSetDiag" else 1
        sizes = [static_integers(t) for t in node.inputs[diagonals + 1 : -1]]
        filler = None if kind == "MatrixSetDiag" else static_array(node.inputs[-1])
        plain = static_integers(node.inputs[diagonals]) in ((0,), (0, 0))
        if kind == "MatrixDiag":
            plain = plain and all(size == (-1,) for size in sizes) and _is_zero(filler)
        if not plain:
            raise ValueError("only the main diagonal of a square matrix, zero elsewhere, is read")
        return node.operation(kind, node.inputs[:count], {}).outputs

    return build


def _is_zero(array: object) -> bool:
    return array is not None and not bool(array)


BUILDERS: dict[str, Build] = {
    "ControlTrigger": _nothing,
    "DisableCopyOnRead": _nothing,
    "Div": _divide,
    "Einsum": _einsum,
    **{f"MatrixDiag{version}": _main_diagonal("MatrixDiag") for version in ("V2", "V3")},
    **{f"MatrixDiagPart{version}": _main_diagonal("MatrixDiagPart") for version in ("V2", "V3")},
    **{f"MatrixSetDiag{version}": _main_diagonal("MatrixSetDiag") for version in ("V2", "V3")},
}
"""Types read by a function of their own."""

RENAMED = {
    "BatchMatMulV3": "BatchMatMul",
    "Inv": "Reciprocal",
    "InvGrad": "ReciprocalGrad",
    "Mod": "TruncateMod",
}
"""Types that are the same by another name."""
