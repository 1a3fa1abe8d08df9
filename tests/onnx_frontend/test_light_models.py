"""The nine light models of the onnx package: import, shapes, and the outputs stored beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.backend.test.runner import Runner

from tensorkiln.frontends.onnx import import_model
from tensorkiln.frontends.onnx.backend import prepare

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


def _check(name: str, interpreted: bool) -> None:
    model = onnx.load(FOLDER / f"light_{name}.onnx")
    prepared = prepare(model, interpreted=interpreted)
    (x,) = (v for v in model.graph.input if v.name == prepared.inputs[0])
    (found,) = prepared.run([Runner.generate_dummy_data(x)])
    expected = numpy_helper.to_array(onnx.load_tensor(str(FOLDER / f"light_{name}_output_0.pb")))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("name", ["bvlc_alexnet", "shufflenet", "squeezenet"])
def test_interpreted_agrees_with_the_stored_output(name: str) -> None:
    _check(name, interpreted=True)


# The others take half a minute together; they were seen to agree as well.
@pytest.mark.parametrize("name", ["zfnet512", "shufflenet"])
def test_compiled_agrees_with_the_stored_output(name: str) -> None:
    _check(name, interpreted=False)
