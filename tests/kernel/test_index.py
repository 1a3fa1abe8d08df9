"""Index arithmetic simplifies without changing what it computes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorkiln.compiler.kernel.expr import INDEX, Binary, Buffer, Const, Expr, Load, Select, Var
from tensorkiln.compiler.kernel.index import (
    ZERO,
    add,
    bounds,
    const,
    depends,
    flatten,
    floordiv,
    from_linear,
    linear,
    mod,
    mul,
    sub,
    unflatten,
)

VARIABLES = {
    name: Var(name, INDEX, extent) for name, extent in zip("ijkn", (5, 12, 1, 7), strict=True)
}


@dataclass(frozen=True)
class Pair:
    """An expression as the algebra builds it, and what it means for given variables."""

    expr: Expr
    meaning: Callable[[dict[str, int]], int]
    text: str

    def __repr__(self) -> str:
        return self.text


def _leaves() -> st.SearchStrategy[Pair]:
    variables = [
        Pair(var, lambda env, name=name: env[name], name)  # type: ignore[misc]
        for name, var in VARIABLES.items()
    ]
    numbers = st.integers(-9, 9).map(lambda n: Pair(const(n), lambda env: n, str(n)))
    return st.one_of(st.sampled_from(variables), numbers)


def _combined(parts: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    def two(build: Callable[[Expr, Expr], Expr], op: Callable[[int, int], int], sign: str):  # type: ignore[no-untyped-def]
        return st.tuples(parts, parts).map(
            lambda ab: Pair(
                build(ab[0].expr, ab[1].expr),
                lambda env: op(ab[0].meaning(env), ab[1].meaning(env)),
                f"({ab[0]} {sign} {ab[1]})",
            )
        )

    def by(build: Callable[[Expr, int], Expr], op: Callable[[int, int], int], sign: str, low: int):  # type: ignore[no-untyped-def]
        return st.tuples(parts, st.integers(low, 12)).map(
            lambda an: Pair(
                build(an[0].expr, an[1]),
                lambda env: op(an[0].meaning(env), an[1]),
                f"({an[0]} {sign} {an[1]})",
            )
        )

    return st.one_of(
        two(add, lambda a, b: a + b, "+"),
        two(sub, lambda a, b: a - b, "-"),
        two(lambda a, b: Binary("min", a, b), min, "min"),
        two(lambda a, b: Binary("max", a, b), max, "max"),
        by(mul, lambda a, n: a * n, "*", -12),
        by(floordiv, lambda a, n: a // n, "//", 1),
        by(mod, lambda a, n: a % n, "%", 1),
    )


PAIRS = st.recursive(_leaves(), _combined, max_leaves=12)


def _value(expr: Expr, env: dict[str, int]) -> int:
    match expr:
        case Const(value):
            return int(value)
        case Var(name):
            return env[name]
        case Binary(op, a, b):
            x, y = _value(a, env), _value(b, env)
            table: dict[str, Callable[[int, int], int]] = {
                "add": lambda x, y: x + y,
                "sub": lambda x, y: x - y,
                "mul": lambda x, y: x * y,
                "floordiv": lambda x, y: x // y,
                "mod": lambda x, y: x % y,
                "min": min,
                "max": max,
            }
            return table[op](x, y)
        case _:
            raise AssertionError(expr)


ENVIRONMENTS = st.fixed_dictionaries(
    {name: st.integers(0, (var.extent or 1) - 1) for name, var in VARIABLES.items()}
)


@settings(max_examples=400, deadline=None)
@given(PAIRS, ENVIRONMENTS)
def test_simplified_equals_direct(pair: Pair, env: dict[str, int]) -> None:
    assert _value(pair.expr, env) == pair.meaning(env)


@settings(max_examples=300, deadline=None)
@given(PAIRS, ENVIRONMENTS)
def test_bounds_hold(pair: Pair, env: dict[str, int]) -> None:
    low, high = bounds(pair.expr)
    assert low <= pair.meaning(env) <= high


@settings(max_examples=200, deadline=None)
@given(PAIRS, ENVIRONMENTS)
def test_linear_form_is_the_expression(pair: Pair, env: dict[str, int]) -> None:
    terms, constant = linear(pair.expr)
    total = constant + sum(c * _value(atom, env) for atom, c in terms.items())
    assert total == pair.meaning(env) == _value(from_linear(terms, constant), env)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 6), max_size=4).map(tuple))
def test_unflatten_undoes_flatten(shape: tuple[int, ...]) -> None:
    index = tuple(Var(f"i{k}", INDEX, size) for k, size in enumerate(shape))
    strides = tuple(int(np.prod(shape[k + 1 :])) for k in range(len(shape)))
    simple = tuple(ZERO if size == 1 else var for size, var in zip(shape, index, strict=True))
    found = unflatten(flatten(index, strides), shape)
    for got, var, plain, size in zip(found, index, simple, shape, strict=True):
        assert got in (var, plain), f"{got} for {var} of {size}"


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=4).map(tuple), st.integers(0, 10**6))
def test_unflatten_is_unravel(shape: tuple[int, ...], number: int) -> None:
    size = int(np.prod(shape))
    found = unflatten(Var("f", INDEX, size), shape)
    expected = np.unravel_index(number % size, shape)
    assert [_value(e, {"f": number % size}) for e in found] == [int(n) for n in expected]


def test_unflatten_of_nothing() -> None:
    assert unflatten(Var("f", INDEX, 0), (3, 0, 2)) == (ZERO, ZERO, ZERO)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (lambda i, j: floordiv(add(mul(i, 12), j), 12), lambda i, j: i),
        (lambda i, j: mod(add(mul(i, 12), j), 12), lambda i, j: j),
        (lambda i, j: add(mul(floordiv(j, 4), 4), mod(j, 4)), lambda i, j: j),
        (lambda i, j: floordiv(floordiv(j, 2), 3), lambda i, j: floordiv(j, 6)),
        (lambda i, j: mod(mod(j, 8), 4), lambda i, j: mod(j, 4)),
        (lambda i, j: sub(add(i, j), i), lambda i, j: j),
        (lambda i, j: floordiv(add(i, const(3)), 8), lambda i, j: ZERO),
        (lambda i, j: floordiv(add(mul(j, 16), i), 64), lambda i, j: floordiv(j, 4)),
        (lambda i, j: mod(add(mul(j, 16), i), 64), lambda i, j: add(mul(mod(j, 4), 16), i)),
    ],
)
def test_identities_simplify(
    found: Callable[[Expr, Expr], Expr], expected: Callable[[Expr, Expr], Expr]
) -> None:
    i, j = VARIABLES["i"], VARIABLES["j"]
    assert found(i, j) == expected(i, j)


def test_unknown_values_have_wide_bounds() -> None:
    load = Load(Buffer("b", (4,), INDEX), (VARIABLES["i"],))
    low, high = bounds(add(load, const(1)))
    assert low < -(10**9)
    assert high > 10**9
    assert bounds(Binary("min", Binary("max", load, ZERO), const(7))) == (0, 7)
    choice = Select(Const(True, INDEX), VARIABLES["i"], const(20))
    assert bounds(choice) == (0, 20)


def test_depends() -> None:
    expr = add(mul(VARIABLES["i"], 3), mod(VARIABLES["j"], 5))
    assert depends(expr, "j")
    assert not depends(expr, "n")


@pytest.mark.parametrize("offset", [0, 16, 32, 48, 113])
@pytest.mark.parametrize(
    "shape", [(64, 56, 56), (64, 28, 28), (99, 14, 14), (99, 7, 7), (99, 3, 5)]
)
def test_an_offset_does_not_hide_that_an_index_is_flat(shape: tuple[int, ...], offset: int) -> None:
    flat = add(mul(Var("i", INDEX, 20), 64), add(Var("l", INDEX, 16), const(offset)))
    strides = (shape[1] * shape[2], shape[2], 1)
    assert linear(flatten(unflatten(flat, shape), strides)) == linear(flat)
