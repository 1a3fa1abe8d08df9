"""WebAssembly objects: their form always, their answers where a linker and node are."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from artifacts.toolchain import HERE, output_of, tool

import tensorkiln as tf
from tensorkiln.benchmarks.models import lenet
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.frontends.onnx import import_model
from tensorkiln.runtime.errors import ArtifactError

CUSTOM, IMPORT = 0, 2


def number(data: bytes, at: int) -> tuple[int, int]:
    """The LEB128 number at `at`, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def sections(data: bytes) -> Iterator[tuple[int, bytes]]:
    assert data[:8] == b"\0asm\1\0\0\0"
    at = 8
    while at < len(data):
        kind = data[at]
        size, at = number(data, at + 1)
        yield kind, data[at : at + size]
        at += size


def custom_names(data: bytes) -> list[str]:
    names = []
    for kind, content in sections(data):
        if kind == CUSTOM:
            size, at = number(content, 0)
            names.append(content[at : at + size].decode())
    return names


def test_the_form_of_an_object(tmp_path: Path) -> None:
    written = tf.export(lenet(2), tmp_path / "net.o", "wasm32")
    data = written.path.read_bytes()
    assert {"linking", "reloc.CODE", "target_features"} <= set(custom_names(data))
    (imports,) = [content for kind, content in sections(data) if kind == IMPORT]
    for foreign in (b"mem", b"tk_", b"exp", b"fma", b"__extend", b"pthread", b"malloc"):
        assert foreign not in imports.replace(b"__linear_memory", b""), foreign
    assert b"simd128" in data
    assert b"net_run" in data
    assert "int32_t net_run(" in written.header.read_text()


def test_what_cannot_be_written(tmp_path: Path) -> None:
    for name in ("net.so", "net.a"):
        with pytest.raises(ArtifactError, match="wasm-ld"):
            tf.export(lenet(2), tmp_path / name, "wasm32")
    with pytest.raises(ArtifactError, match="neither test vectors"):
        tf.export(lenet(2), tmp_path / "net.o", "wasm32", self_test=True)


@pytest.mark.skipif(importlib.util.find_spec("ziglang") is None, reason="ziglang brings wasm-ld")
def test_node_runs_it(tmp_path: Path) -> None:
    node = tool("node")
    path = tf.export(lenet(2), tmp_path / "net.o", "wasm32").path
    exports = [f"--export={name}" for name in ("net_run", "net_workspace_size", "__heap_base")]
    linked = tmp_path / "net.wasm"
    command = [sys.executable, "-m", "ziglang", "wasm-ld", "--no-entry", "-zstack-size=1048576"]
    subprocess.run([*command, *exports, str(path), "-o", str(linked)], check=True)
    x = np.random.default_rng(0).standard_normal((2, 1, 28, 28), np.float32)
    x.tofile(tmp_path / "x.f32")
    printed = output_of(node, HERE / "run_wasm.js", linked, tmp_path / "x.f32", "20")
    got = np.array(printed.split(), np.float32).reshape(2, 10)
    expected = evaluate(import_model(lenet(2)), [x])[0]
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
