"""Samples of dot_general and convolution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from ops.samples import Sample, draw

from tensorkiln.compiler.ir.dtypes import BF16, F16, F32, F64, I8, I32, U8, DType
from tensorkiln.compiler.ir.function import Attribute

Array: TypeAlias = NDArray[Any]
Ints = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]


def _dot(
    lhs: Ints,
    rhs: Ints,
    dtype: DType,
    batch: tuple[Ints, Ints],
    contracting: tuple[Ints, Ints],
    slack: float = 4.0,
) -> Sample:
    """`lhs` and `rhs` are shapes; batch and contracting hold the dims of each."""
    left, right = [""] * len(lhs), [""] * len(rhs)
    letters = iter("abcdefghijkl")
    paired = []
    for i, j in zip(batch[0] + contracting[0], batch[1] + contracting[1], strict=True):
        left[i] = right[j] = next(letters)
        paired.append(left[i])
    left = [name or next(letters) for name in left]
    right = [name or next(letters) for name in right]
    free = [name for name in (*left, *right) if name not in paired]
    out = "".join((*paired[: len(batch[0])], *free))
    text = f"{''.join(left)},{''.join(right)}->{out}"
    attributes: Mapping[str, Attribute] = {
        "lhs_batch": batch[0],
        "rhs_batch": batch[1],
        "lhs_contracting": contracting[0],
        "rhs_contracting": contracting[1],
    }
    return Sample(
        "dot_general",
        (draw(lhs, dtype), draw(rhs, dtype, seed=1)),
        lambda a, b: np.einsum(text, a, b),
        attributes,
        label=text.replace(",", "_").replace("->", "_"),
        slack=slack,
    )


def _spec(order: str, batch: str, feature: str) -> Ints:
    """The positions of batch, feature and spatial dims in a layout such as NHWC or HWIO."""
    spatial = [k for k, name in enumerate(order) if name not in (batch, feature)]
    return (order.index(batch), order.index(feature), *spatial)


def _convolution(
    x: Ints,
    kernel: Ints,
    layouts: tuple[str, str, str],
    dtype: DType,
    strides: Ints | None = None,
    padding: Pairs | None = None,
    lhs_dilation: Ints | None = None,
    rhs_dilation: Ints | None = None,
    reversal: Ints | None = None,
    groups: tuple[int, int] = (1, 1),
    label: str = "",
) -> Sample:
    """`layouts` are those of input (NC and spatial), kernel (OI and spatial) and result."""
    spatial = len(x) - 2
    ones = (1,) * spatial
    attributes: Mapping[str, Attribute] = {
        "strides": strides or ones,
        "padding": padding or ((0, 0),) * spatial,
        "lhs_dilation": lhs_dilation or ones,
        "rhs_dilation": rhs_dilation or ones,
        "reversal": reversal or (0,) * spatial,
        "lhs_spec": _spec(layouts[0], "N", "C"),
        "rhs_spec": _spec(layouts[1], "O", "I"),
        "out_spec": _spec(layouts[2], "N", "C"),
        "feature_groups": groups[0],
        "batch_groups": groups[1],
    }

    def expected(x: Array, kernel: Array) -> Array:
        specs = (attributes["lhs_spec"], attributes["rhs_spec"], attributes["out_spec"])
        steps = (attributes["strides"], attributes["lhs_dilation"], attributes["rhs_dilation"])
        ends = attributes["padding"]
        return _reference(x, kernel, specs, steps, ends, attributes["reversal"], groups)

    arrays = (draw(x, dtype), draw(kernel, dtype, seed=1))
    name = "_".join((*layouts, label)).rstrip("_")
    return Sample("convolution", arrays, expected, attributes, label=name, slack=8.0)


def _reference(
    x: Array,
    kernel: Array,
    specs: Sequence[Any],
    steps: Sequence[Any],
    padding: Any,
    reversal: Any,
    groups: tuple[int, int],
) -> Array:
    """Pads and dilates in full, then multiplies each window with the kernel."""
    strides, lhs_dilation, rhs_dilation = steps
    flips = tuple(axis for axis, flip in enumerate(reversal, 2) if flip)
    kernel = _dilated(np.flip(kernel.transpose(specs[1]), flips), rhs_dilation)
    x = _dilated(x.transpose(specs[0]), lhs_dilation)
    for axis, (low, high) in enumerate(padding, 2):
        widths = [(0, 0)] * x.ndim
        widths[axis] = (max(low, 0), max(high, 0))
        x = np.pad(x, widths)
        x = np.take(x, np.arange(max(-low, 0), x.shape[axis] - max(-high, 0)), axis)
    (features, batches), (outputs, inputs) = groups, kernel.shape[:2]
    spans = kernel.shape[2:]
    counts = [max((n - w) // s + 1, 0) for n, w, s in zip(x.shape[2:], spans, strides, strict=True)]
    batch = x.shape[0] // batches
    out = np.zeros((batch, outputs, *counts), x.dtype)
    whole = (slice(None), slice(None))
    for o in range(outputs):
        group = o // (outputs // (features * batches))
        rows = x[group * batch :][:batch] if batches > 1 else x
        rows = rows[:, group * inputs :][:, :inputs] if features > 1 else rows
        for at in np.ndindex(*counts):
            box = tuple(slice(k * s, k * s + w) for k, s, w in zip(at, strides, spans, strict=True))
            window = rows[whole + box]
            place = (slice(None), o, *at)
            out[place] = (window * kernel[o]).sum(tuple(range(1, x.ndim)))
    found: Array = out.transpose([specs[2].index(k) for k in range(x.ndim)])
    return found


def _dilated(x: Array, factors: Sequence[int]) -> Array:
    shape = [n if n == 0 else (n - 1) * f + 1 for n, f in zip(x.shape[2:], factors, strict=True)]
    out = np.zeros((*x.shape[:2], *shape), x.dtype)
    places = tuple(slice(None, None, f) for f in (1, 1, *factors))
    out[places] = x
    return out


NONE: tuple[Ints, Ints] = ((), ())
NHWC = ("NHWC", "HWIO", "NHWC")
NCHW = ("NCHW", "OIHW", "NCHW")
LINE = ("NCW", "OIW", "NCW")

SAMPLES = (
    _dot((3, 5), (5, 7), F32, NONE, ((1,), (0,))),
    _dot((3, 5), (7, 5), F64, NONE, ((1,), (1,))),
    _dot((5, 3), (5, 2), F64, NONE, ((0,), (0,))),
    _dot((2, 3, 5), (2, 5, 4), F64, ((0,), (0,)), ((2,), (1,))),
    _dot((3, 2, 4), (5, 4, 2), F32, ((1,), (2,)), ((2,), (1,))),
    _dot((2, 3, 4, 5), (4, 2, 6, 3), F64, ((0,), (1,)), ((2, 1), (0, 3))),
    _dot((17,), (17,), F32, NONE, ((0,), (0,))),
    _dot((3,), (4,), F64, NONE, NONE),
    _dot((), (5,), F32, NONE, NONE),
    _dot((3, 4), (3, 4), F64, ((1, 0), (1, 0)), NONE),
    _dot((3, 0), (0, 2), F32, NONE, ((1,), (0,))),
    _dot((0, 3), (3, 2), F64, NONE, ((1,), (0,))),
    _dot((1, 1), (1, 1), F32, NONE, ((1,), (0,))),
    _dot((4, 33), (33, 3), F16, NONE, ((1,), (0,)), 16.0),
    _dot((4, 19), (19, 5), BF16, NONE, ((1,), (0,)), 16.0),
    _dot((3, 7), (7, 2), I32, NONE, ((1,), (0,))),
    _dot((3, 7), (7, 2), I8, NONE, ((1,), (0,))),
    _convolution((1, 5, 6, 2), (3, 3, 2, 3), NHWC, F32, padding=((1, 1), (1, 1)), label="same"),
    _convolution((2, 2, 5, 4), (3, 2, 1, 1), NCHW, F64, label="1x1"),
    _convolution((2, 2, 7, 5), (3, 2, 3, 2), NCHW, F64, (2, 3), ((1, 0), (0, 2)), label="strides"),
    _convolution(
        (1, 7, 6, 2),
        (3, 2, 2, 3),
        NHWC,
        F64,
        (1, 2),
        ((2, 1), (1, 1)),
        None,
        (2, 3),
        label="dilated",
    ),
    _convolution(
        (1, 4, 3, 2), (3, 2, 2, 3), NHWC, F64, (1, 1), ((2, 2), (1, 2)), (2, 3), label="transposed"
    ),
    _convolution(
        (1, 2, 4, 5),
        (2, 2, 3, 3),
        NCHW,
        F64,
        (2, 1),
        ((-1, 1), (2, -1)),
        (2, 1),
        (1, 2),
        (1, 0),
        label="everything",
    ),
    _convolution((2, 5, 4, 6), (3, 3, 1, 6), NHWC, F64, groups=(6, 1), label="depthwise"),
    _convolution((2, 5, 4, 3), (2, 3, 1, 6), NHWC, F32, (2, 1), groups=(3, 1), label="multiplier"),
    _convolution(
        (2, 6, 5, 4),
        (3, 2, 3, 2),
        NCHW,
        F64,
        (2, 1),
        ((1, 1), (0, 1)),
        groups=(3, 1),
        label="groups",
    ),
    _convolution((4, 3, 5, 4), (6, 3, 2, 2), NCHW, F64, groups=(1, 2), label="batch_groups"),
    _convolution(
        (6, 2, 7), (3, 2, 3), LINE, F64, (2,), ((1, 2),), (2,), (2,), (1,), (1, 3), "batch_groups"
    ),
    _convolution((2, 3, 11), (4, 3, 3), LINE, F32, (2,), ((1, 1),)),
    _convolution((11, 3, 2), (3, 4, 2), ("WCN", "IOW", "CWN"), F64, (3,), ((2, 0),)),
    _convolution((1, 3, 4, 3, 2), (2, 2, 2, 2, 3), ("NDHWC", "DHWIO", "NDHWC"), F64, (1, 2, 1)),
    _convolution((3, 5), (4, 5), ("NC", "OI", "NC"), F64),
    _convolution((2, 2, 2, 2), (3, 2, 3, 3), NCHW, F32, label="no_window"),
    _convolution((0, 2, 4, 4), (3, 2, 3, 3), NCHW, F32, label="no_batch"),
    _convolution((1, 0, 4), (3, 0, 2), LINE, F64, label="no_feature"),
    _convolution((1, 2, 0), (3, 2, 2), LINE, F64, padding=((1, 2),), label="padding_only"),
    _convolution((1, 5, 5, 3), (3, 3, 3, 4), NHWC, F16, padding=((1, 1), (1, 1))),
    _convolution((1, 5, 5, 3), (3, 3, 3, 2), NHWC, BF16, (2, 2)),
    _convolution((1, 4, 4, 2), (2, 2, 2, 3), NHWC, I32),
    _convolution((1, 2, 9), (2, 2, 3), LINE, U8),
)
