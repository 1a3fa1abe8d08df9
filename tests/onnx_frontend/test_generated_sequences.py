"""The generated sequence models, small, against ONNX's own evaluator."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from onnx import ModelProto, TensorProto
from onnx.reference import ReferenceEvaluator

from tensorkiln.benchmarks.models import bert_base, gpt2, t5_small, vit_b16, wavenet
from tensorkiln.compiler.pipeline import jit
from tensorkiln.frontends.onnx import import_model

SMALL: dict[str, Callable[[], ModelProto]] = {
    "bert": lambda: bert_base(1, tokens=5, layers=1),
    "gpt2": lambda: gpt2(1, tokens=3, layers=1),
    "gpt2_token": lambda: gpt2(1, tokens=1, cached=7, layers=1),
    "t5": lambda: t5_small(1, tokens=4, steps=3, layers=1),
    "vit": lambda: vit_b16(1, size=32, layers=1),
    "wavenet": lambda: wavenet(1, samples=37, stacks=1, depth=3),
}


def _feeds(model: ModelProto) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(1)
    feeds: dict[str, np.ndarray] = {}
    for value in model.graph.input:
        kind = value.type.tensor_type
        shape = [dim.dim_value for dim in kind.shape.dim]
        if kind.elem_type == TensorProto.INT64:
            feeds[value.name] = generator.integers(0, 2, shape)
        else:
            feeds[value.name] = generator.standard_normal(shape, np.float32)
    return feeds


@pytest.mark.parametrize("name", SMALL)
def test_agrees_with_the_onnx_reference(name: str) -> None:
    model = SMALL[name]()
    feeds = _feeds(model)
    expected = ReferenceEvaluator(model).run(None, feeds)
    executable = jit(import_model(model))
    found = executable(*(feeds[spec.name] for spec in executable.inputs))
    for got, wanted in zip(found, expected, strict=True):
        scale = np.abs(wanted).max()
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=2e-5 * scale)
