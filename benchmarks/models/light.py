"""The light models of the onnx package, with weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, numpy_helper

_FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"

LIGHT = (
    "bvlc_alexnet", "densenet121", "inception_v1", "inception_v2", "resnet50", "shufflenet",
    "squeezenet", "vgg19", "zfnet512",
)  # fmt: skip


def light(name: str, seed: int = 0) -> ModelProto:
    """The model with random weights where the file has fills of one number.

    Kernels and matrices get He's standard deviation; a vector filled with `v` becomes numbers from
    v / 2 to 3 v / 2, so that variances stay positive.
    """
    model = onnx.load(_FOLDER / f"light_{name}.onnx")
    graph = model.graph
    generator = np.random.default_rng(seed)
    known = {tensor.name: tensor for tensor in graph.initializer}
    fills = [node for node in graph.node if node.op_type == "ConstantOfShape"]
    for node in fills:
        shape = numpy_helper.to_array(known[node.input[0]])
        (value,) = numpy_helper.to_array(node.attribute[0].t)
        if len(shape) > 1:
            drawn = generator.standard_normal(tuple(shape), np.float32)
            weights = drawn * np.float32(np.sqrt(2.0 / np.prod(shape[1:])))
        else:
            weights = np.float32(value) * generator.uniform(0.5, 1.5, shape).astype(np.float32)
        graph.node.remove(node)
        graph.initializer.append(numpy_helper.from_array(weights, node.output[0]))
    read = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    names = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in names]
    for field, values in ((graph.initializer, kept), (graph.input, inputs)):
        del field[:]
        field.extend(values)
    return model
