"""ONNX models compiled: the backend's modes, open dims, constants, and what cannot be compiled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper
from onnx_frontend.models import model, value

import tensorkiln
from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.pipeline import compile_function, optimize_function
from tensorkiln.compiler.schedules.program import lower_function
from tensorkiln.frontends.onnx import backend, import_model
from tensorkiln.runtime.errors import FeedError, ModelError, UnsupportedError

node = helper.make_node
WEIGHT = np.arange(15, dtype=np.float32).reshape(5, 3) - 7


def _open(*shape: int | str | None) -> ModelProto:
    nodes = [node("Gemm", ["x", "w"], ["h"], "fc"), node("Relu", ["h"], ["y"], "act")]
    return model(nodes, [value("x", shape)], weights={"w": WEIGHT})


def test_modes_are_chosen_visibly() -> None:
    proto = _open(2, 5)
    x = np.linspace(-1, 1, 10, dtype=np.float32).reshape(2, 5)
    expected = np.maximum(x @ WEIGHT, 0)
    assert not backend.TensorKilnBackend.interpreted
    assert backend.InterpretedBackend.interpreted
    for prepared in (
        backend.prepare(proto),
        backend.prepare(proto, interpreted=True),
        backend.InterpretedBackend.prepare(proto, interpreted=False),
    ):
        (y,) = prepared.run([x])
        np.testing.assert_allclose(y, expected, rtol=1e-5)


def test_the_compiled_mode_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(function: object) -> object:
        raise UnsupportedError("node 'fc' cannot be compiled")

    monkeypatch.setattr(backend, "jit", refuse)
    with pytest.raises(UnsupportedError, match="'fc'"):
        backend.prepare(_open(2, 5))  # and nothing takes its place
    backend.prepare(_open(2, 5), interpreted=True)
    backend.InterpretedBackend.prepare(_open(2, 5))


def test_nodes_are_compiled() -> None:
    x = np.array([[1, -2], [3, 4]], np.float32)
    (y,) = backend.run_node(node("Relu", ["x"], ["y"]), [x])
    np.testing.assert_array_equal(y, np.maximum(x, 0))
    (y,) = backend.run_node(node("Relu", ["x"], ["y"]), [x], interpreted=True)
    np.testing.assert_array_equal(y, np.maximum(x, 0))


def test_open_dims_get_sizes(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(_open("batch", 5), path)
    for size in (4, np.int64(3), 0):
        executable = tensorkiln.compile(path, dims={"batch": size})
        assert executable.inputs[0].shape == (size, 5)
        x = np.ones((size, 5), np.float32)
        (y,) = executable.run({"x": x})
        np.testing.assert_allclose(y, np.maximum(x @ WEIGHT, 0))
        with pytest.raises(FeedError, match=rf"'x' expects f32\[{size},5\].*\[7,5\]"):
            executable.run({"x": np.ones((7, 5), np.float32)})


@pytest.mark.parametrize(
    ("dims", "match"),
    [
        ({}, r"input 'x' has the open dim 'batch'.*dims=\{'batch': 1\}"),
        ({"batsh": 4}, "no dim batsh: its open dims are batch"),
        ({"batch": -1}, "dim batch has the size -1"),
        ({"batch": 4.0}, "dim batch has the size 4.0"),
    ],
)
def test_missing_and_wrong_sizes(dims: dict[str, int], match: str) -> None:
    with pytest.raises(ModelError, match=match):
        tensorkiln.compile(_open("batch", 5), dims=dims)


def test_dims_without_a_name_are_called_by_input_and_axis() -> None:
    with pytest.raises(ModelError, match=r"open dim 'x\.0'"):
        tensorkiln.compile(_open(None, 5))
    assert tensorkiln.compile(_open(None, 5), dims={"x.0": 2}).inputs[0].shape == (2, 5)


def test_what_has_no_kernel_is_named_by_node() -> None:
    function = optimize_function(import_model(_open(2, 5)))
    ops = tuple(
        replace(op, attributes={**op.attributes, "kind": "odd"}) if op.name == "fusion" else op
        for op in function.ops
    )
    with pytest.raises(UnsupportedError, match=r"^nodes? .*'fc'.* cannot be compiled"):
        lower_function(replace(function, ops=ops), target_named("host"))


def test_constants_are_stored_once() -> None:
    """Weights that a kernel reads in another order are not stored in their own as well."""
    weight = np.random.default_rng(0).standard_normal((256, 512)).astype(np.float32)
    x = value("x", (64, 256), TensorProto.FLOAT)
    proto = model([node("MatMul", ["x", "w"], ["y"])], [x], weights={"w": weight})
    compiled = compile_function(import_model(proto))
    assert compiled.constants.nbytes < 1.1 * weight.nbytes
