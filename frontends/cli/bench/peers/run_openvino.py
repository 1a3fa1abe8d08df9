"""OpenVINO: one stream, f32 arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import openvino
from prepared import Prepared

VERSION: str = openvino.__version__.split("-")[0]


def prepare(model: str, inputs: Mapping[str, Any], threads: int) -> Prepared:
    """See worker.py."""
    core = openvino.Core()
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": str(threads),
        "NUM_STREAMS": "1",
    }
    compiled = core.compile_model(core.read_model(model), "CPU", options)
    request, fed = compiled.create_infer_request(), compiled.create_infer_request()
    tensors = {name: openvino.Tensor(array, shared_memory=True) for name, array in inputs.items()}
    for name, tensor in tensors.items():
        request.set_tensor(name, tensor)
    given = dict(inputs)

    def call(_: object = (given, tensors, core)) -> None:
        # The default argument keeps alive what OpenVINO refers to.
        request.infer()

    return Prepared(
        call=call,
        outputs=lambda: [np.array(request.get_tensor(o).data) for o in compiled.outputs],
        end_to_end=lambda: list(fed.infer(given, share_inputs=True).values()),
    )
