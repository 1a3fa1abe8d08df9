"""Patches of images and volumes as channels."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.rules import base, with_rank
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.windows import check_padding, output_size, padding_pair, spatial


def extract_image_patches(
    images: object, ksizes: object = None, strides: object = None, rates: object = None,
    padding: object = None, name: str | None = None, sizes: object = None,
) -> Tensor:  # fmt: skip
    """The elements of each window, `rates` apart, in the order row, column, channel."""
    window = sizes if ksizes is None else ksizes
    return make(
        "ExtractImagePatches", (images,), name, ksizes=_spatial(window, "ksizes"),
        strides=_spatial(strides, "strides"), rates=_spatial(rates, "rates"),
        padding=check_padding(padding),
    )  # fmt: skip


def extract_volume_patches(
    input: object, ksizes: object, strides: object, padding: object, name: str | None = None
) -> Tensor:
    """The elements of each window of a volume in the order plane, row, column, channel."""
    return make(
        "ExtractVolumePatches", (input,), name, ksizes=_spatial(ksizes, "ksizes"),
        strides=_spatial(strides, "strides"), rates=(1, 1, 1), padding=check_padding(padding),
    )  # fmt: skip


def _spatial(values: object, name: str) -> tuple[int, ...]:
    return spatial(tuple(int(n) for n in np.asarray(values)), "NHWC", name)


def _infer(op: Operation) -> Sequence[Result]:
    windows, strides, rates = (op.integers(key) for key in ("ksizes", "strides", "rates"))
    sizes = list(with_rank(op.inputs[0].sizes, len(windows) + 2))
    channels = sizes[-1]
    for k, window in enumerate(windows):
        sizes[k + 1] = output_size(sizes[k + 1], window, strides[k], op.text("padding"), rates[k])
    sizes[-1] = None if channels is None else channels * int(np.prod(windows))
    return [(base(op.inputs[0]), tuple(sizes))]


def _lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    windows, strides, rates = (op.integers(key) for key in ("ksizes", "strides", "rates"))
    return [patches(lowering.builder, values[0], windows, strides, rates, op.text("padding"))]


def patches(
    builder: Builder, x: Value, windows: Sequence[int], strides: Sequence[int],
    rates: Sequence[int], padding: str, filler: Value | float = 0,
) -> Value:  # fmt: skip
    """The cells of each window as channels, cell by cell; `filler` stands beyond the edges."""
    lengths = x.shape[1:-1]
    keys = list(zip(windows, strides, rates, strict=True))
    pads = [
        padding_pair(length, window, stride, padding, rate)
        for length, (window, stride, rate) in zip(lengths, keys, strict=True)
    ]
    counts = [
        output_size(length, window, stride, padding, rate)
        for length, (window, stride, rate) in zip(lengths, keys, strict=True)
    ]
    low, high = ((0, *(pair[k] for pair in pads), 0) for k in range(2))
    x = shorthand.pad(builder, x, low, high, value=filler)
    parts = []
    for place in itertools.product(*map(range, windows)):
        starts = [offset * rate for offset, rate in zip(place, rates, strict=True)]
        limits = [
            start + ((count or 1) - 1) * stride + 1
            for start, count, stride in zip(starts, counts, strides, strict=True)
        ]
        parts.append(
            shorthand.slice_(
                builder, x, (0, *starts, 0), (x.shape[0], *limits, x.shape[-1]), (1, *strides, 1)
            )
        )
    return shorthand.concat(builder, parts, -1)


register(
    OpKind("ExtractImagePatches", "images:T", _infer, _lower),
    OpKind("ExtractVolumePatches", "input:T", _infer, _lower),
)
