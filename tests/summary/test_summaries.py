"""Summary ops: their messages, tags and errors."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tensorkiln as tf
from tensorkiln.frontends.graph.summary.histogram import histogram, limits


@pytest.fixture(autouse=True)
def session() -> Iterator[Any]:
    with tf.Graph().as_default(), tf.Session() as session:
        yield session


def run(session: Any, summary: Any, feeds: Any = None) -> Any:
    data = session.run(summary, feeds)
    assert isinstance(data, bytes)
    return tf.Summary.FromString(data)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int8", "int64"])
def test_scalar(session: Any, dtype: str) -> None:
    found = run(session, tf.summary.scalar("loss", tf.constant(3, dtype)))
    assert [(v.tag, v.simple_value) for v in found.value] == [("loss", 3.0)]


def test_names_tags_and_collections(session: Any) -> None:
    with tf.name_scope("train"):
        first = tf.summary.scalar("loss", 1.0)
        second = tf.summary.scalar("loss", 2.0, family="f")
    third = tf.summary.scalar("my loss:0", 3.0, collections=["mine"])
    assert first.name == "train/loss:0"
    assert first.op.type == "ScalarSummary"
    assert first.op.inputs[0].name == "train/loss/tags:0"
    assert [run(session, s).value[0].tag for s in (first, second, third)] == [
        "train/loss", "f/train/f/loss", "my_loss_0",
    ]  # fmt: skip
    assert tf.get_collection(tf.GraphKeys.SUMMARIES) == [first, second]
    assert tf.get_collection("mine") == [third]
    merged = tf.summary.merge_all()
    assert merged.name == "Merge/MergeSummary:0"
    assert [v.simple_value for v in run(session, merged).value] == [1, 2]
    assert tf.summary.merge_all("none") is None


def test_one_run_of_a_step_with_summaries(session: Any) -> None:
    w = tf.Variable([1.0, 2.0], name="w")
    x = tf.placeholder(tf.float32, [None])
    loss = tf.reduce_sum(w * x)
    tf.summary.scalar("loss", loss)
    tf.summary.histogram("weights", w)
    train = tf.train.GradientDescentOptimizer(0.5).minimize(loss)
    merged = tf.summary.merge_all()
    session.run(tf.global_variables_initializer())
    _, data = session.run([train, merged], {x: [2.0, 2.0]})
    scalar, spread = tf.Summary.FromString(data).value
    assert scalar.simple_value == 6.0
    assert (spread.tag, spread.histo.num) == ("weights", 2)
    assert session.run(w).tolist() == [0.0, 1.0]


def test_shapes_of_scalars_must_agree(session: Any) -> None:
    summary = tf.summary.scalar("s", tf.constant([1.0, 2.0]))
    text = r"tags and values not the same shape: \[\] != \[2\] \(tag 's'\)"
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        session.run(summary)


def plain_histogram(values: list[float]) -> tuple[list[float], list[float]]:
    """The buckets by a loop over the values and a loop over the buckets."""
    edges = limits().tolist()
    counts = [0.0] * len(edges)
    for value in values:
        counts[next(k for k, edge in enumerate(edges) if edge > value)] += 1
    shown: list[tuple[float, float]] = []
    for edge, count in zip(edges, counts, strict=True):
        if shown and not count and not shown[-1][1]:
            shown.pop()
        shown.append((edge, count))
    return [e for e, _ in shown], [c for _, c in shown]


@pytest.mark.parametrize(
    "values",
    [[], [0.0], [1.0, -1.0, 3.5, 3.5], [1e-13, -1e-13, 1e19, -1e25], list(range(-7, 90))],
)
def test_histogram(values: list[float]) -> None:
    found = histogram(np.array(values, np.float64))
    buckets, counts = plain_histogram(values)
    assert list(found.bucket_limit) == buckets
    assert list(found.bucket) == counts
    assert found.num == len(values)
    assert found.sum == sum(values)
    if values:
        assert (found.min, found.max) == (min(values), max(values))


def test_histogram_limits() -> None:
    edges = limits()
    assert len(edges) == 1551
    assert edges[775] == 0
    assert np.all(np.diff(edges) > 0)
    assert edges[776] == 1e-12


@pytest.mark.parametrize(
    ("value", "word"), [(np.nan, "Nan in summary histogram"), (np.inf, "Infinity in Histogram")]
)
def test_histograms_are_finite(session: Any, value: float, word: str) -> None:
    summary = tf.summary.histogram("h", tf.constant([1.0, value]))
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{word} for: h"):
        session.run(summary)


def pixels(data: bytes) -> Any:
    """A PNG without row filters as [height, width, channels]."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    place, parts = 8, {}
    while place < len(data):
        (length,) = struct.unpack_from(">I", data, place)
        kind, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        (check,) = struct.unpack_from(">I", data, place + 8 + length)
        assert check == zlib.crc32(kind + body)
        parts[kind] = body
        place += 12 + length
    width, height, depth, colour, *_ = struct.unpack(">IIBBBBB", parts[b"IHDR"])
    channels = {0: 1, 4: 2, 2: 3, 6: 4}[colour]
    rows = np.frombuffer(zlib.decompress(parts[b"IDAT"]), np.uint8).reshape(height, -1)
    assert depth == 8
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, channels)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images(session: Any, channels: int) -> None:
    data = np.random.default_rng(0).integers(0, 256, (4, 5, 3, channels)).astype(np.uint8)
    found = run(session, tf.summary.image("pic", data, max_outputs=2)).value
    assert [v.tag for v in found] == ["pic/image/0", "pic/image/1"]
    for value, expected in zip(found, data, strict=False):
        image = value.image
        assert (image.height, image.width, image.colorspace) == (5, 3, channels)
        assert np.array_equal(pixels(image.encoded_image_string), expected)
    (single,) = run(session, tf.summary.image("one", data, max_outputs=1)).value
    assert single.tag == "one/image"


