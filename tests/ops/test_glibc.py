"""The logarithm, sine and cosine of random numbers against the C library's, bit by bit."""

from __future__ import annotations

import ctypes
import ctypes.util
import platform
import zlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dtypes import F32, F64, DType
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder, glibc_f32, glibc_f64
from tensorkiln.compiler.ops.formula import Formula
from tensorkiln.compiler.pipeline import jit

COUNT = 6007
MODULES: dict[DType, ModuleType] = {F32: glibc_f32, F64: glibc_f64}
RUNS = {"interpreted": evaluate, "compiled": lambda f, a: jit(f)(*a)}
DTYPES = pytest.mark.parametrize("dtype", [F32, F64], ids=str)


def three_functions(dtype: DType) -> Function:
    """log of the first operand, sine and cosine of the second."""
    builder, module = Builder(REGISTRY), MODULES[dtype]
    u, v = (builder.parameter(name, TensorType((COUNT,), dtype)) for name in "uv")
    turned = module.sine_and_cosine(Formula(builder, v))
    made = (module.log(Formula(builder, u)), *turned)
    return builder.finish([x.value for x in made])


def arguments(dtype: DType) -> list[NDArray[Any]]:
    """Uniform numbers with the ends of [1e-7, 1), and angles up to a turn with their edges."""
    drawn = np.random.default_rng(7).random((2, COUNT)).astype(dtype.numpy)
    epsilon = np.finfo(dtype.numpy).eps
    drawn[0, :6] = [1e-7, epsilon, 1 - epsilon, 0.5, 0.9375, 0.6875]
    drawn[1, :6] = [0, epsilon, 1 - epsilon, 0.25, 0.5, 0.125]
    angles = (drawn[1].astype(np.float64) * (2 * np.pi)).astype(dtype.numpy)
    edges = [0.126, 0.85546875, 2.426265, 0.7853981633974483, 2.356194490192345, 1.5707963267948966]
    angles[6 : 6 + len(edges)] = edges
    return [np.maximum(drawn[0], dtype.numpy.type(1e-7)), angles]


CHECKSUMS = {
    F32: (0xE48F314C, 0x5A15BC4B, 0x62321D13),
    F64: (0x096C1120, 0x77BA0AFC, 0xF40B5B64),
}


@DTYPES
@pytest.mark.parametrize("mode", RUNS)
def test_the_same_bits_on_every_machine_with_fused_multiply_adds(dtype: DType, mode: str) -> None:
    if mode == "compiled" and not target_named("host").has_fma:
        pytest.skip("this machine has no fused multiply-add")
    found = RUNS[mode](three_functions(dtype), arguments(dtype))
    assert tuple(zlib.crc32(np.ascontiguousarray(x).tobytes()) for x in found) == CHECKSUMS[dtype]


@DTYPES
def test_bits_are_the_c_librarys(dtype: DType) -> None:
    library, version = platform.libc_ver()
    if library != "glibc" or platform.machine() != "x86_64":
        pytest.skip("the C library is not GNU's for x86-64")
    if dtype == F64 and not _fuses():
        pytest.skip("the C library does not fuse multiply-adds on this processor")
    u, v = arguments(dtype)
    found = evaluate(three_functions(dtype), [u, v])
    expected = (by_c_library("log", u), by_c_library("sin", v), by_c_library("cos", v))
    for name, ours, theirs in zip(("log", "sin", "cos"), found, expected, strict=True):
        different = np.flatnonzero(ours != theirs)
        assert not different.size, f"{name} of glibc {version} at {different[:5]}"


def by_c_library(name: str, x: NDArray[Any]) -> NDArray[Any]:
    """`name` of each number; sine and cosine by `sincos`, as TensorFlow asks for them."""
    library = ctypes.CDLL(ctypes.util.find_library("m"))
    kind, suffix = (ctypes.c_float, "f") if x.dtype == np.float32 else (ctypes.c_double, "")
    if name == "log":
        log: Callable[[float], float] = getattr(library, "log" + suffix)
        log.argtypes, log.restype = [kind], kind  # type: ignore[attr-defined]
        return np.array([log(each) for each in x.tolist()], x.dtype)
    both = getattr(library, "sincos" + suffix)
    both.argtypes = [kind, ctypes.POINTER(kind), ctypes.POINTER(kind)]
    both.restype = None
    sine, cosine, found = kind(), kind(), []
    for each in x.tolist():
        both(each, ctypes.byref(sine), ctypes.byref(cosine))
        found.append((sine if name == "sin" else cosine).value)
    return np.array(found, x.dtype)


def _fuses() -> bool:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    flags = next(line for line in lines if line.startswith("flags")).split()
    return {"fma", "avx2"} <= set(flags)
