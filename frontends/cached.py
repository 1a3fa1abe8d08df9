"""ONNX models compiled through the cache: of a known file nothing but its digest is made."""

from __future__ import annotations

import hashlib
import mmap
import os
from collections.abc import Callable, Collection
from pathlib import Path

from onnx import ModelProto

from tensorkiln.compiler.cache import Cache
from tensorkiln.compiler.cache_key import content_key
from tensorkiln.compiler.dump import Dump
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.open_pipeline import compile_open
from tensorkiln.compiler.pipeline import compile_function, compile_made
from tensorkiln.frontends.onnx import import_model
from tensorkiln.frontends.onnx.load import Loaded, Source, load_model
from tensorkiln.frontends.open_dims import Dims, plain_dims
from tensorkiln.runtime.compiled import Compiled

# The key "location" as protobuf writes it (onnx.proto: StringStringEntryProto, field 1). Where a
# file does not have it, no tensor is kept outside of the file.
_LOCATION = b"\x0a\x08location"


def compile_onnx(
    source: Source,
    target: Target,
    *,
    dims: Dims | None = None,
    name: str = "main",
    cache: Cache | None = None,
    dump: Dump | None = None,
    tell: Callable[[str], None] = lambda step: None,
    without: Collection[str] = (),
) -> Compiled:
    """The ONNX model compiled for `target`, taken from `cache` where it is there.

    `tell` is called with what is done next, passes in `without` are not run; the rest and the errors are as in `import_model` and
    `compile_function`.
    """
    dump = dump or Dump.from_environment(name)
    key = None
    if cache is not None and dump.folder is None:
        tell("looking into the cache")
        key = model_key(source, target, dims or {}, name, without)
        found = None if key is None else cache.load(key)
        if found is not None:
            return found
    sizes = plain_dims(dims)
    if sizes.symbols:
        tell("reading the model")
        loaded = Loaded(*load_model(source))
        tell("compiling for ranges of sizes")
        compiled = compile_open(
            lambda point: import_model(loaded, dims=sizes.at(point), name=name),
            sizes.symbols, target, cache if key is None else None, without,
        )  # fmt: skip
        if key is not None and cache is not None:
            cache.store(key, compiled)
        return compiled
    tell("reading the model")
    if cache is not None and key is None:
        function = import_model(source, dims=sizes.at({}), name=name)
        tell("compiling")
        return compile_function(function, target, dump, cache, without)

    def make() -> Function:
        function = import_model(source, dims=sizes.at({}), name=name)
        tell("compiling")
        return function

    compiled = compile_made(make, target, dump, without)
    if cache is not None and key is not None:
        cache.store(key, compiled)
    return compiled


def model_key(
    source: Source, target: Target, dims: Dims, name: str, without: Collection[str] = ()
) -> str | None:
    """The cache key of a model in one file or in bytes; None where its content is not all there.

    That is so for a ModelProto, a file that cannot be read, and tensors kept in other files.
    """
    if isinstance(source, ModelProto | Loaded):
        return None
    options = (sorted(dims.items()), name, sorted(without))
    if isinstance(source, bytes):
        return _key(source, target, options)
    try:
        with Path(source).open("rb") as file:
            if not os.fstat(file.fileno()).st_size:
                return None
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return _key(content, target, options)
    except (OSError, ValueError):  # import_model tells what is wrong
        return None


def _key(content: bytes | mmap.mmap, target: Target, options: object) -> str | None:
    if content.find(_LOCATION) >= 0:
        return None
    return content_key(hashlib.sha256(content).hexdigest(), options, target)
