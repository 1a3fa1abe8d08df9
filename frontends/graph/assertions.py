"""`tf.assert_*`: checks of values and ranks with TensorFlow's messages.

What is known while the graph is built is checked there; the rest when it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import ml_dtypes
import numpy as np

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.errors import InvalidArgumentError
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_checks import Assert
from tensorkiln.frontends.graph.ops_constant import no_op
from tensorkiln.frontends.graph.ops_reduce import reduce_all
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.scopes import name_scope
from tensorkiln.frontends.graph.statics import static_array
from tensorkiln.frontends.graph.tensor import Tensor

Compare = Callable[[Array, Array], Array]
Data = Sequence[object] | None


def _binary(kind: str, op_type: str, sign: str, compare: Compare) -> Callable[..., Operation]:
    def check(
        x: object, y: object, data: Data = None, summarize: int | None = None,
        message: str | None = None, name: str | None = None,
    ) -> Operation:  # fmt: skip
        with name_scope(name, kind, [x, y, data]):
            left = convert_to_tensor(x, name="x")
            right = convert_to_tensor(y, name="y", dtype=base(left))
            shown: list[object] = [] if message is None else [message]
            shown += data if data is not None else [
                f"Condition x {sign} y did not hold element-wise:",
                f"x ({left.name}) = ", left, f"y ({right.name}) = ", right,
            ]  # fmt: skip
            known = static_array(left), static_array(right)
            if known[0] is not None and known[1] is not None:
                _check_now(bool(np.all(compare(known[0], known[1]))), shown)
            return Assert(reduce_all(make(op_type, (left, right))), shown, summarize)

    check.__name__ = check.__qualname__ = kind
    check.__doc__ = f"""An operation that checks that x {sign} y holds for all elements, broadcast.

    InvalidArgumentError says what did not; `data` replaces the values shown, `message` precedes.
    """
    return check


def _check_now(holds: bool, data: Sequence[object]) -> None:
    if not holds:
        lines = []
        for item in data:
            value = static_array(item) if isinstance(item, Tensor) else None
            lines.append(str(item if value is None else value))
        raise InvalidArgumentError(None, None, "\n".join(lines))


assert_equal = _binary("assert_equal", "Equal", "==", np.equal)
assert_none_equal = _binary("assert_none_equal", "NotEqual", "!=", np.not_equal)
assert_less = _binary("assert_less", "Less", "<", np.less)
assert_less_equal = _binary("assert_less_equal", "LessEqual", "<=", np.less_equal)
assert_greater = _binary("assert_greater", "Greater", ">", np.greater)
assert_greater_equal = _binary("assert_greater_equal", "GreaterEqual", ">=", np.greater_equal)


def _against_zero(
    kind: str, sign: str, check: Callable[..., Operation], zero_first: bool
) -> Callable[..., Operation]:
    def run(
        x: object, data: Data = None, summarize: int | None = None, message: str | None = None,
        name: str | None = None,
    ) -> Operation:  # fmt: skip
        with name_scope(name, kind, [x, data]):
            tensor = convert_to_tensor(x, name="x")
            shown: list[object] = [] if message is None else [message]
            shown += data if data is not None else [
                f"Condition x {sign} 0 did not hold element-wise:", f"x ({tensor.name}) = ", tensor,
            ]  # fmt: skip
            zero = convert_to_tensor(0, base(tensor))
            pair = (zero, tensor) if zero_first else (tensor, zero)
            return check(*pair, data=shown, summarize=summarize)

    run.__name__ = run.__qualname__ = kind
    run.__doc__ = f"""An operation that checks that x {sign} 0 holds for all elements."""
    return run


assert_positive = _against_zero("assert_positive", ">", assert_less, True)
assert_negative = _against_zero("assert_negative", "<", assert_less, False)
assert_non_negative = _against_zero("assert_non_negative", ">=", assert_less_equal, True)
assert_non_positive = _against_zero("assert_non_positive", "<=", assert_less_equal, False)


def assert_near(
    x: object, y: object, rtol: object = None, atol: object = None, data: Data = None,
    summarize: int | None = None, message: str | None = None, name: str | None = None,
) -> Operation:  # fmt: skip
    """An operation that checks that |x - y| < atol + rtol * |y| for all elements.

    Both tolerances are ten times the dtype's epsilon unless given.
    """
    with name_scope(name, "assert_near", [x, y, data]):
        left = convert_to_tensor(x, name="x")
        right = convert_to_tensor(y, name="y", dtype=base(left))
        epsilon = 10 * float(ml_dtypes.finfo(base(right).numpy).eps)  # type: ignore[no-untyped-call]
        relative = convert_to_tensor(epsilon if rtol is None else rtol, base(left), "rtol")
        absolute = convert_to_tensor(epsilon if atol is None else atol, base(left), "atol")
        shown: list[object] = [message or ""]
        shown += data if data is not None else [
            f"x and y not equal to tolerance rtol = {relative}, atol = {absolute}",
            f"x ({left.name}) = ", left, f"y ({right.name}) = ", right,
        ]  # fmt: skip
        tolerance = absolute + relative * abs(right)
        return Assert(reduce_all(make("Less", (abs(left - right), tolerance))), shown, summarize)


def _ranked(
    kind: str, words: str, holds: Callable[[int, Sequence[int]], bool]
) -> Callable[..., Operation]:
    def check(
        x: object, rank: int | Sequence[int], data: Data = None, summarize: int | None = None,
        message: str | None = None, name: str | None = None,
    ) -> Operation:  # fmt: skip
        with name_scope(name, kind):
            tensor = convert_to_tensor(x, name="x")
            ranks = [int(rank)] if isinstance(rank, int) else [int(r) for r in rank]
            if tensor.sizes is not None:
                if not holds(len(tensor.sizes), ranks):
                    wanted = ranks[0] if len(ranks) == 1 and kind != "assert_rank_in" else ranks
                    raise ValueError(
                        f"{message or ''}.  Tensor {tensor.name} must have {words} {wanted}.  "
                        f"Received rank {len(tensor.sizes)}, shape {tensor.get_shape()}"
                    )
                return no_op("static_checks_determined_all_ok")
            actual = make("Rank", (tensor,), out_type=dtypes.int32)
            shown: list[object] = [message or ""]
            shown += data if data is not None else [
                f"Tensor {tensor.name} must have {words}", *ranks, "Received shape: ",
                make("Shape", (tensor,), out_type=dtypes.int32),
            ]  # fmt: skip
            if kind == "assert_rank_at_least":
                condition = make("GreaterEqual", (actual, ranks[0]))
            else:
                condition = make("Equal", (actual, ranks[0]))
                for other in ranks[1:]:
                    condition = make("LogicalOr", (condition, make("Equal", (actual, other))))
            return Assert(condition, shown, summarize)

    check.__name__ = check.__qualname__ = kind
    check.__doc__ = f"""An operation that checks that the tensor's {words} is what is given.

    ValueError at once if the rank is known and another.
    """
    return check


assert_rank = _ranked("assert_rank", "rank", lambda rank, ranks: rank == ranks[0])
assert_rank_at_least = _ranked(
    "assert_rank_at_least", "rank at least", lambda rank, ranks: rank >= ranks[0]
)
assert_rank_in = _ranked("assert_rank_in", "rank in", lambda rank, ranks: rank in ranks)


def assert_type(
    tensor: object, tf_type: object, message: str | None = None, name: str | None = None
) -> Operation:
    """An operation that does nothing; TypeError at once if the tensor has another dtype."""
    with name_scope(name, "assert_type"):
        made = convert_to_tensor(tensor, name="tensor")
        wanted = dtypes.as_dtype(tf_type)
        if base(made) is not wanted:
            raise TypeError(f"{message or ''}  {made.name} must be of type {wanted}")
        return no_op("statically_determined_correct_type")


def assert_integer(x: object, message: str | None = None, name: str | None = None) -> Operation:
    """An operation that does nothing; TypeError at once if the tensor is not of integers."""
    with name_scope(name, "assert_integer"):
        made = convert_to_tensor(x, name="x")
        if not base(made).is_integer:
            raise TypeError(
                f'{message or ""}  Expected "x" to be integer type.  Found: {made.dtype}'
            )
        return no_op("statically_determined_was_integer")


def assert_scalar(tensor: object, name: str | None = None, message: str | None = None) -> Tensor:
    """The tensor; ValueError at once if it is known not to be a scalar."""
    with name_scope(name, "assert_scalar"):
        made = convert_to_tensor(tensor, name=name)
        if made.sizes != ():
            raise ValueError(
                f"{message or ''}Expected scalar shape for {made.name}, saw shape: "
                f"{made.get_shape()}."
            )
        return made


def assert_proper_iterable(values: object) -> None:
    """TypeError unless `values` is a list or the like, rather than a tensor, array or text."""
    unwanted = (Tensor, np.ndarray, bytes, str)
    if isinstance(values, unwanted) or not hasattr(values, "__iter__"):
        raise TypeError(f'Expected argument "values" to be iterable.  Found: {type(values)}')
