"""TensorArray: tensors of one shape that are written and read one at a time.

The flow is the whole array, a tensor whose first dim counts the items; writing gives a new flow,
which a loop carries and which is written in place where nobody needs the old one.
"""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import apply_op, graph_of, make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.dtypes import DType
from tensorkiln.frontends.graph.regions import depth_of
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.scopes import name_scope
from tensorkiln.frontends.graph.shapes import Sizes, TensorShape, as_sizes, compatible, merge, show
from tensorkiln.frontends.graph.statics import static_integer, static_integers
from tensorkiln.frontends.graph.tensor import Tensor


class _Elements:
    """What is known of the items' shape, shared by all states of one array."""

    def __init__(self, sizes: Sizes, inferred: bool) -> None:
        self.sizes, self.inferred = sizes, inferred

    def see(self, sizes: Sizes) -> None:
        """Takes the shape of an item into account."""
        if not compatible(self.sizes, sizes):
            raise ValueError(
                f"Inconsistent shapes: saw {show(sizes)} but expected {show(self.sizes)} "
            )
        if self.inferred:
            self.sizes = merge(self.sizes, sizes)


class TensorArray:
    """An array of `size` tensors of `dtype`; items that nobody has written are zeros.

    The size must be known when a run starts.  With `dynamic_size` the array grows as it is written
    outside of loops, and by a loop that is in no other loop or branch and does not read from it.
    An index outside is an InvalidArgumentError where it is known before the run; one that a loop
    computes is taken for the nearest item, since nothing looks into a running loop.
    """

    def __init__(
        self, dtype: object, size: object = None, dynamic_size: bool | None = None,
        clear_after_read: bool | None = None, tensor_array_name: str | None = None,
        handle: object = None, flow: object = None, infer_shape: bool = True,
        element_shape: object = None, colocate_with_first_write_call: bool = True,
        name: str | None = None,
    ) -> None:  # fmt: skip
        if handle is not None or flow is not None:
            raise ValueError("a TensorArray cannot be made of a handle; pass the array itself on")
        if size is None:
            raise ValueError("Size must be provided if handle is not provided")
        self._dtype = dtypes.as_dtype(dtype).base_dtype
        self._dynamic = bool(dynamic_size)
        self._elements = _Elements(as_sizes(element_shape), infer_shape)
        with graph_of([size]).as_default(), name_scope(name or "TensorArray") as scope:
            count = convert_to_tensor(size, dtypes.int32, "size")
            self._size = None if self._dynamic else static_integer(count)
            if self._dynamic and static_integer(count) == 0 and depth_of(count.graph):
                raise ValueError(
                    f"TensorArray {scope}: an array that is made inside of a loop or branch cannot "
                    "grow; give it the size it needs instead of dynamic_size=True"
                )
            self._flow = make(
                "TensorArrayV3", (count,), scope, dtype=self._dtype,
                element_shape=self._elements.sizes, dynamic_size=self._dynamic,
            )  # fmt: skip

    def with_flow(self, flow: Tensor) -> TensorArray:
        """The array in the state that `flow` is."""
        other = object.__new__(TensorArray)
        other.__dict__.update(self.__dict__)
        other._flow = flow
        return other

    @property
    def dtype(self) -> DType:
        """The items' dtype."""
        return self._dtype

    @property
    def flow(self) -> Tensor:
        """The state of the array, a tensor."""
        return self._flow

    @property
    def handle(self) -> Tensor:
        """The state of the array, which is all that there is of it."""
        return self._flow

    @property
    def dynamic_size(self) -> bool:
        """Whether the program asked for an array that grows."""
        return self._dynamic

    @property
    def element_shape(self) -> TensorShape:
        """What is known of the items' shape."""
        return TensorShape(self._elements.sizes)

    def identity(self) -> TensorArray:
        """The same array as a new state."""
        return self.with_flow(make("Identity", (self._flow,)))

    def grad(self, source: str, flow: Tensor | None = None, name: str | None = None) -> TensorArray:
        """Not there: tf.gradients goes through arrays by itself."""
        raise NotImplementedError(
            "TensorArray.grad is not there; tf.gradients goes through the array's reads and writes"
        )

    def write(self, index: object, value: object, name: str | None = None) -> TensorArray:
        """The array with `value` as item `index`."""
        with name_scope(name or "TensorArrayWrite"):
            item = self._item(value)
            self._elements.see(item.sizes)
            flow = make(
                "TensorArrayWriteV3", (self._flow, self._index(index), item), "TensorArrayWriteV3",
                dynamic_size=self._dynamic,
            )  # fmt: skip
        return self.with_flow(flow)

    def read(self, index: object, name: str | None = None) -> Tensor:
        """Item `index`."""
        inputs = (self._flow, self._index(index))
        return make(
            "TensorArrayReadV3", inputs, name or "TensorArrayReadV3", sizes=self._elements.sizes
        )

    def gather(self, indices: object, name: str | None = None) -> Tensor:
        """The items at `indices`, stacked."""
        places = convert_to_tensor(indices, dtypes.int32, "indices")
        return make(
            "TensorArrayGatherV3", (self._flow, places), name or "TensorArrayGatherV3",
            sizes=self._elements.sizes,
        )  # fmt: skip

    def stack(self, name: str | None = None) -> Tensor:
        """All items, stacked."""
        with name_scope(name or "TensorArrayStack"):
            found = make(
                "TensorArrayStack", (self._flow,), "TensorArrayGatherV3",
                sizes=self._elements.sizes, size=self._size,
            )  # fmt: skip
        return found

    def concat(self, name: str | None = None) -> Tensor:
        """The items one behind the other along their first dim."""
        return make(
            "TensorArrayConcatV3", (self._flow,), name or "TensorArrayConcatV3",
            sizes=self._elements.sizes, size=self._size,
        )  # fmt: skip

    def unstack(self, value: object, name: str | None = None) -> TensorArray:
        """The array whose items are the rows of `value`."""
        with name_scope(name or "TensorArrayUnstack"):
            rows = self._item(value)
            self._elements.see(None if rows.sizes is None else rows.sizes[1:])
            flow = make(
                "TensorArrayUnstack", (self._flow, rows), "TensorArrayScatterV3",
                dynamic_size=self._dynamic,
            )  # fmt: skip
        return self.with_flow(flow)

    def scatter(self, indices: object, value: object, name: str | None = None) -> TensorArray:
        """The array with the rows of `value` as its items at `indices`."""
        with name_scope(name or "TensorArrayScatter"):
            rows = self._item(value)
            self._elements.see(None if rows.sizes is None else rows.sizes[1:])
            places = convert_to_tensor(indices, dtypes.int32, "indices")
            flow = make("TensorArrayScatterV3", (self._flow, places, rows), "TensorArrayScatterV3")
        return self.with_flow(flow)

    def split(self, value: object, lengths: object, name: str | None = None) -> TensorArray:
        """The array whose items are pieces of `value` of the given lengths, which must be equal."""
        with name_scope(name or "TensorArraySplit"):
            rows = self._item(value)
            counts = convert_to_tensor(lengths, dtypes.int32, "lengths")
            known = set(static_integers(counts) or ())
            if rows.sizes is not None:
                self._elements.see((known.pop() if len(known) == 1 else None, *rows.sizes[1:]))
            flow = make("TensorArraySplitV3", (self._flow, rows, counts), "TensorArraySplitV3")
        return self.with_flow(flow)

    def size(self, name: str | None = None) -> Tensor:
        """The number of items, an int32 scalar."""
        return make("TensorArraySizeV3", (self._flow,), name or "TensorArraySizeV3")

    def close(self, name: str | None = None) -> object:
        """An operation that does nothing: memory is planned when a run is compiled."""
        return apply_op("NoOp", (), name or "TensorArrayCloseV3")

    def _item(self, value: object) -> Tensor:
        tensor = convert_to_tensor(value, preferred_dtype=self._dtype, name="value")
        if base(tensor) is not self._dtype:
            raise TypeError(
                f"Input value {tensor} has dtype {base(tensor).name}, but the TensorArray has "
                f"{self._dtype.name}"
            )
        return tensor

    def _index(self, index: object) -> Tensor:
        return convert_to_tensor(index, dtypes.int32, "index")


def unstack_all(values: Sequence[Tensor], size: object) -> list[TensorArray]:
    """An array for each of the tensors, whose rows are its items."""
    return [TensorArray(base(v), size, infer_shape=True).unstack(v) for v in values]
