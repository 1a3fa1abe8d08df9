"""Linking by `zig cc` from the Python package ziglang: for this machine and for others.

Zig builds the C library of a target when it first links for it, which takes a minute or more.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from artifacts.toolchain import STRICT
from artifacts.trained_models import open_mlp

import tensorkiln as tf
from tensorkiln.compiler.codegen.link import find_linker
from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.runtime.elf import read_elf
from tensorkiln.runtime.load import run_self_test
from tensorkiln.runtime.processor import architecture

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ziglang") is None, reason="pip install ziglang runs these"
)
ZIG = (sys.executable, "-m", "ziglang", "cc")
PROGRAM = """#include "net.h"
int main(void) { return net_self_test(2); }
"""


def program(folder: Path, triple: str, *libraries: str) -> Path:
    """A C program that runs the self-test of `net`, compiled and linked by zig."""
    (folder / "main.c").write_text(PROGRAM)
    made = folder / "main"
    command = [*ZIG, "-target", triple, "-std=c99", *STRICT, f"-I{folder}", str(folder / "main.c")]
    done = subprocess.run(
        [*command, *libraries, "-o", str(made), "-lm", "-lpthread"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return made


def test_for_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert "ziglang" in find_linker(target_named("host"))
    path = tf.export(open_mlp(), tmp_path / "net.so", dims={"batch": 3}, self_test=True).path
    monkeypatch.setattr(shutil, "which", which)
    assert run_self_test(path) is None
    made = program(tmp_path, f"{architecture()}-linux-gnu", str(path), f"-Wl,-rpath,{tmp_path}")
    assert subprocess.run([made], check=False, timeout=60).returncode == 0


@pytest.mark.parametrize("target", ["riscv64", "aarch64"])
def test_a_shared_object_for_another_machine(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert "ziglang" in find_linker(target_named(target))
    path = tf.export(open_mlp(), tmp_path / "net.so", target, dims={"batch": 1}).path
    assert read_elf(path.read_bytes(), "net.so").architecture == target


@pytest.mark.parametrize("target", ["aarch64", "riscv64"])
def test_an_emulator_runs_a_program_that_trains(target: str, tmp_path: Path) -> None:
    emulator = shutil.which(f"qemu-{target}")
    if emulator is None:
        pytest.skip(f"qemu-{target} is not installed")
    written = tf.export_training(
        open_mlp(), tmp_path / "net.a", target, loss="softmax_cross_entropy", dims={"batch": 4},
        optimizer="momentum", self_test=True,
    )  # fmt: skip
    made = program(tmp_path, f"{target}-linux-musl", str(written.path), "-static")
    assert subprocess.run([emulator, str(made)], check=False, timeout=120).returncode == 0
