"""RoiAlign, DeformConv, TfIdfVectorizer, TreeEnsemble and optimizers, against ONNX's evaluator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx_frontend.models import model, value

from tensorkiln.frontends.onnx import import_model
from tensorkiln.frontends.onnx.backend import prepare
from tensorkiln.runtime.errors import ModelError

ML, TRAINING = "ai.onnx.ml", "ai.onnx.preview.training"


def single(kind: str, arrays: list[np.ndarray], domain: str = "", **attributes: Any) -> ModelProto:
    names = [f"x{k}" for k in range(len(arrays))]
    count = attributes.pop("outputs", 1)
    version = {"": 22, ML: 5, TRAINING: 1}[domain]
    proto = model(
        [
            helper.make_node(
                kind, names, [f"y{k}" for k in range(count)], "n", domain=domain, **attributes
            )
        ],
        [
            value(n, a.shape, helper.np_dtype_to_tensor_dtype(a.dtype))
            for n, a in zip(names, arrays, strict=True)
        ],
        [f"y{k}" for k in range(count)],
        opset=22,
    )
    if domain:
        proto.opset_import.append(helper.make_opsetid(domain, version))
    return proto


def check(proto: ModelProto, *arrays: np.ndarray, rtol: float = 1e-5) -> list[np.ndarray]:
    wanted = ReferenceEvaluator(proto).run(
        None, {v.name: a for v, a in zip(proto.graph.input, arrays, strict=True)}
    )
    for interpreted in (True, False):
        found = prepare(proto, interpreted=interpreted).run(list(arrays))
        for got, want in zip(found, wanted, strict=True):
            assert got.shape == want.shape
            np.testing.assert_allclose(got, want, rtol=rtol, atol=1e-5)
    return [np.asarray(a) for a in wanted]


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


REGIONS = np.array(
    [[0, 0, 4, 3], [1.5, 2, 9, 9.25], [-3, -2, 2, 2], [5, 5, 5, 5], [7, 6, 3, 1]], np.float32
)


@pytest.mark.parametrize("ratio", [0, 2])
@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize("way", ["half_pixel", "output_half_pixel"])
def test_regions(mode: str, way: str, ratio: int) -> None:
    """Regions that are reversed, empty or partly outside included."""
    arrays = [floats(2, 3, 7, 9), REGIONS, np.array([0, 1, 1, 0, 1])]
    if ratio == 0:  # ONNX's evaluator fails where a region is reversed
        arrays = [arrays[0], REGIONS[:4], arrays[2][:4]]
    proto = single(
        "RoiAlign", arrays, mode=mode, coordinate_transformation_mode=way, sampling_ratio=ratio,
        output_height=3, output_width=2, spatial_scale=0.75,
    )  # fmt: skip
    check(proto, *arrays)


@pytest.mark.parametrize(
    ("groups", "parts", "strides", "dilations"),
    [(1, 1, [1, 1], [1, 1]), (2, 2, [2, 1], [1, 2]), (1, 4, [1, 2], [2, 1])],
)
def test_moved_kernels(groups: int, parts: int, strides: list[int], dilations: list[int]) -> None:
    rows = (3 + 2 - dilations[0] - 1) // strides[0] + 1
    columns = (4 + 1 - dilations[1] - 1) // strides[1] + 1
    arrays = [
        floats(2, 4, 3, 4),
        floats(2, 4 // groups, 2, 2),
        2 * floats(2, parts * 8, rows, columns),
        floats(2),
        floats(2, parts * 4, rows, columns),
    ]
    proto = single(
        "DeformConv", arrays, group=groups, offset_group=parts, strides=strides,
        dilations=dilations, pads=[1, 0, 1, 1],
    )  # fmt: skip
    check(proto, *arrays, rtol=1e-4)


@pytest.mark.parametrize("mode", ["TF", "IDF", "TFIDF"])
@pytest.mark.parametrize("shape", [(12,), (3, 9)])
def test_counts_of_items_in_a_row(shape: tuple[int, ...], mode: str) -> None:
    rows = np.random.default_rng(4).integers(0, 4, shape).astype(np.int32)
    weights = {} if mode == "TF" else {"weights": [0.5, 2.0, 3.0, 1.5, 4.0]}
    # ONNX's evaluator looks weights up by place in the result, against the operator's text.
    places = [0, 3, 1, 5, 4] if mode == "TF" else list(range(5))
    proto = single(
        "TfIdfVectorizer", [rows], mode=mode, min_gram_length=1, max_gram_length=3,
        max_skip_count=2, ngram_counts=[0, 2, 6], ngram_indexes=places,
        pool_int64s=[2, 3, 1, 2, 3, 3, 0, 1, 2], **weights,
    )  # fmt: skip
    check(proto, rows)


def tensor(name: str, array: np.ndarray) -> TensorProto:
    return numpy_helper.from_array(array, name)


def forest(aggregate: int, missing: bool, **wrong: Any) -> ModelProto:
    """Two trees over three features, of which one asks for membership."""
    given = {
        "n_targets": 3,
        "aggregate_function": aggregate,
        "tree_roots": [0, 3],
        "nodes_modes": tensor("m", np.array([0, 3, 6, 1, 4], np.uint8)),
        "nodes_featureids": [0, 1, 2, 1, 0],
        "nodes_splits": tensor("s", np.array([0.5, -0.25, 0, 0.1, 2], np.float32)),
        "nodes_truenodeids": [1, 0, 2, 4, 5],
        "nodes_trueleafs": [0, 1, 1, 0, 1],
        "nodes_falsenodeids": [2, 1, 3, 4, 6],
        "nodes_falseleafs": [0, 1, 1, 1, 1],
        "membership_values": tensor("v", np.array([1, 2, 5, np.nan], np.float32)),
        "leaf_targetids": [0, 1, 1, 2, 0, 2, 1],
        "leaf_weights": tensor("w", np.array([1, -2, 3, 4, 5.5, 6, -7], np.float32)),
    }
    if missing:
        given["nodes_missing_value_tracks_true"] = [1, 0, 1, 1, 0]
    return single("TreeEnsemble", [np.zeros((6, 3), np.float32)], ML, **(given | wrong))


SAMPLES = np.array(
    [[0, 0, 0], [0.5, -0.25, 1], [1, 1, 2], [2, 0.1, 3], [np.nan, 2, 5], [3, np.nan, np.nan]],
    np.float32,
)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("aggregate", [0, 1, 2, 3])
def test_trees(aggregate: int, missing: bool) -> None:
    proto = forest(aggregate, missing)
    found = [prepare(proto, interpreted=i).run([SAMPLES])[0] for i in (True, False)]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], by_hand(aggregate, missing))


def by_hand(aggregate: int, missing: bool) -> np.ndarray:
    """The leaves of both trees for each sample, by the definition."""
    tracks = [1, 0, 1, 1, 0] if missing else [0] * 5
    result = np.zeros((6, 3), np.float32)
    for row, (a, b, c) in enumerate(SAMPLES):

        def holds(node: int, x: float, found: bool) -> bool:
            return bool(found) or bool(np.isnan(x) and tracks[node])

        if holds(0, a, a <= 0.5):
            first = 0 if holds(1, b, b > -0.25) else 1
        else:
            first = 2 if holds(2, c, c in (1, 2, 5)) else 3
        second = 4
        if holds(3, b, b < 0.1):
            second = 5 if holds(4, a, a == 2) else 6
        weights, goals = [1, -2, 3, 4, 5.5, 6, -7], [0, 1, 1, 2, 0, 2, 1]
        for target in range(3):
            mine = [weights[leaf] for leaf in (first, second) if goals[leaf] == target]
            fold = (lambda v: sum(v) / 2, sum, min, max)[aggregate]
            result[row, target] = fold(mine) if mine else 0
    return result


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"tree_roots": [9]}, "tree_roots"),
        ({"nodes_truenodeids": [0, 0, 2, 4, 5]}, "cycle"),
        ({"nodes_falsenodeids": [2, 1, 3, 99, 6]}, "nodes_falsenodeids"),
        ({"nodes_featureids": [0, 1, 3, 1, 0]}, "feature not one of 3"),
        ({"leaf_targetids": [0, 1, 1, 2, 0, 3, 1]}, "leaf_targetids"),
        ({"nodes_falseleafs": [0, 1, 1, 1]}, "differ in length"),
    ],
)
def test_broken_trees_are_refused(wrong: dict[str, Any], match: str) -> None:
    with pytest.raises(ModelError, match=f"'n'.*{match}"):
        import_model(forest(1, False, **wrong))


@pytest.mark.parametrize("step", [0, 3])
@pytest.mark.parametrize("kind", ["Adagrad", "Adam", "Momentum"])
def test_steps_of_optimizers(kind: str, step: int) -> None:
    """Two parameters of different shapes at once."""
    groups = {"Adagrad": 3, "Adam": 4, "Momentum": 3}[kind]
    shapes = [(3,), (2, 2)]
    tensors = [np.abs(floats(*s)) + k for k in range(groups) for s in shapes]
    arrays = [np.array(0.1, np.float32), np.array(step, np.int64), *tensors]
    more = {"mode": "nesterov", "alpha": 0.9, "beta": 0.7, "norm_coefficient": 0.1}
    attributes = more if kind == "Momentum" else {"norm_coefficient": 0.1, "epsilon": 1e-3}
    check(single(kind, arrays, TRAINING, outputs=2 * (groups - 1), **attributes), *arrays)


def test_gradient_of_what_was_computed() -> None:
    proto = model(
        [
            helper.make_node("Mul", ["a", "b"], ["c"]),
            helper.make_node("Sin", ["c"], ["y"]),
            helper.make_node(
                "Gradient", ["a", "b", "c"], ["da", "db", "dc"], "g", domain=TRAINING,
                xs=["a", "b", "c"], y="y",
            ),
        ],
        [value("a", (3,)), value("b", (1,))],
        ["da", "db", "dc"],
    )  # fmt: skip
    proto.opset_import.append(helper.make_opsetid(TRAINING, 1))
    a, b = floats(3), floats(1)
    for interpreted in (True, False):
        da, db, dc = prepare(proto, interpreted=interpreted).run([a, b])
        np.testing.assert_allclose(dc, np.cos(a * b), rtol=1e-5)
        np.testing.assert_allclose(da, np.cos(a * b) * b, rtol=1e-5)
        np.testing.assert_allclose(db, [np.sum(np.cos(a * b) * a)], rtol=1e-5)
