"""SessionManager: makes sessions whose variables have values, restored or initialized."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from tensorkiln.frontends.graph import logs
from tensorkiln.frontends.graph.config import ConfigProto, RunOptions
from tensorkiln.frontends.graph.errors import DeadlineExceededError, FailedPreconditionError
from tensorkiln.frontends.graph.files.checkpoint_state import get_checkpoint_state
from tensorkiln.frontends.graph.files.saver import Saver
from tensorkiln.frontends.graph.graph import Graph
from tensorkiln.frontends.graph.monitored.scaffold import Feeds
from tensorkiln.frontends.graph.session import BaseSession, Session
from tensorkiln.frontends.graph.stack import get_default_graph


class SessionManager:
    """Restores from the newest checkpoint where there is one, else runs initializers; then asks
    the `ready` ops for the names of variables that have no value."""

    def __init__(
        self, local_init_op: object = None, ready_op: object = None,
        ready_for_local_init_op: object = None, graph: Graph | None = None,
        recovery_wait_secs: float = 30, local_init_run_options: RunOptions | None = None,
        local_init_feed_dict: Feeds | None = None,
    ) -> None:  # fmt: skip
        self._graph = graph or get_default_graph()
        self._local_init_op, self._local_feeds = local_init_op, local_init_feed_dict
        self._ready_op, self._ready_for_local = ready_op, ready_for_local_init_op
        self._wait, self._options = recovery_wait_secs, local_init_run_options
        if ready_for_local_init_op is not None and local_init_op is None:
            raise ValueError(
                "If you pass a ready_for_local_init_op you must also pass a local_init_op , "
                f"ready_for_local_init_op [{ready_for_local_init_op}]"
            )

    def prepare_session(
        self, master: str, init_op: object = None, saver: Saver | None = None,
        checkpoint_dir: str | None = None, checkpoint_filename_with_path: str | None = None,
        wait_for_checkpoint: bool = False, max_wait_secs: float = 7200,
        config: ConfigProto | None = None, init_feed_dict: Feeds | None = None,
        init_fn: Callable[[BaseSession], object] | None = None,
    ) -> Session:  # fmt: skip
        """A session that is ready; RuntimeError with the names of what has no value else."""
        session, restored = self._restored(
            master, saver, checkpoint_dir, checkpoint_filename_with_path, wait_for_checkpoint,
            max_wait_secs, config,
        )  # fmt: skip
        if not restored:
            if init_op is None and init_fn is None and self._local_init_op is None:
                raise RuntimeError(
                    "Model is not initialized and no init_op or init_fn or local_init_op was given"
                )
            if init_op is not None:
                session.run(init_op, init_feed_dict)
            if init_fn is not None:
                init_fn(session)
        message = self._init_locally(session)
        if message is not None:
            raise RuntimeError(
                "Init operations did not make model ready for local_init.  Init op: "
                f"{_name(init_op)}, init fn: {init_fn}, error: {message}"
            )
        message = _missing(session, self._ready_op, "ready")
        if message is not None:
            raise RuntimeError(
                f"Init operations did not make model ready.  Init op: {_name(init_op)}, init fn: "
                f"{init_fn}, local_init_op: {_name(self._local_init_op)}, error: {message}"
            )
        return session

    def recover_session(
        self, master: str, saver: Saver | None = None, checkpoint_dir: str | None = None,
        checkpoint_filename_with_path: str | None = None, wait_for_checkpoint: bool = False,
        max_wait_secs: float = 7200, config: ConfigProto | None = None,
    ) -> tuple[Session, bool]:  # fmt: skip
        """A session, and whether it was restored from a checkpoint and is ready."""
        session, restored = self._restored(
            master, saver, checkpoint_dir, checkpoint_filename_with_path, wait_for_checkpoint,
            max_wait_secs, config,
        )  # fmt: skip
        message = self._init_locally(session)
        if not restored:
            return session, False
        source = checkpoint_dir or checkpoint_filename_with_path
        if message is None:
            message = _missing(session, self._ready_op, "ready")
        if message is not None:
            logs.info("Restoring model from %s did not make model ready: %s", source, message)
            return session, False
        logs.info("Restored model from %s", source)
        return session, True

    def wait_for_session(
        self, master: str, config: ConfigProto | None = None, max_wait_secs: float = float("inf")
    ) -> Session:
        """A session, once others have initialized its variables; DeadlineExceededError if that
        takes longer than `max_wait_secs`."""
        end = time.monotonic() + max_wait_secs
        while True:
            session = Session(master, self._graph, config)
            message = self._init_locally(session)
            if message is None:
                message = _missing(session, self._ready_op, "ready")
            if message is None:
                return session
            session.close()
            if time.monotonic() + self._wait > end:
                raise DeadlineExceededError(
                    None, None,
                    f"Session was not ready after waiting {max_wait_secs} secs: {message}",
                )  # fmt: skip
            logs.info("Waiting for model to be ready: %s", message)
            time.sleep(self._wait)

    def _restored(
        self, master: str, saver: Saver | None, folder: str | None, path: str | None,
        wait: bool, max_wait_secs: float, config: ConfigProto | None,
    ) -> tuple[Session, bool]:  # fmt: skip
        if folder and path:
            raise ValueError(
                "Can not provide both checkpoint_dir and checkpoint_filename_with_path."
            )
        session = Session(master, self._graph, config)
        if saver is None or not (folder or path):
            return session, False
        if path:
            saver.restore(session, path)
            return session, True
        assert folder is not None
        state, waited = get_checkpoint_state(folder), 0.0
        while state is None or not state.model_checkpoint_path:
            if not wait or waited >= max_wait_secs:
                return session, False
            logs.info("Waiting for checkpoint to be available.")
            time.sleep(self._wait)
            waited += self._wait
            state = get_checkpoint_state(folder)
        saver.restore(session, state.model_checkpoint_path)
        saver.recover_last_checkpoints(state.all_model_checkpoint_paths)
        return session, True

    def _init_locally(self, session: Session) -> str | None:
        """Runs the local init op if the global variables are ready; else what is missing."""
        message = _missing(session, self._ready_for_local, "ready for local init")
        if message is None and self._local_init_op is not None:
            logs.info("Running local_init_op.")
            session.run(self._local_init_op, self._local_feeds, self._options)
            logs.info("Done running local_init_op.")
        return message


def _missing(session: Session, op: object, word: str) -> str | None:
    """What an op that lists variables without value says, None if nothing is missing."""
    if op is None:
        return None
    try:
        found = session.run(op)
    except FailedPreconditionError as error:
        return f"Model not {word}: {error}"
    if found is None or np.asarray(found).size == 0:
        return None
    names = ", ".join(name.decode() for name in np.asarray(found).reshape(-1).tolist())
    return f"Variables not initialized: {names}"


def _name(op: object) -> object:
    return getattr(op, "name", None)
