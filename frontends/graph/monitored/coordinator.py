"""Coordinator: tells threads that work together when to stop, and why."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType

from tensorkiln.frontends.graph import logs
from tensorkiln.frontends.graph.errors import OutOfRangeError

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


class Coordinator:
    """Threads ask it whether to stop; whoever joins them gets the first error that one reported.

    Errors of `clean_stop_exception_types` (OutOfRangeError unless given) only end the work.
    """

    def __init__(
        self, clean_stop_exception_types: tuple[type[BaseException], ...] | None = None
    ) -> None:
        self._clean = (
            (OutOfRangeError,) if clean_stop_exception_types is None
            else tuple(clean_stop_exception_types)
        )  # fmt: skip
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._joined = False
        self._registered: list[threading.Thread] = []

    def request_stop(self, ex: BaseException | _ExcInfo | None = None) -> None:
        """Asks the threads to stop, because of an error (or `sys.exc_info()`) if one is given.

        Once the coordinator was joined an error is raised here, since nobody else would.
        """
        error = ex[1] if isinstance(ex, tuple) else ex
        with self._lock:
            if error is not None and isinstance(error, self._clean):
                error = None
            if self._joined and error is not None:
                raise error
            if error is not None and self._error is None and not self._stop.is_set():
                told = f"{type(error)}, {error}" if isinstance(ex, tuple) else str(error)
                logs.info("Error reported to Coordinator: %s", told)
                self._error = error
            self._stop.set()

    def clear_stop(self) -> None:
        """Makes the coordinator ready for work once more."""
        with self._lock:
            self._joined, self._error = False, None
            self._stop.clear()

    def should_stop(self) -> bool:
        """True once a stop was asked for."""
        return self._stop.is_set()

    @contextmanager
    def stop_on_exception(self) -> Iterator[None]:
        """Reports what is raised inside, and stops."""
        try:
            yield
        except Exception as error:  # the coordinator raises it where threads are joined
            self.request_stop(error)

    def wait_for_stop(self, timeout: float | None = None) -> bool:
        """Waits until a stop was asked for, at most so many seconds; True if it was."""
        return self._stop.wait(timeout)

    def register_thread(self, thread: threading.Thread) -> None:
        """Adds a thread to those that `join` waits for."""
        with self._lock:
            self._registered.append(thread)

    def join(
        self, threads: Iterable[threading.Thread] | None = None,
        stop_grace_period_secs: float = 120, ignore_live_threads: bool = False,
    ) -> None:  # fmt: skip
        """Waits for the threads, then raises what one of them reported.

        After a stop was asked for they have so many seconds; RuntimeError names those that still
        run then, unless they are to be ignored.
        """
        with self._lock:
            waited = list(dict.fromkeys([*self._registered, *(threads or ())]))
        while any(t.is_alive() for t in waited) and not self._stop.wait(1.0):
            continue
        end = time.monotonic() + stop_grace_period_secs
        for thread in waited:
            while thread.is_alive() and time.monotonic() < end:
                thread.join(min(1.0, max(end - time.monotonic(), 0.0)))
        late = [thread.name for thread in waited if thread.is_alive()]
        with self._lock:
            self._joined = True
            self._registered = []
            error = self._error
        if error is not None:
            raise error
        if late and not ignore_live_threads:
            raise RuntimeError(f"Coordinator stopped with threads still running: {' '.join(late)}")
        if late:
            logs.info("Coordinator stopped with threads still running: %s", " ".join(late))

    @property
    def joined(self) -> bool:
        """True once the threads were joined."""
        return self._joined

    def raise_requested_exception(self) -> None:
        """Raises the error that was reported, if one was."""
        with self._lock:
            if self._error is not None:
                raise self._error


class LooperThread(threading.Thread):
    """A daemon thread that calls `target` again and again until the coordinator says stop.

    `timer_interval_secs` lie between the starts of two calls; None: one follows the other.
    Subclasses may define `run_loop` instead of giving a target.
    """

    def __init__(
        self, coord: Coordinator, timer_interval_secs: float | None,
        target: Callable[..., object] | None = None, args: Sequence[object] | None = None,
        kwargs: Mapping[str, object] | None = None,
    ) -> None:  # fmt: skip
        if not isinstance(coord, Coordinator):
            raise ValueError(f"'coord' argument must be a Coordinator: {coord}")
        if (args or kwargs) and target is None:
            raise ValueError("'args' and 'kwargs' argument require that you also pass 'target'")
        super().__init__(daemon=True)
        self._coord, self._interval = coord, timer_interval_secs
        self._call, self._arguments, self._options = target, tuple(args or ()), dict(kwargs or {})
        coord.register_thread(self)

    @staticmethod
    def loop(
        coord: Coordinator, timer_interval_secs: float | None, target: Callable[..., object],
        args: Sequence[object] | None = None, kwargs: Mapping[str, object] | None = None,
    ) -> LooperThread:  # fmt: skip
        """A thread of these arguments, started."""
        made = LooperThread(coord, timer_interval_secs, target, args, kwargs)
        made.start()
        return made

    def run(self) -> None:
        """What the thread does."""
        with self._coord.stop_on_exception():
            self.start_loop()
            next_time = time.monotonic()
            if self._interval is None:
                while not self._coord.should_stop():
                    self.run_loop()
            else:
                while not self._coord.wait_for_stop(max(next_time - time.monotonic(), 0.0)):
                    next_time += self._interval
                    self.run_loop()
            self.stop_loop()

    def start_loop(self) -> None:
        """Called before the first call."""

    def stop_loop(self) -> None:
        """Called after the last call."""

    def run_loop(self) -> None:
        """One call."""
        if self._call is not None:
            self._call(*self._arguments, **self._options)
