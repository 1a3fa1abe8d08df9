"""Input arrays from files or at random, and output arrays to files."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from zipfile import BadZipFile, ZipFile

import numpy as np
import numpy.typing as npt

from tensorkiln.runtime.errors import FeedError
from tensorkiln.runtime.manifest import TensorSpec

Array = npt.NDArray[Any]


def read_inputs(
    specs: Sequence[TensorSpec], files: Sequence[str], named: Mapping[str, str], seed: int
) -> dict[str, Array]:
    """An array for each input: from .npz files by name, from .npy files in order (`files`) or by
    name (`named`), and random values of the right type for inputs that no file gives.

    FeedError names the file or input that does not fit.
    """
    found: dict[str, Array] = {name: _read(path) for name, path in named.items()}
    in_order: list[Array] = []
    for path in files:
        if path.endswith(".npz"):
            found.update(_read_archive(path))
        else:
            in_order.append(_read(path))
    free = [spec.name for spec in specs if spec.name not in found]
    if len(in_order) > len(free):
        raise FeedError(f"{len(in_order)} .npy files for {len(free)} inputs without a value")
    found.update(zip(free, in_order, strict=False))
    unknown = [name for name in found if name not in {spec.name for spec in specs}]
    if unknown:
        has = ", ".join(spec.name for spec in specs) or "none"
        raise FeedError(f"the model has no input {', '.join(unknown)}; its inputs are {has}")
    generator = np.random.default_rng(seed)
    return {
        spec.name: _typed(found[spec.name], spec) if spec.name in found else draw(spec, generator)
        for spec in specs
    }


def draw(spec: TensorSpec, generator: np.random.Generator) -> Array:
    """Random values: normal floats, integers from 0 to 9, bools."""
    kind = spec.numpy.kind
    if kind == "b":
        return generator.integers(0, 2, spec.shape).astype(np.bool_)
    if kind in "iu":
        return generator.integers(0, 10, spec.shape).astype(spec.numpy)
    values = generator.standard_normal(spec.shape, np.float32)
    if kind == "c":
        return (values + 1j * generator.standard_normal(spec.shape)).astype(spec.numpy)
    return values.astype(spec.numpy)


def write_outputs(path: Path, arrays: Mapping[str, Array]) -> None:
    """Writes all arrays to an .npz file, or the only one to an .npy file, whole or not at all."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with part.open("xb") as file:
            if path.suffix == ".npz":
                write_archive(file, arrays)
            else:
                (array,) = arrays.values()
                np.save(file, array)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_archive(file: IO[bytes], arrays: Mapping[str, Array]) -> None:
    """Writes an .npz file; `numpy.savez` cannot have arrays called "file" or "allow_pickle"."""
    with ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _typed(array: Array, spec: TensorSpec) -> Array:
    """The array; numpy files know no bfloat16 and its like, which come back as raw bytes."""
    if array.dtype.kind == "V" and array.dtype.itemsize == spec.numpy.itemsize:
        return array.view(spec.numpy)
    return array


def _read(path: str) -> Array:
    with _reading(path):
        loaded = np.load(path, allow_pickle=False)
    if not isinstance(loaded, np.ndarray):
        raise FeedError(f"{path} holds several arrays; give it as FILE.npz, without a name")
    return loaded


def _read_archive(path: str) -> dict[str, Array]:
    with _reading(path):
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            raise FeedError(f"{path} holds one array without a name; call it FILE.npy")
        with loaded:
            return {name: loaded[name] for name in loaded.files}


@contextmanager
def _reading(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FeedError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, EOFError, BadZipFile, KeyError) as error:
        # Of any other file numpy says that its pickles could be loaded unsafely: not here.
        why = "" if "pickle" in str(error) else f": {error}"
        hint = "; arrays of Python objects are not read" if "Object arrays" in str(error) else ""
        raise FeedError(f"{path} is no file of numpy arrays, or damaged{why}{hint}") from None
