"""Common subexpressions, by value numbering."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable

import numpy as np

from tensorkiln.compiler.ir.function import Attribute, Function, Op, Value
from tensorkiln.compiler.passes.rewriting import ANY, Replacement, Rewriter, rewrite

# a op b = b op a, bit for bit (min and max of zeros of unlike sign give either zero).
COMMUTATIVE = frozenset({"add", "multiply", "maximum", "minimum", "and", "or", "xor"})


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


def attribute_key(value: Attribute) -> Hashable:
    """Equal for equal attributes only: 1, 1.0 and True differ, and so do 0.0 and -0.0."""
    if isinstance(value, tuple):
        return tuple(attribute_key(v) for v in value)
    if isinstance(value, np.ndarray):
        data = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
        return value.dtype.str, value.shape, hashlib.blake2b(data.data, digest_size=16).digest()
    if isinstance(value, float):
        return "float", repr(value)
    return type(value).__name__, value
