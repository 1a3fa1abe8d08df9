"""The demonstration's parts, without its hundreds of steps; `make demo` runs all of it."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import tensorkiln as tf

SOURCE = Path(__file__).resolve().parents[2] / "examples" / "demo.py"


@pytest.fixture(scope="module")
def demo() -> ModuleType:
    pytest.importorskip("sklearn")
    spec = importlib.util.spec_from_file_location("demo", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["demo"] = module  # where dataclasses look for a class's module
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_trains_and_c_agrees(demo: ModuleType, tmp_path: Path) -> None:
    net = demo.build()
    images, labels = demo.digits()
    assert images.shape == (1797, 8, 8, 1)
    with tf.Session(graph=net.graph) as session:
        session.run(net.initialize)
        losses = []
        for step in range(120):
            rows = np.arange(64 * step, 64 * step + 64) % 1400
            feeds = {net.images: images[rows], net.labels: labels[rows]}
            losses.append(session.run([net.train, net.loss], feeds)[1])
        assert losses[-1] < losses[0] / 2
        held = images[-50:]
        python = session.run(net.logits, {net.images: held}).argmax(axis=1)
        answers = demo.c_answers(net, session, held, tmp_path)
    np.testing.assert_array_equal(answers, python)
    assert (python == labels[-50:]).mean() > 0.6
