"""The exceptions that TensorFlow programs know under `tf.errors`.

Codes and names are those of TensorFlow's public `tf.errors` documentation.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from tensorkiln.runtime.errors import TensorKilnError

_LOGGER = logging.getLogger("tensorflow")

OK = 0
CANCELLED = 1
UNKNOWN = 2
INVALID_ARGUMENT = 3
DEADLINE_EXCEEDED = 4
NOT_FOUND = 5
ALREADY_EXISTS = 6
PERMISSION_DENIED = 7
RESOURCE_EXHAUSTED = 8
FAILED_PRECONDITION = 9
ABORTED = 10
OUT_OF_RANGE = 11
UNIMPLEMENTED = 12
INTERNAL = 13
UNAVAILABLE = 14
DATA_LOSS = 15
UNAUTHENTICATED = 16


class OpError(TensorKilnError):
    """An error while a graph runs: `node_def` and `op` are the op's name and Operation, or None."""

    code = UNKNOWN

    def __init__(self, node_def: object, op: object, message: str, error_code: int = -1) -> None:
        super().__init__(message)
        self._node = node_def
        self.op = op
        self.message = message
        self.error_code = self.code if error_code < 0 else error_code

    @property
    def node_def(self) -> object:
        """The NodeDef message of the op, or what was given in its place."""
        return getattr(self.op, "node_def", self._node)


class CancelledError(OpError):
    """An operation was cancelled."""

    code = CANCELLED


class UnknownError(OpError):
    """The cause is not known."""

    code = UNKNOWN


class InvalidArgumentError(OpError):
    """An op got an argument it cannot take."""

    code = INVALID_ARGUMENT


class DeadlineExceededError(OpError):
    """A deadline passed."""

    code = DEADLINE_EXCEEDED


class NotFoundError(OpError):
    """A file or a name does not exist."""

    code = NOT_FOUND


class AlreadyExistsError(OpError):
    """Something that was to be made exists."""

    code = ALREADY_EXISTS


class PermissionDeniedError(OpError):
    """The caller may not do this."""

    code = PERMISSION_DENIED


class ResourceExhaustedError(OpError):
    """Memory or another resource ran out."""

    code = RESOURCE_EXHAUSTED


class FailedPreconditionError(OpError):
    """The system is not in the state the op needs, as with an uninitialised variable."""

    code = FAILED_PRECONDITION


class AbortedError(OpError):
    """An operation was aborted."""

    code = ABORTED


class OutOfRangeError(OpError):
    """An op went past its valid range, as at the end of the input."""

    code = OUT_OF_RANGE


class UnimplementedError(OpError):
    """An op is not implemented."""

    code = UNIMPLEMENTED


class InternalError(OpError):
    """An invariant of the system is broken."""

    code = INTERNAL


class UnavailableError(OpError):
    """A service is not available."""

    code = UNAVAILABLE


class DataLossError(OpError):
    """Data is lost or corrupt beyond repair."""

    code = DATA_LOSS


class UnauthenticatedError(OpError):
    """The caller has no valid credentials."""

    code = UNAUTHENTICATED


_CLASSES: tuple[type[OpError], ...] = (
    CancelledError, UnknownError, InvalidArgumentError, DeadlineExceededError, NotFoundError,
    AlreadyExistsError, PermissionDeniedError, ResourceExhaustedError, FailedPreconditionError,
    AbortedError, OutOfRangeError, UnimplementedError, InternalError, UnavailableError,
    DataLossError, UnauthenticatedError,
)  # fmt: skip
_BY_CODE = {kind.code: kind for kind in _CLASSES}


def exception_type_from_error_code(error_code: int) -> type[OpError]:
    """The class of a code; KeyError for a number that is none."""
    return _BY_CODE[error_code]


def error_code_from_exception_type(cls: type[OpError]) -> int | None:
    """The code of a class; None, after a warning, for another class."""
    if cls in _CLASSES:
        return cls.code
    _LOGGER.warning("Unknown class exception")
    return None


@contextmanager
def raise_exception_on_not_ok_status() -> Iterator[None]:
    """Nothing to do: what fails here raises at once, and no status is left to look at."""
    yield
