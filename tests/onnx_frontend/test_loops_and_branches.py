"""If, Loop and Scan with data-dependent conditions, captures, scan outputs; both modes agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper
from onnx_frontend.models import model, output, value

from tensorkiln.frontends.onnx import backend, import_model
from tensorkiln.runtime.errors import ModelError, UnsupportedError

node = helper.make_node
INT, BOOL = TensorProto.INT64, TensorProto.BOOL
X = np.array([[1.0, -2.0, 3.0], [0.5, 4.0, -1.0]], np.float32)
W = np.array([[0.5, 0.1, -0.2]], np.float32)


def graph(
    nodes: Sequence[NodeProto], inputs: Sequence[Any], outputs: Sequence[str], name: str = "body",
    **weights: np.ndarray,
) -> GraphProto:  # fmt: skip
    tensors = [numpy_helper.from_array(a, n) for n, a in weights.items()]
    return helper.make_graph(list(nodes), name, list(inputs), [output(n) for n in outputs], tensors)


def both(proto: Any, *arrays: Any) -> list[np.ndarray]:
    """The results by machine code, which must be those of the interpreter."""
    given = [np.asarray(a) for a in arrays]
    found = backend.prepare(proto).run(given)
    expected = backend.prepare(proto, interpreted=True).run(given)
    for got, want in zip(found, expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6)
    return [np.asarray(a) for a in found]


def _if_model(then: Sequence[NodeProto], otherwise: Sequence[NodeProto]) -> Any:
    branch = node(
        "If", ["c"], ["y"], "choose",
        then_branch=graph(then, [], ["t"], "then"),
        else_branch=graph(otherwise, [], ["e"], "else", half=np.array(0.5, np.float32)),
    )  # fmt: skip
    return model([branch], [value("c", [], BOOL), value("x", [2, 3])], weights={"w": W})


def test_if_chooses_in_the_run() -> None:
    proto = _if_model([node("Add", ["x", "w"], ["t"])], [node("Mul", ["x", "half"], ["e"])])
    np.testing.assert_allclose(both(proto, True, X)[0], X + W)
    np.testing.assert_allclose(both(proto, False, X)[0], X * 0.5)


def test_branches_of_unlike_shapes_need_a_known_condition() -> None:
    proto = _if_model([node("Identity", ["w"], ["t"])], [node("Mul", ["x", "half"], ["e"])])
    with pytest.raises(UnsupportedError, match=r"node 'choose' \(If\): its branches give"):
        import_model(proto)
    np.testing.assert_allclose(both(proto, True, X)[0], W)
    np.testing.assert_allclose(both(proto, False, X)[0], X * 0.5)


def _counted(trips: Any, more: Sequence[str] = (), scan: bool = True) -> Any:
    body = graph(
        [
            node("Cast", ["i"], ["f"], to=1),
            node("Mul", ["h", "w"], ["hw"]),
            node("Add", ["hw", "f"], ["h2"]),
            node("ReduceSum", ["h2"], ["s"], keepdims=0),
            node("Identity", ["go"], ["go2"]),
        ],
        [value("i", [], INT), value("go", [], BOOL), value("h", [2, 3])],
        ["go2", "h2", *(["s"] if scan else [])],
    )
    loop = node("Loop", ["m", "", "x"], ["y", *(["z"] if scan else [])], "rounds", body=body)
    weights = {"w": W} if trips is None else {"w": W, "m": np.array(trips, np.int64)}
    inputs = [value("x", [2, 3])] + ([value("m", [], INT)] if trips is None else [])
    return model([loop], inputs, ["y", "z"] if scan else ["y"], weights=weights)


def _rounds(trips: int) -> tuple[np.ndarray, np.ndarray]:
    h, sums = X, []
    for i in range(trips):
        h = h * W + i
        sums.append(h.sum())
    return h, np.array(sums, np.float32)


@pytest.mark.parametrize("trips", [0, 1, 2, 3, 7])
def test_counted_loops_stack_their_rows(trips: int) -> None:
    y, z = both(_counted(trips), X)
    expected, sums = _rounds(trips)
    np.testing.assert_allclose(y, expected, rtol=1e-5)
    np.testing.assert_allclose(z, sums, rtol=1e-5)
    if trips > 2:
        assert any(op.name == "while" for op in import_model(_counted(trips)).ops)


@pytest.mark.parametrize("trips", [0, 1, 5])
def test_counts_from_inputs(trips: int) -> None:
    y, z = both(_counted(None), X, np.array(trips, np.int64))
    np.testing.assert_allclose(y, _rounds(trips)[0], rtol=1e-5)
    assert z.shape == (trips,)
    (alone,) = both(_counted(None, scan=False), X, np.array(trips, np.int64))
    np.testing.assert_allclose(alone, _rounds(trips)[0], rtol=1e-5)


def test_the_data_ends_a_loop() -> None:
    body = graph(
        [
            node("Mul", ["h", "half"], ["h2"]),
            node("ReduceMax", ["h2"], ["top"], keepdims=0),
            node("Greater", ["top", "one"], ["go2"]),
        ],
        [value("i", [], INT), value("go", [], BOOL), value("h", [2, 3])], ["go2", "h2"],
        half=np.array(0.5, np.float32), one=np.array(1.0, np.float32),
    )  # fmt: skip
    loop = node("Loop", ["", "c", "x"], ["y"], "halve", body=body)
    proto = model([loop], [value("x", [2, 3]), value("c", [], BOOL)])
    np.testing.assert_allclose(both(proto, X, True)[0], X / 4)
    np.testing.assert_allclose(both(proto, 9 * X, True)[0], 9 * X / 64)
    np.testing.assert_allclose(both(proto, X, False)[0], X)


def test_shapes_that_change_are_unrolled() -> None:
    body = graph(
        [node("Concat", ["h", "h"], ["h2"], axis=0), node("Identity", ["go"], ["go2"])],
        [value("i", [], INT), value("go", [], BOOL), value("h", [None, 3])], ["go2", "h2"],
    )  # fmt: skip
    loop = node("Loop", ["m", "", "x"], ["y"], "double", body=body)
    proto = model([loop], [value("x", [2, 3])], weights={"m": np.array(3, np.int64)})
    np.testing.assert_array_equal(both(proto, X)[0], np.tile(X, (8, 1)))


def test_an_unknown_number_of_rows_is_refused_by_name() -> None:
    body = graph(
        [node("ReduceMax", ["h"], ["top"], keepdims=0), node("Less", ["top", "five"], ["go2"]),
         node("Add", ["h", "five"], ["h2"])],
        [value("i", [], INT), value("go", [], BOOL), value("h", [2, 3])], ["go2", "h2", "top"],
        five=np.array(5.0, np.float32),
    )  # fmt: skip
    loop = node("Loop", ["m", "", "x"], ["y", "z"], "climb", body=body)
    proto = model([loop], [value("x", [2, 3])], ["y", "z"], {"m": np.array(4, np.int64)})
    with pytest.raises(UnsupportedError, match=r"node 'climb' \(Loop\)"):
        import_model(proto)


def test_a_loop_that_nothing_ends_is_malformed() -> None:
    body = graph(
        [node("Identity", ["go"], ["go2"]), node("Neg", ["h"], ["h2"])],
        [value("i", [], INT), value("go", [], BOOL), value("h", [2, 3])], ["go2", "h2"],
    )  # fmt: skip
    proto = model([node("Loop", ["", "", "x"], ["y"], "ever", body=body)], [value("x", [2, 3])])
    with pytest.raises(ModelError, match=r"'ever'.*nothing ends it"):
        import_model(proto)


def test_a_body_with_other_inputs_is_malformed() -> None:
    body = graph([node("Neg", ["h"], ["h2"])], [value("h", [2, 3])], ["h2"])
    proto = model([node("Loop", ["", "", "x"], ["y"], "odd", body=body)], [value("x", [2, 3])])
    with pytest.raises(ModelError, match=r"'odd'.*its body has 1 inputs"):
        import_model(proto)


def test_an_if_in_a_loop_captures_from_all_around() -> None:
    choose = node(
        "If", ["odd"], ["h2"], "pick",
        then_branch=graph([node("Add", ["h", "x"], ["t"])], [], ["t"], "then"),
        else_branch=graph([node("Mul", ["h", "w"], ["e"])], [], ["e"], "else"),
    )  # fmt: skip
    body = graph(
        [
            node("Mod", ["i", "two"], ["rest"]), node("Cast", ["rest"], ["odd"], to=BOOL), choose,
            node("Identity", ["go"], ["go2"]),
        ],
        [value("i", [], INT), value("go", [], BOOL), value("h", [2, 3])], ["go2", "h2"],
        two=np.array(2, np.int64),
    )  # fmt: skip
    loop = node("Loop", ["m", "", "x"], ["y"], "rounds", body=body)
    proto = model([loop], [value("x", [2, 3])], weights={"m": np.array(5, np.int64), "w": W})
    expected = X
    for i in range(5):
        expected = expected + X if i % 2 else expected * W
    np.testing.assert_allclose(both(proto, X)[0], expected, rtol=1e-6)


@pytest.mark.parametrize("backward", [0, 1])
def test_scan_along_other_axes_and_backwards(backward: int) -> None:
    body = graph(
        [node("Add", ["s", "row"], ["s2"]), node("Mul", ["s2", "row"], ["out"])],
        [value("s", [2]), value("row", [2])], ["s2", "out"],
    )  # fmt: skip
    scan = node(
        "Scan", ["s0", "x"], ["y", "z"], "sums", body=body, num_scan_inputs=1,
        scan_input_axes=[1], scan_input_directions=[backward],
        scan_output_axes=[1], scan_output_directions=[backward],
    )  # fmt: skip
    proto = model([scan], [value("s0", [2]), value("x", [2, 3])], ["y", "z"])
    start = np.array([0.5, -1.0], np.float32)
    y, z = both(proto, start, X)
    data = X[:, ::-1] if backward else X
    sums = start[:, None] + np.cumsum(data, axis=1)
    rows = sums * data
    np.testing.assert_allclose(y, sums[:, -1], rtol=1e-6)
    np.testing.assert_allclose(z, rows[:, ::-1] if backward else rows, rtol=1e-6)


def test_scanned_inputs_of_unlike_lengths_are_malformed() -> None:
    body = graph([node("Add", ["a", "b"], ["c"])], [value("a", [3]), value("b", [3])], ["c"])
    scan = node("Scan", ["x", "v"], ["y"], "pairs", body=body, num_scan_inputs=2)
    proto = model([scan], [value("x", [2, 3]), value("v", [4, 3])])
    with pytest.raises(ModelError, match=r"'pairs'.*have \[2, 4\] rows"):
        import_model(proto)
