"""The C functions that run a model, as LLVM IR: `P_run` and `P_run_with`.

    int32_t P_run(const P_inputs *, const P_outputs *, void *workspace, int32_t threads)
    int32_t P_run_with(the same, const P_runtime *runtime)

The structures of inputs and outputs hold one pointer a tensor, in order, so they are read as
arrays of pointers. `runtime` gives the program's own threads and memory for one call. The bodies'
parallel loops go to `tk_share`, which finds the call's runtime under a key of pthreads. (A
thread-local variable would make shared objects depend on the dynamic linker by name.)
"""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.codegen.entry_cpu import Version
from tensorkiln.runtime import status
from tensorkiln.runtime.manifest import Manifest

CONSTANTS_SYMBOL = "tk_constants"
SHARE_SYMBOL = "tk_share"
_SIGNATURE = "ptr %inputs, ptr %outputs, ptr %workspace, i32 %threads"

# user, parallel_for, allocate, release: the order of the fields of P_runtime
RUNTIME_TEXT = """
%runtime = type { ptr, ptr, ptr, ptr }
; 1 once there is a key, which is made when a runtime is first given
@keyed = internal global i32 0
@key = internal global i32 0
@once = internal global i32 0
declare void @tk_parallel_for(ptr, ptr, i64, i32)
declare i32 @pthread_once(ptr, ptr)
declare i32 @pthread_key_create(ptr, ptr)
declare i32 @pthread_key_delete(i32)
declare ptr @pthread_getspecific(i32)
declare i32 @pthread_setspecific(i32, ptr)

define internal void @make_key() {
entry:
  %status = call i32 @pthread_key_create(ptr @key, ptr null)
  %made = icmp eq i32 %status, 0
  br i1 %made, label %tell, label %exit
tell:
  store atomic i32 1, ptr @keyed release, align 4
  br label %exit
exit:
  ret void
}

define internal void @drop_key() {
entry:
  %made = load atomic i32, ptr @keyed acquire, align 4
  %some = icmp ne i32 %made, 0
  br i1 %some, label %drop, label %exit
drop:
  %key = load i32, ptr @key
  call i32 @pthread_key_delete(i32 %key)
  br label %exit
exit:
  ret void
}

; The runtime of the run that this thread is in, or null.
define internal ptr @current() {
entry:
  %made = load atomic i32, ptr @keyed acquire, align 4
  %none = icmp eq i32 %made, 0
  br i1 %none, label %nothing, label %look
nothing:
  ret ptr null
look:
  %key = load i32, ptr @key
  %runtime = call ptr @pthread_getspecific(i32 %key)
  ret ptr %runtime
}

; Makes %runtime the current one; the one before. Without a key to be had, the built-in pool stays.
define internal ptr @enter(ptr %runtime) {
entry:
  %before = call ptr @current()
  %same = icmp eq ptr %before, %runtime
  br i1 %same, label %exit, label %change
change:
  call i32 @pthread_once(ptr @once, ptr @make_key)
  %made = load atomic i32, ptr @keyed acquire, align 4
  %some = icmp ne i32 %made, 0
  br i1 %some, label %set, label %exit
set:
  %key = load i32, ptr @key
  call i32 @pthread_setspecific(i32 %key, ptr %runtime)
  br label %exit
exit:
  ret ptr %before
}

define hidden void @tk_share(ptr %fn, ptr %context, i64 %count, i32 %threads) {
entry:
  %runtime = call ptr @current()
  %none = icmp eq ptr %runtime, null
  br i1 %none, label %ours, label %look
look:
  %share.at = getelementptr %runtime, ptr %runtime, i32 0, i32 1
  %share = load ptr, ptr %share.at
  %missing = icmp eq ptr %share, null
  br i1 %missing, label %ours, label %theirs
theirs:
  %user = load ptr, ptr %runtime
  %alone = icmp sle i64 %count, 1
  %single = icmp eq i32 %threads, 1
  %serial = or i1 %alone, %single
  br i1 %serial, label %here, label %ask
here:
  %some = icmp sgt i64 %count, 0
  br i1 %some, label %whole, label %exit
whole:
  call void %fn(ptr %context, i64 0, i64 %count)
  br label %exit
ask:
  call void %share(ptr %user, ptr %fn, ptr %context, i64 %count, i32 %threads)
  br label %exit
ours:
  call void @tk_parallel_for(ptr %fn, ptr %context, i64 %count, i32 %threads)
  br label %exit
exit:
  ret void
}

; The call's memory: the runtime's if it has any, else the C library's; null if there is none.
define internal ptr @take(ptr %runtime, i64 %size) {
entry:
  %slot = alloca ptr
  store ptr null, ptr %slot
  %none = icmp eq ptr %runtime, null
  br i1 %none, label %ours, label %look
look:
  %allocate.at = getelementptr %runtime, ptr %runtime, i32 0, i32 2
  %allocate = load ptr, ptr %allocate.at
  %missing = icmp eq ptr %allocate, null
  br i1 %missing, label %ours, label %theirs
theirs:
  %user = load ptr, ptr %runtime
  %given = call ptr %allocate(ptr %user, i64 %size, i64 64)
  ret ptr %given
ours:
  %refused = call i32 @posix_memalign(ptr %slot, i64 64, i64 %size)
  %made = load ptr, ptr %slot
  %failed = icmp ne i32 %refused, 0
  %result = select i1 %failed, ptr null, ptr %made
  ret ptr %result
}

define internal void @give(ptr %runtime, ptr %memory) {
entry:
  %none = icmp eq ptr %runtime, null
  br i1 %none, label %ours, label %look
look:
  %allocate.at = getelementptr %runtime, ptr %runtime, i32 0, i32 2
  %allocate = load ptr, ptr %allocate.at
  %missing = icmp eq ptr %allocate, null
  br i1 %missing, label %ours, label %theirs
theirs:
  %release.at = getelementptr %runtime, ptr %runtime, i32 0, i32 3
  %release = load ptr, ptr %release.at
  %keeps = icmp eq ptr %release, null
  br i1 %keeps, label %exit, label %hand
hand:
  %user = load ptr, ptr %runtime
  call void %release(ptr %user, ptr %memory)
  br label %exit
ours:
  call void @free(ptr %memory)
  br label %exit
exit:
  ret void
}
"""


