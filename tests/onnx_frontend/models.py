"""Small models for the tests of the importer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from tensorkiln.compiler.evaluate.evaluate import evaluate
from tensorkiln.frontends.onnx import import_model

FLOAT = TensorProto.FLOAT


def value(name: str, shape: Sequence[int | str | None], kind: int = FLOAT) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def output(name: str) -> ValueInfoProto:
    """An output of which nothing is declared but the name."""
    return helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None)


def model(
    nodes: Sequence[NodeProto],
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[str] = ("y",),
    weights: Mapping[str, np.ndarray] | None = None,
    opset: int = 18,
    **more: Any,
) -> ModelProto:
    tensors = [numpy_helper.from_array(a, name) for name, a in (weights or {}).items()]
    graph = helper.make_graph(list(nodes), "g", list(inputs), [output(n) for n in outputs], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], **more)


def run(proto: ModelProto, *arrays: np.ndarray, **options: Any) -> list[np.ndarray]:
    return [np.asarray(a) for a in evaluate(import_model(proto, **options), arrays)]


def run_node(
    kind: str, arrays: Sequence[np.ndarray], opset: int, known: int = 0, **attributes: Any
) -> np.ndarray:
    """The result of one node; the last `known` operands are initializers."""
    names = [f"x{k}" for k in range(len(arrays))]
    given = len(arrays) - known
    proto = model(
        [helper.make_node(kind, names, ["y"], "n", **attributes)],
        [
            value(n, a.shape, helper.np_dtype_to_tensor_dtype(a.dtype))
            for n, a in zip(names[:given], arrays, strict=False)
        ],
        weights=dict(zip(names[given:], arrays[given:], strict=True)),
        opset=opset,
    )
    return run(proto, *arrays[:given])[0]
