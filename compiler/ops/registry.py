"""The table of ops: one record a name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tensorkiln.compiler.ir.function import Op
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops.record import OpRecord
from tensorkiln.runtime.errors import TypeRuleError


class Registry:
    """Op records by name."""

    def __init__(self, records: Iterable[OpRecord]) -> None:
        self._records: dict[str, OpRecord] = {}
        for record in records:
            if record.name in self._records:
                raise ValueError(f"two records for op {record.name}")
            self._records[record.name] = record

    def __getitem__(self, name: str) -> OpRecord:
        record = self._records.get(name)
        if record is None:
            raise TypeRuleError(f"no op is named {name!r}")
        return record

    def __contains__(self, name: str) -> bool:
        return name in self._records

    def __iter__(self) -> Iterator[OpRecord]:
        return iter(self._records.values())

    def types(self, op: Op) -> tuple[TensorType, ...]:
        """The result types that the op's type rule gives."""
        return self[op.name].type_rule([v.type for v in op.operands], op.attributes)
