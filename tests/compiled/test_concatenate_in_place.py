"""Concatenations whose operands are made in the result's memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from compiled.check import check, check_interpreted

from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.ir.dtypes import F32, I32
from tensorkiln.compiler.ir.function import Function, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.program import Program
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.pipeline import optimize_function
from tensorkiln.compiler.schedules.program import lower_function

WIDTH = 16  # f32 numbers that are a line of memory


class Net:
    """Products of a matrix, and concatenations of them along rows."""

    def __init__(self, width: int = WIDTH) -> None:
        self.builder = Builder(REGISTRY, "net")
        self.weight = self.parameter("w", width, width)

    def parameter(self, name: str, *shape: int) -> Value:
        return self.builder.parameter(name, TensorType(shape, F32))

    def product(self, value: Value) -> Value:
        return self.builder.one(
            "dot_general", (value, self.weight), lhs_batch=(), rhs_batch=(), lhs_contracting=(1,),
            rhs_contracting=(0,),
        )  # fmt: skip

    def join(self, *values: Value) -> Value:
        return self.builder.one("concatenate", values, dimension=0)

    def finish(self, *results: Value) -> Function:
        return self.builder.finish(list(results), [f"y{k}" for k in range(len(results))])


def branches() -> Function:
    net = Net()
    x = net.parameter("x", 7, WIDTH)
    first = net.product(x)
    second = net.product(first)
    return net.finish(net.product(net.join(first, second, net.product(second))))


def chain() -> Function:
    net = Net()
    value = net.product(net.parameter("x", 5, WIDTH))
    for _ in range(4):
        value = net.join(value, net.product(value))
    return net.finish(net.product(value))


def with_parameter() -> Function:
    net = Net()
    x = net.parameter("x", 3, WIDTH)
    return net.finish(net.product(net.join(net.product(x), x, net.product(net.product(x)))))


def twice() -> Function:
    net = Net()
    part = net.product(net.parameter("x", 3, WIDTH))
    return net.finish(net.product(net.join(part, part)))


def in_two() -> Function:
    net = Net()
    a = net.product(net.parameter("x", 3, WIDTH))
    b = net.product(a)
    return net.finish(net.product(net.join(a, b)), net.product(net.join(b, a)))


def returned() -> Function:
    net = Net()
    a = net.product(net.parameter("x", 3, WIDTH))
    b = net.product(a)
    return net.finish(net.join(a, b))


def part_returned() -> Function:
    net = Net()
    a = net.product(net.parameter("x", 3, WIDTH))
    b = net.product(a)
    return net.finish(net.product(net.join(a, b)), a)


def reshaped() -> Function:
    net = Net()
    b, parts = net.builder, []
    for name in "ab":
        part = net.product(net.parameter(name, 6, WIDTH))
        parts.append(b.one("reshape", (part,), shape=(1, 2, 3 * WIDTH)))
    whole = b.one("concatenate", parts, dimension=1)
    flat = b.one("reshape", (whole,), shape=(12, WIDTH))
    return net.finish(net.product(flat))


def written_over() -> Function:
    """A part is read as it was before another result is written over its numbers."""
    net = Net()
    b = net.builder
    a = net.product(net.parameter("x", 3, WIDTH))
    c = net.product(a)
    box = net.parameter("box", 1, WIDTH)
    start = b.parameter("start", TensorType((), I32))
    zero = b.parameter("zero", TensorType((), I32))
    whole = net.product(net.join(a, c))
    changed = b.one("dynamic_update_slice", (a, box, start, zero))
    return net.finish(whole, net.product(changed))


def odd_sizes() -> Function:
    """Parts that would begin inside of a line of memory are copied."""
    net = Net(5)
    a = net.product(net.parameter("x", 3, 5))
    return net.finish(net.product(net.join(a, net.product(a), net.product(net.product(a)))))


def kept_for_later() -> Function:
    """A large tensor is not made while a small part of it waits for the rest."""
    net = Net()
    small = net.product(net.parameter("x", 1, WIDTH))
    long = net.product(net.parameter("z", 512, WIDTH))
    for _ in range(3):
        long = net.product(long)
    return net.finish(net.product(net.join(small, long)))


def without_operands() -> Function:
    """What reads nothing is computed all the same."""
    net = Net()
    numbers = net.builder.one("iota", (), dtype=F32, shape=(3000, WIDTH), dimension=0)
    a = net.product(net.parameter("x", 3, WIDTH))
    return net.finish(numbers, net.product(net.join(a, net.product(a))))


CASES: dict[str, tuple[Callable[[], Function], int]] = {  # and how many operands are copied
    "branches": (branches, 0),
    "chain": (chain, 0),
    "with a parameter": (with_parameter, 1),
    "one twice": (twice, 2),
    "in two": (in_two, 2),
    "returned": (returned, 2),
    "part returned": (part_returned, 1),
    "reshaped": (reshaped, 0),
    "written over": (written_over, 1),
    "odd sizes": (odd_sizes, 2),
    "without operands": (without_operands, 0),
    "kept for later": (kept_for_later, 1),
}


def program_of(function: Function) -> Program:
    return lower_function(optimize_function(function), target_named("x86-64-v3"))


def copies(program: Program) -> int:
    """The loop nests of concatenations, one for each operand that is copied."""
    calls = [c for c in program.calls if c.op and c.op.string("kind") == "concatenate"]
    return sum(len(program.kernels[call.kernel].body) for call in calls)


@pytest.mark.parametrize("name", CASES)
def test_operands_that_are_not_copied(name: str) -> None:
    make, count = CASES[name]
    assert copies(program_of(make())) == count


@pytest.mark.parametrize("name", CASES)
def test_values(name: str) -> None:
    function = CASES[name][0]()
    check(function)
    check(function, small=True)
    check_interpreted(function)
