"""Generators of well-known networks as ONNX models with random weights."""

from __future__ import annotations

from collections.abc import Callable

from onnx import ModelProto

from tensorkiln.benchmarks.models.bert import bert_base
from tensorkiln.benchmarks.models.detection import detector
from tensorkiln.benchmarks.models.gpt2 import gpt2
from tensorkiln.benchmarks.models.inception import inception_v3
from tensorkiln.benchmarks.models.lenet import lenet
from tensorkiln.benchmarks.models.lstm import lstm
from tensorkiln.benchmarks.models.mlp import mlp
from tensorkiln.benchmarks.models.mobilenet import mobilenet_v2
from tensorkiln.benchmarks.models.qdq_resnet import qdq_resnet50
from tensorkiln.benchmarks.models.resnet import resnet50
from tensorkiln.benchmarks.models.t5 import t5_small
from tensorkiln.benchmarks.models.vgg import vgg16
from tensorkiln.benchmarks.models.vit import vit_b16
from tensorkiln.benchmarks.models.wavenet import wavenet

MODELS: dict[str, Callable[..., ModelProto]] = {
    "mlp": mlp,
    "lenet": lenet,
    "resnet50": resnet50,
    "qdq_resnet50": qdq_resnet50,
    "vgg16": vgg16,
    "mobilenet_v2": mobilenet_v2,
    "inception_v3": inception_v3,
    "bert_base": bert_base,
    "gpt2": gpt2,
    "vit_b16": vit_b16,
    "t5_small": t5_small,
    "lstm": lstm,
    "wavenet": wavenet,
    "detector": detector,
}

__all__ = [
    "MODELS",
    "bert_base",
    "detector",
    "gpt2",
    "inception_v3",
    "lenet",
    "lstm",
    "mlp",
    "mobilenet_v2",
    "qdq_resnet50",
    "resnet50",
    "t5_small",
    "vgg16",
    "vit_b16",
    "wavenet",
]
