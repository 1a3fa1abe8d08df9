"""Products of dequantized bytes as integer products with one scale."""

from __future__ import annotations

import math

import numpy as np

from tensorkiln.compiler.ir.dtypes import F32, I32, DType
from tensorkiln.compiler.ir.function import Array, Function, Op, Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.checks import op_pairs
from tensorkiln.compiler.ops.integer_products import BYTES
from tensorkiln.compiler.passes.known import known
from tensorkiln.compiler.passes.rewriting import Replacement, Rewriter, Rules, rewrite, static

_MOST_TERMS = 1 << 15  # of a sum of products of two centred bytes that i32 surely holds


def quantized_products(function: Function) -> Function:
    """Multiplies dequantized bytes as integers and scales the sums.

        %1 = dequantize(%x, %sx, %zx)                 %4 = subtract(convert(%x), %zx)      (i32)
        %2 = dequantize(%w, %sw, %zw)                 %5 = convolution(%4, %w - %zw)       (i32)
        %3 = convolution(%1, %2) {...}          ->    %3 = multiply(convert(%5), %sx * %sw)
        %6 = add(%3, %bias)                           %6 = add(convert(%5) * (%sx * %sw / %sy),
        %7 = quantize(%6, %sy, %zy)                            %bias / %sy)
                                                      %7 = convert(round(clamp(%6)) + %zy)

    for f32 results, one scale and zero point of %x, constant weights with a scale for all or one
    for each output feature.  A known scale of a quantize that follows (through rectifiers and sums
    with constants and dequantized bytes, which nobody else reads) joins the other scales.

    The sums are exact where the f32 form rounds each product and sum; what follows rounds at most
    once more for each scale.  So a quantized result may differ from the f32 form's by one step, and
    does so only where the exact number lies within the rounding errors of the middle between two.

    Exactly: dequantize moves behind reshape, transpose and maxima of windows, it cancels with a
    quantize with the same known parameters, and bytes that are only dequantized again are not made.
    """
    rules: Rules = {
        "dot_general": (_dot,),
        "convolution": (_convolution,),
        "reshape": (_moved,),
        "transpose": (_moved,),
        "reduce_window": (_pooled,),
        "quantize": (_same_bytes, _scaled_once),
    }
    return rewrite(function, rules)


def _dot(rewriter: Rewriter, op: Op) -> Replacement:
    kept = [
        d for d in range(op.operands[1].type.rank)
        if d not in (*op.ints("rhs_batch"), *op.ints("rhs_contracting"))
    ]  # fmt: skip
    if op.ints("lhs_batch") or len(kept) != 1:
        return None
    terms = math.prod(int(str(op.operands[1].shape[d])) for d in op.ints("rhs_contracting"))
    return _product(rewriter, op, terms, kept[0], op.result.type.rank - 1)


def _convolution(rewriter: Rewriter, op: Op) -> Replacement:
    spec = op.ints("rhs_spec")
    _, inputs, *window = (op.operands[1].shape[d] for d in spec)
    grouped = op.integer("feature_groups") > 1 and inputs == 1
    if grouped or op.integer("batch_groups") != 1:
        return None
    return _product(rewriter, op, inputs * math.prod(window), spec[0], op.ints("out_spec")[1])


def _product(rewriter: Rewriter, op: Op, terms: int, feature: int, place: int) -> Replacement:
    """The product as integers; `feature` and `place` are the dim of output features in the weights
    and in the result."""
    left, right = (rewriter.producer(v, "dequantize") for v in op.operands)
    if left is None or right is None or op.result.dtype is not F32 or terms >= _MOST_TERMS:
        return None
    x, scale, zero = left.operands
    if x.dtype not in BYTES or scale.type.elements != 1:
        return None
    weights = _centred_weights(rewriter, right)
    if weights is None:
        return None
    factor = right.operands[1]
    if factor.type.elements == 1:
        factor = shorthand.reshape(rewriter, factor, ())
    elif factor.type.rank != 1 or right.integer("axis") != feature:
        return None
    wide, shift = (shorthand.convert(rewriter, v, I32) for v in (x, zero))
    shift = shorthand.broadcast_to(
        rewriter, shorthand.reshape(rewriter, shift, ()), wide.type.shape
    )
    centred = rewriter.one("subtract", (wide, shift))
    # Widened by an op, not here: large constants stay the bytes they are.
    numbers = shorthand.convert(rewriter, rewriter.constant(weights), I32)
    (total,) = rewriter.op(op.name, (centred, numbers), op.attributes)
    one = shorthand.reshape(rewriter, scale, ())
    both = shorthand.binary(rewriter, "multiply", factor, one)
    array = known(rewriter, both)
    both = both if array is None else rewriter.constant(array)
    dims = (place,) if both.type.rank else ()
    spread = shorthand.broadcast_in_dim(rewriter, both, op.result.type.shape, dims)
    return rewriter.one("multiply", (shorthand.convert(rewriter, total, F32), spread))


