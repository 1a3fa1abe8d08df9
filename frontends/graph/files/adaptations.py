"""Where an op's attributes here differ from those of TensorFlow's op of the same name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.windows import padding_attributes, spatial, spatial_axes

if TYPE_CHECKING:
    from tensorkiln.frontends.graph.tensor import Tensor

Attributes: TypeAlias = Mapping[str, object]


@dataclass(frozen=True)
class Adaptation:
    """`export` turns attributes here into TensorFlow's; `restore` turns those (complete with
    defaults) and the inputs into attributes here."""

    export: Callable[[Attributes], Attributes]
    restore: Callable[[Attributes, Sequence[Tensor]], Attributes]


def _windows(rank: int) -> Adaptation:
    """Lists with one entry a dim there hold only the spatial dims here."""

    def export(attributes: Attributes) -> Attributes:
        result = dict(attributes)
        for name in _WINDOWS & set(result):
            values = _integers(result[name])
            if len(values) != rank:
                axes = spatial_axes(_layout(attributes), rank)
                full = [1] * rank
                for axis, value in zip(axes, values, strict=True):
                    full[axis] = value
                result[name] = tuple(full)
        return result

    def restore(attributes: Attributes, inputs: Sequence[Tensor]) -> Attributes:
        result = dict(attributes)
        for name in _WINDOWS & set(result):
            values = _integers(result[name])
            if len(values) != rank:
                raise ValueError(f"{name} must have {rank} entries, got {list(values)}")
            result[name] = spatial(values, _layout(attributes), name)
        if attributes["padding"] == "EXPLICIT":
            pairs = np.asarray(result.pop("explicit_paddings"), int).reshape(-1, 2)
            return result | padding_attributes(pairs, _layout(attributes))
        result.pop("explicit_paddings", None)
        return result | padding_attributes(attributes["padding"], _layout(attributes))

    return Adaptation(export, restore)


_WINDOWS = {"strides", "dilations", "ksize", "ksizes", "rates"}


def _layout(attributes: Attributes) -> str:
    return str(attributes.get("data_format", "NHWC"))


def _integers(value: object) -> tuple[int, ...]:
    assert isinstance(value, tuple | list)
    return tuple(int(item) for item in value)


def _without(*names: str) -> Callable[[Attributes], Attributes]:
    return lambda attributes: {k: v for k, v in attributes.items() if k not in names}


def _as_they_are(attributes: Attributes, inputs: Sequence[Tensor]) -> Attributes:
    return attributes


def _input_dtype(position: int) -> Callable[[Attributes, Sequence[Tensor]], Attributes]:
    return lambda attributes, inputs: {**attributes, "dtype": inputs[position].dtype.base_dtype}


def _export_seeds(attributes: Attributes) -> Attributes:
    """No seeds are zeros in TensorFlow."""
    return {k: 0 if v is None and k in ("seed", "seed2") else v for k, v in attributes.items()}


def _restore_seeds(attributes: Attributes, inputs: Sequence[Tensor]) -> Attributes:
    drawn = attributes.get("seed") == 0 and attributes.get("seed2") == 0
    return {**attributes, "seed": None, "seed2": None} if drawn else attributes


_SEEDS = Adaptation(_export_seeds, _restore_seeds)

ADAPTATIONS: dict[str, Adaptation] = {
    **dict.fromkeys(
        (
            "Conv2D",
            "Conv2DBackpropFilter",
            "Conv2DBackpropInput",
            "DepthwiseConv2dNative",
            "DepthwiseConv2dNativeBackpropFilter",
            "DepthwiseConv2dNativeBackpropInput",
            "Dilation2D",
            "ExtractImagePatches",
            "MaxPool",
            "MaxPoolWithArgmax",
            "AvgPool",
            "MaxPoolGrad",
            "AvgPoolGrad",
        ),
        _windows(4),
    ),
    **dict.fromkeys(
        (
            "Conv3D",
            "Conv3DBackpropFilterV2",
            "Conv3DBackpropInputV2",
            "MaxPool3D",
            "AvgPool3D",
            "MaxPool3DGrad",
            "AvgPool3DGrad",
        ),
        _windows(5),
    ),
    **dict.fromkeys(
        (
            "RandomUniform",
            "RandomStandardNormal",
            "TruncatedNormal",
            "RandomShuffle",
            "RandomGamma",
            "RandomPoissonV2",
            "Multinomial",
        ),
        _SEEDS,
    ),
    "RandomUniformInt": Adaptation(
        lambda a: _without("dtype")(_export_seeds(a)),
        lambda a, i: _input_dtype(1)(_restore_seeds(a, i), i),
    ),
    "Einsum": Adaptation(_without("labels"), _as_they_are),
    "Rank": Adaptation(_without("out_type"), lambda a, i: {**a, "out_type": dtypes.int32}),
    "ZerosLike": Adaptation(_without("dtype"), _input_dtype(0)),
    "OnesLike": Adaptation(_without("dtype"), _input_dtype(0)),
    "Identity": Adaptation(_without("_read"), _as_they_are),
    **dict.fromkeys(
        ("Softmax", "LogSoftmax", "SoftmaxCrossEntropyWithLogits"),
        Adaptation(
            lambda a: a if a.get("axis", -1) != -1 else _without("axis")(a),
            lambda a, i: {"axis": -1, **a},
        ),
    ),
}
