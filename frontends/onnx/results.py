"""What a graph declares about its outputs, compared with what was imported."""

from __future__ import annotations

from collections.abc import Sequence

from onnx import GraphProto, ValueInfoProto

from tensorkiln.frontends.onnx.elements import dtype_of_element
from tensorkiln.frontends.onnx.node import Operand
from tensorkiln.runtime.errors import ModelError, UnsupportedError


def check_results(graph: GraphProto, results: Sequence[Operand]) -> None:
    """ModelError where an output's declared dtype is not the one its nodes give.

    Declared shapes are hints that exporters often get wrong once a dim is replaced, so they are
    not compared.
    """
    for declared, found in zip(graph.output, results, strict=True):
        _check(declared, found)


def _check(declared: ValueInfoProto, found: Operand) -> None:
    kind = declared.type.WhichOneof("value")
    if kind is None or (kind == "tensor_type" and not declared.type.tensor_type.elem_type):
        return
    what = f"output {declared.name!r}"
    if kind != "tensor_type":
        raise UnsupportedError(f"{what} is a {kind.removesuffix('_type')}, not a tensor")
    dtype = dtype_of_element(declared.type.tensor_type.elem_type, what)
    if dtype != found.dtype:
        raise ModelError(f"{what} is declared {dtype}, and its nodes make {found.dtype}")
