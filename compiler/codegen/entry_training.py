"""The C functions of a training artifact as LLVM IR.

For a model with prefix P, whose state is one block of P_state_size() bytes:

    int32_t P_init(void *state)                                   the initial values
    int32_t P_train_step(void *state, inputs, outputs, workspace, threads)
    int32_t P_predict(const void *state, inputs, outputs, workspace, threads)
    int32_t P_save(const void *state, const char *path)
    int32_t P_load(void *state, const char *path)

A step and a prediction are the models `P_step_model` and `P_predict_model`, which take the state's
tensors as further inputs; the functions here put their addresses beside the caller's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tensorkiln.compiler.codegen.entry import DECLARATIONS, error_function, tensor_table
from tensorkiln.compiler.codegen.entry_cpu import Version
from tensorkiln.compiler.codegen.entry_run import RUNTIME_TEXT, run_functions
from tensorkiln.compiler.codegen.literals import literal
from tensorkiln.runtime import status
from tensorkiln.runtime.manifest import Manifest, TensorSpec

INITIAL_SYMBOL = "tk_initial"
HEADER_BYTES = 64
PUBLIC = (
    "init", "train_step", "predict", "save", "load", "state_size", "workspace_size",
    "thread_count", "error", "manifest", "train_input_info", "train_output_info",
    "predict_input_info", "predict_output_info", "state_info",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Part:
    """One function over the state: its public name, its manifest, the symbols of its code."""

    name: str
    manifest: Manifest
    body: str
    constants: str

    def fed(self, state: Mapping[str, int]) -> list[TensorSpec]:
        """The inputs that are not state."""
        return [spec for spec in self.manifest.inputs if spec.name not in state]

    def given(self) -> list[TensorSpec]:
        """The outputs that are not state."""
        return [spec for spec in self.manifest.outputs if spec.alias is None]


def training_text(
    prefix: str,
    parts: Sequence[Part],
    state: Sequence[TensorSpec],
    offsets: Mapping[str, int],
    size: int,
    header: bytes,
    manifest: str,
) -> str:
    """The module; `header` is what a file of the state starts with."""
    step, predict = parts
    workspace = max(part.manifest.workspace_bytes for part in parts)
    lines = [
        DECLARATIONS,
        RUNTIME_TEXT,
        f'@{prefix}_manifest = constant {literal(manifest)}, section ".tensorkiln.training"\n',
        error_function(prefix),
        f"define i64 @{prefix}_state_size() {{\n  ret i64 {size}\n}}\n",
        f"define i64 @{prefix}_workspace_size() {{\n  ret i64 {workspace}\n}}\n",
        f"define i32 @{prefix}_thread_count(i32 %requested) {{\n"
        "  %count = call i32 @tk_thread_count(i32 %requested)\n  ret i32 %count\n}\n",
        tensor_table(f"{prefix}_train_input_info", "train.input", step.fed(offsets)),
        tensor_table(f"{prefix}_train_output_info", "train.output", step.given()),
        tensor_table(f"{prefix}_predict_input_info", "predict.input", predict.fed(offsets)),
        tensor_table(f"{prefix}_predict_output_info", "predict.output", predict.given()),
        tensor_table(f"{prefix}_state_info", "state", state),
        _files(prefix, size, header),
    ]
    for part in parts:
        name = f"{prefix}_{part.name}"
        version = Version(part.body, 0, 0)
        lines.append(f"declare hidden i32 @{part.body}(ptr, ptr, ptr, i32)")
        if part.manifest.constants_bytes:
            lines.append(f"@{part.constants} = external hidden constant i8, align 64")
        lines.append(
            run_functions(f"{name}_model", part.manifest, False, (version,), part.constants)
        )
        lines.append(_wrapper(name, part, offsets))
    return "\n".join(lines)


def _wrapper(name: str, part: Part, offsets: Mapping[str, int]) -> str:
    inputs, outputs = part.manifest.inputs, part.manifest.outputs
    lines = [
        f"define i32 @{name}(ptr %state, ptr %inputs, ptr %outputs, ptr %workspace, i32 %threads) {{",
        "entry:",
        f"  %in = alloca [{len(inputs) + 1} x ptr], align 16",
        f"  %out = alloca [{len(outputs) + 1} x ptr], align 16",
    ]
    needed = [("state", True), ("inputs", bool(part.fed(offsets))), ("outputs", bool(part.given()))]
    for pointer, wanted in needed:
        if wanted:
            lines += [
                f"  %{pointer}.null = icmp eq ptr %{pointer}, null",
                f"  br i1 %{pointer}.null, label %fail, label %{pointer}.given",
                f"{pointer}.given:",
            ]
    fed = given = 0
    for position, spec in enumerate(inputs):
        if spec.name in offsets:
            lines.append(f"  %i{position} = getelementptr i8, ptr %state, i64 {offsets[spec.name]}")
        else:
            lines.append(f"  %i{position}.from = getelementptr ptr, ptr %inputs, i64 {fed}")
            lines.append(f"  %i{position} = load ptr, ptr %i{position}.from")
            fed += 1
        lines.append(f"  %i{position}.to = getelementptr ptr, ptr %in, i64 {position}")
        lines.append(f"  store ptr %i{position}, ptr %i{position}.to")
    for position, spec in enumerate(outputs):
        source = f"%i{spec.alias}"
        if spec.alias is None:
            lines.append(f"  %o{position}.from = getelementptr ptr, ptr %outputs, i64 {given}")
            lines.append(f"  %o{position} = load ptr, ptr %o{position}.from")
            source = f"%o{position}"
            given += 1
        lines.append(f"  %o{position}.to = getelementptr ptr, ptr %out, i64 {position}")
        lines.append(f"  store ptr {source}, ptr %o{position}.to")
    lines += [
        f"  %status = call i32 @{name}_model_run(ptr %in, ptr %out, ptr %workspace, i32 %threads)",
        "  ret i32 %status",
        f"fail:\n  ret i32 {status.NULL_ARGUMENT}",
        "}\n",
    ]
    return "\n".join(lines)


def _files(prefix: str, size: int, header: bytes) -> str:
    """P_init, P_save and P_load. A state is written beside its file, which is then replaced."""
    return f"""
