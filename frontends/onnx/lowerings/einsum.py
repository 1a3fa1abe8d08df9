"""Einsum: the labels of each operand, contracted pair by pair from the left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tensorkiln.compiler.ir.dtypes import I64
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import Builder
from tensorkiln.compiler.ops.shorthand import (
    compare,
    dot_general,
    full_like,
    iota,
    reduce_sum,
    select,
    squeeze,
    transpose,
)  # fmt: skip
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.table import Lowering


@dataclass(frozen=True, slots=True)
class _Labelled:
    """A tensor and one label for each dim; dims of an ellipsis have labels of digits."""

    value: Value
    labels: tuple[str, ...]


def _einsum(node: Node) -> Value:
    builder = node.builder
    terms, output = _parse(node)
    tensors = [
        _diagonal(builder, _labelled(node, value, term))
        for value, term in zip(node.values(), terms, strict=True)
    ]
    middle = max((_ellipsis(t.labels) for t in tensors), key=len)
    sizes = _sizes(node, tensors)
    tensors = [_unrepeated(builder, t, sizes) for t in tensors]
    if output is None:
        output = _implicit(terms)
    wanted = _with_ellipsis(node, output, middle)
    result, *rest = tensors
    for position, other in enumerate(rest):
        later = {label for t in rest[position + 1 :] for label in t.labels}
        result = _contract(builder, result, other, later | set(wanted))
    result = _summed(builder, result, set(wanted))
    if sorted(result.labels) != sorted(wanted):
        raise node.invalid(f"its output labels {''.join(wanted)} are not those of its inputs")
    return transpose(builder, result.value, [result.labels.index(label) for label in wanted])


def _parse(node: Node) -> tuple[list[str], str | None]:
    equation = node.string("equation").replace(" ", "")
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    letters = left.replace(",", "") + right
    if len(terms) != len(node.operands) or not all(c.isalpha() or c == "." for c in letters):
        raise node.invalid(f"equation {equation!r} does not fit {len(node.operands)} inputs")
    return terms, right if arrow else None


def _labelled(node: Node, value: Value, term: str) -> _Labelled:
    letters = term.replace("...", "")
    count = value.type.rank - len(letters)
    if count < 0 or "." in letters or (count and "..." not in term):
        raise node.invalid(f"{term!r} does not label the {value.type.rank} dims of {value.type}")
    before, _, after = term.partition("...")
    # Dims of an ellipsis are aligned at the right, so they are numbered from there.
    middle = tuple(str(count - 1 - k) for k in range(count)) if "..." in term else ()
    return _Labelled(value, (*before, *middle, *after))


def _ellipsis(labels: Iterable[str]) -> tuple[str, ...]:
    return tuple(label for label in labels if label.isdigit())


def _with_ellipsis(node: Node, output: str, middle: Sequence[str]) -> tuple[str, ...]:
    before, dots, after = output.partition("...")
    if len(set(before + after)) != len(before + after):
        raise node.invalid(f"its output repeats a label: {output!r}")
    return (*before, *(middle if dots else ()), *after)


def _implicit(terms: Sequence[str]) -> str:
    """Without an arrow: the ellipsis, then the labels that occur once, in alphabetical order."""
    letters = "".join(terms).replace(".", "")
    once = "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    return ("..." if any("..." in term for term in terms) else "") + once


def _sizes(node: Node, tensors: Sequence[_Labelled]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for tensor in tensors:
        for label, size in zip(tensor.labels, tensor.value.shape, strict=True):
            known = sizes.setdefault(label, size)
            if known != size and 1 not in (known, size):
                raise node.invalid(f"label {label!r} has sizes {known} and {size}")
            sizes[label] = size if known == 1 else known
    return sizes


def _unrepeated(builder: Builder, tensor: _Labelled, sizes: dict[str, int]) -> _Labelled:
    """Without the dims of size 1 that another operand has larger."""
    dropped = [
        k
        for k, (label, size) in enumerate(zip(tensor.labels, tensor.value.shape, strict=True))
        if size != sizes[label]
    ]
    if not dropped:
        return tensor
    labels = tuple(label for k, label in enumerate(tensor.labels) if k not in dropped)
    return _Labelled(squeeze(builder, tensor.value, dropped), labels)


def _diagonal(builder: Builder, tensor: _Labelled) -> _Labelled:
    """Repeated labels of one operand: all but the diagonal set to zero, then summed away."""
    value, labels = tensor.value, tensor.labels
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            rows, columns = (iota(builder, value.shape, k, I64) for k in (first, second))
            kept = compare(builder, "EQ", rows, columns)
            value = select(builder, kept, value, full_like(builder, value, 0))
            value = reduce_sum(builder, value, (second,))
            labels = labels[:second] + labels[second + 1 :]
    return _Labelled(value, labels)


def _summed(builder: Builder, tensor: _Labelled, kept: set[str]) -> _Labelled:
    axes = [k for k, label in enumerate(tensor.labels) if label not in kept]
    if not axes:
        return tensor
    labels = tuple(label for label in tensor.labels if label in kept)
    return _Labelled(reduce_sum(builder, tensor.value, axes), labels)


def _contract(builder: Builder, a: _Labelled, b: _Labelled, kept: set[str]) -> _Labelled:
    """Shared labels are batch dims if they are still wanted, else contracted."""
    a = _summed(builder, a, kept | set(b.labels))
    b = _summed(builder, b, kept | set(a.labels))
    shared = [label for label in a.labels if label in b.labels]
    batch = [label for label in shared if label in kept]
    inner = [label for label in shared if label not in kept]
    value = dot_general(
        builder, a.value, b.value,
        [a.labels.index(label) for label in batch], [b.labels.index(label) for label in batch],
        [a.labels.index(label) for label in inner], [b.labels.index(label) for label in inner],
    )  # fmt: skip
    free = [label for label in (*a.labels, *b.labels) if label not in shared]
    return _Labelled(value, (*batch, *free))


LOWERINGS = (Lowering("Einsum", _einsum, 12),)
