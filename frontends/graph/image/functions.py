"""tf.image's functions that read and write image files."""

from __future__ import annotations

from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.dtypes import as_dtype, int32, uint8, uint16
from tensorkiln.frontends.graph.ops_string import substr
from tensorkiln.frontends.graph.scopes import name_scope
from tensorkiln.frontends.graph.tensor import Tensor


def decode_jpeg(
    contents: object,
    channels: int = 0,
    ratio: int = 1,
    fancy_upscaling: bool = True,
    try_recover_truncated: bool = False,
    acceptable_fraction: float = 1,
    dct_method: str = "",
    name: str | None = None,
) -> Tensor:
    """The pixels [height, width, channels] of a JPEG file, uint8; 0 channels: as many as it has.

    `ratio` 2, 4 or 8 makes a smaller image.  PNG files and GIF files of one frame are read, too.
    """
    return make(
        "DecodeJpeg", (contents,), name, channels=channels, ratio=ratio,
        fancy_upscaling=fancy_upscaling, try_recover_truncated=try_recover_truncated,
        acceptable_fraction=float(acceptable_fraction), dct_method=dct_method,
    )  # fmt: skip


def decode_and_crop_jpeg(
    contents: object,
    crop_window: object,
    channels: int = 0,
    ratio: int = 1,
    fancy_upscaling: bool = True,
    try_recover_truncated: bool = False,
    acceptable_fraction: float = 1,
    dct_method: str = "",
    name: str | None = None,
) -> Tensor:
    """The part `crop_window` (y, x, height, width) of what `decode_jpeg` gives."""
    return make(
        "DecodeAndCropJpeg", (contents, crop_window), name, channels=channels, ratio=ratio,
        fancy_upscaling=fancy_upscaling, try_recover_truncated=try_recover_truncated,
        acceptable_fraction=float(acceptable_fraction), dct_method=dct_method,
    )  # fmt: skip


def decode_png(
    contents: object, channels: int = 0, dtype: object = uint8, name: str | None = None
) -> Tensor:
    """The pixels [height, width, channels] of a PNG file, uint8 or uint16; TypeError for others."""
    kind = as_dtype(dtype)
    if kind not in (uint8, uint16):
        raise TypeError(
            f"Value passed to parameter 'dtype' has DataType {kind.name} not in list of allowed "
            "values: uint8, uint16"
        )
    return make("DecodePng", (contents,), name, channels=channels, dtype=kind)


def decode_bmp(contents: object, channels: int = 0, name: str | None = None) -> Tensor:
    """The pixels [height, width, channels] of a BMP file, uint8."""
    return make("DecodeBmp", (contents,), name, channels=channels)


def decode_gif(contents: object, name: str | None = None) -> Tensor:
    """The frames [frames, height, width, 3] of a GIF file, uint8."""
    return make("DecodeGif", (contents,), name)


def decode_image(
    contents: object,
    channels: int | None = None,
    dtype: object = uint8,
    name: str | None = None,
    expand_animations: bool = True,
) -> Tensor:
    """The pixels of a file of any of these formats: uint8, uint16, or float32 in 0 to 1.

    GIF files give four dims unless `expand_animations` is false: then the first frame.
    """
    with name_scope(name, "decode_image", [contents]) as scope:
        return make(
            "DecodeImage", (contents,), f"{scope}DecodeImage", channels=channels or 0,
            dtype=as_dtype(dtype), expand_animations=expand_animations,
        )  # fmt: skip


def extract_jpeg_shape(
    contents: object, output_type: object = int32, name: str | None = None
) -> Tensor:
    """Height, width and channels of a JPEG file."""
    return make("ExtractJpegShape", (contents,), name, output_type=as_dtype(output_type))


def is_jpeg(contents: object, name: str | None = None) -> Tensor:
    """True if the first bytes are those of a JPEG file."""
    with name_scope(name, "is_jpeg", [contents]):
        return make("Equal", (substr(contents, 0, 3), b"\xff\xd8\xff"))


def encode_jpeg(
    image: object,
    format: str = "",
    quality: int = 95,
    progressive: bool = False,
    optimize_size: bool = False,
    chroma_downsampling: bool = True,
    density_unit: str = "in",
    x_density: int = 300,
    y_density: int = 300,
    xmp_metadata: str = "",
    name: str | None = None,
) -> Tensor:
    """The JPEG file of uint8 pixels [height, width, 1 or 3]."""
    return make(
        "EncodeJpeg", (image,), name, format=format, quality=quality, progressive=progressive,
        optimize_size=optimize_size, chroma_downsampling=chroma_downsampling,
        density_unit=density_unit, x_density=x_density, y_density=y_density,
        xmp_metadata=xmp_metadata,
    )  # fmt: skip


def encode_png(image: object, compression: int = -1, name: str | None = None) -> Tensor:
    """The PNG file of uint8 or uint16 pixels [height, width, 1 to 4].

    `compression` is zlib's level, -1 for its default.
    """
    return make("EncodePng", (image,), name, compression=compression)
