"""Which TensorFlow names a program uses that TensorKiln lacks, found without running it."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

_VERSION = "compat.v1."
_PACKAGES = ("tensorflow", "tensorkiln")


@dataclass
class Findings:
    """What one program uses: lines by dotted name, below the package's own name.

    `missing` are names that are not there, `arguments` are `name(argument=)` that a function does
    not take.
    """

    used: dict[str, list[int]] = field(default_factory=dict)
    missing: dict[str, list[int]] = field(default_factory=dict)
    arguments: dict[str, list[int]] = field(default_factory=dict)


def examine(source: str, file: str) -> Findings:
    """Looks through a program; SyntaxError if it is no Python 3."""
    tree = ast.parse(source, file)
    visitor = _Visitor()
    visitor.find_names(tree)
    visitor.visit(tree)
    findings = Findings(used=visitor.used)
    for name, lines in visitor.used.items():
        lacking = _lacking(name)
        if lacking is not None:
            findings.missing.setdefault(lacking, []).extend(lines)
    for name, argument, line in visitor.calls:
        if _lacking(name) is None and not _takes(_resolve(name), argument):
            findings.arguments.setdefault(f"{name}({argument}=)", []).append(line)
    for found in (findings.missing, findings.arguments):
        for lines in found.values():
            lines.sort()
    return findings


class _Visitor(ast.NodeVisitor):
    """Collects dotted names that start at an import of TensorFlow, or at a name given to one."""

    def __init__(self) -> None:
        self.used: dict[str, list[int]] = {}
        self.calls: list[tuple[str, str, int]] = []
        self._names: dict[str, str] = {}
        self._root: set[str] = set()

    def find_names(self, tree: ast.AST) -> None:
        """Notes which of the program's names stand for what; assignments may build on others."""
        for node in ast.walk(tree):
            for name, path in _imported(node):
                self._names[name] = path
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and len(node.targets) == 1:
                target, known = node.targets[0], self._path(node.value)
                if isinstance(target, ast.Name) and known and target.id not in self._names:
                    self._names[target.id] = known

    def _path(self, node: ast.AST) -> str | None:
        """The dotted name that an expression stands for."""
        if isinstance(node, ast.Name):
            return self._names.get(node.id)
        if isinstance(node, ast.Attribute):
            inner = self._path(node.value)
            return None if inner is None else f"{inner}.{node.attr}".lstrip(".")
        return None

    def _note(self, path: str, line: int) -> None:
        if path:
            self.used.setdefault(path.removeprefix(_VERSION), []).append(line)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Notes the longest name; what is inside is part of it."""
        path = self._path(node)
        if path is None:
            self.generic_visit(node)
        else:
            self._note(path, node.lineno)

    def visit_Call(self, node: ast.Call) -> None:
        """Notes the named arguments."""
        path = self._path(node.func)
        if path:
            self.calls += [(path, k.arg, node.lineno) for k in node.keywords if k.arg is not None]
        self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        """Notes modules below TensorFlow."""
        for alias in node.names:
            root, _, rest = alias.name.partition(".")
            if root in _PACKAGES:
                self._note(rest, node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Notes the names imported from TensorFlow."""
        for _, path in _imported(node):
            self._note(path, node.lineno)


def _imported(node: ast.AST) -> Iterator[tuple[str, str]]:
    """The program's names and what they stand for, of an import of TensorFlow."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            root, _, rest = alias.name.partition(".")
            if root in _PACKAGES:
                yield (alias.asname, rest) if alias.asname else (root, "")
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        root, _, rest = node.module.partition(".")
        if root in _PACKAGES:
            for alias in node.names:
                if alias.name != "*":
                    yield alias.asname or alias.name, f"{rest}.{alias.name}".lstrip(".")


_ABSENT = object()


def _member(parent: Any, path: str, name: str) -> Any:
    found = getattr(parent, name, _ABSENT)
    if found is _ABSENT and isinstance(parent, ModuleType):
        try:
            found = importlib.import_module(f"tensorkiln.{path}")
        except ImportError:
            return _ABSENT
    return found


def _walk(name: str) -> tuple[Any, str | None]:
    """What the name stands for, and the first part of it that is missing.

    Only modules and classes are looked into: what an object has, its methods tell.
    """
    here: Any = importlib.import_module("tensorkiln")
    parts = name.split(".")
    for count, part in enumerate(parts, start=1):
        if not isinstance(here, ModuleType | type):
            return here, None
        path = ".".join(parts[:count])
        here = _member(here, path, part)
        if here is _ABSENT:
            return None, path
    return here, None


def _lacking(name: str) -> str | None:
    return _walk(name)[1]


def _resolve(name: str) -> Any:
    return _walk(name)[0]


def _takes(function: Any, argument: str) -> bool:
    """False if it is known that the function has no such argument."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return True
    names = {p.name for p in parameters.values() if p.kind is not p.POSITIONAL_ONLY}
    return argument in names or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
