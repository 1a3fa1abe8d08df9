"""Recurrent nets over sequences: unrolled in the graph, or in a loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from typing import cast as typed

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.control_flow import while_loop
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.nest import (
    assert_same_structure,
    flatten,
    is_nested,
    map_structure,
    pack_sequence_as,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_constant import zeros
from tensorkiln.frontends.graph.ops_elementwise import cast
from tensorkiln.frontends.graph.ops_rearrange import reverse_sequence
from tensorkiln.frontends.graph.ops_select import where
from tensorkiln.frontends.graph.ops_shape import reverse
from tensorkiln.frontends.graph.rnn_cells import RNNCell
from tensorkiln.frontends.graph.scopes import control_dependencies, name_scope
from tensorkiln.frontends.graph.shapes import as_sizes
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.tensor_array import TensorArray
from tensorkiln.frontends.graph.variable_scope import VariableScope, variable_scope

Scope = str | VariableScope | None


def dynamic_rnn(
    cell: RNNCell, inputs: object, sequence_length: object = None, initial_state: object = None,
    dtype: object = None, parallel_iterations: int | None = None, swap_memory: bool = False,
    time_major: bool = False, scope: Scope = None,
) -> tuple[object, object]:  # fmt: skip
    """The outputs of all steps and the last state.

    Inputs are [batch, time, ...] ([time, batch, ...] if `time_major`), or a nest of such tensors.
    Beyond a sequence's own length outputs are zero and the state stays.
    """
    check_cell(cell)
    with variable_scope(scope or "rnn"):
        rows = [convert_to_tensor(t) for t in flatten(inputs)]
        for tensor in rows:
            if tensor.sizes is not None and len(tensor.sizes) < 2:
                raise ValueError(f"Expected input tensor {tensor.name} to have rank at least 2")
        steps = rows if time_major else [_swapped(t) for t in rows]
        lengths = _lengths(sequence_length)
        batch = _size(steps[0], 1)
        state = _start(cell, initial_state, batch, dtype)
        outputs, last = _loop(cell, steps, inputs, state, lengths, parallel_iterations or 32)
        if not time_major:
            outputs = [_swapped(t) for t in outputs]
        return pack_sequence_as(cell.output_size, outputs), last


def check_cell(cell: object) -> None:
    """TypeError unless this can be used as a cell."""
    missing = [
        name for name in ("output_size", "state_size", "zero_state") if not hasattr(cell, name)
    ]
    if missing or not callable(cell):
        raise TypeError(
            f"The argument 'cell' ({cell!r}) is not an RNNCell: "
            f"{', '.join(f'{name!r} property is missing' for name in missing) or 'is not callable'}."
        )


def _lengths(sequence_length: object) -> Tensor | None:
    if sequence_length is None:
        return None
    lengths = cast(sequence_length, dtypes.int32)
    if lengths.shape.ndims not in (None, 1):
        raise ValueError(
            f"sequence_length must be a vector of length batch_size, but saw shape: {lengths.shape}"
        )
    return make("Identity", (lengths,), "sequence_length")


def _swapped(tensor: Tensor) -> Tensor:
    """Time and batch exchanged."""
    rank = len(tensor.sizes or (0, 0))
    return make("Transpose", (tensor, [1, 0, *range(2, rank)]), "transpose")


def _size(tensor: Tensor, axis: int) -> object:
    known = None if tensor.sizes is None else tensor.sizes[axis]
    return make("Shape", (tensor,), out_type=dtypes.int32)[axis] if known is None else known


def _start(cell: RNNCell, initial_state: object, batch: object, dtype: object) -> object:
    if initial_state is not None:
        return map_structure(convert_to_tensor, initial_state)
    if dtype is None:
        raise ValueError("If there is no initial_state, you must give a dtype.")
    return cell.zero_state(batch, dtype)


def _loop(
    cell: RNNCell, steps: Sequence[Tensor], form: object, state: object,
    lengths: Tensor | None, parallel: int,
) -> tuple[list[Tensor], object]:  # fmt: skip
    count = _size(steps[0], 0)
    kind = typed(Tensor, flatten(state)[0]).dtype.base_dtype
    with name_scope("dynamic_rnn"):
        sizes = [_dims(size) for size in flatten(cell.output_size)]
        batch = None if steps[0].sizes is None else steps[0].sizes[1]
        arrays = [
            TensorArray(kind, count, tensor_array_name=f"output_{k}", element_shape=[batch, *size])
            for k, size in enumerate(sizes)
        ]
        sources = [
            TensorArray(t.dtype.base_dtype, count, tensor_array_name=f"input_{k}").unstack(t)
            for k, t in enumerate(steps)
        ]
    zero = None
    if lengths is not None:
        whole = _size(steps[0], 1)
        zero = [zeros(_joined(whole, size), kind) for size in sizes]

    def body(time: Tensor, outs: tuple[TensorArray, ...], before: object) -> object:
        given = [source.read(time) for source in sources]
        for tensor, row in zip(given, steps, strict=True):
            if row.sizes is not None:
                tensor.set_shape(row.sizes[1:])
        output, after = cell(pack_sequence_as(form, given), before)
        assert_same_structure(cell.output_size, output, check_types=False)
        results = [convert_to_tensor(t) for t in flatten(output)]
        if lengths is not None and zero is not None:
            done = make("GreaterEqual", (time, lengths))
            results = [where(done, z, t) for z, t in zip(zero, results, strict=True)]
            after = map_structure(lambda old, new: _kept(done, old, new), before, after)
        outs = tuple(a.write(time, t) for a, t in zip(outs, results, strict=True))
        return time + 1, outs, after

    start = (convert_to_tensor(0, dtypes.int32, "time"), tuple(arrays), state)
    limit = convert_to_tensor(count, dtypes.int32)
    _, finished, last = typed(
        "tuple[Tensor, tuple[TensorArray, ...], object]",
        while_loop(
            lambda time, *_: time < limit, body, start, parallel_iterations=parallel, name="while"
        ),
    )
    outputs = []
    for array, size in zip(finished, sizes, strict=True):
        stacked = array.stack()
        stacked.set_shape([None if steps[0].sizes is None else steps[0].sizes[0], batch, *size])
        outputs.append(stacked)
    return outputs, last


def _dims(size: object) -> tuple[int | None, ...]:
    dims = as_sizes(size) if not isinstance(size, int) else (size,)
    assert dims is not None
    return dims


def _joined(batch: object, size: Sequence[int | None]) -> object:
    if isinstance(batch, Tensor):
        return make("ConcatV2", ([make("ExpandDims", (batch, 0)), list(size)], 0))
    return [batch, *size]


def _kept(done: Tensor, old: object, new: object) -> object:
    """The old state where a sequence has ended; scalars always move on."""
    tensor = convert_to_tensor(new)
    if tensor.sizes == ():
        return tensor
    chosen = where(done, old, tensor)
    chosen.set_shape(tensor.shape)
    return chosen


def static_rnn(
    cell: RNNCell, inputs: Sequence[object], initial_state: object = None, dtype: object = None,
    sequence_length: object = None, scope: Scope = None,
) -> tuple[list[object], object]:  # fmt: skip
    """The outputs of the steps, one a tensor of the list `inputs`, and the last state."""
    check_cell(cell)
    if not isinstance(inputs, list | tuple):
        raise TypeError("inputs must be a sequence")
    if not inputs:
        raise ValueError("inputs must not be empty")
    outputs: list[object] = []
    with variable_scope(scope or "rnn"):
        first = convert_to_tensor(flatten(inputs[0])[0])
        if first.shape.ndims == 0:
            raise ValueError("inputs must have at least one dimension")
        batch = _size(first, 0)
        state = _start(cell, initial_state, batch, dtype)
        lengths = _lengths(sequence_length)
        for time, given in enumerate(inputs):
            output, after = cell(given, state)
            if lengths is not None:
                output, after = _ended(make("LessEqual", (lengths, time)), output, state, after)
            state = after
            outputs.append(output)
    return outputs, state


class StateSaver(Protocol):
    """What keeps states from one batch to the next."""

    def state(self, name: str) -> object:
        """The state kept under a name."""

    def save_state(self, name: str, value: object) -> object:
        """An operation that keeps a state under a name."""


def static_state_saving_rnn(
    cell: RNNCell, inputs: Sequence[object], state_saver: StateSaver, state_name: object,
    sequence_length: object = None, scope: Scope = None,
) -> tuple[list[object], object]:  # fmt: skip
    """`static_rnn` from the state that `state_saver.state(name)` gives; the last output is there
    once `state_saver.save_state(name, state)` has kept the state.

    `state_name` has the structure of the cell's states: one name, or a tuple of names.
    """
    if is_nested(cell.state_size) != is_nested(state_name) or (
        len(flatten(cell.state_size)) != len(flatten(state_name))
    ):
        raise ValueError(
            f"#states {cell.state_size} and #names {state_name} do not agree: one name a state"
        )
    start = map_structure(lambda name: state_saver.state(str(name)), state_name)
    if is_nested(cell.state_size):
        start = pack_sequence_as(cell.state_size, flatten(start))
    outputs, state = static_rnn(cell, inputs, start, None, sequence_length, scope)
    names = flatten(state_name)
    saves = [
        state_saver.save_state(str(name), part)
        for name, part in zip(names, flatten(state), strict=True)
    ]
    with control_dependencies(saves):
        last = [make("Identity", (part,)) for part in flatten(outputs[-1])]
        outputs[-1] = pack_sequence_as(outputs[-1], last)
        kept = [make("Identity", (part,)) for part in flatten(state)]
    return outputs, pack_sequence_as(state, kept)


def _ended(done: Tensor, output: object, before: object, after: object) -> tuple[object, object]:
    """Zeros for the outputs, and the states kept, of the sequences that have ended."""
    zeroed = map_structure(lambda t: where(done, zeros_of(t), t), output)
    return zeroed, map_structure(lambda old, new: _kept(done, old, new), before, after)


def zeros_of(value: object) -> Tensor:
    """Zeros of a tensor's shape and dtype."""
    tensor = convert_to_tensor(value)
    return make("ZerosLike", (tensor,), dtype=tensor.dtype.base_dtype)


