"""Functions whose groups are of every family that GPUs have kernels for, in odd sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tensorkiln.compiler.ir.dtypes import F32, F64, I32, DType
from tensorkiln.compiler.ir.function import Array, Function, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.ops import shorthand as sh

Shapes = Sequence[tuple[int, ...]]


@dataclass(frozen=True)
class Case:
    """A function and the family (or families, in order) of its kernels."""

    name: str
    shapes: Shapes
    build: Callable[[Builder, list[Value]], Value | list[Value]]
    dtype: DType = F32
    aliases: tuple[tuple[int, int], ...] = ()

    def function(self) -> Function:
        """The case as a function of parameters x0, x1, ..."""
        builder = Builder(REGISTRY, self.name.replace(" ", "_"))
        given = [
            builder.parameter(f"x{k}", TensorType(shape, self.dtype))
            for k, shape in enumerate(self.shapes)
        ]
        made = self.build(builder, given)
        results = made if isinstance(made, list) else [made]
        return builder.finish(results, aliases=dict(self.aliases))

    def arrays(self) -> list[Array]:
        """Numbers for the parameters, always the same."""
        generator = np.random.default_rng(7)
        drawn = [generator.uniform(-2, 2, shape) for shape in self.shapes]
        scale = 1 if self.dtype.is_float else 50
        return [np.asarray(x * scale).astype(self.dtype.numpy) for x in drawn]


def _reduce(reducer: str, *dims: int) -> Callable[[Builder, list[Value]], Value]:
    return lambda b, x: b.one("reduce", (x[0],), dimensions=dims, reducer=reducer)


def _broadcast_add(b: Builder, x: list[Value]) -> Value:
    return b.one("tanh", (b.one("add", sh.broadcast_together(b, *x)),))


def _transposed(b: Builder, x: list[Value]) -> Value:
    turned = b.one("transpose", (x[0],), permutation=(1, 0))
    return b.one("subtract", (turned, x[1]))


def _padded(b: Builder, x: list[Value]) -> Value:
    edges = sh.pad(b, x[0], [1, 2], [0, 1], value=3)
    return b.one("abs", (edges,))


def _layer_norm(b: Builder, x: list[Value]) -> Value:
    return b.one("layer_norm", tuple(x), axis=1, epsilon=1e-5)


def _softmax(b: Builder, x: list[Value]) -> Value:
    return b.one("softmax", (x[0],), axis=x[0].type.rank - 1)


def _mean_and_spread(b: Builder, x: list[Value]) -> list[Value]:
    mean = sh.reduce_sum(b, x[0], (1,))
    highest = b.one("reduce", (x[0],), dimensions=(1,), reducer="maximum")
    return [mean, b.one("subtract", (highest, mean))]


def _two_kernels(b: Builder, x: list[Value]) -> Value:
    return b.one("exponential", (_softmax(b, [_reduce("add", 0)(b, x)]),))


def _update(b: Builder, x: list[Value]) -> Value:
    return b.one("subtract", tuple(x))


CASES: tuple[Case, ...] = (
    Case("broadcast of a row", ((7, 13), (13,)), _broadcast_add),
    Case("broadcast of a column", ((5, 12), (5, 1)), _broadcast_add),
    Case("vectors of four", ((3, 300), (300,)), _broadcast_add),
    Case("vectors of two", ((3, 30), (30,)), _broadcast_add, F64),
    Case("scalars", ((), ()), _broadcast_add),
    Case("transposed operand", ((6, 11), (11, 6)), _transposed),
    Case("edges padded", ((3, 5),), _padded),
    Case("softmax", ((3, 37),), _softmax),
    Case("softmax of long rows", ((2, 700),), _softmax),
    Case("softmax of one element", ((4, 1),), _softmax),
    Case("softmax of rank 3", ((2, 3, 33),), _softmax, F64),
    Case("layer norm", ((3, 45), (45,), (45,)), _layer_norm),
    Case("row sums", ((5, 131),), _reduce("add", 1)),
    Case("row sums of two dims", ((3, 5, 7),), _reduce("add", 1, 2)),
    Case("sum of everything", ((9, 31),), _reduce("add", 0, 1)),
    Case("row products of integers", ((3, 40),), _reduce("multiply", 1), I32),
    Case("two results a row", ((4, 50),), _mean_and_spread),
    Case("column sums", ((7, 33),), _reduce("add", 0)),
    Case("column sums of long columns", ((301, 3),), _reduce("add", 0)),
    Case("maxima of the middle dim", ((3, 5, 4),), _reduce("maximum", 1)),
    Case("largest of long outer dims", ((17, 19, 2),), _reduce("maximum", 0, 1)),
    Case("column sums and their softmax", ((6, 20),), _two_kernels),
    Case("donated state", ((3, 9), (3, 9)), _update, aliases=((0, 0),)),
)
