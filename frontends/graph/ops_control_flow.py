"""The ops that run regions: loops and branches, what enters and what leaves them."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.dtypes import BOOL, I32
from tensorkiln.compiler.ir.function import Function, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.shorthand_control import branch_index
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.dtypes import DType
from tensorkiln.frontends.graph.errors import InvalidArgumentError
from tensorkiln.frontends.graph.host import HostContext
from tensorkiln.frontends.graph.host_regions import run_branch, run_loop
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.region_lowering import (
    Key,
    RegionLowering,
    leave,
    outside_value,
)  # fmt: skip
from tensorkiln.frontends.graph.regions import regions_of
from tensorkiln.frontends.graph.rules import like_input
from tensorkiln.frontends.graph.shapes import as_sizes
from tensorkiln.frontends.graph.unrolled import unrolled


def _results(op: Operation) -> Sequence[Result]:
    found = op.attributes["results"]
    assert isinstance(found, tuple)
    return list(found)


def _parameter_infer(op: Operation) -> Sequence[Result]:
    dtype = op.attributes["dtype"]
    assert isinstance(dtype, DType)
    return [(dtype, as_sizes(op.attributes["shape"]))]


def _parameter_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    raise InvalidArgumentError(
        op.name, op,
        f"'{op.name}' ({op.location}) has a value only inside of the loop or branch it belongs to; "
        "use what tf.while_loop or tf.cond returns",
    )  # fmt: skip


def _same(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    return [lowering.identity(values[0])]


def _same_array(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[Array]:
    return arrays


def _while(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    test, body = regions_of(op)
    start = list(values[: len(body.parameters)])
    counted = op.flag("bounded")
    step = RegionLowering(lowering, "body", counted)
    results = step.run(body, [v.type for v in start])
    if [v.type for v in results] != [v.type for v in start]:
        # Arrays of tensors get their shape when they are first written.
        start = [_grown(lowering, v, r.type) for v, r in zip(start, results, strict=True)]
        step = RegionLowering(lowering, "body", counted)
        results = step.run(body, [v.type for v in start])
    if [v.type for v in results] != [v.type for v in start]:
        return unrolled(lowering, op, test, body, start)
    more = RegionLowering(lowering, "cond", counted)
    (predicate,) = more.run(test, [v.type for v in start])
    if more.changed():
        names = ", ".join(key[1].name for key in more.changed())
        raise InvalidArgumentError(op.name, op, f"the condition of '{op.name}' changes {names}")
    keys = list(dict.fromkeys((*step.changed(), *step.outside, *more.outside)))
    after = [step.next_value(key) for key in keys]
    count = len(start)
    outer = [outside_value(lowering, key) for key in keys]
    _check_state(op, keys, outer, after)
    regions = (
        more.function(count, keys, [shorthand.reshape(more.builder, predicate, ())]),
        step.function(count, keys, [*results, *after]),
    )
    bound = max(int(values[-1].shape[0]), 1) if counted else -1
    found = lowering.builder.op("while", (*start, *outer), {"bound": bound}, regions)
    _leave_all(lowering, step.changed(), dict(zip(keys, found[count:], strict=True)))
    return found[:count]


def _grown(lowering: Lowering, value: Value, kind: TensorType) -> Value:
    """Zeros of `kind` where `value` is an array of tensors whose shape nobody knew yet."""
    if not is_shapeless(value.type, kind):
        return value
    return shorthand.full(lowering.builder, kind.shape, 0, kind.dtype)


def is_shapeless(kind: TensorType, other: TensorType) -> bool:
    """True if `kind` is that of an array of tensors before the first write and `other` that
    after it."""
    same = kind.dtype == other.dtype and kind.shape[:1] == other.shape[:1]
    return same and kind.rank == 2 and kind.shape[1] == 0 and kind != other


def _check_state(
    op: Operation, keys: Sequence[Key], before: Sequence[Value], after: Sequence[Value]
) -> None:
    for key, old, new in zip(keys, before, after, strict=True):
        if old.type != new.type:
            raise InvalidArgumentError(
                op.name, op, f"'{op.name}' makes {new.type} of {key[1].name}, which is {old.type}"
            )


def _leave_all(lowering: Lowering, changed: Sequence[Key], found: dict[Key, Value]) -> None:
    for key in changed:
        leave(lowering, key, found[key])


def _branches(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder = lowering.builder
    selector = shorthand.reshape(builder, values[0], ())
    if op.type.endswith("If"):
        index = branch_index(builder, selector)
    else:
        index = shorthand.convert(builder, selector, I32)
    regions = regions_of(op)
    runs = [RegionLowering(lowering, f"branch{k}", branch=True) for k in range(len(regions))]
    outputs = [run.run(region, []) for run, region in zip(runs, regions, strict=True)]
    _agree(op, runs, outputs)
    changed = list(dict.fromkeys(key for run in runs for key in run.changed()))
    needs = list(dict.fromkeys(v for run in runs for v in run.needs))
    keys = list(dict.fromkeys([*changed, *(key for run in runs for key in run.outside)]))
    functions: list[Function] = []
    for run, results in zip(runs, outputs, strict=True):
        after = [run.next_value(key) for key in changed]
        after += [
            run.needs[v] if v in run.needs else shorthand.scalar(run.builder, True, BOOL)
            for v in needs
        ]
        functions.append(run.function(0, keys, [*results, *after]))
    outer = [outside_value(lowering, key) for key in keys]
    found = builder.op("case", (index, *outer), {}, tuple(functions))
    count = len(outputs[0])
    _leave_all(lowering, changed, dict(zip(changed, found[count:], strict=False)))
    lowering.conditional.update(v for run in runs for v in run.written)
    for variable, holds in zip(needs, found[count + len(changed) :], strict=True):
        lowering.require(op, variable, holds)
    return found[:count]


def _agree(op: Operation, runs: Sequence[RegionLowering], outputs: Sequence[list[Value]]) -> None:
    """Brings all branches' outputs to one type each; InvalidArgumentError where that fails."""
    for position in range(len(outputs[0])):
        kinds = [results[position].type for results in outputs]
        wanted = max(kinds, key=lambda kind: (kind.elements > 0, kind.rank))
        for run, results, kind in zip(runs, outputs, kinds, strict=True):
            if kind == wanted:
                continue
            if not is_shapeless(kind, wanted):
                raise InvalidArgumentError(
                    op.name, op,
                    f"output {position} of '{op.name}' is {wanted} in one branch and {kind} in "
                    f"another: shapes that depend on the branch cannot be compiled\n\t "
                    f"{op.node_text}",
                )  # fmt: skip
            results[position] = shorthand.full(run.builder, wanted.shape, 0, wanted.dtype)


