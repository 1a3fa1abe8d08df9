"""Event files and record files: written, read back, cut and broken."""

from __future__ import annotations

import re
import struct
import warnings
from pathlib import Path
from typing import Any

import pytest

import tensorkiln as tf


def events(folder: Path) -> list[Any]:
    (path,) = folder.iterdir()
    return list(tf.train.summary_iterator(str(path)))


def test_event_file(tmp_path: Path) -> None:
    with tf.summary.FileWriter(str(tmp_path / "a" / "b"), filename_suffix=".x") as writer:
        assert writer.get_logdir() == str(tmp_path / "a" / "b")
        summary = tf.Summary(value=[tf.Summary.Value(tag="t", simple_value=2.5)])
        writer.add_summary(summary, 3)
        writer.add_summary(summary.SerializeToString())
        writer.add_session_log(tf.SessionLog(status=tf.SessionLog.START), 0)
    (path,) = (tmp_path / "a" / "b").iterdir()
    assert re.fullmatch(r"events\.out\.tfevents\.\d{10}\..+\.x", path.name)
    version, first, second, log = tf.train.summary_iterator(str(path))
    assert version.file_version == "brain.Event:2"
    assert version.wall_time > 1.5e9
    assert (first.step, first.summary.value[0].simple_value) == (3, 2.5)
    assert second.step == 0
    assert second.summary == first.summary
    assert log.session_log.status == tf.SessionLog.START


def test_flush_close_and_reopen(tmp_path: Path) -> None:
    writer = tf.summary.FileWriter(tmp_path)
    writer.add_summary(tf.Summary(), 1)
    writer.flush()
    assert len(events(tmp_path)) == 2
    writer.close()
    with pytest.warns(UserWarning, match="Attempting to use a closed FileWriter"):
        writer.add_summary(tf.Summary(), 2)
    writer.reopen()
    writer.add_summary(tf.Summary(), 3)
    writer.close()
    files = sorted(tmp_path.iterdir(), key=lambda p: p.stat().st_ino)
    found = [[e.step for e in tf.train.summary_iterator(str(p))] for p in files]
    assert sorted(found) == [[0, 1], [0, 3]]


def test_events_are_written_when_enough_wait(tmp_path: Path) -> None:
    writer = tf.summary.FileWriter(tmp_path, max_queue=3)
    for step in range(4):
        writer.add_summary(tf.Summary(), step)
    assert [e.step for e in events(tmp_path)][1:] == [0, 1, 2]
    writer.close()


def test_descriptions_are_written_once(tmp_path: Path) -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        data = session.run(tf.summary.text("t", tf.constant("words")))
    with tf.summary.FileWriter(tmp_path) as writer:
        writer.add_summary(data, 1)
        writer.add_summary(data, 2)
    found = [e.summary.value[0].HasField("metadata") for e in events(tmp_path)[1:]]
    assert found == [True, False]


def test_run_tags_and_wrong_types(tmp_path: Path) -> None:
    with tf.summary.FileWriter(tmp_path) as writer:
        writer.add_run_metadata(tf.RunMetadata(), "step1", 1)
        with pytest.raises(ValueError, match="The provided tag was already used for this event"):
            writer.add_run_metadata(tf.RunMetadata(), "step1", 2)
        with pytest.raises(TypeError, match="must be an instance of `Graph`"):
            writer.add_graph(3)
        with pytest.raises(TypeError, match="must be type MetaGraphDef, saw type"):
            writer.add_meta_graph(tf.Summary())
    assert events(tmp_path)[1].tagged_run_metadata.tag == "step1"


def test_cache(tmp_path: Path) -> None:
    first = tf.summary.FileWriterCache.get(str(tmp_path))
    assert tf.summary.FileWriterCache.get(str(tmp_path)) is first
    tf.summary.FileWriterCache.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tf.summary.FileWriterCache.get(str(tmp_path)) is not first
    tf.summary.FileWriterCache.clear()