def test_images_of_floats(session: Any) -> None:
    image = np.array([[[[0.0], [0.5], [2.0]]], [[[-1.0], [0.0], [0.5]]], [[[np.nan], [1], [4]]]])
    found = run(session, tf.summary.image("pic", image.astype(np.float32)))
    shown = [pixels(v.image.encoded_image_string).reshape(-1).tolist() for v in found.value]
    assert shown == [[0, 63, 255], [1, 128, 191], [255, 63, 255]]


def test_image_shape(session: Any) -> None:
    with pytest.raises(ValueError, match="Shape must be rank 4 but is rank 2"):
        tf.summary.image("pic", tf.zeros([2, 2]))
    wrong = tf.summary.image("pic", tf.zeros([1, 2, 2, 2]))
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"last dim 1, 3, or 4, not \[1,2,2,2\]"
    ):
        session.run(wrong)


def test_audio(session: Any) -> None:
    sound = np.array([[0.0, 0.5, -1.0, 2.0], [1, 1, 1, 1]], np.float32)
    first, second = run(session, tf.summary.audio("a", sound, 8000)).value
    assert [first.tag, second.tag] == ["a/audio/0", "a/audio/1"]
    audio = first.audio
    assert (audio.sample_rate, audio.num_channels, audio.length_frames) == (8000, 1, 4)
    assert audio.content_type == "audio/wav"
    data = audio.encoded_audio_string
    assert data[:4] + data[8:16] == b"RIFFWAVEfmt "
    assert struct.unpack_from("<I", data, 4)[0] == len(data) - 8
    assert np.frombuffer(data[44:], "<i2").tolist() == [0, 16384, -32768, 32767]


def test_text_and_tensors(session: Any) -> None:
    (value,) = run(session, tf.summary.text("t", tf.constant(["a", "bc"]))).value
    assert value.metadata.plugin_data.plugin_name == "text"
    assert list(value.tensor.string_val) == [b"a", b"bc"]
    assert [d.size for d in value.tensor.tensor_shape.dim] == [2]
    (value,) = run(session, tf.summary.tensor_summary("n", tf.constant([1, 2]), "what")).value
    assert value.metadata.summary_description == "what"
    assert np.frombuffer(value.tensor.tensor_content, np.int32).tolist() == [1, 2]
    with pytest.raises(ValueError, match="to have dtype string, got <dtype: 'float32'>"):
        tf.summary.text("t", tf.constant(1.0))


def test_duplicate_tags(session: Any) -> None:
    first = tf.scalar_summary("x", 1.0)
    merged = tf.summary.merge([first, tf.scalar_summary("x", 2.0)])
    with pytest.raises(tf.errors.InvalidArgumentError, match="Duplicate tag x found in summary"):
        session.run(merged)
