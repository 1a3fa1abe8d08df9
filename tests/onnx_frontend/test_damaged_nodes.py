"""Nodes of the conformance suite with an attribute, a shape or an input spoiled.

Importing them either works or gives an error of TensorKiln's own.
"""

from __future__ import annotations

import contextlib
import functools
import warnings

import numpy as np
import pytest
from onnx import AttributeProto, ModelProto
from onnx.backend.test.loader import load_model_tests

from tensorkiln.frontends.onnx import import_model
from tensorkiln.runtime.errors import TensorKilnError

ODD = (0, -1, -2, 7, 100, -100, 1 << 31, 1 << 40, -(1 << 63), (1 << 63) - 1)


def _spoil(model: ModelProto, generator: np.random.Generator) -> None:
    node = model.graph.node[int(generator.integers(len(model.graph.node)))]
    match int(generator.integers(3)):
        case 0 if model.graph.input:
            value = model.graph.input[int(generator.integers(len(model.graph.input)))]
            dims = value.type.tensor_type.shape.dim
            if dims and generator.integers(2):
                dims[int(generator.integers(len(dims)))].dim_value = int(generator.integers(10))
            elif dims and generator.integers(2):
                del dims[-1]
            else:
                dims.add().dim_value = 2
        case 1 if node.attribute:
            attribute = node.attribute[int(generator.integers(len(node.attribute)))]
            odd = ODD[int(generator.integers(len(ODD)))]
            if attribute.type == AttributeProto.INT:
                attribute.i = odd
            elif attribute.type == AttributeProto.INTS:
                attribute.ints.append(odd)
            elif attribute.type == AttributeProto.FLOAT:
                attribute.f = float("nan")
            elif attribute.type == AttributeProto.STRING:
                attribute.s = b"odd\xff"
        case _:
            if node.input:
                node.input[int(generator.integers(len(node.input)))] = ""


@functools.cache
def _models() -> list[ModelProto]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the suite computes infinities on purpose
        cases = load_model_tests(kind="node")
    return [case.model for case in cases if case.model and "expanded" not in case.name]


@pytest.mark.parametrize("seed", range(4))
def test_errors_are_our_own(seed: int) -> None:
    generator = np.random.default_rng(seed)
    models = _models()
    for number in generator.integers(len(models), size=150):
        model = ModelProto()
        model.CopyFrom(models[int(number)])
        _spoil(model, generator)
        with contextlib.suppress(TensorKilnError):
            import_model(model)
