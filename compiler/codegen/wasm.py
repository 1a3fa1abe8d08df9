"""WebAssembly objects: a model's body, its constants and its C functions as one relocatable file.

Compiled code for wasm32 is LLVM bitcode until here, since objects of that format cannot be joined
as ELF files are (objects.py). The file imports no function: loops run in one thread, the caller
brings the workspace. (Format: WebAssembly tool conventions, Linking.md.)
"""

from __future__ import annotations

import os
from pathlib import Path

import llvmlite.binding as llvm

from tensorkiln.compiler.codegen.header import c_identifier, comment_text, struct_lines
from tensorkiln.compiler.codegen.literals import literal
from tensorkiln.compiler.codegen.target import data_layout, machine, optimize
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.runtime import status
from tensorkiln.runtime.compiled import Compiled
from tensorkiln.runtime.errors import ArtifactError
from tensorkiln.runtime.manifest import Manifest

_LARGEST = 64 << 20  # constants go through LLVM's text


def wasm_object(compiled: Compiled, target: Target, prefix: str) -> bytes:
    """The object file; it defines PREFIX_run and PREFIX_workspace_size and hides all else."""
    manifest = compiled.manifest
    if manifest.constants_bytes > _LARGEST:
        raise ArtifactError(
            f"model {manifest.model!r} has {manifest.constants_bytes} bytes of weights; a wasm32"
            f" object can have {_LARGEST}"
        )
    module = llvm.parse_bitcode(compiled.object_code)
    head = f'target datalayout = "{data_layout(target)}"\ntarget triple = "{target.triple}"\n'
    module.link_in(llvm.parse_assembly(head + _entry_text(compiled, prefix)))
    module.get_function("tk_body").linkage = "internal"
    module.get_function("tk_parallel_for").linkage = "internal"
    module.verify()
    optimize(module, target)
    return bytes(machine(target).emit_object(module))


def _entry_text(compiled: Compiled, prefix: str) -> str:
    manifest = compiled.manifest
    inputs, outputs = manifest.inputs, manifest.outputs
    lines = [
        "declare i32 @tk_body(ptr, ptr, ptr, i32)",
        "define void @tk_parallel_for(ptr %fn, ptr %context, i64 %count, i32 %threads) {",
        "  call void %fn(ptr %context, i64 0, i64 %count)",
        "  ret void\n}",
        f"define i32 @{prefix}_workspace_size() {{\n  ret i32 {manifest.workspace_bytes}\n}}",
        f"@constants = internal constant {literal(bytes(compiled.constants))}, align 64",
        f"define i32 @{prefix}_run(ptr %inputs, ptr %outputs, ptr %workspace) {{",
        "entry:",
        f"  %args = alloca [{len(inputs) + len(outputs) + 1} x ptr], align 16",
    ]
    places = [("inputs", k) for k in range(len(inputs))]
    places += [("outputs", k) for k in range(len(outputs))]
    needed = [*(["inputs"] * bool(inputs)), *(["outputs"] * bool(outputs))]
    needed += ["workspace"] * bool(manifest.workspace_bytes)
    for name in needed:
        lines += [
            f"  %{name}.null = icmp eq ptr %{name}, null",
            f"  br i1 %{name}.null, label %fail, label %{name}.given",
            f"{name}.given:",
        ]
    for position, (name, number) in enumerate(places):
        lines += [
            f"  %p{position}.from = getelementptr ptr, ptr %{name}, i32 {number}",
            f"  %p{position} = load ptr, ptr %p{position}.from",
            f"  %p{position}.to = getelementptr ptr, ptr %args, i32 {position}",
            f"  store ptr %p{position}, ptr %p{position}.to",
        ]
    lines += [
        "  %status = call i32 @tk_body(ptr %args, ptr @constants, ptr %workspace, i32 1)",
        "  ret i32 %status",
    ]
    if needed:
        lines.append(f"fail:\n  ret i32 {status.NULL_ARGUMENT}")
    return "\n".join([*lines, "}", ""])


def wasm_header(manifest: Manifest, prefix: str) -> str:
    """The C header, for clang with --target=wasm32."""
    upper = prefix.upper()
    return "\n".join(
        [
            f"/* {comment_text(manifest.model)}, compiled by TensorKiln"
            f" {comment_text(manifest.compiler)} for wasm32 with simd128. Link with wasm-ld.",
            " * Tensors are dense, row-major, outermost dimension first. */",
            f"#ifndef {upper}_H",
            f"#define {upper}_H",
            "",
            "#include <stddef.h>",
            "#include <stdint.h>",
            "",
            f"#define {upper}_WORKSPACE_BYTES {manifest.workspace_bytes}",
            f"#define {upper}_OK {status.OK}",
            f"#define {upper}_NULL_ARGUMENT {status.NULL_ARGUMENT}",
            "",
            *struct_lines(f"{prefix}_inputs", manifest.inputs, "const "),
            "",
            *struct_lines(f"{prefix}_outputs", manifest.outputs, "", manifest.inputs),
            "",
            f"/* Runs the model; 0 or a status. `workspace` holds {upper}_WORKSPACE_BYTES bytes and",
            " * starts at a multiple of 64. An output that may be the same buffer as an input must be",
            " * that buffer. */",
            f"int32_t {prefix}_run(const {prefix}_inputs *inputs, const {prefix}_outputs *outputs,",
            "    void *workspace);",
            f"size_t {prefix}_workspace_size(void);",
            "",
            f"#endif /* {upper}_H */",
            "",
        ]
    )


def wasm_prefix(path: str | os.PathLike[str], prefix: str | None, model: str) -> str:
    """The prefix of the C names; ArtifactError for files that are no objects."""
    if Path(path).suffix != ".o":
        raise ArtifactError(f"{path}: for wasm32 an object file (.o) is written; wasm-ld links it")
    return prefix or c_identifier(model, "model")
