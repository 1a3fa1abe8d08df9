"""Objects for AArch64: their form always, their answers where an emulator and a compiler are."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from compiled.batches import (
    SAMPLES,
    arrays_of,
    batch_name,
    batches,
    build_batch,
    representative,
    shares,
)  # fmt: skip
from compiled.objects import foreign_symbols
from ops.samples import Sample, assert_agrees

from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.function import Array, Function
from tensorkiln.compiler.pipeline import compile_function
from tensorkiln.runtime.compiled import Compiled
from tensorkiln.runtime.elf import read_elf

BATCHES = batches(representative(SAMPLES, 0, 3), 48)
EMULATORS = ("qemu-aarch64", "qemu-aarch64-static")
DRIVER = Path(__file__).with_name("driver.c")


@pytest.mark.parametrize("batch", BATCHES, ids=batch_name)
def test_object_for_aarch64(batch: Sequence[Sample], tmp_path: Path) -> None:
    function = build_batch(batch)
    compiled = compile_function(function, "aarch64")
    assert read_elf(compiled.object_code, "object").architecture == "aarch64"
    assert foreign_symbols(compiled.object_code) == set()
    emulator = next(filter(None, map(shutil.which, EMULATORS)), None)
    cross = shutil.which("aarch64-linux-gnu-gcc")
    if emulator is None or cross is None:
        pytest.skip("the object is right in form; qemu-aarch64 and aarch64-linux-gnu-gcc run it")
    arrays = arrays_of(batch)
    found = _emulate(emulator, cross, compiled, function, arrays, tmp_path)
    expected = evaluate(function, arrays)
    for (sample, got), (_, want) in zip(shares(batch, found), shares(batch, expected), strict=True):
        assert_agrees(sample, got, want)


def _emulate(
    emulator: str,
    cross: str,
    compiled: Compiled,
    function: Function,
    arrays: Sequence[Array],
    folder: Path,
) -> list[Array]:
    """The results of `compiled` run by `emulator`, linked with the driver by `cross`."""
    model, program = folder / "model.o", folder / "program"
    model.write_bytes(compiled.object_code)
    command = [cross, "-O1", "-static", str(DRIVER), str(model), "-lm", "-o", str(program)]
    subprocess.run(command, check=True, timeout=60)
    results = [np.zeros(v.type.sizes, v.dtype.numpy) for v in function.results]
    blobs = [np.ascontiguousarray(a).tobytes() for a in (*arrays, *results)]
    constants = compiled.constants.tobytes()
    header = (len(blobs), len(constants), compiled.manifest.workspace_bytes, *map(len, blobs))
    source, target = folder / "source", folder / "target"
    source.write_bytes(struct.pack(f"<{len(header)}q", *header) + b"".join(blobs) + constants)
    subprocess.run([emulator, str(program), str(source), str(target)], check=True, timeout=120)
    data = target.read_bytes()[sum(map(len, blobs[: len(arrays)])) :]
    found: list[Array] = []
    for result in results:
        piece, data = data[: result.nbytes], data[result.nbytes :]
        found.append(np.frombuffer(piece, result.dtype).reshape(result.shape))
    return found
