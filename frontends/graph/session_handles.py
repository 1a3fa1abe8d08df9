"""Tensors that stay in a session between runs, behind handles that are passed around."""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakValueDictionary

import numpy as np

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import apply_op, make
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.dtypes import DType
from tensorkiln.frontends.graph.errors import InvalidArgumentError
from tensorkiln.frontends.graph.host import HostContext, host_only
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_constant import placeholder
from tensorkiln.frontends.graph.scopes import name_scope
from tensorkiln.frontends.graph.tensor import Tensor

_COUNT = "number of tensors kept"
_OWNERS: WeakValueDictionary[str, HostContext] = WeakValueDictionary()


class TensorHandle:
    """What a run gives for `tf.get_session_handle`: a name for a tensor that the session keeps."""

    def __init__(self, handle: str, dtype: DType) -> None:
        self.handle, self._dtype = handle, dtype

    def get_raw_handle(self) -> str:
        """The handle, which is no longer this object's concern."""
        return self.handle

    def eval(self) -> object:
        """The tensor as a run gives it; InvalidArgumentError if the session has let go of it."""
        return _kept(self.handle)[()]

    def delete(self) -> None:
        """Lets the session let go of the tensor."""
        _kept(self.handle)
        _OWNERS[self.handle].resources.pop(("kept", self.handle))

    def to_numpy_array(self) -> object:
        """The tensor, as `eval`."""
        return self.eval()

    def __str__(self) -> str:
        return self.handle


def _kept(handle: str) -> Array:
    owner = _OWNERS.get(handle)
    found = None if owner is None else owner.resources.get(("kept", handle))
    if not isinstance(found, np.ndarray):
        raise InvalidArgumentError(
            None, None, f"The tensor with handle '{handle}' is not in the session store."
        )
    copied: Array = found.copy()
    return copied


def get_session_handle(data: object, name: str | None = None) -> Tensor:
    """A tensor whose fetch keeps the value of `data` in the session and gives a TensorHandle."""
    return make("GetSessionHandleV2", (data,), name or "GetSessionHandle")


def get_session_tensor(
    handle: object, dtype: object, name: str | None = None
) -> tuple[Tensor, Tensor]:
    """A placeholder for a handle, and the tensor behind it; `handle` is any that will be fed."""
    with name_scope(name, "GetSessionTensor"):
        holder = placeholder(dtypes.string, ())
        return holder, make("GetSessionTensor", (holder,), dtype=dtypes.as_dtype(dtype))


def delete_session_tensor(handle: object, name: str | None = None) -> tuple[Tensor, Operation]:
    """A placeholder for a handle, and the op that lets the session let go of the tensor."""
    with name_scope(name, "DeleteSessionTensor"):
        holder = placeholder(dtypes.string, ())
        return holder, apply_op("DeleteSessionTensor", (holder,))


def _keep(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[object]:
    count = context.resources.get(_COUNT, 0)
    assert isinstance(count, int)
    handle = f"{op.name};{id(context)}.{count};/job:localhost/replica:0/task:0/device:CPU:0"
    context.resources[_COUNT] = count + 1
    context.resources["kept", handle] = np.array(arrays[0])
    _OWNERS[handle] = context
    return [handle.encode()]


def _stored(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Array:
    handle = arrays[0].reshape(()).item().decode()
    found = context.resources.get(("kept", handle))
    if not isinstance(found, np.ndarray):
        raise InvalidArgumentError(
            op.name, op, f"The tensor with handle '{handle}' is not in the session store.\n"
            f"\t {op.node_text}",
        )  # fmt: skip
    return found


def _read(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[object]:
    found = _stored(context, op, arrays)
    if found.dtype != op.outputs[0].dtype.numpy:
        raise InvalidArgumentError(
            op.name, op, f"The tensor behind the handle is of type {found.dtype}, and not "
            f"{op.outputs[0].dtype.name}",
        )  # fmt: skip
    return [found]


def _delete(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[object]:
    _stored(context, op, arrays)
    context.resources.pop(("kept", arrays[0].reshape(()).item().decode()))
    return []


def _read_infer(op: Operation) -> Sequence[Result]:
    dtype = op.attributes["dtype"]
    assert isinstance(dtype, DType)
    return [(dtype, None)]


register(
    OpKind("GetSessionHandleV2", "value:T", lambda op: [(dtypes.string, ())], host_only, host=_keep,
           differentiable=False),
    OpKind("GetSessionTensor", "handle:string", _read_infer, host_only, host=_read,
           differentiable=False),
    OpKind("DeleteSessionTensor", "handle:string", lambda op: [], host_only, host=_delete,
           differentiable=False),
)  # fmt: skip
