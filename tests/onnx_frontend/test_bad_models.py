"""Malformed models: every error names the node, value or file, and nothing large is allocated."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper
from onnx_frontend.models import model, run, value

from tensorkiln.benchmarks.models import lenet
from tensorkiln.frontends.onnx import import_model
from tensorkiln.runtime.errors import ModelError, TensorKilnError, UnsupportedError

node = helper.make_node
X = value("x", (2, 3))


def _fails(proto: ModelProto, match: str, error: type[Exception] = ModelError) -> None:
    with pytest.raises(error, match=match):
        import_model(proto)


def test_files(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"missing\.onnx: cannot be read: No such file"):
        import_model(tmp_path / "missing.onnx")
    for data in (b"", b"not a model", b"\x08" * 100):
        path = tmp_path / "bad.onnx"
        path.write_bytes(data)
        with pytest.raises(ModelError, match=r"bad\.onnx"):
            import_model(path)


def test_truncated_and_damaged_files_give_errors_and_nothing_else() -> None:
    data = lenet().SerializeToString()
    generator = np.random.default_rng(0)
    for cut in generator.integers(0, len(data) - 1, 40):
        with pytest.raises(TensorKilnError):
            import_model(data[: int(cut)])
    for _ in range(150):
        damaged = bytearray(data[:2000] + data[-2500:])
        for place in generator.integers(0, len(damaged), 3):
            damaged[place] = generator.integers(0, 256)
        with contextlib.suppress(TensorKilnError):
            import_model(bytes(damaged))


def test_damaged_protos_give_errors_and_nothing_else() -> None:
    """Bytes of the graph flipped one at a time, weights left alone."""
    proto = lenet()
    del proto.graph.initializer[:]
    data = proto.SerializeToString()
    generator = np.random.default_rng(1)
    for place in generator.integers(0, len(data), 300):
        damaged = bytearray(data)
        damaged[place] ^= 1 << int(generator.integers(0, 8))
        with contextlib.suppress(TensorKilnError):
            import_model(bytes(damaged))


def test_wiring() -> None:
    _fails(model([node("Add", ["x", "gone"], ["y"], "a")], [X]), r"'a' \(Add\) reads 'gone'")
    _fails(model([node("Neg", ["x"], ["z"])], [X]), "the graph returns 'y'")
    _fails(
        model([node("Neg", ["x"], ["y"], "a"), node("Exp", ["x"], ["y"], "b")], [X]),
        r"'b' \(Exp\) and node 'a' \(Neg\) both define 'y'",
    )
    _fails(model([node("Neg", ["x"], ["x"], "a")], [X], ["x"]), "'a'.*defines 'x'")
    _fails(
        model([node("Add", ["x", "q"], ["p"], "a"), node("Neg", ["p"], ["q"], "b")], [X], ["q"]),
        r"cycle through node 'b' \(Neg\), node 'a' \(Add\)|cycle through node 'a'.*'b'",
    )
    _fails(model([node("Neg", ["x"], ["y"])], [X, X]), "2 inputs of the graph are named 'x'")
    twice = model([node("Neg", ["w"], ["y"])], [], weights={"w": np.ones(2, np.float32)})
    twice.graph.initializer.append(twice.graph.initializer[0])
    _fails(twice, "two initializers are named 'w'")


def test_dtypes() -> None:
    ints = value("i", (2, 3), TensorProto.INT64)
    _fails(
        model([node("Add", ["x", "i"], ["y"], "a")], [X, ints]),
        r"'a' \(Add\): input B \('i'\) is tensor\(int64\) and input 'x' is tensor\(float\)",
    )
    _fails(
        model([node("Sigmoid", ["i"], ["y"], "a")], [ints]),
        r"'a'.*input X \('i'\) is .*allowed are",
    )
    declared = model([node("Neg", ["x"], ["y"])], [X])
    declared.graph.output[0].CopyFrom(value("y", (2, 3), TensorProto.DOUBLE))
    _fails(declared, "output 'y' is declared tensor.double., and its nodes make tensor.float.")
    text = model([node("Identity", ["s"], ["y"])], [value("s", (1,), TensorProto.STRING)])
    _fails(text, "input 's' has element type STRING", UnsupportedError)
    odd = model([node("Neg", ["x"], ["y"])], [value("x", (2,), 999)])
    _fails(odd, "element type 999, which ONNX does not define")


def test_shapes() -> None:
    _fails(model([node("Neg", ["x"], ["y"])], [value("x", (-2, 3))]), "input 'x' has a dim of size")
    huge = value("x", (1 << 40, 1 << 40))
    _fails(model([node("Neg", ["x"], ["y"])], [huge]), "more than .* bytes")
    big = model(
        [node("ConstantOfShape", ["s"], ["y"], "a")], [], weights={"s": np.array([1 << 60])}
    )
    _fails(big, "'a'.*makes 'y'.*more than")
    _fails(model([node("MatMul", ["x", "x"], ["y"], "mm")], [X]), r"'mm' \(MatMul\): dot_general")
    _fails(model([node("Transpose", ["x"], ["y"], "t", perm=[0, 0])], [X]), r"'t'.*no permutation")
    _fails(model([node("Neg", ["x"], ["y"])], [value("x", None)]), "no shape", UnsupportedError)  # type: ignore[arg-type]


def test_zero_sized_dims_work() -> None:
    empty = np.zeros((0, 3), np.float32)
    proto = model(
        [node("ReduceSum", ["x"], ["s"], keepdims=0), node("MatMul", ["x", "w"], ["y"])],
        [value("x", (0, 3))], ["y", "s"], {"w": np.ones((3, 2), np.float32)},
    )  # fmt: skip
    y, s = run(proto, empty)
    assert y.shape == (0, 2)
    assert s == 0


def test_nan_and_infinity_pass_through() -> None:
    x = np.array([[np.nan, np.inf, -np.inf], [0, 1, 2]], np.float32)
    (y,) = run(model([node("Relu", ["x"], ["y"])], [X]), x)
    np.testing.assert_array_equal(y, [[np.nan, np.inf, 0], [0, 1, 2]])


def test_nodes_that_break_their_schema() -> None:
    _fails(
        model([node("Add", ["x"], ["y"], "a")], [X]), r"'a' \(Add\) has 1 inputs; Add of opset 14"
    )
    _fails(model([node("Relu", ["x"], ["y"], "a", slope=1)], [X]), "'a'.*attribute 'slope'")
    _fails(
        model([node("Softmax", ["x"], ["y"], "a", axis=1.5)], [X]), "axis is of kind FLOAT, not INT"
    )
    _fails(model([node("Softmax", ["x"], ["y"], "a", axis=7)], [X]), "'a'.*axis 7 does not exist")
    _fails(model([node("Cast", ["x"], ["y"], "a")], [X]), "'a'.*lacks its attribute to")
    _fails(
        model([node("Scale", ["x"], ["y"], "a", domain="mine")], [X]), "domain 'mine', for which"
    )


def test_unsupported_operators_are_listed_together() -> None:
    proto = model(
        [
            node("Loopy", ["x"], ["a"], "first"),
            node("Loopy", ["a"], ["b"], "second"),
            node("StringNormalizer", ["b"], ["c"], "third"),
            node("Neg", ["c"], ["y"]),
        ],
        [X],
    )
    _fails(
        proto,
        r"(?s)Loopy \(domain ai.onnx, opset 18\): nodes 'first', 'second'.*"
        r"StringNormalizer \(domain ai.onnx, opset 18\): nodes 'third'",
        UnsupportedError,
    )


def test_opsets() -> None:
    newest = model([node("Neg", ["x"], ["y"])], [X], opset=999)
    _fails(newest, "opset 999; the installed onnx package knows up to", UnsupportedError)
    none = model([node("Neg", ["x"], ["y"])], [X])
    del none.opset_import[:]
    _fails(none, "names no opset")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"dims": [2, -3]}, "negative dim"),
        ({"dims": [1 << 62]}, "more than"),
        ({"dims": [7]}, "needs 28 bytes of raw data and has 24"),
        ({"raw_data": b"123"}, "needs 24 bytes of raw data and has 3"),
        ({"data_type": 0}, "element type 0"),
    ],
)
def test_damaged_initializers(change: dict[str, object], match: str) -> None:
    proto = model([node("Add", ["x", "w"], ["y"])], [X], weights={"w": np.ones((2, 3), np.float32)})
    (tensor,) = proto.graph.initializer
    for name, new in change.items():
        if isinstance(new, list):
            tensor.dims[:] = new
        else:
            setattr(tensor, name, new)
    _fails(proto, f"initializer 'w'.*{match}")


def test_functions_that_call_themselves() -> None:
    again = helper.make_function(
        "local", "F", ["a"], ["b"], [node("F", ["a"], ["b"], domain="local")],
        [helper.make_opsetid("local", 1)],
    )  # fmt: skip
    proto = model([node("F", ["x"], ["y"], domain="local")], [X], functions=[again])
    proto.opset_import.append(helper.make_opsetid("local", 1))
    _fails(proto, "nested deeper than")


def test_very_deep_graphs() -> None:
    chain = [node("Neg", [f"v{k}"], [f"v{k + 1}"]) for k in range(3000)]
    proto = model(chain, [value("v0", (1,))], ["v3000"])
    assert len(import_model(proto).ops) == 3000


@pytest.mark.parametrize(
    ("kind", "weights", "attributes"),
    [
        ("Resize", {"r": np.zeros(0, np.float32), "s": np.full(4, 1e9, np.float32)}, {}),
        ("Pad", {"p": np.full(8, 1 << 40)}, {"mode": "reflect"}),
        ("AveragePool", {}, {"kernel_shape": [1 << 40, 1], "pads": [1 << 41, 0, 0, 0]}),
        ("Split", {}, {"num_outputs": 1 << 40}),
    ],
)
def test_absurd_sizes_allocate_nothing(
    kind: str, weights: dict[str, np.ndarray], attributes: dict[str, Any]
) -> None:
    proto = model(
        [node(kind, ["x", *weights], ["y"], "n", **attributes)], [value("x", (1, 1, 4, 4))],
        weights=weights,
    )  # fmt: skip
    _fails(proto, rf"node 'n' \({kind}\)")
