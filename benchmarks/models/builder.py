"""Builds ONNX models the way exporters write them: unfused nodes, names by module path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

OPSET = 17


class ModelBuilder:
    """Nodes and He-scaled random weights, the same for the same seed.

    `batch` is the size of the batch dim, or its name where it is to stay open.
    """

    def __init__(self, name: str, batch: int | str, shape: Sequence[int], seed: int) -> None:
        self.name = name
        self.generator = np.random.default_rng(seed)
        self.nodes: list[NodeProto] = []
        self.weights: list[TensorProto] = []
        self.batch = batch
        dims = (batch, *shape)
        self.inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, dims)]

    def node(self, kind: str, inputs: Sequence[str], path: str, **attributes: Any) -> str:
        """Adds a node with one output and returns the output's name."""
        name = f"/{path}/{kind}".replace("//", "/")
        output = f"{name}_output_0"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name, **attributes))
        return output

    def weight(self, name: str, array: np.ndarray) -> str:
        """Adds an initializer and returns its name."""
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def normal(self, name: str, shape: Sequence[int], fan_in: int) -> str:
        """Weights of standard deviation sqrt(2 / fan_in) (He et al., Delving deep, 2015)."""
        scale = np.float32(np.sqrt(2.0 / fan_in))
        drawn = self.generator.standard_normal(tuple(shape), np.float32)
        drawn *= scale
        return self.weight(name, drawn)

    def uniform(self, name: str, size: int, low: float, high: float) -> str:
        drawn = self.generator.uniform(low, high, size).astype(np.float32)
        return self.weight(name, drawn)

    def conv(
        self, x: str, path: str, channels: tuple[int, int], kernel: int | tuple[int, int],
        stride: int = 1, padding: int | tuple[int, int] = 0, groups: int = 1, bias: bool = False,
    ) -> str:  # fmt: skip
        """A 2-D convolution from channels[0] to channels[1]."""
        kh, kw = (kernel, kernel) if isinstance(kernel, int) else kernel
        ph, pw = (padding, padding) if isinstance(padding, int) else padding
        inner = channels[0] // groups
        module = path.replace("/", ".")
        inputs = [x, self.normal(f"{module}.weight", (channels[1], inner, kh, kw), inner * kh * kw)]
        if bias:
            inputs.append(self.uniform(f"{module}.bias", channels[1], -0.1, 0.1))
        return self.node(
            "Conv", inputs, path, kernel_shape=[kh, kw], strides=[stride, stride],
            pads=[ph, pw, ph, pw], dilations=[1, 1], group=groups,
        )  # fmt: skip

    def batch_norm(self, x: str, path: str, channels: int, epsilon: float = 1e-5) -> str:
        module = path.replace("/", ".")
        names = [
            self.uniform(f"{module}.weight", channels, 0.5, 1.0),
            self.uniform(f"{module}.bias", channels, -0.1, 0.1),
            self.uniform(f"{module}.running_mean", channels, -0.1, 0.1),
            self.uniform(f"{module}.running_var", channels, 0.8, 1.2),
        ]
        return self.node("BatchNormalization", [x, *names], path, epsilon=epsilon, momentum=0.9)

    def linear(self, x: str, path: str, inner: int, outer: int) -> str:
        module = path.replace("/", ".")
        weight = self.normal(f"{module}.weight", (outer, inner), inner)
        bias = self.uniform(f"{module}.bias", outer, -0.1, 0.1)
        return self.node("Gemm", [x, weight, bias], path, alpha=1.0, beta=1.0, transB=1)

    def relu(self, x: str, path: str) -> str:
        return self.node("Relu", [x], path)

    def max_pool(self, x: str, path: str, kernel: int, stride: int, padding: int = 0) -> str:
        return self.node(
            "MaxPool", [x], path, kernel_shape=[kernel] * 2, strides=[stride] * 2,
            pads=[padding] * 4, dilations=[1, 1], ceil_mode=0,
        )  # fmt: skip

    def average_pool(self, x: str, path: str, kernel: int, stride: int, padding: int = 0) -> str:
        return self.node(
            "AveragePool", [x], path, kernel_shape=[kernel] * 2, strides=[stride] * 2,
            pads=[padding] * 4, ceil_mode=0, count_include_pad=1,
        )  # fmt: skip

    def flatten(self, x: str, path: str = "") -> str:
        return self.node("Flatten", [x], path, axis=1)

    def pooled_features(self, x: str) -> str:
        """The mean of each channel, as a row."""
        return self.flatten(self.node("GlobalAveragePool", [x], "avgpool"))

    def finish(self, output: str, classes: int) -> ModelProto:
        """The model with one output named `output`."""
        last = self.nodes[-1]
        assert last.output[0] == output
        last.output[0] = "output"
        result = helper.make_tensor_value_info("output", TensorProto.FLOAT, (self.batch, classes))
        graph = helper.make_graph(self.nodes, self.name, self.inputs, [result], self.weights)
        opsets = [helper.make_opsetid("", OPSET)]
        return helper.make_model(
            graph, opset_imports=opsets, ir_version=8, producer_name="benchmarks"
        )
