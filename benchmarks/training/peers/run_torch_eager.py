"""PyTorch, eager, with its fused optimizers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from losses import parameters, prepared
from prepared import Prepared
from rates import ADAM, DESCENT
from torch_networks import LOSSES, tensors

VERSION: str = torch.__version__


def prepare(model: str, inputs: Mapping[str, Any], threads: int) -> Prepared:
    """See worker.py."""
    return trained(model, inputs, threads, lambda function: function)


def trained(
    model: str, inputs: Mapping[str, Any], threads: int, compiler: Callable[[Any], Any]
) -> Prepared:
    """Steps whose loss is computed by what `compiler` makes of the network."""
    torch.set_num_threads(threads)
    values = tensors(model, parameters(inputs))
    trainable = [value for value in values if value.requires_grad]
    if model in DESCENT:
        optimizer = torch.optim.SGD(trainable, lr=DESCENT[model], fused=True)
    else:
        optimizer = torch.optim.Adam(trainable, lr=ADAM[model], fused=True)
    network = LOSSES[model]
    loss_of = compiler(lambda given, x, labels: network(iter(given), x, labels))
    # torch takes numbers of classes, with which it is faster than with one-hot rows.
    classes = np.argmax(inputs["labels"], axis=1)

    def call() -> float:
        images, labels = torch.from_numpy(inputs["images"]), torch.from_numpy(classes)
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(values, images, labels)
        loss.backward()
        optimizer.step()
        return float(loss)

    return prepared(call)