def bidirectional_dynamic_rnn(
    cell_fw: RNNCell, cell_bw: RNNCell, inputs: object, sequence_length: object = None,
    initial_state_fw: object = None, initial_state_bw: object = None, dtype: object = None,
    parallel_iterations: int | None = None, swap_memory: bool = False, time_major: bool = False,
    scope: Scope = None,
) -> tuple[tuple[object, object], tuple[object, object]]:  # fmt: skip
    """Two nets, one of which reads each sequence from its end: pairs of outputs and of states."""
    check_cell(cell_fw)
    check_cell(cell_bw)
    along, across = (0, 1) if time_major else (1, 0)

    def mirrored(values: object) -> object:
        if sequence_length is not None:
            return map_structure(
                lambda t: reverse_sequence(t, sequence_length, along, across), values
            )
        return map_structure(lambda t: reverse(t, [along]), values)

    with variable_scope(scope or "bidirectional_rnn"):
        options = {"parallel_iterations": parallel_iterations, "time_major": time_major}
        with variable_scope("fw") as forward:
            outputs, state = dynamic_rnn(
                cell_fw, inputs, sequence_length, initial_state_fw, dtype, scope=forward,
                **options,  # type: ignore[arg-type]
            )  # fmt: skip
        with variable_scope("bw") as backward:
            back, state_bw = dynamic_rnn(
                cell_bw, mirrored(inputs), sequence_length, initial_state_bw, dtype,
                scope=backward, **options,  # type: ignore[arg-type]
            )  # fmt: skip
        return (outputs, mirrored(back)), (state, state_bw)


