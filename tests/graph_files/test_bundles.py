"""Tensor bundles: those written here, and one that TensorFlow 2.21 wrote."""

import os
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from tensorkiln.frontends.graph.errors import DataLossError, NotFoundError
from tensorkiln.frontends.graph.files import bundle as bundles
from tensorkiln.frontends.graph.files.bundle import Bundle, write_bundle

DATA = Path(__file__).parent / "data"
KINDS = [
    "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16",
    "complex64", "complex128", "bool", ml_dtypes.bfloat16,
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_what_tensorflow_wrote(kind: str) -> None:
    name = np.dtype(kind).name
    found = Bundle(f"{DATA}/variables").read(f"kinds/{name}")
    assert found.dtype == np.dtype(kind)
    np.testing.assert_array_equal(found, np.arange(6).reshape(2, 3).astype(kind))


def test_strings_slices_and_odd_shapes_of_tensorflow() -> None:
    read = Bundle(f"{DATA}/variables").read
    assert list(read("kinds/string")) == [b"", b"\x00\xff", b"long" * 40]
    assert read("scalar").shape == ()
    assert read("scalar") == 7
    assert read("empty").shape == (0, 3)
    np.testing.assert_array_equal(read("parts"), np.arange(14).reshape(7, 2))


@pytest.mark.parametrize("kind", [*KINDS, "uint32", "uint64"])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 0, 3), (5, 7)])
def test_round_trip(kind: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    value = np.random.default_rng(1).integers(0, 2, shape).astype(kind)
    write_bundle(f"{tmp_path}/x", {"scope/v": value, "t": value.T})
    found = Bundle(f"{tmp_path}/x")
    assert found.shape("scope/v") == shape
    np.testing.assert_array_equal(found.read("scope/v"), value)
    np.testing.assert_array_equal(found.read("t"), value.T)
    assert sorted(os.listdir(tmp_path)) == ["x.data-00000-of-00001", "x.index"]


def test_strings_round_trip(tmp_path: Path) -> None:
    value = np.array([[b"", b"a" * 300], [b"\xff\x00", "\u00e9".encode()]], object)
    write_bundle(f"{tmp_path}/x", {"s": value, "none": np.empty(0, object)})
    assert Bundle(f"{tmp_path}/x").read("s").tolist() == value.tolist()
    assert Bundle(f"{tmp_path}/x").read("none").shape == (0,)


def test_missing_files_and_keys(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"Failed to find any matching files for .*nothing"):
        Bundle(f"{tmp_path}/nothing")
    write_bundle(f"{tmp_path}/x", {"v": np.ones(3)})
    with pytest.raises(NotFoundError, match="Key w not found in checkpoint"):
        Bundle(f"{tmp_path}/x").read("w")
    os.unlink(f"{tmp_path}/x.data-00000-of-00001")
    with pytest.raises(NotFoundError, match="No such file"):
        Bundle(f"{tmp_path}/x").read("v")


@pytest.mark.parametrize("kind", [object, np.float32])
def test_every_broken_byte_of_the_data_is_found(kind: type, tmp_path: Path) -> None:
    value = np.array([b"abc", b"", b"defg"], object) if kind is object else np.ones(3, kind)
    write_bundle(f"{tmp_path}/x", {"v": value})
    path = tmp_path / "x.data-00000-of-00001"
    data = path.read_bytes()
    for place in range(len(data)):
        broken = bytearray(data)
        broken[place] ^= 1
        path.write_bytes(broken)
        if kind is object and 3 <= place < 7:
            continue  # the checksum of the lengths, which the checksum of all stands for
        with pytest.raises(DataLossError):
            Bundle(f"{tmp_path}/x").read("v")
    for size in range(len(data)):
        path.write_bytes(data[:size])
        with pytest.raises(DataLossError, match="ends before"):
            Bundle(f"{tmp_path}/x").read("v")


def test_an_index_that_claims_too_much_takes_no_memory(tmp_path: Path) -> None:
    write_bundle(f"{tmp_path}/x", {"v": np.ones(3)})
    found = Bundle(f"{tmp_path}/x")
    found.entries["v"].shape.dim[0].size = 1 << 58
    with pytest.raises(DataLossError, match="has 24 bytes"):
        found.read("v")
    found.entries["v"].size = 8 << 58
    with pytest.raises(DataLossError, match="ends before"):
        found.read("v")
    found.entries["v"].slices.add().extent.add()
    with pytest.raises(DataLossError, match="slices of v are missing"):
        found.read("v")


class Crash(BaseException):
    """Ends a save as a lost process would: nothing is tidied up."""


@pytest.mark.parametrize("steps", range(12))
def test_a_crash_at_any_moment_loses_neither_old_nor_new(
    steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counts the system calls that change files and stops before one of them."""
    prefix = f"{tmp_path}/x"
    write_bundle(prefix, {"v": np.zeros(5)})
    left = steps

    def counted(name: str, module: object = os) -> None:
        original = getattr(module, name)

        def call(*arguments: object) -> object:
            nonlocal left
            if left == 0:
                raise Crash
            left -= 1
            return original(*arguments)

        monkeypatch.setattr(module, name, call)

    for name in ("replace", "fsync"):
        counted(name)
    counted("write_table", bundles)
    with monkeypatch.context() as patch:
        patch.setattr(bundles.aside, "discard", lambda path: None)
        crashed = False
        try:
            write_bundle(prefix, {"v": np.ones(5)})
        except Crash:
            crashed = True
    monkeypatch.undo()
    value = Bundle(prefix).read("v")
    assert set(value) in ({0.0}, {1.0})
    assert crashed or set(value) == {1.0}
    # The next save goes on from whatever was left.
    write_bundle(prefix, {"v": np.full(5, 2.0)})
    assert set(Bundle(prefix).read("v")) == {2.0}
    assert sorted(os.listdir(tmp_path)) == ["x.data-00000-of-00001", "x.index"]


def test_deleting_takes_what_was_left_aside_too(tmp_path: Path) -> None:
    write_bundle(f"{tmp_path}/x", {"v": np.zeros(5)})
    os.rename(f"{tmp_path}/x.index", f"{tmp_path}/x.index.next")  # as a crash may leave it
    assert Bundle(f"{tmp_path}/x").read("v").shape == (5,)
    bundles.delete_bundle(f"{tmp_path}/x")
    assert os.listdir(tmp_path) == []