def _at_most_one(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder = lowering.builder
    count = shorthand.scalar(builder, 0, I32)
    for value in values:
        one = shorthand.convert(builder, shorthand.reshape(builder, value, ()), I32)
        count = builder.one("add", (count, one))
    holds = shorthand.compare(builder, "LE", count, shorthand.scalar(builder, 1, I32))

    def react(arrays: Sequence[Array]) -> None:
        raise InvalidArgumentError(
            op.name, op, "More than one condition evaluated as True but exclusive=True. "
            f"Conditions: {[tensor.name for tensor in op.inputs]}",
        )  # fmt: skip

    lowering.check(op, holds, (), react)
    return []


_LOOPS = ("While", "StatelessWhile")
_BRANCHES = {"If": "pred:bool", "StatelessIf": "pred:bool", "Case": "branch_index:int32",
             "StatelessCase": "branch_index:int32"}  # fmt: skip
register(
    OpKind("RegionInput", "", _parameter_infer, _parameter_lower),
    *(
        OpKind(name, "input:any*", _results, _while, writes=name == "While", host=run_loop)
        for name in _LOOPS
    ),
    *(
        OpKind(name, f"{first} input:any*", _results, _branches,
               writes=not name.startswith("Stateless"), host=run_branch)
        for name, first in _BRANCHES.items()
    ),
    OpKind("AtMostOne", "preds:bool*", lambda op: [], _at_most_one, differentiable=False,
           effects=True),
    OpKind("Exit", "data:T", like_input, _same, host=_same_array),
    OpKind("Merge", "data:T", like_input, _same, host=_same_array),
)  # fmt: skip
