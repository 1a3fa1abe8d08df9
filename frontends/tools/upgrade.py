"""Programs for TensorFlow 0.x, rewritten for 1.x: only what changed, formatting as it was."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tensorkiln.frontends.tools.upgrade_tables import (
    BY_HAND,
    CALLED_NOW,
    KEYWORDS,
    RENAMED,
    REORDERED,
    REUSE,
)

_PACKAGES = ("tensorflow", "tensorkiln")


@dataclass(frozen=True)
class Edit:
    """Text in place of `[start, end)`, places being (line from 1, character from 0)."""

    start: tuple[int, int]
    end: tuple[int, int]
    text: str
    note: str


@dataclass
class Upgraded:
    """A program's new text; the edits made; `errors` are lines and what a reader must do there."""

    text: str
    edits: list[Edit] = field(default_factory=list)
    errors: list[tuple[int, str]] = field(default_factory=list)


def upgrade(source: str, file: str) -> Upgraded:
    """Rewrites a program; SyntaxError if it is no Python 3."""
    visitor = _Visitor(source)
    tree = ast.parse(source, file)
    visitor.find_names(tree)
    visitor.visit(tree)
    edits = sorted(visitor.edits, key=lambda edit: (edit.start, edit.end))
    return Upgraded(_applied(visitor.lines, edits), edits, sorted(visitor.errors))


def _applied(lines: Sequence[str], edits: Sequence[Edit]) -> str:
    new = list(lines)
    for edit in reversed(edits):
        (first, start), (last, end) = edit.start, edit.end
        text = new[first - 1][:start] + edit.text + new[last - 1][end:]
        new[first - 1 : last] = [text, *[""] * (last - first)]
    return "".join(new)


class _Visitor(ast.NodeVisitor):
    """Collects the edits of a program."""

    def __init__(self, source: str) -> None:
        self.lines = io.StringIO(source, newline="").readlines()
        self.edits: list[Edit] = []
        self.errors: list[tuple[int, str]] = []
        self._names: dict[str, str] = {}
        self._tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
        self._called: set[ast.AST] = set()

    def find_names(self, tree: ast.AST) -> None:
        """Notes by which names the program knows TensorFlow; `tf` always counts."""
        self._names["tf"] = "tf"
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    root, _, rest = alias.name.partition(".")
                    if root in _PACKAGES and alias.asname:
                        self._names[alias.asname] = f"tf.{rest}".rstrip(".")
                    elif root in _PACKAGES:
                        self._names[root] = "tf"

    def _path(self, node: ast.AST) -> str | None:
        """The dotted name of an expression, TensorFlow being `tf`."""
        if isinstance(node, ast.Name):
            return self._names.get(node.id)
        if isinstance(node, ast.Attribute):
            inner = self._path(node.value)
            return None if inner is None else f"{inner}.{node.attr}"
        return None

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Renames functions and constants."""
        path = self._path(node)
        if path is None:
            self.generic_visit(node)
            return
        if path in RENAMED:
            new = RENAMED[path]
            root = _root(node)
            text = root.id + new.removeprefix(self._names[root.id]) if new.startswith(
                self._names[root.id]) else new  # fmt: skip
            self._edit(node, text, f"Renamed function {path!r} to {new!r}")
        if path in CALLED_NOW and node not in self._called:
            self._insert(self._end(node), "()", f"Changed {path!r} to {path + '()'!r}")
        if path in REORDERED and node not in self._called:
            self.errors.append(
                (node.lineno, f"{path} is not called here: where it is, its arguments must be put "
                 "in the new order by hand")
            )  # fmt: skip

    def visit_Call(self, node: ast.Call) -> None:
        """Renames and names the arguments of calls."""
        path = self._path(node.func)
        self._called.add(node.func)
        if path in BY_HAND:
            self.errors.append((node.lineno, BY_HAND[path]))
        if path in KEYWORDS:
            for keyword in node.keywords:
                if keyword.arg in KEYWORDS[path]:
                    self._rename(path, keyword, KEYWORDS[path][keyword.arg])
        if path in REORDERED:
            self._name_arguments(path, node)
        inner = node.func.value if isinstance(node.func, ast.Attribute) else None
        if (
            isinstance(inner, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "reuse_variables"
            and self._path(inner.func) == "tf.get_variable_scope"
        ):
            self.errors.append((node.lineno, REUSE))
        self.generic_visit(node)

    def _rename(self, path: str, keyword: ast.keyword, new: str) -> None:
        assert keyword.arg is not None
        start = self._place(keyword.lineno, keyword.col_offset)
        end = (start[0], start[1] + len(keyword.arg))
        note = f"Renamed keyword argument from {keyword.arg!r} to {new!r} in function {path!r}"
        self.edits.append(Edit(start, end, new, note))

    def _name_arguments(self, path: str, node: ast.Call) -> None:
        """Writes the name before each argument that is known by its place only."""
        if any(isinstance(item, ast.Starred) for item in node.args):
            self.errors.append(
                (node.lineno, f"{path} is called with *arguments, whose order has changed: name "
                 "them by hand")
            )  # fmt: skip
            return
        starts = list(self._argument_starts(node))
        for start, name in zip(starts[: len(node.args)], REORDERED[path], strict=False):
            note = f"Added keyword {name!r} to reordered function {path!r}"
            self._insert(start, f"{name}=", note)

    def _argument_starts(self, node: ast.Call) -> Iterator[tuple[int, int]]:
        """Where each argument begins, brackets around it included."""
        after = self._end(node.func)
        depth, fresh = 0, False
        for token in self._tokens:
            if token.start < after or token.type in _BLANK:
                continue
            if fresh and token.string != ")":
                yield token.start
            fresh = False
            if token.string in "([{" and token.type == tokenize.OP:
                depth += 1
                fresh = depth == 1
            elif token.string in ")]}" and token.type == tokenize.OP:
                depth -= 1
                if depth == 0:
                    return
            elif token.string == "," and depth == 1:
                fresh = True

    def _place(self, line: int, offset: int) -> tuple[int, int]:
        """A place as characters; the parser counts bytes."""
        return line, len(self.lines[line - 1].encode()[:offset].decode())

    def _end(self, node: ast.expr) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self._place(node.end_lineno, node.end_col_offset)

    def _edit(self, node: ast.expr, text: str, note: str) -> None:
        start = self._place(node.lineno, node.col_offset)
        self.edits.append(Edit(start, self._end(node), text, note))

    def _insert(self, place: tuple[int, int], text: str, note: str) -> None:
        self.edits.append(Edit(place, place, text, note))


_BLANK = (tokenize.NL, tokenize.NEWLINE, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT)


def _root(node: ast.Attribute) -> ast.Name:
    inner: ast.expr = node
    while isinstance(inner, ast.Attribute):
        inner = inner.value
    assert isinstance(inner, ast.Name)
    return inner
