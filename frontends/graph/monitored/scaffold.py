"""Scaffold: the ops with which a training starts and saves, made unless the program gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from tensorkiln.frontends.graph import logs
from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.files.saver import Saver
from tensorkiln.frontends.graph.graph_keys import GraphKeys, global_variables
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.scopes import group
from tensorkiln.frontends.graph.session import BaseSession
from tensorkiln.frontends.graph.stack import get_default_graph
from tensorkiln.frontends.graph.summary.functions import merge_all
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.variable_functions import (
    report_uninitialized_variables,
    tables_initializer,
)
from tensorkiln.frontends.graph.variables import (
    global_variables_initializer,
    local_variables_initializer,
)

Feeds = Mapping[object, object]
_Item = TypeVar("_Item")


def names_without_value(variables: object = None) -> Tensor:
    """A vector of the names of variables that have no value yet (all of them unless given)."""
    found = report_uninitialized_variables(variables)  # type: ignore[arg-type]
    return make("Identity", (found,), "report_uninitialized")


class Scaffold:
    """What a monitored session initializes, restores, summarizes and saves with.

    `finalize` makes what is missing: an op for all global variables, one for local variables and
    tables, ops that list variables without value, the merged summaries and a Saver.
    """

    # What a scaffold has that nobody told anything.
    _user_init_fn: Callable[[Scaffold, BaseSession], object] | None = None
    _init_op: object = None
    _init_feed_dict: Feeds | None = None
    _ready_op: object = None
    _ready_for_local_init_op: object = None
    _local_init_op: object = None
    _local_init_feed_dict: Feeds | None = None
    _summary_op: object = None
    _saver: Saver | None = None

    def __init__(
        self,
        init_op: object = None,
        init_feed_dict: Feeds | None = None,
        init_fn: Callable[[Scaffold, BaseSession], object] | None = None,
        ready_op: object = None,
        ready_for_local_init_op: object = None,
        local_init_op: object = None,
        summary_op: object = None,
        saver: Saver | None = None,
        copy_from_scaffold: Scaffold | None = None,
        local_init_feed_dict: Feeds | None = None,
    ) -> None:
        other = Scaffold.__new__(Scaffold) if copy_from_scaffold is None else copy_from_scaffold
        if not isinstance(other, Scaffold):
            raise TypeError("copy_from_scaffold is not a Scaffold instance.")
        self._user_init_fn = _first(init_fn, other._user_init_fn)
        self._init_op = _first(init_op, other.init_op)
        self._init_feed_dict = _first(init_feed_dict, other.init_feed_dict)
        self._ready_op = _first(ready_op, other.ready_op)
        self._ready_for_local_init_op = _first(
            ready_for_local_init_op, other.ready_for_local_init_op
        )
        self._local_init_op = _first(local_init_op, other.local_init_op)
        self._local_init_feed_dict = _first(local_init_feed_dict, other.local_init_feed_dict)
        self._summary_op = _first(summary_op, other.summary_op)
        self._saver = _first(saver, other.saver)

    def finalize(self) -> Scaffold:
        """Makes what is missing and finalizes the graph."""
        keys, default = GraphKeys, Scaffold.get_or_default
        if self._init_op is None:
            self._init_op = default("init_op", keys.INIT_OP, _init_everything)
        if self._ready_op is None:
            self._ready_op = default("ready_op", keys.READY_OP, names_without_value)
        if self._ready_for_local_init_op is None:
            self._ready_for_local_init_op = default(
                "ready_for_local_init_op", keys.READY_FOR_LOCAL_INIT_OP,
                lambda: names_without_value(global_variables()),
            )  # fmt: skip
        if self._local_init_op is None:
            self._local_init_op = default(
                "local_init_op", keys.LOCAL_INIT_OP, Scaffold.default_local_init_op
            )
        if self._summary_op is None:
            self._summary_op = default("summary_op", keys.SUMMARY_OP, merge_all)
        if self._saver is None:
            found = default("saver", keys.SAVERS, lambda: Saver(sharded=True, allow_empty=True))
            assert isinstance(found, Saver)
            self._saver = found
        self._saver.build()
        get_default_graph().finalize()
        logs.info("Graph was finalized.")
        return self

    @property
    def init_fn(self) -> Callable[[BaseSession], object] | None:
        """What is called with the session after the init op, if anything."""
        function = self._user_init_fn
        return None if function is None else lambda session: function(self, session)

    @property
    def init_op(self) -> object:
        """What initializes the global variables."""
        return self._init_op

    @property
    def init_feed_dict(self) -> Feeds | None:
        """What is fed to the init op."""
        return self._init_feed_dict

    @property
    def ready_op(self) -> object:
        """The names of variables without value, none when all is ready."""
        return self._ready_op

    @property
    def ready_for_local_init_op(self) -> object:
        """The names of global variables without value."""
        return self._ready_for_local_init_op

    @property
    def local_init_op(self) -> object:
        """What initializes local variables and tables."""
        return self._local_init_op

    @property
    def local_init_feed_dict(self) -> Feeds | None:
        """What is fed to the local init op."""
        return self._local_init_feed_dict

    @property
    def summary_op(self) -> object:
        """All summaries in one, None if there are none."""
        return self._summary_op

    @property
    def saver(self) -> Saver | None:
        """The saver, None before `finalize` unless one was given."""
        return self._saver

    @staticmethod
    def get_or_default(
        arg_name: str, collection_key: str, default_constructor: Callable[[], object]
    ) -> object:
        """The only item of a collection; if it is empty, a new one, which is put there."""
        graph = get_default_graph()
        found = graph.get_collection(collection_key)
        if len(found) > 1:
            raise RuntimeError(
                f'More than one item in the collection "{collection_key}". Please indicate which '
                f"one to use by passing it to the tf.Scaffold constructor as: "
                f"tf.Scaffold({arg_name}=item to use)"
            )
        if found:
            return found[0]
        made = default_constructor()
        if made is not None:
            graph.add_to_collection(collection_key, made)
        return made

    @staticmethod
    def default_local_init_op() -> Operation:
        """An op that initializes local variables and tables."""
        return group(local_variables_initializer(), tables_initializer())


def _init_everything() -> Operation:
    return group(global_variables_initializer())


def _first(given: _Item | None, other: _Item | None) -> _Item | None:
    return given if given is not None else other
