"""`tf.py_func`: a Python function of arrays as an op, on the host between compiled clusters."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import apply_op
from tensorkiln.frontends.graph.arrays import Array, make_array
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.dtypes import DType
from tensorkiln.frontends.graph.errors import (
    InvalidArgumentError,
    OpError,
    OutOfRangeError,
    ResourceExhaustedError,
    UnimplementedError,
    UnknownError,
)
from tensorkiln.frontends.graph.host import HostContext, host_only
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.tensor import Tensor

_ERRORS: tuple[tuple[type[Exception], type[OpError]], ...] = (
    (TypeError, InvalidArgumentError),
    (ValueError, InvalidArgumentError),
    (StopIteration, OutOfRangeError),
    (MemoryError, ResourceExhaustedError),
    (NotImplementedError, UnimplementedError),
)


def py_func(
    func: Callable[..., object],
    inp: Sequence[object],
    Tout: object,
    stateful: bool = True,
    name: str | None = None,
) -> Tensor | list[Tensor] | Operation:
    """What `func` returns for the inputs' arrays: a tensor of dtype `Tout`, or a list of several.

    An empty list of dtypes gives the operation.  Errors of `func` become tf.errors, ValueError and
    TypeError InvalidArgumentError.  Each run calls it once.
    """
    several = isinstance(Tout, list | tuple)
    kinds = tuple(dtypes.as_dtype(t) for t in (Tout if isinstance(Tout, list | tuple) else [Tout]))
    inputs = [convert_to_tensor(item) for item in inp]
    kind = "PyFunc" if stateful else "PyFuncStateless"
    operation = apply_op(kind, (inputs,), name, {"Tout": kinds, "_function": func})
    if not several:
        return operation.outputs[0]
    return list(operation.outputs) if kinds else operation


def numpy_function(
    func: Callable[..., object], inp: Sequence[object], Tout: object, name: str | None = None
) -> Tensor | list[Tensor] | Operation:
    """py_func by its later name."""
    return py_func(func, inp, Tout, name=name)


def _kinds(op: Operation) -> tuple[DType, ...]:
    kinds = op.attributes["Tout"]
    assert isinstance(kinds, tuple)
    return kinds


def _infer(op: Operation) -> Sequence[Result]:
    return [(kind, None) for kind in _kinds(op)]


def _host(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[object]:
    function: Any = op.attributes["_function"]
    try:
        # Scalars are numpy scalars, as TensorFlow hands them over; the rest is the caller's own.
        made = function(*[array[()] if array.ndim == 0 else array.copy() for array in arrays])
    except OpError:
        raise
    except Exception as error:
        kind = next((to for of, to in _ERRORS if isinstance(error, of)), UnknownError)
        raise kind(
            op.name, op,
            f"{type(error).__name__}: {error}\n{traceback.format_exc()}\n"
            f"\t {op.node_text}",
        ) from error  # fmt: skip
    kinds = _kinds(op)
    values = list(made) if isinstance(made, list | tuple) and len(kinds) != 1 else [made]
    if made is None and not kinds:
        return []
    if len(values) == 1 and isinstance(made, list | tuple) and len(kinds) == 1 and len(made) == 1:
        values = list(made)
    if len(values) != len(kinds):
        raise _wrong(op, f"{_label(op)} returns {len(values)} values, but expects to see "
                         f"{len(kinds)} values.")  # fmt: skip
    return [
        _checked(op, k, value, kind)
        for k, (value, kind) in enumerate(zip(values, kinds, strict=True))
    ]


def _checked(op: Operation, place: int, value: object, kind: DType) -> Array:
    if kind is dtypes.string:
        return make_array(value, kind)
    array = np.asarray(value)
    if isinstance(value, int | float | list | tuple) and not isinstance(value, bool):
        array = array.astype(kind.numpy)  # Python's numbers have no width of their own
    if array.dtype != kind.numpy:
        raise _wrong(
            op, f"{place}-th value returned by {_label(op)} is {_name(array.dtype)}, but expects "
            f"{_name(kind.numpy)}",
        )  # fmt: skip
    return array


def _name(dtype: np.dtype[np.generic]) -> str:
    names = {"float32": "float", "float64": "double", "float16": "half"}
    return names.get(str(dtype.name), str(dtype.name))


def _label(op: Operation) -> str:
    return str(getattr(op.attributes["_function"], "__name__", op.name))


def _wrong(op: Operation, message: str) -> InvalidArgumentError:
    return InvalidArgumentError(op.name, op, f"{message}\n\t {op.node_text}")


register(
    OpKind("PyFunc", "input:any*", _infer, host_only, differentiable=False, host=_host),
    OpKind("PyFuncStateless", "input:any*", _infer, host_only, differentiable=False, host=_host),
)
