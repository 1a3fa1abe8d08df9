"""One C function of an artifact: a model's code for each instruction set, put together.

A plain artifact has one part, `run`. A training artifact has two over one state, `train_step` and
`predict`, whose C functions take the state's address first.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from tensorkiln.compiler.codegen.entry_cpu import level_of
from tensorkiln.compiler.codegen.objects import DataSymbol, RenamedObject
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.runtime.compiled import Compiled, aligned_bytes
from tensorkiln.runtime.errors import ArtifactError
from tensorkiln.runtime.manifest import Manifest, TensorSpec, VersionInfo
from tensorkiln.runtime.open_sizes import widest

# What the bodies call for their parallel loops (entry_runtime.py).
SHARE_SYMBOL = "tk_share"
# The same model for several targets.
Versions = Sequence[tuple[Compiled, Target]]


@dataclass(frozen=True, slots=True)
class Version:
    """One instruction set's body: its symbol, its level, and where its constants start."""

    body: str
    level: int
    constants_at: int


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """All versions of a model, the lowest level first.

    `name` is that of its C function behind the prefix; `target` is the one of the lowest version.
    `offsets` tells where the inputs that are state lie in its block.
    """

    name: str
    manifest: Manifest
    codes: tuple[bytes, ...]
    versions: tuple[Version, ...]
    infos: tuple[VersionInfo, ...]
    constants: npt.NDArray[np.uint8]
    target: Target
    offsets: Mapping[str, int] = field(default_factory=dict)

    @property
    def constants_symbol(self) -> str:
        """The name of the embedded constants."""
        return f"tk_constants_{self.name}"

    @property
    def has_state(self) -> bool:
        """True for a function over a state."""
        return bool(self.offsets)

    @property
    def fed(self) -> list[TensorSpec]:
        """The inputs that a caller gives."""
        return [spec for spec in self.manifest.inputs if spec.name not in self.offsets]

    @property
    def given(self) -> list[TensorSpec]:
        """The outputs that a caller takes: all that are no new values of the state."""
        if not self.has_state:
            return list(self.manifest.outputs)
        return [spec for spec in self.manifest.outputs if spec.alias is None]

    def at(self, sizes: Sequence[int]) -> Part:
        """The part with the shapes of a call with these sizes, in the order of its ranges."""
        opened = self.manifest.sizes
        if opened is None:
            return self
        point = dict(zip((size.name for size in opened.ranges), sizes, strict=True))
        own, given = self.manifest.inputs[: len(opened.inputs)], self.manifest.outputs
        scalars = self.manifest.inputs[len(own) :]
        inputs = [replace(s, shape=o.at(point)) for s, o in zip(own, opened.inputs, strict=True)]
        outputs = [
            replace(s, shape=o.at(point)) for s, o in zip(given, opened.outputs, strict=True)
        ]
        sized = replace(self.manifest, inputs=(*inputs, *scalars), outputs=tuple(outputs))
        return replace(self, manifest=sized)

    def objects(self) -> list[RenamedObject]:
        """The bodies under their own symbols."""
        return [
            RenamedObject(code, {"tk_body": version.body, "tk_parallel_for": SHARE_SYMBOL})
            for code, version in zip(self.codes, self.versions, strict=True)
        ]

    def data(self) -> list[DataSymbol]:
        """The constants, if there are any, to be embedded."""
        if not self.manifest.constants_bytes:
            return []
        return [DataSymbol(self.constants_symbol, self.constants.data)]


def combine(name: str, pairs: Versions) -> Part:
    """Puts versions in the order of their levels; equal constants are stored once.

    ArtifactError for versions of different models or twice of one level.
    """
    for compiled, _ in pairs:
        if compiled.constants.nbytes != compiled.manifest.constants_bytes:
            raise ArtifactError(
                f"model {compiled.manifest.model!r}: constants differ in size from its manifest"
            )
    body = f"tk_body_{name}"
    if len(pairs) == 1:
        ((compiled, target),) = pairs
        code, manifest = compiled.object_code, compiled.manifest
        version = Version(body, 0, 0)
        return Part(name, manifest, (code,), (version,), (), compiled.constants, target)
    pairs = sorted(pairs, key=lambda pair: level_of(pair[1]))
    levels = [level_of(target) for _, target in pairs]
    first, last = pairs[0][0].manifest, pairs[-1][0].manifest
    signatures = {(c.manifest.inputs, c.manifest.outputs) for c, _ in pairs}
    if len(set(levels)) < len(levels) or len(signatures) > 1:
        raise ArtifactError(
            f"model {first.model!r}: versions must be of one model and of different levels"
        )
    blob, places = join_constants([compiled.constants for compiled, _ in pairs])
    workspace = max(compiled.manifest.workspace_bytes for compiled, _ in pairs)
    manifest = replace(
        first,
        sizes=widest([compiled.manifest.sizes for compiled, _ in pairs]),
        workspace_bytes=workspace,
        constants_bytes=blob.nbytes,
        kernels=last.kernels,
        peak_bytes=first.peak_bytes - first.workspace_bytes - first.constants_bytes
        + workspace + blob.nbytes,
    )  # fmt: skip
    return Part(
        name,
        manifest,
        tuple(compiled.object_code for compiled, _ in pairs),
        tuple(
            Version(f"{body}_v{level}", level, place)
            for level, place in zip(levels, places, strict=True)
        ),
        tuple(
            VersionInfo(target.name, target.cpu, target.features, m.workspace_bytes, m.kernels)
            for m, target in ((compiled.manifest, target) for compiled, target in pairs)
        ),
        blob,
        pairs[0][1],
    )


def join_constants(
    blobs: Sequence[npt.NDArray[np.uint8]],
) -> tuple[npt.NDArray[np.uint8], list[int]]:
    """The distinct blobs one after the other, each at a multiple of 64, and where each is."""
    distinct: list[npt.NDArray[np.uint8]] = []
    numbers: list[int] = []
    for blob in blobs:
        same = [k for k, other in enumerate(distinct) if np.array_equal(blob, other)]
        numbers.append(same[0] if same else len(distinct))
        if not same:
            distinct.append(blob)
    sizes = [-(-blob.nbytes // 64) * 64 for blob in distinct]
    starts = [0, *itertools.accumulate(sizes)]
    if len(distinct) == 1:
        return distinct[0], [0] * len(blobs)
    joined = aligned_bytes(starts[-1])
    joined[:] = 0
    for blob, start in zip(distinct, starts, strict=False):
        joined[start : start + blob.nbytes] = blob
    return joined, [starts[number] for number in numbers]
