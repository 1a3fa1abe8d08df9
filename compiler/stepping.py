"""Compiled code that is watched call by call: what each kernel read and what it wrote.

The watched code is that of `compile_function` with a call of a hook before and after each kernel,
so it has the same kernels, layouts and memory plan.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from tensorkiln.compiler.ir.function import Array, Function, Value
from tensorkiln.compiler.kernel.program import Call, Program, Slot
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.lower.layout import Layout, row_major
from tensorkiln.compiler.pipeline import PASSES, Pass, generate, lower
from tensorkiln.runtime.executable import Executable
from tensorkiln.runtime.jit import load_compiled

_HOOK = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64
)  # args, constants, workspace, place

# watch(call, its operands, its results): dense copies in the shapes of the tensor IR
Watch = Callable[[Call, list[Array], list[Array]], None]


@dataclass
class _State:
    """What the hook of one executable is to do at present."""

    watch: Watch | None = None
    operands: list[Array] = field(default_factory=list)
    error: BaseException | None = None


class Stepper:
    """`function` compiled so that its kernels can be watched."""

    def __init__(self, function: Function, target: Target, passes: Sequence[Pass] = PASSES) -> None:
        stages = lower(function, target, passes=passes, traced=True)
        self.program: Program = stages.program
        self._calls = self.program.calls
        self._state = _State()
        self._hook = _HOOK(self._trace)
        address = ctypes.cast(self._hook, ctypes.c_void_p).value or 0
        compiled = generate(function, stages, target)
        self.executable: Executable = load_compiled(compiled, 1, {"tk_trace": address})

    def run(self, arrays: Sequence[Array], watch: Watch) -> list[Array]:
        """The results for one array a parameter; `watch` sees every kernel that computes."""
        self._state = _State(watch)
        results = self.executable(*arrays)
        if self._state.error is not None:
            raise self._state.error
        return results

    def _trace(self, args: int, constants: int, workspace: int, place: int) -> None:
        """Runs inside of compiled code, where an exception would be lost."""
        state = self._state
        call = self._calls[place // 2]
        if call.op is None or state.watch is None or state.error is not None:
            return
        bases = {"constants": constants or 0, "workspace": workspace or 0}
        values = (*call.op.operands, *call.op.results)
        split = len(call.op.operands)
        try:
            if place % 2 == 0:
                state.operands = [_dense(values[k], call, k, bases, args) for k in range(split)]
                return
            results = [_dense(values[k], call, k, bases, args) for k in range(split, len(values))]
            state.watch(call, state.operands, results)
        except BaseException as error:
            state.error = error


def _dense(value: Value, call: Call, position: int, bases: dict[str, int], args: int) -> Array:
    """A copy of what lies in a call's slot, rearranged to row-major order."""
    layout = call.layouts[position]
    order = layout if isinstance(layout, Layout) else row_major(len(value.shape))
    physical = order.physical_shape(value.shape)
    dtype = value.dtype.numpy
    size = int(np.prod(physical)) * dtype.itemsize
    data = ctypes.string_at(_address(call.slots[position], bases, args), size)
    return restore(np.frombuffer(data, dtype).reshape(physical), order, value.shape)


def _address(slot: Slot, bases: dict[str, int], args: int) -> int:
    if slot.space == "argument":
        return ctypes.cast(args, ctypes.POINTER(ctypes.c_void_p))[slot.position] or 0
    return bases[slot.space] + slot.position


def restore(physical: Array, layout: Layout, shape: tuple[int, ...]) -> Array:
    """The tensor of `shape` whose memory in `layout` is `physical`; padding is dropped."""
    sizes = dict(layout.blocks)
    rank = len(shape)
    inner = {dim: rank + k for k, (dim, _) in enumerate(layout.blocks)}
    axes: list[int] = []
    padded: list[int] = []
    for dim, size in enumerate(shape):
        outer = layout.order.index(dim)
        axes.append(outer)
        if dim in inner:
            axes.append(inner[dim])
        block = sizes.get(dim, 1)
        padded.append(-(-size // block) * block)
    whole = physical.transpose(axes).reshape(padded)
    return np.ascontiguousarray(whole[tuple(slice(size) for size in shape)]).reshape(shape)
