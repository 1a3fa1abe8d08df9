"""The C functions of an artifact, as LLVM IR around the compiled body.

For a model with prefix P:

    int32_t P_run(const P_inputs *, const P_outputs *, void *workspace, int32_t threads)
    size_t P_workspace_size(void)
    const char *P_error(int32_t status)
    int32_t P_thread_count(int32_t requested)
    int32_t P_load_weights(const char *path)      only with weights in a side file
    void P_unload_weights(void)
    const P_tensor P_input_info[], P_output_info[]
    const char P_manifest[]

The two structures hold one pointer a tensor, in order, so they are read as arrays of pointers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import llvmlite.binding as llvm

from tensorkiln.compiler.codegen.target import emit_object, machine, optimize
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.runtime import status
from tensorkiln.runtime.manifest import Manifest, TensorSpec

MANIFEST_SECTION = ".tensorkiln"
CONSTANTS_SYMBOL = "tk_constants"
WEIGHTS_HEADER_BYTES = 64


@dataclass(frozen=True, slots=True)
class Entry:
    """The entry's object code and the names in it that stay visible."""

    object_code: bytes
    public: tuple[str, ...]


def entry_object(manifest: Manifest, target: Target, weights_header: bytes | None) -> Entry:
    """The C functions for `manifest`, whose `artifact.prefix` names them.

    `weights_header` is what a side file of weights starts with; None where they are embedded.
    """
    assert manifest.artifact is not None
    prefix = manifest.artifact.prefix
    module = llvm.parse_assembly(entry_text(manifest, weights_header))
    module.triple = target.triple
    module.data_layout = str(machine(target).target_data)
    module.verify()
    optimize(module, target)
    names = [
        "run",
        "workspace_size",
        "thread_count",
        "error",
        "input_info",
        "output_info",
        "manifest",
    ]
    if weights_header is not None:
        names += ["load_weights", "unload_weights"]
    return Entry(emit_object(module, target), tuple(f"{prefix}_{name}" for name in names))


def entry_text(manifest: Manifest, weights_header: bytes | None) -> str:
    """The LLVM IR of the entry, without triple and data layout."""
    assert manifest.artifact is not None
    prefix = manifest.artifact.prefix
    parts = [
        _DECLARATIONS,
        _manifest_text(prefix, manifest),
        _tensor_table(f"{prefix}_input_info", "input", manifest.inputs),
        _tensor_table(f"{prefix}_output_info", "output", manifest.outputs),
        _error_function(prefix),
        f"define i64 @{prefix}_workspace_size() {{\n  ret i64 {manifest.workspace_bytes}\n}}\n",
        f"define i32 @{prefix}_thread_count(i32 %requested) {{\n"
        "  %count = call i32 @tk_thread_count(i32 %requested)\n  ret i32 %count\n}\n",
        _run_function(prefix, manifest, weights_header is not None),
    ]
    if weights_header is not None:
        size = WEIGHTS_HEADER_BYTES + manifest.constants_bytes
        parts.append(_weights_functions(prefix, weights_header, size))
    elif manifest.constants_bytes:
        parts.append(f"@{CONSTANTS_SYMBOL} = external hidden constant i8, align 64\n")
    return "\n".join(parts)


# %tensor: name, dtype, shape, bytes, rank, position of the input whose buffer an output uses or -1
_DECLARATIONS = """
%tensor = type { ptr, ptr, ptr, i64, i32, i32 }
@llvm.global_dtors = appending global [1 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 65535, ptr @tk_pool_shutdown, ptr null }]
declare hidden i32 @tk_body(ptr, ptr, ptr, i32)
declare hidden i32 @tk_thread_count(i32)
declare hidden void @tk_pool_shutdown()
declare i32 @posix_memalign(ptr, i64, i64)
declare void @free(ptr)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
"""


def _literal(text: str | bytes) -> str:
    """A NUL-terminated constant of bytes: its type and its value."""
    data = (text.encode() if isinstance(text, str) else text) + b"\0"
    plain = "".join(
        chr(byte) if 32 <= byte < 127 and byte not in (34, 92) else f"\\{byte:02X}" for byte in data
    )
    return f'[{len(data)} x i8] c"{plain}"'


def _manifest_text(prefix: str, manifest: Manifest) -> str:
    text = _literal(manifest.to_json())
    return f'@{prefix}_manifest = constant {text}, section "{MANIFEST_SECTION}", align 1\n'


