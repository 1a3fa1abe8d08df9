"""Loaded machine code that can be called, and one call's worth of pointers and workspace."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tensorkiln.runtime.compiled import aligned_bytes
from tensorkiln.runtime.errors import ArtifactError, TensorKilnError
from tensorkiln.runtime.manifest import Manifest
from tensorkiln.runtime.status import OUT_OF_MEMORY, message

# function(*arrange(address of the pointers, address of the workspace or 0, threads)) -> status
Arrange = Callable[[int, int, ctypes.c_int32], tuple[object, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """A model's code in memory.

    `function` is a C function of the arguments that `arrange` puts in order. `thread_count`
    resolves a requested number of threads (0: the default). `keepalive` owns the code.
    """

    function: Callable[..., int]
    arrange: Arrange
    thread_count: Callable[[int], int]
    keepalive: object


class CallFrame:
    """The pointers and the workspace of one call at a time; not for two threads at once.

    `pointers` is a ctypes array of addresses, the inputs first and then the outputs, each of a
    dense row-major buffer. Set them (`frame.pointers[i] = address`) and `call()`; they stay set.
    The buffers must outlive the call. An output that aliases an input has the input's address.
    Nothing is checked here.
    """

    __slots__ = ("_arguments", "_body", "_manifest", "_threads", "_workspace", "pointers")

    def __init__(self, body: Body, manifest: Manifest, threads: int) -> None:
        self._body = body
        self._manifest = manifest
        count = len(manifest.inputs) + len(manifest.outputs)
        self.pointers = (ctypes.c_void_p * max(count, 1))()
        try:
            self._workspace = aligned_bytes(manifest.workspace_bytes)
        except MemoryError as error:
            raise TensorKilnError(f"{manifest.model}: {message(OUT_OF_MEMORY)}") from error
        self._threads = ctypes.c_int32(threads)
        workspace = self._workspace.ctypes.data if manifest.workspace_bytes else 0
        self._arguments = body.arrange(ctypes.addressof(self.pointers), workspace, self._threads)

    def call(self) -> None:
        """Run the model; TensorKilnError with the meaning of its status if that is not 0."""
        status = self._body.function(*self._arguments)
        if status:
            raise TensorKilnError(f"{self._manifest.model}: {message(status)}")

    def set_threads(self, threads: int) -> None:
        """Use this number of threads (at least 1) in the calls that follow."""
        self._threads.value = threads

    def set_pointers(self, addresses: Sequence[int]) -> None:
        """Set all pointers at once: the inputs, then the outputs."""
        values: list[ctypes.c_void_p | int | None] = [*addresses]
        self.pointers[:] = values


def check_machine(manifest: Manifest, source: str, here: str, missing: Sequence[str]) -> None:
    """ArtifactError if code for `manifest.triple` and its features cannot run on this machine."""
    made_for = manifest.triple.split("-")[0]
    if made_for != here:
        raise ArtifactError(f"{source} holds code for {made_for}; this machine is {here}")
    if missing:
        raise ArtifactError(
            f"{source} needs processor features that are not here: {', '.join(missing)};"
            " compile it for a target that this machine has"
        )
