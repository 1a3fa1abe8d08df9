"""The reducers that reduce, reduce_window and scatter share: add multiply maximum minimum and or."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tensorkiln.compiler.ir.dtypes import DType
from tensorkiln.compiler.ir.function import Array
from tensorkiln.compiler.kernel.expr import Binary, Const, Expr
from tensorkiln.compiler.ops.checks import accumulator, require


@dataclass(frozen=True, slots=True)
class Reducer:
    """An associative, commutative function of two elements with an identity."""

    name: str
    kernel: str  # the kernel IR's binary op
    function: np.ufunc


REDUCERS = {
    reducer.name: reducer
    for reducer in (
        Reducer("add", "add", np.add),
        Reducer("multiply", "mul", np.multiply),
        Reducer("maximum", "max", np.maximum),
        Reducer("minimum", "min", np.minimum),
        Reducer("and", "and", np.bitwise_and),
        Reducer("or", "or", np.bitwise_or),
    )
}


def check_reducer(name: object, dtype: DType, constraint: str) -> Reducer:
    """Constraint: the reducer exists and takes the dtype; and, or take bools and integers, the
    others numbers."""
    reducer = REDUCERS.get(name) if isinstance(name, str) else None
    known = ", ".join(REDUCERS)
    require(reducer is not None, f"{constraint}: no reducer is named {name!r}; there are {known}")
    assert reducer is not None
    require(not dtype.is_storage, f"{constraint}: reducer {name} does not take {dtype}: convert it")
    logical = reducer.name in ("and", "or")
    fits = not dtype.is_inexact if logical else dtype.kind != "bool"
    fits = fits and (not dtype.is_complex or reducer.name == "add")
    require(fits, f"{constraint}: reducer {name} does not take {dtype}")
    return reducer


def identity(name: str, dtype: DType) -> bool | int | float:
    """The element that leaves every other as it is."""
    match name:
        case "add" | "or":
            return False if dtype.kind == "bool" else 0
        case "multiply":
            return 1
        case "and":
            if dtype.kind == "bool":
                return True
            return -1 if dtype.is_signed else extreme(dtype, lowest=False)
        case _:
            return extreme(dtype, lowest=name == "maximum")


def extreme(dtype: DType, lowest: bool) -> int | float:
    """The lowest or highest value of a number's dtype, infinities included."""
    if dtype.is_float:
        return -float("inf") if lowest else float("inf")
    if lowest:
        return -(1 << (dtype.bits - 1)) if dtype.is_signed else 0
    return (1 << (dtype.bits - dtype.is_signed)) - 1


def state_dtype(name: str, dtype: DType) -> DType:
    """The dtype of the running value: sums and products of f16 and bf16 are kept in f32."""
    return accumulator(dtype) if name in ("add", "multiply") else dtype


def initial_state(name: str, dtype: DType) -> Const:
    """The identity as the running value to start from."""
    state = state_dtype(name, dtype)
    value = identity(name, state)
    return Const(float(value) if state.is_float else value, state)


def combine_state(name: str, a: Expr, b: Expr) -> Expr:
    """One step of the fold."""
    return Binary(REDUCERS[name].kernel, a, b)


def fold(name: str, x: Array, dtype: DType, axes: tuple[int, ...]) -> Array:
    """`x` folded over `axes` in numpy, the identity where there is nothing to fold."""
    state = state_dtype(name, dtype).numpy
    start = np.array(identity(name, dtype), state)
    function = REDUCERS[name].function
    return np.asarray(
        function.reduce(x.astype(state, copy=False), axis=axes, dtype=state, initial=start)
    ).astype(dtype.numpy, copy=False)
