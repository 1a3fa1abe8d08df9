"""Open sizes through ops that work along a dim: folds, softmax, running sums, sorting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tensorkiln.compiler.ir.dtypes import I32
from tensorkiln.compiler.ops.reducers import extreme, identity
from tensorkiln.compiler.ops.shorthand import convert
from tensorkiln.compiler.sizes.bounder import Bounder, Open, Rule
from tensorkiln.compiler.sizes.factors import Dims, capacity, closed, is_open
from tensorkiln.compiler.sizes.samples import Sampled


def _without(dims: Dims, axes: Sequence[int]) -> Dims:
    return tuple(dim for axis, dim in enumerate(dims) if axis not in axes)


def _reduce(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    (x,) = operands
    op = sampled.op
    axes = op.ints("dimensions")
    value = bounder.masked_with(x, axes, identity(op.string("reducer"), x.value.dtype))
    (made,) = bounder.builder.append(op, [value])
    return [Open(made, _without(x.dims, axes))]


def _arg_reduce(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    (x,) = operands
    op = sampled.op
    axis = op.integer("dimension")
    # The first occurrence wins, so what is not in use never does.
    fill = extreme(x.value.dtype, lowest=op.string("kind") == "max")
    made = bounder.builder.append(op, [bounder.masked_with(x, (axis,), fill)])
    return [Open(v, _without(x.dims, (axis,))) for v in made]


def _softmax(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    (x,) = operands
    axis = sampled.op.integer("axis")
    value = bounder.masked_with(x, (axis,), extreme(x.value.dtype, lowest=True))
    (made,) = bounder.builder.append(sampled.op, [value])
    return [Open(made, x.dims)]


def _axis_attribute(name: str) -> Rule:
    """The rule of ops whose axis must be of one size; the other dims go through."""

    def rule(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
        x, op = operands[0], sampled.op
        axis = op.integer(name)
        others = any(operand.is_open for operand in operands[1:])
        if is_open(x.dims[axis]) or others:
            raise sampled.unsupported(f"it works along dim {axis}, whose size is open")
        made = bounder.builder.append(op, [operand.value for operand in operands])
        return [Open(v, x.dims) for v in made]

    return rule


def _cumulative(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    (x,) = operands
    op = sampled.op
    axis = op.integer("dimension")
    value = x.value
    if op.flag("reverse"):  # running forward, nothing in use comes after what is not
        value = bounder.masked_with(x, (axis,), identity(op.string("reducer"), value.dtype))
    (made,) = bounder.builder.append(op, [value])
    return [Open(made, x.dims)]


def _top_k(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    (x,) = operands
    op = sampled.op
    axis = op.integer("dimension")
    if not sampled.same("k"):
        raise sampled.unsupported("the number of elements it keeps depends on the sizes")
    fill = extreme(x.value.dtype, lowest=op.flag("largest"))
    made = bounder.builder.append(op, [bounder.masked_with(x, (axis,), fill)])
    return [
        Open(v, tuple(sampled.dim(k, i) if k == axis else d for k, d in enumerate(x.dims)))
        for i, v in enumerate(made)
    ]


def _sort(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    """Along an open dim, what is not in use goes to the end by a key of its own, before others."""
    op, builder = sampled.op, bounder.builder
    axis = op.integer("dimension")
    values = [x.value for x in operands]
    dims = tuple(
        next((x.dims[k] for x in operands if is_open(x.dims[k])), dim)
        for k, dim in enumerate(operands[0].dims)
    )
    along = tuple(d if k == axis else closed(capacity(d)) for k, d in enumerate(dims))
    used = bounder.valid(values[0].shape, along)
    if used is None:
        return [Open(v, dims) for v in builder.append(op, values)]
    unused = convert(builder, builder.one("not", (used,)), I32)
    attributes = {**op.attributes, "descending": (0, *op.ints("descending"))}
    made = builder.op("sort", (unused, *values), attributes)
    return [Open(v, dims) for v in made[1:]]


def _merge_sort(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    """What is not in use becomes the greatest word, which is that of no key and place."""
    (words,) = operands
    op = sampled.op
    if any(o.integer("keep") != o.results[0].shape[1] for o in sampled.ops) and is_open(
        words.dims[1]
    ):
        raise sampled.unsupported("it keeps some of an open number of words")
    greatest = np.iinfo(np.uint64).max
    made = bounder.builder.append(op, [bounder.masked_with(words, (1,), int(greatest))])
    return [Open(v, words.dims) for v in made]


FOLD_RULES: Mapping[str, Rule] = {
    "reduce": _reduce,
    "arg_reduce": _arg_reduce,
    "softmax": _softmax,
    "log_softmax": _softmax,
    "layer_norm": _axis_attribute("axis"),
    "batch_norm_inference": _axis_attribute("feature_index"),
    "cumulative": _cumulative,
    "top_k": _top_k,
    "sort": _sort,
    "merge_sort": _merge_sort,
}
