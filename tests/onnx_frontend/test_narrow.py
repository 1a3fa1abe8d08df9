"""Element types that lie packed in files, and quantized models of narrow types."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.pipeline import jit
from tensorkiln.frontends.onnx.importer import import_model
from tensorkiln.frontends.onnx.tensors import array_of
from tensorkiln.runtime.errors import ModelError


@pytest.mark.parametrize("raw", [False, True])
def test_integers_of_few_bits_are_unpacked_lowest_bits_first(raw: bool) -> None:
    for kind, values, packed in (
        (TensorProto.INT4, [-8, 7, -1], [0x78, 0x0F]),
        (TensorProto.UINT4, [15, 1, 2], [0x1F, 0x02]),
        (TensorProto.INT2, [-2, 1, 0, -1, 1], [0b11000110, 0b01]),
    ):
        tensor = TensorProto(data_type=kind, dims=[len(values)])
        if raw:
            tensor.raw_data = bytes(packed)
        else:
            tensor.int32_data.extend(packed)
        assert array_of(tensor, None, "w").astype(np.int8).tolist() == values
        tensor.dims[:] = [len(values) + 4]
        with pytest.raises(ModelError, match="needs"):
            array_of(tensor, None, "w")


def test_weights_of_eight_bit_floats_are_computed_with_in_f32() -> None:
    weights = np.array([[0.5, -448.0], [2.0**-9, 1.125]], ml_dtypes.float8_e4m3fn)
    initializer = TensorProto(data_type=TensorProto.FLOAT8E4M3FN, dims=[2, 2], name="w")
    initializer.raw_data = weights.tobytes()
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "scale"], ["wide"]),
        helper.make_node("MatMul", ["x", "wide"], ["product"]),
        helper.make_node("QuantizeLinear", ["product", "one", "zero"], ["y"]),
    ]
    scalars = [
        helper.make_tensor("scale", TensorProto.FLOAT, [], [0.25]),
        helper.make_tensor("one", TensorProto.FLOAT, [], [1.0]),
        helper.make_tensor("zero", TensorProto.FLOAT8E5M2, [], [0.0]),
    ]
    model = helper.make_model(
        helper.make_graph(
            nodes, "narrow", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 2])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT8E5M2, [3, 2])],
            [initializer, *scalars],
        ),
        opset_imports=[helper.make_opsetid("", 21)],
    )  # fmt: skip
    function = import_model(model)
    x = np.array([[1, 2], [-3, 0.1], [1e6, 1]], np.float32)
    product = x @ (weights.astype(np.float32) * np.float32(0.25))
    expected = product.clip(-57344, 57344).astype(ml_dtypes.float8_e5m2)
    (found,) = evaluate(function, [x])
    assert found.tobytes() == expected.tobytes()
    (compiled,) = jit(function)(x)
    assert compiled.tobytes() == expected.tobytes()


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        (TensorProto.FLOAT6E2M3, ml_dtypes.float6_e2m3fn),
        (TensorProto.FLOAT6E3M2, ml_dtypes.float6_e3m2fn),
        (TensorProto.FLOAT8E8M0, ml_dtypes.float8_e8m0fnu),
    ],
)
def test_microscaling_floats_are_read_as_onnx_writes_them(
    kind: int, dtype: type, raw: bool
) -> None:
    values = np.array([0.5, 1, 2, 4, 0.25], dtype)
    bits = values.view(np.uint8)
    tensor = TensorProto(data_type=kind, dims=[5])
    if not raw:
        tensor.int32_data.extend(bits.tolist())
    elif kind == TensorProto.FLOAT8E8M0:
        tensor.raw_data = bits.tobytes()
    else:
        total = sum(int(code) << 6 * k for k, code in enumerate(bits))
        tensor.raw_data = total.to_bytes(4, "little")
    np.testing.assert_array_equal(numpy_helper.to_array(tensor), values)
    found = array_of(tensor, None, "w")
    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("mode", ["up", "down", "nearest"])
def test_scales_are_rounded_as_the_mode_says(mode: str) -> None:
    x = np.array(
        [1, 1.5, 3, 2.9, 1e-39, 6e-39, 9e-39, 3e38, 3.4e38, np.inf, np.nan, 0, -5], np.float32
    )
    node = helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT8E8M0, round_mode=mode)
    graph = helper.make_graph(
        [node], "scale", [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT8E8M0, x.shape)],
    )  # fmt: skip
    function = import_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)]))
    expected = numpy_helper.to_float8e8m0(x, True, mode).tobytes()
    assert evaluate(function, [x])[0].tobytes() == expected
    assert jit(function)(x)[0].tobytes() == expected
