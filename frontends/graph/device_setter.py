"""Which device each op of a replica goes to: variables to parameter servers, the rest to a worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tensorkiln.frontends.graph.cluster_spec import ClusterSpec
from tensorkiln.frontends.graph.devices import DeviceSpec
from tensorkiln.frontends.graph.operation import Operation

_VARIABLES = ("Variable", "VariableV2", "VarHandleOp", "AutoReloadVariable", "MutableHashTable")


def replica_device_setter(
    ps_tasks: int = 0,
    ps_device: str = "/job:ps",
    worker_device: str = "/job:worker",
    merge_devices: bool = True,
    cluster: object = None,
    ps_ops: Sequence[str] | None = None,
    ps_strategy: Callable[[Operation], int] | None = None,
) -> Callable[[Operation], str] | None:
    """A function for `tf.device`: the parameter servers get the variables in turns.

    The number of servers is `ps_tasks` or that of the job of `ps_device` in `cluster`; None is
    returned if there are none.  TypeError if `ps_strategy` cannot be called.
    """
    if cluster is not None:
        spec = ClusterSpec(getattr(cluster, "as_dict", lambda: cluster)())
        job = DeviceSpec.from_string(ps_device).job
        assert job is not None
        if job not in spec.jobs or not spec.num_tasks(job):
            return None
        ps_tasks = spec.num_tasks(job)
    if ps_tasks == 0:
        return None
    if ps_strategy is not None and not callable(ps_strategy):
        raise TypeError("ps_strategy must be callable")
    kinds = _VARIABLES if ps_ops is None else tuple(ps_ops)
    next_task = ps_strategy or _InTurns(ps_tasks)

    def choose(op: Operation) -> str:
        own = DeviceSpec.from_string(op.device)
        if not merge_devices and op.device:
            return op.device
        if op.type not in kinds:
            return own.over(DeviceSpec.from_string(worker_device)).to_string()
        server = DeviceSpec.from_string(ps_device)
        if server.job and server.task is None:
            server = replace(server, task=next_task(op))
        return own.over(server).to_string()

    return choose


class _InTurns:
    """Task numbers 0, 1, ... and from the start again."""

    def __init__(self, tasks: int) -> None:
        self._tasks, self._next = tasks, 0

    def __call__(self, op: Operation) -> int:
        task = self._next
        self._next = (task + 1) % self._tasks
        return task
