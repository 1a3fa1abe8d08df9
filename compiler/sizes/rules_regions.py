"""Open sizes through ops whose scalars a region folds, compares or joins.

Where an element that is not in use would be folded or compared, it brings a flag that says so, and
the region becomes one that leaves the state alone, or puts the element last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tensorkiln.compiler.ir.dtypes import BOOL
from tensorkiln.compiler.ir.function import Function, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.shorthand import binary, scalar, select
from tensorkiln.compiler.sizes.apply import same_regions
from tensorkiln.compiler.sizes.bounder import Bounder, Open, Rule
from tensorkiln.compiler.sizes.factors import Dims, Factors, is_open, normal
from tensorkiln.compiler.sizes.samples import Sampled


def _reduce(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    _check_regions(sampled)
    axes = sampled.op.ints("dimensions")
    inputs = operands[: len(operands) // 2]
    dims = _common(sampled, inputs)
    made = _fold(bounder, sampled, operands, dims, axes)
    kept = tuple(dim for axis, dim in enumerate(dims) if axis not in axes)
    return [Open(v, kept) for v in made]


def _scan(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    _check_regions(sampled)
    inputs = operands[: len(operands) // 2]
    dims = _common(sampled, inputs)
    # Running forward, nothing in use comes after what is not.
    axes = (sampled.op.integer("dimension"),) if sampled.op.flag("reverse") else ()
    return [Open(v, dims) for v in _fold(bounder, sampled, operands, dims, axes)]


def _fold(
    bounder: Bounder, sampled: Sampled, operands: Sequence[Open], dims: Dims, axes: Sequence[int]
) -> Sequence[Value]:
    """The op, that leaves out what is not in use along `axes`."""
    op, builder = sampled.op, bounder.builder
    values = [x.value for x in operands]
    count = len(values) // 2
    used = bounder.valid(values[0].shape, _along(dims, axes))
    if used is None:
        return builder.append(op, values)
    flagged = [*values[:count], used, *values[count:], scalar(builder, False, BOOL)]
    region = _skipping(op.regions[0], count)
    return builder.op(op.name, flagged, dict(op.attributes), (region,))[:count]


def _common(sampled: Sampled, inputs: Sequence[Open]) -> Dims:
    """The dims of inputs of one shape."""
    found: list[Factors] = []
    for each in zip(*(x.dims for x in inputs), strict=True):
        opened = list(dict.fromkeys(normal(dim) for dim in each if is_open(dim)))
        if len(opened) > 1:
            raise sampled.unsupported("its operands' dims are made of open sizes in other orders")
        found.append(opened[0] if opened else each[0])
    return tuple(found)


def _along(dims: Dims, axes: Sequence[int]) -> Dims:
    """The dims, where all but `axes` are taken as wholly in use."""
    whole: Factors = ()
    return tuple(dim if axis in axes else whole for axis, dim in enumerate(dims))


def _skipping(region: Function, count: int) -> Function:
    """The region with a flag behind the elements, that gives the state unchanged where it is
    false; the state has a flag too, which nobody reads."""
    builder = Builder(REGISTRY, region.name)
    kinds = [p.type for p in region.parameters]
    flag = TensorType((), BOOL)
    given = [
        builder.parameter(f"p{k}", kind)
        for k, kind in enumerate((*kinds[:count], flag, *kinds[count:], flag))
    ]
    state, seen, elements, used = given[:count], given[count], given[count + 1 : -1], given[-1]
    results = _inlined(builder, region, [*state, *elements])
    chosen = [select(builder, used, new, old) for new, old in zip(results, state, strict=True)]
    return builder.finish([*chosen, seen])


def _inlined(builder: Builder, region: Function, operands: Sequence[Value]) -> list[Value]:
    values = dict(zip(region.parameters, operands, strict=True))
    for op in region.ops:
        made = builder.append(op, [values[v] for v in op.operands])
        values.update(zip(op.results, made, strict=True))
    return [values[v] for v in region.results]


def _window(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    """Padding holds the values to start from; so does, here, what is not in use."""
    _check_regions(sampled)
    op = sampled.op
    count = len(operands) // 2
    inputs, starts = operands[:count], operands[count:]
    if not sampled.same("window", "strides", "padding", "base_dilations", "window_dilations"):
        raise sampled.unsupported("its window depends on the sizes")
    rank = len(inputs[0].dims)
    numbers = ("window", "strides", "base_dilations")
    sliding = [axis for axis in range(rank) if any(op.ints(name)[axis] > 1 for name in numbers)]
    sliding += [axis for axis in range(rank) if axis not in sliding and _is_resized(sampled, axis)]
    values = [
        bounder.masked(x, sliding, start.value) for x, start in zip(inputs, starts, strict=True)
    ]
    made = bounder.builder.append(op, [*values, *(start.value for start in starts)])
    own = _common(sampled, inputs)
    dims = tuple(sampled.dim(k) if k in sliding else dim for k, dim in enumerate(own))
    return [Open(v, dims) for v in made]


def _is_resized(sampled: Sampled, axis: int) -> bool:
    return any(o.results[0].shape[axis] != o.operands[0].shape[axis] for o in sampled.ops)


def _select_and_scatter(
    bounder: Bounder, sampled: Sampled, operands: Sequence[Open]
) -> Sequence[Open]:
    """Windows may slide along dims of one size only; the others go through."""
    _check_regions(sampled)
    op = sampled.op
    x, values, initial = operands
    for axis, dim in enumerate(x.dims):
        slides = op.ints("window")[axis] > 1 or op.ints("strides")[axis] > 1
        if is_open(dim) and (slides or _is_resized_window(sampled, axis)):
            raise sampled.unsupported(f"its windows slide along dim {axis}, whose size is open")
    if not sampled.same("window", "strides", "padding"):
        raise sampled.unsupported("its window depends on the sizes")
    made = bounder.builder.append(op, [x.value, values.value, initial.value])
    dims = x.dims
    return [Open(v, dims) for v in made]


def _is_resized_window(sampled: Sampled, axis: int) -> bool:
    return any(o.operands[0].shape[axis] != o.operands[1].shape[axis] for o in sampled.ops)


def _sort(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    """Along an open dim, what is not in use comes last."""
    _check_regions(sampled)
    op, builder = sampled.op, bounder.builder
    axis = op.integer("dimension")
    values = [x.value for x in operands]
    dims = _common(sampled, operands)
    used = bounder.valid(values[0].shape, _along(dims, (axis,)))
    if used is None:
        return [Open(v, dims) for v in builder.append(op, values)]
    made = builder.op("sort_by", (*values, used), dict(op.attributes), (_last(op.regions[0]),))
    return [Open(v, dims) for v in made[:-1]]


def _last(region: Function) -> Function:
    """The comparison with two flags behind its operands: elements in use come before others, which
    are alike."""
    builder = Builder(REGISTRY, region.name)
    flag = TensorType((), BOOL)
    kinds = [*(p.type for p in region.parameters), flag, flag]
    given = [builder.parameter(f"p{k}", kind) for k, kind in enumerate(kinds)]
    *elements, left, right = given
    (before,) = _inlined(builder, region, elements)
    other = builder.one("not", (right,))
    return builder.finish([binary(builder, "and", left, binary(builder, "or", other, before))])


def _check_regions(sampled: Sampled) -> None:
    if not same_regions(sampled.ops):
        raise sampled.unsupported("its region depends on the sizes")


REGION_RULES: Mapping[str, Rule] = {
    "reduce_by": _reduce,
    "scan_by": _scan,
    "reduce_window_by": _window,
    "select_and_scatter_by": _select_and_scatter,
    "sort_by": _sort,
}
