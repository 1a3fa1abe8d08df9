"""What a run leaves in RunMetadata, and that as a Chrome trace."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from tensorkiln.frontends.graph.devices import assigned
from tensorkiln.frontends.graph.files.data_types import number_of, shape_proto
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.operation import Operation

_DEVICE = "/job:localhost/replica:0/task:0/device:CPU:0"
_SHOWN_OPS = 8


class Tracer:
    """Notes in a RunMetadata when each cluster and each host op ran, by Plan.run's `watch`."""

    def __init__(self, metadata: Proto) -> None:
        metadata.Clear()
        self._stats = metadata.step_stats.dev_stats.add(device=_DEVICE)
        self._clusters = 0
        # The clock of the stages counts from anywhere; the trace's from 1970.
        self._epoch = time.time_ns() - time.perf_counter_ns()

    def watch(self, operations: Sequence[Operation], on_host: bool, start: int, end: int) -> None:
        """See plan.Watch."""
        first = (start + self._epoch) // 1000
        took = max((end - start) // 1000, 1)
        node = self._stats.node_stats.add(
            all_start_micros=first, op_start_rel_micros=0, op_end_rel_micros=took,
            all_end_rel_micros=took, scheduled_micros=first,
            all_start_nanos=start + self._epoch, op_end_rel_nanos=end - start,
            all_end_rel_nanos=end - start, scheduled_nanos=start + self._epoch,
        )  # fmt: skip
        if on_host:
            (op,) = operations
            node.node_name = op.name
            node.timeline_label = _label(op)
            node.thread_id = 1
            return
        node.node_name = f"cluster_{self._clusters}"
        shown = ", ".join(_label(op) for op in operations[:_SHOWN_OPS])
        more = f", ... ({len(operations)} ops)" if len(operations) > _SHOWN_OPS else ""
        node.timeline_label = f"{node.node_name} = Compiled({shown}{more})"
        self._clusters += 1
        for slot, tensor in enumerate(t for op in operations[-1:] for t in op.outputs):
            described = node.output.add(slot=slot).tensor_description
            described.dtype = number_of(tensor.dtype.base_dtype)
            described.shape.CopyFrom(shape_proto(tensor.sizes))


def _label(op: Operation) -> str:
    inputs = ", ".join(tensor.op.name for tensor in op.inputs)
    return f"{op.name} = {op.type}({inputs})"


def placement(op: Operation) -> str:
    """The line that log_device_placement prints for an op."""
    return f"{op.name}: ({op.type}): {assigned(op)}"


class Timeline:
    """The StepStats of a RunMetadata as what chrome://tracing and Perfetto read."""

    def __init__(self, step_stats: Proto, graph: object = None) -> None:
        self._stats = step_stats

    def generate_chrome_trace_format(
        self, show_dataflow: bool = True, show_memory: bool = False
    ) -> str:
        """The trace as JSON: one process a device, times in microseconds."""
        events: list[dict[str, Any]] = []
        for number, device in enumerate(self._stats.dev_stats):
            events.append(
                {"name": "process_name", "ph": "M", "pid": number,
                 "args": {"name": f"{device.device} Compute"}}
            )  # fmt: skip
            for node in device.node_stats:
                kind, arguments = _parsed(node)
                events.append(
                    {"ph": "X", "cat": "Op", "name": kind, "pid": number,
                     "tid": node.thread_id, "ts": node.all_start_micros,
                     "dur": node.all_end_rel_micros, "args": arguments}
                )  # fmt: skip
        return json.dumps({"traceEvents": events}, indent=4, separators=(",", ": "))


def _parsed(node: Proto) -> tuple[str, dict[str, str]]:
    """The op type and arguments in a label `name = Type(input, ...)`."""
    label = node.timeline_label or f"{node.node_name} = unknown()"
    _, _, call = label.partition(" = ")
    kind, _, rest = call.partition("(")
    names = [name for name in rest.removesuffix(")").split(", ") if name]
    arguments = {"name": node.node_name, "op": kind}
    arguments |= {f"input{k}": name for k, name in enumerate(names)}
    return kind, arguments
