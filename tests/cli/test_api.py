"""tensorkiln.compile, export and load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tensorkiln as tf
from tensorkiln.benchmarks.models import mlp
from tensorkiln.frontends.onnx import import_model
from tensorkiln.runtime.errors import ModelError


def test_models_of_all_kinds(tmp_path: Path) -> None:
    model = mlp(2, sizes=(4, 3))
    path = tmp_path / "small.onnx"
    path.write_bytes(model.SerializeToString())
    x = np.ones((2, 4), np.float32)
    sources = (path, path.read_bytes(), model, import_model(model))
    results = [tf.compile(source, threads=1).run({"input": x})[0] for source in sources]
    for result in results:
        np.testing.assert_array_equal(result, results[0])
    with pytest.raises(ModelError, match="outputs"):
        tf.compile(path, outputs=["output"])


def test_a_trained_graph(tmp_path: Path) -> None:
    graph = tf.Graph()
    with graph.as_default():
        x = tf.placeholder(tf.float32, [None, 4], name="x")
        w = tf.get_variable("w", [4, 3], initializer=tf.random_normal_initializer(seed=1))
        y = tf.nn.softmax(tf.matmul(x, w), name="y")
        session = tf.Session(config=tf.ConfigProto(interpreted=True))
        session.run(w.initializer)
    array = np.linspace(-1, 1, 20, dtype=np.float32).reshape(5, 4)
    expected = session.run(y, {x: array})
    compiled = tf.compile(graph, outputs=[y], session=session, dims={"x.0": 5})
    assert [(spec.name, spec.shape) for spec in compiled.inputs] == [("x", (5, 4))]
    np.testing.assert_allclose(compiled.run({"x": array})[0], expected, rtol=1e-5)
    with pytest.raises(ModelError, match=r"'x\.0': 1"):
        tf.compile(graph, outputs=["y"], session=session)
    with pytest.raises(ModelError, match="variable 'w'"):
        tf.compile(graph, outputs=["y"], dims={"x.0": 5})
    with pytest.raises(ModelError, match=r"x\.7"):
        tf.compile(graph, outputs=["y"], session=session, dims={"x.0": 5, "x.7": 1})
    written = tf.export(
        graph, tmp_path / "net.o", outputs=["y"], session=session, dims={"x.0": 5}, name="net"
    )
    assert "net_run" in written.header.read_text()


def test_the_runtime_needs_no_compiler() -> None:
    code = (
        "import sys, tensorkiln; tensorkiln.load;"
        "assert not any(m.startswith(('tensorkiln.compiler', 'onnx')) for m in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
