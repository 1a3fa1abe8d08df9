"""Results of a product that are stored in another order of dims than they are computed in."""

from __future__ import annotations

from dataclasses import replace

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.lower.body import Place
from tensorkiln.compiler.lower.layout import Layout
from tensorkiln.compiler.schedules.group import Group


def in_order_of(group: Group, hero: Value) -> Group:
    """`group` with the transposes at its end made layouts of what they turn.

        %1 = dot_general(%x, %y)                      %1 = dot_general(%x, %y)
        %2 = transpose(%1)               ->           return %1, in memory in the order of %2
        return %2

    Then every result has the dims of `hero`, in whose order a product's kernel walks them.
    """
    producers = group.region.producers()
    results: list[Value] = []
    places: list[Place] = []
    for value, place in zip(group.region.results, group.outputs, strict=True):
        op = producers.get(value)
        if value is hero or op is None or op.name != "transpose":
            results.append(value)
            places.append(place)
            continue
        order = op.ints("permutation")
        layout = Layout(
            tuple(order[dim] for dim in place.layout.order),
            tuple((order[dim], size) for dim, size in place.layout.blocks),
        )
        results.append(op.operands[0])
        places.append(replace(place, layout=layout))
    if tuple(results) == group.region.results:
        return group
    region = replace(group.region, results=tuple(results))
    return replace(group, region=region, outputs=tuple(places))
