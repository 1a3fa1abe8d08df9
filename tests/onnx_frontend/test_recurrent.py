"""RNN, GRU and LSTM nodes with every attribute, against the operators' equations in numpy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper

from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.pipeline import jit
from tensorkiln.frontends.onnx import import_model
from tensorkiln.runtime.errors import ModelError

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
DEFAULTS = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}
Array = Any


@dataclass(frozen=True)
class Case:
    """A node: its sizes (steps, batch, inputs, units), attributes, and optional inputs."""

    op: str
    sizes: tuple[int, int, int, int] = (5, 3, 4, 6)
    attributes: dict[str, Any] = field(default_factory=dict)
    given: str = "BHCP"  # biases, initial h and c, peepholes; L for lengths
    lengths: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        parts = [self.op, *map(str, self.sizes), *(f"{k}={v}" for k, v in self.attributes.items())]
        return "-".join([*parts, self.given]).replace(" ", "")

    @property
    def directions(self) -> int:
        return 1 + (self.attributes.get("direction") == "bidirectional")


def feeds(case: Case) -> dict[str, Array]:
    """All inputs by name; those not given are left out."""
    steps, batch, inner, units = case.sizes
    d, g = case.directions, GATES[case.op]
    generator = np.random.default_rng(7)

    def draw(*shape: int) -> Array:
        return generator.uniform(-0.8, 0.8, shape).astype(np.float32)

    first = bool(case.attributes.get("layout"))
    state = (batch, d, units) if first else (d, batch, units)
    found = {
        "X": draw(batch, steps, inner) if first else draw(steps, batch, inner),
        "W": draw(d, g * units, inner),
        "R": draw(d, g * units, units),
        "B": draw(d, 2 * g * units),
        "L": np.array(case.lengths, np.int32),
        "H": draw(*state),
        "C": draw(*state),
        "P": draw(d, 3 * units),
    }
    names = ["X", "W", "R", *case.given]
    return {k: v for k, v in found.items() if k in names and (k not in "CP" or case.op == "LSTM")}


def model(case: Case) -> ModelProto:
    """The node with weights as initializers and everything else as inputs."""
    arrays = feeds(case)
    order = ["X", "W", "R", "B", "L", "H", "C", "P"][: 8 if case.op == "LSTM" else 6]
    outputs = ["Y", "Y_h", "Y_c"][: 3 if case.op == "LSTM" else 2]
    node = helper.make_node(
        case.op, [k if k in arrays else "" for k in order], outputs, "layer",
        hidden_size=case.sizes[3], **case.attributes,
    )  # fmt: skip
    kinds = {np.float32: TensorProto.FLOAT, np.int32: TensorProto.INT32}
    values = [
        helper.make_tensor_value_info(k, kinds[v.dtype.type], v.shape) for k, v in arrays.items()
    ]
    results = [helper.make_tensor_value_info(k, TensorProto.FLOAT, None) for k in outputs]
    constants = [helper.make_tensor(k, TensorProto.FLOAT, v.shape, v) for k, v in arrays.items()
                 if k in ("W", "R", "B")]  # fmt: skip
    inputs = [v for v in values if v.name not in ("W", "R", "B")]
    graph = helper.make_graph([node], case.op, inputs, results, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _function(name: str, alpha: float, beta: float) -> Callable[[Array], Array]:
    return {
        "Relu": lambda x: np.maximum(x, 0),
        "Tanh": np.tanh,
        "Sigmoid": _sigmoid,
        "Affine": lambda x: alpha * x + beta,
        "LeakyRelu": lambda x: np.where(x >= 0, x, alpha * x),
        "ThresholdedRelu": lambda x: np.where(x > alpha, x, 0),
        "ScaledTanh": lambda x: alpha * np.tanh(beta * x),
        "HardSigmoid": lambda x: np.clip(alpha * x + beta, 0, 1),
        "Elu": lambda x: np.where(x >= 0, x, alpha * np.expm1(x)),
        "Softsign": lambda x: x / (1 + np.abs(x)),
        "Softplus": lambda x: np.log1p(np.exp(x)),
    }[name]


def reference(case: Case) -> list[Array]:
    """Y, Y_h (and Y_c) by the equations of the operators' documentation, step by step."""
    arrays = {k: v.astype(np.float64) for k, v in feeds(case).items()}
    if case.attributes.get("layout"):
        for name in ("X", "H", "C"):
            if name in arrays:
                arrays[name] = arrays[name].swapaxes(0, 1)
    steps, batch, _, units = case.sizes
    y = np.zeros((steps, case.directions, batch, units))
    last = np.zeros((2, case.directions, batch, units))
    for d in range(case.directions):
        back = case.attributes.get("direction") == "reverse" or d == 1
        for row in range(batch):
            length = case.lengths[row] if case.lengths else steps
            part = {k: v[d] for k, v in arrays.items() if k not in "XL"}
            state = [part[k][row] if k in part else np.zeros(units) for k in "HC"]
            for t in range(length)[:: -1 if back else 1]:
                state = _step(case, d, arrays["X"][t, row], part, state)
                y[t, d, row] = state[0]
            last[:, d, row] = state
    results = [y, last[0], last[1]][: 3 if case.op == "LSTM" else 2]
    if case.attributes.get("layout"):
        results = [results[0].transpose(2, 0, 1, 3), *(r.swapaxes(0, 1) for r in results[1:])]
    return results


