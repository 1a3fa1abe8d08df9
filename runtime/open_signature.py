"""The inputs and outputs of a model for a range of sizes, which a call's arrays tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tensorkiln.runtime.errors import FeedError
from tensorkiln.runtime.feeds import Array
from tensorkiln.runtime.manifest import Manifest, TensorSpec
from tensorkiln.runtime.open_sizes import OpenSpec, SizeRange


class OpenSignature:
    """The user's tensors of a model whose manifest has sizes, and the sizes of calls."""

    def __init__(self, manifest: Manifest) -> None:
        """FeedError if a size is not told by a dim of its own."""
        assert manifest.sizes is not None
        self.sizes = manifest.sizes
        self.inputs = tuple(
            OpenSpec(spec.name, shape, spec.dtype)
            for spec, shape in zip(manifest.inputs, self.sizes.inputs, strict=False)
        )
        self.outputs = tuple(
            OpenSpec(spec.name, shape, spec.dtype, spec.alias)
            for spec, shape in zip(manifest.outputs, self.sizes.outputs, strict=True)
        )
        self._told = [_where(size, self.inputs) for size in self.sizes.ranges]

    def at(self, sizes: Mapping[str, int]) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """The inputs and outputs of calls with these sizes."""
        return (
            tuple(TensorSpec(s.name, s.shape.at(sizes), s.dtype) for s in self.inputs),
            tuple(TensorSpec(s.name, s.shape.at(sizes), s.dtype, s.alias) for s in self.outputs),
        )

    def sizes_of(self, arrays: Sequence[Array]) -> dict[str, int]:
        """The sizes that arrays of the inputs tell; FeedError if they do not fit together."""
        sizes: dict[str, int] = {}
        for size, (position, axis, coefficient, constant) in zip(
            self.sizes.ranges, self._told, strict=True
        ):
            array, spec = arrays[position], self.inputs[position]
            if axis >= array.ndim:
                raise _wrong_shape(spec, array)
            value, rest = divmod(array.shape[axis] - constant, coefficient)
            if rest:
                raise _wrong_shape(spec, array)
            if not size.minimum <= value <= size.maximum:
                raise FeedError(
                    f"input {spec.name!r} has shape {list(array.shape)}: its {size.name} is"
                    f" {value}, and the model was compiled for {size}"
                )
            sizes[size.name] = value
        for spec, array in zip(self.inputs, arrays, strict=True):
            if array.shape != spec.shape.at(sizes):
                raise _wrong_shape(spec, array, sizes)
        return sizes


def _where(size: SizeRange, inputs: Sequence[OpenSpec]) -> tuple[int, int, int, int]:
    """The input, dim, coefficient and constant that tell a size."""
    for position, spec in enumerate(inputs):
        for axis, dim in enumerate(spec.shape.dims):
            match dim:
                case (extent,) if extent.names == (size.name,) and extent.terms:
                    return position, axis, extent.terms[0][1], extent.constant
    raise FeedError(f"no input tells the size {size.name}: it needs a dim of its own")


def _wrong_shape(spec: OpenSpec, array: Array, sizes: Mapping[str, int] | None = None) -> FeedError:
    known = f" where {', '.join(f'{k}={v}' for k, v in sizes.items())}" if sizes else ""
    return FeedError(
        f"input {spec.name!r} expects {spec}{known}, but the array has shape {list(array.shape)}"
    )
