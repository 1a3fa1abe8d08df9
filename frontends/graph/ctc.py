"""Connectionist temporal classification: loss and best-path decoding.

Graves, Fernandez, Gomez, Schmidhuber: Connectionist Temporal Classification (2006).  The forward
variables are kept as logarithms; the gradient is that of the recursion.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast as typed

import numpy as np

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import apply_op, graph_of, make
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.control_flow import while_loop
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.errors import InvalidArgumentError
from tensorkiln.frontends.graph.host import HostContext, host_only
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_activation import log_softmax
from tensorkiln.frontends.graph.ops_elementwise import cast
from tensorkiln.frontends.graph.ops_gather import gather
from tensorkiln.frontends.graph.ops_reduce import reduce_logsumexp
from tensorkiln.frontends.graph.ops_segment import unsorted_segment_sum
from tensorkiln.frontends.graph.ops_select import where_v2
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.scopes import name_scope
from tensorkiln.frontends.graph.sparse_tensor import SparseTensor, sparse_tensor_to_dense
from tensorkiln.frontends.graph.tensor import Tensor

_IMPOSSIBLE = -1e30  # the logarithm of a probability of zero, finite so that no NaN comes of it


def ctc_loss(
    labels: object, inputs: object = None, sequence_length: object = None,
    preprocess_collapse_repeated: bool = False, ctc_merge_repeated: bool = True,
    ignore_longer_outputs_than_inputs: bool = False, time_major: bool = True,
    logits: object = None,
) -> Tensor:  # fmt: skip
    """For each sequence -log of the probability of its labels; the last class is the blank.

    `labels` is a SparseTensor [batch, longest]; `inputs` are logits [time, batch, classes]
    ([batch, time, classes] unless `time_major`).  Where labels do not fit into a sequence the loss
    is infinite, or 0 if `ignore_longer_outputs_than_inputs`.
    """
    if preprocess_collapse_repeated:
        raise ValueError("ctc_loss: collapse repeated labels before they are passed in")
    sparse = SparseTensor.from_value(labels)
    scores = inputs if logits is None else logits
    with graph_of([sparse.values, scores, sequence_length]).name_scope("CTCLoss") as scope:
        steps = convert_to_tensor(scores, name="inputs")
        if not time_major:
            steps = make("Transpose", (steps, [1, 0, 2]))
        classes = (steps.sizes or (None,))[-1]
        if classes is None:
            raise ValueError("ctc_loss needs a known number of classes")
        ends = cast(sequence_length, dtypes.int32)
        counts, targets = _targets(sparse, classes - 1, ends)
        emitted = _emissions(log_softmax(steps), targets)
        last = _forward(emitted, targets, classes - 1, ends, ctc_merge_repeated)
        loss = _final(last, counts, ignore_longer_outputs_than_inputs)
        return make("Identity", (loss,), scope)


def _targets(sparse: SparseTensor, blank: int, ends: Tensor) -> tuple[Tensor, Tensor]:
    """The number of labels of each sequence, and the labels with blanks around each."""
    dense = cast(sparse_tensor_to_dense(sparse, blank), dtypes.int32)
    rows = cast(sparse.indices[:, 0], dtypes.int32)
    batch = make("Size", (ends,), out_type=dtypes.int32)
    ones = make("OnesLike", (rows,), dtype=dtypes.int32)
    counts = unsorted_segment_sum(ones, rows, batch)
    blanks = make("Fill", (make("Shape", (dense,), out_type=dtypes.int32), blank))
    pairs = make("Pack", ([blanks, dense],), axis=2)
    flat = make("Reshape", (pairs, make("Pack", ([batch, -1],), axis=0)))
    return counts, make("ConcatV2", ([flat, blanks[:, :1] * 0 + blank], 1))


def _emissions(logs: Tensor, targets: Tensor) -> Tensor:
    """The log probability of each target at each step, [time, batch, targets]."""
    by_class = make("Transpose", (logs, [1, 2, 0]))
    picked = gather(by_class, targets, axis=1, batch_dims=1)
    return make("Transpose", (picked, [2, 0, 1]))


def _forward(emitted: Tensor, targets: Tensor, blank: int, ends: Tensor, merge: bool) -> Tensor:
    """The log probabilities of all ways that end at each target at each sequence's end."""
    dtype = base(emitted)
    never = convert_to_tensor(_IMPOSSIBLE, dtype)

    def moved(x: Tensor, by: int) -> Tensor:
        filler = x[:, :by] * 0.0 + never
        return make("ConcatV2", ([filler, x], 1))[:, :-by]

    before = make("ConcatV2", ([targets[:, :2] * 0 - 1, targets], 1))[:, :-2]
    jumps = make("NotEqual", (targets, blank))
    if merge:
        jumps = make("LogicalAnd", (jumps, make("NotEqual", (targets, before))))
    place = make("Range", (0, make("Shape", (targets,), out_type=dtypes.int32)[1], 1))
    first = where_v2(place < 2, emitted[0], never)

    def step(time: Tensor, alpha: Tensor) -> object:
        ways = [alpha, moved(alpha, 1), where_v2(jumps, moved(alpha, 2), never)]
        if not merge:
            # Each label stands for one step: it is entered, never stayed in.
            ways[0] = where_v2(make("Equal", (targets, blank)), alpha, never)
        total = reduce_logsumexp(make("Pack", (ways,), axis=0), 0)
        inside = make("ExpandDims", (make("Less", (time, ends)), 1))
        return time + 1, where_v2(inside, total + emitted[time], alpha)

    count = make("Shape", (emitted,), out_type=dtypes.int32)[0]
    start = (convert_to_tensor(1, dtypes.int32), first)
    _, last = typed("tuple[Tensor, Tensor]", while_loop(lambda time, _: time < count, step, start))
    return last


