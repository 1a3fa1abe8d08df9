"""The package's description names every folder, and files stay small."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tensorkiln
from tensorkiln.compiler import pipeline

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 400


def listed(table: str, text: str) -> set[str]:
    """The strings of the list `table` in pyproject.toml (Python 3.10 cannot read TOML)."""
    found = re.search(rf"^{table} = \[(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return set(re.findall(r'"([^"]+)"', found[1]))


def test_every_folder_is_packaged() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    folders = {
        ".".join(["tensorkiln", *path.parent.relative_to(ROOT).parts])
        for top in ("compiler", "runtime", "frontends", "benchmarks")
        for path in (ROOT / top).rglob("*.py")
    }
    # The folder frontends/api is the package itself.
    api = "tensorkiln.frontends.api"
    expected = {name.replace(api, "tensorkiln", 1) for name in folders}
    assert listed("packages", text) == expected


def test_every_file_that_is_no_module_is_package_data() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    table = re.search(
        r"^\[tool\.setuptools\.package-data\]\n(.*?)\n\n", text, re.MULTILINE | re.DOTALL
    )
    assert table is not None
    patterns = {
        name: re.findall(r'"([^"]+)"', found)
        for name, found in re.findall(r'^"([^"]+)" = \[(.*?)\]', table[1], re.MULTILINE)
    }
    missing = [
        str(path.relative_to(ROOT))
        for top in ("compiler", "runtime", "frontends", "benchmarks")
        for path in (ROOT / top).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc", ".md")
        if not any(
            path.match(pattern)
            for pattern in patterns.get(
                ".".join(["tensorkiln", *path.parent.relative_to(ROOT).parts]), []
            )
        )
    ]
    assert missing == []


def test_folders_of_modules_are_packages() -> None:
    for top in ("compiler", "runtime", "frontends", "benchmarks"):
        for path in (ROOT / top).rglob("*.py"):
            assert (path.parent / "__init__.py").exists(), path.parent


def test_one_version() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert f'\nversion = "{tensorkiln.__version__}"\n' in text
    assert tensorkiln.__version__ == pipeline.VERSION


@pytest.mark.parametrize(
    "top", ["compiler", "runtime", "frontends", "benchmarks", "examples", "tests"]
)
def test_files_stay_small(top: str) -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines())
        for path in (ROOT / top).rglob("*.py")
    }
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST} == {}
