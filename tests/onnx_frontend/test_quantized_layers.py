"""Each layer of a quantized network, on the bytes that the engine itself gave it, rounds as it must.

Two correct engines part where an exact number lies at the middle between two bytes: there a
rounding of f32 decides. Layer by layer this grows to steps of the last quantization; so whole
networks tell little, and here every convolution is compared with exact arithmetic instead.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper, shape_inference

from tensorkiln.benchmarks.models import qdq_resnet50
from tensorkiln.compiler.evaluate.evaluate import evaluate
from tensorkiln.compiler.pipeline import jit
from tensorkiln.frontends.onnx import import_model

# How near the middle, in steps, the rounding of f32 may decide.
MIDDLE = 1e-4

Arrays = Mapping[str, NDArray[np.generic]]


def all_tensors(model: ModelProto) -> ModelProto:
    """The model with the results of all QuantizeLinear nodes as further outputs."""
    wanted = {node.output[0] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    inferred = shape_inference.infer_shapes(model).graph.value_info
    copy = ModelProto()
    copy.CopyFrom(model)
    copy.graph.output.extend(value for value in inferred if value.name in wanted)
    return copy


def run(model: ModelProto, x: NDArray[np.float32], mode: str) -> dict[str, NDArray[np.generic]]:
    function = import_model(model)
    found = jit(function, threads=2)(x) if mode == "compiled" else evaluate(function, [x])
    names = [output.name for output in model.graph.output]
    return dict(zip(names, map(np.asarray, found), strict=True))


def dequantized(node: NodeProto, known: Arrays) -> NDArray[np.float64]:
    """What a DequantizeLinear node makes, without rounding."""
    codes, scale, zero = (known[name].astype(np.float64) for name in node.input)
    axes = (-1, *(1,) * (codes.ndim - 1)) if scale.ndim else ()
    return (codes - zero.reshape(axes)) * scale.reshape(axes)


def exact(node: NodeProto, made_by: Mapping[str, NodeProto], known: Arrays) -> NDArray[np.float64]:
    """What a convolution of dequantized bytes makes, without rounding."""
    x, w, bias = (dequantized(made_by[name], known) for name in node.input)
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    before, step = attributes["pads"][0], attributes["strides"][0]
    padded = np.pad(x, ((0, 0), (0, 0), (before, before), (before, before)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, w.shape[2:], (2, 3))
    summed = np.einsum("nchwij,ocij->nohw", windows[:, :, ::step, ::step], w, optimize=True)
    return np.asarray(summed + bias.reshape(-1, 1, 1))


@pytest.mark.parametrize("mode", ["interpreted", "compiled"])
def test_convolutions_round_to_the_nearest_byte(mode: str) -> None:
    model = all_tensors(qdq_resnet50(1, size=29, width=8, blocks=(1,), classes=10))
    x = np.random.default_rng(3).standard_normal((1, 3, 29, 29)).astype(np.float32)
    known = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    known |= run(model, x, mode)
    made_by = {name: node for node in model.graph.node for name in node.output}
    seen = 0
    for node in model.graph.node:
        if node.op_type != "QuantizeLinear":
            continue
        source = made_by.get(node.input[0])
        rectified = source is not None and source.op_type == "Relu"
        source = made_by.get(source.input[0]) if source is not None and rectified else source
        if source is None or source.op_type != "Conv":
            continue
        value = exact(source, made_by, known)
        value = np.maximum(value, 0) if rectified else value
        steps = value / known[node.input[1]].astype(np.float64) + known[node.input[2]]
        expected = np.rint(steps).clip(0, 255)
        clear = np.abs(np.abs(steps - np.floor(steps)) - 0.5) > MIDDLE
        assert clear.mean() > 0.99
        got = known[node.output[0]].astype(np.float64)
        np.testing.assert_array_equal(got[clear], expected[clear], err_msg=node.name)
        assert np.abs(got - expected).max() <= 1
        seen += 1
    assert seen == 1 + 3 + 1
