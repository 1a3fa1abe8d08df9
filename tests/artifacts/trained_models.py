"""Small models for tests of training artifacts."""

from __future__ import annotations

import onnx

from tensorkiln.benchmarks.models import mlp


def open_mlp(classes: int = 3, last: str = "") -> onnx.ModelProto:
    """A network f32[batch,6] -> f32[batch,classes] of one hidden layer, with an open batch.

    `last` is an op at its end, such as "Softmax".
    """
    model = mlp(4, sizes=(6, 5, classes))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    if last:
        (output,) = model.graph.output
        model.graph.node.append(onnx.helper.make_node(last, [output.name], ["end"]))
        output.name = "end"
    return model
