"""Decoding of connectionist temporal classification by a beam of label sequences.

Graves, Jaitly: Towards end-to-end speech recognition with recurrent neural networks (2014),
without a language model: a sequence's probability is that of all its paths.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import apply_op
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.errors import InvalidArgumentError
from tensorkiln.frontends.graph.host import HostContext, host_only
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_elementwise import cast
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.sparse_tensor import SparseTensor
from tensorkiln.frontends.graph.tensor import Tensor

Labels = tuple[int, ...]
Beam = dict[Labels, tuple[float, float]]
"""For each sequence the log probability of its paths that end in a blank, and of the others."""


def ctc_beam_search_decoder(
    inputs: object, sequence_length: object, beam_width: int = 100, top_paths: int = 1,
    merge_repeated: bool = True,
) -> tuple[list[SparseTensor], Tensor]:  # fmt: skip
    """The `top_paths` likeliest label sequences, and their log probabilities [batch, top_paths].

    `inputs` are logits [time, batch, classes], whose last class is the blank.  `merge_repeated`
    makes one label of equal ones that stand side by side in the result.
    """
    attributes = {
        "beam_width": beam_width, "top_paths": top_paths, "merge_repeated": merge_repeated,
    }  # fmt: skip
    if top_paths > beam_width:
        raise ValueError(f"top_paths is {top_paths}, but beam_width is {beam_width}")
    lengths = cast(sequence_length, dtypes.int32)
    *parts, scores = apply_op("CTCBeamSearchDecoder", (inputs, lengths), None, attributes).outputs
    columns = [parts[k : k + top_paths] for k in range(0, 3 * top_paths, top_paths)]
    return [SparseTensor(*column) for column in zip(*columns, strict=True)], scores


def _infer(op: Operation) -> Sequence[Result]:
    sizes, count = op.inputs[0].sizes, op.integer("top_paths")
    batch = None if sizes is None else sizes[1]
    return [
        *[(dtypes.int64, (None, 2))] * count, *[(dtypes.int64, (None,))] * count,
        *[(dtypes.int64, (2,))] * count, (base(op.inputs[0]), (batch, count)),
    ]  # fmt: skip


def _host(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[Array]:
    logits, lengths = arrays[0].astype(np.float64), arrays[1].tolist()
    steps, batch, _ = logits.shape
    if lengths and max(lengths) > steps:
        raise InvalidArgumentError(
            op.name, op, f"sequence_length is {max(lengths)}, but there are {steps} steps"
        )
    top = logits.max(2, keepdims=True)
    logs = logits - top - np.log(np.exp(logits - top).sum(2, keepdims=True))
    count, width = op.integer("top_paths"), op.integer("beam_width")
    places: list[list[tuple[int, int]]] = [[] for _ in range(count)]
    values: list[list[int]] = [[] for _ in range(count)]
    scores = np.full((batch, count), -np.inf)
    for row in range(batch):
        beam = _decoded(logs[: lengths[row], row], width)
        best = sorted(beam, key=lambda labels: -_total(beam[labels]))[:count]
        for k, labels in enumerate(best):
            scores[row, k] = _total(beam[labels])
            merged = _merged(labels) if op.flag("merge_repeated") else labels
            places[k] += [(row, column) for column in range(len(merged))]
            values[k] += merged
    return [
        *(np.array(p, np.int64).reshape(-1, 2) for p in places),
        *(np.array(v, np.int64) for v in values),
        *(np.array([batch, 1 + max((c for _, c in p), default=-1)], np.int64) for p in places),
        scores.astype(arrays[0].dtype),
    ]


def _decoded(logs: NDArray[np.float64], width: int) -> Beam:
    """The beam after all steps, each of which keeps the `width` likeliest sequences."""
    beam: Beam = {(): (0.0, -math.inf)}
    for step in logs.tolist():
        *by_label, blank = step
        following: Beam = {}
        for labels, (ends_blank, ends_label) in beam.items():
            whole = _add(ends_blank, ends_label)
            stay = following.get(labels, (-math.inf, -math.inf))
            again = ends_label + by_label[labels[-1]] if labels else -math.inf
            following[labels] = (_add(stay[0], whole + blank), _add(stay[1], again))
            for label, log in enumerate(by_label):
                # After the same label a blank must have stood.
                before = ends_blank if labels and labels[-1] == label else whole
                longer = (*labels, label)
                old = following.get(longer, (-math.inf, -math.inf))
                following[longer] = (old[0], _add(old[1], before + log))
        kept = heapq.nlargest(width, following, key=lambda labels: _total(following[labels]))
        beam = {labels: following[labels] for labels in kept}
    return beam


def _add(a: float, b: float) -> float:
    """log(exp(a) + exp(b))."""
    high, low = max(a, b), min(a, b)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))


def _total(scores: tuple[float, float]) -> float:
    return _add(*scores)


def _merged(labels: Labels) -> Labels:
    return tuple(x for k, x in enumerate(labels) if not k or labels[k - 1] != x)


register(
    OpKind("CTCBeamSearchDecoder", "inputs:T sequence_length:int32", _infer, host_only,
           {"T": dtypes.FLOATS}, host=_host, differentiable=False),
)  # fmt: skip
