"""The summary ops: their values are computed by the clusters, the host serialises them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.dtypes import DType
from tensorkiln.frontends.graph.errors import InvalidArgumentError
from tensorkiln.frontends.graph.host import HostContext, host_only
from tensorkiln.frontends.graph.kinds import Host, OpKind, Result, register
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.shapes import ShapeError, Sizes, brackets
from tensorkiln.frontends.graph.summary.histogram import histogram
from tensorkiln.frontends.graph.summary.pictures import displayed, png, wav
from tensorkiln.frontends.graph.summary.proto_summary import Summary, SummaryMetadata
from tensorkiln.frontends.graph.summary.tensor_message import tensor_proto


def _serialized(build: Callable[[Operation, Sequence[Array]], object]) -> Host:
    """A host function whose only output is a serialised Summary."""

    def run(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[object]:
        summary = build(op, arrays)
        return [summary.SerializeToString()]  # type: ignore[attr-defined]

    return run


def _text(array: Array) -> str:
    return str(array.reshape(-1).tolist()[0].decode("utf-8"))


def _error(op: Operation, message: str) -> InvalidArgumentError:
    return InvalidArgumentError(op.name, op, f"{message}\n\t {op.node_text}")


def _scalars(op: Operation, arrays: Sequence[Array]) -> object:
    tags, values = arrays
    if tags.shape != values.shape:
        tag = f" (tag '{_text(tags)}')" if tags.size == 1 else ""
        raise _error(
            op,
            f"tags and values not the same shape: {brackets(tags.shape)} != "
            f"{brackets(values.shape)}{tag}",
        )
    summary = Summary()
    numbers = values.reshape(-1).astype(np.float32).tolist()
    for tag, value in zip(tags.reshape(-1).tolist(), numbers, strict=True):
        summary.value.add(tag=tag.decode("utf-8"), simple_value=value)
    return summary


def _histogram(op: Operation, arrays: Sequence[Array]) -> object:
    tag, values = arrays
    if tag.size != 1:
        raise _error(op, "tags must be scalar")
    numbers = values.astype(np.float64)
    if not np.isfinite(numbers).all():
        first = numbers.reshape(-1)[~np.isfinite(numbers.reshape(-1))][0]
        kind = "Nan in summary histogram" if np.isnan(first) else "Infinity in Histogram"
        raise _error(op, f"{kind} for: {op.name}")
    summary = Summary()
    summary.value.add(tag=_text(tag), histo=histogram(numbers))
    return summary


def _tags(tag: str, kind: str, most: int, count: int) -> list[str]:
    if most == 1:
        return [f"{tag}/{kind}"]
    return [f"{tag}/{kind}/{k}" for k in range(count)]


def _images(op: Operation, arrays: Sequence[Array]) -> object:
    tag, images = arrays
    if images.ndim != 4 or images.shape[3] not in (1, 3, 4):
        raise _error(
            op,
            "Tensor must be 4-D with last dim 1, 3, or 4, not " + brackets(images.shape),
        )
    most, bad = op.integer("max_images"), op.attributes["bad_color"]
    assert isinstance(bad, np.ndarray)
    summary = Summary()
    for name, image in zip(_tags(_text(tag), "image", most, len(images)), images, strict=False):
        if len(summary.value) == most:
            break
        pixels = image if image.dtype == np.uint8 else displayed(image, bad)
        height, width, channels = pixels.shape
        value = summary.value.add(tag=name)
        value.image.height, value.image.width = height, width
        value.image.colorspace = channels
        value.image.encoded_image_string = png(pixels)
    return summary


def _audio(op: Operation, arrays: Sequence[Array]) -> object:
    tag, sound, rate = arrays
    most, hertz = op.integer("max_outputs"), float(rate.item())
    samples = sound.reshape(*sound.shape, 1) if sound.ndim == 2 else sound
    if hertz <= 0:
        raise _error(op, f"sample_rate must be in the open interval (0, inf), not {hertz}")
    summary = Summary()
    for name, clip in zip(_tags(_text(tag), "audio", most, len(samples)), samples, strict=False):
        if len(summary.value) == most:
            break
        audio = summary.value.add(tag=name).audio
        audio.sample_rate, audio.content_type = hertz, "audio/wav"
        audio.length_frames, audio.num_channels = clip.shape
        audio.encoded_audio_string = wav(clip.astype(np.float32), int(hertz))
    return summary


def _tensor(op: Operation, arrays: Sequence[Array]) -> object:
    tag, value, metadata = arrays
    summary = Summary()
    made = summary.value.add(tag=_text(tag), tensor=tensor_proto(value))
    made.metadata.MergeFrom(SummaryMetadata.FromString(metadata.item()))
    return summary


def _merged(op: Operation, arrays: Sequence[Array]) -> object:
    summary, seen = Summary(), set()
    for array in arrays:
        for part in array.reshape(-1).tolist():
            for value in Summary.FromString(part).value:
                if value.tag in seen:
                    raise _error(op, f"Duplicate tag {value.tag} found in summary inputs")
                seen.add(value.tag)
                summary.value.add().CopyFrom(value)
    return summary


def _one_string(op: Operation) -> Sequence[Result]:
    return [(dtypes.string, ())]


def _with_rank(position: int, ranks: Sequence[int], what: str) -> Callable[[Sizes], None]:
    def check(sizes: Sizes) -> None:
        if sizes is not None and len(sizes) not in ranks:
            raise ShapeError(f"{what} but is rank {len(sizes)}")

    return check


def _image_infer(op: Operation) -> Sequence[Result]:
    _with_rank(1, (4,), "Shape must be rank 4")(op.inputs[1].sizes)
    return _one_string(op)


def _audio_infer(op: Operation) -> Sequence[Result]:
    _with_rank(1, (2, 3), "Shape must be rank 2 or 3")(op.inputs[1].sizes)
    return _one_string(op)


_REAL: tuple[DType, ...] = (*dtypes.FLOATS, *dtypes.INTEGERS)
_PIXELS = (dtypes.uint8, dtypes.float32, dtypes.float16, dtypes.float64)


def _kind(
    name: str,
    inputs: str,
    build: Callable[[Operation, Sequence[Array]], object],
    infer: Callable[[Operation], Sequence[Result]] = _one_string,
    types: tuple[DType, ...] | None = _REAL,
) -> OpKind:
    letters = {} if types is None else {"T": types}
    return OpKind(
        name, inputs, infer, host_only, letters, differentiable=False, host=_serialized(build)
    )


register(
    _kind("ScalarSummary", "tags:string values:T", _scalars),
    _kind("HistogramSummary", "tag:string values:T", _histogram, types=(*_REAL, dtypes.boolean)),
    _kind("ImageSummary", "tag:string tensor:T", _images, _image_infer, _PIXELS),
    _kind("AudioSummaryV2", "tag:string tensor:float32 sample_rate:float32", _audio, _audio_infer),
    _kind(
        "TensorSummaryV2", "tag:string tensor:T serialized_summary_metadata:string", _tensor,
        types=None,
    ),
    _kind("MergeSummary", "inputs:string*", _merged),
)  # fmt: skip
