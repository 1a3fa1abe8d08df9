"""What a session keeps between runs: variables and the states of random ops."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tensorkiln.compiler.ops.random import initial_state
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.errors import FailedPreconditionError, InvalidArgumentError
from tensorkiln.frontends.graph.operation import Operation


@dataclass
class Slot:
    """One variable: its array (updated in place) and, as a bool scalar, whether it has a value."""

    array: Array
    initialized: Array


class Store:
    """The state of one session.

    `generation` grows whenever an array is replaced or a variable gets its first value; who
    keeps pointers to arrays takes them anew then.
    """

    def __init__(self) -> None:
        self.generation = 0
        self._slots: dict[object, Slot] = {}
        self._states: dict[Operation, Array] = {}

    def _key(self, variable: Operation) -> object:
        return variable

    def shape(self, variable: Operation) -> tuple[int, ...]:
        """The variable's shape; FailedPreconditionError if it has neither shape nor value."""
        sizes = variable.outputs[0].sizes
        if sizes is not None and None not in sizes:
            return tuple(size for size in sizes if size is not None)
        if not self.is_initialized(variable):
            raise uninitialized(variable)
        return self._slots[self._key(variable)].array.shape

    def slot(self, variable: Operation, shape: Sequence[int] | None = None) -> Slot:
        """The variable's slot, made or replaced if it has not got this shape."""
        wanted = self.shape(variable) if shape is None else tuple(shape)
        key = self._key(variable)
        slot = self._slots.get(key)
        if slot is None:
            array = aligned_zeros(wanted, variable.outputs[0].dtype.numpy)
            slot = self._slots[key] = Slot(array, np.zeros((), np.bool_))
        elif slot.array.shape != wanted:
            slot.array = aligned_zeros(wanted, slot.array.dtype)
            self.generation += 1
        return slot

    def is_initialized(self, variable: Operation) -> bool:
        """True once the variable has been assigned."""
        slot = self._slots.get(self._key(variable))
        return slot is not None and bool(slot.initialized)

    def mark_initialized(self, variable: Operation) -> None:
        """Notes that the variable has a value."""
        self._slots[self._key(variable)].initialized[...] = True
        self.generation += 1

    def assign(self, variable: Operation, value: Array) -> None:
        """Gives the variable a value of its dtype."""
        self.slot(variable, value.shape).array[...] = value
        if not self.is_initialized(variable):
            self.mark_initialized(variable)

    def random_state(self, op: Operation) -> Array:
        """The state of a random op, updated in place by runs."""
        if op not in self._states:
            seeds = (op.attributes["seed"], op.attributes["seed2"])
            first, second = (seed if isinstance(seed, int) else None for seed in seeds)
            if first is None or second is None:
                first, second = np.frombuffer(os.urandom(16), np.int64).tolist()
            state = aligned_zeros((3,), np.dtype(np.uint64))
            state[...] = initial_state(first, second)
            self._states[op] = state
        return self._states[op]


class NamedStore(Store):
    """The state that several sessions share: a variable is found by its name, whatever its graph."""

    def _key(self, variable: Operation) -> object:
        return variable.name

    def slot(self, variable: Operation, shape: Sequence[int] | None = None) -> Slot:
        """See Store; InvalidArgumentError if another graph's variable of that name is different."""
        slot, kind = self._slots.get(variable.name), variable.outputs[0].dtype.numpy
        wanted = self.shape(variable)
        if slot is not None and (slot.array.dtype != kind or slot.array.shape != wanted):
            raise InvalidArgumentError(
                variable.name, variable,
                f"the server's variable {variable.name} has shape {slot.array.shape} and dtype "
                f"{slot.array.dtype}, not {wanted} and {kind}\n"
                f"\t {variable.node_text}",
            )  # fmt: skip
        return super().slot(variable, shape)


def uninitialized(variable: Operation) -> FailedPreconditionError:
    """The error for reading a variable that has no value."""
    return FailedPreconditionError(
        variable.name, variable,
        f"Attempting to use uninitialized value {variable.name}\n"
        f"\t {variable.node_text}",
    )  # fmt: skip


def aligned_zeros(shape: Sequence[int], dtype: np.dtype[np.generic]) -> Array:
    """Zeros on a 64-byte boundary."""
    count = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    raw = np.zeros(count + 64, np.uint8)
    start = -raw.__array_interface__["data"][0] % 64
    return raw[start : start + count].view(dtype).reshape(tuple(shape))
