"""Test vectors of models for ranges of sizes."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from artifacts.toolchain import tool
from artifacts.trained_models import open_mlp

from tensorkiln.compiler.codegen.artifact import write_artifact
from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.evaluate.specialize import specialize
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.ir.parse import parse_function
from tensorkiln.compiler.open_pipeline import compile_open
from tensorkiln.compiler.self_test import make_self_test, points_of
from tensorkiln.frontends.cli.main import main
from tensorkiln.runtime.errors import ArtifactError
from tensorkiln.runtime.load import run_self_test
from tensorkiln.runtime.open_sizes import OpenSizes, SizeRange


def ranges(*ends: tuple[int, int]) -> OpenSizes:
    names = ("batch", "length", "more")
    return OpenSizes(tuple(SizeRange(n, *end) for n, end in zip(names, ends, strict=False)), (), ())


@pytest.mark.parametrize(
    ("ends", "points"),
    [
        (((1, 64),), [(1,), (31,), (64,)]),
        (((0, 3),), [(0,), (2,), (3,)]),
        (((1, 2),), [(1,), (2,)]),
        (((24, 28),), [(24,), (28,)]),
        (((1, 64), (3, 9)), [(1, 3), (31, 5), (64, 9)]),
    ],
)
def test_the_ends_and_primes_between(
    ends: tuple[tuple[int, int], ...], points: list[tuple[int, ...]]
) -> None:
    assert points_of(ranges(*ends)) == points
    assert points_of(None) == [()]


def test_a_network_for_a_range(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tool("cc")
    onnx.save(open_mlp(), tmp_path / "net.onnx")
    target = tmp_path / "net.so"
    arguments = ["compile", str(tmp_path / "net.onnx"), "-o", str(target), "--self-test"]
    assert main([*arguments, "--dim", "batch=0..19", "--no-cache"]) == 0
    assert main(["verify", str(target)]) == 0
    assert "agrees   self-test" in capsys.readouterr().out
    data = target.read_bytes()
    weight = next(t for t in open_mlp().graph.initializer if t.name == "fc1.bias")
    bias = onnx.numpy_helper.to_array(weight).astype(np.float32)
    places = [match.start() for match in re.finditer(re.escape(bias.tobytes()), data)]
    assert places
    for number, place in enumerate(places):  # every part of the range has its own constants
        changed = data[:place] + (bias + 0.1).tobytes() + data[place + bias.nbytes :]
        other = tmp_path / f"changed{number}.so"
        other.write_bytes(changed)
        assert run_self_test(other) is not None
    assert main(["verify", str(other)]) == 4


def two_sizes() -> Function:
    return parse_function(
        "func @f<batch: 1..5, length: 2..7>(%x: f32[batch,length], %k: i32[length])"
        " -> (f32[batch,length], i32[length]) {\n"
        "  %a: f32[batch,length] = negate(%x)\n"
        "  %b: i32[length] = add(%k, %k)\n"
        "  return %a, %b\n}\n"
    )


def test_two_sizes_and_each_sample_counts(tmp_path: Path) -> None:
    tool("cc")
    function = two_sizes()
    host = target_named("host")
    compiled = compile_open(lambda p: specialize(function, p), list(function.symbols), host)
    test = make_self_test(lambda p: specialize(function, p), [compiled])
    assert compiled.manifest.sizes is not None
    tops = [tuple(r.maximum for r in part.ranges) for part in compiled.manifest.sizes.parts]
    assert [call.sizes for call in test.calls] == sorted({(1, 2), (3, 3), (5, 7), *tops})
    path = write_artifact(compiled, host, tmp_path / "f.so", prefix="f", self_test=test).path
    assert run_self_test(path) is None
    for number, call in enumerate(test.calls):
        first, second = call.outputs
        shifted = replace(second, values=(*second.values[:-1], second.values[-1] + 1))
        calls = list(test.calls)
        calls[number] = replace(call, outputs=(first, shifted))
        wrong = replace(test, calls=tuple(calls))
        made = write_artifact(compiled, host, tmp_path / "g.so", prefix="f", self_test=wrong)
        assert run_self_test(made.path) is not None


def test_wrong_code_for_a_range_gets_no_vectors() -> None:
    function = two_sizes()
    compiled = compile_open(
        lambda p: specialize(function, p), list(function.symbols), target_named("host")
    )
    other = parse_function(
        "func @f<batch: 1..5, length: 2..7>(%x: f32[batch,length], %k: i32[length])"
        " -> (f32[batch,length], i32[length]) {\n  return %x, %k\n}\n"
    )
    with pytest.raises(ArtifactError, match=r"fails its self-test .*batch=1, length=2"):
        make_self_test(lambda p: specialize(other, p), [compiled])
