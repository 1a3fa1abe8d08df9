"""Weights that the parts of a model share: stored once, laid out the same for any number of rows."""

from __future__ import annotations

import importlib
from dataclasses import replace

import numpy as np
import pytest
from compiled.test_few_rows import linear
from sizes.open_models import mlp, random_inputs

from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dtypes import F32, F64, DType
from tensorkiln.compiler.kernel.interpret_program import interpret_program
from tensorkiln.compiler.kernel.verify import verify_kernel
from tensorkiln.compiler.lower.constants import Constants
from tensorkiln.compiler.lower.layout import Layout, row_major
from tensorkiln.compiler.pipeline import lower
from tensorkiln.frontends.cached import compile_onnx
from tensorkiln.frontends.onnx import import_model
from tensorkiln.frontends.onnx.load import Loaded
from tensorkiln.runtime.jit import load_compiled
from tensorkiln.runtime.open_executable import opened

PANELS = Layout((1, 0), ((1, 4),))


def test_equal_constants_have_one_place_in_each_layout() -> None:
    pool = Constants()
    data = np.arange(15, dtype=np.float32).reshape(3, 5)
    first = pool.place(data, row_major(2))
    assert pool.place(data.copy(), row_major(2)) == first
    packed = pool.place(data, PANELS)
    assert packed != first
    assert pool.place(np.array(data, order="F"), PANELS) == packed
    blob = pool.blob()
    assert blob[first : first + 60].view(np.float32).tolist() == data.reshape(-1).tolist()
    # panel, row, column in the panel; what is behind the last column is zeros
    wanted = np.pad(data, ((0, 0), (0, 3))).reshape(3, 2, 4).transpose(1, 0, 2)
    got = blob[packed : packed + wanted.nbytes].view(np.float32)
    assert got.tolist() == wanted.reshape(-1).tolist()


@pytest.mark.parametrize("size", [5, 1000])
def test_constants_that_differ_in_bits_or_type_are_kept_apart(size: int) -> None:
    pool = Constants()
    zeros = np.zeros(size, np.float32)
    other = zeros.copy()
    other[size // 3] = -0.0  # equal as a number
    nan = np.full(size, np.nan, np.float32)
    made = [zeros, other, zeros.view(np.int32), zeros.reshape(1, size), nan, zeros[:-1]]
    places = [pool.place(array, row_major(array.ndim)) for array in made]
    assert len(set(places)) == len(places)
    assert pool.place(nan.copy(), row_major(1)) == places[4]


@pytest.mark.parametrize(
    ("name", "n", "k", "dtype"),
    [
        ("x86-64-v2", 1, 7, F32),
        ("x86-64-v2", 35, 3, F32),
        ("x86-64-v3", 9, 4, F64),
        ("x86-64-v3", 70, 2, F32),
        ("x86-64-v4", 131, 2, F32),
        ("x86-64-v4", 33, 3, F64),
    ],
    ids=str,
)
def test_any_number_of_rows_reads_the_same_panels(name: str, n: int, k: int, dtype: DType) -> None:
    pool = Constants()
    target = target_named(name)
    made = []
    for m in (1, 3, 15):
        function = linear(m, n, k, dtype)
        made.append((m, function, lower(function, target, shared=pool).program))
    blob = pool.blob()
    assert blob.nbytes <= dtype.bytes * k * (n + 63) + 64  # once, whole vectors
    for m, function, program in made:
        for kernel in program.kernels:
            verify_kernel(kernel)
        x = np.random.default_rng(m).integers(-3, 4, (m, k)).astype(dtype.numpy)
        y = np.full((m, n), np.nan, dtype.numpy)
        interpret_program(replace(program, constants=blob), [x, y])
        np.testing.assert_array_equal(y, evaluate(function, [x])[0])


def test_a_range_keeps_weights_once() -> None:
    case = mlp()
    compiled = compile_onnx(case.model, target_named("host"), dims={"batch": (1, 16)})
    assert compiled.manifest.sizes is not None
    assert len(compiled.manifest.sizes.parts) == 4
    alone = compile_onnx(case.model, target_named("host"), dims={"batch": 16})
    assert compiled.constants.nbytes < 1.1 * alone.constants.nbytes  # biases, more for longer tiles
    assert compiled.manifest.constants_bytes == compiled.constants.nbytes


def test_a_transformer_keeps_weights_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bert = importlib.import_module("tensorkiln.benchmarks.models.bert")
    for name, value in {"WIDTH": 32, "HEADS": 2, "INNER": 80, "VOCABULARY": 31}.items():
        monkeypatch.setattr(bert, name, value)
    model = bert.bert_base("batch", tokens="tokens", layers=1)
    weights = sum(len(tensor.raw_data) for tensor in model.graph.initializer)
    dims = {"batch": 2, "tokens": (1, 9)}
    compiled = compile_onnx(model, target_named("host"), dims=dims)
    assert compiled.constants.nbytes < 1.5 * weights
    executable = opened(load_compiled(compiled, 1))
    drawn = np.random.default_rng(0)
    for tokens in (1, 3, 5, 9):
        function = import_model(model, dims={"batch": 2, "tokens": tokens})
        ids, kinds = (drawn.integers(0, 31, (2, tokens)) for _ in range(2))
        arrays = [ids, np.ones((2, tokens), np.int64), kinds]
        for got, wanted in zip(executable(*arrays), evaluate(function, arrays), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=2e-5)


def test_a_model_read_once_gives_the_same_memory_each_time() -> None:
    loaded = Loaded(mlp().model, None)
    both = [import_model(loaded, dims={"batch": n}) for n in (2, 3)]
    arrays = [[o.array("value") for o in f.ops if o.name == "constant"] for f in both]
    same = [a is b for a, b in zip(*arrays, strict=True) if a.size > 1]
    assert same == [True] * 4  # the weights; what the importer makes itself is new each time
    x = random_inputs([(2, 20)])
    (got,), (wanted,) = (
        evaluate(both[0], x),
        evaluate(import_model(mlp().model, dims={"batch": 2}), x),
    )
    assert got.tobytes() == wanted.tobytes()
