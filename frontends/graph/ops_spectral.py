"""Complex numbers and Fourier transforms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.complex_parts import join
from tensorkiln.compiler.ops.fft import fft as transform
from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import graph_of, make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.dimension import Size
from tensorkiln.frontends.graph.dtypes import complex64, complex128, float32, float64
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_constant import zeros_like
from tensorkiln.frontends.graph.ops_elementwise import atan2
from tensorkiln.frontends.graph.ops_rearrange import roll
from tensorkiln.frontends.graph.rules import base, like_input, unary
from tensorkiln.frontends.graph.shapes import ShapeError, broadcast
from tensorkiln.frontends.graph.statics import static_integers
from tensorkiln.frontends.graph.tensor import Tensor

Values: TypeAlias = Sequence[Value]
_COMPLEX = {"T": (complex64, complex128)}
_PARTS = {complex64: float32, complex128: float64}
_WHOLES = {part: whole for whole, part in _PARTS.items()}


# Complex numbers


def complex_(real: object, imag: object, name: str | None = None) -> Tensor:
    """The complex numbers real + i imag, of float32 or float64 parts."""
    with graph_of([real, imag]).name_scope(name or "Complex") as scope:
        first = convert_to_tensor(real, name="real")
        second = convert_to_tensor(imag, name="imag")
        if (base(first), base(second)) not in [(d, d) for d in _WHOLES]:
            raise TypeError(
                f"real and imag have incorrect types: {base(first).name} {base(second).name}"
            )
        return make("Complex", (first, second), scope)


def _complex_infer(op: Operation) -> Sequence[Result]:
    sizes = broadcast(op.inputs[0].sizes, op.inputs[1].sizes)
    return [(_WHOLES[base(op.inputs[0])], sizes)]


def _complex_lower(lowering: Lowering, op: Operation, values: Values) -> Values:
    real, imaginary = shorthand.broadcast_together(lowering.builder, *values)
    return [join(lowering.builder, real, imaginary)]


def _part_infer(op: Operation) -> Sequence[Result]:
    return [(_PARTS[base(op.inputs[0])], op.inputs[0].sizes)]


def _angle_lower(lowering: Lowering, op: Operation, values: Values) -> Values:
    builder, (x,) = lowering.builder, values
    real, imaginary = builder.one("real", (x,)), builder.one("imag", (x,))
    return [builder.one("atan2", (imaginary, real))]


def _part(kind: str, meaning: str, of_real: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    def function(input: object, name: str | None = None) -> Tensor:
        with graph_of([input]).name_scope(name or kind) as scope:
            tensor = convert_to_tensor(input, name="input")
            return make(kind, (tensor,), scope) if tensor.dtype.is_complex else of_real(tensor)

    function.__doc__, function.__name__ = meaning, kind.lower()
    return function


def _angle_of_real(tensor: Tensor) -> Tensor:
    return atan2(zeros_like(tensor), tensor)


real = _part("Real", "The real parts; real numbers as they are.", lambda x: x)
imag = _part("Imag", "The imaginary parts; zeros for real numbers.", zeros_like)
angle = _part("Angle", "The angles in (-pi, pi]; 0 or pi for real numbers.", _angle_of_real)


def conj(x: object, name: str | None = None) -> Tensor:
    """The conjugates; real numbers as they are."""
    tensor = convert_to_tensor(x, name="x")
    return make("Conj", (tensor,), name) if tensor.dtype.is_complex else tensor


# Fourier transforms


def _transform(kind: str, dims: int, inverse: bool) -> Callable[..., Tensor]:
    def function(input: object, name: str | None = None) -> Tensor:
        return make(kind, (input,), name)

    which = "inverse discrete" if inverse else "discrete"
    function.__doc__ = f"The {which} Fourier transforms over the last {dims} dims."
    function.__name__ = kind.lower()
    return function


def _transform_infer(op: Operation) -> Sequence[Result]:
    _check_rank(op, _dims(op.type))
    return like_input(op)


def _dims(kind: str) -> int:
    return {"2D": 2, "3D": 3}.get(kind[-2:], 1)


def _check_rank(op: Operation, rank: int) -> None:
    sizes = op.inputs[0].sizes
    if sizes is not None and len(sizes) < rank:
        raise ShapeError(f"Shape must be at least rank {rank} but is rank {len(sizes)}")


def _transform_lower(lowering: Lowering, op: Operation, values: Values) -> Values:
    (x,), dims = values, _dims(op.type)
    kind = "IFFT" if op.type.startswith("I") else "FFT"
    return [transform(lowering.builder, x, kind, x.shape[len(x.shape) - dims :])]


def _real_transform(kind: str, dims: int, inverse: bool) -> Callable[..., Tensor]:
    def function(
        input_tensor: object, fft_length: object = None, name: str | None = None
    ) -> Tensor:
        with graph_of([input_tensor, fft_length]).name_scope(name or kind.lower()) as scope:
            tensor = convert_to_tensor(input_tensor, name="input")
            lengths = fft_length
            if lengths is None:
                lengths = _default_lengths(tensor, dims, inverse)
            return make(kind, (tensor, convert_to_tensor(lengths, dtypes.int32)), scope)

    side = "inverse of the one-sided" if inverse else "one-sided"
    function.__doc__ = (
        f"The {side} Fourier transforms of real signals over the last {dims} dims.\n\n"
        "Signals are cut, or filled up with zeros, to `fft_length`."
    )
    function.__name__ = kind.lower()
    return function


def _default_lengths(tensor: Tensor, dims: int, inverse: bool) -> list[int]:
    sizes = tensor.sizes
    if sizes is None or len(sizes) < dims:
        raise ValueError(f"the tensor must have {dims} dims or more to be transformed: {tensor}")
    lengths = [size for size in sizes[len(sizes) - dims :] if size is not None]
    if len(lengths) < dims:
        raise ValueError(f"fft_length is needed where sizes are not known: {tensor}")
    if inverse:
        lengths[-1] = max(2 * (lengths[-1] - 1), 0)
    return lengths


def _real_infer(op: Operation) -> Sequence[Result]:
    tensor, lengths, dims = op.inputs[0], static_integers(op.inputs[1]), _dims(op.type)
    _check_rank(op, dims)
    inverse = op.type.startswith("I")
    dtype = (_PARTS if inverse else _WHOLES)[base(tensor)]
    if tensor.sizes is None:
        return [(dtype, None)]
    if lengths is not None and len(lengths) != dims:
        raise ShapeError(f"fft_length must have {dims} elements, not {len(lengths)}")
    found: list[Size] = [None] * dims if lengths is None else list(lengths)
    if not inverse and found[-1] is not None:
        found[-1] = found[-1] // 2 + 1
    return [(dtype, (*tensor.sizes[: len(tensor.sizes) - dims], *found))]


def _real_lower(lowering: Lowering, op: Operation, values: Values) -> Values:
    builder, x, dims = lowering.builder, values[0], _dims(op.type)
    lengths = lowering.integers(op, 1, values)
    kind = "IRFFT" if op.type.startswith("I") else "RFFT"
    wanted = (*lengths[:-1], lengths[-1] // 2 + 1) if kind == "IRFFT" else lengths
    first = len(x.shape) - dims
    low = [0] * len(x.shape)
    high = [0] * first + [n - given for n, given in zip(wanted, x.shape[first:], strict=True)]
    return [transform(builder, shorthand.pad(builder, x, low, high), kind, lengths)]


fft, fft2d, fft3d = (_transform(f"FFT{s}", n, False) for n, s in enumerate(("", "2D", "3D"), 1))
ifft, ifft2d, ifft3d = (_transform(f"IFFT{s}", n, True) for n, s in enumerate(("", "2D", "3D"), 1))
rfft, rfft2d, rfft3d = (
    _real_transform(f"RFFT{s}", n, False) for n, s in enumerate(("", "2D", "3D"), 1)
)
irfft, irfft2d, irfft3d = (
    _real_transform(f"IRFFT{s}", n, True) for n, s in enumerate(("", "2D", "3D"), 1)
)


def fftshift(x: object, axes: object = None, name: str | None = None) -> Tensor:
    """Bins moved by half of the dims at `axes` (None: all), so that bin 0 is in the middle."""
    return _shifted(x, axes, 1, name or "fftshift")


def ifftshift(x: object, axes: object = None, name: str | None = None) -> Tensor:
    """Undoes fftshift."""
    return _shifted(x, axes, -1, name or "ifftshift")


def _shifted(x: object, axes: object, sign: int, name: str) -> Tensor:
    with graph_of([x]).name_scope(name):
        tensor = convert_to_tensor(x, name="x")
        if tensor.sizes is None or None in tensor.sizes:
            raise ValueError(f"the sizes must be known: {tensor}")
        if axes is None:
            axes = list(range(len(tensor.sizes)))
        chosen = [int(axis) for axis in np.atleast_1d(np.asarray(axes))]
        # Bin 0 goes to size // 2.
        moves = [sign * ((tensor.sizes[axis] or 0) // 2) for axis in chosen]
        return roll(tensor, moves, chosen)


register(
    OpKind("Complex", "real:T imag:T", _complex_infer, _complex_lower,
           {"T": (float32, float64)}),
    OpKind("Real", "input:T", _part_infer, unary("real"), _COMPLEX),
    OpKind("Imag", "input:T", _part_infer, unary("imag"), _COMPLEX),
    OpKind("ComplexAbs", "x:T", _part_infer, unary("abs"), _COMPLEX),
    OpKind("Angle", "input:T", _part_infer, _angle_lower, _COMPLEX),
    OpKind("Conj", "input:T", like_input, unary("conjugate"), _COMPLEX),
    *(
        OpKind(f"{kind}{suffix}", "input:T", _transform_infer, _transform_lower, _COMPLEX)
        for kind in ("FFT", "IFFT") for suffix in ("", "2D", "3D")
    ),
    *(
        OpKind(f"RFFT{suffix}", "input:T fft_length:int32", _real_infer, _real_lower,
               {"T": (float32, float64)})
        for suffix in ("", "2D", "3D")
    ),
    *(
        OpKind(f"IRFFT{suffix}", "input:T fft_length:int32", _real_infer, _real_lower, _COMPLEX)
        for suffix in ("", "2D", "3D")
    ),
)  # fmt: skip