def _centred_weights(rewriter: Rewriter, op: Op) -> Array | None:
    """The constant operand of `op` less its zero point, None if that is no i8."""
    numbers, zero = known(rewriter, op.operands[0]), known(rewriter, op.operands[2])
    if numbers is None or zero is None or not numbers.size or not op.operands[0].dtype.is_integer:
        return None
    if numbers.dtype == np.int8 and not zero.any():
        return numbers
    wide = np.int16 if numbers.itemsize == 1 else np.int64  # holds differences of bytes
    shift = zero.astype(wide)
    if zero.size == 1:
        shift = shift.reshape(())
    elif zero.shape != numbers.shape:
        sizes = [1] * numbers.ndim
        sizes[op.integer("axis")] = zero.size
        shift = shift.reshape(sizes)
    centred = numbers.astype(wide) - shift
    fits = centred.min() >= -128 and centred.max() < 128
    return centred.astype(np.int8) if fits else None


def _moved(rewriter: Rewriter, op: Op) -> Replacement:
    # reshape(dequantize(x)) = dequantize(reshape(x)) where one scale serves all elements
    inner = rewriter.producer(op.operands[0], "dequantize")
    if inner is None or inner.operands[1].type.elements != 1 or not inner.operands[0].type.elements:
        return None
    x, scale, zero = inner.operands
    scale, zero = (shorthand.reshape(rewriter, v, ()) for v in (scale, zero))
    (moved,) = rewriter.op(op.name, (x,), op.attributes)
    return rewriter.one("dequantize", (moved, scale, zero), axis=0)


def _pooled(rewriter: Rewriter, op: Op) -> Replacement:
    # max of (q - z) * s = (max of q - z) * s for s > 0, where every window has an element
    inner = rewriter.producer(op.operands[0], "dequantize")
    if inner is None or op.string("reducer") != "maximum" or not static(op.result):
        return None
    x, scale, zero = inner.operands
    factor = known(rewriter, scale)
    if x.dtype not in BYTES or factor is None or factor.size != 1 or not _is_plain(factor):
        return None
    narrow = all(
        0 <= low < size and 0 <= high < size
        for size, (low, high) in zip(op.ints("window"), op_pairs(op, "padding"), strict=True)
    )
    steps = (*op.ints("window_dilations"), *op.ints("base_dilations"))
    if not narrow or set(steps) != {1} or not static(x) or not x.type.elements:
        return None
    (moved,) = rewriter.op(op.name, (x,), op.attributes)
    return rewriter.one("dequantize", (moved, scale, zero), axis=0)


def _same_bytes(rewriter: Rewriter, op: Op) -> Replacement:
    # quantize(dequantize(x)) = x: division by s gives q - z back to within much less than a half.
    inner = rewriter.producer(op.operands[0], "dequantize")
    if inner is None or inner.operands[0].dtype not in BYTES:
        return None
    if inner.operands[0].dtype != op.result.dtype:
        return None
    for ours, theirs in zip(op.operands[1:], inner.operands[1:], strict=True):
        one, other = known(rewriter, ours), known(rewriter, theirs)
        if one is None or other is None or one.size != 1 or other.size != 1:
            return None
        if one.reshape(()) != other.reshape(()):
            return None
        if one.dtype.kind == "f" and not _is_plain(one):
            return None
    return inner.operands[0]


def _is_plain(scale: Array) -> bool:
    """True for a positive scale whose products with bytes are normal f32 numbers."""
    return bool(np.float32(1e-30) < scale.reshape(()) < np.float32(1e30))


def _scaled_once(rewriter: Rewriter, op: Op) -> Replacement:
    x, scale, zero = op.operands
    divisor, shift = known(rewriter, scale), known(rewriter, zero)
    if divisor is None or divisor.size != 1 or x.dtype is not F32 or not _is_plain(divisor):
        return None
    if shift is None or shift.size != 1 or zero.dtype not in BYTES:
        return None
    divided = _divided(rewriter, x, np.float64(divisor.reshape(())))
    if divided is None:
        return None
    number, (lowest, highest) = int(shift.reshape(())), _ends(zero.dtype)
    # The ends are whole steps: rounding first or last is the same.
    steps = _with(rewriter, "maximum", divided, lowest - number)
    steps = _with(rewriter, "minimum", steps, highest - number)
    steps = rewriter.one("round_nearest_even", (steps,))
    codes = _with(rewriter, "add", steps, number) if number else steps
    return shorthand.convert(rewriter, codes, zero.dtype)


def _ends(dtype: DType) -> tuple[int, int]:
    return (-128, 127) if dtype.is_signed else (0, 255)


def _with(rewriter: Rewriter, name: str, x: Value, number: int) -> Value:
    return shorthand.binary(rewriter, name, x, shorthand.scalar(rewriter, number, F32))


