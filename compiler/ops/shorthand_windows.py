"""Short forms for ops whose windows slide over an operand."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.runtime.errors import TypeRuleError


def layout(order: str, batch: str = "N", feature: str = "C") -> tuple[int, ...]:
    """The dimension numbers of a layout such as NHWC, or HWIO with `batch` O and `feature` I."""
    if order.count(batch) != 1 or order.count(feature) != 1:
        raise TypeRuleError(f"layout {order!r} must have one {batch} and one {feature}")
    spatial = [k for k, name in enumerate(order) if name not in (batch, feature)]
    return (order.index(batch), order.index(feature), *spatial)


def convolution(
    builder: Builder,
    x: Value,
    kernel: Value,
    x_layout: str,
    kernel_layout: str,
    *,
    strides: Sequence[int] | None = None,
    padding: Sequence[tuple[int, int]] | None = None,
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    feature_groups: int = 1,
) -> Value:
    """A convolution in named layouts (NC and OI with spatial letters); the result's is `x`'s."""
    ones = (1,) * (x.type.rank - 2)
    return builder.one(
        "convolution",
        (x, kernel),
        strides=tuple(strides or ones),
        padding=tuple(padding or ((0, 0) for _ in ones)),
        lhs_dilation=tuple(lhs_dilation or ones),
        rhs_dilation=tuple(rhs_dilation or ones),
        reversal=(0,) * len(ones),
        lhs_spec=layout(x_layout),
        rhs_spec=layout(kernel_layout, "O", "I"),
        out_spec=layout(x_layout),
        feature_groups=feature_groups,
        batch_groups=1,
    )


def reduce_window(
    builder: Builder,
    x: Value,
    reducer: str,
    window: Sequence[int],
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]] | None = None,
    window_dilations: Sequence[int] | None = None,
) -> Value:
    """A fold over windows that slide along every dim (1 for dims that are not pooled)."""
    ones = (1,) * x.type.rank
    return builder.one(
        "reduce_window",
        (x,),
        window=tuple(window),
        strides=tuple(strides),
        base_dilations=ones,
        window_dilations=tuple(window_dilations or ones),
        padding=tuple(padding or ((0, 0) for _ in ones)),
        reducer=reducer,
    )
