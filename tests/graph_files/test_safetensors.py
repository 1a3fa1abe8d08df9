import json
import struct
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import tensorkiln as tf
from tensorkiln.runtime.errors import ModelError, UnsupportedError

store = tf.safetensors
KINDS = [
    "bool", "uint8", "int8", "int16", "uint16", "float16", "int32", "uint32", "float32", "float64",
    "int64", "uint64", "complex64", ml_dtypes.bfloat16, ml_dtypes.float8_e5m2,
    ml_dtypes.float8_e4m3fn,
]  # fmt: skip


def test_round_trip(tmp_path: Path) -> None:
    arrays = {
        f"{np.dtype(kind).name}/{len(shape)}": np.random.default_rng(1)
        .integers(0, 2, shape)
        .astype(kind)
        for kind in KINDS
        for shape in ((), (0, 3), (5, 7))
    }
    store.save_file(arrays, tmp_path / "x.safetensors", {"format": "np"})
    found = store.load_file(tmp_path / "x.safetensors")
    assert sorted(found) == sorted(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    assert [path.name for path in tmp_path.iterdir()] == ["x.safetensors"]
    store.save_file({}, tmp_path / "empty.safetensors")
    assert store.load_file(tmp_path / "empty.safetensors") == {}


def test_the_bytes_are_those_of_the_description(tmp_path: Path) -> None:
    path = tmp_path / "x"
    store.save_file({"b": np.array([1, 2], np.uint8), "a": np.float32([1.0])}, path)
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    assert length % 8 == 0
    assert json.loads(data[8 : 8 + length]) == {
        "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
        "b": {"dtype": "U8", "shape": [2], "data_offsets": [4, 6]},
    }
    assert data[8 + length :] == struct.pack("<f", 1.0) + b"\1\2"


def entry(**changes: object) -> dict[str, object]:
    return {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}


@pytest.mark.parametrize(
    ("header", "data", "error"),
    [
        (b"{", 8, "is no safetensors file"),
        (b"[1]", 8, "its header is no object"),
        ({"a": 3}, 8, "description of 'a' is broken"),
        ({"a": entry(shape=[3])}, 8, "description of 'a' is broken"),
        ({"a": entry(shape=[-2], data_offsets=[0, -8])}, 8, "description of 'a' is broken"),
        ({"a": entry(shape=[1 << 62])}, 8, "description of 'a' is broken"),
        ({"a": entry(shape=[True, 2])}, 8, "description of 'a' is broken"),
        ({"a": entry(data_offsets=[8, 16])}, 16, "does not follow"),
        ({"a": entry(), "b": entry()}, 8, "does not follow"),
        ({"a": entry()}, 7, "has 7 bytes of data where 8 are described"),
        ({"a": entry()}, 9, "has 9 bytes of data where 8 are described"),
    ],
)
def test_broken_files(header: object, data: int, error: str, tmp_path: Path) -> None:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    (tmp_path / "x").write_bytes(struct.pack("<Q", len(text)) + text + bytes(data))
    with pytest.raises(ModelError, match=error):
        store.load_file(tmp_path / "x")


def test_headers_that_do_not_fit(tmp_path: Path) -> None:
    for content in (b"", b"1234567", struct.pack("<Q", 1 << 60), struct.pack("<Q", 3) + b"{}"):
        (tmp_path / "x").write_bytes(content)
        with pytest.raises(ModelError, match="is no safetensors file"):
            store.load_file(tmp_path / "x")


def test_types_that_do_not_exist(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="'s' of type object"):
        store.save_file({"s": np.array([b"x"], object)}, tmp_path / "x")
    text = json.dumps({"a": entry(dtype="F6")}).encode()
    (tmp_path / "x").write_bytes(struct.pack("<Q", len(text)) + text + bytes(8))
    with pytest.raises(UnsupportedError, match="'a' has the unknown type 'F6'"):
        store.load_file(tmp_path / "x")


def test_variables(tmp_path: Path) -> None:
    tf.reset_default_graph()
    w, n = tf.Variable([[1.0, 2.0]], name="w"), tf.Variable(3, name="n")
    path = tmp_path / "model.safetensors"
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        store.save_variables(sess, path)
        store.save_variables(sess, tmp_path / "other", {"layer.weight": w})
    with tf.Session() as sess:
        store.restore_variables(sess, path)
        np.testing.assert_array_equal(sess.run(w), [[1.0, 2.0]])
        assert sess.run(tf.assign_add(n, 1)) == 4
        store.restore_variables(sess, tmp_path / "other", {"layer.weight": w})
        with pytest.raises(tf.errors.NotFoundError, match="holds no tensor 'n'"):
            store.restore_variables(sess, tmp_path / "other", [n])
        with pytest.raises(tf.errors.InvalidArgumentError, match="'n' of type int32 and shape"):
            store.restore_variables(sess, tmp_path / "other", {"layer.weight": n})
