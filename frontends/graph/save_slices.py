"""Which part of a larger tensor a variable holds, as checkpoints note it.

The text form is that of the `shape_and_slices` input of TensorFlow's SaveV2 and RestoreV2: the
sizes of the whole, then `start,length` of each dim joined by colons, where `-` is all of a dim.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from tensorkiln.frontends.graph.operation import Operation

_NOTED = "slices of larger tensors"
_SPEC = re.compile(r"(?:\d+ )+(?:-|\d+,\d+)(?::(?:-|\d+,\d+))*")


@dataclass(frozen=True)
class Slice:
    """A box of a tensor: the sizes of the whole, and where the box lies in it."""

    full_shape: tuple[int, ...]
    offset: tuple[int, ...]
    shape: tuple[int, ...]

    @property
    def spec(self) -> str:
        """The text form."""
        whole = "".join(f"{size} " for size in self.full_shape)
        box = (f"{o},{s}" for o, s in zip(self.offset, self.shape, strict=True))
        return whole + ":".join(box)

    @property
    def places(self) -> tuple[slice, ...]:
        """The box as indices of the whole."""
        return tuple(slice(o, o + s) for o, s in zip(self.offset, self.shape, strict=True))

    @property
    def extents(self) -> tuple[tuple[int, int], ...]:
        """(start, length) of each dim."""
        return tuple(zip(self.offset, self.shape, strict=True))

    @property
    def is_whole(self) -> bool:
        """True if the box is all of the tensor."""
        return self.shape == self.full_shape

    @property
    def size(self) -> int:
        """The number of elements of the box."""
        return math.prod(self.shape)


def parse_slice(spec: str) -> Slice:
    """The slice that a text stands for; ValueError for what is none, or leaves its tensor."""
    if not _SPEC.fullmatch(spec):
        raise ValueError(f"{spec!r} is no shape and slice, such as '10 4 0,5:0,4'")
    *sizes, boxes = spec.split(" ")
    whole = tuple(int(size) for size in sizes)
    parts = boxes.split(":")
    if len(parts) != len(whole):
        raise ValueError(f"{spec!r} has {len(whole)} dims and a slice of {len(parts)}")
    offset, shape = [], []
    for size, part in zip(whole, parts, strict=True):
        start, length = (0, size) if part == "-" else (int(n) for n in part.split(","))
        if start + length > size:
            raise ValueError(f"{spec!r} leaves its tensor")
        offset.append(start)
        shape.append(length)
    return Slice(whole, tuple(offset), tuple(shape))


def note_slice(variable: Operation, name: str, part: Slice) -> None:
    """Notes that a variable is a part of the tensor `name`."""
    noted = variable.graph.scoped.setdefault(_NOTED, {})
    assert isinstance(noted, dict)
    noted[variable] = (name, part)


def slice_of(variable: Operation) -> tuple[str, Slice] | None:
    """The name of the tensor that a variable is a part of, and which part; None if of none."""
    noted = variable.graph.scoped.get(_NOTED, {})
    assert isinstance(noted, dict)
    found: tuple[str, Slice] | None = noted.get(variable)
    return found


def label(name: str, part: Slice) -> str:
    """What stands for a part where names stand for whole tensors: names hold no blanks."""
    return f"{name} {part.spec}"


def split_label(text: str) -> tuple[str, str]:
    """The name, and the text form of a slice or ''."""
    name, _, spec = text.partition(" ")
    return name, spec
