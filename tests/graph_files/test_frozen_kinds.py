"""Frozen graphs of the classic kinds, written by TensorFlow 2.21 (compat.v1): image, speech, text.

`record_frozen_kinds.py`, `record_oldest_kinds.py` (ops of 2015, detection with its loops) and
`record_cells.py` (recurrent cells as single ops) made them,
with random weights, and kept what TensorFlow computed.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format

import tensorkiln as tf

FOLDER = Path(__file__).parent / "data" / "frozen_graphs"


def read(name: str) -> tf.GraphDef:
    definition = tf.GraphDef()
    if (FOLDER / f"{name}.pb").exists():
        definition.ParseFromString((FOLDER / f"{name}.pb").read_bytes())
    else:
        text_format.Parse((FOLDER / f"{name}.pbtxt").read_text(), definition)
    return definition


# What is fed and what is compared: names in the graph, and in the file of values.
KINDS = {
    "image": ({"image:0": "image"}, {"softmax:0": "softmax"}),
    "speech": (
        {"wav_data:0": "wav"},
        {
            "decoded_sample_data:0": "audio", "decoded_sample_data:1": "rate",
            "AudioSpectrogram:0": "spectrogram", "Mfcc:0": "mfcc", "labels_softmax:0": "softmax",
        },
    ),
    "text_cnn": (
        {"input_x:0": "ids"},
        {"scores:0": "scores", "predictions:0": "predictions", "accuracy:0": "accuracy"},
    ),
    "text_lstm": (
        {"ids:0": "ids", "lengths:0": "lengths"}, {"out:0": "out", "outputs:0": "outputs"},
    ),
    "classify": ({"DecodeJpeg:0": "pixels"}, {"softmax:0": "softmax"}),
    "detect": (
        {"image_tensor:0": "image_tensor"},
        {
            "detection_boxes:0": "detection_boxes", "detection_scores:0": "detection_scores",
            "detection_classes:0": "detection_classes", "num_detections:0": "num_detections",
        },
    ),
    "cells": (
        {"x:0": "x"},
        {
            f"{kind}_{k}:0": f"{kind}_{k}"
            for kind, count in (("lstm_False", 7), ("lstm_True", 7), ("gru", 4)) for k in range(count)
        },
    ),
    "listen": (
        {f"{n}:0": n for n in ("input_node", "input_lengths", "state_c", "state_h")},
        {
            f"{n}:0": n
            for n in ("logits", "new_state_c", "hidden", "gates", "letters", "score")
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("interpreted", [True, False])
@pytest.mark.parametrize("name", KINDS)
def test_computes_what_it_computed_there(name: str, interpreted: bool) -> None:
    fed, fetched = KINDS[name]
    values = np.load(FOLDER / f"{name}.npz")
    feeds: dict[str, Any] = {tensor: values[key] for tensor, key in fed.items()}
    if name == "speech":
        feeds = {"wav_data:0": values["wav"].tobytes()}
    config = tf.ConfigProto(interpreted=interpreted)
    with tf.Graph().as_default(), tf.Session(config=config) as session:
        tf.import_graph_def(read(name), name="")
        found = session.run(list(fetched), feeds)
    for value, key in zip(found, fetched.values(), strict=True):
        expected = values[key]
        atol = 2e-5 * float(np.abs(expected).max())
        np.testing.assert_allclose(value, expected, rtol=2e-4, atol=atol, err_msg=key)


def test_bytes_of_a_jpeg_are_classified() -> None:
    """As the classic label_image program does: the constant of the graph, or the bytes, are fed."""
    pytest.importorskip("PIL")
    values = np.load(FOLDER / "classify.npz")
    with tf.Graph().as_default(), tf.Session() as session:
        tf.import_graph_def(read("classify"), name="")
        for feeds in ({}, {"DecodeJpeg/contents:0": values["jpeg"].tobytes()}):
            found, pixels = session.run(["softmax:0", "DecodeJpeg:0"], feeds)
            np.testing.assert_array_equal(pixels, values["pixels"])
            np.testing.assert_allclose(found, values["softmax"], rtol=1e-5)
        with pytest.raises(tf.errors.InvalidArgumentError, match="Unknown image file format"):
            session.run("softmax:0", {"DecodeJpeg/contents:0": b"no picture"})


def test_wav_files() -> None:
    sound = np.float32([[0.5, -0.5], [2.0, -2.0], [1 / 32768, 0.0]])
    with tf.Session() as session:
        data = tf.audio.encode_wav(sound, 8000)
        both = session.run(tf.audio.decode_wav(data))
        expected = np.clip(sound, -1, 32767 / 32768)
        assert (both[0].tolist(), both[1]) == (expected.tolist(), 8000)
        longer, _ = tf.audio.decode_wav(data, desired_channels=3, desired_samples=4)
        assert longer.shape.as_list() == [4, 3]
        assert session.run(longer).tolist() == [*expected[:, [0, 1, 1]].tolist(), [0, 0, 0]]
        shorter, _ = tf.audio.decode_wav(data, desired_channels=1, desired_samples=1)
        assert session.run(shorter).tolist() == [[0.5]]
        for broken in (b"", b"RIFF", session.run(data)[:30], b"\x00" * 60):
            with pytest.raises(tf.errors.InvalidArgumentError, match="is no WAV file"):
                session.run(tf.audio.decode_wav(broken))


def test_sound_without_frames_and_wrong_sizes() -> None:
    short = tf.audio.audio_spectrogram(np.zeros((3, 2), np.float32), window_size=4, stride=2)
    assert short.shape.as_list() == [2, 0, 3]
    with tf.Session() as session:
        assert session.run(short).shape == (2, 0, 3)
        with pytest.raises(tf.errors.InvalidArgumentError, match="no filters lie between"):
            session.run(tf.audio.mfcc(np.ones((1, 1, 5), np.float32), 0))
    with pytest.raises(ValueError, match="window_size 1 must be at least 2"):
        tf.audio.audio_spectrogram(np.zeros((3, 2), np.float32), 1, 1)
    with pytest.raises(ValueError, match="Shape must be rank 2 but is rank 1"):
        tf.audio.audio_spectrogram(np.zeros(3, np.float32), 2, 1)


def test_op_types_are_there_without_being_asked_for() -> None:
    """What can be read must not depend on which part of the package a program has touched."""
    program = """
import importlib, pkgutil
from tensorkiln.frontends.graph.files import import_table
from tensorkiln.frontends.graph.kinds import TABLE
before = set(TABLE)
import tensorkiln.frontends.graph as package
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    importlib.import_module(module.name)
assert set(TABLE) == before, sorted(set(TABLE) - before)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