def _final(last: Tensor, counts: Tensor, ignore: bool) -> Tensor:
    place = make("Range", (0, make("Shape", (last,), out_type=dtypes.int32)[1], 1))
    end = make("ExpandDims", (counts * 2, 1))
    at_end = make("LogicalOr", (make("Equal", (place, end)), make("Equal", (place, end - 1))))
    never = convert_to_tensor(_IMPOSSIBLE, base(last))
    loss = -reduce_logsumexp(where_v2(at_end, last, never), 1)
    other = 0.0 if ignore else np.inf
    return where_v2(
        make("Less", (loss, -0.5 * _IMPOSSIBLE)), loss, convert_to_tensor(other, base(loss))
    )


def ctc_greedy_decoder(
    inputs: object, sequence_length: object, merge_repeated: bool = True
) -> tuple[list[SparseTensor], Tensor]:
    """The best class of each step, repetitions merged and blanks (the last class) left out.

    A list of one SparseTensor [batch, longest], and [batch, 1] sums of the negated logits.
    """
    with name_scope(None, "CTCGreedyDecoder", [inputs, sequence_length]) as scope:
        lengths = cast(sequence_length, dtypes.int32)
        outputs = apply_op(
            "CTCGreedyDecoder", (inputs, lengths), scope, {"merge_repeated": merge_repeated}
        ).outputs
        return [SparseTensor(*outputs[:3])], outputs[3]


def _greedy_infer(op: Operation) -> Sequence[Result]:
    sizes = op.inputs[0].sizes
    batch = None if sizes is None else sizes[1]
    return [
        (dtypes.int64, (None, 2)), (dtypes.int64, (None,)), (dtypes.int64, (2,)),
        (base(op.inputs[0]), (batch, 1)),
    ]  # fmt: skip


def _greedy(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[Array]:
    logits, lengths = arrays[0].astype(np.float64), arrays[1].astype(np.int64)
    steps, batch, classes = logits.shape
    if lengths.size and int(lengths.max()) > steps:
        raise InvalidArgumentError(
            op.name, op, f"sequence_length is {int(lengths.max())}, but there are {steps} steps"
        )
    best, places, values, sums = logits.argmax(2), [], [], np.zeros((batch, 1))
    for row in range(batch):
        length = int(lengths[row])
        sums[row] = -logits[:length, row].max(1).sum()
        before, count = -1, 0
        for label in best[:length, row].tolist():
            if label != classes - 1 and not (op.flag("merge_repeated") and label == before):
                places.append((row, count))
                values.append(label)
                count += 1
            before = label
    longest = 1 + max((column for _, column in places), default=-1)
    return [
        np.array(places, np.int64).reshape(-1, 2), np.array(values, np.int64),
        np.array([batch, longest], np.int64), sums.astype(arrays[0].dtype),
    ]  # fmt: skip


register(
    OpKind("CTCGreedyDecoder", "inputs:T sequence_length:int32", _greedy_infer, host_only,
           {"T": dtypes.FLOATS}, host=_greedy, differentiable=False),
)  # fmt: skip
