"""Models for ranges of sizes: code for each part of the range, joined to one body."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tensorkiln.compiler.cache import Cache
from tensorkiln.compiler.cache_key import content_key, function_key
from tensorkiln.compiler.codegen.open_body import PartCode, open_body
from tensorkiln.compiler.dump import Dump
from tensorkiln.compiler.ir.dims import Symbol
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.lower.constants import Constants
from tensorkiln.compiler.pipeline import generate, lower, passes_without
from tensorkiln.compiler.sizes.bound import Bounded, bound
from tensorkiln.compiler.sizes.model import open_sizes
from tensorkiln.compiler.sizes.ranges import TILE, Part, parts
from tensorkiln.compiler.sizes.samples import Make
from tensorkiln.runtime.compiled import Compiled
from tensorkiln.runtime.errors import ModelError, TensorKilnError, UnsupportedError
from tensorkiln.runtime.manifest import TensorSpec
from tensorkiln.runtime.open_sizes import OpenShape, OpenSizes, PartInfo, SizeRange

LARGEST = 1 << 20  # of an open size


def compile_open(
    make: Make,
    symbols: Sequence[Symbol],
    target: Target,
    cache: Cache | None = None,
    without: Collection[str] = (),
) -> Compiled:
    """Machine code for the model that `make` builds for given sizes, for all in the ranges.

    Passes named in `without` are not run. UnsupportedError names what depends on the sizes in a way that cannot be compiled.
    """
    check_symbols(symbols)
    if target.architecture == "wasm32":
        raise UnsupportedError("objects for wasm32 are of one size; give each dim one size")
    tops = {s.name: s.maximum or s.minimum for s in symbols}
    whole = _roomy(make, symbols, tops)
    pieces = [_piece(make, symbols, part, whole) for part in parts(symbols)]
    key = ""
    if cache is not None and not any(piece.dump.folder for piece in pieces):
        keys = [function_key(piece.function, target, without) for piece in pieces]
        key = content_key(" ".join(keys), [piece.sizes for piece in pieces], target)
        found = cache.load(key)
        if found is not None:
            return found
    constants = Constants()
    made = [_compile_piece(piece, constants, target, without) for piece in pieces]
    compiled = _joined(symbols, whole, pieces, made, constants.blob(), target)
    if cache is not None and key:
        cache.store(key, compiled)
    return compiled


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of the ranges and the function for it, with no open sizes if `bounded` is None."""

    part: Part
    function: Function
    bounded: Bounded | None
    dump: Dump

    @property
    def sizes(self) -> OpenSizes | None:
        """Shapes by the sizes that are open in it."""
        return None if self.bounded is None else open_sizes(self.bounded, self.part)

    @property
    def arguments(self) -> tuple[str, ...]:
        """The names of the sizes that its code takes."""
        return () if self.bounded is None else tuple(s.name for s in self.bounded.symbols)


def _joined(
    symbols: Sequence[Symbol],
    whole: Bounded,
    pieces: Sequence[_Piece],
    made: Sequence[Compiled],
    constants: NDArray[np.uint8],
    target: Target,
) -> Compiled:
    """One model of the code for all pieces, which read the same constants."""
    codes = [
        PartCode(code.object_code, piece.part, piece.arguments)
        for piece, code in zip(pieces, made, strict=True)
    ]
    own = len(whole.inputs)
    names = [s.name for s in symbols]
    body = open_body(codes, names, own, len(whole.outputs), target)
    infos = tuple(
        PartInfo(_ranges(symbols, piece.part), code.manifest.workspace_bytes)
        for piece, code in zip(pieces, made, strict=True)
    )
    tops = {s.name: s.maximum or s.minimum for s in symbols}
    ranges = {s.name: (s.minimum, tops[s.name]) for s in symbols}
    sizes = replace(open_sizes(whole, ranges), parts=infos)
    last = made[-1].manifest
    workspace = max(code.manifest.workspace_bytes for code in made)
    scalars = tuple(TensorSpec(f"size.{name}", (), "i32") for name in names)
    manifest = replace(
        last,
        model=whole.function.name,
        inputs=(*_specs(last.inputs[:own], sizes.inputs, tops), *scalars),
        outputs=_specs(last.outputs, sizes.outputs, tops),
        workspace_bytes=workspace,
        constants_bytes=constants.nbytes,
        peak_bytes=last.peak_bytes - last.workspace_bytes + workspace + constants.nbytes,
        sizes=sizes,
    )
    return Compiled(manifest, body, constants)


