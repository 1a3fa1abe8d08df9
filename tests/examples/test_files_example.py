"""The example that goes from training over files to a C++ program."""

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest

SOURCE = Path(__file__).resolve().parents[2] / "examples" / "files.py"


def test_from_training_to_cpp(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    spec = importlib.util.spec_from_file_location("files_example", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    path = example.train(tmp_path, 60)
    assert path == f"{tmp_path}/net.ckpt-60"
    found = example.go_on(path, tmp_path)
    assert (found == example.LABELS[example.HELD]).mean() > 0.7
    if shutil.which("c++"):
        np.testing.assert_array_equal(example.in_cpp(tmp_path), found)