def _step(case: Case, d: int, x: Array, part: dict[str, Array], state: list[Array]) -> list[Array]:
    units, g, attributes = case.sizes[3], GATES[case.op], case.attributes
    count = len(DEFAULTS[case.op])
    names = attributes.get("activations", DEFAULTS[case.op] * case.directions)
    alphas = attributes.get("activation_alpha", [0.0] * len(names))
    betas = attributes.get("activation_beta", [0.0] * len(names))
    clip = attributes.get("clip", np.inf)

    def act(k: int, value: Array) -> Array:
        at = d * count + k
        return _function(names[at], alphas[at], betas[at])(np.clip(value, -clip, clip))

    def rows(name: str, k: int) -> Array:
        return part[name][k * units : (k + 1) * units]

    def bias(k: int) -> Array:
        return rows("B", k) if "B" in part else np.zeros(units)

    h, c = state
    ahead = [rows("W", k) @ x + bias(k) for k in range(g)]
    behind = [rows("R", k) @ h + bias(g + k) for k in range(g)]
    if case.op == "RNN":
        return [act(0, ahead[0] + behind[0]), c]
    if case.op == "GRU":
        z, r = act(0, ahead[0] + behind[0]), act(0, ahead[1] + behind[1])
        if attributes.get("linear_before_reset"):
            n = act(1, ahead[2] + r * behind[2])
        else:
            n = act(1, ahead[2] + rows("R", 2) @ (r * h) + bias(5))
        return [(1 - z) * n + z * h, c]
    peep = [rows("P", k) if "P" in part else np.zeros(units) for k in range(3)]
    i = act(0, ahead[0] + behind[0] + peep[0] * c)
    f = 1 - i if attributes.get("input_forget") else act(0, ahead[2] + behind[2] + peep[2] * c)
    new = f * c + i * act(1, ahead[3] + behind[3])
    o = act(0, ahead[1] + behind[1] + peep[1] * new)
    return [o * act(2, new), new]


CASES = (
    *(Case(op, attributes={"direction": d}) for op in GATES
      for d in ("forward", "reverse", "bidirectional")),
    *(Case(op, sizes, given="") for op in GATES
      for sizes in ((1, 1, 1, 1), (4, 1, 3, 17), (3, 17, 2, 33))),
    *(Case(op, attributes={"layout": 1, "direction": "bidirectional"}) for op in GATES),
    *(Case(op, attributes={"direction": "bidirectional"}, given="BLHCP", lengths=(2, 5, 0))
      for op in GATES),
    *(Case(op, attributes={"clip": 0.3}) for op in GATES),
    Case("GRU", attributes={"linear_before_reset": 1}),
    Case("GRU", attributes={"linear_before_reset": 1, "direction": "reverse"}, given="H"),
    Case("LSTM", attributes={"input_forget": 1}),
    *(Case("RNN", attributes={"activations": [name], "activation_alpha": [0.7],
                              "activation_beta": [0.4]}, sizes=(3, 2, 3, 5))
      for name in ("Relu", "Affine", "ScaledTanh", "HardSigmoid")),
    *(Case("RNN", attributes={"activations": [name], "activation_alpha": [0.3]}, sizes=(3, 2, 3, 5))
      for name in ("LeakyRelu", "ThresholdedRelu", "Elu")),
    *(Case("RNN", attributes={"activations": [name]}, sizes=(3, 2, 3, 5))
      for name in ("Softsign", "Softplus", "Sigmoid")),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_agrees_with_the_equations(case: Case) -> None:
    function, arrays = import_model(model(case)), feeds(case)
    given = [arrays[v.name] for v in function.parameters]
    expected = reference(case)
    for found in (evaluate(function, given), jit(function)(*given)):
        for got, wanted in zip(found, expected, strict=True):
            np.testing.assert_allclose(np.asarray(got), wanted, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (Case("RNN", attributes={"direction": "sideways"}), "direction is 'sideways'"),
        (Case("RNN", attributes={"activations": ["Swish"]}), "no activation 'Swish'"),
        (Case("GRU", attributes={"activations": ["Tanh"]}), "1 activations, not 2"),
        (Case("LSTM", given="L", lengths=(1, 2)), "sequence_lens is"),
    ],
)
def test_errors_name_the_node(case: Case, message: str) -> None:
    with pytest.raises(ModelError, match=message) as error:
        import_model(model(case))
    assert "'layer'" in str(error.value)
