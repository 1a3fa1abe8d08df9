"""PyTorch, the loss and its gradients by torch.compile, and its fused optimizers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from prepared import Prepared
from run_torch_eager import VERSION, trained

__all__ = ["VERSION", "prepare"]


def prepare(model: str, inputs: Mapping[str, Any], threads: int) -> Prepared:
    """See worker.py."""
    torch.compiler.reset()
    return trained(model, inputs, threads, partial(torch.compile, dynamic=False))
