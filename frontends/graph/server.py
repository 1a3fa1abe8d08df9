"""Servers: sessions with the same target share variables.

All tasks of a cluster live in one process here: a program that starts every task of its cluster
itself (as programs for one machine and tests do) finds its jobs and shares variables by name.  A
cluster whose other tasks are elsewhere is refused by name when a session is opened.
"""

from __future__ import annotations

import itertools
import threading

from tensorkiln.frontends.graph.cluster_spec import ClusterSpec
from tensorkiln.frontends.graph.config import ClusterDef, ServerDef
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.store import NamedStore, Store
from tensorkiln.runtime.errors import UnsupportedError

_SERVERS: dict[str, Server] = {}
_STORES: dict[ClusterSpec, NamedStore] = {}
_PORTS = itertools.count(40001)
_LOCAL_TARGETS = ("", "local")


class Server:
    """One task of a cluster; a session with its `target` shares variables with the others.

    `server_or_cluster_def` is a ServerDef, a ClusterDef, a ClusterSpec or a dict of jobs; ValueError
    if the task cannot be told from it, `job_name` and `task_index`.
    """

    def __init__(
        self,
        server_or_cluster_def: object,
        job_name: str | None = None,
        task_index: int | None = None,
        protocol: str | None = None,
        config: Proto | None = None,
        start: bool = True,
    ) -> None:
        self._server_def = _definition(server_or_cluster_def, job_name, task_index)
        self._server_def.protocol = protocol or self._server_def.protocol or "grpc"
        if config is not None:
            self._server_def.default_session_config.CopyFrom(config)
        self._cluster = ClusterSpec(self._server_def.cluster)
        task = (self._server_def.job_name, self._server_def.task_index)
        address = self._cluster.task_address(*task)
        if address.endswith(":0"):
            address = f"{address[:-1]}{next(_PORTS)}"
        self._target = f"grpc://{address}"
        if start:
            self.start()

    @classmethod
    def create_local_server(cls, config: Proto | None = None, start: bool = True) -> Server:
        """A server that is a cluster of its own."""
        cluster = {"local": [f"localhost:{next(_PORTS)}"]}
        return cls(cluster, "local", 0, config=config, start=start)

    @property
    def target(self) -> str:
        """What to give to a session."""
        return self._target

    @property
    def server_def(self) -> Proto:
        """The server's definition, a ServerDef message."""
        return self._server_def

    @property
    def cluster(self) -> ClusterSpec:
        """The cluster that the server is a task of."""
        return self._cluster

    def start(self) -> None:
        """Lets sessions find the server."""
        _SERVERS[self._target] = self

    def join(self) -> None:
        """Waits forever; UnsupportedError if other processes were to use this one's devices."""
        _all_here(self._cluster)
        threading.Event().wait()


def _definition(given: object, job_name: str | None, task_index: int | None) -> Proto:
    definition = ServerDef()
    if isinstance(given, ServerDef):
        definition.CopyFrom(given)
    elif isinstance(given, ClusterDef):
        definition.cluster.CopyFrom(given)
    else:
        try:
            definition.cluster.CopyFrom(ClusterSpec(given).as_cluster_def())
        except TypeError:
            raise TypeError(
                "Could not convert `server_or_cluster_def` to a `tf.train.ServerDef` or "
                "`tf.train.ClusterDef` protocol buffer."
            ) from None
    jobs = ClusterSpec(definition.cluster)
    if job_name is None and not definition.job_name:
        if len(jobs.jobs) != 1:
            raise ValueError("Must specify an explicit `job_name`.")
        job_name = jobs.jobs[0]
    definition.job_name = job_name or definition.job_name
    if task_index is not None:
        definition.task_index = task_index
    elif not isinstance(given, ServerDef):
        if jobs.num_tasks(definition.job_name) != 1:
            raise ValueError("Must specify an explicit `task_index`.")
        definition.task_index = jobs.task_indices(definition.job_name)[0]
    return definition


def _all_here(cluster: ClusterSpec) -> None:
    """UnsupportedError unless every task of the cluster has a server in this process."""
    started = {
        (server.server_def.job_name, server.server_def.task_index)
        for server in _SERVERS.values()
        if server.cluster == cluster
    }
    for job in cluster.jobs:
        for index in cluster.task_indices(job):
            if (job, index) not in started:
                raise UnsupportedError(
                    f"/job:{job}/task:{index} ({cluster.task_address(job, index)}) has no server "
                    "in this process: sessions compute in one process; start all tasks of the "
                    "cluster in it, or leave out the target"
                )


def store_of(target: str) -> Store:
    """The state of a session with this target; UnsupportedError for servers elsewhere."""
    if target in _LOCAL_TARGETS:
        return Store()
    return _STORES.setdefault(_cluster_of(target), NamedStore())


def jobs_of(target: str) -> tuple[str, ...]:
    """The jobs whose devices a session with this target has."""
    return () if target in _LOCAL_TARGETS else tuple(_cluster_of(target).jobs)


def reset(target: str) -> None:
    """Forgets the variables of a server's cluster; sessions without a server share none."""
    if target in _LOCAL_TARGETS:
        return
    _STORES.pop(_cluster_of(target), None)


def _cluster_of(target: str) -> ClusterSpec:
    server = _SERVERS.get(target)
    if server is None:
        raise UnsupportedError(
            f"the session target {target!r} is not a server of this process: sessions compute in "
            "one process; use tf.train.Server in it, or leave out the target"
        )
    _all_here(server.cluster)
    return server.cluster
