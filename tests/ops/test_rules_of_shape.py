"""Type rules of ops that move, reduce and contract: constraints by number, and symbolic dims."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tensorkiln.compiler.ir.dims import Dim, Symbol, add_dims, scale_dim, symbol_dim
from tensorkiln.compiler.ir.dtypes import BOOL, F8E5M2, F32, I4, I8, I32, I64, DType
from tensorkiln.compiler.ir.function import Attribute
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.runtime.errors import TypeRuleError

BATCH = symbol_dim(Symbol("batch", 1, 64))
LENGTH = symbol_dim(Symbol("length", 0))


def _f32(*shape: Dim, dtype: DType = F32) -> TensorType:
    return TensorType(shape, dtype)


WINDOW: Mapping[str, Attribute] = {
    "window": (2,), "strides": (1,), "base_dilations": (1,), "window_dilations": (1,),
    "padding": ((0, 0),), "reducer": "add",
}  # fmt: skip
DOT: Mapping[str, Attribute] = {
    "lhs_batch": (),
    "rhs_batch": (),
    "lhs_contracting": (1,),
    "rhs_contracting": (0,),
}
LINE: Mapping[str, Attribute] = {
    "strides": (1,), "padding": ((0, 0),), "lhs_dilation": (1,), "rhs_dilation": (1,),
    "reversal": (0,), "lhs_spec": (0, 1, 2), "rhs_spec": (0, 1, 2), "out_spec": (0, 1, 2),
    "feature_groups": 1, "batch_groups": 1,
}  # fmt: skip
ROWS: Mapping[str, Attribute] = {
    "offset_dims": (1,), "collapsed_slice_dims": (0,), "start_index_map": (0,),
    "index_vector_dim": 1, "slice_sizes": (1, 3),
}  # fmt: skip
UPDATES: Mapping[str, Attribute] = {
    "update_window_dims": (1,), "inserted_window_dims": (0,),
    "scatter_dims_to_operand_dims": (0,), "index_vector_dim": 1, "reducer": "add",
}  # fmt: skip

BROKEN: list[tuple[str, tuple[TensorType, ...], Mapping[str, Attribute], str]] = [
    ("reshape", (), {"shape": ()}, "C0"),
    ("broadcast_in_dim", (_f32(3),), {"shape": (3, 2), "dimensions": ()}, "C1"),
    ("broadcast_in_dim", (_f32(3),), {"shape": (3, 2), "dimensions": (2,)}, "C2"),
    ("broadcast_in_dim", (_f32(3),), {"shape": (3, 2), "dimensions": (1,)}, "C3"),
    ("broadcast_in_dim", (_f32(1),), {"shape": (-1,), "dimensions": (0,)}, "C4"),
    ("reshape", (_f32(3),), {"shape": (-3,)}, "C1"),
    ("reshape", (_f32(3, 2),), {"shape": (5,)}, "C2"),
    ("reshape", (_f32(BATCH, 2),), {"shape": (LENGTH, 2)}, "C2"),
    ("transpose", (_f32(3, 2),), {"permutation": (0, 0)}, "C1"),
    ("reverse", (_f32(3, 2),), {"dimensions": (2,)}, "C1"),
    ("iota", (), {"shape": (3,), "dtype": I32, "dimension": 1}, "C1"),
    ("iota", (), {"shape": (3,), "dtype": BOOL, "dimension": 0}, "C2"),
    ("slice", (_f32(3),), {"start": (), "limit": (3,), "strides": (1,)}, "C1"),
    ("slice", (_f32(3),), {"start": (0,), "limit": (4,), "strides": (1,)}, "C2"),
    ("slice", (_f32(BATCH),), {"start": (0,), "limit": (2,), "strides": (1,)}, "C2"),
    ("slice", (_f32(3),), {"start": (0,), "limit": (3,), "strides": (0,)}, "C3"),
    ("slice", (_f32(BATCH),), {"start": (0,), "limit": (BATCH,), "strides": (2,)}, "C4"),
    ("concatenate", (), {"dimension": 0}, "C1"),
    ("concatenate", (_f32(3),), {"dimension": 1}, "C2"),
    ("concatenate", (_f32(3, 2), _f32(3, 3)), {"dimension": 0}, "C3"),
    ("pad", (_f32(3), _f32(1)), {"low": (0,), "high": (0,), "interior": (0,)}, "C1"),
    ("pad", (_f32(3), _f32()), {"low": (), "high": (0,), "interior": (0,)}, "C2"),
    ("pad", (_f32(3), _f32()), {"low": (0,), "high": (0,), "interior": (-1,)}, "C3"),
    ("pad", (_f32(3), _f32()), {"low": (-2,), "high": (-2,), "interior": (0,)}, "C4"),
    ("dynamic_slice", (_f32(3),), {"sizes": (1,)}, "C1"),
    ("dynamic_slice", (_f32(3), _f32(dtype=I8)), {"sizes": (1,)}, "C1"),
    ("dynamic_slice", (_f32(3), _f32(dtype=I32)), {"sizes": (4,)}, "C2"),
    ("dynamic_update_slice", (_f32(3), _f32(4), _f32(dtype=I32)), {}, "C1"),
    ("dynamic_update_slice", (_f32(3), _f32(2)), {}, "C2"),
    ("reduce", (_f32(3),), {"dimensions": (1,), "reducer": "add"}, "C1"),
    ("reduce", (_f32(3),), {"dimensions": (0,), "reducer": "mean"}, "C2"),
    ("reduce", (_f32(3),), {"dimensions": (0,), "reducer": "and"}, "C2"),
    ("reduce", (_f32(3, dtype=BOOL),), {"dimensions": (0,), "reducer": "add"}, "C2"),
    ("reduce", (_f32(3, dtype=F8E5M2),), {"dimensions": (0,), "reducer": "add"}, "C2"),
    ("dot_general", (_f32(3, 5, dtype=I4), _f32(5, 2, dtype=I4)), DOT, "C1"),
    ("iota", (), {"shape": (3,), "dtype": F8E5M2, "dimension": 0}, "C2"),
    ("arg_reduce", (_f32(3, dtype=I4),), {"kind": "max", "dimension": 0, "dtype": I32}, "C2"),
    ("arg_reduce", (_f32(0),), {"kind": "max", "dimension": 0, "dtype": I32}, "C1"),
    ("arg_reduce", (_f32(3, dtype=BOOL),), {"kind": "max", "dimension": 0, "dtype": I32}, "C2"),
    ("arg_reduce", (_f32(3),), {"kind": "mid", "dimension": 0, "dtype": I32}, "C3"),
    ("arg_reduce", (_f32(3),), {"kind": "max", "dimension": 0, "dtype": I8}, "C4"),
    ("reduce_window", (_f32(3, 3),), WINDOW, "C1"),
    ("reduce_window", (_f32(3),), {**WINDOW, "strides": (0,)}, "C2"),
    ("reduce_window", (_f32(3),), {**WINDOW, "reducer": "xor"}, "C3"),
    ("dot_general", (_f32(3, 5), _f32(5, 2, dtype=I32)), DOT, "C1"),
    ("dot_general", (_f32(3, 5), _f32(5, 2)), {**DOT, "lhs_contracting": (2,)}, "C2"),
    ("dot_general", (_f32(3, 5), _f32(5, 2)), {**DOT, "lhs_contracting": ()}, "C3"),
    ("dot_general", (_f32(3, 5), _f32(4, 2)), DOT, "C4"),
    ("convolution", (_f32(1, 2, 5), _f32(3, 2, 2)), {**LINE, "lhs_spec": (0, 1, 1)}, "C1"),
    ("convolution", (_f32(1, 2, 5), _f32(3, 2, 2)), {**LINE, "strides": (1, 1)}, "C2"),
    ("convolution", (_f32(1, 2, 5), _f32(3, 2, 2)), {**LINE, "rhs_dilation": (0,)}, "C3"),
    ("convolution", (_f32(1, 2, 5), _f32(3, 2, 2)), {**LINE, "reversal": (2,)}, "C3"),
    ("convolution", (_f32(1, 2, 5), _f32(BATCH, 2, 2)), LINE, "C4"),
    ("convolution", (_f32(1, 2, 5), _f32(3, 2, 2)), {**LINE, "feature_groups": 0}, "C5"),
    ("convolution", (_f32(1, 3, 5), _f32(3, 2, 2)), LINE, "C6"),
    ("convolution", (_f32(1, 4, 5), _f32(3, 2, 2)), {**LINE, "feature_groups": 2}, "C7"),
    ("convolution", (_f32(3, 2, 5), _f32(4, 2, 2)), {**LINE, "batch_groups": 2}, "C8"),
    ("gather", (_f32(5, 3), _f32(4, dtype=I8)), ROWS, "C1"),
    ("gather", (_f32(5, 3), _f32(4, dtype=I32)), {**ROWS, "index_vector_dim": 2}, "C2"),
    ("gather", (_f32(5, 3), _f32(4, dtype=I32)), {**ROWS, "index_vector_dim": 0}, "C3"),
    ("gather", (_f32(5, 3), _f32(4, dtype=I32)), {**ROWS, "slice_sizes": (1, 4)}, "C4"),
    ("gather", (_f32(5, 3), _f32(4, dtype=I32)), {**ROWS, "slice_sizes": (2, 3)}, "C5"),
    ("gather", (_f32(5, 3), _f32(4, dtype=I32)), {**ROWS, "offset_dims": (2,)}, "C6"),
    (
        "gather", (_f32(4, 5, 3), _f32(2, 4, dtype=I32)),
        {**ROWS, "offset_dims": (2,), "index_vector_dim": 2, "slice_sizes": (1, 1, 3),
         "collapsed_slice_dims": (1,), "start_index_map": (1,), "operand_batching_dims": (0,),
         "start_indices_batching_dims": (0,)}, "C9",
    ),
    ("scatter", (_f32(5, 3), _f32(4, dtype=I32), _f32(4, 3, dtype=I32)), UPDATES, "C4"),
    (
        "scatter", (_f32(5, 3), _f32(4, dtype=I32), _f32(4, 3)),
        {**UPDATES, "inserted_window_dims": ()}, "C5",
    ),
    ("scatter", (_f32(5, 3), _f32(4, dtype=I32), _f32(4, 4)), UPDATES, "C6"),
    ("scatter", (_f32(5, 3), _f32(4, dtype=I32), _f32(3, 3)), UPDATES, "C7"),
    ("scatter", (_f32(5, 3), _f32(4, dtype=I32), _f32(4, 3)), {**UPDATES, "reducer": "or"}, "C8"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "types", "attributes", "constraint"),
    BROKEN,
    ids=[f"{case[0]}-{case[3]}-{number}" for number, case in enumerate(BROKEN)],
)
def test_errors_cite_the_constraint(
    name: str, types: tuple[TensorType, ...], attributes: Mapping[str, Attribute], constraint: str
) -> None:
    builder = Builder(REGISTRY)
    operands = [builder.parameter(f"x{k}", kind) for k, kind in enumerate(types)]
    with pytest.raises(TypeRuleError, match=f"{name}.*{constraint}: "):
        builder.op(name, operands, attributes)


SYMBOLIC: list[tuple[str, tuple[TensorType, ...], Mapping[str, Attribute], tuple[Dim, ...]]] = [
    (
        "broadcast_in_dim", (_f32(BATCH, 1),), {"shape": (BATCH, 3, 2), "dimensions": (0, 2)},
        (BATCH, 3, 2),
    ),
    ("reshape", (_f32(BATCH, 3, 4),), {"shape": (BATCH, 12)}, (BATCH, 12)),
    ("reshape", (_f32(BATCH, 4),), {"shape": (2, scale_dim(BATCH, 2))}, (2, scale_dim(BATCH, 2))),
    ("transpose", (_f32(BATCH, 3),), {"permutation": (1, 0)}, (3, BATCH)),
    (
        "slice", (_f32(BATCH, 5),), {"start": (0, 1), "limit": (BATCH, 4), "strides": (1, 2)},
        (BATCH, 2),
    ),
    (
        "slice", (_f32(BATCH),), {"start": (1,), "limit": (BATCH,), "strides": (1,)},
        (add_dims(BATCH, -1),),
    ),
    ("concatenate", (_f32(BATCH), _f32(3)), {"dimension": 0}, (add_dims(BATCH, 3),)),
    (
        "pad", (_f32(BATCH), _f32()), {"low": (1,), "high": (2,), "interior": (1,)},
        (add_dims(scale_dim(BATCH, 2), 2),),
    ),
    ("reduce", (_f32(BATCH, 3),), {"dimensions": (1,), "reducer": "add"}, (BATCH,)),
    ("reduce_window", (_f32(BATCH),), WINDOW, (add_dims(BATCH, -1),)),
    ("dot_general", (_f32(BATCH, 5), _f32(5, 2)), DOT, (BATCH, 2)),
    ("convolution", (_f32(BATCH, 2, 5), _f32(3, 2, 2)), LINE, (BATCH, 3, 4)),
    ("gather", (_f32(5, 3), _f32(BATCH, dtype=I64)), ROWS, (BATCH, 3)),
    ("scatter", (_f32(5, 3), _f32(BATCH, dtype=I64), _f32(BATCH, 3)), UPDATES, (5, 3)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "types", "attributes", "shape"), SYMBOLIC, ids=[case[0] for case in SYMBOLIC]
)
def test_symbolic_dims_go_through(
    name: str,
    types: tuple[TensorType, ...],
    attributes: Mapping[str, Attribute],
    shape: tuple[Dim, ...],
) -> None:
    builder = Builder(REGISTRY)
    operands = [builder.parameter(f"x{k}", kind) for k, kind in enumerate(types)]
    assert builder.one(name, operands, **attributes).type.shape == shape


def test_dims_that_may_be_empty_cannot_be_dilated() -> None:
    builder = Builder(REGISTRY)
    x, zero = builder.parameter("x", _f32(LENGTH)), builder.parameter("zero", _f32())
    with pytest.raises(TypeRuleError, match="C0: length may be 0"):
        builder.one("pad", (x, zero), low=(0,), high=(0,), interior=(1,))
