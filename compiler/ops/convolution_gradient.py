"""The gradients of convolution, both of them convolutions again.

With out[o] = sum_w x[o*s + w*d - p] * k[w], the cotangent of the input is the cotangent dilated by
the stride, convolved with the reversed kernel; that of the kernel is the input convolved with the
cotangent as kernel, dilated by the stride, batch and features having changed places.
V. Dumoulin, F. Visin: A guide to convolution arithmetic for deep learning (2016), chapter 4.
"""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.function import Op, Value
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.checks import op_pairs
from tensorkiln.compiler.ops.shorthand import reshape, reverse, transpose, zeros_like

Cotangents = Sequence[Value | None]
Ints = tuple[int, ...]


def convolution_gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    """Cotangents of input and kernel."""
    (x, kernel), (g,) = op.operands, cotangents
    if g is None:
        return [None, None]
    if not (x.type.elements and kernel.type.elements and g.type.elements):
        return [zeros_like(builder, x), zeros_like(builder, kernel)]
    return [_input_gradient(builder, op, g), _kernel_gradient(builder, op, g)]


def _spatial(shape: Sequence[int], spec: Ints) -> Ints:
    return tuple(shape[k] for k in spec[2:])


def _spread(size: int, dilation: int) -> int:
    return (size - 1) * dilation + 1


def _canonical(builder: Builder, value: Value, spec: Ints) -> Value:
    """The value with its dims in the spec's order."""
    return transpose(builder, value, spec)


def _restored(builder: Builder, value: Value, spec: Ints) -> Value:
    """The value, whose dims are in the spec's order, with its dims where the spec says."""
    return transpose(builder, value, [spec.index(k) for k in range(len(spec))])


def _input_gradient(builder: Builder, op: Op, g: Value) -> Value:
    (x, kernel), features, batches = (
        op.operands,
        op.integer("feature_groups"),
        op.integer("batch_groups"),
    )
    lhs_spec, rhs_spec, out_spec = (op.ints(name) for name in ("lhs_spec", "rhs_spec", "out_spec"))
    sizes = _spatial(x.shape, lhs_spec)
    padding = []
    for size, taps, count, stride, base, dilation, (low, _) in zip(
        sizes,
        _spatial(kernel.shape, rhs_spec),
        _spatial(g.shape, out_spec),
        op.ints("strides"),
        op.ints("lhs_dilation"),
        op.ints("rhs_dilation"),
        op_pairs(op, "padding"),
        strict=True,
    ):
        before = _spread(taps, dilation) - 1 - low
        # As many windows as the input has elements: the padded cotangent's extent, less its own.
        extent = _spread(size, base) - 1 + _spread(taps, dilation)
        padding.append((before, extent - before - _spread(count, stride)))
    groups = features * batches
    swapped = (rhs_spec[1], rhs_spec[0], *rhs_spec[2:])
    if groups > 1:
        kernel, swapped = _regrouped(builder, kernel, rhs_spec, groups), tuple(range(len(rhs_spec)))
    found = builder.one(
        "convolution",
        (g, kernel),
        strides=op.ints("lhs_dilation"),
        padding=tuple(padding),
        lhs_dilation=op.ints("strides"),
        rhs_dilation=op.ints("rhs_dilation"),
        reversal=tuple(1 - flip for flip in op.ints("reversal")),
        lhs_spec=out_spec,
        rhs_spec=swapped,
        out_spec=lhs_spec,
        feature_groups=groups,
        batch_groups=1,
    )
    return _batches_first(builder, found, lhs_spec, batches) if batches > 1 else found


def _regrouped(builder: Builder, kernel: Value, spec: Ints, groups: int) -> Value:
    """The kernel with input and output features exchanged within each group: (group, out), in ->
    (group, in), out; its dims are in the spec's order then."""
    ordered = _canonical(builder, kernel, spec)
    outputs, inputs, *spatial = ordered.shape
    split = reshape(builder, ordered, (groups, outputs // groups, inputs, *spatial))
    exchanged = transpose(builder, split, (0, 2, 1, *range(3, 3 + len(spatial))))
    return reshape(builder, exchanged, (groups * inputs, outputs // groups, *spatial))


def _batches_first(builder: Builder, value: Value, spec: Ints, groups: int) -> Value:
    """Batch, (group, feature) -> (group, batch), feature."""
    ordered = _canonical(builder, value, spec)
    batch, features, *spatial = ordered.shape
    split = reshape(builder, ordered, (batch, groups, features // groups, *spatial))
    exchanged = transpose(builder, split, (1, 0, *range(2, 3 + len(spatial))))
    joined = reshape(builder, exchanged, (groups * batch, features // groups, *spatial))
    return _restored(builder, joined, spec)


def _kernel_gradient(builder: Builder, op: Op, g: Value) -> Value:
    x, kernel = op.operands
    lhs_spec, rhs_spec, out_spec = (op.ints(name) for name in ("lhs_spec", "rhs_spec", "out_spec"))
    padding = []
    for size, taps, count, stride, base, dilation, (low, _) in zip(
        _spatial(x.shape, lhs_spec),
        _spatial(kernel.shape, rhs_spec),
        _spatial(g.shape, out_spec),
        op.ints("strides"),
        op.ints("lhs_dilation"),
        op.ints("rhs_dilation"),
        op_pairs(op, "padding"),
        strict=True,
    ):
        # As many windows as the kernel has taps; what no tap reaches is cropped.
        extent = _spread(taps, dilation) - 1 + _spread(count, stride)
        padding.append((low, extent - low - _spread(size, base)))
    found = builder.one(
        "convolution",
        (x, g),
        strides=op.ints("rhs_dilation"),
        padding=tuple(padding),
        lhs_dilation=op.ints("lhs_dilation"),
        rhs_dilation=op.ints("strides"),
        reversal=(0,) * (len(lhs_spec) - 2),
        lhs_spec=(lhs_spec[1], lhs_spec[0], *lhs_spec[2:]),
        rhs_spec=(out_spec[1], out_spec[0], *out_spec[2:]),
        out_spec=(rhs_spec[1], rhs_spec[0], *rhs_spec[2:]),
        feature_groups=op.integer("batch_groups"),
        batch_groups=op.integer("feature_groups"),
    )
    flipped = [axis for axis, flip in zip(rhs_spec[2:], op.ints("reversal"), strict=True) if flip]
    return reverse(builder, found, flipped)
