"""The op set: one record an op, StableHLO's names and semantics."""

from __future__ import annotations

from tensorkiln.compiler.ops import elementwise
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.registry import Registry

REGISTRY = Registry((*elementwise.RECORDS,))

__all__ = ["REGISTRY", "Builder", "Registry"]
