"""Ops that decode and encode image files, as TensorFlow's DecodeJpeg and its siblings do.

They run on the host.  JPEG, PNG and GIF need the optional package Pillow; BMP, and writing PNG, need
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.dtypes import DType, float32, int64, string, uint8, uint16
from tensorkiln.frontends.graph.host import HostContext, host_only
from tensorkiln.frontends.graph.image.files import Pixels, decode, format_of
from tensorkiln.frontends.graph.image.jpeg import JpegOptions, encode_jpeg, jpeg_shape
from tensorkiln.frontends.graph.index_checks import invalid
from tensorkiln.frontends.graph.kinds import Host, Infer, OpKind, Result, register
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.shapes import ShapeError, brackets
from tensorkiln.frontends.graph.statics import static_integers
from tensorkiln.frontends.graph.summary.pictures import png
from tensorkiln.frontends.pillow import TooLargeError

_METHODS = ("", "INTEGER_FAST", "INTEGER_ACCURATE")


def _channels(op: Operation) -> int | None:
    channels = op.integer("channels")
    if channels < 0:
        raise ShapeError(f"channels must be non-negative, got {channels}")
    return channels or None


def _picture_infer(op: Operation) -> Sequence[Result]:
    _scalar(op)
    if op.type in ("DecodeJpeg", "DecodeAndCropJpeg"):
        if op.integer("ratio") not in (1, 2, 4, 8):
            raise ShapeError(f"ratio must be 1, 2, 4, or 8, got {op.integer('ratio')}")
        if op.text("dct_method") not in _METHODS:
            raise ShapeError("dct_method must be one of {'', 'INTEGER_FAST', 'INTEGER_ACCURATE'}")
    dtype = op.attributes.get("dtype", uint8)
    assert isinstance(dtype, DType)
    window = static_integers(op.inputs[1]) if op.type == "DecodeAndCropJpeg" else None
    height, width = window[2:] if window is not None and len(window) == 4 else (None, None)
    return [(dtype, (height, width, _channels(op)))]


def _scalar(op: Operation) -> None:
    sizes = op.inputs[0].sizes
    if sizes is not None and sizes != ():
        raise ShapeError(f"Shape must be rank 0 but is rank {len(sizes)}")


def _gif_infer(op: Operation) -> Sequence[Result]:
    _scalar(op)
    return [(uint8, (None, None, None, 3))]


def _image_infer(op: Operation) -> Sequence[Result]:
    _scalar(op)
    dtype = op.attributes["dtype"]
    if dtype not in (uint8, uint16, float32):
        raise ShapeError("`dtype` must be one of {'uint8', 'uint16', 'float32'}")
    assert isinstance(dtype, DType)
    animated = op.flag("expand_animations")
    return [(dtype, None if animated else (None, None, _channels(op)))]


def _contents(op: Operation, arrays: Sequence[Array]) -> bytes:
    item = arrays[0].item() if arrays[0].shape == () else None
    if item is None:
        raise invalid(op, f"contents must be scalar but got shape {brackets(arrays[0].shape)}")
    return item.encode() if isinstance(item, str) else bytes(item)


def _options(op: Operation) -> JpegOptions:
    """What the node asks of a JPEG; nodes for other formats ask for nothing."""
    if "ratio" not in op.attributes:
        return JpegOptions()
    return JpegOptions(
        op.integer("ratio"),
        op.flag("fancy_upscaling"),
        op.text("dct_method") == "INTEGER_ACCURATE",
        op.flag("try_recover_truncated"),
    )


def _decoded(op: Operation, data: bytes, deep: bool) -> Pixels:
    channels = op.integer("channels") if "channels" in op.attributes else 0
    try:
        return decode(data, channels, deep, _options(op))
    except (ValueError, TooLargeError) as error:
        raise invalid(op, str(error)) from None


def _format(op: Operation, data: bytes) -> str:
    try:
        return format_of(data)
    except ValueError as error:
        raise invalid(op, str(error)) from None


def _picture_host(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[object]:
    """DecodeJpeg and DecodePng read any format but BMP, and of GIF a single frame."""
    data = _contents(op, arrays)
    if _format(op, data) == "BMP":
        raise invalid(
            op, "Trying to decode BMP format using a wrong op. Use `decode_bmp` or "
            f"`decode_image` instead. Op used: {op.type}",
        )  # fmt: skip
    pixels = _decoded(op, data, op.attributes.get("dtype", uint8) is uint16)
    return [_single(op, pixels)]


def _single(op: Operation, pixels: Pixels) -> Pixels:
    if pixels.ndim == 3:
        return pixels
    if len(pixels) > 1:
        raise invalid(
            op, f"Got {len(pixels)} frames, but animated gifs can only be decoded by "
            "tf.io.decode_gif or tf.io.decode_image",
        )  # fmt: skip
    first: Pixels = pixels[0]
    return first


def _crop_host(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[object]:
    data, window = _contents(op, arrays), arrays[1]
    found = _format(op, data)
    if found != "JPEG":
        raise invalid(
            op, f"DecodeAndCropJpeg operation can run on JPEG only, but detected {found}."
        )
    if window.shape != (4,):
        raise invalid(op, f"crop_window must have four elements {brackets(window.shape)}")
    pixels = _decoded(op, data, False)
    y, x, height, width = (int(n) for n in window)
    inside = y >= 0 and x >= 0 and y + height <= len(pixels) and x + width <= pixels.shape[1]
    if not inside or height < 1 or width < 1:
        raise invalid(op, "jpeg::Uncompress failed. Invalid JPEG data or crop window.")
    return [pixels[y : y + height, x : x + width]]


def _bmp_host(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[object]:
    data = _contents(op, arrays)
    found = _format(op, data)
    if found != "BMP":
        raise invalid(
            op, f"Trying to decode {found} format using DecodeBmp op. Use `decode_{found.lower()}` "
            "or `decode_image` instead.",
        )  # fmt: skip
    channels = op.integer("channels")
    pixels = _decoded(op, data, False)
    found_channels = int.from_bytes(data[28:30], "little") // 8
    if channels not in (0, found_channels):
        raise invalid(
            op, f"channels attribute {channels} does not match bits per pixel from file "
            f"{found_channels}",
        )  # fmt: skip
    return [pixels]


def _gif_host(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[object]:
    """Also a single picture of another format, as one frame."""
    data = _contents(op, arrays)
    if _format(op, data) == "BMP":
        raise invalid(
            op, "Trying to decode BMP format using a wrong op. Use `decode_bmp` or "
            f"`decode_image` instead. Op used: {op.type}",
        )  # fmt: skip
    try:
        pixels = decode(data, 3, False, JpegOptions())
    except (ValueError, TooLargeError) as error:
        raise invalid(op, str(error)) from None
    return [pixels if pixels.ndim == 4 else pixels[None]]


def _image_host(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[object]:
    data, dtype = _contents(op, arrays), op.attributes["dtype"]
    deep = dtype is uint16 or (dtype is float32 and _format(op, data) == "PNG")
    pixels = _decoded(op, data, deep)
    if pixels.ndim == 4 and not op.flag("expand_animations"):
        pixels = pixels[0]
    if dtype is float32:
        return [pixels.astype(np.float32) * np.float32(1 / np.iinfo(pixels.dtype).max)]
    return [pixels]


def _shape_infer(op: Operation) -> Sequence[Result]:
    _scalar(op)
    dtype = op.attributes["output_type"]
    assert isinstance(dtype, DType)
    return [(dtype, (3,))]


def _shape_host(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[object]:
    data, dtype = _contents(op, arrays), op.attributes["output_type"]
    try:
        return [np.array(jpeg_shape(data), np.int64 if dtype is int64 else np.int32)]
    except TooLargeError as error:
        raise invalid(op, str(error)) from None
    except ValueError:
        raise invalid(op, f"Invalid JPEG data, size {len(data)}") from None


def _file_infer(op: Operation) -> Sequence[Result]:
    sizes = op.inputs[0].sizes
    if sizes is not None and len(sizes) != 3 and op.type == "EncodeJpeg":
        raise ShapeError(f"Shape must be rank 3 but is rank {len(sizes)}")
    return [(string, ())]


def _jpeg_host(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[object]:
    (pixels,) = arrays
    wanted = {"": (1, 3), "grayscale": (1,), "rgb": (3,)}.get(op.text("format"))
    if wanted is None:
        raise invalid(op, "format must be '', grayscale or rgb")
    if pixels.ndim != 3 or pixels.shape[2] not in wanted:
        counts = " or ".join(map(str, wanted))
        raise invalid(
            op, f"image must have {counts} channels, got {brackets(pixels.shape).replace(' ', '')}"
        )
    density = (2 if op.text("density_unit") == "cm" else 1, op.integer("x_density"),
               op.integer("y_density"))  # fmt: skip
    return [
        encode_jpeg(
            pixels.astype(np.uint8, copy=False), op.integer("quality"), op.flag("progressive"), op.flag("optimize_size"),
            op.flag("chroma_downsampling"), density, op.text("xmp_metadata").encode(),
        )
    ]  # fmt: skip


def _png_host(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[object]:
    (pixels,) = arrays
    if pixels.ndim != 3:
        raise invalid(op, f"image must be 3-dimensional {brackets(pixels.shape)}")
    if not 1 <= pixels.shape[2] <= 4:
        raise invalid(op, f"image must have 1, 2, 3, or 4 channels, got {pixels.shape[2]}")
    dtype = np.uint16 if op.inputs[0].dtype is uint16 else np.uint8
    return [png(pixels.astype(dtype, copy=False), op.integer("compression"))]


def _decoder(name: str, infer: Infer, host: Host) -> OpKind:
    return OpKind(name, "contents:string", infer, host_only, differentiable=False, host=host)


register(
    _decoder("DecodeJpeg", _picture_infer, _picture_host),
    _decoder("DecodePng", _picture_infer, _picture_host),
    _decoder("DecodeBmp", _picture_infer, _bmp_host),
    _decoder("DecodeGif", _gif_infer, _gif_host),
    _decoder("DecodeImage", _image_infer, _image_host),
    _decoder("ExtractJpegShape", _shape_infer, _shape_host),
    OpKind("DecodeAndCropJpeg", "contents:string crop_window:int32", _picture_infer, host_only,
           differentiable=False, host=_crop_host),
    OpKind("EncodeJpeg", "image:uint8", _file_infer, host_only, differentiable=False,
           host=_jpeg_host),
    OpKind("EncodePng", "image:T", _file_infer, host_only, {"T": (uint8, uint16)},
           differentiable=False, host=_png_host),
)  # fmt: skip
