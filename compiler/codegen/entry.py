"""The C functions of an artifact, as LLVM IR around the compiled bodies.

For a model with prefix P:

    int32_t P_run(...), P_run_with(...)           entry_run.py
    size_t P_workspace_size(void)
    const char *P_error(int32_t status)
    int32_t P_thread_count(int32_t requested)
    const P_tensor P_input_info[], P_output_info[]
    const char P_manifest[]
    P_load_weights, P_unload_weights              entry_weights.py; only with a side file
    P_select, P_level                             entry_cpu.py; only with several versions
    P_self_test                                   entry_self_test.py; only with test vectors
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import llvmlite.binding as llvm

from tensorkiln.compiler.codegen.entry_cpu import Version, dispatch_text
from tensorkiln.compiler.codegen.entry_run import CONSTANTS_SYMBOL, RUNTIME_TEXT, run_functions
from tensorkiln.compiler.codegen.entry_self_test import self_test_function
from tensorkiln.compiler.codegen.entry_weights import weights_functions
from tensorkiln.compiler.codegen.literals import literal
from tensorkiln.compiler.codegen.target import emit_object, machine, optimize
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.runtime import status
from tensorkiln.runtime.compiled import SelfTest
from tensorkiln.runtime.errors import UnsupportedError
from tensorkiln.runtime.manifest import Manifest, TensorSpec
from tensorkiln.runtime.processor import architecture

MANIFEST_SECTION = ".tensorkiln"


@dataclass(frozen=True, slots=True)
class Entry:
    """The entry's object code and the names in it that stay visible."""

    object_code: bytes
    public: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Contents:
    """What an artifact's C functions are made for.

    `manifest.artifact.prefix` names them. `versions` are the bodies, the lowest level first;
    `weights_header` is what a side file of weights starts with, None where they are embedded.
    """

    manifest: Manifest
    versions: tuple[Version, ...]
    weights_header: bytes | None
    self_test: SelfTest | None


def entry_object(contents: Contents, target: Target) -> Entry:
    """The C functions as object code for `target`, the lowest one of the versions."""
    assert contents.manifest.artifact is not None
    prefix = contents.manifest.artifact.prefix
    if len(contents.versions) > 1 and architecture() != "x86_64":
        raise UnsupportedError(
            "an artifact with several instruction sets needs LLVM's assembler for x86-64, which"
            f" llvmlite has on such machines only, not on {architecture()}"
        )
    module = llvm.parse_assembly(entry_text(contents))
    module.triple = target.triple
    module.data_layout = str(machine(target).target_data)
    module.verify()
    optimize(module, target)
    return Entry(
        emit_object(module, target), tuple(f"{prefix}_{name}" for name in _public(contents))
    )


def _public(contents: Contents) -> list[str]:
    names = [
        "run",
        "run_with",
        "workspace_size",
        "thread_count",
        "error",
        "input_info",
        "output_info",
        "manifest",
    ]
    if contents.weights_header is not None:
        names += ["load_weights", "unload_weights"]
    if len(contents.versions) > 1:
        names += ["select", "level"]
    if contents.self_test is not None:
        names += ["self_test"]
    return names


def entry_text(contents: Contents) -> str:
    """The LLVM IR of the entry, without triple and data layout."""
    manifest, header = contents.manifest, contents.weights_header
    assert manifest.artifact is not None
    prefix = manifest.artifact.prefix
    parts = [
        DECLARATIONS,
        _manifest_text(prefix, manifest),
        tensor_table(f"{prefix}_input_info", "input", manifest.inputs),
        tensor_table(f"{prefix}_output_info", "output", manifest.outputs),
        error_function(prefix),
        f"define i64 @{prefix}_workspace_size() {{\n  ret i64 {manifest.workspace_bytes}\n}}\n",
        f"define i32 @{prefix}_thread_count(i32 %requested) {{\n"
        "  %count = call i32 @tk_thread_count(i32 %requested)\n  ret i32 %count\n}\n",
        RUNTIME_TEXT,
        run_functions(prefix, manifest, header is not None, contents.versions),
    ]
    if len(contents.versions) > 1:
        parts.append(dispatch_text(prefix, contents.versions))
    else:
        parts.append(f"declare hidden i32 @{contents.versions[0].body}(ptr, ptr, ptr, i32)\n")
    if contents.self_test is not None:
        parts.append(self_test_function(prefix, manifest, contents.self_test))
    if header is not None:
        parts.append(weights_functions(prefix, header, manifest.constants_bytes))
    elif manifest.constants_bytes:
        parts.append(f"@{CONSTANTS_SYMBOL} = external hidden constant i8, align 64\n")
    return "\n".join(parts)


# %tensor: name, dtype, shape, bytes, rank, position of the input whose buffer an output uses or -1
DECLARATIONS = """
%tensor = type { ptr, ptr, ptr, i64, i32, i32 }
@llvm.global_dtors = appending global [2 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 65535, ptr @tk_pool_shutdown, ptr null }, { i32, ptr, ptr } { i32 65534, ptr @drop_key, ptr null }]
declare hidden i32 @tk_thread_count(i32)
declare hidden void @tk_pool_shutdown()
declare i32 @posix_memalign(ptr, i64, i64)
declare void @free(ptr)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
"""


def _manifest_text(prefix: str, manifest: Manifest) -> str:
    text = literal(manifest.to_json())
    return f'@{prefix}_manifest = constant {text}, section "{MANIFEST_SECTION}", align 1\n'


def tensor_table(name: str, kind: str, specs: Sequence[TensorSpec]) -> str:
    """A table of `%tensor`; `kind` makes the names of its parts unique."""
    lines, rows = [], []
    for index, spec in enumerate(specs):
        part = f"{kind}.{index}"
        shape = ", ".join(f"i64 {dim}" for dim in spec.shape or (1,))
        lines += [
            f"@{part}.name = private unnamed_addr constant {literal(spec.name)}",
            f"@{part}.dtype = private unnamed_addr constant {literal(spec.dtype)}",
            f"@{part}.shape = private unnamed_addr constant [{max(1, len(spec.shape))} x i64]"
            f" [{shape}]",
        ]
        alias = -1 if spec.alias is None else spec.alias
        rows.append(
            f"%tensor {{ ptr @{part}.name, ptr @{part}.dtype, ptr @{part}.shape,"
            f" i64 {spec.bytes}, i32 {len(spec.shape)}, i32 {alias} }}"
        )
    if not rows:
        rows.append("%tensor zeroinitializer")
    lines.append(f"@{name} = constant [{len(rows)} x %tensor] [{', '.join(rows)}]")
    return "\n".join(lines) + "\n"


def error_function(prefix: str) -> str:
    """`P_error`."""
    lines = [
        f"@error.{code} = private unnamed_addr constant {literal(text)}"
        for code, text in status.MESSAGES.items()
    ]
    unknown = literal("the model's code reported an error of its own")
    lines.append(f"@error.other = private unnamed_addr constant {unknown}")
    lines.append(f"define ptr @{prefix}_error(i32 %status) {{\nentry:")
    cases = " ".join(f"i32 {code}, label %is.{code}" for code in status.MESSAGES)
    lines.append(f"  switch i32 %status, label %is.other [ {cases} ]")
    for name in [*map(str, status.MESSAGES), "other"]:
        lines.append(f"is.{name}:\n  ret ptr @error.{name}")
    return "\n".join(lines) + "\n}\n"
