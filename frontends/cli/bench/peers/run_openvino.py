"""OpenVINO: one stream, f32 arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import openvino

VERSION: str = openvino.__version__.split("-")[0]


def prepare(
    model: str, inputs: Mapping[str, Any], threads: int
) -> tuple[Callable[[], object], Callable[[], list[Any]]]:
    """See worker.py."""
    core = openvino.Core()
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": str(threads),
        "NUM_STREAMS": "1",
    }
    compiled = core.compile_model(core.read_model(model), "CPU", options)
    request = compiled.create_infer_request()
    tensors = {name: openvino.Tensor(array, shared_memory=True) for name, array in inputs.items()}
    for name, tensor in tensors.items():
        request.set_tensor(name, tensor)

    def call(_: object = (inputs, tensors, core)) -> None:
        # The default argument keeps alive what OpenVINO refers to.
        request.infer()

    def outputs() -> list[Any]:
        return [request.get_tensor(output).data for output in compiled.outputs]

    return call, outputs
