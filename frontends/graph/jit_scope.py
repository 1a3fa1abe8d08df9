"""Marks for ops that a program wants compiled: all are, so the marks only go into definitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tensorkiln.frontends.graph.graph import Graph
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_constant import identity, no_op
from tensorkiln.frontends.graph.scopes import control_dependencies
from tensorkiln.frontends.graph.stack import get_default_graph
from tensorkiln.frontends.graph.tensor import Tensor

_NUMBER = "number of jit scopes"
_DEPTH = "the jit scope that ops are made in"


@contextmanager
def experimental_jit_scope(
    compile_ops: bool | Callable[[object], bool] = True, separate_compiled_gradients: bool = False
) -> Iterator[None]:
    """Ops made inside get the attribute `_XlaCompile`, the scope's name and the gradients' mark.

    `compile_ops` is the mark or a function of the op's NodeDef that gives it; False keeps ops out of
    the marked ones only: everything is compiled either way.
    """
    graph = get_default_graph()
    outer = graph.scoped.get(_DEPTH)
    name = str(outer) if outer is not None else _new_name(graph)

    def marks(op: Operation) -> dict[str, object]:
        wanted = compile_ops(op.node_def) if callable(compile_ops) else compile_ops
        return {
            "_XlaCompile": bool(wanted),
            "_XlaScope": name,
            "_XlaSeparateCompiledGradients": separate_compiled_gradients,
        }

    graph.scoped[_DEPTH] = name
    try:
        with graph.marking(marks):
            yield
    finally:
        if outer is None:
            del graph.scoped[_DEPTH]


def _new_name(graph: Graph) -> str:
    number = graph.scoped.get(_NUMBER, 0)
    assert isinstance(number, int)
    graph.scoped[_NUMBER] = number + 1
    return f"jit_scope_{number}"


def compile_(computation: Callable[..., object], inputs: Sequence[object] | None = None) -> object:
    """What `computation(*inputs)` returns, made in a jit scope: a tuple for one value, a no-op if
    only operations or nothing are returned; operations run before the values."""
    if inputs is not None and not isinstance(inputs, list | tuple):
        raise TypeError(f"inputs must be a list, got {type(inputs)}")
    with experimental_jit_scope():
        made = computation(*(inputs or ()))
        items = list(made) if isinstance(made, list | tuple) else [made]
        operations = [item for item in items if isinstance(item, Operation)]
        values = [item for item in items if item is not None and not isinstance(item, Operation)]
        with control_dependencies(operations):
            if not values:
                return no_op(name="XLA_Compile")
            results: list[Tensor] = [identity(value) for value in values]
    return results if isinstance(made, list) else tuple(results)
