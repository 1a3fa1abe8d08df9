"""The C functions of a state that is trained, as LLVM IR.

For a model with prefix P, whose state is one block of P_state_size() bytes:

    int32_t P_init(void *state)                     the initial values
    int32_t P_save(const void *state, const char *path)
    int32_t P_load(void *state, const char *path)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tensorkiln.compiler.codegen.entry_weights import SideFile, pointer_to
from tensorkiln.compiler.codegen.literals import literal
from tensorkiln.runtime import status
from tensorkiln.runtime.manifest import TensorSpec

INITIAL_SYMBOL = "tk_initial"
STATE_HEADER_BYTES = 64


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """The tensors of a state, its block with the initial values, and what its files start with."""

    specs: tuple[TensorSpec, ...]
    initial: npt.NDArray[np.uint8]
    header: bytes


def state_functions(prefix: str, state: State, side: SideFile | None = None) -> str:
    """The functions. A state is written beside its file, which is then replaced.

    Initial values are at `INITIAL_SYMBOL`, or in `side`, which must then be mapped for `P_init`.
    """
    size = state.initial.nbytes
    embedded = (
        "" if side is not None else f"@{INITIAL_SYMBOL} = external hidden constant i8, align 64"
    )
    return f"""
define i64 @{prefix}_state_size() {{
  ret i64 {size}
}}

{embedded}
@state.header = private unnamed_addr constant {literal(state.header)}
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

define i32 @{prefix}_init(ptr %state) {{
entry:
  %null = icmp eq ptr %state, null
  br i1 %null, label %fail, label %copy
fail:
  ret i32 {status.NULL_ARGUMENT}
copy:
{pointer_to(INITIAL_SYMBOL, "initial", side)}
  call void @llvm.memcpy.p0.p0.i64(ptr %state, ptr %initial, i64 {size}, i1 false)
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
  %first = call i64 @fwrite(ptr @state.header, i64 {STATE_HEADER_BYTES}, i64 1, ptr %file)
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
  %header = alloca [{STATE_HEADER_BYTES} x i8], align 16
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
  %first = call i64 @fread(ptr %header, i64 {STATE_HEADER_BYTES}, i64 1, ptr %file)
  %second = call i64 @fread(ptr %memory, i64 {size}, i64 1, ptr %file)
  %more = call i32 @fgetc(ptr %file)
  call i32 @fclose(ptr %file)
  %difference = call i32 @memcmp(ptr %header, ptr @state.header, i64 {STATE_HEADER_BYTES})
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
