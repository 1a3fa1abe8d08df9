"""Damaged models, texts and manifests: an error of TensorKiln or a result, in bounds, never a crash.

A few inputs of each kind run here; `pytest tests/hostile --fuzz 10000` takes more, from --fuzz-from.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from tensorkiln.benchmarks.models import mlp
from tensorkiln.compiler.ir.text import print_function
from tensorkiln.compiler.pipeline import compile_function, optimize_function
from tensorkiln.frontends.onnx import import_model

WORKER = Path(__file__).with_name("worker.py")
FEW = 60


def network() -> ModelProto:
    """Several kinds of ops, attributes and an If, with little data, so that damage hits the graph."""
    generator = np.random.default_rng(0)

    def weights(name: str, *shape: int) -> TensorProto:
        return numpy_helper.from_array(generator.standard_normal(shape).astype(np.float32), name)

    branch = [
        helper.make_graph(
            [helper.make_node(op, ["logits"], [f"{op}_y"], axis=-1)], op, [],
            [helper.make_tensor_value_info(f"{op}_y", TensorProto.FLOAT, [2, 3])],
        )
        for op in ("Softmax", "LogSoftmax")
    ]  # fmt: skip
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "k"], ["c"], name="conv", pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["c"], ["r"], name="relu"),
            helper.make_node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
            helper.make_node("Reshape", ["p", "shape"], ["f"], name="flat"),
            helper.make_node("Gemm", ["f", "w", "b"], ["logits"], alpha=0.5, transB=1),
            helper.make_node("ReduceMax", ["logits"], ["m"], keepdims=0),
            helper.make_node("Greater", ["m", "limit"], ["big"]),
            helper.make_node("If", ["big"], ["y"], then_branch=branch[0], else_branch=branch[1]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 1, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3])],
        [
            weights("k", 2, 1, 3, 3), weights("w", 3, 8), weights("b", 3), weights("limit"),
            numpy_helper.from_array(np.array([2, -1]), "shape"),
        ],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def lists() -> ModelProto:
    """Sequences, an optional, a function, a loop that is written out, sizes that a run finds."""
    kinds = (TensorProto.INT64, TensorProto.BOOL)
    numbers = [
        helper.make_tensor_value_info(name, kind, [])
        for name, kind in zip("tc", kinds, strict=True)
    ]
    sequence = helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, None)
    longer = helper.make_tensor_sequence_value_info("l", TensorProto.FLOAT, None)
    go = helper.make_tensor_value_info("g", TensorProto.BOOL, [])
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["c"], ["g"]),
            helper.make_node("SequenceInsert", ["s", "x", "zero"], ["l"], name="insert"),
        ],
        "body", [*numbers, sequence], [go, longer],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("own", 1)]
    half = helper.make_function(
        "own", "Half", ["a"], ["b"], [helper.make_node("Mul", ["a", "point"], ["b"]),
        helper.make_node("Constant", [], ["point"], value_float=0.5)][::-1], opsets[:1],
    )  # fmt: skip
    graph = helper.make_graph(
        [
            helper.make_node("SplitToSequence", ["x", "one"], ["parts"], name="split"),
            helper.make_node("Loop", ["two", "", "parts"], ["all"], name="loop", body=body),
            helper.make_node("Optional", ["all"], ["o"]),
            helper.make_node("OptionalGetElement", ["o"], ["again"]),
            helper.make_node("ConcatFromSequence", ["again"], ["joined"], name="join", axis=0),
            helper.make_node("Half", ["joined"], ["small"], domain="own"),
            helper.make_node("NonZero", ["small"], ["places"], name="places"),
            helper.make_node("Transpose", ["places"], ["rows"]),
            helper.make_node("GatherND", ["small", "rows"], ["y"], name="found"),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])],
        [numpy_helper.from_array(np.array(v), n) for n, v in (("zero", 0), ("one", 1), ("two", 2))],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=opsets, ir_version=10, functions=[half])


def quantized() -> ModelProto:
    """A convolution, a sum and a product of quantized operands, as tools write them."""
    generator = np.random.default_rng(2)
    weights = [
        numpy_helper.from_array(generator.integers(-9, 9, shape).astype(np.int8), name)
        for name, shape in (("k", (4, 2, 3, 3)), ("w", (16, 3)))
    ]
    numbers = [
        numpy_helper.from_array(np.array(value, kind), name)
        for name, value, kind in (
            ("s", 0.125, np.float32), ("z", 7, np.uint8), ("zero", 0, np.int8),
            ("each", [0.5, 0.25, 1, 2], np.float32), ("none", [0, 0, 0, 0], np.int8),
        )
    ]  # fmt: skip
    graph = helper.make_graph(
        [
            helper.make_node("QuantizeLinear", ["x", "s", "z"], ["xq"], name="in"),
            helper.make_node("DequantizeLinear", ["xq", "s", "z"], ["xd"]),
            helper.make_node("DequantizeLinear", ["k", "each", "none"], ["kd"], axis=0),
            helper.make_node("Conv", ["xd", "kd"], ["c"], name="conv", strides=[2, 2]),
            helper.make_node("Relu", ["c"], ["r"]),
            helper.make_node("QuantizeLinear", ["r", "s", "z"], ["rq"]),
            helper.make_node("DequantizeLinear", ["rq", "s", "z"], ["rd"]),
            helper.make_node("Flatten", ["rd"], ["f"]),
            helper.make_node("DequantizeLinear", ["w", "s", "zero"], ["wd"]),
            helper.make_node("MatMul", ["f", "wd"], ["m"], name="product"),
            helper.make_node("QuantizeLinear", ["m", "s", "z"], ["y"], name="out"),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2, 5, 5])],
        [helper.make_tensor_value_info("y", TensorProto.UINT8, ["batch", 3])],
        [*weights, *numbers],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def detection() -> ModelProto:
    """Boxes that are chosen by scores and gathered: sizes that a run finds, with bounds."""
    numbers = [
        numpy_helper.from_array(np.array(value, kind), name)
        for name, value, kind in (
            ("most", [3], np.int64), ("iou", [0.5], np.float32), ("least", [0.1], np.float32),
            ("two", [2], np.int64), ("column", 2, np.int64), ("k", [4], np.int64),
        )
    ]  # fmt: skip
    graph = helper.make_graph(
        [
            helper.make_node("TopK", ["scores", "k"], ["best", "place"], name="top"),
            helper.make_node(
                "NonMaxSuppression", ["boxes", "best", "most", "iou", "least"], ["found"], "nms"
            ),
            helper.make_node("Gather", ["found", "column"], ["rows"], name="pick", axis=1),
            helper.make_node("Squeeze", ["boxes"], ["flat"]),
            helper.make_node("Gather", ["flat", "rows"], ["y"], name="rows", axis=0),
            helper.make_node("Shape", ["y"], ["size"]),
        ],
        "g",
        [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, 4, 4]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 1, 6]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
        numbers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def words() -> ModelProto:
    """Texts that are cleaned, looked up, chosen and joined."""
    domain = "ai.onnx.ml"
    graph = helper.make_graph(
        [
            helper.make_node("StringNormalizer", ["x"], ["low"], name="clean", stopwords=["the"],
                             case_change_action="LOWER"),
            helper.make_node("LabelEncoder", ["low"], ["ids"], name="ids", domain=domain,
                             keys_strings=["cat", "dog"], values_int64s=[1, 0], default_int64=2),
            helper.make_node("Gather", ["rows", "ids"], ["found"], name="rows"),
            helper.make_node("Equal", ["low", "word"], ["same"]),
            helper.make_node("Where", ["same", "other", "low"], ["chosen"]),
            helper.make_node("Cast", ["found"], ["written"], name="write", to=TensorProto.STRING),
            helper.make_node("StringConcat", ["chosen", "written"], ["y"], name="join"),
            helper.make_node("StringSplit", ["y"], ["parts", "n"], name="split", delimiter="."),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.STRING, ["n"])],
        [
            helper.make_tensor_value_info("y", TensorProto.STRING, ["m"]),
            helper.make_tensor_value_info("parts", TensorProto.STRING, ["m", "k"]),
        ],
        [
            numpy_helper.from_array(np.array([0.5, 1.5, 2], np.float32), "rows"),
            helper.make_tensor("word", TensorProto.STRING, [], [b"cat"]),
            helper.make_tensor("other", TensorProto.STRING, [1], [b"mouse"]),
        ],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid(domain, 4)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def inputs() -> dict[str, tuple[str, bytes]]:
    layers = mlp(2, sizes=(3, 4, 2))
    function = import_model(layers)
    manifest = compile_function(function).manifest
    assert asdict(manifest)
    return {
        "onnx-layers": ("onnx", layers.SerializeToString()),
        "onnx-network": ("onnx", network().SerializeToString()),
        "onnx-lists": ("onnx", lists().SerializeToString()),
        "onnx-detection": ("onnx", detection().SerializeToString()),
        "words": ("words", words().SerializeToString()),
        "ranges-quantized": ("ranges", quantized().SerializeToString()),
        "text": ("text", print_function(function).encode()),
        "text-fused": ("text", print_function(optimize_function(function)).encode()),
        "manifest": ("manifest", manifest.to_json().encode()),
    }


@pytest.mark.parametrize(
    "name",
    [
        "onnx-layers", "onnx-network", "onnx-lists", "onnx-detection", "words", "ranges-quantized", "text",
        "text-fused", "manifest",
    ],
)  # fmt: skip
def test_damage(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    kind, data = inputs()[name]
    path = tmp_path / "input"
    path.write_bytes(data)
    first = int(request.config.getoption("--fuzz-from"))
    left = int(request.config.getoption("--fuzz")) or (FEW // 4 if kind == "ranges" else FEW)
    ends: Counter[str] = Counter()
    while left > 0:
        count = min(left, 200)
        ran = subprocess.run(
            [sys.executable, str(WORKER), kind, str(path), str(first), str(count)],
            capture_output=True, text=True, check=False, timeout=600,
        )  # fmt: skip
        lines = ran.stdout.splitlines()
        assert ran.returncode == 0, (
            f"the process ended with {ran.returncode} at seed {lines[-1] if lines else first}:"
            f" {ran.stderr[-500:]}"
        )
        wrong = [line for line in lines if " WRONG" in line]
        assert not wrong, "\n".join(wrong[:10])
        assert len(lines) == count
        ends.update(line.split()[1] for line in lines)
        first, left = first + count, left - count
    assert len(ends) > 1, ends  # some inputs are refused
