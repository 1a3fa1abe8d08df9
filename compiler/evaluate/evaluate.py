"""Runs functions op by op in numpy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from tensorkiln.compiler.evaluate.feeds import check_feeds
from tensorkiln.compiler.evaluate.specialize import specialize
from tensorkiln.compiler.ir.function import Array, Function, Op, Value
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.ops.record import Body, ByRegions, FromBody

Step: TypeAlias = Callable[[Op, Sequence[Array]], Sequence[Array]]


def evaluate(function: Function, arrays: Sequence[Array], step: Step | None = None) -> list[Array]:
    """The function's results for one array a parameter; `step` takes the place of `evaluate_op`.

    Symbolic dims take the sizes of the arrays; FeedError names the parameter whose array does not
    fit.  Results may be views of the feeds and of each other.
    """
    sizes = check_feeds(function, arrays)
    if sizes:
        function = specialize(function, sizes)
    values = dict(zip(function.parameters, map(np.asarray, arrays), strict=True))
    dead = _last_uses(function)
    run = step or evaluate_op
    for op in function.ops:
        results = run(op, [values[v] for v in op.operands])
        values.update(zip(op.results, results, strict=True))
        for value in dead[op]:
            del values[value]
    return [values[v] for v in function.results]


def evaluate_op(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    """The results of one op, whose dims must be static."""
    how = REGISTRY[op.name].evaluate
    if isinstance(how, ByRegions):
        return how.run(op, arrays, evaluate)
    if isinstance(how, FromBody):
        return evaluate(_body_function(op, how.body), arrays)
    with np.errstate(all="ignore"):
        # numpy makes scalars of arrays without dims.
        return [np.asarray(array) for array in how(op, arrays)]


def _body_function(op: Op, body: Body) -> Function:
    """The function of the op's operands that the op's body makes."""
    builder = Builder(REGISTRY, op.name)
    parameters = [builder.parameter(f"x{k}", v.type) for k, v in enumerate(op.operands)]
    like = Op(op.name, tuple(parameters), op.results, op.attributes, op.regions, op.location)
    return builder.finish(body(builder, like))


def _last_uses(function: Function) -> dict[Op, list[Value]]:
    """Values that nothing reads after an op, by that op."""
    kept = set(function.results)
    found: dict[Op, list[Value]] = {}
    for op in reversed(function.ops):
        fresh = [v for v in dict.fromkeys((*op.operands, *op.results)) if v not in kept]
        found[op] = fresh
        kept.update(fresh)
    return found
