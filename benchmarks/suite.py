"""The rows of the benchmark: what is run, and what bounds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from onnx import ModelProto

from tensorkiln.benchmarks import micro
from tensorkiln.benchmarks.models import (
    bert_base,
    gpt2,
    inception_v3,
    lenet,
    lstm,
    mlp,
    mobilenet_v2,
    resnet50,
    t5_small,
    vgg16,
    vit_b16,
    wavenet,
)


@dataclass(frozen=True)
class Row:
    """A model and its least possible work.

    `flops` counts arithmetic and `bytes` the traffic with memory that no implementation avoids.
    `bytes` is given where that traffic is the bound; where both are 0 the compiler's own count of
    flops is used. `tolerance` is the largest difference from the reference, relative to its
    largest element.
    """

    name: str
    model: Callable[[], ModelProto]
    flops: int = 0
    bytes: int = 0
    tolerance: float = 1e-4


_MATRIX = 4096 * 1024 * 4

SUITE: tuple[Row, ...] = (
    Row("matmul_512", partial(micro.matmul, 512), flops=2 * 512**3),
    Row("matmul_1024", partial(micro.matmul, 1024), flops=2 * 1024**3),
    Row("matmul_2048", partial(micro.matmul, 2048), flops=2 * 2048**3),
    Row("linear_1024", partial(micro.linear, 1024), flops=2 * 1024**3),
    Row("softmax_4096x1024", partial(micro.softmax, 4096, 1024), bytes=2 * _MATRIX),
    Row("layer_norm_4096x1024", partial(micro.layer_norm, 4096, 1024), bytes=2 * _MATRIX),
    Row("elementwise_16m", partial(micro.elementwise_chain, 1 << 24), bytes=2 * (4 << 24)),
    Row("conv3x3_64x56x56", partial(micro.convolution, 64, 56), flops=2 * 9 * 64 * 64 * 56 * 56),
    Row("depthwise_144x56x56", partial(micro.convolution, 144, 56, 144), bytes=8 * 144 * 56 * 56),
    Row("column_sums_4096x1024", partial(micro.column_sums, 4096, 1024), bytes=_MATRIX),
    Row("mlp_b1", partial(mlp, 1)),
    Row("mlp_b256", partial(mlp, 256)),
    Row("lenet_b1", partial(lenet, 1)),
    Row("lenet_b128", partial(lenet, 128)),
    Row("resnet50_b1", partial(resnet50, 1)),
    Row("vgg16_b1", partial(vgg16, 1)),
    Row("mobilenet_v2_b1", partial(mobilenet_v2, 1)),
    Row("inception_v3_b1", partial(inception_v3, 1)),
    Row("bert_base_128", partial(bert_base, 1)),
    Row("gpt2_64", partial(gpt2, 1)),
    Row("gpt2_token_cache128", partial(gpt2, 1, tokens=1, cached=128)),
    Row("t5_small_64_16", partial(t5_small, 1)),
    Row("vit_b16_b1", partial(vit_b16, 1)),
    Row("lstm_256x64_b1", partial(lstm, 1)),
    Row("lstm_256x64_b16", partial(lstm, 16)),
    Row("wavenet_4096", partial(wavenet, 1)),
)
