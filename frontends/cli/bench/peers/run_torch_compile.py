"""PyTorch, compiled: the model's nodes as torch functions in torch.compile, weights frozen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch._inductor.config
from prepared import Prepared
from run_torch_eager import prepared
from torch_nodes import Network

VERSION: str = torch.__version__


def prepare(model: str, inputs: Mapping[str, Any], threads: int) -> Prepared:
    """See worker.py."""
    torch.set_num_threads(threads)
    torch.compiler.reset()
    torch._inductor.config.freezing = True
    network = Network(model)
    arrays = [inputs[name] for name in network.input_names]
    return prepared(torch.compile(network, dynamic=False), arrays)
