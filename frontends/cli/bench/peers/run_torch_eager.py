"""PyTorch, eager: the model's nodes as torch functions, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from prepared import Prepared
from torch_nodes import Network, of_numpy

VERSION: str = torch.__version__


def prepare(model: str, inputs: Mapping[str, Any], threads: int) -> Prepared:
    """See worker.py."""
    torch.set_num_threads(threads)
    network = Network(model)
    arrays = [inputs[name] for name in network.input_names]
    return prepared(network, arrays)


def prepared(step: Any, arrays: list[Any]) -> Prepared:
    """Calls of `step` on tensors that share the arrays' memory, without gradients."""
    bound = [of_numpy(array) for array in arrays]
    found: list[Any] = []

    def call() -> None:
        with torch.no_grad():
            found[:] = step(*bound)

    def end_to_end() -> list[Any]:
        with torch.no_grad():
            return [tensor.numpy() for tensor in step(*map(of_numpy, arrays))]

    return Prepared(call, lambda: [tensor.numpy().copy() for tensor in found], end_to_end)
