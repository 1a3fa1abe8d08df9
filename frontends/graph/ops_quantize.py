"""Fake quantisation: floats rounded to what a few bits hold, with gradients that pass through.

The arithmetic is that of TensorFlow's public documentation of `fake_quant_with_min_max_args`
(Jacob et al.: Quantization and Training of Neural Networks, 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from typing import cast as typed

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.formula import Formula, formulas
from tensorkiln.frontends.graph.apply import graph_of, make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.dtypes import float32
from tensorkiln.frontends.graph.kinds import OpKind, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_gradient import gradients as gradients_of
from tensorkiln.frontends.graph.rules import like_input
from tensorkiln.frontends.graph.tensor import Tensor


def fake_quant_with_min_max_args(
    inputs: object, min: float = -6, max: float = 6, num_bits: int = 8,
    narrow_range: bool = False, name: str | None = None,
) -> Tensor:  # fmt: skip
    """`inputs` limited to the range and rounded to one of 2 ** num_bits levels of it."""
    _check(num_bits)
    if min >= max:
        raise ValueError(f"min has to be smaller than max, was: {min} >= {max}")
    return make(
        "FakeQuantWithMinMaxArgs", (inputs,), name, min=float(min), max=float(max),
        num_bits=num_bits, narrow_range=narrow_range,
    )  # fmt: skip


def fake_quant_with_min_max_vars(
    inputs: object, min: object, max: object, num_bits: int = 8, narrow_range: bool = False,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """As `fake_quant_with_min_max_args`, the range given by scalars that may be trained."""
    return _ranged("FakeQuantWithMinMaxVars", inputs, min, max, num_bits, narrow_range, name)


def fake_quant_with_min_max_vars_per_channel(
    inputs: object, min: object, max: object, num_bits: int = 8, narrow_range: bool = False,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """As `fake_quant_with_min_max_vars`, a range for each channel (the last dim)."""
    kind = "FakeQuantWithMinMaxVarsPerChannel"
    return _ranged(kind, inputs, min, max, num_bits, narrow_range, name)


def fake_quant_with_min_max_args_gradient(
    gradients: object, inputs: object, min: float = -6, max: float = 6, num_bits: int = 8,
    narrow_range: bool = False, name: str | None = None,
) -> Tensor:  # fmt: skip
    """The gradient of `fake_quant_with_min_max_args`: `gradients` where inputs are in range."""
    with graph_of([gradients, inputs]).name_scope(name or "FakeQuantWithMinMaxArgsGradient"):
        x = convert_to_tensor(inputs, float32, "inputs")
        made = fake_quant_with_min_max_args(x, min, max, num_bits, narrow_range)
        return _slopes(made, [x], gradients)[0]


def fake_quant_with_min_max_vars_gradient(
    gradients: object, inputs: object, min: object, max: object, num_bits: int = 8,
    narrow_range: bool = False, name: str | None = None,
) -> Slopes:  # fmt: skip
    """The gradients of `fake_quant_with_min_max_vars` for inputs, min and max."""
    kind = "FakeQuantWithMinMaxVars"
    return _ranged_slopes(kind, gradients, inputs, min, max, num_bits, narrow_range, name)


def fake_quant_with_min_max_vars_per_channel_gradient(
    gradients: object, inputs: object, min: object, max: object, num_bits: int = 8,
    narrow_range: bool = False, name: str | None = None,
) -> Slopes:  # fmt: skip
    """The gradients of `fake_quant_with_min_max_vars_per_channel` for inputs, min and max."""
    kind = "FakeQuantWithMinMaxVarsPerChannel"
    return _ranged_slopes(kind, gradients, inputs, min, max, num_bits, narrow_range, name)


class Slopes(NamedTuple):
    """Gradients for what a range of quantisation is made of."""

    backprops_wrt_input: Tensor
    backprop_wrt_min: Tensor
    backprop_wrt_max: Tensor


def _ranged_slopes(
    kind: str, gradients: object, inputs: object, low: object, high: object, num_bits: int,
    narrow_range: bool, name: str | None,
) -> Slopes:  # fmt: skip
    with graph_of([gradients, inputs, low, high]).name_scope(name or f"{kind}Gradient"):
        parts = [
            convert_to_tensor(value, float32, label)
            for value, label in ((inputs, "inputs"), (low, "min"), (high, "max"))
        ]
        x, least, most = parts
        made = _ranged(kind, x, least, most, num_bits, narrow_range, None)
        return Slopes(*_slopes(made, parts, gradients))


def _slopes(made: Tensor, parts: Sequence[Tensor], given: object) -> list[Tensor]:
    found = gradients_of(made, list(parts), convert_to_tensor(given, float32, "gradients"))
    return [typed(Tensor, slope) for slope in found]


def _ranged(
    kind: str, inputs: object, low: object, high: object, num_bits: int, narrow_range: bool,
    name: str | None,
) -> Tensor:  # fmt: skip
    _check(num_bits)
    return make(kind, (inputs, low, high), name, num_bits=num_bits, narrow_range=narrow_range)


def _check(num_bits: int) -> None:
    if not 2 <= num_bits <= 16:
        raise ValueError(f"num_bits must be between 2 and 16 inclusive, was: {num_bits}")


def _lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder = lowering.builder
    x = Formula(builder, values[0])
    if len(values) == 1:
        low, high = (x.full(float(str(op.attributes[key]))) for key in ("min", "max"))
    else:
        low, high = formulas(
            builder, *(shorthand.broadcast_to(builder, v, x.value.type.shape) for v in values[1:])
        )
    first = 1.0 if op.flag("narrow_range") else 0.0
    last = 2.0 ** op.integer("num_bits") - 1.0
    # The range is moved so that zero is one of the levels; gradients do not see that.
    scale = _held((high - low) / (last - first))
    zero = (first - low / scale).maximum(first)
    zero = _held(-((-zero).maximum(-last))).apply("round_nearest_afz")
    bottom = low + _held((first - zero) * scale - low)
    top = high + _held((last - zero) * scale - high)
    inside = x.compare("LT", bottom).select(bottom, x.compare("GT", top).select(top, x))
    level = ((inside - bottom) / scale + 0.5).apply("floor") * scale + bottom
    return [(inside + _held(level - inside)).value]


def _held(x: Formula) -> Formula:
    return x.apply("stop_gradient")


register(
    OpKind("FakeQuantWithMinMaxArgs", "inputs:float32", like_input, _lower),
    *(
        OpKind(name, "inputs:float32 min:float32 max:float32", like_input, _lower)
        for name in ("FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVarsPerChannel")
    ),
)
