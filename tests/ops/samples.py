"""The table of samples per op, which drives every test that walks over the op set.

A `Sample` is one use of one op: operand arrays, attributes, and the result that numpy expects,
written without looking at the op's own `evaluate`.  Families put theirs in files named
`samples_<family>.py` as a tuple called SAMPLES; `all_samples()` gathers them.

    from ops.samples import all_samples, build
    for sample in all_samples():
        function = build(sample)
        compiled(function)(*sample.arrays)  # against evaluate(function, sample.arrays)
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tensorkiln.compiler.ir.dtypes import DType, dtype_of, part_of
from tensorkiln.compiler.ir.function import Array, Attribute, Function
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder

Numbers: TypeAlias = NDArray[Any]  # an array that numpy's operators take without a proof
RELATIVE = {"f64": 1e-12, "f32": 2e-6, "f16": 2e-3, "bf16": 1.6e-2} | dict.fromkeys(
    (
        "f4e2m1fn",
        "f6e2m3fn",
        "f6e3m2fn",
        "f8e4m3fn",
        "f8e5m2",
        "f8e4m3fnuz",
        "f8e5m2fnuz",
        "f8e4m3",
        "f8e3m4",
        "f8e4m3b11fnuz",
        "f8e8m0fnu",
    ),
    0.0,
)


@dataclass(frozen=True)
class Sample:
    """One use of one op.

    `expected(*arrays)` gives the result (an array, or a tuple of arrays for several results).
    Float arrays reach it widened to f64, and what it gives is rounded to the result's dtype;
    with `raw` it gets the arrays as they are.  `differentiate` names the operands whose gradient
    is checked by finite differences in f64 (None: every float operand, if the record has a
    gradient); leave out operands and points where the op has a kink or a jump.  `exact` asks for
    equal bits; otherwise values agree to the dtype's RELATIVE tolerance times `slack`, relative
    to the largest of 1 and the expected value.
    """

    op: str
    arrays: tuple[Array, ...]
    expected: Callable[..., Any]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    regions: tuple[Function, ...] = ()
    label: str = ""
    raw: bool = False
    exact: bool = False
    slack: float = 1.0
    differentiate: tuple[int, ...] | None = None

    @property
    def name(self) -> str:
        """A test id: the op, the label, and the operands' types."""
        types = "_".join(str(type_of(a)) for a in self.arrays)
        return "-".join(part for part in (self.op, self.label, types) if part)

    def expectation(self, types: Sequence[TensorType]) -> list[Array]:
        """The results that numpy expects, in the results' types."""
        arrays = self.arrays if self.raw else tuple(widen(a) for a in self.arrays)
        with np.errstate(all="ignore"):
            found = self.expected(*arrays)
            results = found if isinstance(found, tuple | list) else (found,)
            return [
                np.asarray(value).astype(kind.dtype.numpy)
                for value, kind in zip(results, types, strict=True)
            ]


def widen(array: Array) -> Array:
    """Floats as f64, complex numbers as c128, everything else as it is."""
    if array.dtype.kind == "c":
        return array.astype(np.complex128)
    return array.astype(np.float64) if dtype_of(array.dtype).is_float else array


def type_of(array: Array) -> TensorType:
    """The tensor type of an array."""
    return TensorType(tuple(array.shape), dtype_of(array.dtype))


def build(sample: Sample, arrays: Sequence[Array] | None = None) -> Function:
    """The function of one op that takes the sample's operands (or others of other types)."""
    builder = Builder(REGISTRY)
    given = sample.arrays if arrays is None else arrays
    operands = [builder.parameter(f"x{k}", type_of(a)) for k, a in enumerate(given)]
    results = builder.op(sample.op, operands, sample.attributes, sample.regions)
    return builder.finish(results)


def draw(
    shape: Sequence[int], dtype: DType, low: float = -2.0, high: float = 2.0, seed: int = 0
) -> Numbers:
    """Uniform numbers in [low, high), the same for the same arguments; bools are coin flips."""
    generator = np.random.default_rng(seed)
    if dtype.is_complex:
        both = generator.uniform(low, high, (2, *shape))
        return np.asarray(both[0] + 1j * both[1]).astype(dtype.numpy)
    if dtype.kind == "bool":
        return generator.integers(0, 2, tuple(shape)).astype(np.bool_)
    if dtype.is_integer:
        if not dtype.is_signed:
            low = max(low, 0)
        return generator.integers(int(low), int(high), tuple(shape)).astype(dtype.numpy)
    return generator.uniform(low, high, tuple(shape)).astype(dtype.numpy)


def assert_agrees(sample: Sample, found: Sequence[Array], expected: Sequence[Array]) -> None:
    """Fails where results differ by more than the sample allows; NaN equals NaN."""
    assert len(found) == len(expected)
    for result, wanted in zip(found, expected, strict=True):
        kinds = type_of(result), type_of(wanted)
        assert kinds[0] == kinds[1], f"{sample.name}: {kinds[0]}, not {kinds[1]}"
        got, want = _in_parts(result), _in_parts(wanted)
        kind = dtype_of(want.dtype)
        if sample.exact or not kind.is_float:
            same = np.asarray(got).tobytes() == np.asarray(want).tobytes()
            assert same, f"{sample.name}:\n{got}\n  expected\n{want}"
            continue
        allowed = RELATIVE[kind.name] * sample.slack
        with np.errstate(invalid="ignore"):
            np.testing.assert_allclose(
                widen(got) / np.maximum(1, np.abs(_finite(want))),
                widen(want) / np.maximum(1, np.abs(_finite(want))),
                rtol=0, atol=allowed, err_msg=sample.name,
            )  # fmt: skip


def _in_parts(array: Array) -> Array:
    """Complex numbers as pairs of floats, everything else as it is."""
    dense = np.ascontiguousarray(array).reshape(array.shape)
    if dense.dtype.kind != "c":
        return dense
    return dense.reshape(*array.shape, 1).view(part_of(dtype_of(dense.dtype)).numpy)


def _finite(array: Array) -> Array:
    wide = widen(array)
    return np.where(np.isfinite(wide), wide, 1.0)


@functools.cache
def all_samples() -> tuple[Sample, ...]:
    """The samples of every `samples_*.py` beside this file."""
    files = sorted(Path(__file__).parent.glob("samples_*.py"))
    modules = [importlib.import_module(f"ops.{file.stem}") for file in files]
    return tuple(sample for module in modules for sample in module.SAMPLES)
