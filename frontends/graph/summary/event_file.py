"""Event files: records of Event messages, the first of which names the format's version."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from tensorkiln.frontends.graph.errors import NotFoundError
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.summary.proto_summary import Event
from tensorkiln.frontends.graph.summary.records import frame, tf_record_iterator

VERSION = "brain.Event:2"


class EventFile:
    """Appends events to a new file in the folder `logdir`, which is made if need be.

    Events are handed to the operating system when `most` of them wait or the oldest one waits for
    `seconds`, and by flush and close.  Safe to use from several threads.
    """

    def __init__(self, logdir: str, suffix: str = "", most: int = 10, seconds: float = 120) -> None:
        Path(logdir).mkdir(parents=True, exist_ok=True)
        stem = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}{suffix}"
        self._lock = threading.Lock()
        self._file, self.path = _new_file(logdir, stem)
        self._most, self._seconds = max(most, 1), seconds
        self._waiting = 0
        self._since = time.monotonic()
        self.write(Event(wall_time=time.time(), file_version=VERSION))
        self.flush()

    def write(self, event: Proto) -> None:
        """Appends one event; nothing happens once the file is closed."""
        data = frame(event.SerializeToString())
        with self._lock:
            if self._file.closed:
                return
            if not self._waiting:
                self._since = time.monotonic()
            self._file.write(data)
            self._waiting += 1
            if self._waiting >= self._most or time.monotonic() - self._since >= self._seconds:
                self._flush()

    def flush(self) -> None:
        """Hands everything to the operating system."""
        with self._lock:
            if not self._file.closed:
                self._flush()

    def _flush(self) -> None:
        self._file.flush()
        self._waiting = 0

    def close(self) -> None:
        """Flushes and ends the file."""
        with self._lock:
            self._file.close()


def _new_file(logdir: str, stem: str) -> tuple[IO[bytes], str]:
    """A file that did not exist: two writers of one second get different names."""
    number = 0
    while True:
        path = os.path.join(logdir, f"{stem}.{number}" if number else stem)
        try:
            return open(path, "xb"), path
        except FileExistsError:
            number += 1


def summary_iterator(path: str) -> Iterator[Proto]:
    """The Event messages of an event file, in order."""
    if not os.path.exists(path):
        raise NotFoundError(None, None, f"{path}; No such file or directory")
    for record in tf_record_iterator(path):
        yield Event.FromString(record)
