"""Ops that look at values while a graph runs: Assert, Print, CheckNumerics.

They do not split a step: the cluster computes what they look at, the host looks afterwards.  Where
a check fails, the run has changed no variable.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from weakref import WeakKeyDictionary

import numpy as np

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import apply_op, make
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.describe import summarize as described
from tensorkiln.frontends.graph.dtypes import FLOATS
from tensorkiln.frontends.graph.errors import InvalidArgumentError
from tensorkiln.frontends.graph.host import HostContext
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.rules import base, like_input
from tensorkiln.frontends.graph.scopes import control_dependencies, group, name_scope
from tensorkiln.frontends.graph.shapes import ShapeError
from tensorkiln.frontends.graph.stack import get_default_graph
from tensorkiln.frontends.graph.tensor import Tensor

_SUMMARIZE = 3


def Assert(
    condition: object, data: Sequence[object], summarize: int | None = None, name: str | None = None
) -> Operation:
    """An operation whose run gives InvalidArgumentError, with the values of `data`, unless
    `condition` holds; the run then changes no variable."""
    with name_scope(name, "Assert", [condition, list(data)]):
        inputs = [convert_to_tensor(item) for item in data]
        most = _SUMMARIZE if summarize is None else summarize
        if all(base(tensor) in (dtypes.string, dtypes.int32) for tensor in inputs):
            # TensorFlow makes these constants twice, and seeds count the ops of a graph.
            return apply_op("Assert", (condition, list(data)), "Assert", {"summarize": most})
        return apply_op("Assert", (condition, inputs), "Assert", {"summarize": most})


def Print(
    input_: object,
    data: Sequence[object],
    message: str | None = None,
    first_n: int | None = None,
    summarize: int | None = None,
    name: str | None = None,
) -> Tensor:
    """`input_`, whose run prints `message` and the values of `data` on stderr.

    Only in the first `first_n` runs, with `summarize` elements of each tensor (3 unless given).
    """
    return make(
        "Print", (input_, [convert_to_tensor(item) for item in data]), name, message=message or "",
        first_n=-1 if first_n is None else first_n,
        summarize=_SUMMARIZE if summarize is None else summarize,
    )  # fmt: skip


def check_numerics(tensor: object, message: str, name: str | None = None) -> Tensor:
    """`tensor`; InvalidArgumentError with `message` if it has infinite elements or NaN."""
    return make("CheckNumerics", (tensor,), name, message=message)


def verify_tensor_all_finite(
    t: object = None, msg: str | None = None, name: str | None = None, x: object = None,
    message: str | None = None,
) -> Tensor:  # fmt: skip
    """`t`, checked as by check_numerics before anything reads it."""
    tensor = convert_to_tensor(t if t is not None else x)
    text = msg if msg is not None else message
    with name_scope(name, "VerifyFinite", [tensor]):
        check = check_numerics(tensor, text or "")
        with control_dependencies([check]):
            return make("Identity", (tensor,))


def add_check_numerics_ops() -> Operation:
    """An operation that checks every floating-point tensor of the default graph."""
    checks: list[Tensor] = []
    for op in get_default_graph().get_operations():
        for output in op.outputs:
            if base(output) in FLOATS and not output.dtype.is_ref:
                with control_dependencies(checks[-1:]):
                    checks.append(check_numerics(output, output.name))
    return group(*checks)


def _assert_infer(op: Operation) -> Sequence[Result]:
    if op.inputs[0].sizes not in (None, ()):
        raise ShapeError("Shape must be rank 0")
    return []


def _strings(op: Operation, first: int) -> list[Array | None]:
    """The inputs from `first` on that are string constants, None for others."""
    found: list[Array | None] = []
    for tensor in op.inputs[first:]:
        value = tensor.op.attributes["value"] if base(tensor) is dtypes.string else None
        assert value is None or isinstance(value, np.ndarray)
        found.append(value)
    return found


def _shown(op: Operation, arrays: Sequence[Array]) -> list[str]:
    """The texts of all data; `arrays` are those that are no string constants."""
    computed = iter(arrays)
    limit = op.integer("summarize")
    return [
        f"[{described(next(computed) if text is None else text, limit)}]"
        for text in _strings(op, 1)
    ]


def _failed(op: Operation, texts: Sequence[str]) -> InvalidArgumentError:
    message = f"assertion failed: {' '.join(texts)}"
    return InvalidArgumentError(op.name, op, f"{message}\n\t {op.node_text}")


def _assert_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    def react(arrays: Sequence[Array]) -> None:
        raise _failed(op, _shown(op, arrays))

    condition = values[0]
    if condition.shape:
        raise _failed(op, [f"[condition of shape {condition.shape} is no scalar]"])
    lowering.check(op, condition, values[1:], react)
    return []


def _assert_host(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[object]:
    if not bool(arrays[0]):
        limit = op.integer("summarize")
        raise _failed(op, [f"[{described(array, limit)}]" for array in arrays[1:]])
    return []


# How often each Print has printed.
_printed: WeakKeyDictionary[Operation, int] = WeakKeyDictionary()


def _print(op: Operation, texts: Callable[[], Sequence[str]]) -> None:
    most = op.integer("first_n")
    before = _printed.get(op, 0)
    if most < 0 or before < most:
        _printed[op] = before + 1
        print(op.text("message") + "".join(texts()), file=sys.stderr, flush=True)


def _print_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    lowering.after(op, values[1:], lambda arrays: _print(op, lambda: _shown(op, arrays)))
    return [lowering.identity(values[0])]


def _print_host(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[object]:
    limit = op.integer("summarize")
    _print(op, lambda: [f"[{described(array, limit)}]" for array in arrays[1:]])
    return [arrays[0]]


def _numerics_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, (x,) = lowering.builder, values
    is_nan = shorthand.compare(builder, "NE", x, x)
    is_finite = builder.one("is_finite", (x,))
    all_finite = shorthand.reduce(builder, is_finite, "and", None)
    has_nan = shorthand.reduce(builder, is_nan, "or", None)
    neither = builder.one("or", (is_finite, is_nan))
    no_infinite = shorthand.reduce(builder, neither, "and", None)

    def react(arrays: Sequence[Array]) -> None:
        nan, finite_or_nan = (bool(array) for array in arrays)
        kinds = [word for word, on in (("Inf", not finite_or_nan), ("NaN", nan)) if on]
        raise InvalidArgumentError(
            op.name, op,
            f"{op.text('message')} : Tensor had {' and '.join(kinds)} values\n"
            f"\t {op.node_text}",
        )  # fmt: skip

    lowering.check(op, all_finite, [has_nan, no_infinite], react)
    return [lowering.identity(x)]


register(
    OpKind("Assert", "condition:bool data:any*", _assert_infer, _assert_lower,
           differentiable=False, host=_assert_host, texts=True, effects=True),
    OpKind("Print", "input:T data:any*", like_input, _print_lower, host=_print_host, texts=True,
           effects=True),
    OpKind("CheckNumerics", "tensor:T", like_input, _numerics_lower, {"T": FLOATS}, effects=True),
)  # fmt: skip