COMPRESSIONS = [
    None,
    tf.python_io.TFRecordOptions(tf.python_io.TFRecordCompressionType.GZIP),
    tf.python_io.TFRecordOptions("ZLIB"),
]


@pytest.mark.parametrize("options", COMPRESSIONS)
def test_records(tmp_path: Path, options: Any) -> None:
    path = str(tmp_path / "file")
    written = [b"", b"a", b"\0" * 300, bytes(range(256)) * 700]
    with tf.python_io.TFRecordWriter(path, options) as writer:
        for record in written:
            writer.write(record)
        writer.flush()
    assert list(tf.python_io.tf_record_iterator(path, options)) == written


def test_framing_of_a_record(tmp_path: Path) -> None:
    """One record as the format's description gives it: masked CRC-32C of length and data."""
    path = tmp_path / "file"
    with tf.python_io.TFRecordWriter(path) as writer:
        writer.write(b"123456789")

    def masked(checksum: int) -> int:
        return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF

    data = path.read_bytes()
    assert data[:8] == struct.pack("<Q", 9)
    assert data[12:21] == b"123456789"
    # The check value of CRC-32C.
    assert data[21:] == struct.pack("<I", masked(0xE3069283))


def test_broken_records(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with tf.python_io.TFRecordWriter(path) as writer:
        writer.write(b"abc")
        writer.write(b"defg")
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        if cut in (0, 19):
            assert len(list(tf.python_io.tf_record_iterator(path))) == (cut > 0)
        else:
            with pytest.raises(tf.errors.DataLossError, match=r"truncated record at (0|19) in"):
                list(tf.python_io.tf_record_iterator(path))
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(tf.errors.DataLossError, match=r"corrupted record at (0|19) in"):
            list(tf.python_io.tf_record_iterator(path))


def test_broken_compressed_records(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for options in COMPRESSIONS[1:]:
        path.write_bytes(b"no such stream")
        with pytest.raises(tf.errors.DataLossError, match="corrupted compressed data"):
            list(tf.python_io.tf_record_iterator(path, options))


def test_missing_files(tmp_path: Path) -> None:
    path = str(tmp_path / "none" / "file")
    with pytest.raises(tf.errors.NotFoundError, match=r"No such file or directory"):
        next(tf.python_io.tf_record_iterator(path))
    with pytest.raises(tf.errors.NotFoundError, match=r"No such file or directory"):
        tf.python_io.TFRecordWriter(path)
    with pytest.raises(tf.errors.NotFoundError, match=r"No such file or directory"):
        next(tf.train.summary_iterator(path))
    with pytest.raises(ValueError, match="Not a valid compression_type: 'LZ'"):
        tf.python_io.TFRecordOptions("LZ")


def test_graphs(tmp_path: Path) -> None:
    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [None], name="x")
        with tf.name_scope("inner"):
            tf.summary.scalar("total", tf.reduce_sum(tf.py_func(lambda a: a, [x], tf.float32)))
        tf.parse_single_example(b"", {"a": tf.FixedLenFeature([2], tf.int64)})
        tf.Print(x, [x], "text")
    with tf.summary.FileWriter(tmp_path, graph) as writer:
        writer.add_graph(graph_def=graph.as_graph_def(), graph=None)
        with pytest.raises(ValueError, match="Please pass only graph, or graph_def"):
            writer.add_graph(graph, graph_def=graph.as_graph_def())
    kinds = ["file_version", "graph_def", "meta_graph_def", "graph_def"]  # as in TensorFlow's files
    written = events(tmp_path)
    assert [event.WhichOneof("what") for event in written] == kinds
    first, second = (tf.GraphDef.FromString(written[k].graph_def) for k in (1, 3))
    meta = tf.MetaGraphDef.FromString(written[2].meta_graph_def)
    assert meta.graph_def == first
    names = [node.name for node in first.node]
    assert names == [op.name for op in graph.get_operations()]
    assert "inner/total" in names
    assert first.node[0].attr["_output_shapes"].list.shape[0].dim[0].size == -1
    assert [node.name for node in second.node] == names
