"""Many op samples as one function, so that one compilation serves them all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ops.samples import Sample, all_samples, assert_agrees, type_of

from tensorkiln.compiler.ir.dtypes import dtype_of
from tensorkiln.compiler.ir.function import Array, Function
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.ops import REGISTRY, Builder

SAMPLES: tuple[Sample, ...] = tuple(s for s in all_samples() if s.op != "fusion")
SIZE = 24


def batches(samples: Sequence[Sample], size: int = SIZE) -> list[tuple[Sample, ...]]:
    """The samples in runs of `size`."""
    return [tuple(samples[k : k + size]) for k in range(0, len(samples), size)]


def batch_name(batch: Sequence[Sample]) -> str:
    """A test id: the ops of the batch."""
    return "-".join(dict.fromkeys(sample.op for sample in batch))


def build_batch(batch: Sequence[Sample]) -> Function:
    """One function of all operands of all samples that gives all their results."""
    builder = Builder(REGISTRY)
    results = []
    for number, sample in enumerate(batch):
        operands = [
            builder.parameter(f"s{number}_{k}", type_of(a)) for k, a in enumerate(sample.arrays)
        ]
        results += builder.op(sample.op, operands, sample.attributes, sample.regions)
    return builder.finish(results)


def arrays_of(batch: Sequence[Sample]) -> list[Array]:
    """The operands of all samples, in the order of the function's parameters."""
    return [array for sample in batch for array in sample.arrays]


def shares(
    batch: Sequence[Sample], results: Sequence[Array]
) -> Iterator[tuple[Sample, list[Array]]]:
    """Each sample with its own of the function's results."""
    rest = list(results)
    for sample in batch:
        builder = Builder(REGISTRY)
        operands = [builder.parameter(f"x{k}", type_of(a)) for k, a in enumerate(sample.arrays)]
        count = len(builder.op(sample.op, operands, sample.attributes, sample.regions))
        yield sample, rest[:count]
        rest = rest[count:]


def assert_shares_agree(
    batch: Sequence[Sample], found: Sequence[Array], expected: Sequence[Array], target: Target
) -> None:
    """Each sample's results on `target` against the expected ones."""
    for (sample, got), (_, want) in zip(shares(batch, found), shares(batch, expected), strict=True):
        twice = sample.op == "fused_multiply_add" and not target.has_fma  # products rounded, too
        assert_agrees(replace(sample, exact=False) if twice else sample, got, want)


def representative(samples: Sequence[Sample], *kinds: int) -> list[Sample]:
    """One sample for each op and numbered kind of operands, modulo the kinds that the op has.

    Operands are of the same kind if their dtypes are the same float dtypes or kinds of integers.
    """
    found: dict[str, dict[object, Sample]] = {}
    for sample in samples:
        dtypes = (dtype_of(a.dtype) for a in sample.arrays)
        kind = tuple(d.name if d.is_float else d.kind for d in dtypes)
        found.setdefault(sample.op, {}).setdefault(kind, sample)
    chosen: list[Sample] = []
    for group in found.values():
        one_of_each = list(group.values())
        chosen += [one_of_each[k] for k in dict.fromkeys(k % len(one_of_each) for k in kinds)]
    return chosen
