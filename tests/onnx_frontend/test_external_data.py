"""Weights outside of the model file stay inside of the model's folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx_frontend.models import model, value

from tensorkiln.compiler.evaluate.evaluate import evaluate
from tensorkiln.frontends.onnx import import_model
from tensorkiln.runtime.errors import ModelError

W = np.arange(6, dtype=np.float32)


def _write(folder: Path, **entries: str) -> Path:
    proto = model(
        [helper.make_node("Add", ["x", "w"], ["y"])], [value("x", (6,))], weights={"w": W}
    )
    (tensor,) = proto.graph.initializer
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, text in entries.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, text
    path = folder / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def test_data_is_mapped(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "w.bin").write_bytes(b"....." + W.tobytes())
    path = _write(tmp_path, location="data/w.bin", offset="5", length="24")
    function = import_model(path)
    (found,) = evaluate(function, [np.ones(6, np.float32)])
    np.testing.assert_array_equal(found, W + 1)


@pytest.mark.parametrize("location", ["../w.bin", "/etc/passwd", "a/../../w.bin", "", "C:\\w.bin"])
def test_paths_out_of_the_folder_are_refused(tmp_path: Path, location: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "w.bin").write_bytes(W.tobytes())
    with pytest.raises(ModelError, match=r"initializer 'w'.*relative path"):
        import_model(_write(folder, location=location))


def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "w.bin").write_bytes(W.tobytes())
    (folder / "w.bin").symlink_to(tmp_path / "w.bin")
    with pytest.raises(ModelError, match="a link out of"):
        import_model(_write(folder, location="w.bin"))


def test_missing_and_short_files(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"w\.bin, which is not a file"):
        import_model(_write(tmp_path, location="w.bin"))
    (tmp_path / "w.bin").write_bytes(W.tobytes()[:-1])
    with pytest.raises(ModelError, match=r"needs bytes 0 to 24 of .*w\.bin, which has 23"):
        import_model(_write(tmp_path, location="w.bin"))
    with pytest.raises(ModelError, match="offset of '-4', not a byte count"):
        import_model(_write(tmp_path, location="w.bin", offset="-4"))
    with pytest.raises(ModelError, match="declares 8 bytes of external data and needs 24"):
        import_model(_write(tmp_path, location="w.bin", length="8"))


def test_bytes_have_no_folder(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(W.tobytes())
    data = _write(tmp_path, location="w.bin").read_bytes()
    with pytest.raises(ModelError, match="give the model's path"):
        import_model(data)
