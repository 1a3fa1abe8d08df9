"""Which ops a run needs, and in which order."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable

from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.tensor import Tensor


def needed(targets: Iterable[Operation], fed: Collection[Tensor]) -> list[Operation]:
    """The ops that the targets need, in graph order; what only fed tensors need is left out."""
    found: set[Operation] = set()
    waiting = list(targets)
    while waiting:
        op = waiting.pop()
        if op in found:
            continue
        found.add(op)
        waiting += [tensor.op for tensor in op.inputs if tensor not in fed]
        waiting += op.control_inputs
    return sorted(found, key=lambda op: op.number)


def batches(ops: Collection[Operation], fed: Collection[Tensor]) -> list[list[Operation]]:
    """An order that respects data and control inputs; writes come only when nothing else is
    ready, and all writes that are ready then form one batch."""
    users: dict[Operation, list[Operation]] = {op: [] for op in ops}
    missing: dict[Operation, int] = {}
    for op in ops:
        before = {tensor.op for tensor in op.inputs if tensor not in fed} | set(op.control_inputs)
        missing[op] = len(before)
        for source in before:
            users[source].append(op)
    by_number = {op.number: op for op in ops}
    ready = [op.number for op in ops if not missing[op] and not op.kind.writes]
    writes = [op for op in ops if not missing[op] and op.kind.writes]
    heapq.heapify(ready)
    order: list[list[Operation]] = []
    while ready or writes:
        batch = [by_number[heapq.heappop(ready)]] if ready else writes
        if batch is writes:
            writes = []
        order.append(batch)
        for done in batch:
            for user in users[done]:
                missing[user] -= 1
                if missing[user]:
                    continue
                if user.kind.writes:
                    writes.append(user)
                else:
                    heapq.heappush(ready, user.number)
    return order
