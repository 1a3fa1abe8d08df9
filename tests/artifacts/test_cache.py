"""The compile cache: hits, keys, damage, eviction, several processes."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

import tensorkiln as tf
from tensorkiln.benchmarks.models import mlp
from tensorkiln.compiler import cache as cache_module
from tensorkiln.compiler import pipeline
from tensorkiln.compiler.cache import Cache, default_cache
from tensorkiln.compiler.cache_key import function_key
from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.environment import cache_folder
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.ir.parse import parse_function
from tensorkiln.compiler.pipeline import compile_function
from tensorkiln.frontends.cached import compile_onnx, model_key
from tensorkiln.frontends.cli.main import main
from tensorkiln.frontends.onnx import import_model
from tensorkiln.runtime.compiled import Compiled
from tensorkiln.runtime.jit import load_compiled

X = np.linspace(-1, 1, 200, dtype=np.float32).reshape(1, 200)
HOST = target_named("host")
MODEL = mlp(1, sizes=(200, 100))  # 80 kB of weights: too many for the model's own file


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what is compiled in earnest."""
    names: list[str] = []
    real = pipeline.generate

    def count(function: Function, *rest: object) -> Compiled:
        names.append(function.name)
        return real(function, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline, "generate", count)
    return names


def outputs(compiled: Compiled) -> np.ndarray:
    return load_compiled(compiled, 1).run({"input": X})[0]


def test_a_function_is_compiled_once(tmp_path: Path, counted: list[str]) -> None:
    cache = Cache(tmp_path / "new" / "folder")
    function = import_model(MODEL)
    first = compile_function(function, cache=cache)
    second = compile_function(import_model(MODEL), cache=Cache(cache.folder))
    assert counted == ["main"]
    assert second.manifest == first.manifest
    assert second.object_code == first.object_code
    np.testing.assert_array_equal(outputs(second), outputs(first))
    assert not second.constants.flags.writeable
    assert second.constants.ctypes.data % 64 == 0  # mapped, and used where it is
    assert cache.folder.stat().st_mode & 0o077 == 0


