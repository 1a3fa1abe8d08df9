"""C headers: identifiers out of any names, and what compilers think of the header."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from artifacts.bodies import affine, counter
from artifacts.toolchain import STRICT, output_of, tool

from tensorkiln.compiler.codegen.header import c_identifier, field_names
from tensorkiln.compiler.codegen.header_artifact import model_header
from tensorkiln.runtime.elements import ELEMENTS
from tensorkiln.runtime.manifest import ArtifactInfo, Manifest, TensorSpec


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x", "x"),
        ("x:0", "x_0"),
        ("dense/kernel:0", "dense_kernel_0"),
        ("__x__", "x"),
        ("0", "tensor_0"),
        ("", "tensor"),
        ("é", "tensor"),
        ("int", "int_"),
        ("class", "class_"),
        ("a" * 100, "a" * 60),
    ],
)
def test_identifiers(name: str, expected: str) -> None:
    assert c_identifier(name) == expected


def test_fields_have_different_names() -> None:
    specs = [TensorSpec(name, (), "f32") for name in ("a:0", "a_0", "a/0", "a_0_2")]
    assert field_names(specs) == ["a_0", "a_0_2", "a_0_3", "a_0_2_2"]


def all_dtypes() -> Manifest:
    specs = tuple(TensorSpec(f"in:{name}", (2, 3), name) for name in ELEMENTS)
    outputs = tuple(replace(spec, name=f"out {spec.name}") for spec in specs)
    return replace(
        counter().manifest,
        model="all",
        inputs=specs,
        outputs=(*outputs, TensorSpec("empty", (0,), "f32"), TensorSpec("scalar", (), "f64")),
    )


def nothing() -> Manifest:
    return replace(counter().manifest, model="nothing", inputs=(), outputs=())


@pytest.mark.parametrize("compiler", ["c99", "c++98", "c++17"])
@pytest.mark.parametrize("side_file", [False, True])
def test_header_compiles_without_warnings(tmp_path: Path, compiler: str, side_file: bool) -> None:
    lines = []
    for manifest in (affine().manifest, counter().manifest, all_dtypes(), nothing()):
        weights = f"{manifest.model}.weights" if side_file else None
        info = ArtifactInfo(c_identifier(manifest.model), weights, "00")
        text = model_header(replace(manifest, artifact=info))
        (tmp_path / f"{manifest.model}.h").write_text(text)
        lines += [f'#include "{manifest.model}.h"'] * 2
    source = tmp_path / ("main.c" if compiler == "c99" else "main.cc")
    source.write_text("\n".join([*lines, "int main(void) { return 0; }", ""]))
    command = tool("cc" if compiler == "c99" else "c++")
    extra = ["-Wno-long-long"] if compiler == "c++98" else []
    output_of(command, f"-std={compiler}", *STRICT, *extra, "-fsyntax-only", source, cwd=tmp_path)
