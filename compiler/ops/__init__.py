"""The op set: one record an op, StableHLO's names and semantics."""

from __future__ import annotations

from tensorkiln.compiler.ops import (
    arg_reduce,
    arg_reduce_window,
    composite_batch_norm,
    composite_layer_norm,
    composite_softmax,
    constant,
    control,
    convolution,
    dot,
    dynamic_slicing,
    elementwise_arithmetic,
    elementwise_compare,
    elementwise_convert,
    elementwise_logic,
    elementwise_math,
    fusion,
    gather,
    linalg_cholesky,
    linalg_lu,
    linalg_solve,
    linalg_triangular,
    merge_sort,
    reduce,
    reduce_window,
    rng,
    scan,
    scatter,
    shape,
    slicing,
    sort,
    top_k,
    winograd,
)
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.registry import Registry

REGISTRY = Registry(
    (
        *constant.RECORDS,
        *control.RECORDS,
        *elementwise_arithmetic.RECORDS,
        *elementwise_math.RECORDS,
        *elementwise_logic.RECORDS,
        *elementwise_compare.RECORDS,
        *elementwise_convert.RECORDS,
        *fusion.RECORDS,
        *rng.RECORDS,
        *composite_softmax.RECORDS,
        *composite_layer_norm.RECORDS,
        *composite_batch_norm.RECORDS,
        *shape.RECORDS,
        *slicing.RECORDS,
        *dynamic_slicing.RECORDS,
        *reduce.RECORDS,
        *arg_reduce.RECORDS,
        *reduce_window.RECORDS,
        *dot.RECORDS,
        *convolution.RECORDS,
        *gather.RECORDS,
        *scatter.RECORDS,
        *merge_sort.RECORDS,
        *sort.RECORDS,
        *top_k.RECORDS,
        *linalg_triangular.RECORDS,
        *linalg_cholesky.RECORDS,
        *linalg_lu.RECORDS,
        *linalg_solve.RECORDS,
        *arg_reduce_window.RECORDS,
        *scan.RECORDS,
        *winograd.RECORDS,
    )
)

__all__ = ["REGISTRY", "Builder", "Registry"]
