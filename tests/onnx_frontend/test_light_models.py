"""The nine light models of the onnx package: import, shapes, and the outputs stored beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.backend.test.runner import Runner

from tensorkiln.compiler.evaluate.evaluate import evaluate
from tensorkiln.frontends.onnx import import_model

FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
SHAPES = {
    "bvlc_alexnet": (1, 1000),
    "densenet121": (1, 1000, 1, 1),
    "inception_v1": (1, 1000),
    "inception_v2": (1, 1000),
    "resnet50": (1, 1000),
    "shufflenet": (1, 1000),
    "squeezenet": (1, 1000, 1, 1),
    "vgg19": (1, 1000),
    "zfnet512": (1, 1000),
}


@pytest.mark.parametrize("name", SHAPES)
def test_imports_with_the_declared_shapes(name: str) -> None:
    function = import_model(FOLDER / f"light_{name}.onnx")
    (x,) = function.parameters
    assert x.shape == (1, 3, 224, 224)
    assert [value.shape for value in function.results] == [SHAPES[name]]


@pytest.mark.parametrize("name", ["bvlc_alexnet", "shufflenet", "squeezenet"])
def test_agrees_with_the_stored_output(name: str) -> None:
    path = FOLDER / f"light_{name}.onnx"
    function = import_model(path)
    (x,) = (v for v in onnx.load(path).graph.input if v.name == function.parameters[0].name)
    found = np.asarray(evaluate(function, [Runner.generate_dummy_data(x)])[0], np.float32)
    expected = numpy_helper.to_array(onnx.load_tensor(str(FOLDER / f"light_{name}_output_0.pb")))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-7)
