"""Runs that may take only so long."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from tensorkiln.frontends.graph.errors import DeadlineExceededError

T = TypeVar("T")


def within(milliseconds: int, call: Callable[[], T]) -> T:
    """What `call` returns or raises; DeadlineExceededError if that takes longer (0: no limit).

    Compiled code cannot be interrupted: what is late goes on in the background and its results are
    dropped.
    """
    if milliseconds <= 0:
        return call()
    results: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(call())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True, name="run with a deadline")
    thread.start()
    thread.join(milliseconds / 1000)
    if errors:
        raise errors[0]
    if not results:
        raise DeadlineExceededError(None, None, "Timed out waiting for notification")
    return results[0]
