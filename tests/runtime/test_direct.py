"""Calls without ctypes: what they take, what they leave to the careful way, what they own."""

from __future__ import annotations

import ctypes
import sys
import threading
import time

import ml_dtypes
import numpy as np
import pytest
from artifacts.bodies import affine, affine_expected, counter

from tensorkiln.compiler.ir.parse import parse_function
from tensorkiln.compiler.pipeline import jit
from tensorkiln.runtime import direct
from tensorkiln.runtime.elements import ELEMENTS
from tensorkiln.runtime.errors import FeedError, TensorKilnError
from tensorkiln.runtime.executable import Executable
from tensorkiln.runtime.jit import load_compiled


@pytest.fixture(scope="module")
def exe() -> Executable:
    return load_compiled(affine(), threads=1)


def compiled_text(text: str) -> Executable:
    return jit(parse_function(text), threads=1)


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(1).random(1000, np.float32)


def test_arrays_that_fit_are_taken_as_they_are(exe: Executable, x: np.ndarray) -> None:
    calls = exe.frame().direct
    assert calls is not None
    frozen = x.copy()
    frozen.flags.writeable = False
    for array in (x, frozen):
        (y,) = calls.arrays(array)
        np.testing.assert_array_equal(y, affine_expected(x))
        assert type(y) is np.ndarray
        assert y.flags.owndata
    target = np.zeros_like(x)
    assert calls.arrays(x, target) == 0
    np.testing.assert_array_equal(target, affine_expected(x))


def test_what_does_not_fit_is_left_alone(exe: Executable, x: np.ndarray) -> None:
    calls = exe.frame().direct
    assert calls is not None
    wide = np.zeros((1000, 2), np.float32)
    odd = np.zeros(4001, np.uint8)[1:].view(np.float32)
    swapped = x.astype(">f4")
    refused = [
        wide[:, 0], odd, swapped, x[:999], x.reshape(1, 1000), x.view(np.memmap),
        x.astype(np.float64), x.view(np.int32), x.tolist(), None, np.float32(1), memoryview(x),
    ]  # fmt: skip
    for value in refused:
        assert calls.arrays(value) is None, value
    target = np.full_like(x, 7)
    frozen = target.copy()
    frozen.flags.writeable = False
    for wrong in (frozen, wide[:, 1], x, x[:], None):
        assert calls.arrays(x, wrong) is None
    assert calls.arrays() is None
    assert calls.arrays(x, target, target) is None
    assert (target == 7).all()


def test_the_careful_way_takes_over(exe: Executable, x: np.ndarray) -> None:
    expected = affine_expected(x)
    odd = np.zeros(4001, np.uint8)[1:].view(np.float32)
    odd[:] = x
    np.testing.assert_array_equal(exe(odd)[0], expected)
    np.testing.assert_array_equal(exe(x.view(np.memmap))[0], expected)
    with pytest.raises(FeedError, match="shape"):
        exe(x[:999])
    with pytest.raises(FeedError, match="shares memory"):
        exe.run_into([x], [x])


@pytest.mark.parametrize("name", [*ELEMENTS])
@pytest.mark.parametrize("shape", [(), (0, 3), (1,), (2, 3, 5)])
def test_every_dtype(name: str, shape: tuple[int, ...]) -> None:
    kind, turned_kind = (f"{name}[{','.join(map(str, dims))}]" for dims in (shape, shape[::-1]))
    dims = f"({', '.join(map(str, shape[::-1]))})"
    exe = compiled_text(
        f"func @main(%x: {kind}) -> ({turned_kind}, {kind}) {{\n"
        f"  %y: {turned_kind} = reshape(%x) {{shape = {dims}}}\n  return %y, %x\n}}"
    )
    dtype = ELEMENTS[name].numpy
    array = np.random.default_rng(3).integers(0, 2, shape).astype(dtype)
    calls = exe.frame().direct
    assert calls is not None
    made = calls.arrays(array)
    assert isinstance(made, list)
    for result, wanted in zip(made, (array.reshape(shape[::-1]), array), strict=True):
        assert result.dtype == dtype
        assert result.shape == wanted.shape
        assert result.tobytes() == wanted.tobytes()


