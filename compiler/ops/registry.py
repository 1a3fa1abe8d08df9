"""The table of ops: one record a name."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence

import numpy as np

from tensorkiln.compiler.ir.dims import Affine
from tensorkiln.compiler.ir.dtypes import DType
from tensorkiln.compiler.ir.function import Attribute, Attributes, Function, Op
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops.record import OpRecord, RegionRule, Types
from tensorkiln.runtime.errors import TypeRuleError

MOST_DIMS = 64  # as in numpy


class Registry:
    """Op records by name; only the ops `of_complex` take and give complex numbers."""

    def __init__(self, records: Iterable[OpRecord], of_complex: Container[str] = ()) -> None:
        self._records: dict[str, OpRecord] = {}
        self._of_complex = of_complex
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

    def infer(
        self, name: str, types: Types, attributes: Attributes, regions: Sequence[Function] = ()
    ) -> tuple[TensorType, ...]:
        """The result types of an op; TypeRuleError cites the constraint that is broken."""
        record = self[name]
        _check_attributes(record, attributes)
        results = _results(record, types, attributes, regions)
        for kind in results:
            if kind.rank > MOST_DIMS:
                raise TypeRuleError(f"its result has {kind.rank} dims, more than {MOST_DIMS}")
        if name not in self._of_complex and any(t.dtype.is_complex for t in (*types, *results)):
            raise TypeRuleError("C0: it is not defined for complex numbers")
        return results

    def types(self, op: Op) -> tuple[TensorType, ...]:
        """The result types that the op's type rule gives."""
        return self.infer(op.name, [v.type for v in op.operands], op.attributes, op.regions)


def _results(
    record: OpRecord, types: Types, attributes: Attributes, regions: Sequence[Function]
) -> tuple[TensorType, ...]:
    if isinstance(record.type_rule, RegionRule):
        return record.type_rule.rule(types, attributes, regions)
    if regions:
        raise TypeRuleError(f"takes no regions, but {len(regions)} are given")
    return record.type_rule(types, attributes)


def _is_int(value: Attribute) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_pair(value: Attribute) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(map(_is_int, value))


_KINDS: Mapping[str, Callable[[Attribute], bool]] = {
    "int": _is_int,
    "float": lambda v: isinstance(v, float) or _is_int(v),
    "bool": lambda v: isinstance(v, bool),
    "str": lambda v: isinstance(v, str),
    "dtype": lambda v: isinstance(v, DType),
    "ints": lambda v: isinstance(v, tuple) and all(map(_is_int, v)),
    "dims": lambda v: isinstance(v, tuple) and all(isinstance(d, Affine) or _is_int(d) for d in v),
    "pairs": lambda v: isinstance(v, tuple) and all(map(_is_pair, v)),
    "array": lambda v: isinstance(v, np.ndarray),
}


def _check_attributes(record: OpRecord, attributes: Attributes) -> None:
    kinds = record.attributes
    needed = {name for name, kind in kinds.items() if not kind.endswith("?")}
    if not needed <= set(attributes) <= set(kinds):
        raise TypeRuleError(f"has attributes {sorted(kinds)}, not {sorted(attributes)}")
    for name, value in attributes.items():
        kind = kinds[name].removesuffix("?")
        if not _KINDS[kind](value):
            raise TypeRuleError(f"attribute {name} is of kind {kind}, not {value!r}")
