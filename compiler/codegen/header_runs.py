"""Declarations of the C functions that run a model, with the sizes that a call may choose."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from tensorkiln.compiler.codegen.header import c_identifier, comment_text
from tensorkiln.runtime.manifest import Manifest

_WIDTH = 96


@dataclass(frozen=True, slots=True)
class Run:
    """A function: its name behind the prefix, that of its structures, its tensors.

    `state` declares the argument that holds the state, empty for none; `text` is the comment.
    """

    name: str
    table: str
    manifest: Manifest
    state: str
    text: str


def comment(text: str) -> list[str]:
    """`text` as a C comment in lines of limited width."""
    lines = textwrap.wrap(text, _WIDTH - 6, break_long_words=False, break_on_hyphens=False)
    lines = [f" * {line}" for line in lines]
    lines[0] = f"/{lines[0][1:]}"
    return [*lines[:-1], f"{lines[-1]} */"]


def run_lines(prefix: str, run: Run) -> list[str]:
    """The two functions that run a model, the second with the program's own threads and memory."""
    upper = prefix.upper()
    sized = f" (or {workspace_for(prefix, run)}(...), see below)" if run.manifest.sizes else ""
    needed = (
        f"`workspace` holds at least {upper}_WORKSPACE_BYTES bytes{sized}, starts at a multiple of 64, and"
        " is used by one call at a time; with NULL the call allocates one and frees it. With a"
        " workspace a call allocates nothing, except that threads are made when they are first"
        " used. `threads` 0 means one for each processor that the process may use. Results do not"
        " depend on it."
    )
    arguments = [
        *([f"    {run.state},"] if run.state else []),
        f"    const {prefix}_{run.table}inputs *inputs,",
        f"    const {prefix}_{run.table}outputs *outputs,",
    ]
    name = f"{prefix}_{run.name}"
    return [
        *comment(f"{run.text} {needed}"),
        f"int32_t {name}(",
        *arguments,
        "    void *workspace, int32_t threads);",
        "",
        f"/* {name} with the program's own threads and memory; NULL for the built-in ones. */",
        f"int32_t {name}_with(",
        *arguments,
        f"    void *workspace, int32_t threads, const {prefix}_runtime *runtime);",
    ]


def workspace_for(prefix: str, run: Run) -> str:
    """The name of the function that gives the workspace by the sizes."""
    part = "" if run.name == "run" else f"{run.name}_"
    return f"{prefix}_{part}workspace_for"


def size_lines(prefix: str, run: Run) -> list[str]:
    """The ranges of sizes, the shapes by them, and the workspace by them; none without ranges."""
    sizes, upper = run.manifest.sizes, prefix.upper()
    if sizes is None:
        return []
    names = [c_identifier(size.name, "size") for size in sizes.ranges]
    specs = [*zip(run.manifest.inputs, sizes.inputs, strict=False)]
    results = [*zip(run.manifest.outputs, sizes.outputs, strict=True)]
    lines = [
        f"/* Sizes are chosen at each call of {prefix}_{run.name}: the size_ inputs point to one",
        " * int32_t each, and arrays are dense at these sizes, not at the largest ones, which are what",
        " * is noted above.",
        *(f" *   {comment_text(str(size))}" for size in sizes.ranges),
        *(f" *   input {comment_text(f'{spec.name} [{shape}]')}" for spec, shape in specs),
        *(f" *   output {comment_text(f'{spec.name} [{shape}]')}" for spec, shape in results),
        f" * A size out of its range gives the status {upper}_SIZE_OUT_OF_RANGE. */",
        "",
        f"/* The workspace that a call with these sizes needs; {upper}_WORKSPACE_BYTES at most. */",
        f"static inline size_t {workspace_for(prefix, run)}({', '.join(f'int32_t {n}' for n in names)}) {{",
    ]
    for part in sizes.parts:
        holds = " && ".join(
            f"{name} <= {size.maximum}" for name, size in zip(names, part.ranges, strict=True)
        )
        lines.append(f"  if ({holds}) return {part.workspace_bytes};")
    return [*lines, f"  return {upper}_WORKSPACE_BYTES;", "}", ""]
