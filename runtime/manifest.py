"""What an artifact says of itself: inputs, outputs, memory, cost, kernels, machine.

A manifest travels inside of artifacts that come from strangers, so `Manifest.from_json` believes
nothing: unknown or missing fields, wrong types and impossible sizes are ArtifactErrors.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace

import numpy as np

from tensorkiln.runtime.elements import ELEMENTS
from tensorkiln.runtime.errors import ArtifactError
from tensorkiln.runtime.fields import LARGEST, Fields, JsonText, parse_fields
from tensorkiln.runtime.open_sizes import (
    Extent,
    OpenShape,
    OpenSizes,
    PartInfo,
    Product,
    Quotient,
    SizeRange,
)

VERSION = 5


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """An input or output: name, static shape, dtype name ("f32"), and aliasing.

    `alias`, on an output only, is the position of the input whose buffer the output is written to.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    alias: int | None = None

    @property
    def numpy(self) -> np.dtype[np.generic]:
        """The numpy dtype of the elements."""
        return ELEMENTS[self.dtype].numpy

    @property
    def bytes(self) -> int:
        """Size of the dense row-major buffer, in bytes."""
        return math.prod(self.shape) * self.numpy.itemsize

    def __str__(self) -> str:
        return f"{self.dtype}[{','.join(map(str, self.shape))}]"


@dataclass(frozen=True, slots=True)
class KernelInfo:
    """One kernel: its name, the user's nodes it computes, and its work per call."""

    name: str
    nodes: tuple[str, ...]
    flops: int
    bytes: int


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """The code for one instruction set of several in an artifact, and its kernels."""

    name: str
    cpu: str
    features: str
    workspace_bytes: int
    kernels: tuple[KernelInfo, ...]


