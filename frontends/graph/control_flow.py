"""tf.cond, tf.case, tf.switch_case and tf.while_loop.

The ops that the program's functions make stand in the graph like all others, under the names that
TensorFlow gives them, but belong to the region of one op that runs them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import apply_op, graph_of, make
from tensorkiln.frontends.graph.branches import Branch, Maker, build_branches
from tensorkiln.frontends.graph.convert import Convertible, convert_to_tensor
from tensorkiln.frontends.graph.loops import Loop
from tensorkiln.frontends.graph.nest import flatten, is_nested, pack_sequence_as
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.stack import get_default_graph
from tensorkiln.frontends.graph.tensor import Tensor


def cond(
    pred: object, true_fn: object = None, false_fn: object = None, strict: bool = False,
    name: str | None = None, fn1: object = None, fn2: object = None,
) -> object:  # fmt: skip
    """What `true_fn()` makes if the bool scalar `pred` holds in a run, else what `false_fn()` makes.

    Only ops made inside of the functions are left out where the other one runs.  Both must return
    the same structure of tensors; a list of one is taken for its element unless `strict`.
    """
    true_fn, false_fn = _either(true_fn, fn1, "true_fn"), _either(false_fn, fn2, "false_fn")
    if isinstance(pred, bool):
        raise TypeError("'pred' must not be a Python bool.")
    graph = graph_of([pred])
    with graph.as_default(), graph.name_scope(name or "cond"):
        chooser = convert_to_tensor(pred, name="pred")
        if base(chooser) is not dtypes.boolean:
            raise TypeError(
                f"Input 'pred' of 'Switch' Op has type {base(chooser).name} that does not match "
                "expected type of bool."
            )
        chooser = make("Identity", (chooser,), "pred_id")
        branches = [
            Branch("'true_fn'", cast(Maker, true_fn)), Branch("'false_fn'", cast(Maker, false_fn)),
        ]  # fmt: skip
        return build_branches(graph, "If", chooser, branches, strict)


def _either(given: object, old: object, word: str) -> object:
    if given is not None and old is not None:
        raise TypeError(f"cond(): {word} may be set only once.")
    found = given if given is not None else old
    if not callable(found):
        raise TypeError(f"'{word}' must be callable.")
    return found


def case(
    pred_fn_pairs: object, default: object = None, exclusive: bool = False, strict: bool = False,
    name: str = "case",
) -> object:  # fmt: skip
    """The result of the function behind the first true predicate, else that of `default`.

    Without `default` the last function runs where no predicate holds.  With `exclusive` a run
    fails if more than one holds.
    """
    pairs = _pairs(pred_fn_pairs)
    if default is not None and not callable(default):
        raise TypeError("'default' must be callable.")
    predicates = [pred for pred, _ in pairs]
    graph = graph_of(predicates)
    with graph.as_default(), graph.name_scope(name):
        if exclusive and len(pairs) > 1:
            check = apply_op("AtMostOne", (predicates,))
            with graph.control_dependencies([check]):
                predicates = [make("Identity", (pred,)) for pred in predicates]
        makers = [maker for _, maker in pairs]
        if default is not None:
            makers.append(default)
        else:
            predicates = predicates[:-1]
        return _first(predicates, makers, strict)


def _first(predicates: Sequence[object], makers: Sequence[object], strict: bool) -> object:
    if not predicates:
        return cast(Maker, makers[0])()
    return cond(
        predicates[0], makers[0], lambda: _first(predicates[1:], makers[1:], strict), strict
    )


def _pairs(given: object) -> list[tuple[object, object]]:
    if isinstance(given, Mapping):
        # Keys are tensors, whose order is that in which they were made.
        keys = sorted(given, key=lambda tensor: str(getattr(tensor, "name", tensor)))
        given = [(key, given[key]) for key in keys]
    if not isinstance(given, list | tuple):
        raise TypeError(f"'pred_fn_pairs' must be a list, tuple, or dict. Received: {type(given)}")
    for pair in given:
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise TypeError(f"Each entry in 'pred_fn_pairs' must be a 2-tuple. Received {pair}.")
        pred, maker = pair
        if not isinstance(pred, Convertible):
            raise TypeError(f"pred must be a Tensor, got: {pred}")
        if base(convert_to_tensor(pred)) is not dtypes.boolean:
            raise TypeError(f"pred must be of type bool: {pred}")
        if not callable(maker):
            raise TypeError(f"fn for pred {pred} must be callable.")
    if not given:
        raise ValueError("'pred_fn_pairs' must have at least one pair.")
    return list(given)


def switch_case(
    branch_index: object, branch_fns: object, default: object = None, name: str = "switch_case"
) -> object:
    """The result of function number `branch_index` (int32), of `default` (or the last function)
    where there is none of that number.

    `branch_fns` is a list of functions, or a dict or list of pairs with their numbers.
    """
    numbered = _numbered(branch_fns)
    if isinstance(branch_index, int):
        raise TypeError("branch_index must not be a Python int.")
    graph = graph_of([branch_index])
    with graph.as_default(), graph.name_scope(name):
        index = convert_to_tensor(branch_index, dtypes.int32, name="branch_index")
        makers = [numbered[k] for k in range(len(numbered))]
        makers.append(makers[-1] if default is None else default)
        with graph.name_scope("indexed_case"):
            branches = [Branch(f"branch {k}", cast(Maker, made)) for k, made in enumerate(makers)]
            return build_branches(graph, "Case", index, branches, False)


def _numbered(given: object) -> dict[int, object]:
    if isinstance(given, Mapping) or (
        isinstance(given, list | tuple) and all(isinstance(item, tuple) for item in given)
    ):
        found = dict(given)
    elif isinstance(given, list | tuple):
        found = dict(enumerate(given))
    else:
        raise TypeError(f"'branch_fns' must be a list, tuple, or dict. Received: {type(given)}")
    if not found:
        raise ValueError("'branch_fns' must have at least one function.")
    if sorted(found) != list(range(len(found))):
        raise ValueError(
            f"branch indices must form contiguous range of [0 to {len(found)}) but found "
            f"{sorted(found)}"
        )
    for number, maker in found.items():
        if not callable(maker):
            raise TypeError(f"fn for index {number} must be callable.")
    return found


def while_loop(
    cond: Callable[..., object], body: Callable[..., object], loop_vars: Sequence[object],
    shape_invariants: object = None, parallel_iterations: int = 10, back_prop: bool = True,
    swap_memory: bool = False, name: str | None = None, maximum_iterations: object = None,
    return_same_structure: bool = False,
) -> object:  # fmt: skip
    """`loop_vars` after `body(*loop_vars)` as often as `cond(*loop_vars)` gives true.

    They come as the list, tuple or named tuple that `body` gives; one variable comes alone, unless
    `return_same_structure`.
    Loop variables are tensors and TensorArrays in any nesting, and keep their dtypes and shapes.
    A gradient through the loop needs a bound on its trips: a counter compared with a number that
    is known, or `maximum_iterations`.  One trip runs after the other, in memory that is planned
    when the loop is compiled: `parallel_iterations`, `back_prop` and `swap_memory` are taken for
    the sake of programs that give them.
    """
    if not callable(cond):
        raise TypeError("'cond' must be callable.")
    if not callable(body):
        raise TypeError("'body' must be callable.")
    if parallel_iterations is not None and parallel_iterations < 1:
        raise TypeError("'parallel_iterations' must be a positive integer.")
    if not loop_vars:
        raise ValueError("'loop_vars' must be provided.")
    if not is_nested(loop_vars):
        loop_vars = [loop_vars]
    tensors = [leaf for leaf in flatten(loop_vars) if isinstance(leaf, Convertible)]
    graph = graph_of(tensors) if tensors else get_default_graph()
    with graph.as_default(), graph.name_scope(name or "while"):
        if maximum_iterations is None:
            found = Loop(graph, cond, body, list(loop_vars), shape_invariants).run()
        else:
            found = _counted(
                Loop, graph, cond, body, list(loop_vars), shape_invariants, maximum_iterations
            )
    return found if return_same_structure or len(flatten(loop_vars)) > 1 else found[0]


def _counted(
    kind: type[Loop], graph: object, cond: Callable[..., object], body: Callable[..., object],
    loop_vars: list[object], invariants: object, maximum: object,
) -> Sequence[object]:  # fmt: skip
    """The loop with a counter that ends it after `maximum` trips."""
    form: Sequence[object] = loop_vars
    limit = convert_to_tensor(maximum, name="maximum_iterations")
    if limit.sizes not in ((), None):
        raise ValueError(f"'maximum_iterations' must be a scalar. Received shape: {limit.shape}")
    counter = convert_to_tensor(0, base(limit), "iteration_counter")

    def both(number: Tensor, *rest: object) -> object:
        return make("LogicalAnd", (make("Less", (number, limit)), cond(*rest)))

    def counting(number: Tensor, *rest: object) -> object:
        nonlocal form
        after = body(*rest)
        if isinstance(after, Mapping) or not is_nested(after):
            after = [after]
        form = cast("Sequence[object]", after)
        return [make("Add", (number, 1), "add"), *form]

    if invariants is not None:
        invariants = [counter.shape, *cast("Sequence[object]", invariants)]
    loop = kind(graph_of([limit]), both, counting, [counter, *loop_vars], invariants)
    after = flatten(loop.run()[1:])
    return cast("Sequence[object]", pack_sequence_as(form, after))