def _tensor_table(name: str, kind: str, specs: Sequence[TensorSpec]) -> str:
    lines, rows = [], []
    for index, spec in enumerate(specs):
        part = f"{kind}.{index}"
        shape = ", ".join(f"i64 {dim}" for dim in spec.shape or (1,))
        lines += [
            f"@{part}.name = private unnamed_addr constant {_literal(spec.name)}",
            f"@{part}.dtype = private unnamed_addr constant {_literal(spec.dtype)}",
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


def _error_function(prefix: str) -> str:
    lines = [
        f"@error.{code} = private unnamed_addr constant {_literal(text)}"
        for code, text in status.MESSAGES.items()
    ]
    unknown = _literal("the model's code reported an error of its own")
    lines.append(f"@error.other = private unnamed_addr constant {unknown}")
    lines.append(f"define ptr @{prefix}_error(i32 %status) {{\nentry:")
    cases = " ".join(f"i32 {code}, label %is.{code}" for code in status.MESSAGES)
    lines.append(f"  switch i32 %status, label %is.other [ {cases} ]")
    for name in [*map(str, status.MESSAGES), "other"]:
        lines.append(f"is.{name}:\n  ret ptr @error.{name}")
    return "\n".join(lines) + "\n}\n"


def _run_function(prefix: str, manifest: Manifest, side_file: bool) -> str:
    inputs, outputs = manifest.inputs, manifest.outputs
    count = len(inputs) + len(outputs)
    lines = [
        f"define i32 @{prefix}_run(ptr %inputs, ptr %outputs, ptr %workspace, i32 %threads) {{",
        "entry:",
        f"  %args = alloca [{max(1, count)} x ptr], align 16",
        "  %allocated = alloca ptr",
        "  store ptr null, ptr %allocated",
    ]
    lines += _check("inputs", "%inputs") if inputs else []
    lines += _check("outputs", "%outputs") if outputs else []
    for kind, specs, first in (("input", inputs, 0), ("output", outputs, len(inputs))):
        for index, spec in enumerate(specs):
            lines += _take_pointer(kind, index, first + index, spec.bytes > 0)
    lines += _constants(manifest, side_file)
    lines += _workspace(manifest.workspace_bytes)
    for index, spec in enumerate(outputs):
        if spec.alias is not None and spec.bytes:
            lines += _alias(index, spec.alias, spec.bytes)
    lines += [
        "  %count = call i32 @tk_thread_count(i32 %threads)",
        "  %status = call i32 @tk_body(ptr %args, ptr %constants, ptr %space, i32 %count)",
        "  %owned = load ptr, ptr %allocated",
        "  call void @free(ptr %owned)",
        "  ret i32 %status",
        f"fail.null:\n  ret i32 {status.NULL_ARGUMENT}",
    ]
    return "\n".join(lines) + "\n}\n"


def _check(name: str, pointer: str) -> list[str]:
    """Leave with NULL_ARGUMENT if `pointer` is null."""
    return [
        f"  %{name}.null = icmp eq ptr {pointer}, null",
        f"  br i1 %{name}.null, label %fail.null, label %{name}.given",
        f"{name}.given:",
    ]


def _take_pointer(kind: str, index: int, position: int, needed: bool) -> list[str]:
    name = f"{kind}.{index}"
    lines = [
        f"  %{name}.at = getelementptr ptr, ptr %{kind}s, i64 {index}",
        f"  %{name} = load ptr, ptr %{name}.at",
    ]
    lines += _check(name, f"%{name}") if needed else []
    return [
        *lines,
        f"  %{name}.to = getelementptr ptr, ptr %args, i64 {position}",
        f"  store ptr %{name}, ptr %{name}.to",
    ]


def _constants(manifest: Manifest, side_file: bool) -> list[str]:
    if not side_file:
        symbol = f"@{CONSTANTS_SYMBOL}" if manifest.constants_bytes else "null"
        return [f"  %constants = getelementptr i8, ptr {symbol}, i64 0"]
    return [
        "  %constants = load atomic ptr, ptr @weights acquire, align 8",
        "  %unloaded = icmp eq ptr %constants, null",
        "  br i1 %unloaded, label %fail.unloaded, label %loaded",
        f"fail.unloaded:\n  ret i32 {status.WEIGHTS_NOT_LOADED}",
        "loaded:",
    ]


def _workspace(size: int) -> list[str]:
    """Use the caller's workspace if there is one, or allocate one for this call."""
    if not size:
        return ["  %space = getelementptr i8, ptr null, i64 0"]
    return [
        "  %given = icmp ne ptr %workspace, null",
        "  br i1 %given, label %theirs, label %ours",
        "theirs:",
        "  %address = ptrtoint ptr %workspace to i64",
        "  %low = and i64 %address, 63",
        "  %misaligned = icmp ne i64 %low, 0",
        "  br i1 %misaligned, label %fail.misaligned, label %ready",
        f"fail.misaligned:\n  ret i32 {status.MISALIGNED_WORKSPACE}",
        "ours:",
        f"  %refused = call i32 @posix_memalign(ptr %allocated, i64 64, i64 {size})",
        "  %none = icmp ne i32 %refused, 0",
        "  br i1 %none, label %fail.memory, label %got",
        f"fail.memory:\n  ret i32 {status.OUT_OF_MEMORY}",
        "got:",
        "  %fresh = load ptr, ptr %allocated",
        "  br label %ready",
        "ready:",
        "  %space = phi ptr [ %workspace, %theirs ], [ %fresh, %got ]",
    ]


def _alias(output: int, source: int, size: int) -> list[str]:
    """The body updates the output's buffer in place; fill it unless it is the input's own."""
    name = f"alias.{output}"
    return [
        f"  %{name}.same = icmp eq ptr %output.{output}, %input.{source}",
        f"  br i1 %{name}.same, label %{name}.done, label %{name}.copy",
        f"{name}.copy:",
        f"  call void @llvm.memcpy.p0.p0.i64(ptr %output.{output}, ptr %input.{source},"
        f" i64 {size}, i1 false)",
        f"  store ptr %output.{output}, ptr %input.{source}.to",
        f"  br label %{name}.done",
        f"{name}.done:",
    ]


def _weights_functions(prefix: str, header: bytes, size: int) -> str:
    return f"""
@weights = internal global ptr null
@weights.header = private unnamed_addr constant {_literal(header)}
declare i32 @open(ptr, i32, ...)
declare i64 @lseek(i32, i64, i32)
declare ptr @mmap(ptr, i64, i32, i32, i32, i64)
declare i32 @munmap(ptr, i64)
declare i32 @close(i32)
declare i32 @memcmp(ptr, ptr, i64)

define i32 @{prefix}_load_weights(ptr %path) {{
entry:
  %null = icmp eq ptr %path, null
  br i1 %null, label %fail.null, label %look
fail.null:
  ret i32 {status.NULL_ARGUMENT}
look:
  %before = load atomic ptr, ptr @weights acquire, align 8
  %already = icmp ne ptr %before, null
  br i1 %already, label %done, label %open
done:
  ret i32 0
open:
  %file = call i32 (ptr, i32, ...) @open(ptr %path, i32 524288) ; O_RDONLY | O_CLOEXEC
  %missing = icmp slt i32 %file, 0
  br i1 %missing, label %fail.file, label %measure
fail.file:
  ret i32 {status.WEIGHTS_UNREADABLE}
measure:
  %size = call i64 @lseek(i32 %file, i64 0, i32 2) ; SEEK_END
  %right.size = icmp eq i64 %size, {size}
  br i1 %right.size, label %map, label %fail.size
fail.size:
  call i32 @close(i32 %file)
  ret i32 {status.WEIGHTS_MISMATCH}
map:
  %memory = call ptr @mmap(ptr null, i64 {size}, i32 1, i32 2, i32 %file, i64 0) ; read, private
  call i32 @close(i32 %file)
  %failed = icmp eq ptr %memory, inttoptr (i64 -1 to ptr)
  br i1 %failed, label %fail.file, label %compare
compare:
  %difference = call i32 @memcmp(ptr %memory, ptr @weights.header, i64 {WEIGHTS_HEADER_BYTES})
  %same = icmp eq i32 %difference, 0
  br i1 %same, label %publish, label %fail.content
fail.content:
  call i32 @munmap(ptr %memory, i64 {size})
  ret i32 {status.WEIGHTS_MISMATCH}
publish:
  %content = getelementptr i8, ptr %memory, i64 {WEIGHTS_HEADER_BYTES}
  %exchange = cmpxchg ptr @weights, ptr null, ptr %content acq_rel monotonic
  %won = extractvalue {{ ptr, i1 }} %exchange, 1
  br i1 %won, label %done, label %lost
lost:
  call i32 @munmap(ptr %memory, i64 {size})
  ret i32 0
}}

define void @{prefix}_unload_weights() {{
entry:
  %content = atomicrmw xchg ptr @weights, ptr null acq_rel
  %none = icmp eq ptr %content, null
  br i1 %none, label %exit, label %unmap
unmap:
  %memory = getelementptr i8, ptr %content, i64 -{WEIGHTS_HEADER_BYTES}
  call i32 @munmap(ptr %memory, i64 {size})
  br label %exit
exit:
  ret void
}}
"""
