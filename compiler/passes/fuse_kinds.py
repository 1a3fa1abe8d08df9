"""The kinds of groups (see `fuse`), and which op begins a group of which kind."""

from __future__ import annotations

from tensorkiln.compiler.ir.function import Op
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.ops.integer_products import PRODUCTS
from tensorkiln.compiler.ops.record import Loops, Reduction
from tensorkiln.compiler.passes.rewriting import static

CONTROL = ("while", "case")
CONTRACTIONS = ("dot_general", "convolution", *PRODUCTS)
WINOGRAD = ("winograd_input", "winograd_output", "winograd_convolution")
ROW_REDUCTIONS = ("reduce", "arg_reduce")
HEROES = {"recurrence": "recurrent", "attention": "attention"}
DUPLICABLE = ("broadcast_in_dim", "iota")
MOVEMENT = frozenset(
    [
        "broadcast_in_dim",
        "transpose",
        "slice",
        "reverse",
        "convert",
        "reshape",
        "iota",
        "identity",
        "stop_gradient",
    ]
)


def kind_of(op: Op) -> str:
    """The kind of the group that `op` begins."""
    if op.name in CONTRACTIONS:
        return "contract"
    if op.name in WINOGRAD:
        return "winograd"
    if op.name in CONTROL:
        return "control"
    if op.name == "concatenate":
        return "concatenate"
    if op.name in HEROES:
        return HEROES[op.name]
    if is_small_update(op):
        return "update"
    lowering = REGISTRY[op.name].lowering
    if isinstance(lowering, Loops):
        return "custom"
    if isinstance(lowering, Reduction):
        return "rows" if _folds_innermost(op) else "reduce"
    return "loops"


def is_small_update(op: Op) -> bool:
    """True for an update worth writing alone, over what is in memory already."""
    if op.name != "dynamic_update_slice" or not static(op.operands[1], op.result):
        return False
    return 2 * op.operands[1].type.elements <= op.result.type.elements


def _folds_innermost(op: Op) -> bool:
    if op.name not in ROW_REDUCTIONS or op.operands[0].type.rank == 0:
        return False
    rank = op.operands[0].type.rank
    dims = reduced_dims(op)
    return bool(dims) and sorted(dims) == list(range(rank - len(dims), rank))


def reduced_dims(op: Op) -> tuple[int, ...]:
    """The dims that a `reduce` or `arg_reduce` folds."""
    return (op.integer("dimension"),) if op.name == "arg_reduce" else op.ints("dimensions")
