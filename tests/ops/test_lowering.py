"""Each op's lowering, in the plainest loops there are, means what numpy expects.

The kernel interpreter fails on every read and write out of range, so guards are checked as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest
from ops.samples import Sample, all_samples, assert_agrees, build

from tensorkiln.compiler.ir.function import Array, Op
from tensorkiln.compiler.kernel.expr import Convert, Expr, Index, Load
from tensorkiln.compiler.kernel.interpret import interpret
from tensorkiln.compiler.kernel.stmt import Kernel, LoopKind
from tensorkiln.compiler.lower.body import Body, place_for
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.ops.record import Element, Loops, Reduction

KINDS = (Element, Reduction, Loops)


def _has_kernel(sample: Sample) -> bool:
    """True unless the op is made of others, or of complex numbers, whose parts kernels see."""
    (op,) = build(sample).ops
    real = not any(v.dtype.is_complex for v in (*op.operands, *op.results))
    return real and isinstance(REGISTRY[op.name].lowering, KINDS)


SAMPLES = [s for s in all_samples() if _has_kernel(s)]


@contextmanager
def _nest(body: Body, shape: Sequence[int], last: LoopKind) -> Iterator[Index]:
    with ExitStack() as loops:
        kinds = [LoopKind.SERIAL] * (len(shape) - 1) + [last]
        yield tuple(
            loops.enter_context(body.over(size, kind))
            for size, kind in zip(shape, kinds, strict=False)
        )


def _element(body: Body, op: Op, lowering: Element) -> None:
    with _nest(body, op.result.shape, LoopKind.VECTOR) as index:
        body.write(0, index, lowering.element(body, op, index))


def _reduction(body: Body, op: Op, lowering: Reduction) -> None:
    with _nest(body, op.results[0].shape, LoopKind.SERIAL) as index:
        start = lowering.initial(op)
        states = [body.local((), value.dtype) for value in start]
        for buffer, value in zip(states, start, strict=True):
            body.store(buffer, (), value)
        with ExitStack() as inside:
            inner = inside.enter_context(_nest(body, lowering.extents(op), LoopKind.SERIAL))
            valid = lowering.valid(op, index, inner)
            if valid is not None:
                inside.enter_context(body.when(valid))
            member = lowering.element(body, op, index, inner)
            held: tuple[Expr, ...] = tuple(body.let(Load(buffer, ())) for buffer in states)
            for buffer, value in zip(states, lowering.combine(body, op, held, member), strict=True):
                body.store(buffer, (), body.let(value))
        for number, (buffer, result) in enumerate(zip(states, op.results, strict=True)):
            body.write(number, index, Convert(Load(buffer, ()), result.dtype))


def naive_kernel(op: Op) -> Kernel:
    """The kernel of one op: loops over the result's dims, no schedule."""
    operands = list(dict.fromkeys(op.operands))
    places = {v: place_for(v) for v in (*operands, *op.results)}
    body = Body(places, {})
    body.current_op = op
    match REGISTRY[op.name].lowering:
        case Element() as lowering:
            _element(body, op, lowering)
        case Reduction() as lowering:
            _reduction(body, op, lowering)
        case Loops(build_loops, over):
            if over is not None:
                with _nest(body, op.result.shape, LoopKind.SERIAL) as index:
                    body.write(0, index, body.read(op.operands[over], index))
            build_loops(body, op)
    buffers = tuple(place.buffer for place in places.values())
    return Kernel(op.name, buffers, len(op.results), body.finish())


def _run(op: Op, arrays: Sequence[Array]) -> list[Array]:
    results = [np.zeros(v.shape, v.dtype.numpy) for v in op.results]
    interpret(naive_kernel(op), [*arrays, *results])
    return results


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.name)
def test_lowering_means_what_numpy_expects(sample: Sample) -> None:
    (op,) = build(sample).ops
    expected = sample.expectation([v.type for v in op.results])
    assert_agrees(sample, _run(op, sample.arrays), expected)
