"""Loaded machine code that can be called, and one call's worth of pointers and workspace."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tensorkiln.runtime.compiled import aligned_bytes
from tensorkiln.runtime.direct import DirectModel, StatusCall, direct_calls
from tensorkiln.runtime.errors import ArtifactError, TensorKilnError
from tensorkiln.runtime.feeds import Array, address
from tensorkiln.runtime.manifest import Manifest
from tensorkiln.runtime.status import OUT_OF_MEMORY, message

_SIGNATURE = ctypes.CFUNCTYPE(
    ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32
)
# function(*arrange(address of the pointers, address of the workspace or 0), threads) -> status
Arrange = Callable[[int, int], tuple[int, int, int]]


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """A model's code in memory.

    `function` is the address of a C function of the three pointers that `arrange` puts in order
    and an int32, the number of threads; it returns an int32. `thread_count` resolves a requested
    number of threads (0: the default). `keepalive` owns the code.
    """

    function: int
    arrange: Arrange
    thread_count: Callable[[int], int]
    keepalive: object


class CallFrame:
    """The pointers and the workspace of one call at a time; not for two threads at once.

    `pointers` is a ctypes array of addresses, the inputs first and then the outputs, each of a
    dense row-major buffer. Set them (`frame.pointers[i] = address`) and `call()`; they stay set.
    The buffers must outlive the call. An output that aliases an input has the input's address.
    Nothing is checked here.

    `direct` are the builtin functions of direct.py, None where there are none.
    """

    __slots__ = ("_body", "_manifest", "_status", "_threads", "direct", "pointers")

    def __init__(
        self,
        body: Body,
        manifest: Manifest,
        threads: int,
        model: DirectModel,
        workspace: Array | None = None,
    ) -> None:
        """A frame with a workspace of its own, unless it is given one of the same size."""
        self._body = body
        self._manifest = manifest
        count = len(manifest.inputs) + len(manifest.outputs)
        self.pointers = (ctypes.c_void_p * max(count, 1))()
        try:
            workspace = aligned_bytes(manifest.workspace_bytes) if workspace is None else workspace
        except MemoryError as error:
            raise TensorKilnError(f"{manifest.model}: {message(OUT_OF_MEMORY)}") from error
        self._threads = ctypes.c_int32(threads)
        place = workspace.ctypes.data if manifest.workspace_bytes else 0
        arguments = body.arrange(ctypes.addressof(self.pointers), place)
        owners = (body, workspace)
        self.direct = direct_calls(
            body.function, arguments, self._threads, self.pointers, model, owners
        )
        self._status = (
            _foreign_call(body.function, arguments, self._threads, owners)
            if self.direct is None
            else self.direct.call
        )

    def call(self) -> None:
        """Run the model; TensorKilnError with the meaning of its status if that is not 0."""
        status = self._status()
        if status:
            raise self.error(status)

    def error(self, status: int) -> TensorKilnError:
        """What a status other than 0 means."""
        return TensorKilnError(f"{self._manifest.model}: {message(status)}")

    def bind(self, position: int, array: Array) -> None:
        """Set a pointer to a dense array, which must be kept alive."""
        if self.direct is None or not self.direct.bind(position, array):
            self.pointers[position] = address(array)

    def set_threads(self, threads: int) -> None:
        """Use this number of threads (at least 1) in the calls that follow."""
        self._threads.value = threads

    def set_pointers(self, addresses: Sequence[int]) -> None:
        """Set all pointers at once: the inputs, then the outputs."""
        values: list[ctypes.c_void_p | int | None] = [*addresses]
        self.pointers[:] = values


def _foreign_call(
    function: int, arguments: Sequence[int], threads: ctypes.c_int32, owners: object
) -> StatusCall:
    """The call by ctypes."""
    call = _SIGNATURE(function)
    pointers = [ctypes.c_void_p(address) for address in arguments]

    def run(_owners: object = owners) -> int:
        status: int = call(*pointers, threads)
        return status

    return run


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
