"""One LSTM layer over a sequence (Hochreiter, Schmidhuber, Long short-term memory, 1997)."""

from __future__ import annotations

from onnx import ModelProto, TensorProto, helper

from tensorkiln.benchmarks.models.sequence_builder import SequenceBuilder


def lstm(batch: int = 1, seed: int = 0, steps: int = 64, hidden: int = 256) -> ModelProto:
    """input f32[steps, batch, hidden] -> output f32[steps, batch, hidden]."""
    b = SequenceBuilder("lstm", batch, seed)
    shape = (steps, batch, hidden)
    b.inputs.append(helper.make_tensor_value_info("input", TensorProto.FLOAT, shape))
    weights = [
        b.normal("lstm.weight_ih", (1, 4 * hidden, hidden), 2 * hidden),
        b.normal("lstm.weight_hh", (1, 4 * hidden, hidden), 2 * hidden),
        b.weight("lstm.bias", b.generator.uniform(-0.1, 0.1, (1, 8 * hidden)).astype("f4")),
    ]
    y = b.node("LSTM", ["input", *weights], "lstm", hidden_size=hidden)
    y = b.node("Squeeze", [y, b.integers("directions", 1)], "lstm")
    b.nodes[-1].output[0] = "output"
    b.outputs.append(helper.make_tensor_value_info("output", TensorProto.FLOAT, shape))
    assert y
    return b.finished()
