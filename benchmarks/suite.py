"""The rows of the benchmark: what is run, and what bounds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

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
from tensorkiln.benchmarks.models.cnn import cnn
from tensorkiln.benchmarks.models.light import LIGHT, light

Group = Literal["micro", "models", "light", "overhead", "growth", "compile"]


@dataclass(frozen=True)
class Row:
    """A model and its least possible work.

    `flops` counts arithmetic and `bytes` the traffic that no implementation avoids; where both are
    0 the compiler's own counts are used: its arithmetic, and inputs, outputs and constants once.
    `only_read` says that what is written does not count. `tolerance` is the largest difference
    from the reference, relative to its largest element. `limit` is the time in seconds that a call
    on numpy arrays should not exceed, 0 for none. Rows with the same `series` are points of
    one curve over `x`, which is called `axis`.
    """

    name: str
    model: Callable[[], ModelProto]
    flops: int = 0
    bytes: int = 0
    only_read: bool = False
    tolerance: float = 1e-4
    limit: float = 0
    group: Group = "models"
    series: str = ""
    axis: str = ""
    x: float = 0


_FLOAT = 4
_MLP = (784, 512, 512, 10)
_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


def _micro(
    name: str, model: Callable[[], ModelProto], flops: int = 0, moved: int = 0,
    only_read: bool = False,
) -> Row:  # fmt: skip
    return Row(name, model, flops, moved, only_read, group="micro")


def _matrix(kind: Callable[[int], ModelProto], size: int) -> Row:
    return _micro(f"{kind.__name__}_{size}", partial(kind, size), flops=2 * size**3)


def _convolution(name: str, channels: int, size: int, groups: int = 1) -> Row:
    images = channels * size * size
    flops = 2 * 9 * images * channels // groups
    moved = 2 * _FLOAT * images + 9 * _FLOAT * channels * channels // groups
    model = partial(micro.convolution, channels, size, groups)
    return _micro(f"{name}_{channels}x{size}x{size}", model, flops, moved)


_MICRO = (
    _matrix(micro.matmul, 512),
    _matrix(micro.matmul, 1024),
    _matrix(micro.matmul, 2048),
    _matrix(micro.matmul, 4096),
    _matrix(micro.linear, 512),
    _matrix(micro.linear, 1024),
    _matrix(micro.linear, 4096),
    _micro("softmax_4096x1024", partial(micro.softmax, 4096, 1024), moved=2 * _FLOAT << 22),
    _micro("layer_norm_4096x1024", partial(micro.layer_norm, 4096, 1024), moved=2 * _FLOAT << 22),
    _micro("elementwise_16m", partial(micro.elementwise_chain, 1 << 24), moved=2 * _FLOAT << 24),
    _convolution("conv3x3", 64, 56),
    _convolution("depthwise", 192, 28, 192),
    _convolution("depthwise", 144, 56, 144),
    _micro(
        "column_sums_4096x4096", partial(micro.column_sums, 4096, 4096), moved=_FLOAT << 24,
        only_read=True,
    ),
)  # fmt: skip

_MODELS = (
    Row("mlp_b1", partial(mlp, 1, sizes=_MLP)),
    Row("mlp_b256", partial(mlp, 256, sizes=_MLP)),
    Row("lenet_b1", partial(lenet, 1)),
    Row("lenet_b128", partial(lenet, 128)),
    Row("cnn_b1", partial(cnn, 1)),
    Row("cnn_b128", partial(cnn, 128)),
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

_LIGHT = tuple(Row(f"light_{name}", partial(light, name), group="light") for name in LIGHT)


def _growing(series: str, axis: str, x: int, model: Callable[[], ModelProto]) -> Row:
    name = f"growth_{series}_{axis}_{x}"
    return Row(name, model, group="growth", series=series, axis=axis, x=x)


_GROWTH = (
    *(_growing("mlp", "batch", n, partial(mlp, n, sizes=_MLP)) for n in _BATCHES),
    *(_growing("cnn", "batch", n, partial(cnn, n)) for n in _BATCHES),
    *(_growing("mobilenet_v2", "batch", n, partial(mobilenet_v2, n)) for n in _BATCHES[:6]),
    *(_growing("lstm", "steps", n, partial(lstm, 1, steps=n)) for n in _BATCHES[2:]),
    *(
        _growing("bert_2_layers", "tokens", n, partial(bert_base, 1, tokens=n, layers=2))
        for n in (16, 32, 64, 128, 256, 512)
    ),
    *(
        Row(
            f"compile_ops_{n}", partial(micro.many_ops, n), group="compile",
            series="compiling", axis="ops", x=n,
        )
        for n in (10, 30, 100, 300, 1000, 3000, 10_000)
    ),
)  # fmt: skip

_CALL = Row("overhead_executable", micro.trivial, limit=2e-6, group="overhead")

SUITE: tuple[Row, ...] = (*_MICRO, *_MODELS, *_LIGHT, _CALL, *_GROWTH)