def static_bidirectional_rnn(
    cell_fw: RNNCell, cell_bw: RNNCell, inputs: Sequence[object], initial_state_fw: object = None,
    initial_state_bw: object = None, dtype: object = None, sequence_length: object = None,
    scope: Scope = None,
) -> tuple[list[object], object, object]:  # fmt: skip
    """Two unrolled nets, one of which reads the list from its end: outputs side by side, and both
    last states."""
    check_cell(cell_fw)
    check_cell(cell_bw)
    with variable_scope(scope or "bidirectional_rnn"):
        with variable_scope("fw") as forward:
            outputs, state = static_rnn(
                cell_fw, inputs, initial_state_fw, dtype, sequence_length, forward
            )
        with variable_scope("bw") as backward:
            rows = _mirrored_list(inputs, sequence_length)
            back, state_bw = static_rnn(
                cell_bw, rows, initial_state_bw, dtype, sequence_length, backward
            )
        back = _mirrored_list(back, sequence_length)
    joined: list[object] = [
        map_structure(lambda x, y: make("ConcatV2", ([x, y], 1)), a, b)
        for a, b in zip(outputs, back, strict=True)
    ]
    return joined, state, state_bw


def _mirrored_list(rows: Sequence[object], sequence_length: object) -> list[object]:
    if sequence_length is None:
        return list(rows)[::-1]
    columns = []
    for column in zip(*map(flatten, rows), strict=True):
        stacked = make("Pack", (list(column),), "stack", axis=0)
        turned = reverse_sequence(stacked, sequence_length, 0, 1)
        columns.append([turned[k] for k in range(len(rows))])
    return [pack_sequence_as(rows[0], list(step)) for step in zip(*columns, strict=True)]
