"""ClusterSpec: the jobs of a cluster, their tasks and the tasks' addresses."""

from __future__ import annotations

from collections.abc import Mapping

from tensorkiln.frontends.graph.config import ClusterDef
from tensorkiln.frontends.graph.files.messages import Proto


class ClusterSpec:
    """Jobs by name; a job is a list of addresses, or a dict of them by task index.

    `cluster` is a dict of jobs, a ClusterDef or another ClusterSpec.
    """

    def __init__(self, cluster: object) -> None:
        self._jobs: dict[str, dict[int, str]] = {}
        if isinstance(cluster, ClusterSpec):
            self._jobs = {name: dict(tasks) for name, tasks in cluster._jobs.items()}
        elif isinstance(cluster, ClusterDef):
            self._jobs = {job.name: dict(job.tasks) for job in cluster.job}
        elif isinstance(cluster, Mapping):
            self._jobs = {str(name): _tasks(name, tasks) for name, tasks in cluster.items()}
        else:
            raise TypeError(
                "`cluster` must be a dictionary mapping one or more job names to lists of network "
                "addresses, or a `ClusterDef` protocol buffer"
            )

    def __bool__(self) -> bool:
        return bool(self._jobs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClusterSpec) and self._jobs == other._jobs

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(tuple((name, tuple(self._jobs[name].items())) for name in self.jobs))

    def __repr__(self) -> str:
        parts = [f"{name!r}: {self.as_dict()[name]!r}" for name in self.jobs]
        return f"ClusterSpec({{{', '.join(parts)}}})"

    def as_dict(self) -> dict[str, list[str] | dict[int, str]]:
        """Jobs as lists of addresses, or as dicts where task indices have gaps."""
        return {
            name: [tasks[k] for k in range(len(tasks))] if _dense(tasks) else dict(tasks)
            for name, tasks in sorted(self._jobs.items())
        }

    def as_cluster_def(self) -> Proto:
        """The same as a ClusterDef message."""
        definition = ClusterDef()
        for name in self.jobs:
            job = definition.job.add(name=name)
            for index, address in sorted(self._jobs[name].items()):
                job.tasks[index] = address
        return definition

    @property
    def jobs(self) -> list[str]:
        """The names of the jobs."""
        return sorted(self._jobs)

    def num_tasks(self, job_name: str) -> int:
        """How many tasks a job has; ValueError for an unknown job."""
        return len(self._of(job_name))

    def task_indices(self, job_name: str) -> list[int]:
        """The indices of a job's tasks; ValueError for an unknown job."""
        return sorted(self._of(job_name))

    def task_address(self, job_name: str, task_index: int) -> str:
        """The address of a task; ValueError if there is none."""
        tasks = self._of(job_name)
        if task_index not in tasks:
            raise ValueError(f"No task with index {task_index!r} in job {job_name!r}")
        return tasks[task_index]

    def job_tasks(self, job_name: str) -> list[str | None]:
        """A job's addresses by task index, None for gaps; ValueError for an unknown job."""
        tasks = self._of(job_name)
        return [tasks.get(k) for k in range(max(tasks, default=-1) + 1)]

    def _of(self, job_name: str) -> dict[int, str]:
        if job_name not in self._jobs:
            raise ValueError(f"No such job in cluster: {job_name!r}")
        return self._jobs[job_name]


def _tasks(name: object, tasks: object) -> dict[int, str]:
    if isinstance(tasks, Mapping):
        found = {int(index): address for index, address in tasks.items()}
    elif isinstance(tasks, list | tuple):
        found = dict(enumerate(tasks))
    else:
        raise TypeError(
            f"The tasks for job {name!r} must be a list or a dictionary from integers to strings."
        )
    if not all(isinstance(address, str) for address in found.values()):
        raise TypeError(f"Task address must be bytes or unicode, in job {name!r}")
    return found


def _dense(tasks: Mapping[int, str]) -> bool:
    return set(tasks) == set(range(len(tasks)))