@dataclass(frozen=True, slots=True)
class ArtifactInfo:
    """What only a file has: the prefix of its C names, its weights, its instruction sets.

    `weights` is the file name (no folder) of the side file, None where weights are embedded;
    `fingerprint` is the hexadecimal digest of the constants. `versions` is empty where there is
    code for one instruction set only; else the lowest is first, which the manifest's `features`
    describe. `self_test` tells that there are test vectors.
    """

    prefix: str
    weights: str | None
    fingerprint: str
    versions: tuple[VersionInfo, ...] = ()
    self_test: bool = False


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is known of a compiled model.

    Sizes are in bytes; `flops` and `bytes` are the work and the memory traffic of one call;
    `peak_bytes` is everything a call needs: inputs, outputs, constants and workspace. `features`
    is LLVM's list of instruction-set features that the code was made for. Where `sizes` is given, the
    shapes are capacities, and the last inputs are i32 scalars with the sizes of the call.
    """

    model: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    workspace_bytes: int
    constants_bytes: int
    triple: str
    cpu: str
    features: str
    flops: int
    bytes: int
    peak_bytes: int
    kernels: tuple[KernelInfo, ...]
    compiler: str
    artifact: ArtifactInfo | None = None
    sizes: OpenSizes | None = None

    def to_json(self) -> str:
        """The manifest as JSON text, which `from_json` reads back."""
        return json.dumps({"version": VERSION, **asdict(self)}, separators=(",", ":"))

    @staticmethod
    def from_json(text: JsonText, source: str = "manifest") -> Manifest:
        """The manifest in `text`; `source` names the file in errors (ArtifactError)."""
        return manifest_from(parse_fields(text, source))


def manifest_from(reader: Fields) -> Manifest:
    """The manifest in `reader`, checked; ArtifactError names the field that is wrong."""
    version = reader.count("version")
    if version != VERSION:
        raise ArtifactError(
            f"{reader.where}: its manifest has version {version}, this TensorKiln reads {VERSION};"
            " compile the model again or install the TensorKiln that made it"
        )
    inputs = tuple(tensor_from(item) for item in reader.objects("inputs"))
    outputs = tuple(tensor_from(item) for item in reader.objects("outputs"))
    _check_names(reader.where, inputs, outputs)
    _check_aliases(reader.where, inputs, outputs)
    artifact = reader.optional_object("artifact")
    sizes = reader.optional_object("sizes")
    manifest = Manifest(
        model=reader.text("model"),
        inputs=inputs,
        outputs=outputs,
        workspace_bytes=reader.size("workspace_bytes"),
        constants_bytes=reader.size("constants_bytes"),
        triple=reader.text("triple"),
        cpu=reader.text("cpu"),
        features=reader.text("features"),
        flops=reader.count("flops"),
        bytes=reader.count("bytes"),
        peak_bytes=reader.count("peak_bytes"),
        kernels=tuple(_read_kernel(item) for item in reader.objects("kernels")),
        compiler=reader.text("compiler"),
        artifact=None if artifact is None else _read_artifact(artifact),
        sizes=None if sizes is None else _read_sizes(sizes),
    )
    reader.end()
    return manifest


def tensor_from(reader: Fields) -> TensorSpec:
    """A tensor in `reader`."""
    spec = TensorSpec(
        name=reader.text("name"),
        shape=reader.counts("shape"),
        dtype=reader.text("dtype"),
        alias=reader.optional_count("alias"),
    )
    reader.end()
    if spec.dtype not in ELEMENTS:
        raise reader.fail("dtype", f"one of {', '.join(ELEMENTS)}")
    if len(spec.shape) > 64 or spec.bytes >= LARGEST:
        raise reader.fail("shape", "a possible shape")
    return spec


def _read_kernel(reader: Fields) -> KernelInfo:
    kernel = KernelInfo(
        name=reader.text("name"),
        nodes=reader.texts("nodes"),
        flops=reader.count("flops"),
        bytes=reader.count("bytes"),
    )
    reader.end()
    return kernel


def _read_version(reader: Fields) -> VersionInfo:
    version = VersionInfo(
        name=reader.text("name"),
        cpu=reader.text("cpu"),
        features=reader.text("features"),
        workspace_bytes=reader.size("workspace_bytes"),
        kernels=tuple(_read_kernel(item) for item in reader.objects("kernels")),
    )
    reader.end()
    return version


def _read_artifact(reader: Fields) -> ArtifactInfo:
    info = ArtifactInfo(
        prefix=reader.text("prefix"),
        weights=reader.optional_text("weights"),
        fingerprint=reader.text("fingerprint"),
        versions=tuple(_read_version(item) for item in reader.objects("versions")),
        self_test=reader.flag("self_test"),
    )
    reader.end()
    if not (info.prefix.isidentifier() and info.prefix.isascii()):
        raise reader.fail("prefix", "a C identifier")
    # the side file lies beside the artifact and nowhere else
    if info.weights is not None and (
        "/" in info.weights or "\0" in info.weights or info.weights in ("", ".", "..")
    ):
        raise reader.fail("weights", "a file name without a folder")
    return info


def _read_sizes(reader: Fields) -> OpenSizes:
    sizes = OpenSizes(
        ranges=tuple(_read_range(item) for item in reader.objects("ranges")),
        inputs=tuple(_read_shape(item) for item in reader.objects("inputs")),
        outputs=tuple(_read_shape(item) for item in reader.objects("outputs")),
        parts=tuple(_read_part(item) for item in reader.objects("parts")),
    )
    reader.end()
    names = {size.name for size in sizes.ranges}
    used = {
        name
        for shape in (*sizes.inputs, *sizes.outputs)
        for dim in shape.dims
        for extent in dim
        for name in extent.names
    }
    if len(names) != len(sizes.ranges) or not used <= names:
        raise reader.fail("ranges", "a list of the sizes that the shapes use")
    return sizes


def _read_range(reader: Fields) -> SizeRange:
    size = SizeRange(reader.text("name"), reader.count("minimum"), reader.count("maximum"))
    reader.end()
    if size.maximum < size.minimum:
        raise reader.fail("maximum", "at least the minimum")
    return size


def _read_part(reader: Fields) -> PartInfo:
    ranges = tuple(_read_range(item) for item in reader.objects("ranges"))
    part = PartInfo(ranges, reader.size("workspace_bytes"))
    reader.end()
    return part


def _read_shape(reader: Fields) -> OpenShape:
    dims = reader.lists("dims")
    reader.end()
    return OpenShape(tuple(tuple(map(_read_extent, dim)) for dim in dims))


def _read_extent(reader: Fields) -> Extent:
    products = tuple(map(_read_product, reader.objects("products")))
    return replace(_read_rounded(reader), products=products)


def _read_rounded(reader: Fields) -> Extent:
    quotients = tuple(map(_read_quotient, reader.objects("quotients")))
    return replace(_read_affine(reader), quotients=quotients)


def _read_affine(reader: Fields) -> Extent:
    terms = tuple((item.text("0"), item.integer("1")) for item in reader.pairs("terms"))
    extent = Extent(terms, reader.integer("constant"))
    reader.end()
    return extent


def _read_product(reader: Fields) -> Product:
    factors = []
    for inner in reader.objects("factors"):
        _read_none(inner, "products")
        factors.append(_read_rounded(inner))
    found = Product(reader.integer("coefficient"), tuple(factors))
    reader.end()
    return found


def _read_none(reader: Fields, key: str) -> None:
    if reader.objects(key):
        raise reader.fail(key, "an empty list")


def _read_quotient(reader: Fields) -> Quotient:
    inner = reader.object("over")
    _read_none(inner, "quotients")
    _read_none(inner, "products")
    over = _read_affine(inner)
    found = Quotient(reader.integer("coefficient"), over, reader.integer("divisor"))
    reader.end()
    if found.divisor < 1:
        raise reader.fail("divisor", "a positive integer")
    return found


def _check_names(
    where: str, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]
) -> None:
    for kind, specs in (("inputs", inputs), ("outputs", outputs)):
        if len({spec.name for spec in specs}) != len(specs):
            raise ArtifactError(f"{where}: two {kind} in the manifest have the same name")


def _check_aliases(
    where: str, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]
) -> None:
    if any(spec.alias is not None for spec in inputs):
        raise ArtifactError(f"{where}: an input in the manifest has an alias; only outputs can")
    aliases = [spec.alias for spec in outputs if spec.alias is not None]
    if len(set(aliases)) != len(aliases):
        raise ArtifactError(f"{where}: two outputs in the manifest alias one input")
    for spec in outputs:
        if spec.alias is None:
            continue
        if spec.alias >= len(inputs):
            raise ArtifactError(f"{where}: output {spec.name!r} aliases an input that is not there")
        source = inputs[spec.alias]
        if (source.shape, source.dtype) != (spec.shape, spec.dtype):
            raise ArtifactError(
                f"{where}: output {spec.name!r} ({spec}) aliases input {source.name!r} ({source})"
            )
