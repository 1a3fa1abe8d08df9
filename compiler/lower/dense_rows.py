"""Which values of a program for open sizes lie densely: row-major at the sizes of the call.

A batch of up to 4 sequences of up to 28 tokens has its sequence i at row 28*i of 112 at capacity,
so that a register tile of rows holds tokens of one sequence only.  Stored densely it begins at row
i*tokens, and what treats all tokens alike, row by row, works on the first batch*tokens rows as if
these were one dim:

    rows       products with weights, their epilogues and packings: nothing in their kernels changes
    places     everything else, as attention: finds elements by sequence and place in it

All names of a tensor lie alike.  A tensor is dense if a product computes its rows or reads them,
and all who touch it can.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tensorkiln.compiler.ir.dims import Affine, Dim, Symbol, scale_dim, substitute, symbol_dim
from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.compiler.kernel.stmt import Invoke, Kernel, walk
from tensorkiln.compiler.lower.demand_rules import Need
from tensorkiln.compiler.lower.layout import Layout
from tensorkiln.compiler.lower.row_ops import PRODUCTS, computes_rows
from tensorkiln.compiler.lower.sharing import overlaid
from tensorkiln.compiler.sizes.factors import Dims, Factor, Factors, is_open, normal


def joined(factors: Factors, least: Mapping[str, int], capacities: Mapping[str, int]) -> Factor:
    """Factors as one whose used elements lie one behind the other.

    `least` and `capacities` are the ends of the sizes of the range.
    """
    size = math.prod(f.size for f in factors)
    scale, opened = 1, list[Affine]()
    for factor in factors:
        if isinstance(factor.extent, int):
            scale *= factor.extent
            continue
        terms, constant = factor.extent.terms, factor.extent.constant
        shared = math.gcd(constant, *(c for _, c in terms))
        scale *= shared
        opened.append(Affine(tuple((s, c // shared) for s, c in terms), constant // shared))
    if len(opened) == 1:
        return Factor(size, scale_dim(opened[0], scale))
    names = (str(e) if len(e.terms) == 1 and not e.constant else f"({e})" for e in opened)
    low, high = (math.prod(_at(e, sizes) for e in opened) for sizes in (least, capacities))
    product = Symbol("*".join(names), low, high, factors=tuple(opened))
    return Factor(size, scale_dim(symbol_dim(product), scale))


@dataclass(frozen=True)
class DenseRows:
    """What lies densely: the part of each such value that calls need, as `needs` tells it.

    The fusions in `rows` compute rows; what they need of their results is in `counted`.
    """

    needs: Mapping[Value, Need]
    rows: frozenset[Op]
    counted: Mapping[Value, Need]


def dense_rows(
    function: Function,
    wanted: Mapping[Value, Need],
    ends: Sequence[tuple[Value, Dims]],
    layouts: Mapping[Value, Layout],
    ranges: tuple[Mapping[str, int], Mapping[str, int]],
    kernel_of: Callable[[Op], Kernel],
) -> DenseRows:
    """Chooses what lies densely in the program of a fused function.

    `wanted` is what calls need of each value, `ends` what they give and get of parameters and
    results; `ranges` are the least and the largest sizes; `kernel_of` makes the kernel that a
    fusion has at capacity.
    """
    tensors = _Tensors(function, wanted, ends, layouts)
    while True:
        dense, rows = tensors.chosen()
        refused = {
            v
            for op in function.ops
            if op.name == "fusion" and op not in rows
            for v in _refused(op, dense, layouts, tensors, kernel_of)
        }
        if not refused:
            break
        tensors.excluded |= {tensors.first(v) for v in refused}
    needs = {v: n for v, n in wanted.items() if tensors.first(v) in dense}
    counted = {
        v: ((joined(needs[v][0], *ranges),), *needs[v][1:]) for op in rows for v in op.results
    }
    return DenseRows(needs, frozenset(rows), counted)


class _Tensors:
    """The tensors of a function by their first names, and which may not lie densely."""

    def __init__(
        self,
        function: Function,
        wanted: Mapping[Value, Need],
        ends: Sequence[tuple[Value, Dims]],
        layouts: Mapping[Value, Layout],
    ) -> None:
        self.function, self.wanted = function, wanted
        self._names: dict[Value, Value] = {}
        for op in function.ops:
            if op.name == "reshape":
                self._names[op.result] = self.first(op.operands[0])
        self.excluded = {self.first(v) for v in self._kept_at_capacity(ends)}
        self.packed = {self.first(v) for v, layout in layouts.items() if not layout.is_row_major}
        self._candidates = self._find_candidates()

    def first(self, value: Value) -> Value:
        """The first name of the tensor."""
        return self._names.get(value, value)

    def chosen(self) -> tuple[set[Value], set[Op]]:
        """The tensors that lie densely, unless somebody cannot, and the fusions that compute rows."""
        able = {op: own for op, own in self._candidates.items() if self.excluded.isdisjoint(own)}
        dense = {v for op, own in able.items() if _is_product(op) for v in own}
        rows: set[Op] = set()
        while True:
            more = {op for op, own in able.items() if not dense.isdisjoint(own)} - rows
            if not more:
                return dense, rows
            rows |= more
            dense |= {v for op in more for v in able[op]}

    def _find_candidates(self) -> dict[Op, set[Value]]:
        """The fusions that may compute rows, with the tensors that consist of rows."""
        found: dict[Op, set[Value]] = {}
        for op in self.function.ops:
            kinds = {self._rows(v) for v in op.results}
            if op.name != "fusion" or len(kinds) != 1 or None in kinds:
                continue
            (kind,) = kinds
            own = [v for v in op.operands if self._rows(v) == kind]
            if computes_rows(op, own):
                found[op] = {self.first(v) for v in (*own, *op.results)}
        return found

    def _rows(self, value: Value) -> Factors | None:
        """How rows are counted by dim 0, if that merges sizes; the other dims are always used."""
        need = self.wanted.get(value)
        if not need or any(map(is_open, need[1:])):
            return None
        rows = normal(need[0])
        return rows if len(rows) > 1 and is_open(rows) else None

    def _kept_at_capacity(self, ends: Sequence[tuple[Value, Dims]]) -> list[Value]:
        """Values with names of which more or less is needed, and those that others write over."""
        function = self.function
        found: list[Value] = []
        whole: dict[Value, Factors] = {}
        for value, need in self.wanted.items():
            if whole.setdefault(self.first(value), _flat(need)) != _flat(need):
                found.append(value)
        found += [v for v, dims in ends if _flat(dims) != whole.get(self.first(v))]
        for position, donor in function.aliases.items():
            found += [function.results[position], function.parameters[donor]]
        for op in function.ops:
            if op.name not in ("fusion", "reshape"):
                found += [*op.operands, *op.results]
            for operand, result in overlaid(op):
                found += [op.operands[operand], op.results[result]]
        return found


def _flat(dims: Dims) -> Factors:
    """The factors of all dims: equal for equal places in memory."""
    return normal(tuple(factor for dim in dims for factor in dim))


def _is_product(op: Op) -> bool:
    return any(each.name in PRODUCTS for each in op.regions[0].ops)


def _refused(
    op: Op,
    dense: set[Value],
    layouts: Mapping[Value, Layout],
    tensors: _Tensors,
    kernel_of: Callable[[Op], Kernel],
) -> list[Value]:
    """The dense values that a fusion which finds places cannot have so."""
    touched = [k for k, v in enumerate((*op.operands, *op.results)) if tensors.first(v) in dense]
    if not touched:
        return []
    values = (*op.operands, *op.results)
    kernel = kernel_of(op)
    windows = {w.buffer.name for s in walk(kernel.body) if isinstance(s, Invoke) for w in s.windows}
    return [
        values[k]
        for k in touched
        if kernel.parameters[k].name in windows or tensors.first(values[k]) in tensors.packed
    ]


def _at(extent: Dim, sizes: Mapping[str, int]) -> int:
    size = substitute(extent, sizes)
    assert isinstance(size, int)
    return size
