"""Loops and branches of a program as LLVM blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llvmlite import ir

from tensorkiln.compiler.kernel.program import Branch, Call, Loop, Slot, Step

_I8, _I32 = ir.IntType(8), ir.IntType(32)


def emit_steps(
    builder: ir.IRBuilder,
    steps: Sequence[Step],
    address: Callable[[Slot], ir.Value],
    call: Callable[[Call], None],
) -> None:
    """Emits `steps` in order; `address` gives a slot's place in memory, `call` emits a call.

    Predicates and indices are read from memory, where the kernels before have left them.
    """
    for step in steps:
        match step:
            case Call():
                call(step)
            case Loop():
                _loop(builder, step, address, call)
            case Branch():
                _branch(builder, step, address, call)


def _loop(
    builder: ir.IRBuilder,
    step: Loop,
    address: Callable[[Slot], ir.Value],
    call: Callable[[Call], None],
) -> None:
    test, body, after = map(builder.append_basic_block, ("test", "body", "after"))
    builder.branch(test)
    builder.position_at_end(test)
    emit_steps(builder, step.condition, address, call)
    byte = builder.load(address(step.predicate), typ=_I8)
    builder.cbranch(builder.icmp_unsigned("!=", byte, ir.Constant(_I8, 0)), body, after)
    builder.position_at_end(body)
    emit_steps(builder, step.body, address, call)
    builder.branch(test)
    builder.position_at_end(after)


def _branch(
    builder: ir.IRBuilder,
    step: Branch,
    address: Callable[[Slot], ir.Value],
    call: Callable[[Call], None],
) -> None:
    index = builder.load(address(step.index), typ=_I32, align=4)
    blocks = [builder.append_basic_block(f"branch{k}") for k in range(len(step.branches))]
    after = builder.append_basic_block("after")
    switch = builder.switch(index, blocks[-1])
    for number, block in enumerate(blocks):
        if number < len(blocks) - 1:
            switch.add_case(ir.Constant(_I32, number), block)
        builder.position_at_end(block)
        emit_steps(builder, step.branches[number], address, call)
        builder.branch(after)
    builder.position_at_end(after)
