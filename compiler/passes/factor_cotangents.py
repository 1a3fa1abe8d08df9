"""A cotangent is multiplied once, by the derivative of what was done to a product."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.compiler.passes.access import is_pointwise
from tensorkiln.compiler.passes.fresh_names import FreshNames
from tensorkiln.compiler.passes.fuse_kinds import DUPLICABLE
from tensorkiln.compiler.passes.fuse_producers import DEAR
from tensorkiln.compiler.passes.rewriting import same_or_new, static

MOST_OPS = 32


def factor_cotangents(function: Function) -> Function:
    """Makes one product of what an activation's gradient adds up.

        %1 = multiply(%g, %a)                  %1 = multiply(%b, %c)
        %2 = multiply(%g, %b)                  %2 = add(%a, %1)
        %3 = multiply(%2, %c)       ->         %4 = multiply(%g, %2)
        %4 = add(%1, %3)

    `%g` is made by a product, `%a`, `%b` and `%c` are functions of the result of another one, and a
    costly op is among them: `fuse` can then keep `%2` for the backward pass instead of what it is
    a function of.  The real number that is meant stays; it is rounded otherwise.
    """
    return _Factors(function).run()


class _Factors:
    def __init__(self, function: Function) -> None:
        self.function = function
        self.producers = function.producers()
        self.users = function.users()
        self.order = {op: position for position, op in enumerate(function.ops)}
        self.names = FreshNames(function)

    def run(self) -> Function:
        dropped: set[Op] = set()
        instead: dict[Op, list[Op]] = {}
        for op in self.function.ops:
            if op.name != "dot_general" or not static(op.result):
                continue
            linear = self._sum(op.result)
            if linear and self._is_worth(linear, op.result):
                dropped.update(linear)
                instead[linear[-1]] = self._factored(linear, op.result)
        ops: list[Op] = []
        for op in self.function.ops:
            ops.extend(instead.get(op, () if op in dropped else (op,)))
        return same_or_new(self.function, ops, self.function.results)

    def _sum(self, cotangent: Value) -> list[Op]:
        """The ops from `cotangent` to the first value that alone carries it on, if it is a sum."""
        linear: list[Op] = []
        carried: set[Value] = set()
        while len(linear) < MOST_OPS:
            known = (cotangent, *carried)
            readers = {u for v in known for u in self.users.get(v, ()) if u not in linear}
            op = min(readers, key=self.order.__getitem__, default=None)
            if op is None or not _is_linear(op, cotangent, carried):
                return []
            linear.append(op)
            carried.add(op.result)
            if op.name in ("add", "subtract") and self._is_spent(known, linear):
                return linear
        return []

    def _is_spent(self, values: Collection[Value], ops: Collection[Op]) -> bool:
        """True if only `ops` read `values`."""
        if any(v in values for v in self.function.results):
            return False
        return all(u in ops for v in values for u in self.users.get(v, ()))

    def _is_worth(self, linear: Sequence[Op], cotangent: Value) -> bool:
        """True if the factors are costly functions of one product's result."""
        inside = {cotangent, *(op.result for op in linear)}
        pending = [v for op in linear for v in op.operands if v not in inside]
        seen: set[Value] = set()
        wide: set[Value] = set()
        costly = False
        while pending:
            value = pending.pop()
            if value in seen:
                continue
            seen.add(value)
            op = self.producers.get(value)
            if op is not None and op.name in DUPLICABLE:
                continue
            if op is None or not is_pointwise(op):
                wide.add(value)
                continue
            costly = costly or op.name in DEAR
            pending.extend(op.operands)
        makers = [self.producers.get(value) for value in wide]
        one = len(makers) == 1 and makers[0] is not None and makers[0].name == "dot_general"
        return costly and one and cotangent not in wide

    def _factored(self, linear: Sequence[Op], cotangent: Value) -> list[Op]:
        """The sum of factors, and the product of `cotangent` with it."""
        factors: dict[Value, Value] = {}  # of values that are `cotangent` times something
        made: list[Op] = []
        last = cotangent
        for op in linear:
            last = op.result
            if op.name == "multiply" and cotangent in op.operands:
                factors[last] = next(v for v in op.operands if v is not cotangent)
                continue
            operands = tuple(factors.get(v, v) for v in op.operands)
            factors[last] = Value(self.names.fresh(f"{last.name}_factor"), last.type)
            made.append(replace(op, operands=operands, results=(factors[last],)))
        product = replace(
            made[-1], name="multiply", operands=(cotangent, factors[last]), results=(last,)
        )
        return [*made, product]


def _is_linear(op: Op, cotangent: Value, carried: set[Value]) -> bool:
    """True for a pointwise op that makes the cotangent times something of such values.

    The cotangent itself is only multiplied.
    """
    if op.name == "multiply":
        return sum(v is cotangent or v in carried for v in op.operands) == 1
    return op.name in ("negate", "add", "subtract") and all(v in carried for v in op.operands)