def run_functions(
    prefix: str,
    manifest: Manifest,
    side_file: bool,
    versions: Sequence[Version],
    constants: str = CONSTANTS_SYMBOL,
) -> str:
    """`P_run` and `P_run_with`; with one version its body is called without asking the processor.

    They need `RUNTIME_TEXT` in their module; `constants` is the symbol of embedded constants.
    """
    inputs, outputs = manifest.inputs, manifest.outputs
    count = len(inputs) + len(outputs)
    lines = [
        f"define i32 @{prefix}_run({_SIGNATURE}) {{",
        f"  %status = call i32 @{prefix}_run_with({_SIGNATURE}, ptr null)",
        "  ret i32 %status\n}",
        f"define i32 @{prefix}_run_with({_SIGNATURE}, ptr %runtime) {{",
        "entry:",
        f"  %args = alloca [{max(1, count)} x ptr], align 16",
    ]
    lines += _check("inputs", "%inputs") if inputs else []
    lines += _check("outputs", "%outputs") if outputs else []
    for kind, specs, first in (("input", inputs, 0), ("output", outputs, len(inputs))):
        for index, spec in enumerate(specs):
            lines += _take_pointer(kind, index, first + index, spec.bytes > 0)
    lines += _constants(manifest, side_file, constants)
    lines += _version(versions)
    lines += _workspace(manifest.workspace_bytes)
    for index, spec in enumerate(outputs):
        if spec.alias is not None and spec.bytes:
            lines += _alias(index, spec.alias, spec.bytes)
    lines += [
        "  %count = call i32 @tk_thread_count(i32 %threads)",
        "  %outer = call ptr @enter(ptr %runtime)",
        "  %status = call i32 %body(ptr %args, ptr %constants, ptr %space, i32 %count)",
        "  call ptr @enter(ptr %outer)",
        *_release(manifest.workspace_bytes),
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


def _constants(manifest: Manifest, side_file: bool, name: str) -> list[str]:
    if not side_file:
        symbol = f"@{name}" if manifest.constants_bytes else "null"
        return [f"  %constants.all = getelementptr i8, ptr {symbol}, i64 0"]
    return [
        "  %constants.all = load atomic ptr, ptr @weights acquire, align 8",
        "  %unloaded = icmp eq ptr %constants.all, null",
        "  br i1 %unloaded, label %fail.unloaded, label %loaded",
        f"fail.unloaded:\n  ret i32 {status.WEIGHTS_NOT_LOADED}",
        "loaded:",
    ]


def _version(versions: Sequence[Version]) -> list[str]:
    """The body to call and its constants."""
    if len(versions) == 1:
        return [
            f"  %body = getelementptr i8, ptr @{versions[0].body}, i64 0",
            "  %constants = getelementptr i8, ptr %constants.all, i64 0",
        ]
    return [
        "  %version = call i32 @chosen_version()",
        "  %unsupported = icmp slt i32 %version, 0",
        "  br i1 %unsupported, label %fail.processor, label %supported",
        f"fail.processor:\n  ret i32 {status.UNSUPPORTED_PROCESSOR}",
        "supported:",
        "  %row = getelementptr { ptr, i64, i32 }, ptr @versions, i32 %version",
        "  %body = load ptr, ptr %row",
        "  %offset.at = getelementptr { ptr, i64, i32 }, ptr %row, i32 0, i32 1",
        "  %offset = load i64, ptr %offset.at",
        "  %constants = getelementptr i8, ptr %constants.all, i64 %offset",
    ]


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
