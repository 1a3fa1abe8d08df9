"""Random functions with loops and branches in each other, over the steps of random functions."""

from __future__ import annotations

from collections.abc import Sequence

from compiled.data import MOST, SHAPES, numbers
from compiled.graphs import DTYPES, STEPS, Draw, Graph, _finish, _layer_norm, _softmax
from hypothesis import strategies as st

from tensorkiln.compiler.ir.dtypes import I32, DType
from tensorkiln.compiler.ir.function import Function, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.ops.shorthand import compare, scalar
from tensorkiln.compiler.ops.shorthand_control import case, while_loop

MOST_DEEP = 2
SMALL = tuple(shape for shape in SHAPES if len(shape) <= 2)


class Region(Graph):
    """A body under construction: it has no parameters but those it starts with."""

    def __init__(self, outer: Graph, builder: Builder, values: Sequence[Value]) -> None:
        super().__init__(outer.draw, smooth=False)
        self.builder = builder
        self.values = list(values)
        self.depth: int = getattr(outer, "depth", 0) + 1

    def parameter(self, shape: Sequence[int], dtype: DType) -> Value:
        """A value of the type that is there, or a constant."""
        kind = TensorType(tuple(shape), dtype)
        same = [v for v in self.values if v.type == kind]
        if same and self.integer(0, 2):
            return same[self.integer(0, len(same) - 1)]
        return self.builder.constant(numbers(kind, len(self.builder.ops)))

    def like(self, before: Value) -> Value:
        """A value of the type of `before`, made here if there is one."""
        same = [v for v in reversed(self.values) if v.type == before.type] or [before]
        return same[min(self.integer(0, 3), len(same) - 1)]


def _some(g: Graph) -> list[Value]:
    chosen = [g.operand() for _ in range(g.integer(1, 3))]
    if not g.integer(0, 3):
        return chosen  # perhaps one value several times
    return list(dict.fromkeys(chosen))


def _walk(g: Graph, steps: int) -> None:
    allowed = [step for step in STEPS if step not in (_softmax, _layer_norm)]
    depth = getattr(g, "depth", 0)
    for _ in range(g.integer(1, steps)):
        kind = g.integer(0, 4)
        if kind == 0 and depth < MOST_DEEP:
            g.values += _loop(g)
        elif kind == 1 and depth < MOST_DEEP:
            g.values += _case(g)
        elif kind == 2:
            g.values.append(_write(g, g.operand()))
        else:
            x = g.operand()
            found = allowed[g.integer(0, len(allowed) - 1)](g, x)
            g.values.append(x if found is None or found.type.elements > MOST else found)


def _write(g: Graph, x: Value) -> Value:
    """A row of `x` replaced at a place known at run time, perhaps by one of its own."""
    if not x.type.rank or 0 in x.shape:
        return x
    counters = [v for v in g.values if v.type == TensorType((), I32)]
    place = counters[-1] if counters else g.parameter((), I32)
    zero = scalar(g.builder, 0, I32)
    starts = [place, *[zero] * (x.type.rank - 1)]
    box = (1, *x.shape[1:])
    if g.integer(0, 1):
        read = g.builder.one("dynamic_slice", (x, *starts), sizes=box)
        row = (
            g.tame(g.builder.one("add", (read, g.parameter(box, x.dtype))))
            if x.dtype.is_signed
            else read
        )
    else:
        row = g.parameter(box, x.dtype)
    return g.builder.one("dynamic_update_slice", (x, row, *starts))


def _loop(g: Graph) -> list[Value]:
    carried = _some(g)
    trips = g.integer(0, 4)

    def more(b: Builder, values: Sequence[Value]) -> Value:
        return compare(b, "LT", values[0], scalar(b, trips, I32))

    def body(b: Builder, values: Sequence[Value]) -> list[Value]:
        inner = Region(g, b, [*values[1:], values[0]])
        _walk(inner, 3)
        after = [v if not g.integer(0, 3) else inner.like(v) for v in values[1:]]
        return [b.one("add", (values[0], scalar(b, 1, I32))), *after]

    found = while_loop(g.builder, more, body, [scalar(g.builder, 0, I32), *carried], -1)
    return list(found[1:])


def _case(g: Graph) -> list[Value]:
    carried = _some(g)
    kinds = [carried[g.integer(0, len(carried) - 1)] for _ in range(g.integer(1, 2))]

    def branch(b: Builder, values: Sequence[Value]) -> list[Value]:
        inner = Region(g, b, values)
        _walk(inner, 2)
        return [inner.like(dict(zip(carried, values, strict=False))[v]) for v in kinds]

    index = g.parameter((), I32)
    return list(case(g.builder, index, [branch] * g.integer(1, 3), carried))


@st.composite
def looping_functions(draw: Draw, steps: int = 5) -> Function:
    """A function of up to `steps` steps, among them loops and branches."""
    graph = Graph(draw, smooth=False)
    graph.builder = Builder(REGISTRY)
    for _ in range(graph.integer(1, 3)):
        shape = SMALL[graph.integer(0, len(SMALL) - 1)] if graph.integer(0, 2) else (3, 5)
        graph.values.append(graph.parameter(shape, DTYPES[graph.integer(0, len(DTYPES) - 1)]))
    graph.values += _loop(graph)
    _walk(graph, steps)
    return _finish(graph)
