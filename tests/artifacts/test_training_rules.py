"""Losses and optimizers of ONNX models against their formulas in numpy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from artifacts.trained_models import open_mlp
from numpy.typing import NDArray

from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.training import TrainingModel
from tensorkiln.frontends.training import train_onnx
from tensorkiln.frontends.training_rules import LOSSES, OPTIMIZERS
from tensorkiln.runtime.errors import ModelError, UnsupportedError

Floats = NDArray[np.float64]


def trained(model: onnx.ModelProto, **arguments: object) -> TrainingModel:
    given = {"loss": "mean_squared_error", "optimizer": "sgd", "learning_rate": 0.1}
    return train_onnx(model, dims={"batch": 4}, **{**given, **arguments})  # type: ignore[arg-type]


def feeds(model: TrainingModel) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    made = dict(model.state)
    for value in model.step.parameters:
        if value.name not in made:
            shape, dtype = value.shape, value.dtype.numpy
            made[value.name] = (
                generator.integers(0, 3, shape)
                if dtype.kind == "i"
                else generator.random(shape, np.float32)
            )
    return made


def step(model: TrainingModel, fed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    results = evaluate(model.step, [fed[v.name] for v in model.step.parameters])
    names = model.step.result_names
    return dict(zip(names, results, strict=True))


def predict(model: TrainingModel, fed: dict[str, np.ndarray]) -> Floats:
    (result,) = evaluate(model.predict, [fed[v.name] for v in model.predict.parameters])
    return np.asarray(result, np.float64)


def cross(p: Floats, z: Floats) -> float:
    return float(-(z * np.log(p) + (1 - z) * np.log(1 - p)).mean())


FORMULAS: dict[str, Callable[[Floats, np.ndarray], float]] = {
    "softmax_cross_entropy": lambda y, z: float(
        np.mean([np.log(np.exp(row).sum()) - row[k] for row, k in zip(y, z, strict=True)])
    ),
    "sigmoid_cross_entropy": lambda y, z: cross(1 / (1 + np.exp(-y)), z),
    "mean_squared_error": lambda y, z: float(((y - z) ** 2).mean()),
    "mean_absolute_error": lambda y, z: float(np.abs(y - z).mean()),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_losses(loss: str) -> None:
    model = trained(open_mlp(), loss=loss)
    fed = feeds(model)
    target = fed["labels" if loss.startswith("softmax") else "targets"]
    expected = FORMULAS[loss](predict(model, fed), target)
    np.testing.assert_allclose(step(model, fed)["loss"], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("loss", "last"), [("softmax_cross_entropy", "Softmax"), ("sigmoid_cross_entropy", "Sigmoid")]
)
def test_cross_entropy_looks_through_what_makes_probabilities(loss: str, last: str) -> None:
    plain, ended = trained(open_mlp(), loss=loss), trained(open_mlp(last=last), loss=loss)
    fed = feeds(plain)
    np.testing.assert_allclose(step(ended, fed)["loss"], step(plain, fed)["loss"], rtol=1e-6)
    assert predict(ended, fed).min() > 0


def test_sigmoid_cross_entropy_of_large_logits_is_finite() -> None:
    model = trained(open_mlp(), loss="sigmoid_cross_entropy")
    fed = feeds(model)
    fed["fc1.bias"] = np.array([1e4, -1e4, 0], np.float32)
    assert np.isfinite(step(model, fed)["loss"])


RATE = 0.1


def adam(x: Floats, g: Floats, s: dict[str, Floats], t: int, decay: float = 0.0) -> Floats:
    s["m"] = 0.9 * s.get("m", 0 * x) + 0.1 * g
    s["v"] = 0.999 * s.get("v", 0 * x) + 0.001 * g * g
    m, v = s["m"] / (1 - 0.9**t), s["v"] / (1 - 0.999**t)
    return x - RATE * m / (np.sqrt(v) + 1e-8) - RATE * decay * x


def momentum(x: Floats, g: Floats, s: dict[str, Floats], t: int) -> Floats:
    s["v"] = 0.9 * s.get("v", 0 * x) + g
    return x - RATE * s["v"]


def adagrad(x: Floats, g: Floats, s: dict[str, Floats], t: int) -> Floats:
    s["a"] = s.get("a", 0 * x + 0.1) + g * g
    return x - RATE * g / np.sqrt(s["a"])


def rmsprop(x: Floats, g: Floats, s: dict[str, Floats], t: int) -> Floats:
    s["a"] = 0.9 * s.get("a", 0 * x) + 0.1 * g * g
    return x - RATE * g / np.sqrt(s["a"] + 1e-10)


UPDATES: dict[str, Callable[[Floats, Floats, dict[str, Floats], int], Floats]] = {
    "sgd": lambda x, g, s, t: x - RATE * g,
    "momentum": momentum,
    "adam": adam,
    "adamw": lambda x, g, s, t: adam(x, g, s, t, 0.01),
    "adagrad": adagrad,
    "rmsprop": rmsprop,
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_optimizers(optimizer: str) -> None:
    """The bias of the last layer, whose gradient is the sum of the errors over the rows."""
    model = trained(open_mlp(), optimizer=optimizer, trainable=["fc1.bias"])
    fed, slots = feeds(model), dict[str, Floats]()
    bias = fed["fc1.bias"].astype(np.float64)
    for t in range(1, 4):
        error = predict(model, fed) - fed["targets"]
        bias = UPDATES[optimizer](bias, 2 * error.sum(0) / error.size, slots, t)
        for name, array in step(model, fed).items():
            if name.endswith("/new"):
                fed[name.removesuffix("/new")] = array
        np.testing.assert_allclose(fed["fc1.bias"], bias, rtol=1e-4, atol=1e-6)


def test_what_cannot_be_trained() -> None:
    model = open_mlp()
    with pytest.raises(ModelError, match="choose of"):
        trained(model, loss="hinge")
    with pytest.raises(ModelError, match="positive number"):
        trained(model, learning_rate=float("nan"))
    with pytest.raises(ModelError, match="no initializer nothing"):
        trained(model, trainable=["nothing"])
    with pytest.raises(ModelError, match="once only"):
        trained(model, trainable=["fc1.bias", "fc1.bias"])
    with pytest.raises(ModelError, match="two dims"):
        trained(_three_dims(), loss="softmax_cross_entropy")
    named = open_mlp()
    named.graph.input[0].name = "targets"
    named.graph.node[0].input[0] = "targets"
    with pytest.raises(ModelError, match="input 'targets', a name"):
        trained(named)
    shape = onnx.numpy_helper.from_array(np.zeros(2, np.int64), "shape")
    model.graph.initializer.append(shape)
    with pytest.raises(UnsupportedError, match="only initializers of f32"):
        trained(model, trainable=["shape"])


def _three_dims() -> onnx.ModelProto:
    model = open_mlp()
    (output,) = model.graph.output
    axes = onnx.numpy_helper.from_array(np.array([0], np.int64), "axes")
    model.graph.initializer.append(axes)
    model.graph.node.append(onnx.helper.make_node("Unsqueeze", [output.name, "axes"], ["end"]))
    output.name = "end"
    del output.type.tensor_type.shape.dim[:]
    return model
