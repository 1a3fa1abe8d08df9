"""Runs in several calls: what was fed and computed in one still holds in the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set

from tensorkiln.frontends.graph.errors import InvalidArgumentError
from tensorkiln.frontends.graph.feeds import fed_tensor
from tensorkiln.frontends.graph.fetches import Fetches
from tensorkiln.frontends.graph.graph import Graph
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.tensor import Tensor


class PartialRun:
    """One such run.  A tensor that was fetched is not computed again; others that several calls
    need are."""

    def __init__(self, graph: Graph, fetches: Sequence[object], feeds: Sequence[object]) -> None:
        self._graph = graph
        wanted = Fetches(graph, list(fetches))
        self._fetches: set[Tensor | Operation] = {*wanted.tensors, *wanted.targets}
        self._feeds = {fed_tensor(graph, key) for key in feeds}
        self._known: dict[Tensor, object] = {}
        self._used: set[Tensor | Operation] = set()
        for tensor in self._feeds:
            if tensor in self._fetches:
                raise InvalidArgumentError(None, None, f"{tensor.name} is both fed and fetched.")

    def go_on(
        self,
        fetches: object,
        feeds: Mapping[object, object],
        run: Callable[[object, Mapping[object, object]], object],
    ) -> object:
        """See BaseSession.partial_run."""
        if not self._fetches and not self._feeds:
            raise InvalidArgumentError(
                None, None, "Must run 'setup' before performing partial runs!"
            )
        for key, value in feeds.items():
            tensor = fed_tensor(self._graph, key)
            _check("feed", "fed", tensor, self._feeds, self._used)
            self._feeds.discard(tensor)
            self._used.add(tensor)
            self._known[tensor] = value
        wanted = Fetches(self._graph, fetches)
        elements: list[Tensor | Operation] = [*wanted.tensors, *wanted.targets]
        for element in elements:
            _check("fetch", "fetched", element, self._fetches, self._used)
        self._fetches -= set(elements)
        self._used |= set(elements)
        values: list[object]
        known: dict[object, object] = dict(self._known.items())
        values, _ = run((wanted.tensors, wanted.targets), known)  # type: ignore[misc]
        for tensor, value in zip(wanted.tensors, values, strict=True):
            if self._graph.is_feedable(tensor):
                self._known[tensor] = value
        return wanted.rebuild(values)


def _check(
    kind: str,
    done: str,
    element: Tensor | Operation,
    left: Set[Tensor | Operation] | Set[Tensor],
    used: Set[Tensor | Operation],
) -> None:
    """InvalidArgumentError unless the element is left to be fed or fetched."""
    if element in left:
        return
    why = (
        f"has already been {done}" if element in used else "was not specified in partial_run_setup"
    )
    raise InvalidArgumentError(None, None, f"The {kind} {element.name} {why}.")
