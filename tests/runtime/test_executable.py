"""Just-in-time executables: answers, feeds and their errors, donated state, threads, memory."""

from __future__ import annotations

import gc
import threading
from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest
from artifacts.bodies import affine, affine_expected, counter

from tensorkiln.runtime.errors import ArtifactError, FeedError, TensorKilnError
from tensorkiln.runtime.executable import Executable
from tensorkiln.runtime.feeds import address, conform
from tensorkiln.runtime.jit import load_compiled
from tensorkiln.runtime.manifest import TensorSpec


@pytest.fixture(scope="module")
def exe() -> Executable:
    return load_compiled(affine(), threads=2)


@pytest.fixture(scope="module")
def state_exe() -> Executable:
    return load_compiled(counter())


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(1).random(1000, np.float32)


def test_answers_are_the_same_for_every_thread_count(exe: Executable, x: np.ndarray) -> None:
    expected = affine_expected(x)
    assert exe.threads == 2
    for threads in (0, 1, 2, 3, 7):
        (y,) = exe.run({"x:0": x}, threads=threads)
        np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(exe(x)[0], expected)


def test_results_of_two_calls_are_different_arrays(exe: Executable, x: np.ndarray) -> None:
    first, second = exe(x)[0], exe(x + 1)[0]
    assert not np.shares_memory(first, second)
    np.testing.assert_array_equal(first, affine_expected(x))


def test_inputs_need_not_be_dense_or_writable(exe: Executable, x: np.ndarray) -> None:
    wide = np.zeros((1000, 3), np.float32)
    wide[:, 1] = x
    frozen = x.copy()
    frozen.flags.writeable = False
    for array in (wide[:, 1], frozen, x[::-1][::-1], x.view(np.memmap)):
        np.testing.assert_array_equal(exe(array)[0], affine_expected(x))
    np.testing.assert_array_equal(exe(list(x.astype(float)))[0], affine_expected(x))


@pytest.mark.parametrize(
    ("feeds", "words"),
    [
        ({}, "missing input 'x:0'"),
        ({"x": np.zeros(1000, np.float32)}, "unknown input 'x'"),
        ({"x:0": np.zeros(1000)}, r"input 'x:0' expects f32\[1000\].*float64.*astype"),
        ({"x:0": np.zeros(1000, ">f4")}, r"dtype >f4"),
        ({"x:0": np.zeros((10, 100), np.float32)}, r"'x:0' expects f32\[1000\].*\[10,100\]"),
        ({"x:0": "text"}, "'x:0' expects"),
        ({"x:0": None}, "'x:0' expects"),
    ],
)
def test_wrong_feeds_name_the_input(exe: Executable, feeds: dict[str, object], words: str) -> None:
    with pytest.raises(FeedError, match=words):
        exe.run(feeds)


def test_wrong_number_of_positional_inputs(exe: Executable, x: np.ndarray) -> None:
    with pytest.raises(FeedError, match=r"1 inputs \(x:0\), but 2"):
        exe(x, x)


def test_python_numbers_convert_where_nothing_is_lost() -> None:
    spec = TensorSpec("n", (2,), "i32")
    np.testing.assert_array_equal(conform(spec, [1, 2]), np.array([1, 2], np.int32))
    with pytest.raises(FeedError, match="'n'"):
        conform(spec, [1.5, 2.0])
    with pytest.raises(FeedError, match="'n'"):
        conform(spec, [2**40, 0])


def test_status_of_the_body_is_an_error_and_the_frame_is_reused(
    exe: Executable, x: np.ndarray
) -> None:
    with pytest.raises(TensorKilnError, match=r"affine: .*status 77"):
        exe.run({"x:0": -x})
    np.testing.assert_array_equal(exe(x)[0], affine_expected(x))


def test_run_into_writes_to_the_callers_arrays(exe: Executable, x: np.ndarray) -> None:
    y = np.zeros(1000, np.float32)
    exe.run_into([x], [y])
    np.testing.assert_array_equal(y, affine_expected(x))
    exe.run_into({"x:0": x + 1}, {"dense/y": y}, threads=3)
    np.testing.assert_array_equal(y, affine_expected(x + 1))


def test_run_into_refuses_what_it_cannot_write_to(exe: Executable, x: np.ndarray) -> None:
    frozen = np.zeros(1000, np.float32)
    frozen.flags.writeable = False
    for bad in (frozen, np.zeros(2000, np.float32)[::2], np.zeros(1000), [0.0] * 1000):
        with pytest.raises(FeedError, match="output 'dense/y'"):
            exe.run_into([x], [bad])  # type: ignore[list-item]
    both = np.zeros(1500, np.float32)
    with pytest.raises(FeedError, match="shares memory"):
        exe.run_into([both[:1000]], [both[500:]])
    with pytest.raises(FeedError, match="unknown output 'y'"):
        exe.run_into([x], {"y": x})
    with pytest.raises(FeedError, match="1 outputs"):
        exe.run_into([x], [])


