"""Artifacts that cannot be written or read: clear errors, and nothing half-written."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from artifacts.bodies import affine
from artifacts.toolchain import tool
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorkiln.compiler.codegen import artifact_files, link
from tensorkiln.compiler.codegen.artifact import write_artifact
from tensorkiln.compiler.codegen.objects import join_objects
from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.runtime.elf import read_elf
from tensorkiln.runtime.errors import ArtifactError
from tensorkiln.runtime.load import load, read_manifest

HOST = target_named("host")


def test_unknown_suffix(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"ends in one of \.so, \.a, \.o"):
        write_artifact(affine(), HOST, tmp_path / "affine.dll")


def test_missing_folder_and_folder_in_the_way(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"cannot write to .*nowhere"):
        write_artifact(affine(), HOST, tmp_path / "nowhere" / "affine.o")
    (tmp_path / "affine.o").mkdir()
    with pytest.raises(ArtifactError, match="is a folder"):
        write_artifact(affine(), HOST, tmp_path / "affine.o")
    assert os.listdir(tmp_path) == ["affine.o"]


def test_unwritable_folder(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        with pytest.raises(ArtifactError, match="cannot write to /proc"):
            write_artifact(affine(), HOST, "/proc/affine.o")
        return
    tmp_path.chmod(0o500)
    with pytest.raises(ArtifactError, match="cannot write to"):
        write_artifact(affine(), HOST, tmp_path / "affine.o")


def test_no_linker_tells_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ArtifactError, match=r"gcc or clang.*ziglang.*\.o"):
        write_artifact(affine(), HOST, tmp_path / "affine.so")
    with pytest.raises(ArtifactError, match="aarch64-linux-gnu-gcc"):
        write_artifact(
            affine(target_name="aarch64"), target_named("aarch64"), tmp_path / "affine.so"
        )
    assert os.listdir(tmp_path) == []
    write_artifact(affine(), HOST, tmp_path / "affine.o")


def test_zig_is_used_where_there_is_no_other_linker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    command = link.find_linker(target_named("aarch64"))
    assert command[1:] == ("-m", "ziglang", "cc", "-target", "aarch64-linux-gnu")


@pytest.mark.parametrize("linker", [["/does/not/exist"], ["false"]])
def test_failing_linker_leaves_nothing(tmp_path: Path, linker: list[str]) -> None:
    with pytest.raises(ArtifactError, match="the linker"):
        write_artifact(affine(), HOST, tmp_path / "affine.so", linker=linker)
    assert os.listdir(tmp_path) == []


def test_linkers_words_are_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no-such-flag"):
        write_artifact(
            affine(), HOST, tmp_path / "affine.so", linker=[tool("cc"), "-Wl,--no-such-flag"]
        )


def test_interruption_leaves_the_old_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = write_artifact(affine(), HOST, tmp_path / "affine.a")
    before = {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)}

    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(artifact_files, "write_archive", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_artifact(affine(500), HOST, written.path, weights="file")
    assert {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)} == before


def test_full_disk_is_an_artifact_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(artifact_files, "write_archive", full)
    with pytest.raises(ArtifactError, match="No space left"):
        write_artifact(affine(), HOST, tmp_path / "affine.a")
    assert os.listdir(tmp_path) == []


def test_wrong_prefix_and_wrong_weights(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="prefix 'a b'"):
        write_artifact(affine(), HOST, tmp_path / "affine.o", prefix="a b")
    with pytest.raises(ArtifactError, match="weights must be"):
        write_artifact(affine(), HOST, tmp_path / "a.o", weights="both")  # type: ignore[arg-type]
    written = write_artifact(affine(), HOST, tmp_path / "affine.o", prefix="net2")
    assert "net2_run(" in written.header.read_text()


def test_constants_of_the_wrong_size(tmp_path: Path) -> None:
    broken = replace(affine(), constants=np.zeros(12, np.uint8))
    with pytest.raises(ArtifactError, match=r"'affine'.*constants"):
        write_artifact(broken, HOST, tmp_path / "affine.o")


def test_objects_that_cannot_be_joined() -> None:
    code = affine().object_code
    with pytest.raises(ArtifactError, match="two objects define the symbol 'tk_body'"):
        join_objects([code, code], ())
    with pytest.raises(ArtifactError, match="different machines"):
        join_objects([code, affine(target_name="aarch64").object_code], ())


def test_files_that_are_no_artifacts(tmp_path: Path) -> None:
    empty, text, plain = tmp_path / "empty.so", tmp_path / "text.so", tmp_path / "plain.so"
    empty.write_bytes(b"")
    text.write_bytes(b"hello" * 100)
    plain.write_bytes(affine().object_code)
    for path, words in (
        (empty, "cannot be read"),
        (text, "not an ELF file"),
        (plain, "has no manifest"),
        (tmp_path / "missing.so", "cannot be read"),
        (tmp_path, "cannot be read"),
    ):
        with pytest.raises(ArtifactError, match=words):
            load(path)


def test_artifact_for_another_machine(tmp_path: Path) -> None:
    compiled = affine(target_name="aarch64")
    written = write_artifact(compiled, target_named("aarch64"), tmp_path / "affine.o")
    with pytest.raises(ArtifactError, match="holds code for aarch64"):
        load(written.path)


@pytest.fixture(scope="module")
def artifact_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("fuzz") / "affine.o"
    return write_artifact(affine(100), HOST, path).path.read_bytes()


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_damaged_files_never_crash_the_reader(artifact_bytes: bytes, data: st.DataObject) -> None:
    damaged = bytearray(artifact_bytes)
    for _ in range(data.draw(st.integers(0, 4))):
        # the ELF header, or the section table at the end of the file
        place = data.draw(st.integers(0, 63) | st.integers(len(damaged) - 2048, len(damaged) - 1))
        damaged[place] = data.draw(st.integers(0, 255))
    del damaged[data.draw(st.integers(0, len(damaged)) | st.just(len(damaged))) :]
    with contextlib.suppress(ArtifactError):
        read_elf(bytes(damaged), "damaged")


def test_truncated_artifact(tmp_path: Path, artifact_bytes: bytes) -> None:
    path = tmp_path / "affine.so"
    for size in range(0, len(artifact_bytes), 997):
        path.write_bytes(artifact_bytes[:size])
        with pytest.raises(ArtifactError):
            read_manifest(path)
