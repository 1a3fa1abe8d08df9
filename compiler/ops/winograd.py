"""Ops of a 3x3 convolution as 36 matrix multiplies: the transforms, and all three steps in one.

    convolution(x, k) = winograd_output( dot_general( winograd_input(x), U ) )

                      = winograd_convolution(x, U)

where U is the constant made of `k` by winograd_matrices.transformed_filter.  Passes write these ops
in place of convolutions whose kernel is constant (passes/winograd.py, winograd_blocks.py); nobody
else makes them.
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
    return [_tiles_of(arrays[0], op_pairs(op, "padding"), op.ints("spec"))]


def _tiles_of(image: Array, padding: Sequence[tuple[int, int]], spec: tuple[int, ...]) -> Array:
    """The transformed tiles of `image`."""
    x = image.transpose(spec).astype(np.float64)
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
    tiles: Array = found.reshape(POINTS * POINTS, -1, x.shape[1]).astype(image.dtype)
    return tiles


def _evaluate_output(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    return [_image_of(arrays[0], op.result.shape, op.ints("spec"))]


def _image_of(products: Array, shape: tuple[int, ...], spec: tuple[int, ...]) -> Array:
    """The image of `shape` of which `products` are the tiles' products."""
    batch, features, height, width = (shape[d] for d in spec)
    rows, columns = tile_grid((height, width))
    m = products.astype(np.float64).reshape(POINTS, POINTS, batch, rows, columns, features)
    a = as_array(OUTPUT)
    found = np.einsum("ia,jb,abnrsc->ncrisj", a, a, m, optimize=True)
    whole = found.reshape(batch, features, rows * OUTPUTS, columns * OUTPUTS)
    order = [spec.index(d) for d in range(4)]
    back = whole[:, :, :height, :width].transpose(order)
    return np.ascontiguousarray(back.astype(products.dtype))


def _convolution_types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1, C2: the first operand, `spec` and `padding` are as winograd_input takes them.  C3:
    `out_spec` is a permutation of the four dims of the result.  C4: the second operand is
    [36, features, outputs] of the same dtype."""
    x, weights = expect(types, 2)
    (tiles,) = _input_types((x,), attributes)
    spec, out = ints(attributes, "spec"), ints(attributes, "out_spec")
    padding = pairs(attributes, "padding")
    require(sorted(out) == [0, 1, 2, 3], f"C3: {out} is no permutation of four dims")
    fits = weights.dtype == x.dtype and weights.shape[:-1] == (POINTS * POINTS, tiles.shape[-1])
    require(weights.rank == 3 and fits, f"C4: {weights} are no transformed weights for {x}")
    sizes = [size for size in x.shape if isinstance(size, int)]
    space = [sizes[d] + sum(p) - TAPS + 1 for d, p in zip(spec[2:], padding, strict=True)]
    shape = dict(zip(out, (sizes[spec[0]], weights.shape[-1], *space), strict=True))
    return (x.with_shape(tuple(shape[d] for d in range(4))),)


def _evaluate_convolution(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    """The three steps in turn, rounded between them as the separate ops are."""
    x, weights = arrays
    padding, spec = op_pairs(op, "padding"), op.ints("spec")
    tiles = _tiles_of(x, padding, spec)
    products = np.matmul(tiles, weights)
    return [_image_of(products, op.result.shape, op.ints("out_spec"))]


def _input_cost(op: Op) -> Cost:
    """A multiply-add for every nonzero of the matrix, along six columns and then six rows."""
    lines = op.result.type.elements // (POINTS * POINTS) * 2 * POINTS
    return Cost(2 * lines * nonzeros(INPUT), bytes_moved(op))


def _convolution_cost(op: Op) -> Cost:
    """The transforms and the products, two operations a multiply-add."""
    x, weights = op.operands
    spec, out = op.ints("spec"), op.ints("out_spec")
    batch, outputs, *space = (op.result.shape[d] for d in out)
    tiles, inputs = batch * math.prod(tile_grid(space)), x.shape[spec[1]]
    transforms = tiles * inputs * 2 * POINTS * nonzeros(INPUT)
    transforms += tiles * outputs * (POINTS + OUTPUTS) * nonzeros(OUTPUT)
    return Cost(2 * (transforms + tiles * weights.type.elements), bytes_moved(op))


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
    OpRecord(
        "winograd_convolution",
        {"padding": "pairs", "spec": "ints", "out_spec": "ints"},
        _convolution_types,
        _evaluate_convolution,
        NoGradient(_REASON),
        Structural("a kernel family of its own"),
        _convolution_cost,
    ),
)
