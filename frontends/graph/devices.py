"""Device names: their parts, how scopes merge them, which devices there are."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tensorkiln.frontends.graph.operation import Operation

_TYPES = ("CPU", "GPU", "XLA_CPU", "XLA_GPU", "TPU")
AVAILABLE = ("CPU", "XLA_CPU")
"""The kinds of devices that sessions have."""

DEVICES = tuple(f"/job:localhost/replica:0/task:0/device:{kind}:0" for kind in AVAILABLE)
"""Their full names."""


@dataclass(frozen=True)
class Device:
    """One device of a session, or of the machine."""

    name: str

    @property
    def device_type(self) -> str:
        """CPU or XLA_CPU."""
        return self.name.split(":")[-2]

    @property
    def memory_limit_bytes(self) -> int:
        """A number that programs may print: nothing limits the memory."""
        return 256 << 20

    memory_limit = memory_limit_bytes


@dataclass(frozen=True)
class DeviceSpec:
    """The parts of a device's name; None where one is not given."""

    job: str | None = None
    replica: int | None = None
    task: int | None = None
    device_type: str | None = None
    device_index: int | None = None

    @classmethod
    def from_string(cls, spec: str) -> DeviceSpec:
        """The parts of `/job:a/replica:0/task:1/device:GPU:2`, any of which may be missing.

        `/gpu:2` and `/cpu:0` are short forms.  ValueError for other texts.
        """
        found = cls()
        for part in filter(None, spec.split("/")):
            key, _, value = part.partition(":")
            if key == "job" and value:
                found = replace(found, job=value)
            elif key in ("replica", "task") and value.isdigit():
                found = replace(found, **{key: int(value)})  # type: ignore[arg-type]
            else:
                short = key.upper() in _TYPES
                kind, _, index = (part if short else value).partition(":")
                wanted = short or key == "device"
                if not wanted or not re.fullmatch(r"\d+|\*|", index) or not kind:
                    raise ValueError(
                        f"Unknown attribute '{key}' is encountered while parsing the device spec: "
                        f"'{spec}'."
                    )
                number = int(index) if index.isdigit() else None
                found = replace(found, device_type=kind.upper(), device_index=number)
        return found

    def to_string(self) -> str:
        """The name."""
        parts = [
            f"/{key}:{value}"
            for key, value in (("job", self.job), ("replica", self.replica), ("task", self.task))
            if value is not None
        ]
        if self.device_type is not None:
            index = "*" if self.device_index is None else self.device_index
            parts.append(f"/device:{self.device_type}:{index}")
        return "".join(parts)

    def over(self, outer: DeviceSpec) -> DeviceSpec:
        """These parts, and the outer scope's where they are missing."""
        given: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        if self.device_type is not None and self.device_index is None:
            given["device_index"] = None
            outer = replace(outer, device_index=None)
        return replace(outer, **{key: value for key, value in given.items() if value is not None})


def merge(inner: str, outer: str) -> str:
    """The device of an op in a scope within another."""
    return DeviceSpec.from_string(inner).over(DeviceSpec.from_string(outer)).to_string()


def chosen(device: str, function: Callable[[Operation], object] | None, op: Operation) -> str:
    """The device of a new op: the scope's, or what the scope's function says."""
    if function is None:
        return device
    answer = function(op)
    to_string = getattr(answer, "to_string", None)
    text = to_string() if to_string is not None else str(answer or "")
    return merge(text, device) if text else device


def assigned(op: Operation) -> str:
    """The full name of the device that runs the op."""
    spec = DeviceSpec.from_string(op.device)
    kind = spec.device_type if spec.device_type in AVAILABLE else "CPU"
    return f"/job:localhost/replica:0/task:0/device:{kind}:0"


def missing(op: Operation, jobs: Collection[str] = (), soft: bool = False) -> str | None:
    """The device that the op asks for and that there is not, or None.

    `jobs` are those of the session's cluster beside `localhost`.  With soft placement another kind
    or number of device is fine, another job is not.
    """
    if not op.device:
        return None
    spec = DeviceSpec.from_string(op.device)
    if spec.job not in (None, "localhost", *jobs):
        return op.device
    there = spec.device_type in (None, *AVAILABLE) and (spec.device_index or 0) == 0
    return None if there or soft else op.device
