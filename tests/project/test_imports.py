"""Imports go one way, and none is hidden inside a function."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("runtime", "compiler", "frontends", "benchmarks")

# What each part of the sources may import of the others; a module belongs to its longest prefix.
ALLOWED: dict[str, tuple[str, ...]] = {
    "runtime": (),
    "compiler.environment": (),
    "compiler.dump": ("compiler.environment",),
    "compiler.ir": ("runtime",),
    "compiler.kernel": ("compiler.ir", "runtime"),
    "compiler.ops": ("compiler.kernel", "compiler.ir", "runtime"),
    "compiler.evaluate": ("compiler.ops", "compiler.kernel", "compiler.ir", "runtime"),
    "compiler.differentiate": ("compiler.ops", "compiler.kernel", "compiler.ir", "runtime"),
    "compiler.passes": (
        "compiler.evaluate", "compiler.ops", "compiler.kernel", "compiler.ir", "runtime",
    ),
    "compiler.codegen": ("compiler.kernel", "compiler.ir", "runtime"),
    "compiler.sizes": (
        "compiler.passes", "compiler.ops", "compiler.kernel", "compiler.ir", "runtime",
    ),
    "compiler.lower": ("compiler.sizes", "compiler.ops", "compiler.kernel", "compiler.ir", "runtime"),
    "compiler.schedules": (
        "compiler.lower", "compiler.sizes", "compiler.passes", "compiler.ops",
        "compiler.kernel", "compiler.ir", "runtime",
    ),
    "compiler": ("compiler", "runtime"),
    "benchmarks": (),
    "benchmarks.examples": (),
    "benchmarks.sizes": ("benchmarks.models", "frontends", "compiler", "runtime"),
    "benchmarks.training.peers": (),
    "benchmarks.training": ("", "frontends", "compiler", "runtime"),
    "frontends.pillow": ("runtime",),
    "frontends.graph": ("frontends.pillow", "compiler", "runtime"),
    "frontends.onnx": ("frontends.pillow", "compiler", "runtime"),
    "frontends.cli.bench.peers": (),
    "frontends.cli": (
        "", "frontends.graph", "frontends.onnx", "frontends.cached", "frontends.open_dims",
        "frontends.training", "frontends.training_export", "frontends.training_rules",
        "benchmarks.models", "benchmarks.micro", "benchmarks.suite",
        "compiler", "runtime",
    ),
    "frontends.tools": ("frontends", "compiler", "runtime"),
    "frontends.api": ("", "frontends", "compiler", "runtime"),
    "frontends": ("frontends.graph", "frontends.onnx", "compiler", "runtime"),
}  # fmt: skip


def sources() -> list[Path]:
    return sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def module_of(path: Path) -> str:
    """The module's name below `tensorkiln`, with `frontends.api` for the package itself."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def part_of(module: str) -> str:
    found = [part for part in ALLOWED if module == part or module.startswith(f"{part}.")]
    return max(found, key=len)


def imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"line {node.lineno}: a relative import"
            # `from tensorkiln.compiler import ops` imports the module, not its folder alone.
            below = node.module and (ROOT / Path(*node.module.split(".")[1:])).is_dir()
            for alias in node.names if below and node.module != "tensorkiln" else ():
                yield node.lineno, f"{node.module}.{alias.name}"
            if not below or node.module == "tensorkiln":
                yield node.lineno, str(node.module)


def within(module: str, part: str) -> bool:
    if not part:  # the package itself: its version
        return module == ""
    return module == part or module.startswith(f"{part}.")


def wrong_edges(path: Path) -> list[str]:
    module = module_of(path)
    part = part_of(module)
    wrong = []
    for line, name in imports(ast.parse(path.read_text("utf-8"))):
        if name.partition(".")[0] != "tensorkiln":
            continue
        imported = name.removeprefix("tensorkiln").removeprefix(".")
        if (ROOT / "frontends" / "api" / f"{imported.partition('.')[0]}.py").exists():
            imported = f"frontends.api.{imported}"  # which the package itself is made of
        if not any(within(imported, allowed) for allowed in (part, *ALLOWED[part])):
            wrong.append(f"{path.relative_to(ROOT)}:{line}: {part} must not import {name}")
    return wrong


def test_imports_go_one_way() -> None:
    assert [edge for path in sources() for edge in wrong_edges(path)] == []


def test_no_imports_inside_functions() -> None:
    hidden = []
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                hidden += [
                    f"{path.relative_to(ROOT)}:{inner.lineno}"
                    for inner in ast.walk(node)
                    if isinstance(inner, ast.Import | ast.ImportFrom)
                ]
    assert hidden == []


@pytest.mark.parametrize(
    ("path", "line"),
    [("compiler/ops/new.py", "from tensorkiln.compiler.codegen.emit import x"),
     ("compiler/ir/new.py", "import tensorkiln.compiler.kernel.stmt"),
     ("runtime/new.py", "from tensorkiln.compiler import pipeline"),
     ("compiler/codegen/new.py", "from tensorkiln.compiler.ops import REGISTRY"),
     ("compiler/lower/new.py", "from tensorkiln.frontends.onnx import import_model")],
)  # fmt: skip
def test_a_wrong_edge_is_found(
    path: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = tmp_path / path
    new.parent.mkdir(parents=True)
    new.write_text(f"{line}\n")
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    assert len(wrong_edges(new)) == 1
