"""What the gradient of a loop's body reads of the body itself, and how it gets it."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.function import Function, Op, Value

# Cheap to do again from what they read, which is no larger.
_REBUILT = frozenset(("broadcast_in_dim", "reshape", "transpose", "reverse"))


class Residuals:
    """Values of a body that its gradient reads, each by the cheapest way to have it again.

    `invariants` are positions of carried values that no trip changes: the gradient's loop carries
    them too.  `rebuilt` are ops to run again, in order: constants, what depends on invariants
    only, and movement of what is known.  `saved` must be kept from every trip.
    """

    def __init__(
        self,
        body: Function,
        parameters: Sequence[Value],
        forward: Sequence[Op],
        back: Sequence[Op],
        found: Sequence[Value],
    ) -> None:
        self._producers = {v: op for op in forward for v in op.results}
        same = [
            k for k, (a, b) in enumerate(zip(body.parameters, body.results, strict=True)) if a is b
        ]
        self._positions = {parameters[k]: k for k in same}
        self._own = set(parameters) | set(self._producers)
        self._fixed: dict[Value, bool] = {}
        self.invariants: list[int] = []
        self.saved: list[Value] = []
        self._again: set[Op] = set()
        self._seen: set[Value] = set()
        for op in back:
            for value in op.operands:
                self._need(value)
        for value in found:
            self._need(value)
        self.invariants.sort()
        self.rebuilt = tuple(op for op in forward if op in self._again)

    def _need(self, value: Value) -> None:
        pending = [value]
        while pending:
            value = pending.pop()
            if value in self._seen or value not in self._own:
                continue
            self._seen.add(value)
            op = self._producers.get(value)
            if value in self._positions:
                self.invariants.append(self._positions[value])
            elif op is None or not self._is_rebuilt(op):
                self.saved.append(value)
            elif op not in self._again:
                self._again.add(op)
                pending.extend(op.operands)

    def _is_rebuilt(self, op: Op) -> bool:
        if op.name in _REBUILT:
            # None of them makes something smaller.
            return True
        if op.name == "dynamic_slice" and self._is_fixed(op.operands[0]):
            return True
        return not op.regions and all(map(self._is_fixed, op.operands))

    def _is_fixed(self, value: Value) -> bool:
        """True if `value` is the same in every trip."""
        if value not in self._fixed:
            op = self._producers.get(value)
            self._fixed[value] = value in self._positions or (
                op is not None and not op.regions and all(map(self._is_fixed, op.operands))
            )
        return self._fixed[value]
