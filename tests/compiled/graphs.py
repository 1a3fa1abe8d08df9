"""Random functions for the whole compiler: every access pattern, odd sizes, several dtypes.

Numbers are small integers, in float dtypes too, and every value is brought back into [-4, 4]:
then all sums are exact in any order, and compiled code must give what the interpreter gives to
the last bit.  `smooth` functions have transcendental ops instead and are compared with a tolerance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from compiled.data import LIMIT, MOST, SHAPES, SIZES, numbers
from hypothesis import strategies as st

from tensorkiln.compiler.ir.dtypes import (
    BF16,
    BOOL,
    F16,
    F32,
    F64,
    I8,
    I32,
    I64,
    U8,
    DType,
)  # fmt: skip
from tensorkiln.compiler.ir.function import Function, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder, shorthand, shorthand_windows

DTYPES = (F32, F32, F32, F64, I32, I8, U8, I64, F16, BF16)
Draw = st.DrawFn


class Graph:
    """A function under construction; `values` are what later steps may read."""

    def __init__(self, draw: Draw, smooth: bool) -> None:
        self.draw, self.smooth = draw, smooth
        self.builder = Builder(REGISTRY)
        self.values: list[Value] = []

    def integer(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def size(self) -> int:
        return SIZES[self.integer(0, len(SIZES) - 1)]

    def parameter(self, shape: Sequence[int], dtype: DType) -> Value:
        """A parameter of the type: a new one, or one that is there; sometimes a constant."""
        kind = TensorType(tuple(shape), dtype)
        if self.builder.parameters and not self.integer(0, 4):
            return self.builder.constant(numbers(kind, len(self.builder.ops)))
        same = [v for v in self.builder.parameters if v.type == kind]
        if same and self.integer(0, 1):
            return same[self.integer(0, len(same) - 1)]
        return self.builder.parameter(f"x{len(self.builder.parameters)}", kind)

    def operand(self) -> Value:
        return self.values[-1 - self.integer(0, min(len(self.values), 5) - 1)]

    def partner(self, x: Value) -> Value:
        """A value of the type of `x`, perhaps `x` itself."""
        same = [v for v in self.values if v.type == x.type]
        if self.integer(0, 2):
            return same[self.integer(0, len(same) - 1)]
        return self.parameter(x.shape, x.dtype)

    def tame(self, x: Value) -> Value:
        """`x` brought back into the range of numbers that stay exact."""
        if self.smooth and x.dtype.is_float:
            return self.builder.one("tanh", (x,))
        if x.dtype == BOOL:
            return x
        low = -LIMIT if x.dtype.is_signed else 0
        bounds = (shorthand.scalar(self.builder, n, x.dtype) for n in (low, LIMIT))
        least, most = bounds
        return self.builder.one("clamp", (least, x, most))


@st.composite
def functions(draw: Draw, steps: int = 9) -> Function:
    """A function of up to `steps` steps, each of which is one to three ops."""
    graph = Graph(draw, draw(st.booleans()))
    for _ in range(graph.integer(1, 2)):
        if graph.integer(0, 1):
            shape = list(SHAPES[graph.integer(0, len(SHAPES) - 1)])
        else:
            shape = [graph.size() for _ in range(graph.integer(0, 4))]
        while math.prod(shape) > MOST:
            shape.remove(max(shape))
        graph.values.append(graph.parameter(shape, DTYPES[graph.integer(0, len(DTYPES) - 1)]))
    for _ in range(graph.integer(1, steps)):
        graph.values.append(_step(graph, graph.operand()))
    return _finish(graph)


def _step(graph: Graph, x: Value) -> Value:
    steps = [s for s in STEPS if s not in (_softmax, _layer_norm) or graph.smooth]
    found = steps[graph.integer(0, len(steps) - 1)](graph, x)
    return x if found is None or found.type.elements > MOST else found


def _finish(graph: Graph) -> Function:
    """Results: some values, perhaps twice, perhaps parameters; some donate a parameter."""
    pool = [*graph.values[-4:], *graph.builder.parameters]
    results = [graph.values[-1]]
    for _ in range(graph.integer(0, 3)):
        results.append(pool[graph.integer(0, len(pool) - 1)])
    aliases: dict[int, int] = {}
    for position, value in enumerate(results):
        free = [
            k
            for k, p in enumerate(graph.builder.parameters)
            if p.type == value.type and k not in aliases.values()
        ]
        if free and graph.integer(0, 1):
            aliases[position] = free[graph.integer(0, len(free) - 1)]
    return graph.builder.finish(results, aliases=aliases)


def is_smooth(function: Function) -> bool:
    """True if the function has ops whose results are rounded."""
    return any(
        op.name in ("softmax", "log_softmax", "layer_norm", *SMOOTH)
        or any(map(is_smooth, op.regions))
        for op in function.ops
    )


# Steps

SMOOTH = ("logistic", "sine", "exponential", "tanh")


def _unary(g: Graph, x: Value) -> Value:
    if x.dtype == BOOL:
        return g.builder.one("not", (x,))
    if g.smooth and x.dtype.is_float:
        return g.builder.one(SMOOTH[g.integer(0, 3)], (x,))
    name = "negate" if x.dtype.kind == "uint" else ("negate", "abs", "sign")[g.integer(0, 2)]
    return g.tame(g.builder.one(name, (x,)))


def _binary(g: Graph, x: Value) -> Value:
    y = g.partner(x)
    if x.dtype == BOOL:
        return g.builder.one(("and", "or", "xor")[g.integer(0, 2)], (x, y))
    names = ("add", "subtract", "multiply", "maximum", "minimum")
    name = names[g.integer(0, 4)]
    return g.tame(g.builder.one(name, (x, y) if g.integer(0, 1) else (y, x)))


def _select(g: Graph, x: Value) -> Value:
    if g.smooth and x.dtype.is_float:
        return x
    y = g.partner(x)
    direction = ("EQ", "NE", "LT", "LE", "GT", "GE")[g.integer(0, 5)]
    condition = g.builder.one("compare", (x, y), direction=direction)
    if g.integer(0, 3) == 0:
        return condition
    return g.builder.one("select", (condition, g.partner(x), y))


def _convert(g: Graph, x: Value) -> Value:
    dtype = DTYPES[g.integer(0, len(DTYPES) - 1)]
    if g.smooth and x.dtype.is_float and not dtype.is_float:
        return x
    return g.tame(g.builder.one("convert", (x,), dtype=dtype))


def _broadcast(g: Graph, x: Value) -> Value:
    if x.type.rank > 3:
        return x
    shape = [d if d != 1 else (1, 3, 8)[g.integer(0, 2)] for d in x.shape]
    place = g.integer(0, x.type.rank)
    shape.insert(place, g.size())
    dims = tuple(k for k in range(len(shape)) if k != place)
    return g.builder.one("broadcast_in_dim", (x,), shape=tuple(shape), dimensions=dims)


def _combine_broadcast(g: Graph, x: Value) -> Value:
    """`x` with a row, a column or a scalar."""
    if x.dtype == BOOL:
        return x
    kept = tuple(k for k in range(x.type.rank) if g.integer(0, 1))
    row = g.parameter([x.shape[k] for k in kept], x.dtype)
    wide = g.builder.one("broadcast_in_dim", (row,), shape=x.shape, dimensions=kept)
    return g.tame(g.builder.one(("add", "multiply")[g.integer(0, 1)], (x, wide)))


def _transpose(g: Graph, x: Value) -> Value:
    order = g.draw(st.permutations(range(x.type.rank)))
    return g.builder.one("transpose", (x,), permutation=tuple(order))


def _reshape(g: Graph, x: Value) -> Value:
    shape = list(x.shape)
    if shape and g.integer(0, 1):
        place = g.integer(0, len(shape) - 1)
        if place + 1 < len(shape) and g.integer(0, 1):
            shape[place : place + 2] = [shape[place] * shape[place + 1]]
        else:
            factor = next((f for f in (2, 3, 5, 7) if shape[place] and shape[place] % f == 0), 1)
            shape[place : place + 1] = [factor, shape[place] // factor]
    elif g.integer(0, 1):
        shape.insert(g.integer(0, len(shape)), 1)
    else:
        shape = [x.type.elements]
    return g.builder.one("reshape", (x,), shape=tuple(shape)) if len(shape) < 6 else x


def _slice(g: Graph, x: Value) -> Value:
    start = [g.integer(0, min(d, 3)) for d in x.shape]
    limit = [d - g.integer(0, min(d - s, 2)) for s, d in zip(start, x.shape, strict=True)]
    strides = tuple(g.integer(1, 2) for _ in x.shape)
    return g.builder.one("slice", (x,), start=tuple(start), limit=tuple(limit), strides=strides)


def _pad(g: Graph, x: Value) -> Value:
    low = tuple(g.integer(-min(d, 1), 2) for d in x.shape)
    high = tuple(g.integer(0, 2) for _ in x.shape)
    interior = tuple(g.integer(0, 3) // 3 for _ in x.shape)
    filler = shorthand.scalar(g.builder, g.integer(0, 1), x.dtype)
    return g.builder.one("pad", (x, filler), low=low, high=high, interior=interior)


def _reverse(g: Graph, x: Value) -> Value:
    axes = tuple(k for k in range(x.type.rank) if g.integer(0, 1))
    return g.builder.one("reverse", (x,), dimensions=axes)


def _concatenate(g: Graph, x: Value) -> Value | None:
    if not x.type.rank:
        return None
    axis = g.integer(0, x.type.rank - 1)
    fitting = [
        v
        for v in g.values
        if v.dtype == x.dtype
        and v.type.rank == x.type.rank
        and all(a == b for k, (a, b) in enumerate(zip(v.shape, x.shape, strict=True)) if k != axis)
    ]
    other = list(x.shape)
    other[axis] = g.size()
    fitting.append(g.parameter(other, x.dtype))
    pieces = [x, *(fitting[g.integer(0, len(fitting) - 1)] for _ in range(g.integer(1, 2)))]
    return g.builder.one("concatenate", g.draw(st.permutations(pieces)), dimension=axis)


def _axes(g: Graph, x: Value) -> tuple[int, ...]:
    if g.integer(0, 1):
        return tuple(range(g.integer(0, x.type.rank), x.type.rank))
    return tuple(k for k in range(x.type.rank) if g.integer(0, 1))


def _reduce(g: Graph, x: Value) -> Value:
    if x.dtype == BOOL:
        reducer = ("and", "or")[g.integer(0, 1)]
    else:
        reducer = ("add", "maximum", "minimum")[g.integer(0, 2)]
    axes = _axes(g, x)
    found = g.builder.one("reduce", (x,), dimensions=axes, reducer=reducer)
    if reducer != "add" and 0 in [x.shape[k] for k in axes]:
        return g.tame(found)
    found = g.tame(found)
    if g.integer(0, 1):
        kept = tuple(k for k in range(x.type.rank) if k not in axes)
        found = g.builder.one("broadcast_in_dim", (found,), shape=x.shape, dimensions=kept)
        if x.dtype != BOOL and g.integer(0, 1):
            found = g.tame(g.builder.one("subtract", (x, found)))
    return found


def _arg_reduce(g: Graph, x: Value) -> Value | None:
    axis = g.integer(0, max(x.type.rank - 1, 0))
    if not x.type.rank or not x.shape[axis] or x.dtype == BOOL or (g.smooth and x.dtype.is_float):
        return None
    kind = ("max", "min")[g.integer(0, 1)]
    found = g.builder.op("arg_reduce", (x,), {"kind": kind, "dimension": axis, "dtype": I32})
    return g.tame(found[g.integer(0, 1)])


def _softmax(g: Graph, x: Value) -> Value | None:
    if not x.type.rank or not x.dtype.is_float:
        return None
    name = ("softmax", "log_softmax")[g.integer(0, 1)]
    return g.builder.one(name, (x,), axis=g.integer(0, x.type.rank - 1))


def _dot(g: Graph, x: Value) -> Value | None:
    if not x.type.rank or x.dtype == BOOL:
        return None
    roles = [g.integer(0, 5) // 2 for _ in x.shape]  # free, contracted, batch
    if 1 not in roles:
        roles[g.integer(0, len(roles) - 1)] = 1
    batch = [k for k, role in enumerate(roles) if role == 2]
    contracted = [k for k, role in enumerate(roles) if role == 1]
    free = [(g.size(), 24, 50)[g.integer(0, 2)] for _ in range(g.integer(0, 2))]
    sizes = [*((k, x.shape[k]) for k in (*batch, *contracted)), *((-1, s) for s in free)]
    order = g.draw(st.permutations(sizes))
    other = g.parameter([s for _, s in order], x.dtype)
    places = {k: place for place, (k, _) in enumerate(order)}
    left = (x, tuple(batch), tuple(contracted))
    right = (other, tuple(places[k] for k in batch), tuple(places[k] for k in contracted))
    if math.prod(x.shape) * math.prod(free) > 200_000:
        return None
    a, b = (left, right) if g.integer(0, 1) else (right, left)
    found = g.builder.one(
        "dot_general", (a[0], b[0]),
        lhs_batch=a[1], rhs_batch=b[1], lhs_contracting=a[2], rhs_contracting=b[2],
    )  # fmt: skip
    return g.tame(found) if found.type.elements <= MOST else None


def _convolution(g: Graph, x: Value) -> Value | None:
    if x.type.rank not in (3, 4) or x.dtype == BOOL or not x.type.elements:
        return None
    spatial = "HW"[: x.type.rank - 2]
    layouts = (f"NC{spatial}", f"N{spatial}C", f"{spatial}NC")
    x_layout = layouts[g.integer(0, 2)]
    channels = x.shape[x_layout.index("C")]
    groups = (1, channels, 2 if channels % 2 == 0 else 1)[g.integer(0, 2)]
    outputs = groups * (1, 2, 5, 8, 16, 32)[g.integer(0, 5)]
    if groups == channels and g.integer(0, 1):
        outputs = channels
    window = [g.integer(1, 3) for _ in spatial]
    kernel_layout = (f"OI{spatial}", f"{spatial}IO")[g.integer(0, 1)]
    sizes = dict(zip(spatial, window, strict=True)) | {"O": outputs, "I": channels // groups}
    kernel = g.parameter([sizes[c] for c in kernel_layout], x.dtype)
    padding = [(g.integer(0, 2), g.integer(0, 2)) for _ in spatial]
    dilation = [g.integer(1, 4) // 4 + 1 for _ in spatial]
    for k, letter in enumerate(spatial):
        reach = (window[k] - 1) * dilation[k] + 1
        if x.shape[x_layout.index(letter)] + sum(padding[k]) < reach:
            return None
    found = shorthand_windows.convolution(
        g.builder, x, kernel, x_layout, kernel_layout, padding=padding, rhs_dilation=dilation,
        strides=[g.integer(1, 2) for _ in spatial], feature_groups=groups,
        lhs_dilation=[g.integer(1, 5) // 5 + 1 for _ in spatial],
    )  # fmt: skip
    return g.tame(found) if found.type.elements <= MOST else None


def _reduce_window(g: Graph, x: Value) -> Value | None:
    if not x.type.rank or x.dtype == BOOL:
        return None
    window = [g.integer(1, min(d, 3)) if d else 1 for d in x.shape]
    reducer = ("add", "maximum", "minimum")[g.integer(0, 2)]
    padding = [(g.integer(0, w - 1), g.integer(0, w - 1)) for w in window]
    strides = [g.integer(1, 2) for _ in window]
    found = shorthand_windows.reduce_window(g.builder, x, reducer, window, strides, padding)
    return g.tame(found)


def _gather(g: Graph, x: Value) -> Value | None:
    if not x.type.rank or not x.type.elements:
        return None
    axis = g.integer(0, x.type.rank - 1)
    indices = g.parameter([g.size() for _ in range(g.integer(0, 2))], (I32, I64)[g.integer(0, 1)])
    found = shorthand.take(g.builder, x, indices, axis)
    return found


def _layer_norm(g: Graph, x: Value) -> Value | None:
    if not x.type.rank or not x.dtype.is_float or x.dtype.bits < 32:
        return None
    axis = g.integer(0, x.type.rank - 1)
    if math.prod(x.shape[axis:]) < 2:
        return None
    scale, bias = (g.parameter(x.shape[axis:], x.dtype) for _ in range(2))
    return g.builder.one("layer_norm", (x, scale, bias), axis=axis, epsilon=0.5)


def _iota(g: Graph, x: Value) -> Value | None:
    if not x.type.rank or x.dtype == BOOL:
        return None
    axis = g.integer(0, x.type.rank - 1)
    steps = g.builder.one("iota", (), shape=x.shape, dimension=axis, dtype=x.dtype)
    return g.tame(g.builder.one("subtract", (steps, x)))


def _dynamic(g: Graph, x: Value) -> Value:
    starts = [g.parameter((), I32) for _ in x.shape]
    sizes = [g.integer(0, d) for d in x.shape]
    box = g.builder.one("dynamic_slice", (x, *starts), sizes=tuple(sizes))
    if g.integer(0, 1):
        return box
    starts = [g.parameter((), I32) for _ in x.shape]
    return g.builder.one("dynamic_update_slice", (x, box, *starts))


STEPS: tuple[Callable[[Graph, Value], Value | None], ...] = (
    _unary, _binary, _binary, _select, _convert, _broadcast, _combine_broadcast, _combine_broadcast,
    _transpose, _reshape, _slice, _pad, _reverse, _concatenate, _reduce, _reduce, _arg_reduce,
    _softmax, _softmax, _dot, _dot, _convolution, _convolution, _reduce_window, _gather, _dynamic,
    _layer_norm, _iota,
)  # fmt: skip
