"""Names for values that a pass adds to a function."""

from __future__ import annotations

from tensorkiln.compiler.ir.function import Function


class FreshNames:
    """Gives names that the function does not use yet."""

    def __init__(self, function: Function) -> None:
        self._taken = {v.name for v in function.parameters}
        self._taken.update(v.name for op in function.ops for v in op.results)

    def fresh(self, name: str) -> str:
        """`name`, or with a number behind if it is taken."""
        found, number = name, 0
        while found in self._taken:
            found = f"{name}_{number}"
            number += 1
        self._taken.add(found)
        return found