def test_references_stay_in_balance(exe: Executable, x: np.ndarray) -> None:
    target = np.empty_like(x)
    dtype = x.dtype

    def counts() -> list[int]:
        return [sys.getrefcount(item) for item in (x, target, dtype, None)]

    def work() -> None:
        for _ in range(200):
            exe(x)
            exe.run_into([x], [target])
            exe.frame().bind(0, x)
            with pytest.raises(FeedError):
                exe(x[:3])

    work()
    before = counts()
    work()
    after = counts()
    assert all(abs(b - a) < 50 for a, b in zip(before, after, strict=True)), (before, after)


def test_functions_keep_what_they_need(x: np.ndarray) -> None:
    calls = load_compiled(affine(), threads=1).frame().direct
    assert calls is not None
    bind, call, arrays = calls.bind, calls.call, calls.arrays
    del calls
    y = np.empty_like(x)
    assert bind(0, x) == 1
    assert bind(1, y) == 1
    assert call() == 0
    np.testing.assert_array_equal(y, affine_expected(x))
    np.testing.assert_array_equal(arrays(x)[0], y)


def test_bind_refuses_what_is_no_place_or_no_array(exe: Executable, x: np.ndarray) -> None:
    frame = exe.frame()
    assert frame.direct is not None
    assert [frame.direct.bind(k, x) for k in (-1, 0, 1, 2, 1 << 40)] == [0, 1, 1, 0, 0]
    assert frame.direct.bind(0, [1.0]) == 0
    with pytest.raises((TypeError, SystemError)):
        frame.direct.bind("0", x)  # type: ignore[arg-type]
    frame.bind(0, x.view(np.memmap))
    assert frame.pointers[0] == x.ctypes.data


def test_a_failed_call_is_an_error(exe: Executable, x: np.ndarray) -> None:
    x[0] = -1
    calls = exe.frame().direct
    assert calls is not None
    assert calls.arrays(x) == 77
    assert calls.arrays(x, np.empty_like(x)) == 77
    for call in (lambda: exe(x), lambda: exe.run_into([x], [np.empty_like(x)])):
        with pytest.raises(TensorKilnError, match=r"affine.*status 77"):
            call()


def test_other_threads_run_during_a_call(exe: Executable) -> None:
    # The C library's usleep in the place of a compiled function: its argument is the first pointer.
    sleep = ctypes.cast(ctypes.CDLL(None).usleep, ctypes.c_void_p).value
    assert sleep is not None
    pointers = (ctypes.c_void_p * 2)()
    model = direct.direct_model(exe.manifest)
    calls = direct.direct_calls(sleep, (300_000, 0, 0), ctypes.c_int32(1), pointers, model, ())
    assert calls is not None
    woken = []
    other = threading.Timer(0.05, lambda: woken.append(time.monotonic()))
    other.start()
    assert calls.call() == 0
    ended = time.monotonic()
    other.join()
    assert woken[0] < ended


@pytest.mark.parametrize("model", ["affine", "counter"])
def test_ctypes_where_the_interpreter_is_another(
    monkeypatch: pytest.MonkeyPatch, x: np.ndarray, model: str
) -> None:
    monkeypatch.setattr(direct, "_methods", lambda: None)
    if model == "affine":
        exe = load_compiled(affine(), threads=1)
        assert exe.frame().direct is None
        target = np.empty_like(x)
        exe.run_into([x], [target])
        for y in (*exe(x), *exe.run({"x:0": x}), target):
            np.testing.assert_array_equal(y, affine_expected(x))
        return
    exe = load_compiled(counter(), threads=1)
    ones = np.ones((2, 2), np.int64)
    state, twice = exe.run({"x": ones, "state": ones})
    np.testing.assert_array_equal(state, ones + 1)
    np.testing.assert_array_equal(twice, ones * 2)


def test_dtypes_that_are_equal_but_not_the_same() -> None:
    assert np.dtype(ml_dtypes.bfloat16) is ELEMENTS["bf16"].numpy
    longlong = np.dtype("q")
    run = compiled_text("func @main(%x: i64[3]) -> (i64[3]) {\n  return %x\n}")
    np.testing.assert_array_equal(run(np.arange(3, dtype=longlong))[0], [0, 1, 2])
