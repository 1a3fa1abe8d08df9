"""Image files, against the pixels that TensorFlow 2.21 decodes (`record_images.py`)."""

from __future__ import annotations

import io
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorkiln as tf
from tensorkiln.frontends.graph.image.files import decode
from tensorkiln.frontends.graph.image.jpeg import JpegOptions
from tensorkiln.runtime.errors import UnsupportedError

RECORDED = dict(np.load(Path(__file__).parent / "data" / "images.npz"))
FILES = {k.partition("/")[2]: v.tobytes() for k, v in RECORDED.items() if k.startswith("file/")}
CASES = [key for key in RECORDED if not key.startswith("file/")]
NEEDS_NOTHING = {"bmp_8", "bmp_24", "bmp_32"}


def evaluated(tensor: Any) -> Any:
    with tf.Session(graph=tensor.graph) as session:
        return session.run(tensor)


def option(text: str) -> dict[str, object]:
    name, _, value = text.partition("=")
    if not name:
        return {}
    return {name: int(value) if value.isdigit() else value}


@pytest.mark.parametrize("case", CASES)
def test_pixels_are_those_of_tensorflow(case: str) -> None:
    """Bits, those of the fast transform and of interpolated chroma included."""
    function, name, text = case.split("/")
    if name not in NEEDS_NOTHING:
        pytest.importorskip("PIL")
    with tf.Graph().as_default():
        tensor = getattr(tf.image, function)(FILES[name], **option(text))
        found = evaluated(tensor)
    expected = RECORDED[case]
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert tensor.shape.is_compatible_with(found.shape)
    if found.dtype == np.float32:
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    else:
        np.testing.assert_array_equal(found, expected)


def test_static_shapes_and_names() -> None:
    with tf.Graph().as_default():
        x = tf.placeholder(tf.string)
        assert str(tf.image.decode_jpeg(x)) == (
            'Tensor("DecodeJpeg:0", shape=(?, ?, ?), dtype=uint8)'
        )
        assert str(tf.image.decode_png(x, 3, tf.uint16, name="p")) == (
            'Tensor("p:0", shape=(?, ?, 3), dtype=uint16)'
        )
        assert tf.image.decode_gif(x).shape.as_list() == [None, None, None, 3]
        assert tf.image.decode_image(x).shape.ndims is None
        assert tf.image.decode_image(x, 3, expand_animations=False).shape.as_list()[2] == 3
        crop = tf.image.decode_and_crop_jpeg(x, [1, 2, 3, 4])
        assert crop.shape.as_list() == [3, 4, None]


def test_crops_and_kinds() -> None:
    pytest.importorskip("PIL")
    data = FILES["jpeg_420"]
    with tf.Graph().as_default():
        crop = evaluated(tf.image.decode_and_crop_jpeg(data, [3, 5, 7, 11]))
        whole = RECORDED["decode_jpeg/jpeg_420/channels=0"]
        np.testing.assert_array_equal(crop, whole[3:10, 5:16])
        assert evaluated(tf.image.is_jpeg(data))
        assert not evaluated(tf.image.is_jpeg(FILES["png_rgb"]))
        one = evaluated(tf.image.decode_png(FILES["gif_one"]))
        np.testing.assert_array_equal(one, RECORDED["decode_gif/gif_one/"][0])
        whole = evaluated(tf.image.decode_jpeg(data[:700], try_recover_truncated=True))
        np.testing.assert_array_equal(
            whole[0, :8], RECORDED["decode_jpeg/jpeg_420/channels=0"][0, :8]
        )


@pytest.mark.parametrize(
    ("function", "data", "text"),
    [
        ("decode_jpeg", b"", "Input is empty."),
        ("decode_jpeg", b"no picture", "Unknown image file format. One of JPEG, PNG, GIF, BMP required."),
        ("decode_jpeg", FILES["jpeg_420"][:700], "Invalid JPEG data or crop window."),
        ("decode_jpeg", FILES["jpeg_420"][:9], "Invalid JPEG data"),
        ("decode_png", FILES["png_rgb"][:400], "Invalid PNG data, size 400"),
        ("decode_png", FILES["png_rgb"][:12], "Invalid PNG data, size 12"),
        ("decode_gif", FILES["gif"][:60], "Invalid GIF data"),
        ("decode_png", FILES["gif"], "Got 3 frames, but animated gifs can only be decoded by"),
        ("decode_jpeg", FILES["bmp_24"], "Trying to decode BMP format using a wrong op."),
        ("decode_bmp", FILES["png_rgb"], "Trying to decode PNG format using DecodeBmp op."),
        ("decode_bmp", FILES["bmp_24"][:300], "Incomplete bmp content, requires at least"),
        ("decode_bmp", b"BM" + b"\xff" * 60, "the BMP file has 65535 bits a pixel"),
    ],
)  # fmt: skip
def test_broken_files(function: str, data: bytes, text: str) -> None:
    pytest.importorskip("PIL")
    with tf.Graph().as_default(), pytest.raises(tf.errors.InvalidArgumentError) as caught:
        evaluated(getattr(tf.image, function)(data, name="picture"))
    assert text in str(caught.value)
    assert "[[node picture" in str(caught.value)


