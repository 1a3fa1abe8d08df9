"""What sequence models share: named inputs and outputs, and the layers of a transformer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper

from tensorkiln.benchmarks.models.builder import OPSET, ModelBuilder


class SequenceBuilder(ModelBuilder):
    """A builder whose inputs and outputs are declared one by one."""

    def __init__(self, name: str, batch: int | str, seed: int) -> None:
        super().__init__(name, batch, (), seed)
        self.inputs.clear()
        self.outputs: list[Any] = []

    def input(self, name: str, shape: Sequence[int | str], kind: int = TensorProto.FLOAT) -> str:
        """An input with the batch in front of `shape`."""
        self.inputs.append(helper.make_tensor_value_info(name, kind, (self.batch, *shape)))
        return name

    def output(self, value: str, name: str, shape: Sequence[int | str]) -> None:
        """Declares `value`, made by a node, as the output `name`, with the batch in front."""
        for node in self.nodes:
            for names in (node.input, node.output):
                names[:] = [name if n == value else n for n in names]
        dims = (self.batch, *shape)
        self.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, dims))

    def integers(self, name: str, *values: int) -> str:
        """A vector of i64, the same for the same name."""
        if all(w.name != name for w in self.weights):
            self.weight(name, np.array(values, np.int64))
        return name

    def number(self, name: str, value: float) -> str:
        """A scalar of f32, the same for the same name."""
        if all(w.name != name for w in self.weights):
            self.weight(name, np.array(value, np.float32))
        return name

    def embedding(self, indices: str, path: str, rows: int, width: int) -> str:
        """Rows of a table, of standard deviation 0.5."""
        table = self.normal(f"{path.replace('/', '.')}.weight", (rows, width), 8)
        return self.node("Gather", [table, indices], path)

    def dense(self, x: str, path: str, inner: int, outer: int) -> str:
        """x @ weight + bias on the last dim of a tensor of any rank."""
        module = path.replace("/", ".")
        weight = self.normal(f"{module}.weight", (inner, outer), 2 * inner)
        bias = self.uniform(f"{module}.bias", outer, -0.1, 0.1)
        return self.node("Add", [bias, self.node("MatMul", [x, weight], path)], path)

    def layer_norm(self, x: str, path: str, width: int, epsilon: float = 1e-5) -> str:
        module = path.replace("/", ".")
        scale = self.uniform(f"{module}.weight", width, 0.5, 1.5)
        bias = self.uniform(f"{module}.bias", width, -0.1, 0.1)
        return self.node("LayerNormalization", [x, scale, bias], path, axis=-1, epsilon=epsilon)

    def gelu(self, x: str, path: str) -> str:
        """x / 2 * (1 + erf(x / sqrt(2))), written out."""
        root = self.number("gelu.sqrt2", np.sqrt(2.0))
        error = self.node("Erf", [self.node("Div", [x, root], path)], path)
        shifted = self.node("Add", [error, self.number("gelu.one", 1.0)], path)
        product = self.node("Mul", [x, shifted], path)
        return self.node("Mul", [product, self.number("gelu.half", 0.5)], f"{path}/half")

    def heads(
        self, x: str, path: str, tokens: int | str, heads: int, size: int, order: Sequence[int]
    ) -> str:
        """[batch, tokens, heads * size] as four dims in the given order of b, t, h, d."""
        shape = self.integers(f"heads.{tokens}x{heads}x{size}", -1, _size(tokens), heads, size)
        return self.node(
            "Transpose", [self.node("Reshape", [x, shape], path)], path, perm=list(order)
        )

    def merge_heads(self, x: str, path: str, tokens: int | str, width: int) -> str:
        """[batch, heads, tokens, size] as [batch, tokens, heads * size]."""
        turned = self.node("Transpose", [x], f"{path}/merge", perm=[0, 2, 1, 3])
        shape = self.integers(f"merged.{tokens}x{width}", -1, _size(tokens), width)
        return self.node("Reshape", [turned, shape], f"{path}/merge")

    def self_attention(
        self, x: str, path: str, tokens: int | str, width: int, heads: int, mask: str = ""
    ) -> str:
        """Scaled dot-product attention; `mask` is added to the scores."""
        size = width // heads
        q, k, v = (self.dense(x, f"{path}/{n}", width, width) for n in ("query", "key", "value"))
        q = self.heads(q, f"{path}/q", tokens, heads, size, (0, 2, 1, 3))
        k = self.heads(k, f"{path}/k", tokens, heads, size, (0, 2, 3, 1))
        v = self.heads(v, f"{path}/v", tokens, heads, size, (0, 2, 1, 3))
        scores = self.node("MatMul", [q, k], path)
        scores = self.node("Div", [scores, self.number(f"root.{size}", np.sqrt(size))], path)
        if mask:
            scores = self.node("Add", [scores, mask], f"{path}/mask")
        weights = self.node("Softmax", [scores], path, axis=-1)
        mixed = self.node("MatMul", [weights, v], f"{path}/mix")
        return self.merge_heads(mixed, path, tokens, width)

    def finished(self) -> ModelProto:
        """The model with the declared inputs and outputs."""
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, self.weights)
        opsets = [helper.make_opsetid("", OPSET)]
        return helper.make_model(
            graph, opset_imports=opsets, ir_version=8, producer_name="benchmarks"
        )


def _size(tokens: int | str) -> int:
    """A dim of a reshape: 0 takes an open one from what is reshaped."""
    return tokens if isinstance(tokens, int) else 0
