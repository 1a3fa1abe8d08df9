"""The C functions that map and unmap a side file of weights, as LLVM IR."""

from __future__ import annotations

from tensorkiln.compiler.codegen.literals import literal
from tensorkiln.runtime import status

WEIGHTS_HEADER_BYTES = 64


def weights_functions(prefix: str, header: bytes, constants_bytes: int) -> str:
    """`P_load_weights` and `P_unload_weights`; `@weights` points to the constants while mapped.

    The file is `header` and the constants.
    """
    size = WEIGHTS_HEADER_BYTES + constants_bytes
    return f"""
@weights = internal global ptr null
@weights.header = private unnamed_addr constant {literal(header)}
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
