"""Common subexpressions, by value numbering."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from tensorkiln.compiler.ir.function import Array, Attribute, Function, Op, Value
from tensorkiln.compiler.passes.rewriting import ANY, Replacement, Rewriter, rewrite

# a op b = b op a, bit for bit (min and max of zeros of unlike sign give either zero).
COMMUTATIVE = frozenset({"add", "multiply", "maximum", "minimum", "and", "or", "xor"})
_SAMPLES = 256


def common_subexpressions(function: Function) -> Function:
    """Computes once what is written twice: ops equal in name, operands and attributes.

        %0 = add(%x, %y)
        %1 = add(%y, %x)           ->    %0 = add(%x, %y)
        %2 = multiply(%0, %1)            %2 = multiply(%0, %0)

    Arrays compare by content.  Random bits depend on their state operand only, so they merge
    like everything else.  An op with regions is left alone.
    """
    known: dict[Hashable, tuple[Value, ...]] = {}

    def merge(rewriter: Rewriter, op: Op) -> Replacement:
        if op.regions:
            return None
        key = rewriter, _key(op)  # a region sees none of its surroundings
        if key in known:
            return known[key]
        known[key] = op.results
        return None

    return rewrite(function, {ANY: (merge,)})


def _key(op: Op) -> Hashable:
    operands = op.operands
    if op.name in COMMUTATIVE:
        operands = tuple(sorted(operands, key=id))
    attributes = tuple((name, attribute_key(v)) for name, v in sorted(op.attributes.items()))
    return op.name, operands, attributes


class _Content:
    """An array as a key: equal in dtype, shape and bytes, read whole only where samples agree."""

    def __init__(self, array: Array) -> None:
        self.array = array
        flat = np.ascontiguousarray(array).reshape(-1)
        samples = flat[:: max(1, flat.size // _SAMPLES)]
        self.hash = hash((array.dtype.str, array.shape, samples.tobytes()))

    def __hash__(self) -> int:
        return self.hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Content) or self.hash != other.hash:
            return False
        a, b = self.array, other.array
        if a is b:
            return True
        return a.dtype == b.dtype and a.shape == b.shape and bool(np.all(_bytes(a) == _bytes(b)))


def _bytes(array: Array) -> Array:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def attribute_key(value: Attribute) -> Hashable:
    """Equal for equal attributes only: 1, 1.0 and True differ, and so do 0.0 and -0.0."""
    if isinstance(value, tuple):
        return tuple(attribute_key(v) for v in value)
    if isinstance(value, np.ndarray):
        return _Content(value)
    if isinstance(value, float):
        return "float", repr(value)
    return type(value).__name__, value
