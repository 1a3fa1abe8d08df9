"""The mask of a rectifier's gradient, read off its result."""

from __future__ import annotations

from dataclasses import replace

from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.compiler.passes.rewriting import same_or_new


def rectifier_masks(function: Function) -> Function:
    """Lets the gradient of a rectifier ask its result instead of its operand.

        %1 = compare(%x, %zero) {direction = "GT"}
        %2 = select(%1, %x, %zero)                    %3 = compare(%2, %zero) {direction = "GT"}
        %4 = select(%1, %g, %zero)               ->   %4 = select(%3, %g, %zero)

    Then neither `%x` nor `%1` has to be kept for the backward pass.  A maximum with zero counts
    as a rectifier too.  Exact: both comparisons are false for NaN and for zeros of either sign.
    """
    return _Masks(function).run()


class _Masks:
    def __init__(self, function: Function) -> None:
        self.function = function
        self.producers = function.producers()
        self.names = {v.name for v in (*function.parameters, *self.producers)}
        self.rectified: dict[Value, Value] = {}  # a mask's operand -> its rectifier's result
        self.masks: dict[Value, Value] = {}  # a mask -> the mask of the result
        self.ops: list[Op] = []

    def run(self) -> Function:
        for op in self.function.ops:
            source = _rectifies(op, self.producers)
            if source is not None:
                self.rectified.setdefault(source, op.result)
                self.ops.append(op)
                continue
            operands = tuple(map(self.asked, op.operands))
            self.ops.append(op if operands == op.operands else replace(op, operands=operands))
        return same_or_new(self.function, self.ops, self.function.results)

    def asked(self, value: Value) -> Value:
        """The mask of the rectifier's result, if `value` is the mask of its operand."""
        source = _mask_of(value, self.producers)
        if source is None or source not in self.rectified:
            return value
        if value not in self.masks:
            mask = self.producers[value]
            self.masks[value] = Value(self.fresh(value.name), value.type)
            operands = (self.rectified[source], mask.operands[1])
            self.ops.append(replace(mask, operands=operands, results=(self.masks[value],)))
        return self.masks[value]

    def fresh(self, name: str) -> str:
        while name in self.names:
            name += "_r"
        self.names.add(name)
        return name


def _mask_of(value: Value, producers: dict[Value, Op]) -> Value | None:
    """`x`, if `value` is `x > 0`."""
    op = producers.get(value)
    if op is None or op.name != "compare" or op.string("direction") != "GT":
        return None
    return op.operands[0] if _is_zero(op.operands[1], producers) else None


def _rectifies(op: Op, producers: dict[Value, Op]) -> Value | None:
    """`x`, if `op` makes zeros of what is not positive in `x`."""
    if op.name == "select":
        mask, kept, other = op.operands
        rectifies = _mask_of(mask, producers) is kept and _is_zero(other, producers)
        return kept if rectifies else None
    if op.name == "maximum" and _is_zero(op.operands[1], producers):
        return op.operands[0]
    return None


def _is_zero(value: Value, producers: dict[Value, Op]) -> bool:
    op = producers.get(value)
    if op is not None and op.name == "broadcast_in_dim":
        op = producers.get(op.operands[0])
    if op is None or op.name != "constant":
        return False
    array = op.array("value")
    return array.size == 1 and bool(array.item() == 0)
