"""Artifacts for other machines: their form always, their self-tests where an emulator is."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest
from artifacts.toolchain import HERE, compile_c, output_of, tool

import tensorkiln as tf
from tensorkiln.benchmarks.models import lenet
from tensorkiln.runtime.elf import read_elf
from tensorkiln.runtime.errors import ArtifactError
from tensorkiln.runtime.load import load
from tensorkiln.runtime.processor import architecture

PROGRAM = """
#include "net.h"
int main(void) { return net_self_test(2); }
"""


@pytest.mark.parametrize(("target", "flags"), [("riscv64", 0x5), ("aarch64", 0)])
def test_an_archive_and_its_self_test(target: str, flags: int, tmp_path: Path) -> None:
    tf.export(lenet(2), tmp_path / "net.a", target, name="net", self_test=True)
    written = tf.export(lenet(2), tmp_path / "net.o", target, name="net", self_test=True)
    elf = read_elf(written.path.read_bytes(), "net.o")
    assert elf.architecture == target
    assert elf.flags == flags  # for RISC-V: compressed code, doubles in registers
    names = output_of(tool("nm"), "--defined-only", "-g", tmp_path / "net.a").split()
    assert {"net_run", "net_run_with", "net_self_test", "net_error"} <= set(names)
    assert "tk_body" not in names
    with pytest.raises(ArtifactError, match=f"code for {target}"):
        load(written.path)
    cross, emulator = (shutil.which(f"{target}-linux-gnu-gcc"), shutil.which(f"qemu-{target}"))
    if cross is None or emulator is None:
        pytest.skip(f"the objects are right in form; qemu-{target} and a cross compiler run them")
    (tmp_path / "program.c").write_text(PROGRAM)
    command = [cross, f"-I{tmp_path}", str(tmp_path / "program.c"), str(tmp_path / "net.a")]
    program = str(tmp_path / "program")
    subprocess.run([*command, "-o", program, "-lm", "-lpthread", "-static"], check=True)
    assert subprocess.run([emulator, program], check=False, timeout=60).returncode == 0


@pytest.mark.skipif(architecture() != "x86_64", reason="levels are those of x86-64")
@pytest.mark.parametrize(("cpu", "level"), [("core2duo", 0), ("Nehalem", 2), ("Haswell-noTSX", 3)])
def test_levels_on_emulated_processors(cpu: str, level: int, tmp_path: Path) -> None:
    emulator = tool("qemu-x86_64")
    tf.export(lenet(5), tmp_path / "net.a", name="net", isa=("v2", "v3", "v4"), self_test=True)
    program = compile_c(tmp_path, HERE / "levels_driver.c", str(tmp_path / "net.a"))
    ran = output_of(emulator, "-cpu", cpu, program)
    status = 0 if level else 7
    assert ran.split() == [
        str(level),
        str(status),
        *(str(0 if level >= n else 7) for n in (2, 3, 4)),
    ]


def test_without_a_linker_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ArtifactError, match=r"riscv64-linux-gnu-gcc.*pip install ziglang.*\.o"):
        tf.export(lenet(1), tmp_path / "net.so", "riscv64")