def _steps_of(rewriter: Rewriter, codes: Value, zero: Value) -> Value | None:
    """The whole numbers as floats of which `_scaled_once` made `codes`, less the zero point."""
    made, shift = rewriter.producer(codes, "convert"), known(rewriter, zero)
    if made is None or shift is None or shift.size != 1:
        return None
    number = int(shift.reshape(()))
    steps = made.operands[0]
    if number:
        moved = rewriter.producer(steps, "add")
        if moved is None or rewriter.splat(moved.operands[1]) != number:
            return None
        steps = moved.operands[0]
    rounded = rewriter.producer(steps, "round_nearest_even")
    upper = None if rounded is None else rewriter.producer(rounded.operands[0], "minimum")
    lower = None if upper is None else rewriter.producer(upper.operands[0], "maximum")
    if upper is None or lower is None:
        return None
    ends = [rewriter.splat(o.operands[1]) for o in (lower, upper)]
    fits = all(end == limit - number for end, limit in zip(ends, _ends(codes.dtype), strict=True))
    return steps if fits else None


def _divided(rewriter: Rewriter, value: Value, divisor: np.float64) -> Value | None:
    """`value / divisor` with the division done to constants; it is made of finite scaled integers."""
    op = rewriter.producer(value)
    if op is None:
        return None
    if op.name == "dequantize":
        return _with_scale(rewriter, op, divisor)
    if not rewriter.has_one_use(value):
        return None
    match op.name:
        case "multiply":
            first: Value | None = op.operands[0] if _is_steps(rewriter, op.operands[0]) else None
        case "add" if all(rewriter.producer(v, "dequantize") for v in op.operands):
            return _divided_sum(rewriter, op, divisor)
        case "add" | "maximum":
            first = _divided(rewriter, op.operands[0], divisor)
        case _:
            return None
    if first is None:
        return None
    second = _divided_constant(rewriter, op.operands[1], divisor)
    if second is None and op.name == "add":
        second = _divided(rewriter, op.operands[1], divisor)
    return None if second is None else rewriter.one(op.name, (first, second))


def _is_steps(rewriter: Rewriter, value: Value) -> bool:
    """True for whole numbers as floats: sums of products of bytes, and rounded steps."""
    op = rewriter.producer(value)
    if op is None or op.name != "convert":
        return op is not None and op.name == "round_nearest_even"
    total = rewriter.producer(op.operands[0])
    products = total is not None and total.name in ("dot_general", "convolution")
    return products and op.operands[0].dtype is I32


def _divided_sum(rewriter: Rewriter, op: Op, divisor: np.float64) -> Value | None:
    """A sum of dequantized bytes over `divisor`; the kernel that makes the later ones takes it."""
    sides = [o for v in op.operands if (o := rewriter.producer(v, "dequantize")) is not None]
    places = [rewriter.producer(side.operands[0]) for side in sides]
    order = [-1 if place is None else rewriter.ops.index(place) for place in places]
    terms: list[Value] = []
    for value, side, place in zip(op.operands, sides, order, strict=True):
        last = place == max(order) and rewriter.has_one_use(value)
        steps = _steps_of(rewriter, side.operands[0], side.operands[2]) if last else None
        scale = known(rewriter, side.operands[1])
        if steps is not None and scale is not None and rewriter.has_one_use(side.operands[0]):
            factor = np.float32(scale.reshape(()).astype(np.float64) / divisor)
            one = rewriter.constant(factor)
            terms.append(shorthand.binary(rewriter, "multiply", steps, one))
            continue
        term = _with_scale(rewriter, side, divisor)
        if term is None:
            return None
        terms.append(term)
    return rewriter.one("add", terms)


def _with_scale(rewriter: Rewriter, op: Op, divisor: np.float64) -> Value | None:
    """The dequantize `op` with a known scale divided."""
    x, scale, zero = op.operands
    factor = known(rewriter, scale)
    if factor is None or op.result.dtype is not F32 or not np.isfinite(factor).all():
        return None
    if x.dtype not in BYTES:
        return None
    divided = rewriter.constant((factor.astype(np.float64) / divisor).astype(np.float32))
    return rewriter.one("dequantize", (x, divided, zero), **op.attributes)


def _divided_constant(rewriter: Rewriter, value: Value, divisor: np.float64) -> Value | None:
    """A finite constant, repeated perhaps, over `divisor`, rounded once."""
    if not static(value):
        return None
    op = rewriter.producer(value, "broadcast_in_dim")
    array = known(rewriter, value if op is None else op.operands[0])
    if array is None or not np.isfinite(array).all():
        return None
    divided = rewriter.constant((array.astype(np.float64) / divisor).astype(np.float32))
    if op is None:
        return divided
    return rewriter.one(op.name, (divided,), **op.attributes)
