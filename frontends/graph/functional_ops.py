"""tf.map_fn, tf.foldl, tf.foldr and tf.scan: loops over the rows of tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import graph_of, make
from tensorkiln.frontends.graph.control_flow import while_loop
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.nest import assert_same_structure, flatten, pack_sequence_as
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.scopes import name_scope
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.tensor_array import TensorArray, unstack_all

Reduce = Callable[[object, object], object]


class _Rows:
    """The tensors in a structure, whose rows a loop walks over."""

    def __init__(self, elems: object) -> None:
        self.structure = elems
        self.tensors = [convert_to_tensor(leaf, name="elem") for leaf in flatten(elems)]
        for tensor in self.tensors:
            if tensor.sizes == ():
                raise ValueError("elements in elems must be 1+ dimensional Tensors, not scalars")
        self.count = self._count()
        self.arrays = unstack_all(self.tensors, self.count)

    def _count(self) -> object:
        for tensor in self.tensors:
            if tensor.sizes is not None and tensor.sizes[0] is not None:
                return tensor.sizes[0]
        shape = make("Shape", (self.tensors[0],), out_type=dtypes.int32)
        return make("GatherV2", (shape, 0, 0), batch_dims=0)

    def at(self, index: object) -> object:
        """Row `index` of each."""
        return pack_sequence_as(self.structure, [array.read(index) for array in self.arrays])


def map_fn(
    fn: Callable[[object], object], elems: object, dtype: object = None,
    parallel_iterations: int | None = None, back_prop: bool = True, swap_memory: bool = False,
    infer_shape: bool = True, name: str | None = None, fn_output_signature: object = None,
) -> object:  # fmt: skip
    """`fn` of each row of `elems` (tensors in any nesting), the results stacked.

    `dtype` gives the dtypes of what `fn` returns, in its structure, where that is not the
    structure and dtypes of `elems`.
    """
    _check_callable(fn)
    with graph_of(flatten(elems)).as_default(), name_scope(name or "map"):
        rows = _Rows(elems)
        given = dtype if dtype is not None else fn_output_signature
        outline = elems if given is None else given
        kinds = _dtypes(rows, given)
        arrays = [TensorArray(kind, rows.count, infer_shape=infer_shape) for kind in kinds]

        def compute(index: Tensor, carried: list[TensorArray]) -> object:
            made = fn(rows.at(index))
            assert_same_structure(outline, made)
            items = flatten(made)
            written = [a.write(index, v) for a, v in zip(carried, items, strict=True)]
            return [make("Add", (index, 1), "add"), written]

        found = _walk(rows, compute, [0, arrays], parallel_iterations, back_prop, swap_memory)
        filled = cast("list[TensorArray]", found[1])
        return pack_sequence_as(outline, [_stacked(array, rows) for array in filled])


def foldl(
    fn: Reduce, elems: object, initializer: object = None, parallel_iterations: int = 10,
    back_prop: bool = True, swap_memory: bool = False, name: str | None = None,
) -> object:  # fmt: skip
    """`fn(... fn(fn(initializer, first row), second row) ..., last row)`; without `initializer`
    the first row takes its place."""
    return _fold(fn, elems, initializer, False, name or "foldl")


def foldr(
    fn: Reduce, elems: object, initializer: object = None, parallel_iterations: int = 10,
    back_prop: bool = True, swap_memory: bool = False, name: str | None = None,
) -> object:  # fmt: skip
    """Like `foldl`, from the last row to the first."""
    return _fold(fn, elems, initializer, True, name or "foldr")


def _fold(fn: Reduce, elems: object, initializer: object, reverse: bool, name: str) -> object:
    _check_callable(fn)
    with graph_of(flatten(elems)).as_default(), name_scope(name):
        rows = _Rows(elems)
        start, first = _start(rows, initializer, reverse)

        def compute(index: Tensor, accumulated: object) -> object:
            made = fn(accumulated, rows.at(_row(rows, index, reverse)))
            return [make("Add", (index, 1), "add"), made]

        return _walk(rows, compute, [first, start])[1]


def scan(
    fn: Reduce, elems: object, initializer: object = None, parallel_iterations: int = 10,
    back_prop: bool = True, swap_memory: bool = False, infer_shape: bool = True,
    reverse: bool = False, name: str | None = None,
) -> object:  # fmt: skip
    """The values that `foldl` (or `foldr`, with `reverse`) has after each row, stacked in the rows'
    order; without `initializer` the first is the first row itself."""
    _check_callable(fn)
    with graph_of(flatten(elems)).as_default(), name_scope(name or "scan"):
        rows = _Rows(elems)
        start, first = _start(rows, initializer, reverse)
        leaves = [convert_to_tensor(leaf) for leaf in flatten(start)]
        start = pack_sequence_as(start, leaves)
        arrays = [
            TensorArray(base(leaf), rows.count, element_shape=leaf.sizes, infer_shape=infer_shape)
            for leaf in leaves
        ]
        if first:
            place = _row(rows, 0, reverse)
            arrays = [a.write(place, leaf) for a, leaf in zip(arrays, leaves, strict=True)]

        def compute(index: Tensor, accumulated: object, carried: list[TensorArray]) -> object:
            place = _row(rows, index, reverse)
            made = fn(accumulated, rows.at(place))
            assert_same_structure(start, made)
            items = flatten(made)
            written = [a.write(place, v) for a, v in zip(carried, items, strict=True)]
            return [make("Add", (index, 1), "add"), made, written]

        found = _walk(rows, compute, [first, start, arrays])
        filled = cast("list[TensorArray]", found[2])
        return pack_sequence_as(start, [_stacked(array, rows) for array in filled])


def _check_callable(fn: object) -> None:
    if not callable(fn):
        raise TypeError(f"The provided function {fn!r} is not callable.")


def _dtypes(rows: _Rows, given: object) -> list[object]:
    if given is None:
        return [base(tensor) for tensor in rows.tensors]
    return flatten(given)


def _start(rows: _Rows, initializer: object, reverse: bool) -> tuple[object, int]:
    """Where folding starts, and how many rows that takes."""
    if initializer is not None:
        return initializer, 0
    return rows.at(_row(rows, 0, reverse)), 1


def _row(rows: _Rows, number: object, reverse: bool) -> object:
    """The place of the row that comes as number `number`."""
    if not reverse:
        return number
    if isinstance(number, int) and isinstance(rows.count, int):
        return rows.count - 1 - number
    return make("Sub", (make("Sub", (rows.count, 1)), number))


def _walk(
    rows: _Rows, compute: Callable[..., object], start: Sequence[object],
    parallel_iterations: int | None = None, back_prop: bool = True, swap_memory: bool = False,
) -> list[object]:  # fmt: skip
    found = while_loop(
        lambda index, *_: make("Less", (index, rows.count)), compute, list(start),
        parallel_iterations=parallel_iterations or 10, back_prop=back_prop,
        swap_memory=swap_memory, maximum_iterations=rows.count, return_same_structure=True,
    )  # fmt: skip
    return cast("list[object]", found)


def _stacked(array: TensorArray, rows: _Rows) -> Tensor:
    """All items; as many as there are rows."""
    return array.stack()
