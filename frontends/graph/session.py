"""Session: runs parts of a graph and keeps the variables' values."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import TracebackType

import numpy as np

from tensorkiln.compiler.ir.function import Function
from tensorkiln.frontends.graph import server, stack
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.composed_feeds import is_composed, spread_feeds
from tensorkiln.frontends.graph.config import ConfigProto
from tensorkiln.frontends.graph.deadline import within
from tensorkiln.frontends.graph.devices import DEVICES, Device, missing
from tensorkiln.frontends.graph.errors import InvalidArgumentError
from tensorkiln.frontends.graph.feeds import fed_array, fed_tensor
from tensorkiln.frontends.graph.fetches import Fetches, fetch_key
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.graph import Graph
from tensorkiln.frontends.graph.host import HostContext
from tensorkiln.frontends.graph.logs import runtime_info
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.partial_run import PartialRun
from tensorkiln.frontends.graph.plan import Plan
from tensorkiln.frontends.graph.step import step_maker
from tensorkiln.frontends.graph.trace import Tracer, placement


class _Signature:
    """What runs with the same fetches and the same fed tensors share."""

    def __init__(self, graph: Graph, fetches: object, keys: Sequence[object]) -> None:
        self.fetches = Fetches(graph, fetches)
        self.keys = list(keys)
        self.fed = [fed_tensor(graph, key) for key in keys]
        self.dtypes = [tensor.dtype.numpy for tensor in self.fed]
        self.shapes: set[tuple[tuple[int, ...], ...]] = set()
        """Shapes of feeds that were checked."""
        self.plan: Plan | None = None


class BaseSession:
    """Runs parts of `graph` (the default graph unless given).

    `config` is a ConfigProto; variables and random streams belong to the session.
    """

    def __init__(
        self, target: str = "", graph: Graph | None = None, config: Proto | None = None
    ) -> None:
        _check_kinds(target, graph, config)
        options = ConfigProto() if config is None else config
        self._config = options
        self._timeout = options.operation_timeout_in_ms
        self._placed = 0
        self._graph = graph or stack.get_default_graph()
        self._target = target.encode() if isinstance(target, str) else target
        target = self._target.decode()
        self._jobs = server.jobs_of(target)
        self._closed = False
        self._make_step = step_maker(options.interpreted, options.intra_op_parallelism_threads)
        self._host = HostContext(server.store_of(target), make_step=self._make_step)
        self._signatures: dict[Hashable, _Signature] = {}
        self._lock = threading.Lock()

    @property
    def graph(self) -> Graph:
        """The graph this session runs."""
        return self._graph

    @property
    def graph_def(self) -> Proto:
        """The definition of the graph this session runs."""
        return self._graph.as_graph_def()

    @property
    def sess_str(self) -> bytes:
        """The target given."""
        return self._target

    def close(self) -> None:
        """Frees the variables; the session cannot run any more."""
        self._closed = True
        self._signatures = {}
        self._host.close()

    def run(
        self,
        fetches: object,
        feed_dict: Mapping[object, object] | None = None,
        options: Proto | None = None,
        run_metadata: Proto | None = None,
    ) -> object:
        """The values of `fetches` (tensors, operations, names, nested in lists and dicts).

        `feed_dict` gives values for any tensors.  With a trace level in `options`, `run_metadata`
        gets the times of the compiled clusters and host ops.  Errors are those of TensorFlow:
        RuntimeError for a closed session, TypeError and ValueError for wrong fetches and feeds, and
        `tf.errors` for what goes wrong in the graph.
        """
        if self._closed:
            raise RuntimeError("Attempted to use a closed Session.")
        feed_dict = feed_dict or {}
        if not isinstance(feed_dict, Mapping):
            raise TypeError(f"input must be a dictionary; feed_dict is {feed_dict!r}")
        if is_composed(feed_dict):
            feed_dict = spread_feeds(feed_dict)
        # The usual structures make a key at once; nested ones take the longer way.
        if isinstance(fetches, list):
            key: Hashable = (list, *fetches, None, *feed_dict)
        else:
            key = (fetches, None, *feed_dict)
        try:
            signature = self._signatures.get(key)
        except TypeError:
            key = (fetch_key(fetches), None, *map(id, feed_dict))
            signature = self._signatures.get(key)
        if signature is None:
            signature = self._new_signature(key, fetches, feed_dict)
        return self._run(signature, feed_dict.values(), options, run_metadata)

    def _run(
        self,
        signature: _Signature,
        values: Iterable[object],
        options: Proto | None = None,
        run_metadata: Proto | None = None,
    ) -> object:
        """What a signature fetches, for the values of what it feeds, in order."""
        arrays: list[Array] = []
        shapes: list[tuple[int, ...]] = []
        for value, dtype in zip(values, signature.dtypes):  # noqa: B905 (hot path)
            if type(value) is np.ndarray and value.dtype == dtype and value.flags.c_contiguous:
                array = value
            else:
                number = len(arrays)
                array = fed_array(signature.fed[number], value, signature.keys[number])
            arrays.append(array)
            shapes.append(array.shape)
        plan = signature.plan or self._new_plan(signature)
        if tuple(shapes) not in signature.shapes:
            for tensor, array, name in zip(signature.fed, arrays, signature.keys, strict=True):
                fed_array(tensor, array, name)
            signature.shapes.add(tuple(shapes))
        timeout = self._timeout
        if run_metadata is not None:
            run_metadata.Clear()
        if options is None and not timeout:
            return signature.fetches.rebuild(plan.run(arrays))
        watch = None
        if options is not None:
            timeout = options.timeout_in_ms or timeout
            if options.trace_level and run_metadata is not None:
                watch = Tracer(run_metadata).watch
        found = within(timeout, lambda: plan.run(arrays, watch))
        return signature.fetches.rebuild(found)

    def _new_signature(
        self, key: Hashable, fetches: object, feed_dict: Mapping[object, object]
    ) -> _Signature:
        if not self._graph.version:
            raise RuntimeError(
                "The Session graph is empty.  Add operations to the graph before calling run()."
            )
        signature = _Signature(self._graph, fetches, list(feed_dict))
        self._signatures[key] = signature
        return signature

    def _new_plan(self, signature: _Signature) -> Plan:
        with self._lock:
            self._place()
            if signature.plan is None:
                wanted = signature.fetches
                signature.plan = Plan(
                    wanted.tensors, wanted.targets, signature.fed, self._host, self._make_step
                )
        return signature.plan

    def _place(self) -> None:
        """Looks at the devices of the graph's new operations.

        InvalidArgumentError for one that does not exist, unless the session may place it
        elsewhere.
        """
        operations = self._graph.get_operations()
        for op in operations[self._placed :]:
            wanted = missing(op, self._jobs, self._config.allow_soft_placement)
            if wanted is not None:
                raise InvalidArgumentError(
                    op.name, op,
                    f"Cannot assign a device for operation {op.name}: node {op.name} "
                    f"({op.location}) was explicitly assigned to {wanted} but available devices "
                    f"are [ {', '.join(DEVICES)} ]. Make sure the device specification refers to "
                    f"a valid device.\n\t [[{op.name}]]",
                )  # fmt: skip
        if self._config.log_device_placement:
            if not self._placed:
                runtime_info("Device mapping:\n" + "\n".join(f"{d} -> CPU" for d in DEVICES))
            for op in operations[self._placed :]:
                runtime_info(placement(op))
        self._placed = len(operations)

    def list_devices(self) -> list[Device]:
        """The devices that ops can be assigned to."""
        return [Device(name) for name in DEVICES]

    def lower(self, fetches: object, feed_dict: Mapping[object, object] | None = None) -> Function:
        """The tensor IR function that `run` with these arguments calls.

        Parameters are the feeds, then the state; results the fetches, then the new state.
        """
        feeds = feed_dict or {}
        signature = _Signature(self._graph, fetches, list(feeds))
        pairs = zip(signature.fed, feeds.values(), signature.keys, strict=True)
        shapes = [fed_array(*pair).shape for pair in pairs]
        return self._new_plan(signature).lower(shapes)

    def variable_value(self, variable: Operation) -> Array:
        """A copy of a variable's value; FailedPreconditionError if it has none."""
        value: Array = self._host.variable(variable).copy()
        return value

    def random_state(self, op: Operation) -> Array:
        """A copy of a random op's state, from which its next numbers follow."""
        state: Array = self._host.store.random_state(op).copy()
        return state

    def assign_value(self, variable: Operation, value: Array) -> None:
        """Gives a variable a value of its dtype without running anything."""
        self._host.store.assign(variable, value)

    def make_callable(
        self,
        fetches: object,
        feed_list: Sequence[object] | None = None,
        accept_options: bool = False,
    ) -> Callable[..., object]:
        """A function of the fed values, in order, that runs `fetches`.

        It also takes `options` and `run_metadata`, by name.
        """
        if not isinstance(feed_list, list | tuple | None):
            raise TypeError("`feed_list` must be a list or tuple.")
        keys = list(feed_list or ())
        count = len(keys)
        if is_composed(keys):
            return self._callable_of_composed(fetches, keys)
        # What cannot be fetched or fed is said at once.
        signature = self._new_signature(object(), fetches, dict.fromkeys(keys))

        def call(
            *values: object, options: Proto | None = None, run_metadata: Proto | None = None
        ) -> object:
            if self._closed:
                raise RuntimeError("Attempted to use a closed Session.")
            if len(values) != count:
                raise ValueError(f"{count} fed values are wanted, {len(values)} are given")
            return self._run(signature, values, options, run_metadata)

        return call

    def _callable_of_composed(
        self, fetches: object, keys: Sequence[object]
    ) -> Callable[..., object]:
        """As make_callable, where a value may stand for several tensors."""

        def call(
            *values: object, options: Proto | None = None, run_metadata: Proto | None = None
        ) -> object:
            return self.run(fetches, dict(zip(keys, values, strict=True)), options, run_metadata)

        return call

    def partial_run_setup(
        self, fetches: Sequence[object], feeds: Sequence[object] | None = None
    ) -> PartialRun:
        """A handle for partial_run: what may be fetched and fed until all was."""
        return PartialRun(self._graph, fetches, feeds or ())

    def partial_run(
        self, handle: PartialRun, fetches: object, feed_dict: Mapping[object, object] | None = None
    ) -> object:
        """The values of some of a handle's fetches; feeds and values of earlier calls still hold.

        Each feed may be given and each fetch asked for once.
        """
        return handle.go_on(fetches, feed_dict or {}, self.run)

    @contextmanager
    def as_default(self) -> Iterator[BaseSession]:
        """Makes this the default session inside the block (and leaves it open after)."""
        stack.sessions().append(self)
        try:
            yield self
        finally:
            stack.sessions().remove(self)