@pytest.mark.parametrize("name", FILES)
def test_damaged_files(name: str) -> None:
    """Whatever bytes there are, the error is of one class."""
    pytest.importorskip("PIL")
    random = np.random.RandomState(len(name))
    outcomes = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for trial in range(40):
            data = bytearray(FILES[name])
            if trial % 4 == 0:
                del data[random.randint(len(data)) :]
            for place in random.randint(0, min(200, max(1, len(data))), trial % 4):
                data[place : place + 1] = random.bytes(1)
            try:
                decode(
                    bytes(data), 3 * (trial % 2), trial % 3 == 0, JpegOptions(recover=trial > 20)
                )
                outcomes.add("read")
            except ValueError:
                outcomes.add("refused")
    assert "refused" in outcomes


def test_wrong_options() -> None:
    with tf.Graph().as_default():
        with pytest.raises(ValueError, match="ratio must be 1, 2, 4, or 8, got 3"):
            tf.image.decode_jpeg(b"", ratio=3)
        with pytest.raises(ValueError, match="Shape must be rank 0 but is rank 1"):
            tf.image.decode_jpeg([b""])
        with pytest.raises(TypeError, match="not in list of allowed values: uint8, uint16"):
            tf.image.decode_png(b"", dtype=tf.float32)
        pytest.importorskip("PIL")
        with pytest.raises(tf.errors.InvalidArgumentError, match="JPEG does not support 4"):
            evaluated(tf.image.decode_jpeg(FILES["jpeg_420"], 4))


def test_what_is_encoded_is_decoded() -> None:
    image = pytest.importorskip("PIL.Image")
    random = np.random.RandomState(1)
    with tf.Graph().as_default():
        for channels in (1, 2, 3, 4):
            pixels = random.randint(0, 256, (5, 7, channels)).astype(np.uint8)
            data = evaluated(tf.image.encode_png(pixels, compression=channels))
            np.testing.assert_array_equal(evaluated(tf.image.decode_png(data)), pixels)
        deep = random.randint(0, 65536, (3, 2, 1)).astype(np.uint16)
        data = evaluated(tf.image.encode_png(deep))
        np.testing.assert_array_equal(evaluated(tf.image.decode_png(data, dtype=tf.uint16)), deep)
        smooth = RECORDED["decode_jpeg/jpeg_444/channels=3"]
        data = evaluated(tf.image.encode_jpeg(smooth, quality=100, chroma_downsampling=False))
        near = evaluated(tf.image.decode_jpeg(data)).astype(int)
        assert np.abs(near - smooth).mean() < 4
        assert image.open(io.BytesIO(data)).info["dpi"] == (300, 300)
        grey = evaluated(tf.image.encode_jpeg(smooth[..., :1], format="grayscale"))
        assert evaluated(tf.image.decode_jpeg(grey)).shape == (19, 21, 1)
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"1 or 3 channels, got \[2,2,2\]"):
            evaluated(tf.image.encode_jpeg(np.zeros((2, 2, 2), np.uint8)))
        with pytest.raises(tf.errors.InvalidArgumentError, match="1, 2, 3, or 4 channels, got 5"):
            evaluated(tf.image.encode_png(np.zeros((2, 2, 5), np.uint8)))


def test_without_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the extra; BMP and writing PNG work."""
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with tf.Graph().as_default():
        evaluated(tf.image.decode_bmp(FILES["bmp_24"]))
        evaluated(tf.image.encode_png(np.zeros((2, 2, 3), np.uint8)))
        with pytest.raises(UnsupportedError, match=r"pip install 'tensorkiln\[image\]'"):
            evaluated(tf.image.decode_jpeg(FILES["jpeg_420"]))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF"])
def test_too_many_pixels_are_said_to_be_that(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    images = pytest.importorskip("PIL.Image")
    file = io.BytesIO()
    frames = [images.new("L", (20, 20), k) for k in range(5)]
    options = {"save_all": True, "append_images": frames[1:]} if form == "GIF" else {}
    frames[0].save(file, form, **options)
    # one frame of the GIF file is within the limit, its five frames are not
    monkeypatch.setattr(images, "MAX_IMAGE_PIXELS", 900 if form == "GIF" else 100)
    function = getattr(tf.image, f"decode_{form.lower()}")
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"pixels(.|\n)*node named"):
        evaluated(function(file.getvalue(), name="named"))
