"""The ops winograd_input and winograd_output: a 3x3 convolution as 36 matrix multiplies.

    convolution(x, k) = winograd_output( dot_general( winograd_input(x), U ) )

where U is the constant made of `k` by winograd_matrices.transformed_filter.  A pass writes the two
ops in place of convolutions whose kernel is constant (passes/winograd.py); nobody else makes them.
The input tiles overlap by two rows and columns and reach into the padding; tiles at the far edge
may reach past the result, where they are not stored.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Array, Attributes, Op
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops.checks import expect, ints, op_pairs, pairs, require
from tensorkiln.compiler.ops.record import (
    Cost,
    NoGradient,
    OpRecord,
    Structural,
    Types,
    bytes_moved,
)
from tensorkiln.compiler.ops.winograd_matrices import (
    INPUT,
    OUTPUT,
    OUTPUTS,
    POINTS,
    TAPS,
    as_array,
    nonzeros,
)

_REASON = "written by a pass that runs after differentiation"


def tile_grid(space: Sequence[int]) -> tuple[int, int]:
    """Tiles along both spatial dims of a result."""
    rows, columns = space
    return -(-rows // OUTPUTS), -(-columns // OUTPUTS)


def _input_types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: the operand is an f32 or f64 of rank 4 and static shape, of which `spec` is a permutation
    (batch, feature, rows, columns).  C2: `padding` is not negative, has an entry for each spatial
    dim and leaves room for the 3x3 window."""
    (x,) = expect(types, 1)
    spec, padding = ints(attributes, "spec"), pairs(attributes, "padding")
    fits = x.dtype.is_float and x.dtype.bits >= 32 and x.rank == 4 and sorted(spec) == [0, 1, 2, 3]
    require(fits, f"C1: {x} is no f32 or f64 image with dims {spec}")
    sizes = [size for size in x.shape if isinstance(size, int)]
    require(len(sizes) == 4, f"C1: {x} is not static")
    require(len(padding) == 2, "C2: padding must have 2 entries")
    space = [sizes[d] + sum(p) - TAPS + 1 for d, p in zip(spec[2:], padding, strict=True)]
    room = min(space) >= 1 and min(min(p) for p in padding) >= 0
    require(room, f"C2: padding {padding} of {x} leaves no room for a 3x3 window")
    tiles = sizes[spec[0]] * math.prod(tile_grid(space))
    return (x.with_shape((POINTS * POINTS, tiles, sizes[spec[1]])),)


def _output_types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: `spec` is a permutation of the dims of `shape`, which has rank 4.  C2: the operand is
    an f32 or f64 [36, tiles, features] of the tiles and features of `shape`."""
    (x,) = expect(types, 1)
    spec, shape = ints(attributes, "spec"), ints(attributes, "shape")
    require(sorted(spec) == [0, 1, 2, 3] and len(shape) == 4, f"C1: {shape} with dims {spec}")
    tiles = shape[spec[0]] * math.prod(tile_grid([shape[d] for d in spec[2:]]))
    expected = (POINTS * POINTS, tiles, shape[spec[1]])
    fits = x.dtype.is_float and x.dtype.bits >= 32 and x.shape == expected
    require(fits, f"C2: {x} must be f32 or f64 of shape {expected}")
    return (x.with_shape(shape),)


def _evaluate_input(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    x = arrays[0].transpose(op.ints("spec")).astype(np.float64)
    padding = op_pairs(op, "padding")
    space = [x.shape[2 + k] + sum(padding[k]) - TAPS + 1 for k in (0, 1)]
    rows, columns = tile_grid(space)
    # Up to the last tile's end, which may lie past the padding.
    far = [
        OUTPUTS * count + TAPS - 1 - x.shape[2 + k] - padding[k][0]
        for k, count in enumerate((rows, columns))
    ]
    widths = [(0, 0), (0, 0), *((padding[k][0], max(0, far[k])) for k in (0, 1))]
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(x, widths), (POINTS, POINTS), axis=(2, 3)
    )[:, :, ::OUTPUTS, ::OUTPUTS][:, :, :rows, :columns]
    b = as_array(INPUT)
    found = np.einsum("ai,ncrsij,bj->abnrsc", b, windows, b, optimize=True)
    return [found.reshape(op.result.shape).astype(op.result.dtype.numpy)]


def _evaluate_output(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    spec, shape = op.ints("spec"), op.result.shape
    batch, features, height, width = (shape[d] for d in spec)
    rows, columns = tile_grid((height, width))
    m = arrays[0].astype(np.float64).reshape(POINTS, POINTS, batch, rows, columns, features)
    a = as_array(OUTPUT)
    found = np.einsum("ia,jb,abnrsc->ncrisj", a, a, m, optimize=True)
    whole = found.reshape(batch, features, rows * OUTPUTS, columns * OUTPUTS)
    order = [spec.index(d) for d in range(4)]
    back = whole[:, :, :height, :width].transpose(order)
    return [np.ascontiguousarray(back.astype(op.result.dtype.numpy))]


def _input_cost(op: Op) -> Cost:
    """A multiply-add for every nonzero of the matrix, along six columns and then six rows."""
    lines = op.result.type.elements // (POINTS * POINTS) * 2 * POINTS
    return Cost(2 * lines * nonzeros(INPUT), bytes_moved(op))


def _output_cost(op: Op) -> Cost:
    """A multiply-add for every nonzero of the matrix, along six columns and then four rows."""
    lines = op.operands[0].type.elements // (POINTS * POINTS) * (POINTS + OUTPUTS)
    return Cost(2 * lines * nonzeros(OUTPUT), bytes_moved(op))


RECORDS = (
    OpRecord(
        "winograd_input",
        {"padding": "pairs", "spec": "ints"},
        _input_types,
        _evaluate_input,
        NoGradient(_REASON),
        Structural("a kernel family of its own"),
        _input_cost,
    ),
    OpRecord(
        "winograd_output",
        {"shape": "ints", "spec": "ints"},
        _output_types,
        _evaluate_output,
        NoGradient(_REASON),
        Structural("a kernel family of its own"),
        _output_cost,
    ),
)