def _specs(
    specs: Sequence[TensorSpec], shapes: Sequence[OpenShape], sizes: Mapping[str, int]
) -> tuple[TensorSpec, ...]:
    """What a part says of its arrays, at these sizes."""
    return tuple(
        replace(spec, shape=shape.at(sizes)) for spec, shape in zip(specs, shapes, strict=True)
    )


def _ranges(symbols: Sequence[Symbol], part: Part) -> tuple[SizeRange, ...]:
    return tuple(SizeRange(s.name, *part[s.name]) for s in symbols)


def check_symbols(symbols: Sequence[Symbol]) -> None:
    """ModelError for a range that is empty, has no end, or is too large."""
    for symbol in symbols:
        if symbol.maximum is None or not 0 <= symbol.minimum <= symbol.maximum <= LARGEST:
            top = "" if symbol.maximum is None else symbol.maximum
            raise ModelError(
                f"dim {symbol.name} is given the range {symbol.minimum}..{top}; its ends must be"
                f" from 0 to {LARGEST}, the first not above the second"
            )


def _refusing(make: Make) -> Make:
    """`make`, whose errors of any kind say that the model has no form for a size."""

    def made(point: Mapping[str, int]) -> Function:
        try:
            return make(point)
        except Exception as error:
            raise UnsupportedError(f"the model has no form for {dict(point)}: {error}") from error

    return made


def _roomy(make: Make, symbols: Sequence[Symbol], tops: Mapping[str, int]) -> Bounded:
    """The model at capacities of whole register tiles, which can be shared out evenly.

    Where it has no form for such sizes, which nobody asks for, capacities are `tops`.
    """
    roomy = {name: -(-top // TILE) * TILE if top > TILE else top for name, top in tops.items()}
    if roomy != tops:
        with suppress(TensorKilnError):
            return bound(_refusing(make), symbols, roomy)
    return bound(make, symbols, tops)


def _piece(make: Make, symbols: Sequence[Symbol], part: Part, whole: Bounded) -> _Piece:
    """The function for a part of the ranges, at its capacities."""
    capacities = {name: high for name, (_, high) in part.items()}
    opened = [s for s in symbols if part[s.name][0] < part[s.name][1]]
    fixed = {n: high for n, high in capacities.items() if n not in {s.name for s in opened}}
    bounded: Bounded | None = None
    if not opened:
        function = make(capacities)
    else:
        if len(opened) == len(symbols) and all(part[s.name][1] == s.maximum for s in symbols):
            bounded = whole
        else:
            tops = {s.name: capacities[s.name] for s in opened}
            bounded = _roomy(lambda point: make({**fixed, **point}), opened, tops)
        bounded = replace(bounded, least={s.name: part[s.name][0] for s in opened})
        function = bounded.function
    name = "_".join([function.name, *(f"{s}{n}" for s, n in capacities.items())])
    return _Piece(part, function, bounded, Dump.from_environment(name))


def _compile_piece(
    piece: _Piece, constants: Constants, target: Target, without: Collection[str]
) -> Compiled:
    """The code of a part, whose constants lie in the pool."""
    stages = lower(
        piece.function, target, piece.dump, passes_without(without), bounded=piece.bounded,
        shared=constants,
    )  # fmt: skip
    return generate(piece.function, stages, target, piece.dump)
