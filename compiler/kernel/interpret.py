"""The meaning of kernels: runs them, slowly and strictly, on numpy arrays.

A value is an array of lanes: one lane outside of vector loops, one an iteration inside, so that
each statement of a vector loop is done by all lanes before the next one.  The threads of a block
are generators that stop at every barrier.  What is wrong without being visible (a load out of
range, two lanes that write different values to one element, a barrier that some threads skip) is
an error here, and memory that nobody wrote holds NaN or 0xCD.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tensorkiln.compiler.kernel import meaning
from tensorkiln.compiler.kernel.expr import (
    THREADS,
    Binary,
    Bitcast,
    Buffer,
    Const,
    Convert,
    Expr,
    Fma,
    Load,
    Select,
    Unary,
    Var,
)  # fmt: skip
from tensorkiln.compiler.kernel.meaning import Lanes
from tensorkiln.compiler.kernel.stmt import (
    Alloc,
    Barrier,
    Block,
    For,
    If,
    Invoke,
    Kernel,
    Let,
    LoopKind,
    Stmt,
    Store,
    Window,
)  # fmt: skip
from tensorkiln.runtime.errors import VerifyError

_THREADS = 3  # rarely divides anything


def interpret(kernel: Kernel, arrays: Sequence[NDArray[np.generic]]) -> None:
    """Runs the kernel on its parameters' arrays, inputs first; outputs are written in place.

    The arrays' shapes and dtypes are the parameters' (ValueError otherwise).  VerifyError where
    the kernel does something that has no meaning.
    """
    if len(arrays) != len(kernel.parameters):
        raise ValueError(
            f"kernel {kernel.name} has {len(kernel.parameters)} parameters, not {len(arrays)}"
        )
    for buffer, array in zip(kernel.parameters, arrays, strict=True):
        if array.shape != buffer.shape or array.dtype != buffer.dtype.numpy:
            raise ValueError(
                f"kernel {kernel.name}: {buffer.name} is {buffer.dtype}{list(buffer.shape)}, "
                f"not {array.dtype}{list(array.shape)}"
            )
    buffers = {b.name: a for b, a in zip(kernel.parameters, arrays, strict=True)}
    frame = _Frame({THREADS.name: np.array([_THREADS])}, buffers, np.ones(1, np.bool_))
    for _ in _Interpreter(kernel.name).run(kernel.body, frame):
        raise VerifyError(f"kernel {kernel.name}: a barrier outside of thread loops")


def poison(buffer: Buffer) -> Lanes:
    """What a new buffer holds: NaN, or bytes 0xCD."""
    if buffer.dtype.is_float:
        return np.full(buffer.shape, np.nan, buffer.dtype.numpy)
    raw = np.full((*buffer.shape, buffer.dtype.bytes), 0xCD, np.uint8)
    if buffer.dtype.kind == "bool":
        return np.ones(buffer.shape, np.bool_)
    return raw.view(buffer.dtype.numpy).reshape(buffer.shape)


@dataclass(frozen=True, slots=True)
class _Frame:
    """What the statements of a block see; `mask` says which lanes are active."""

    values: dict[str, Lanes]
    buffers: dict[str, Lanes]
    mask: NDArray[np.bool_]
    threaded: bool = False

    def inner(self) -> _Frame:
        return replace(self, values=dict(self.values), buffers=dict(self.buffers))


class _Interpreter:
    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, block: Block, outer: _Frame) -> Iterator[None]:
        """Runs a block, pausing at every barrier."""
        frame = outer.inner()
        for stmt in block:
            yield from self._stmt(stmt, frame)

    def _stmt(self, stmt: Stmt, frame: _Frame) -> Iterator[None]:
        match stmt:
            case Let(var, value):
                frame.values[var.name] = self._value(value, frame)
                self._check_extent(var, frame)
            case Store(buffer, index, value, _):
                self._store(buffer, index, self._value(value, frame), frame)
            case Alloc(buffer):
                frame.buffers[buffer.name] = poison(buffer)
            case If(condition, body):
                mask = frame.mask & self._value(condition, frame)
                if mask.any():
                    yield from self.run(body, replace(frame, mask=mask))
            case Barrier():
                yield
            case Invoke():
                yield from self._invoke(stmt, frame)
            case For():
                yield from self._loop(stmt, frame)

    # Loops

    def _loop(self, loop: For, frame: _Frame) -> Iterator[None]:
        start, stop = self._uniform(loop.start, frame), self._uniform(loop.stop, frame)
        steps = range(start, stop, loop.step)
        if loop.kind is LoopKind.THREAD:
            yield from self._threads(loop, frame, steps)
        elif loop.kind is not LoopKind.VECTOR:
            for step in steps:
                yield from self.run(loop.body, self._iteration(loop, [step], frame))
        elif steps:
            if frame.mask.size != 1:
                self._fail(f"vector loop {loop.var.name} is inside of another")
            yield from self.run(loop.body, self._iteration(loop, steps, frame))

    def _iteration(self, loop: For, steps: Sequence[int], frame: _Frame) -> _Frame:
        """The frame in which the loop variable has the value of each of `steps`, a lane each."""
        inner = frame.inner()
        if loop.kind is LoopKind.VECTOR:
            inner = replace(inner, mask=np.repeat(frame.mask, len(steps)))
        inner.values[loop.var.name] = np.array(steps, np.int64)
        # Lanes may go beyond the extent: conditions then say which of them do something.
        if loop.kind is not LoopKind.VECTOR:
            self._check_extent(loop.var, inner)
        return inner

    def _threads(self, loop: For, frame: _Frame, steps: Sequence[int]) -> Iterator[None]:
        """Runs all threads from barrier to barrier; an outer thread loop waits with them."""
        iterations = [self._iteration(loop, [step], frame) for step in steps]
        threads = [self.run(loop.body, replace(inner, threaded=True)) for inner in iterations]
        while threads:
            waiting = [thread for thread in threads if next(thread, "ended") != "ended"]
            if waiting and len(waiting) != len(threads):
                self._fail(
                    f"some threads of loop {loop.var.name} skip a barrier that others wait at"
                )
            threads = waiting
            if waiting and frame.threaded:
                yield

    def _invoke(self, stmt: Invoke, frame: _Frame) -> Iterator[None]:
        if not stmt.instruction.body:  # a hint, which touches nothing
            return
        if frame.mask.size != 1:
            self._fail(f"instruction {stmt.instruction.name} inside of a vector loop")
        parameters = stmt.instruction.parameters
        buffers = {
            parameter.name: self._window(parameter, window, frame)
            for parameter, window in zip(parameters, stmt.windows, strict=True)
        }
        yield from self.run(stmt.instruction.body, replace(frame, values={}, buffers=buffers))

    def _window(self, parameter: Buffer, window: Window, frame: _Frame) -> Lanes:
        start = [self._uniform(expr, frame) for expr in window.index]
        outer = len(start) - len(parameter.shape)
        sizes = (1,) * outer + parameter.shape
        ends = [a + size for a, size in zip(start, sizes, strict=True)]
        if min(start, default=0) < 0 or any(
            end > size for end, size in zip(ends, window.buffer.shape, strict=True)
        ):
            self._fail(f"window {window.buffer.name}{start} of {list(sizes)} is out of range")
        spans = tuple(slice(a, b) for a, b in zip(start[outer:], ends[outer:], strict=True))
        # The ellipsis keeps the window of a single element a view.
        where: tuple[Any, ...] = (*start[:outer], *spans, ...)
        return np.asarray(frame.buffers[window.buffer.name][where])

    # Values

    def _value(self, expr: Expr, frame: _Frame) -> Lanes:
        match expr:
            case Const(value, dtype):
                with np.errstate(all="ignore"):
                    return np.array([value]).astype(dtype.numpy)
            case Var(name):
                return frame.values[name]
            case Load():
                return self._load(expr, frame)
            case Unary(op, x):
                return meaning.unary(op, x.dtype, self._value(x, frame))
            case Binary(op, a, b):
                return meaning.binary(op, a.dtype, self._value(a, frame), self._value(b, frame))
            case Fma(a, b, c):
                factors = self._value(a, frame), self._value(b, frame)
                return meaning.fma(c.dtype, *factors, self._value(c, frame))
            case Select(condition, a, b):
                sides = self._value(a, frame), self._value(b, frame)
                return np.asarray(np.where(self._value(condition, frame), *sides))
            case Convert(x, dtype):
                return meaning.convert(x.dtype, dtype, self._value(x, frame))
            case Bitcast(x, dtype):
                return meaning.bitcast(dtype, self._value(x, frame))

    def _load(self, load: Load, frame: _Frame) -> Lanes:
        active = frame.mask
        if load.guard is not None:
            active = active & self._value(load.guard, frame)
        where = self._element(load.buffer, load.index, active, frame)
        result = np.zeros(active.shape, load.dtype.numpy)
        result[active] = frame.buffers[load.buffer.name][where]
        return result

    def _store(self, buffer: Buffer, index: Sequence[Expr], value: Lanes, frame: _Frame) -> None:
        where = self._element(buffer, index, frame.mask, frame)
        values = np.broadcast_to(value, frame.mask.shape)[frame.mask]
        array = frame.buffers[buffer.name]
        array[where] = values if where else values[-1]
        # A lane that does not read back what it wrote was overwritten by another.
        if np.broadcast_to(array[where], values.shape).tobytes() != values.tobytes():
            self._fail(f"several lanes store different values to one element of {buffer.name}")

    def _element(
        self, buffer: Buffer, index: Sequence[Expr], active: NDArray[np.bool_], frame: _Frame
    ) -> tuple[Lanes, ...]:
        """The indices of the active lanes, checked against the buffer's shape."""
        where = []
        for expr, size in zip(index, buffer.shape, strict=True):
            axis = np.broadcast_to(self._value(expr, frame), active.shape)[active]
            where.append(axis)
            if axis.size and (axis.min() < 0 or axis.max() >= size):
                bad = int(axis[(axis < 0) | (axis >= size)][0])
                self._fail(
                    f"index {bad} of dim {len(where) - 1} is outside of "
                    f"{buffer.name}: {buffer.dtype}{list(buffer.shape)}"
                )
        return tuple(where)

    def _uniform(self, expr: Expr, frame: _Frame) -> int:
        values = np.unique(np.broadcast_to(self._value(expr, frame), frame.mask.shape)[frame.mask])
        if values.size != 1:
            self._fail(f"lanes disagree on a loop's bounds: {values.tolist()}")
        return int(values[0])

    def _check_extent(self, var: Var, frame: _Frame) -> None:
        value = np.broadcast_to(frame.values[var.name], frame.mask.shape)[frame.mask]
        if (
            var.extent is not None
            and value.size
            and not 0 <= value.min() <= value.max() < var.extent
        ):
            self._fail(f"{var.name} is {value.tolist()}, outside of its extent {var.extent}")

    def _fail(self, message: str) -> None:
        raise VerifyError(f"kernel {self.name}: {message}")
