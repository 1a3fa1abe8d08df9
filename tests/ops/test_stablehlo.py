"""docs/stablehlo.md is true: every op of StableHLO is there once, and what it names exists."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from tensorkiln.compiler.ops import REGISTRY

PAGE = (Path(__file__).parents[2] / "docs" / "stablehlo.md").read_text()
SAME, FORMS, MISSING = (
    PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    for title in ("Ops of the same name", "Ops of another form", "Not here")
)
# The ops of the specification, section Ops, version 1.0 and later.
SPECIFIED = """
abs add after_all all_gather all_reduce all_to_all and async_done async_start atan2 batch_norm_grad
batch_norm_inference batch_norm_training bitcast_convert broadcast_in_dim case cbrt ceil cholesky clamp
collective_broadcast collective_permute compare complex composite concatenate constant convert convolution
cosine count_leading_zeros custom_call divide dot_general dynamic_broadcast_in_dim dynamic_conv
dynamic_gather dynamic_iota dynamic_pad dynamic_reshape dynamic_slice dynamic_update_slice exponential
exponential_minus_one fft floor gather get_dimension_size get_tuple_element if imag infeed iota is_finite
log log_plus_one logistic map maximum minimum multiply negate not optimization_barrier or outfeed pad
partition_id popcnt power real recv reduce reduce_precision reduce_scatter reduce_window remainder
replica_id reshape reverse rng rng_bit_generator round_nearest_afz round_nearest_even rsqrt scatter select
select_and_scatter send shift_left shift_right_arithmetic shift_right_logical sign sine slice sort sqrt
subtract tan tanh transpose triangular_solve tuple uniform_dequantize uniform_quantize while xor
"""


def names(text: str) -> list[str]:
    return re.findall(r"`([a-z0-9_.-]+)`", text)


def rows(table: str) -> list[list[str]]:
    lines = [line for line in table.splitlines() if line.startswith("| `")]
    return [line.strip("| ").split(" | ") for line in lines]


def test_every_op_is_there_once() -> None:
    found = names(SAME) + [op for row in (*rows(FORMS), *rows(MISSING)) for op in names(row[0])]
    assert sorted(found) == sorted(set(found))
    assert set(SPECIFIED.split()) <= set(found)


def test_ops_of_the_same_name_are_in_the_registry() -> None:
    assert not [name for name in names(SAME) if name not in REGISTRY]


def test_other_forms_exist() -> None:
    for op, ours in rows(FORMS):
        for name in names(ours):
            module, _, function = name.rpartition(".")
            found = (
                callable(getattr(importlib.import_module(f"tensorkiln.{module}"), function, None))
                if module
                else name in REGISTRY
            )
            assert found, f"{op}: {name}"


def test_what_is_missing_is_not_in_the_registry() -> None:
    for ops, reason in rows(MISSING):
        assert len(reason) > 20
        assert not [name for name in names(ops) if name in REGISTRY]


def test_the_dialect_has_no_other_ops() -> None:
    dialect = pytest.importorskip(
        "jaxlib.mlir.dialects._stablehlo_ops_gen", reason="the dialect comes with jaxlib"
    )
    known = {*names(SAME), *(op for row in (*rows(FORMS), *rows(MISSING)) for op in names(row[0]))}
    named = [getattr(value, "OPERATION_NAME", "") for value in vars(dialect).values()]
    ops = {name.partition(".")[2] for name in named if name.startswith("stablehlo.")}
    assert ops - known == set()
