"""What import_model gives: parameters, names, locations, open dims, folded shapes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_frontend.models import model, output, run, value

from tensorkiln.compiler.ir.verify import verify_function
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.frontends.onnx import import_model
from tensorkiln.frontends.onnx.operand import ConstantNeeded
from tensorkiln.runtime.errors import ModelError

node = helper.make_node


def test_parameters_results_and_locations_carry_the_users_names() -> None:
    proto = model(
        [node("Relu", ["in/x"], ["h"], "block/relu"), node("Neg", ["h"], ["out:0"])],
        [value("in/x", (2, 3))],
        ["out:0"],
    )
    function = import_model(proto, name="net")
    verify_function(function, REGISTRY.types)
    assert function.name == "net"
    assert [p.name for p in function.parameters] == ["in/x"]
    assert function.result_names == ("out:0",)
    nodes = {op.name: op.location.node for op in function.ops}
    assert nodes["maximum"] == "block/relu"
    assert nodes["negate"] == "out:0"


def test_initialized_inputs_are_constants_and_unused_nodes_are_left_out() -> None:
    proto = model(
        [node("Add", ["x", "w"], ["y"]), node("NoSuchOperator", ["x"], ["unused"])],
        [value("x", (2,)), value("w", (2,))],
        weights={"w": np.array([1, 2], np.float32)},
    )
    assert len(import_model(proto).parameters) == 1
    np.testing.assert_array_equal(run(proto, np.zeros(2, np.float32))[0], [1, 2])


def test_nodes_in_any_order_and_a_parameter_as_result() -> None:
    proto = model(
        [node("Neg", ["h"], ["y"]), node("Exp", ["x"], ["h"])], [value("x", (2,))], ["y", "x"]
    )
    x = np.array([0, 1], np.float32)
    y, same = run(proto, x)
    np.testing.assert_allclose(y, -np.exp(x), rtol=1e-6)
    np.testing.assert_array_equal(same, x)


def test_open_dims_take_the_given_sizes() -> None:
    proto = model([node("Relu", ["x"], ["y"])], [value("x", ("batch", None, 3))])
    (x,) = import_model(proto, dims={"batch": 5, "x.1": 2}).parameters
    assert x.shape == (5, 2, 3)
    with pytest.raises(ModelError, match=r"open dims are batch, x.1.*'x.1': 1.*--dim x.1=1"):
        import_model(proto, dims={"batch": 5})
    with pytest.raises(ModelError, match=r"no dim bach: its open dims are batch, x\.1"):
        import_model(proto, dims={"bach": 5})
    with pytest.raises(ModelError, match="dim batch has the size -1"):
        import_model(proto, dims={"batch": -1, "x.1": 2})


def test_shape_arithmetic_leaves_no_trace() -> None:
    """The way exporters flatten: Reshape to (Shape(x)[0], -1)."""
    proto = model(
        [
            node("Shape", ["x"], ["shape"]),
            node("Gather", ["shape", "zero"], ["batch"]),
            node("Unsqueeze", ["batch", "axes"], ["batch_1d"]),
            node("Concat", ["batch_1d", "rest"], ["wanted"], axis=0),
            node("Reshape", ["x", "wanted"], ["y"]),
        ],
        [value("x", ("batch", 3, 4))],
        weights={
            "zero": np.array(0, np.int64),
            "axes": np.array([0], np.int64),
            "rest": np.array([-1], np.int64),
        },
    )
    function = import_model(proto, dims={"batch": 2})
    assert [op.name for op in function.ops] == ["reshape"]
    assert function.results[0].shape == (2, 12)


def test_large_constants_are_not_folded() -> None:
    proto = model(
        [node("ConstantOfShape", ["shape"], ["w"]), node("Add", ["x", "w"], ["y"])],
        [value("x", (1,))],
        weights={"shape": np.array([1 << 20], np.int64)},
    )
    function = import_model(proto)
    arrays = [op.array("value") for op in function.ops if op.name == "constant"]
    assert max(array.size for array in arrays) == 1


def test_weights_are_not_copied() -> None:
    weights = np.ones((64, 64), np.float32)
    proto = model(
        [node("MatMul", ["x", "w"], ["y"])], [value("x", (1, 64))], weights={"w": weights}
    )
    (constant,) = (op for op in import_model(proto).ops if op.name == "constant")
    assert not constant.array("value").flags.owndata


def test_inputs_that_shapes_depend_on_can_be_given_values() -> None:
    proto = model(
        [node("Reshape", ["x", "shape"], ["y"])],
        [value("x", (6,)), value("shape", (2,), TensorProto.INT64)],
    )
    with pytest.raises(
        ConstantNeeded, match=r"needs its input shape.*constants=\{'shape': array\}"
    ):
        import_model(proto)
    function = import_model(proto, constants={"shape": np.array([2, 3])})
    assert [p.name for p in function.parameters] == ["x"]
    assert function.results[0].shape == (2, 3)
    with pytest.raises(ModelError, match="input 'shape' is i64 of shape"):
        import_model(proto, constants={"shape": np.array([2.0, 3.0])})
    with pytest.raises(ModelError, match="no input shap: its inputs are x, shape"):
        import_model(proto, constants={"shap": np.array([2, 3])})


def test_a_path_bytes_and_a_proto_give_the_same(tmp_path: Path) -> None:
    proto = model([node("Relu", ["x"], ["y"])], [value("x", (2,))])
    path = tmp_path / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    x = np.array([-1, 1], np.float32)
    for source in (path, str(path), proto.SerializeToString(), proto):
        function = import_model(source)
        assert [op.name for op in function.ops][-1] == "maximum"
    np.testing.assert_array_equal(run(proto, x)[0], [0, 1])


def test_model_local_functions_are_expanded() -> None:
    scale = helper.make_function(
        "local", "Scale", ["a"], ["b"],
        [
            node("Constant", [], ["factor"]),
            node("Mul", ["a", "factor"], ["b"]),
        ],
        [helper.make_opsetid("", 18)], ["factor"],
    )  # fmt: skip
    reference = scale.node[0].attribute.add()
    reference.name, reference.ref_attr_name, reference.type = "value_float", "factor", 1
    proto = model(
        [node("Scale", ["x"], ["y"], domain="local", factor=3.0)], [value("x", (2,))],
        functions=[scale],
    )  # fmt: skip
    proto.opset_import.append(helper.make_opsetid("local", 1))
    np.testing.assert_array_equal(run(proto, np.array([1, 2], np.float32))[0], [3, 6])


def test_a_branch_that_is_known_is_inlined() -> None:
    then = helper.make_graph([node("Neg", ["x"], ["a"])], "then", [], [output("a")])
    other = helper.make_graph([node("Missing", ["x"], ["b"])], "else", [], [output("b")])
    proto = model(
        [node("If", ["c"], ["y"], then_branch=then, else_branch=other)],
        [value("x", (2,))],
        weights={"c": np.array(True)},
    )
    np.testing.assert_array_equal(run(proto, np.array([1, 2], np.float32))[0], [-1, -2])


@pytest.mark.parametrize(
    "array",
    [
        np.array([[1, -2], [3, 4]], np.int8),
        np.array([0.5, -1.5], np.float16),
        np.array([1 << 40], np.int64),
        np.array([(1 << 64) - 1], np.uint64),
        np.array([True, False]),
        np.array(2.5, np.float64),
        np.zeros((0, 3), np.float32),
    ],
)
@pytest.mark.parametrize("raw", [True, False])
def test_initializers_of_every_storage(array: np.ndarray, raw: bool) -> None:
    proto = model([node("Identity", ["w"], ["y"])], [], weights={"w": array})
    if not raw:
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        plain = helper.make_tensor("w", kind, array.shape, array.reshape(-1).tolist())
        proto.graph.initializer[0].CopyFrom(plain)
    (found,) = run(proto)
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)
    assert numpy_helper.to_array(proto.graph.initializer[0]).shape == found.shape
