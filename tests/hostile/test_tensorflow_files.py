"""Damaged files of TensorFlow's kinds: what cannot be read is an error of ours that says so."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from google.protobuf.message import DecodeError

import tensorkiln as tf
from tensorkiln.runtime.errors import TensorKilnError

DATA = Path(__file__).parents[1] / "graph_files" / "data"
ALLOWED = (TensorKilnError, ValueError, DecodeError, OSError)
ROUNDS = 150


def damaged(data: bytes, random: np.random.RandomState) -> bytes:
    """Some bytes changed, cut off, doubled or taken out."""
    raw = bytearray(data)
    place = int(random.randint(len(raw)))
    match random.randint(5):
        case 0:
            return bytes(raw[:place])
        case 1:
            del raw[place : place + int(random.randint(1, 40))]
        case 2:
            raw[place:place] = raw[place : place + int(random.randint(1, 40))]
        case _:
            for at in random.randint(0, len(raw), random.randint(1, 6)):
                raw[at] ^= 1 << int(random.randint(8))
    return bytes(raw)


def read_checkpoint(folder: Path) -> None:
    reader = tf.train.NewCheckpointReader(str(folder / "variables"))
    for name in reader.get_variable_to_shape_map():
        reader.get_tensor(name)


def read_state(folder: Path) -> None:
    tf.train.get_checkpoint_state(str(folder))


def read_events(folder: Path) -> None:
    for path in folder.glob("events*"):
        for event in tf.train.summary_iterator(str(path)):
            tf.GraphDef.FromString(event.graph_def)


def read_graph(folder: Path) -> None:
    definition = tf.GraphDef.FromString((folder / "speech.pb").read_bytes())
    tf.import_graph_def(definition, name="")


def read_meta_graph(folder: Path) -> None:
    tf.train.import_meta_graph(str(folder / "trained.meta"))


def read_saved_model(folder: Path) -> None:
    with tf.Session() as session:
        tf.saved_model.loader.load(session, ["serve"], str(folder))


def write_events(folder: Path) -> None:
    with tf.Graph().as_default() as graph, tf.summary.FileWriter(str(folder), graph) as writer:
        tf.add(1.0, 2.0)
        value = tf.Summary.Value(tag="loss", simple_value=0.5)
        writer.add_summary(tf.Summary(value=[value]), 3)


Reader = Callable[[Path], None]
KINDS: dict[str, tuple[Reader, str, tuple[str, ...]]] = {
    "index": (read_checkpoint, "variables.index", ("variables.index", "variables.data-*")),
    "data": (read_checkpoint, "variables.data-*", ("variables.index", "variables.data-*")),
    "state": (read_state, "checkpoint", ()),
    "events": (read_events, "events*", ()),
    "graph": (read_graph, "speech.pb", ("frozen_graphs/speech.pb",)),
    "meta": (read_meta_graph, "trained.meta", ("trained.meta",)),
    "model": (read_saved_model, "saved_model.pb", ("functions/*",)),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
def test_damage(kind: str, tmp_path: Path) -> None:
    read, target, sources = KINDS[kind]
    for path in (path for pattern in sources for path in DATA.glob(pattern)):
        (shutil.copytree if path.is_dir() else shutil.copy)(path, tmp_path / path.name)
    if kind == "events":
        write_events(tmp_path)
    if kind == "state":
        tf.train.update_checkpoint_state(str(tmp_path), "a", ["a", "b"])
    (path,) = tmp_path.glob(target)
    whole = path.read_bytes()
    with tf.Graph().as_default():
        read(tmp_path)
    random = np.random.RandomState(3)
    messages = []
    for _ in range(ROUNDS):
        path.write_bytes(damaged(whole, random))
        try:
            with tf.Graph().as_default():
                read(tmp_path)
        except ALLOWED as error:
            messages.append(str(error))
    assert messages or kind == "state"
    unclear = ("not enough values", "too many values", "invalid literal", "list index")
    assert not [text for text in messages if not text or text.startswith(unclear)]
