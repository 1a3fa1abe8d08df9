"""How often a loop can run at most, where its counter tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tensorkiln.compiler.ir.function import Function, Op, Value

_RENAMING = frozenset(("identity", "reshape", "stop_gradient"))
_MIRRORED = {"LT": "GT", "LE": "GE", "GT": "LT", "GE": "LE"}


def trip_bound(op: Op, constant: Callable[[Value], int | None]) -> int | None:
    """The most trips of a `while`, or None.

    Taken from its attribute, or from a counter that starts at a constant, takes a constant step
    and is compared with a constant.  `constant(value)` gives the integer behind one of the op's
    operands where it is known.
    """
    given = op.integer("bound")
    if given >= 0:
        return given
    cond = op.regions[0]
    return _Counting(op, constant).most(cond.results[0])


class _Counting:
    def __init__(self, op: Op, constant: Callable[[Value], int | None]) -> None:
        self.op, self.constant = op, constant
        self.cond, self.body = op.regions
        self.cond_ops = self.cond.producers()
        self.body_ops = self.body.producers()

    def most(self, condition: Value) -> int | None:
        """The most trips while `condition` holds."""
        op = self.cond_ops.get(plain(condition, self.cond_ops.get))
        if op is None:
            return None
        if op.name == "and":
            known = [n for v in op.operands if (n := self.most(v)) is not None]
            return min(known, default=None)
        if op.name != "compare" or op.operands[0].dtype.is_float:
            return None
        left, right = (plain(v, self.cond_ops.get) for v in op.operands)
        direction = op.string("direction")
        found = self._compared(left, direction, right)
        if found is None and direction in _MIRRORED:
            found = self._compared(right, _MIRRORED[direction], left)
        return found

    def _compared(self, counter: Value, direction: str, limit: Value) -> int | None:
        if counter not in self.cond.parameters:
            return None
        position = self.cond.parameters.index(counter)
        start = self.constant(self.op.operands[position])
        step = self._step(position)
        end = self._known(limit, self.cond, self.cond_ops)
        if start is None or step is None or end is None:
            return None
        match direction:
            case "LT" if step > 0:
                distance = end - start
            case "LE" if step > 0:
                distance = end - start + 1
            case "GT" if step < 0:
                distance = start - end
            case "GE" if step < 0:
                distance = start - end + 1
            case _:
                return None
        return max(0, -(-distance // abs(step)))

    def _step(self, position: int) -> int | None:
        """What every trip adds to the carried value."""
        own = self.body.parameters[position]
        made = self.body_ops.get(plain(self.body.results[position], self.body_ops.get))
        if made is None or made.name not in ("add", "subtract"):
            return None
        left, right = (plain(v, self.body_ops.get) for v in made.operands)
        if made.name == "add" and right is own:
            left, right = right, left
        step = self._known(right, self.body, self.body_ops)
        if left is not own or step is None:
            return None
        return step if made.name == "add" else -step

    def _known(self, value: Value, region: Function, producers: Mapping[Value, Op]) -> int | None:
        """The integer behind a value of a region: a constant, or a carried one that never changes."""
        if value in region.parameters:
            position = region.parameters.index(value)
            if self.body.results[position] is self.body.parameters[position]:
                return self.constant(self.op.operands[position])
            return None
        return constant_integer(value, producers.get)


def plain(value: Value, producer: Callable[[Value], Op | None]) -> Value:
    """The value that `value` is the same number as, behind ops that only rename or reshape it."""
    while (op := producer(value)) is not None and op.name in _RENAMING:
        value = op.operands[0]
    return value


def constant_integer(value: Value, producer: Callable[[Value], Op | None]) -> int | None:
    """The integer that a scalar value is, where its producer is a constant."""
    value = plain(value, producer)
    op = producer(value)
    if op is None or op.name != "constant" or value.dtype.is_float:
        return None
    data = op.array("value")
    return int(data.reshape(())) if data.size == 1 else None
