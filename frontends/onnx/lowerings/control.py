"""Dropout at inference, and If where the branch is known while importing."""

from __future__ import annotations

from tensorkiln.compiler.ir.dtypes import BOOL
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.shorthand import full
from tensorkiln.frontends.onnx.node import Node, Operand
from tensorkiln.frontends.onnx.table import Lowering


def _passed_on(node: Node, mask: Value | None) -> list[Operand | Value]:
    return [node.operand(0)] if mask is None else [node.operand(0), mask]


def _mask(node: Node, kind: str) -> Value | None:
    if not node.wants(1):
        return None
    dtype = BOOL if kind == "bool" else node.operand(0).dtype
    return full(node.builder, node.operand(0).shape, True if kind == "bool" else 1, dtype)


def _dropout_like_input(node: Node) -> list[Operand | Value]:
    """Before opset 10 the mask has the dtype of the data."""
    if node.given("is_test") and not node.integer("is_test"):
        raise node.unsupported("it drops at random (is_test is 0)")
    return _passed_on(node, _mask(node, "data"))


def _dropout(node: Node) -> list[Operand | Value]:
    training = node.has(2) and bool(node.known(2).reshape(()))
    ratio = float(node.known(1).reshape(())) if training and node.has(1) else 0.5
    if training and ratio:
        raise node.unsupported("it drops at random (training_mode is true)")
    return _passed_on(node, _mask(node, "bool"))


def _if(node: Node) -> list[Operand]:
    taken = bool(node.known(0).reshape(()))
    if node.inline is None:
        raise node.unsupported("a branch in a place where nothing can be inlined")
    return node.inline(node.graph("then_branch" if taken else "else_branch"))


LOWERINGS = (
    Lowering("Dropout", _dropout_like_input),
    Lowering("Dropout", _dropout, 10),
    Lowering("If", _if),
)
