"""ONNX Runtime: all graph optimisations, inputs and outputs bound to arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnxruntime
from prepared import Prepared

VERSION: str = onnxruntime.__version__


def prepare(model: str, inputs: Mapping[str, Any], threads: int) -> Prepared:
    """See worker.py."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Its workers would spin on while the other engines are measured.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for name, array in inputs.items():
        binding.bind_cpu_input(name, array)
    for output in session.get_outputs():
        binding.bind_output(output.name, "cpu")
    given = dict(inputs)
    return Prepared(
        call=lambda: session.run_with_iobinding(binding),
        outputs=binding.copy_outputs_to_cpu,
        end_to_end=lambda: list(session.run(None, given)),
    )