def test_equal_weights_are_stored_once(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for name in ("one", "two"):
        compile_function(import_model(MODEL, name=name), cache=cache)
    assert sorted(file.path.suffix for file in cache.files()) == [".data", ".model", ".model"]


def test_the_key_is_of_all_that_matters() -> None:
    text = "func @f(%a: f32[40]) -> (f32[40]) {\n  %b: f32[40] = constant() {value = f32[40] 0x"
    end = "}\n  %c: f32[40] = add(%a, %b)LOC\n  return %c\n}\n"

    def key(last: str = "00", location: str = "", target: str = "x86-64-v3") -> str:
        bits = "00" * 159 + last
        function = parse_function(text + bits + end.replace("LOC", location))
        return function_key(function, target_named(target))

    keys = [key(), key("01"), key(location=' loc("node", "m.py", 3)'), key(target="x86-64-v2")]
    assert len(set(keys)) == 4
    assert key() == keys[0]
    wide = replace(target_named("x86-64-v3"), vector_bits=128)
    assert function_key(import_model(MODEL), wide) not in keys


def test_a_known_file_is_not_read_again(
    tmp_path: Path, counted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Cache(tmp_path / "cache")
    path = tmp_path / "m.onnx"
    path.write_bytes(MODEL.SerializeToString())
    expected = outputs(compile_onnx(path, HOST, cache=cache))
    monkeypatch.delattr("tensorkiln.frontends.cached.import_model")
    np.testing.assert_array_equal(outputs(compile_onnx(path, HOST, cache=cache)), expected)
    np.testing.assert_array_equal(
        outputs(compile_onnx(path.read_bytes(), HOST, cache=cache)), expected
    )
    assert counted == ["main"]
    keys = {
        model_key(path, target, dims, name)
        for target in (HOST, target_named("x86-64"))
        for dims in ({}, {"batch": 2})
        for name in ("a", "b")
    }
    assert len(keys) == 8


def test_weights_in_other_files_are_part_of_the_key(tmp_path: Path, counted: list[str]) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(
        mlp(1, sizes=(200, 100)),
        path,
        save_as_external_data=True,
        location="m.bin",
        size_threshold=0,
    )
    assert model_key(path, HOST, {}, "main") is None
    cache = Cache(tmp_path / "cache")
    first = outputs(compile_onnx(path, HOST, cache=cache))
    outputs(compile_onnx(path, HOST, cache=cache))
    assert len(counted) == 1
    data = bytearray((tmp_path / "m.bin").read_bytes())
    data[:4] = np.float32(9).tobytes()
    (tmp_path / "m.bin").write_bytes(data)
    assert (outputs(compile_onnx(path, HOST, cache=cache)) != first).any()


@pytest.mark.parametrize("suffix", [".model", ".data"])
@pytest.mark.parametrize("damage", ["flip", "cut", "grow", "empty", "gone"])
def test_damage_is_found_and_compiled_again(
    suffix: str, damage: str, tmp_path: Path, counted: list[str]
) -> None:
    cache = Cache(tmp_path)
    function = import_model(MODEL)
    expected = outputs(compile_function(function, cache=cache))
    (file,) = [f.path for f in cache.files() if f.path.suffix == suffix]
    whole = file.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 4
    contents = {"flip": bytes(flipped), "cut": whole[:-1], "grow": whole + b"x", "empty": b""}
    file.unlink()
    if damage in contents:
        file.write_bytes(contents[damage])
    np.testing.assert_array_equal(outputs(compile_function(function, cache=cache)), expected)
    assert len(counted) == 2
    assert file.read_bytes() == whole
    compile_function(function, cache=cache)
    assert len(counted) == 2


@pytest.mark.parametrize("position", range(0, 120, 7))
def test_every_byte_of_the_start_is_checked(position: int, tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    function = parse_function("func @f(%a: f32[4]) -> (f32[4]) {\n  return %a\n}\n")
    key = function_key(function, HOST)
    compile_function(function, cache=cache)
    (file,) = cache.files()
    data = bytearray(file.path.read_bytes())
    data[position] ^= 255
    file.path.write_bytes(data)
    assert cache.load(key) is None
    assert not file.path.exists()


def test_the_longest_unused_goes_first(tmp_path: Path) -> None:
    large = Cache(tmp_path)
    keys = []
    for number in range(4):
        function = parse_function(f"func @f{number}(%a: f32[4]) -> (f32[4]) {{\n  return %a\n}}\n")
        keys.append(function_key(function, HOST))
        large.store(keys[-1], compile_function(function))
        os.utime(tmp_path / f"{keys[-1]}.model", (number, number))
    compiled = large.load(keys[0])  # used now
    assert compiled is not None
    size = max(file.bytes for file in large.files())
    Cache(tmp_path, limit=3 * size + size // 2).store("new", compiled)
    assert [large.load(key) is not None for key in [*keys, "new"]] == [
        True, False, False, True, True,
    ]  # fmt: skip


def test_leftovers_of_dead_processes_go(tmp_path: Path) -> None:
    old, fresh = tmp_path / ".old.part", tmp_path / ".fresh.part"
    for path in (old, fresh):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    function = parse_function("func @f(%a: f32[4]) -> (f32[4]) {\n  return %a\n}\n")
    compile_function(function, cache=Cache(tmp_path))
    assert not old.exists()
    assert fresh.exists()


def test_a_folder_that_others_can_write_is_not_used(tmp_path: Path, counted: list[str]) -> None:
    function = import_model(MODEL)
    compile_function(function, cache=Cache(tmp_path))
    tmp_path.chmod(0o777)
    with pytest.warns(UserWarning, match="compile cache .* others may write"):
        compile_function(function, cache=Cache(tmp_path))
    assert len(counted) == 2


def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    function = parse_function("func @f(%a: f32[4]) -> (f32[4]) {\n  return %a\n}\n")
    with pytest.warns(UserWarning, match="'f' is compiled again next time"):
        compile_function(function, cache=Cache(blocked / "cache"))


def test_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TENSORKILN_CACHE")
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    assert cache_folder() == Path("/home/someone/.cache/tensorkiln")
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert cache_folder() == Path("/elsewhere/tensorkiln")
    monkeypatch.setenv("TENSORKILN_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.setattr(cache_module, "sources_are_loaded", lambda: True)
    cache = default_cache()
    assert cache is not None
    assert cache.folder == tmp_path
    monkeypatch.setattr(cache_module, "sources_are_loaded", lambda: False)
    assert default_cache() is None
    monkeypatch.setenv("TENSORKILN_CACHE", "off")
    assert cache_folder() is None


def test_the_users_ways_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    counted: list[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("TENSORKILN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache_module, "sources_are_loaded", lambda: True)
    path = tmp_path / "m.onnx"
    path.write_bytes(MODEL.SerializeToString())
    tf.compile(path)
    tf.compile(path)
    assert len(counted) == 1
    tf.compile(path, cache=False)
    assert len(counted) == 2
    tf.export(path, tmp_path / "main.o")
    assert len(counted) == 2  # the same name: main
    for arguments, times in (([], 3), ([], 3), (["--no-cache"], 4)):
        assert main(["run", str(path), *arguments]) == 0
        assert len(counted) == times
    capsys.readouterr()
    assert main(["cache"]) == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'cache'}: 2 models, ")
    assert main(["cache", "clear", "--json"]) == 0
    assert not list((tmp_path / "cache").iterdir())


def test_sessions_use_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counted: list[str]
) -> None:
    monkeypatch.setenv("TENSORKILN_CACHE", str(tmp_path))
    monkeypatch.setattr(cache_module, "sources_are_loaded", lambda: True)
    for _ in range(2):
        with tf.Graph().as_default():
            x = tf.placeholder(tf.float32, [3], name="x")
            y = tf.sqrt(x, name="y")
            with tf.Session() as session:
                np.testing.assert_allclose(session.run(y, {x: [1, 4, 9]}), [1, 2, 3])
    assert len(counted) == 1


def test_several_processes_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from tensorkiln.compiler.cache import Cache\n"
        "from tensorkiln.compiler.ir.parse import parse_function\n"
        "from tensorkiln.compiler.pipeline import compile_function\n"
        "for n in range(6):\n"
        "  f = parse_function(f'func @f{n}(%a: f32[4]) -> (f32[4]) {{\\n  return %a\\n}}\\n')\n"
        f"  compile_function(f, cache=Cache(Path({str(tmp_path)!r}), limit=9000))\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [process.wait(300) for process in running] == [0, 0, 0]
    files = Cache(tmp_path).files()
    assert files
    assert sum(file.bytes for file in files) <= 9000 + max(file.bytes for file in files)
    assert all(Cache(tmp_path).load(file.path.stem) is not None for file in files)
