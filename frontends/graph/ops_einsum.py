"""einsum: products summed over named dims."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.frontends.graph.apply import graph_of, make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.dimension import Size
from tensorkiln.frontends.graph.dtypes import NUMBERS
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_matrix import diagonal_mask
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.shapes import ShapeError
from tensorkiln.frontends.graph.tensor import Tensor


def einsum(equation: str, *inputs: object, **options: object) -> Tensor:
    """The tensor contraction that an equation such as `ij,jk->ik` names.

    Without an arrow the result has the labels that occur once, in the order of the alphabet; `...`
    stands for further dims.  ValueError for an equation that does not fit the tensors.
    """
    name = options.pop("name", None)
    if options:
        raise TypeError(f"invalid keyword arguments for this function: {sorted(options)}")
    tensors = [convert_to_tensor(item) for item in inputs]
    text = labels_of(equation, tensors)
    with graph_of(tensors).name_scope("einsum" if name is None else str(name)):
        return make("Einsum", (tensors,), equation=equation, labels=text)


def labels_of(equation: str, tensors: Sequence[Tensor]) -> str:
    """The equation with an arrow and without an ellipsis: a label for each dim.

    ValueError for an equation that does not fit the tensors.
    """
    ranks = [None if t.sizes is None else len(t.sizes) for t in tensors]
    if None in ranks:
        raise ValueError("einsum needs tensors of known rank")
    labels = _parse(equation, [rank for rank in ranks if rank is not None])
    return ",".join("".join(part) for part in labels.inputs) + "->" + "".join(labels.output)


@dataclass(frozen=True)
class _Labels:
    inputs: tuple[str, ...]
    output: str


def _parse(equation: str, ranks: Sequence[int]) -> _Labels:
    left, arrow, right = equation.replace(" ", "").partition("->")
    parts = left.split(",")
    if len(parts) != len(ranks):
        raise ValueError(
            f"Expected {len(parts)} arguments for equation {equation!r}, got {len(ranks)} inputs"
        )
    # Dims behind an ellipsis get labels that no equation can hold, counted from the right.
    longest = 0
    named = []
    for part, rank in zip(parts, ranks, strict=True):
        count = len(part.replace("...", ""))
        extra = rank - count if "..." in part else 0
        if extra < 0 or (count != rank and "..." not in part):
            raise ValueError(
                f"Expected a tensor of rank {count} for {part!r} in equation {equation!r}, got "
                f"rank {rank}"
            )
        longest = max(longest, extra)
        named.append(part.replace("...", _extra(extra)))
    if arrow:
        output = right.replace("...", _extra(longest))
    else:
        counts = Counter("".join(parts).replace(".", ""))
        output = _extra(longest) + "".join(sorted(k for k, n in counts.items() if n == 1))
    unknown = set(output) - set("".join(named))
    if unknown or len(set(output)) < len(output):
        raise ValueError(
            f"Output labels {right!r} of equation {equation!r} are not among the inputs"
        )
    return _Labels(tuple(named), output)


def _extra(count: int) -> str:
    return "".join(chr(0x2460 + k) for k in reversed(range(count)))


def _split(op: Operation) -> _Labels:
    left, _, output = op.text("labels").partition("->")
    return _Labels(tuple(left.split(",")), output)


def _infer(op: Operation) -> Sequence[Result]:
    labels = _split(op)
    sizes: dict[str, Size] = {}
    for part, tensor in zip(labels.inputs, op.inputs, strict=True):
        for label, size in zip(part, tensor.sizes or (), strict=True):
            known = sizes.get(label)
            if known is not None and size is not None and known != size:
                raise ShapeError(f"Dimensions must be equal, but are {known} and {size}")
            sizes[label] = known if size is None else size
    return [(base(op.inputs[0]), tuple(sizes[label] for label in labels.output))]


def _lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    labels = _split(op)
    operands = [
        _without_repeats(lowering, value, part)
        for value, part in zip(values, labels.inputs, strict=True)
    ]
    total, names = operands[0]
    for k, (value, part) in enumerate(operands[1:], 1):
        later = set(labels.output).union(*(p for _, p in operands[k + 1 :]))
        total, names = _product(lowering, (total, names), (value, part), later)
    total, names = _summed(lowering, total, names, set(labels.output))
    order = [names.index(label) for label in labels.output]
    return [shorthand.transpose(lowering.builder, total, order)]


def _without_repeats(lowering: Lowering, value: Value, part: str) -> tuple[Value, str]:
    """A label that a tensor has twice stands for the diagonal."""
    builder = lowering.builder
    for label in dict.fromkeys(part):
        while part.count(label) > 1:
            first, second = [k for k, name in enumerate(part) if name == label][:2]
            rest = [k for k in range(len(part)) if k not in (first, second)]
            value = shorthand.transpose(builder, value, (*rest, first, second))
            mask, zeros = diagonal_mask(lowering, value.shape), shorthand.zeros_like(builder, value)
            kept = shorthand.select(builder, mask, value, zeros)
            value = shorthand.reduce_sum(builder, kept, (-1,))
            part = "".join(part[k] for k in rest) + label
    return value, part


def _summed(lowering: Lowering, value: Value, names: str, kept: set[str]) -> tuple[Value, str]:
    axes = [k for k, label in enumerate(names) if label not in kept]
    if not axes:
        return value, names
    total = shorthand.reduce_sum(lowering.builder, value, axes)
    return total, "".join(label for label in names if label in kept)


def _product(
    lowering: Lowering, left: tuple[Value, str], right: tuple[Value, str], later: set[str]
) -> tuple[Value, str]:
    """Labels that only one side has and nobody needs are summed first; shared ones are batch dims
    if needed later, else contracted."""
    a, a_names = _summed(lowering, *left, later | set(right[1]))
    b, b_names = _summed(lowering, *right, later | set(a_names))
    batch = [label for label in a_names if label in b_names and label in later]
    over = [label for label in a_names if label in b_names and label not in later]
    result = shorthand.dot_general(
        lowering.builder, a, b, [a_names.index(k) for k in batch],
        [b_names.index(k) for k in batch], [a_names.index(k) for k in over],
        [b_names.index(k) for k in over],
    )  # fmt: skip
    used = {*batch, *over}
    free = [label for label in (*a_names, *b_names) if label not in used]
    return result, "".join((*batch, *free))


register(OpKind("Einsum", "inputs:T*", _infer, _lower, {"T": NUMBERS}))
