"""A side file of weights, and the C functions that map and unmap it, as LLVM IR."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tensorkiln.compiler.codegen.literals import literal
from tensorkiln.compiler.codegen.objects import DataSymbol
from tensorkiln.runtime import status

WEIGHTS_HEADER_BYTES = 64
_MAGIC = b"TensorKiln weights\0\1"
_ALIGNMENT = 64


@dataclass(frozen=True, slots=True, eq=False)
class SideFile:
    """A file with what would be embedded: a header, and blocks one after the other.

    `starts` tells where the block of a symbol starts behind the header, `size` how long all are
    together; `parts` are the file's bytes.
    """

    header: bytes
    starts: Mapping[str, int]
    size: int
    parts: tuple[memoryview, ...]


def side_file(data: Sequence[DataSymbol]) -> SideFile | None:
    """The file with `data`, each at a multiple of 64; None if there is none."""
    starts: dict[str, int] = {}
    parts: list[memoryview] = []
    end = 0
    for symbol in data:
        block = memoryview(symbol.data).cast("B")
        if gap := -end % _ALIGNMENT:
            parts.append(memoryview(bytes(gap)))
        starts[symbol.name] = end + gap
        parts.append(block)
        end = starts[symbol.name] + block.nbytes
    if not end:
        return None
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(part)
    header = (_MAGIC + digest.digest()).ljust(WEIGHTS_HEADER_BYTES, b"\0")
    return SideFile(header, starts, end, (memoryview(header), *parts))


def pointer_to(symbol: str, name: str, side: SideFile | None) -> str:
    """Lines that make `%name` the address of the embedded `symbol`, or of its block in `side`.

    While the side file is not mapped the function is left with WEIGHTS_NOT_LOADED.
    """
    if side is None:
        return f"  %{name} = getelementptr i8, ptr @{symbol}, i64 0"
    return f"""  %mapped = load atomic ptr, ptr @weights acquire, align 8
  %unmapped = icmp eq ptr %mapped, null
  br i1 %unmapped, label %fail.unmapped, label %is.mapped
fail.unmapped:
  ret i32 {status.WEIGHTS_NOT_LOADED}
is.mapped:
  %{name} = getelementptr i8, ptr %mapped, i64 {side.starts[symbol]}"""


def weights_functions(prefix: str, side: SideFile) -> str:
    """`P_load_weights` and `P_unload_weights`; `@weights` points behind the header while mapped."""
    size = WEIGHTS_HEADER_BYTES + side.size
    return f"""
@weights = internal global ptr null
@weights.header = private unnamed_addr constant {literal(side.header)}
declare i32 @open(ptr, i32, ...)
declare i64 @lseek(i32, i64, i32)
declare ptr @mmap(ptr, i64, i32, i32, i32, i64)
declare i32 @munmap(ptr, i64)
declare i32 @close(i32)

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
