"""`tf.summary.FileWriter`: what a program logs for TensorBoard."""

from __future__ import annotations

import threading
import time
import warnings
from types import TracebackType
from typing import ClassVar

from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.files.proto_graph import GraphDef
from tensorkiln.frontends.graph.files.proto_meta import MetaGraphDef
from tensorkiln.frontends.graph.graph import Graph
from tensorkiln.frontends.graph.summary.event_file import EventFile
from tensorkiln.frontends.graph.summary.proto_summary import Event, Summary


def _bytes_of(graph: Graph) -> bytes:
    data: bytes = graph.as_graph_def(add_shapes=True).SerializeToString()
    return data


class FileWriter:
    """Writes events to a file `events.out.tfevents.<seconds>.<host>` in the folder `logdir`.

    With `graph` (or the old `graph_def`) the graph is written first, and as a meta graph.  Events reach the disk when
    `max_queue` of them wait, after `flush_secs` seconds, and by flush and close.
    """

    def __init__(
        self,
        logdir: object,
        graph: object = None,
        max_queue: int = 10,
        flush_secs: float = 120,
        graph_def: object = None,
        filename_suffix: str | None = None,
        session: object = None,
    ) -> None:
        self._logdir = logdir.decode() if isinstance(logdir, bytes) else str(logdir)
        self._options = (filename_suffix or "", max_queue, flush_secs)
        self._file = EventFile(self._logdir, *self._options)
        self._closed = False
        self._described: set[str] = set()
        self._run_tags: set[str] = set()
        if graph is not None or graph_def is not None:
            self.add_graph(graph, graph_def=graph_def)
        if isinstance(graph, Graph):
            self.add_meta_graph(MetaGraphDef(graph_def=GraphDef.FromString(_bytes_of(graph))))

    def get_logdir(self) -> str:
        """The folder."""
        return self._logdir

    def add_summary(self, summary: object, global_step: object = None) -> None:
        """Adds a Summary: a message, or the bytes that a summary op gives."""
        message = Summary()
        if isinstance(summary, bytes):
            message.MergeFromString(summary)
        else:
            message.CopyFrom(summary)
        # TensorBoard keeps what it read of a tag first, so the description is written once.
        for value in message.value:
            if value.HasField("metadata"):
                if value.tag in self._described:
                    value.ClearField("metadata")
                self._described.add(value.tag)
        self._add(Event(summary=message), global_step)

    def add_session_log(self, session_log: Proto, global_step: object = None) -> None:
        """Adds a SessionLog, such as the start of a training."""
        self._add(Event(session_log=session_log), global_step)

    def add_graph(
        self, graph: object, global_step: object = None, graph_def: object = None
    ) -> None:
        """Adds a Graph, which TensorBoard draws."""
        if graph is not None and graph_def is not None:
            raise ValueError("Please pass only graph, or graph_def (deprecated), but not both.")
        given = graph if graph is not None else graph_def
        if isinstance(given, Graph):
            data = _bytes_of(given)
        elif hasattr(given, "SerializeToString"):
            data = given.SerializeToString()
        else:
            raise TypeError(
                "The passed graph must be an instance of `Graph` or the deprecated `GraphDef`"
            )
        self._add(Event(graph_def=data), global_step)

    def add_meta_graph(self, meta_graph_def: Proto, global_step: object = None) -> None:
        """Adds a MetaGraphDef."""
        if type(meta_graph_def).__name__ != "MetaGraphDef":
            raise TypeError(
                f"meta_graph_def must be type MetaGraphDef, saw type: {type(meta_graph_def)}"
            )
        self._add(Event(meta_graph_def=meta_graph_def.SerializeToString()), global_step)

    def add_run_metadata(self, run_metadata: Proto, tag: str, global_step: object = None) -> None:
        """Adds the RunMetadata of one run; each tag may be used once."""
        if tag in self._run_tags:
            raise ValueError("The provided tag was already used for this event type")
        self._run_tags.add(tag)
        tagged = {"tag": tag, "run_metadata": run_metadata.SerializeToString()}
        self._add(Event(tagged_run_metadata=tagged), global_step)

    def add_event(self, event: Proto) -> None:
        """Adds an Event message as it is."""
        self._warn_if_closed()
        self._file.write(event)

    def _add(self, event: Proto, global_step: object) -> None:
        event.wall_time = time.time()
        if global_step is not None:
            event.step = int(global_step)  # type: ignore[call-overload]
        self.add_event(event)

    def _warn_if_closed(self) -> None:
        if self._closed:
            warnings.warn(
                "Attempting to use a closed FileWriter. The operation will be a noop unless the "
                "FileWriter is explicitly reopened.",
                stacklevel=4,
            )

    def flush(self) -> None:
        """Hands all events to the operating system."""
        self._warn_if_closed()
        self._file.flush()

    def close(self) -> None:
        """Flushes and closes the file."""
        self._file.close()
        self._closed = True

    def reopen(self) -> None:
        """After close: goes on in a new file of the same folder; else does nothing."""
        if self._closed:
            self._file = EventFile(self._logdir, *self._options)
            self._closed = False

    def __enter__(self) -> FileWriter:
        self._warn_if_closed()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class FileWriterCache:
    """One FileWriter for each folder."""

    _writers: ClassVar[dict[str, FileWriter]] = {}
    _lock = threading.RLock()

    @staticmethod
    def get(logdir: str) -> FileWriter:
        """The folder's writer, made when it is first asked for."""
        with FileWriterCache._lock:
            if logdir not in FileWriterCache._writers:
                FileWriterCache._writers[logdir] = FileWriter(logdir)
            return FileWriterCache._writers[logdir]

    @staticmethod
    def clear() -> None:
        """Closes and forgets all writers."""
        with FileWriterCache._lock:
            for writer in FileWriterCache._writers.values():
                writer.close()
            FileWriterCache._writers.clear()
