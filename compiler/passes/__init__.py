"""Rewrites of tensor IR: one pass a file, `Function -> Function`, the same object if unchanged."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.passes.algebra import algebra, reassociate
from tensorkiln.compiler.passes.broadcast_reshapes import broadcast_reshapes
from tensorkiln.compiler.passes.canonicalize import canonicalize
from tensorkiln.compiler.passes.common_subexpressions import common_subexpressions
from tensorkiln.compiler.passes.dead_code import dead_code
from tensorkiln.compiler.passes.epilogue_reshapes import epilogue_reshapes
from tensorkiln.compiler.passes.expand_composites import expand_composites
from tensorkiln.compiler.passes.factor_cotangents import factor_cotangents
from tensorkiln.compiler.passes.fold_batch_norm import fold_batch_norm
from tensorkiln.compiler.passes.fold_constants import fold_constants
from tensorkiln.compiler.passes.fold_scales import fold_scales
from tensorkiln.compiler.passes.fuse import fuse
from tensorkiln.compiler.passes.integer_products import integer_products
from tensorkiln.compiler.passes.legalize_convolution import legalize_convolution
from tensorkiln.compiler.passes.legalize_dot import legalize_dot
from tensorkiln.compiler.passes.legalize_windows import legalize_windows
from tensorkiln.compiler.passes.match_attention import match_attention
from tensorkiln.compiler.passes.own_fills import own_fills
from tensorkiln.compiler.passes.pooling_gradients import pooling_gradients
from tensorkiln.compiler.passes.push_movement import push_movement
from tensorkiln.compiler.passes.quantized_products import quantized_products
from tensorkiln.compiler.passes.rectifier_masks import rectifier_masks
from tensorkiln.compiler.passes.simplify_control import simplify_control
from tensorkiln.compiler.passes.split_complex import split_complex
from tensorkiln.compiler.passes.winograd import winograd
from tensorkiln.compiler.passes.winograd_blocks import winograd_blocks

PASSES: Mapping[str, Callable[[Function], Function]] = {
    run.__name__: run
    for run in (
        split_complex,
        fold_batch_norm,
        match_attention,
        expand_composites,
        canonicalize,
        fold_constants,
        common_subexpressions,
        dead_code,
        algebra,
        reassociate,
        fold_scales,
        push_movement,
        rectifier_masks,
        pooling_gradients,
        simplify_control,
        own_fills,
        winograd,
        winograd_blocks,
        quantized_products,
        integer_products,
        legalize_convolution,
        legalize_dot,
        legalize_windows,
        epilogue_reshapes,
        broadcast_reshapes,
        factor_cotangents,
        fuse,
    )
}
