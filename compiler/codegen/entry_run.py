"""The C functions that run a model, as LLVM IR: `P_run` and `P_run_with`.

    int32_t P_run(const P_inputs *, const P_outputs *, void *workspace, int32_t threads)
    int32_t P_run_with(the same, const P_runtime *runtime)

A function over a state, such as `P_train_step`, takes the state's address before the others.

The structures of inputs and outputs hold one pointer a tensor, in order, so they are read as
arrays of pointers. `runtime` gives the program's own threads and memory for one call
(entry_runtime.py).
"""

from __future__ import annotations

from tensorkiln.compiler.codegen.entry_weights import SideFile, pointer_to
from tensorkiln.compiler.codegen.part import Part
from tensorkiln.runtime import status

_SIGNATURE = "ptr %inputs, ptr %outputs, ptr %workspace, i32 %threads"


def run_functions(prefix: str, part: Part, side: SideFile | None) -> str:
    """The two functions of `part`; with one version its body is called without asking the processor.

    They need `RUNTIME_TEXT` in their module, and `@weights` with constants in a side file.
    """
    inputs, outputs = part.manifest.inputs, part.manifest.outputs
    signature = f"ptr %state, {_SIGNATURE}" if part.has_state else _SIGNATURE
    name = f"{prefix}_{part.name}"
    lines = [
        f"define i32 @{name}({signature}) {{",
        f"  %status = call i32 @{name}_with({signature}, ptr null)",
        "  ret i32 %status\n}",
        f"define i32 @{name}_with({signature}, ptr %runtime) {{",
        "entry:",
        f"  %args = alloca [{max(1, len(inputs) + len(outputs))} x ptr], align 16",
    ]
    lines += _check("state", "%state") if part.has_state else []
    lines += _check("inputs", "%inputs") if part.fed else []
    lines += _check("outputs", "%outputs") if part.given else []
    lines += _pointers(part)
    lines += _constants(part, side)
    lines += _version(part)
    lines += _workspace(part.manifest.workspace_bytes)
    for index, spec in enumerate(outputs):
        if spec.alias is not None and spec.bytes and not part.has_state:
            lines += _alias(index, spec.alias, spec.bytes)
    lines += [
        "  %count = call i32 @tk_thread_count(i32 %threads)",
        "  %outer = call ptr @enter(ptr %runtime)",
        "  %status = call i32 %body(ptr %args, ptr %constants, ptr %space, i32 %count)",
        "  call ptr @enter(ptr %outer)",
        *_release(part.manifest.workspace_bytes),
        "  ret i32 %status",
        f"fail.null:\n  ret i32 {status.NULL_ARGUMENT}",
    ]
    return "\n".join(lines) + "\n}\n"


def _pointers(part: Part) -> list[str]:
    """The body's arguments: from the caller's structures, or places in the state."""
    inputs, outputs = part.manifest.inputs, part.manifest.outputs
    lines: list[str] = []
    fed = given = 0
    for index, spec in enumerate(inputs):
        name = f"input.{index}"
        if spec.name in part.offsets:
            lines.append(f"  %{name} = getelementptr i8, ptr %state, i64 {part.offsets[spec.name]}")
        else:
            lines += _load_pointer(name, "inputs", fed, spec.bytes > 0)
            fed += 1
        lines += _store_pointer(name, index)
    for index, spec in enumerate(outputs):
        name = f"output.{index}"
        if part.has_state and spec.alias is not None:
            lines.append(f"  %{name} = getelementptr i8, ptr %input.{spec.alias}, i64 0")
        else:
            lines += _load_pointer(name, "outputs", given, spec.bytes > 0)
            given += 1
        lines += _store_pointer(name, len(inputs) + index)
    return lines


def _check(name: str, pointer: str) -> list[str]:
    """Leave with NULL_ARGUMENT if `pointer` is null."""
    return [
        f"  %{name}.null = icmp eq ptr {pointer}, null",
        f"  br i1 %{name}.null, label %fail.null, label %{name}.given",
        f"{name}.given:",
    ]


def _load_pointer(name: str, structure: str, number: int, needed: bool) -> list[str]:
    return [
        f"  %{name}.at = getelementptr ptr, ptr %{structure}, i64 {number}",
        f"  %{name} = load ptr, ptr %{name}.at",
        *(_check(name, f"%{name}") if needed else []),
    ]


def _store_pointer(name: str, position: int) -> list[str]:
    return [
        f"  %{name}.to = getelementptr ptr, ptr %args, i64 {position}",
        f"  store ptr %{name}, ptr %{name}.to",
    ]


def _constants(part: Part, side: SideFile | None) -> list[str]:
    if not part.manifest.constants_bytes:
        return ["  %constants.all = getelementptr i8, ptr null, i64 0"]
    return [pointer_to(part.constants_symbol, "constants.all", side)]


def _version(part: Part) -> list[str]:
    """The body to call and its constants."""
    if len(part.versions) == 1:
        return [
            f"  %body = getelementptr i8, ptr @{part.versions[0].body}, i64 0",
            "  %constants = getelementptr i8, ptr %constants.all, i64 0",
        ]
    return [
        "  %version = call i32 @chosen_version()",
        "  %unsupported = icmp slt i32 %version, 0",
        "  br i1 %unsupported, label %fail.processor, label %supported",
        f"fail.processor:\n  ret i32 {status.UNSUPPORTED_PROCESSOR}",
        "supported:",
        f"  %row = getelementptr {{ ptr, i64 }}, ptr @bodies.{part.name}, i32 %version",
        "  %body = load ptr, ptr %row",
        "  %offset.at = getelementptr { ptr, i64 }, ptr %row, i32 0, i32 1",
        "  %offset = load i64, ptr %offset.at",
        "  %constants = getelementptr i8, ptr %constants.all, i64 %offset",
    ]


def body_declarations(part: Part) -> str:
    """The bodies of `part`, and a table of them where there are several."""
    lines = [f"declare hidden i32 @{v.body}(ptr, ptr, ptr, i32)" for v in part.versions]
    if len(part.versions) > 1:
        rows = ", ".join(
            f"{{ ptr, i64 }} {{ ptr @{v.body}, i64 {v.constants_at} }}" for v in part.versions
        )
        lines.append(
            f"@bodies.{part.name} = internal constant [{len(part.versions)} x {{ ptr, i64 }}]"
            f" [{rows}]"
        )
    return "\n".join(lines) + "\n"


def _workspace(size: int) -> list[str]:
    """Use the caller's workspace if there is one, or take memory for this call."""
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
        f"  %fresh = call ptr @take(ptr %runtime, i64 {size})",
        "  %none = icmp eq ptr %fresh, null",
        "  br i1 %none, label %fail.memory, label %ready",
        f"fail.memory:\n  ret i32 {status.OUT_OF_MEMORY}",
        "ready:",
        "  %space = phi ptr [ %workspace, %theirs ], [ %fresh, %ours ]",
    ]


def _release(size: int) -> list[str]:
    if not size:
        return []
    return [
        "  br i1 %given, label %finish, label %give",
        "give:",
        "  call void @give(ptr %runtime, ptr %space)",
        "  br label %finish",
        "finish:",
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
