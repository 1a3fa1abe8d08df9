"""Groups that are equal but for names have one kernel, which is made once.

A model repeats its layers, and a kernel knows what it reads by position only: the same ops in the
same order, on the same types and layouts, are scheduled to the same kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping

from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.compiler.kernel.stmt import Kernel
from tensorkiln.compiler.lower.layout import Layout
from tensorkiln.compiler.passes.common_subexpressions import attribute_key


class EqualGroups:
    """The kernels made so far for one target, by everything that scheduling looks at."""

    def __init__(self) -> None:
        self._kernels: dict[Hashable, Kernel] = {}

    def kernel(
        self,
        op: Op,
        layouts: Mapping[Value, Layout],
        choices: tuple[Hashable, ...],
        make: Callable[[], Kernel],
    ) -> Kernel:
        """The kernel of the fusion `op`, from `make` if no equal one was asked for before.

        `choices` are what else its schedule depends on.
        """
        places = tuple(layouts.get(value) for value in (*op.operands, *op.results))
        key = (op.string("kind"), choices, places, _region_key(op.regions[0]))
        kernel = self._kernels.get(key)
        if kernel is None:
            kernel = self._kernels[key] = make()
        return kernel


def _region_key(region: Function) -> Hashable:
    """Equal for regions that are equal but for the names of values, nodes and the region."""
    numbers = {value: number for number, value in enumerate(region.parameters)}
    keys: list[Hashable] = [tuple(value.type for value in region.parameters)]
    for op in region.ops:
        operands = tuple(numbers[value] for value in op.operands)
        attributes = tuple((name, attribute_key(v)) for name, v in sorted(op.attributes.items()))
        types = tuple(value.type for value in op.results)
        keys.append((op.name, operands, attributes, types, tuple(map(_region_key, op.regions))))
        for value in op.results:
            numbers[value] = len(numbers)
    return tuple(keys), tuple(numbers[value] for value in region.results)
