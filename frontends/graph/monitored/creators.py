"""What makes the session that a monitored session runs."""

from __future__ import annotations

from tensorkiln.frontends.graph.config import ConfigProto
from tensorkiln.frontends.graph.monitored.scaffold import Scaffold
from tensorkiln.frontends.graph.monitored.session_manager import SessionManager
from tensorkiln.frontends.graph.session import Session
from tensorkiln.frontends.graph.stack import get_default_graph


class SessionCreator:
    """A factory of sessions; subclasses define `create_session`."""

    def create_session(self) -> Session:
        """A new session that is ready to run."""
        raise NotImplementedError(f"create_session is not implemented for {self}.")


class ChiefSessionCreator(SessionCreator):
    """Sessions of the worker that initializes or restores."""

    def __init__(
        self, scaffold: Scaffold | None = None, master: str = "",
        config: ConfigProto | None = None, checkpoint_dir: str | None = None,
        checkpoint_filename_with_path: str | None = None,
    ) -> None:  # fmt: skip
        self._scaffold = scaffold or Scaffold()
        self._master, self._config = master, config
        self._folder, self._path = checkpoint_dir, checkpoint_filename_with_path

    def create_session(self) -> Session:
        """See SessionCreator."""
        scaffold = self._scaffold.finalize()
        return _manager(scaffold).prepare_session(
            self._master, scaffold.init_op, scaffold.saver, self._folder, self._path,
            config=self._config, init_feed_dict=scaffold.init_feed_dict, init_fn=scaffold.init_fn,
        )  # fmt: skip


class WorkerSessionCreator(SessionCreator):
    """Sessions of a worker that waits until the chief has initialized the variables."""

    def __init__(
        self, scaffold: Scaffold | None = None, master: str = "",
        config: ConfigProto | None = None, max_wait_secs: float = 30 * 60,
    ) -> None:  # fmt: skip
        self._scaffold = scaffold or Scaffold()
        self._master, self._config, self._longest = master, config, max_wait_secs

    def create_session(self) -> Session:
        """See SessionCreator."""
        scaffold = self._scaffold.finalize()
        return _manager(scaffold).wait_for_session(self._master, self._config, self._longest)


def _manager(scaffold: Scaffold) -> SessionManager:
    return SessionManager(
        scaffold.local_init_op, scaffold.ready_op, scaffold.ready_for_local_init_op,
        get_default_graph(), local_init_feed_dict=scaffold.local_init_feed_dict,
    )  # fmt: skip