@{INITIAL_SYMBOL} = external hidden constant i8, align 64
@state.header = private unnamed_addr constant {literal(header)}
@state.write = private unnamed_addr constant [3 x i8] c"wb\\00"
@state.read = private unnamed_addr constant [3 x i8] c"rb\\00"
@state.part = private unnamed_addr constant [6 x i8] c".part\\00"
declare ptr @fopen(ptr, ptr)
declare i64 @fwrite(ptr, i64, i64, ptr)
declare i64 @fread(ptr, i64, i64, ptr)
declare i32 @fclose(ptr)
declare i32 @fgetc(ptr)
declare i32 @remove(ptr)
declare i32 @rename(ptr, ptr)
declare i64 @strlen(ptr)
declare ptr @malloc(i64)
declare i32 @memcmp(ptr, ptr, i64)

define i32 @{prefix}_init(ptr %state) {{
entry:
  %null = icmp eq ptr %state, null
  br i1 %null, label %fail, label %copy
fail:
  ret i32 {status.NULL_ARGUMENT}
copy:
  call void @llvm.memcpy.p0.p0.i64(ptr %state, ptr @{INITIAL_SYMBOL}, i64 {size}, i1 false)
  ret i32 0
}}

define i32 @{prefix}_save(ptr %state, ptr %path) {{
entry:
  %no.state = icmp eq ptr %state, null
  %no.path = icmp eq ptr %path, null
  %null = or i1 %no.state, %no.path
  br i1 %null, label %fail.null, label %name
fail.null:
  ret i32 {status.NULL_ARGUMENT}
name:
  %length = call i64 @strlen(ptr %path)
  %room = add i64 %length, 6
  %part = call ptr @malloc(i64 %room)
  %none = icmp eq ptr %part, null
  br i1 %none, label %fail.memory, label %open
fail.memory:
  ret i32 {status.OUT_OF_MEMORY}
open:
  call void @llvm.memcpy.p0.p0.i64(ptr %part, ptr %path, i64 %length, i1 false)
  %end = getelementptr i8, ptr %part, i64 %length
  call void @llvm.memcpy.p0.p0.i64(ptr %end, ptr @state.part, i64 6, i1 false)
  %file = call ptr @fopen(ptr %part, ptr @state.write)
  %closed = icmp eq ptr %file, null
  br i1 %closed, label %fail.name, label %write
fail.name:
  call void @free(ptr %part)
  ret i32 {status.STATE_UNWRITABLE}
write:
  %first = call i64 @fwrite(ptr @state.header, i64 {HEADER_BYTES}, i64 1, ptr %file)
  %second = call i64 @fwrite(ptr %state, i64 {size}, i64 1, ptr %file)
  %third = call i32 @fclose(ptr %file)
  %both = and i64 %first, %second
  %whole = icmp eq i64 %both, 1
  %flushed = icmp eq i32 %third, 0
  %good = and i1 %whole, %flushed
  br i1 %good, label %publish, label %discard
publish:
  %renamed = call i32 @rename(ptr %part, ptr %path)
  %done = icmp eq i32 %renamed, 0
  br i1 %done, label %exit, label %discard
discard:
  call i32 @remove(ptr %part)
  br label %fail.name
exit:
  call void @free(ptr %part)
  ret i32 0
}}

define i32 @{prefix}_load(ptr %state, ptr %path) {{
entry:
  %header = alloca [{HEADER_BYTES} x i8], align 16
  %no.state = icmp eq ptr %state, null
  %no.path = icmp eq ptr %path, null
  %null = or i1 %no.state, %no.path
  br i1 %null, label %fail.null, label %open
fail.null:
  ret i32 {status.NULL_ARGUMENT}
open:
  %file = call ptr @fopen(ptr %path, ptr @state.read)
  %closed = icmp eq ptr %file, null
  br i1 %closed, label %fail.file, label %take
fail.file:
  ret i32 {status.STATE_UNREADABLE}
take:
  ; the state stays as it is until all of the file is there
  %memory = call ptr @malloc(i64 {size})
  %none = icmp eq ptr %memory, null
  br i1 %none, label %fail.memory, label %read
fail.memory:
  call i32 @fclose(ptr %file)
  ret i32 {status.OUT_OF_MEMORY}
read:
  %first = call i64 @fread(ptr %header, i64 {HEADER_BYTES}, i64 1, ptr %file)
  %second = call i64 @fread(ptr %memory, i64 {size}, i64 1, ptr %file)
  %more = call i32 @fgetc(ptr %file)
  call i32 @fclose(ptr %file)
  %difference = call i32 @memcmp(ptr %header, ptr @state.header, i64 {HEADER_BYTES})
  %both = and i64 %first, %second
  %whole = icmp eq i64 %both, 1
  %ended = icmp slt i32 %more, 0
  %same = icmp eq i32 %difference, 0
  %sized = and i1 %whole, %ended
  %good = and i1 %sized, %same
  br i1 %good, label %copy, label %fail.content
fail.content:
  call void @free(ptr %memory)
  ret i32 {status.STATE_MISMATCH}
copy:
  call void @llvm.memcpy.p0.p0.i64(ptr %state, ptr %memory, i64 {size}, i1 false)
  call void @free(ptr %memory)
  ret i32 0
}}
"""
