"""Whole cells of recurrent nets that TensorFlow has as single ops, as the ops they stand for.

LSTM after Hochreiter and Schmidhuber (1997) with forget gates and peepholes (Gers et al. 2000); GRU
after Cho et al. (2014).
"""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.files.import_nodes import Build, Node
from tensorkiln.frontends.graph.functional_ops import scan
from tensorkiln.frontends.graph.ops_elementwise import cast
from tensorkiln.frontends.graph.ops_join import split
from tensorkiln.frontends.graph.tensor import Tensor


def _lstm_step(
    node: Node, x: Tensor, state: Tensor, output: Tensor, weights: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """Input gate, state, forget gate, output gate, new input, its squashed state, and output.

    The columns of the weights are those of input gate, new input, forget gate, output gate.
    """
    attributes = node.attributes()
    clip, peep = float(str(attributes["cell_clip"])), bool(attributes["use_peephole"])
    w, input_peep, forget_peep, output_peep, bias = weights
    joined = make("ConcatV2", ([x, output], 1))
    columns = make("MatMul", (joined, w), transpose_a=False, transpose_b=False)
    into, new, forget, out = split(make("BiasAdd", (columns, bias), data_format="NHWC"), 4, 1)
    forget = forget + float(str(attributes["forget_bias"]))
    if peep:
        into, forget = into + state * input_peep, forget + state * forget_peep
    into, new, forget = make("Sigmoid", (into,)), make("Tanh", (new,)), make("Sigmoid", (forget,))
    state = new * into + state * forget
    if clip > 0:
        state = make("Maximum", (make("Minimum", (state, clip)), -clip))
    out = make("Sigmoid", (out + state * output_peep if peep else out,))
    squashed = make("Tanh", (state,))
    return into, state, forget, out, new, squashed, squashed * out


def _lstm_cell(node: Node) -> Sequence[Tensor]:
    x, state, output, *weights = node.inputs
    with node.graph.name_scope(f"{node.name}/step/"):
        made = _lstm_step(node, x, state, output, weights)
    return node.operation("IdentityN", made, {}).outputs


def _lstm_block(node: Node) -> Sequence[Tensor]:
    """All steps of x [time, batch, inputs]; after the first `seq_len_max` all outputs are zero."""
    longest, x, state, output, *weights = node.inputs
    with node.graph.name_scope(f"{node.name}/steps/"):
        count = make("Shape", (x,), out_type=dtypes.int32)[0]
        zero = make("ZerosLike", (state,), dtype=state.dtype.base_dtype)
        kept = make("Less", (make("Range", (0, count, 1)), cast(longest, dtypes.int32)))

        def step(before: object, item: object) -> object:
            assert isinstance(before, tuple)
            assert isinstance(item, tuple)
            real, row = item
            made = _lstm_step(node, row, before[1], before[6], weights)
            return tuple(value * cast(real, value.dtype) for value in made)

        first = (zero, state, zero, zero, zero, zero, output)
        made = scan(step, (kept, x), first)
    assert isinstance(made, tuple)
    return node.operation("IdentityN", made, {}).outputs


def _gru_cell(node: Node) -> Sequence[Tensor]:
    """Reset gate, update gate, candidate, and the new state."""
    x, state, gate_weights, weights, gate_bias, bias = node.inputs

    def columns(left: Tensor, matrix: Tensor, offset: Tensor) -> Tensor:
        joined = make("ConcatV2", ([x, left], 1))
        product = make("MatMul", (joined, matrix), transpose_a=False, transpose_b=False)
        return make("BiasAdd", (product, offset), data_format="NHWC")

    with node.graph.name_scope(f"{node.name}/step/"):
        gates = make("Sigmoid", (columns(state, gate_weights, gate_bias),))
        reset, update = split(gates, 2, 1)
        candidate = make("Tanh", (columns(reset * state, weights, bias),))
        made = (reset, update, candidate, update * state + (1 - update) * candidate)
    return node.operation("IdentityN", made, {}).outputs


BUILDERS: dict[str, Build] = {
    "BlockLSTM": _lstm_block,
    "GRUBlockCell": _gru_cell,
    "LSTMBlockCell": _lstm_cell,
}
