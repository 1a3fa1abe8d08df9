"""Machine instructions that schedules ask for by name, each with its meaning."""

from __future__ import annotations

from tensorkiln.compiler.ir.dtypes import I8, I32, U8
from tensorkiln.compiler.kernel.expr import INDEX, Binary, Buffer, Convert, Index, Load, Var
from tensorkiln.compiler.kernel.index import ZERO
from tensorkiln.compiler.kernel.stmt import Instruction, Invoke, LoopKind, Store, Window, loop

PREFETCH = "prefetch"
PREFETCH_OUTER = "prefetch_outer"
TRANSPOSE = "transpose"
BYTE_DOT = "byte_dot"
BYTES = 4  # whose products one lane of a byte_dot sums


def prefetch(buffer: Buffer, index: Index, outer: bool = False) -> Invoke:
    """Asks for the cache line of `buffer[index]` to be fetched; it computes nothing.

    With `outer` it comes as near as the second-level cache: it is used later than what is there.
    """
    rank = len(buffer.shape)
    line = Buffer("line", (1,) * rank, buffer.dtype)
    kind = PREFETCH_OUTER if outer else PREFETCH
    instruction = Instruction(f"{kind}_{buffer.dtype}_{rank}", (line,), ())
    return Invoke(instruction, (Window(buffer, index),))


def byte_dot(lanes: int, total: Window, a: Window, b: Window) -> Invoke:
    """total[l] += sum of a[t] * b[l, t] over four bytes t: VPDPBUSD of AVX-512 VNNI and AVX-VNNI.

    `total` is i32, `a` is u8 and the same for all lanes, `b` is i8.
    """
    sums, left, right = (
        Buffer("total", (lanes,), I32), Buffer("a", (BYTES,), U8), Buffer("b", (lanes, BYTES), I8)
    )  # fmt: skip
    lane, byte = Var("l", INDEX, lanes), Var("t", INDEX, BYTES)
    factors = Convert(Load(left, (byte,)), I32), Convert(Load(right, (lane, byte)), I32)
    after = Binary("add", Load(sums, (lane,)), Binary("mul", *factors))
    each = loop(byte, (Store(sums, (lane,), after),), LoopKind.UNROLLED)
    body = (loop(lane, (each,), LoopKind.VECTOR),)
    return Invoke(Instruction(f"{BYTE_DOT}_{lanes}", (sums, left, right), body), (total, a, b))


def transpose(source: Buffer, result: Buffer) -> Invoke:
    """`result[j, i] = source[i, j]` of square local matrices whose rows are vectors.

    The size is a power of two.
    """
    size = source.shape[0]
    a, b = (Buffer(name, (size, size), source.dtype) for name in ("source", "result"))
    i, j = Var("i", INDEX, size), Var("j", INDEX, size)
    body = loop(i, (loop(j, (Store(b, (j, i), Load(a, (i, j))),)),))
    instruction = Instruction(f"{TRANSPOSE}_{source.dtype}_{size}", (a, b), (body,))
    return Invoke(instruction, (Window(source, (ZERO, ZERO)), Window(result, (ZERO, ZERO))))
