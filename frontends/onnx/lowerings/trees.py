"""TreeEnsemble (domain ai.onnx.ml), and what else feature vectors go through there.

All trees take a step at once: the state of a sample is a node for each tree, and one more look-up
by node gives the next one.  A leaf follows itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from tensorkiln.compiler.ir.dtypes import BOOL, I64
from tensorkiln.compiler.ir.function import Array, Value
from tensorkiln.compiler.ops import Builder
from tensorkiln.compiler.ops.shorthand import (
    binary,
    broadcast_in_dim,
    broadcast_to,
    compare,
    convert,
    full,
    full_like,
    iota,
    reduce,
    reshape,
    scalar,
    select,
    take,
)  # fmt: skip
from tensorkiln.frontends.onnx.lowerings.gather import wrapped
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.table import Lowering

DOMAIN = "ai.onnx.ml"
Integers: TypeAlias = npt.NDArray[np.int64]
_WAYS = ("LE", "LT", "GE", "GT", "EQ", "NE")  # by nodes_modes 0 to 5
_MEMBER = 6
_DEEPEST = 1024
_REDUCERS = ("add", "add", "minimum", "maximum")  # by aggregate_function 0 to 3


@dataclass(frozen=True, slots=True)
class _Forest:
    """Trees whose leaves come after all nodes: leaf k is node `len(modes)` + k."""

    roots: Integers
    modes: Integers
    features: Integers
    splits: Array
    missing_is_true: Array
    if_true: Array
    if_false: Array
    members: Array  # [nodes, most members], filled up with NaN
    depth: int


def _forest(node: Node, features: int) -> _Forest:
    modes = node.tensor("nodes_modes").astype(np.int64)
    splits, count = node.tensor("nodes_splits"), len(modes)
    leaves = len(node.tensor("leaf_weights"))
    columns = {
        name: np.array(node.integers(f"nodes_{name}"), np.int64)
        for name in ("featureids", "trueleafs", "falseleafs", "truenodeids", "falsenodeids")
    }
    missing = np.array(node.integers("nodes_missing_value_tracks_true", (0,) * count), np.int64)
    if not count or any(len(c) != count for c in (*columns.values(), splits, missing)):
        raise node.invalid("its attributes nodes_* differ in length, or are empty")
    if modes.max() > _MEMBER or not _within(columns["featureids"], features):
        raise node.invalid(f"a mode is above {_MEMBER}, or a feature not one of {features}")
    branches = []
    for way in ("true", "false"):
        target, leaf = columns[f"{way}nodeids"], columns[f"{way}leafs"] != 0
        if not _within(target[leaf], leaves) or not _within(target[~leaf], count):
            raise node.invalid(f"nodes_{way}nodeids names a node that is not there")
        branches.append(np.where(leaf, target + count, target))
    roots = np.array(node.integers("tree_roots"), np.int64)
    if not len(roots) or not _within(roots, count):
        raise node.invalid("tree_roots names a node that is not there")
    depth = _depth(node, roots, branches, count)
    return _Forest(roots, modes, columns["featureids"], splits, missing != 0, branches[0],
                   branches[1], _members(node, modes, splits), depth)  # fmt: skip


def _within(indices: Integers, count: int) -> bool:
    return bool(((indices >= 0) & (indices < count)).all())


def _depth(node: Node, roots: Integers, branches: Sequence[Integers], count: int) -> int:
    """Steps until all samples are in leaves."""
    level, steps = np.unique(roots), 0
    while len(level):
        steps += 1
        if steps > count:
            raise node.invalid("its trees have a cycle")
        if steps > _DEEPEST:
            raise node.unsupported(f"its trees are deeper than {_DEEPEST}")
        level = np.unique(np.concatenate([branch[level] for branch in branches]))
        level = level[level < count]
    return steps


def _members(node: Node, modes: Array, splits: Array) -> Array:
    """The sets of BRANCH_MEMBER nodes, which NaN end one after the other."""
    asked = np.flatnonzero(modes == _MEMBER)
    if not len(asked):
        return np.zeros((len(modes), 0), splits.dtype)
    values = node.tensor("membership_values")
    ends = np.flatnonzero(np.isnan(values))
    sets = [part[~np.isnan(part)] for part in np.split(values, ends)][: len(asked)]
    if len(sets) != len(asked):
        raise node.invalid(f"{len(asked)} nodes ask for membership, with {len(sets)} sets")
    found = np.full((len(modes), max(map(len, sets))), np.nan, splits.dtype)
    for place, part in zip(asked, sets, strict=True):
        found[place, : len(part)] = part
    return found


def _tree_ensemble(node: Node) -> Value:
    builder, x = node.builder, node.value()
    if x.type.rank != 2:
        raise node.invalid(f"its input is {x.type}, not a matrix of samples and features")
    if node.integer("post_transform"):
        raise node.unsupported(f"post_transform is {node.integer('post_transform')}, not NONE")
    aggregate, targets = node.integer("aggregate_function"), node.integer("n_targets")
    if not 0 <= aggregate < len(_REDUCERS) or targets < 1:
        raise node.invalid(f"aggregate_function is {aggregate}, n_targets {targets}")
    forest = _forest(node, x.shape[1])
    samples, trees = x.shape[0], len(forest.roots)
    if not samples:
        return full(builder, (0, targets), 0, x.dtype)
    at = broadcast_to(builder, builder.constant(forest.roots), (samples, trees))
    for _ in range(forest.depth):
        at = _step(builder, forest, x, at)
    leaf = binary(builder, "subtract", at, scalar(builder, len(forest.modes), I64))
    return _aggregated(node, x, leaf, aggregate, targets)


def _step(builder: Builder, forest: _Forest, x: Value, at: Value) -> Value:
    """The node after each one in `at` i64[samples, trees]."""
    count = len(forest.modes)
    here = builder.one("minimum", (at, full_like(builder, at, count - 1)))
    samples, features = x.shape
    row = binary(
        builder, "multiply", iota(builder, at.shape, 0, I64), scalar(builder, features, I64)
    )
    place = builder.one("add", (row, _looked_up(builder, forest.features, here)))
    value = take(builder, reshape(builder, x, (samples * features,)), place)
    holds = _decisions(builder, forest, value, here)
    if forest.missing_is_true.any():
        missing = compare(builder, "NE", value, value)
        always = _looked_up(builder, forest.missing_is_true, here)
        holds = builder.one("or", (holds, builder.one("and", (missing, always))))
    ways = [_looked_up(builder, branch, here) for branch in (forest.if_true, forest.if_false)]
    in_leaf = compare(builder, "GE", at, full_like(builder, at, count))
    return select(builder, in_leaf, at, select(builder, holds, *ways))


def _looked_up(builder: Builder, table: Array, at: Value) -> Value:
    return take(builder, builder.constant(np.ascontiguousarray(table)), at)


def _decisions(builder: Builder, forest: _Forest, value: Value, here: Value) -> Value:
    """What the nodes say to the values, by those modes that there are."""
    split = convert(builder, _looked_up(builder, forest.splits, here), value.dtype)
    mode = _looked_up(builder, forest.modes, here)
    holds = full(builder, here.shape, False, BOOL)
    for number in np.unique(forest.modes).tolist():
        if number == _MEMBER:
            sets = convert(builder, _looked_up(builder, forest.members, here), value.dtype)
            wide = broadcast_in_dim(builder, value, sets.shape, (0, 1))
            found = reduce(builder, compare(builder, "EQ", wide, sets), "or", (2,))
        else:
            found = compare(builder, _WAYS[number], value, split)
        holds = select(
            builder, compare(builder, "EQ", mode, full_like(builder, mode, number)), found, holds
        )
    return holds


def _aggregated(node: Node, x: Value, leaf: Value, aggregate: int, targets: int) -> Value:
    """The weights of the leaves, folded for each target; 0 where no leaf is for one."""
    builder = node.builder
    goals = np.array(node.integers("leaf_targetids"), np.int64)
    weights = node.tensor("leaf_weights")
    if len(goals) != len(weights) or not _within(goals, targets):
        raise node.invalid(f"leaf_targetids do not fit {len(weights)} leaves, {targets} targets")
    shape = (*leaf.shape, targets)
    weight = convert(builder, _looked_up(builder, weights, leaf), x.dtype)
    goal = _looked_up(builder, goals, leaf)
    spread = [broadcast_in_dim(builder, v, shape, (0, 1)) for v in (weight, goal)]
    mine = compare(builder, "EQ", spread[1], iota(builder, shape, 2, I64))
    neutral = {"add": 0.0, "minimum": np.inf, "maximum": -np.inf}[_REDUCERS[aggregate]]
    masked = select(builder, mine, spread[0], full_like(builder, spread[0], neutral))
    total = reduce(builder, masked, _REDUCERS[aggregate], (1,))
    if neutral:
        some = reduce(builder, mine, "or", (1,))
        return select(builder, some, total, full_like(builder, total, 0))
    if aggregate:
        return total
    return binary(builder, "divide", total, scalar(builder, leaf.shape[1], total.dtype))


def _features(node: Node) -> Value:
    """Columns of the last dim; a vector counts as one row."""
    builder, x, indices = node.builder, node.value(), node.operand(1)
    if not x.type.rank:
        raise node.invalid("its input is a scalar")
    flat = reshape(builder, wrapped(builder, indices, x.shape[-1], node), (indices.type.elements,))
    found = take(builder, x, flat, x.type.rank - 1)
    return found if x.type.rank > 1 else reshape(builder, found, (1, indices.type.elements))


def _binarized(node: Node) -> Value:
    builder, x = node.builder, node.value()
    limit = scalar(builder, node.number("threshold"), x.dtype) if x.dtype.is_float else None
    if limit is None:
        raise node.unsupported(f"its input holds {x.dtype}, not floats")
    return convert(
        builder, compare(builder, "GT", x, broadcast_to(builder, limit, x.shape)), x.dtype
    )


LOWERINGS = (
    Lowering("TreeEnsemble", _tree_ensemble, 5, DOMAIN),
    Lowering("ArrayFeatureExtractor", _features, domain=DOMAIN),
    Lowering("Binarizer", _binarized, domain=DOMAIN),
)