def test_state_is_copied_unless_it_is_donated(state_exe: Executable) -> None:
    x, state = np.arange(4).reshape(2, 2), np.full((2, 2), 10)
    following, twice = state_exe.run({"x": x, "state": state})
    np.testing.assert_array_equal(following, [[10, 11], [12, 13]])
    np.testing.assert_array_equal(twice, x + x)
    assert (state == 10).all()
    following, twice = state_exe.run({"x": x, "state": state}, donate=True)
    assert following is state
    np.testing.assert_array_equal(state, [[10, 11], [12, 13]])
    np.testing.assert_array_equal(twice, x + x)
    assert (x == np.arange(4).reshape(2, 2)).all()


def test_donated_arrays_must_be_the_callers_own(state_exe: Executable) -> None:
    x = np.arange(4).reshape(2, 2)
    with pytest.raises(FeedError, match="donated input 'state'"):
        state_exe.run({"x": x, "state": [[1, 2], [3, 4]]}, donate=True)
    with pytest.raises(FeedError, match=r"donated input 'state'.*contiguous"):
        state_exe.run({"x": x, "state": np.zeros((2, 2), np.int64).T[::-1]}, donate=True)
    with pytest.raises(FeedError, match="shares memory"):
        state_exe.run({"x": x, "state": x}, donate=True)


def test_run_into_updates_state_in_place_or_elsewhere(state_exe: Executable) -> None:
    x, state = np.ones((2, 2), np.int64), np.zeros((2, 2), np.int64)
    twice, other = np.empty((2, 2), np.int64), np.empty((2, 2), np.int64)
    for step in range(3):
        state_exe.run_into([x, state], [state, twice])
        assert (state == step + 1).all()
    state_exe.run_into([x, state], [other, twice])
    assert (state == 3).all()
    assert (other == 4).all()


def test_frames_keep_their_pointers(state_exe: Executable) -> None:
    x, state, twice = (np.ones((2, 2), np.int64) for _ in range(3))
    frame = state_exe.frame()
    frame.set_pointers([address(x), address(state), address(state), address(twice)])
    for _ in range(5):
        frame.call()
    assert (state == 6).all()
    second = np.full((2, 2), 5)
    frame.pointers[0] = address(second)
    frame.call()
    assert (state == 11).all()
    assert (twice == 10).all()


def test_many_threads_may_call_at_once(exe: Executable) -> None:
    failures: list[int] = []

    def work(seed: int) -> None:
        x = np.random.default_rng(seed).random(1000, np.float32)
        for _ in range(50):
            if not np.array_equal(exe(x)[0], affine_expected(x)):
                failures.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(exe._frames) <= 4


def test_code_outlives_its_executable_in_frames_and_unloads_after(x: np.ndarray) -> None:
    compiled = affine()
    y = np.empty(1000, np.float32)
    for _ in range(20):
        frame = load_compiled(compiled).frame()
        gc.collect()
        frame.set_pointers([address(x), address(y)])
        frame.call()
        np.testing.assert_array_equal(y, affine_expected(x))


def test_cost_and_memory_come_from_the_manifest(exe: Executable) -> None:
    assert exe.cost().flops == 2000
    assert [kernel.nodes for kernel in exe.cost().kernels] == [("dense",)]
    memory = exe.memory()
    assert (memory.inputs, memory.outputs) == (4000, 4000)
    assert (memory.constants, memory.workspace, memory.peak) == (8000, 4000, 20000)
    assert str(exe.inputs[0]) == "f32[1000]"
    assert exe.outputs[0].name == "dense/y"


def test_code_for_another_machine_is_refused() -> None:
    with pytest.raises(ArtifactError, match="code for aarch64"):
        load_compiled(affine(target_name="aarch64"))


def test_missing_features_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = affine(target_name="x86-64")
    monkeypatch.setattr("tensorkiln.runtime.processor._processor_flags", lambda: {"fpu"})
    with pytest.raises(ArtifactError, match=r"features that are not here: sse2"):
        load_compiled(compiled)


def test_broken_object_code_is_an_artifact_error() -> None:
    with pytest.raises(ArtifactError, match="'affine'"):
        load_compiled(replace(affine(), object_code=b"\x7fELF but not really"))
    with pytest.raises(ArtifactError, match="constants"):
        load_compiled(replace(affine(), constants=np.zeros(10, np.uint8)))


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.bool_, np.uint64])
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_addresses_of_all_kinds_of_arrays(dtype: type, shape: tuple[int, ...]) -> None:
    array: np.ndarray = np.zeros(shape, dtype)
    assert address(array) == array.ctypes.data
    array.flags.writeable = False
    assert address(array) == array.ctypes.data