def _check_kinds(target: object, graph: object, config: object) -> None:
    if not isinstance(target, str | bytes):
        raise TypeError(f"target must be a string, but got {type(target)}")
    if not isinstance(graph, Graph | None):
        raise TypeError(f"graph must be a tf.Graph, but got {type(graph)}")
    if not isinstance(config, ConfigProto | None):
        raise TypeError(f"config must be a tf.ConfigProto, but got {type(config)}")


class Session(BaseSession):
    """A session; as a context manager it is the default one and is closed at the end."""

    def __init__(
        self, target: str = "", graph: Graph | None = None, config: Proto | None = None
    ) -> None:
        super().__init__(target, graph, config)
        self._context: AbstractContextManager[object] | None = None

    @staticmethod
    def reset(
        target: str, containers: Collection[str] | None = None, config: Proto | None = None
    ) -> None:
        """Forgets the variables that sessions with this server's target share.

        With `containers`, only if the unnamed one is among them: no variable is in another.
        """
        _check_kinds(target, None, config)
        if containers is None or "" in containers:
            server.reset(target)

    def __enter__(self) -> Session:
        if self._context is not None:
            raise RuntimeError(
                "Session context managers are not re-entrant. Use `Session.as_default()` if you "
                "want to enter a session multiple times."
            )
        context = self._context = ExitStack()
        context.enter_context(self.graph.as_default())
        context.enter_context(self.as_default())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._context is not None
        context, self._context = self._context, None
        context.__exit__(kind, error, traceback)
        self.close()


class InteractiveSession(BaseSession):
    """A session that is the default one from its creation until it is closed."""

    def __init__(
        self, target: str = "", graph: Graph | None = None, config: Proto | None = None
    ) -> None:
        super().__init__(target, graph, config)
        self._context = ExitStack()
        if graph is not None:
            self._context.enter_context(graph.as_default())
        self._context.enter_context(self.as_default())

    def close(self) -> None:
        """Frees the variables and stops being the default session."""
        super().close()
        self._context.close()
