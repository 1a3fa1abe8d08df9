"""A recurrent net whose inputs, outputs and end a function of the program decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast as typed

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.control_flow import while_loop
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.nest import (
    assert_same_structure,
    flatten,
    map_structure,
    pack_sequence_as,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_constant import zeros
from tensorkiln.frontends.graph.ops_select import where
from tensorkiln.frontends.graph.rnn import Scope, check_cell
from tensorkiln.frontends.graph.rnn_cells import RNNCell
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.shapes import Sizes, as_sizes
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.tensor_array import TensorArray
from tensorkiln.frontends.graph.variable_scope import variable_scope

_Step = tuple[Tensor, object, object, object, object]


def raw_rnn(
    cell: RNNCell, loop_fn: Callable[..., object], parallel_iterations: int | None = None,
    swap_memory: bool = False, scope: Scope = None,
) -> tuple[object, object, object]:  # fmt: skip
    """What `loop_fn` emits at each step (TensorArrays), the last state and loop state.

    `loop_fn(time, cell_output, cell_state, loop_state)` returns which sequences have ended, the
    next input, the next state, what to emit and the next loop state; first it is called with
    time 0 and None, and gives the first of each and the shape of one row of what is emitted (None:
    the cell's output).  A sequence that has ended emits zeros and keeps its state; the net
    stops when all have.
    """
    check_cell(cell)
    if not callable(loop_fn):
        raise TypeError("loop_fn must be a callable")
    with variable_scope(scope or "rnn"):
        time = convert_to_tensor(0, dtypes.int32, "time")
        done, first, state, emitted, loop_state = typed(_Step, loop_fn(time, None, None, None))
        inputs = map_structure(convert_to_tensor, first)
        state = map_structure(convert_to_tensor, state)
        has_state = loop_state is not None
        loop_state = loop_state if has_state else convert_to_tensor(0)
        form = cell.output_size if emitted is None else emitted
        row = typed(Tensor, flatten(inputs)[0])
        batch = None if row.sizes is None else row.sizes[0]
        kind = base(typed(Tensor, flatten(state)[0]))
        rows = [_row(leaf, kind) for leaf in flatten(form)]
        arrays = [
            TensorArray(dtype, 0, dynamic_size=True, element_shape=_joined(batch, sizes),
                        tensor_array_name=f"rnn_output_{k}")
            for k, (dtype, sizes) in enumerate(rows)
        ]  # fmt: skip
        count: object = batch
        if batch is None:
            count = make("Shape", (row,), out_type=dtypes.int32)[0]
        nothing = [zeros(_shape(count, leaf, sizes), dtype)
                   for leaf, (dtype, sizes) in zip(flatten(form), rows, strict=True)]  # fmt: skip

        def goes_on(time: Tensor, done: Tensor, *rest: object) -> Tensor:
            return make("LogicalNot", (make("All", (done, [0]), keep_dims=False),))

        def body(
            time: Tensor, done: Tensor, given: object, arrays: list[TensorArray], state: object,
            loop_state: object,
        ) -> object:  # fmt: skip
            output, after = cell(given, state)
            assert_same_structure(state, after)
            answer = loop_fn(time + 1, output, after, loop_state if has_state else None)
            ended, following, after, emit, next_state = typed(_Step, answer)
            assert_same_structure(inputs, following)
            assert_same_structure(form, emit, check_types=False)
            after = map_structure(lambda old, new: _kept(done, old, new), state, after)
            written = [
                array.write(time, _kept(done, none, leaf))
                for array, none, leaf in zip(arrays, nothing, flatten(emit), strict=True)
            ]
            still = make("LogicalOr", (done, ended))
            return time + 1, still, following, written, after, (
                next_state if has_state else loop_state
            )  # fmt: skip

        start = (time, convert_to_tensor(done), inputs, arrays, state, loop_state)
        last = typed(
            "tuple[Tensor, Tensor, object, list[TensorArray], object, object]",
            while_loop(goes_on, body, start, parallel_iterations=parallel_iterations or 32),
        )
        return pack_sequence_as(form, last[3]), last[4], last[5] if has_state else None


def _row(leaf: object, dtype: dtypes.DType) -> tuple[dtypes.DType, Sizes]:
    """The dtype and shape of a row of what is emitted."""
    if isinstance(leaf, Tensor):
        return base(leaf), leaf.sizes
    return dtype, (leaf,) if isinstance(leaf, int) else as_sizes(leaf)


def _joined(batch: int | None, sizes: Sizes) -> list[int | None] | None:
    return None if sizes is None else [batch, *sizes]


def _shape(count: object, leaf: object, sizes: Sizes) -> object:
    if sizes is not None and None not in sizes:
        return make("Pack", ([count, *sizes],), axis=0)
    row = make("Shape", (leaf,), out_type=dtypes.int32)
    return make("ConcatV2", ([make("Pack", ([count],), axis=0), row], 0))


def _kept(done: Tensor, old: object, new: object) -> object:
    """The old value where a sequence has ended; scalars and arrays always move on."""
    if isinstance(new, TensorArray):
        return new
    tensor = convert_to_tensor(new)
    if tensor.sizes == ():
        return tensor
    chosen = where(done, old, tensor)
    chosen.set_shape(tensor.shape)
    return chosen
