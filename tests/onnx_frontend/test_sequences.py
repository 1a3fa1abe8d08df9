"""Sequences and optionals, which are lists while importing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, TypeProto, ValueInfoProto, helper
from onnx.reference import ReferenceEvaluator
from onnx_frontend.models import FLOAT, model, output, value

from tensorkiln.frontends.onnx import import_model
from tensorkiln.frontends.onnx.backend import prepare
from tensorkiln.runtime.errors import ModelError, UnsupportedError

node = helper.make_node
Shape = Sequence[int | str] | None


def sequence_type(shape: Shape, kind: int = FLOAT) -> TypeProto:
    return helper.make_sequence_type_proto(helper.make_tensor_type_proto(kind, shape))


def sequence(name: str, shape: Shape = None) -> ValueInfoProto:
    return helper.make_value_info(name, sequence_type(shape))


def optional(name: str, inner: TypeProto) -> ValueInfoProto:
    return helper.make_value_info(name, helper.make_optional_type_proto(inner))


def assert_same(found: Any, wanted: Any) -> None:
    assert isinstance(found, list) == isinstance(wanted, list)
    if wanted is None:
        assert found is None
    elif isinstance(wanted, list):
        assert len(found) == len(wanted)
        for got, want in zip(found, wanted, strict=True):
            assert_same(got, want)
    else:
        assert (found.dtype, found.shape) == (np.asarray(wanted).dtype, np.shape(wanted))
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


def check(proto: ModelProto, *fed: Any) -> list[Any]:
    """The outputs, which are the same compiled, interpreted and by ONNX's own evaluator."""
    names = [v.name for v in proto.graph.input]
    wanted = ReferenceEvaluator(proto).run(None, dict(zip(names, fed, strict=True)))
    for interpreted in (True, False):
        found = prepare(proto, interpreted=interpreted).run(list(fed))
        for got, want in zip(found, wanted, strict=True):
            assert_same(got, want)
    return list(wanted)


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def test_items_go_in_and_come_out() -> None:
    """Tensors of several shapes; positions from either end."""
    proto = model(
        [
            node("SequenceConstruct", ["a", "b"], ["s"]),
            node("SequenceInsert", ["s", "c", "first"], ["t"]),
            node("SequenceInsert", ["t", "a"], ["u"]),
            node("SequenceErase", ["u", "last"], ["v"]),
            node("SequenceAt", ["v", "first"], ["x"]),
            node("SequenceLength", ["u"], ["n"]),
            node("SequenceErase", ["v"], ["w"]),
        ],
        [value("a", (2,)), value("b", ()), value("c", (3, 1))],
        ["x", "n", "u", "v", "w"],
        weights={"first": np.array(0, np.int64), "last": np.array(-2, np.int64)},
    )
    _, length, whole, *_ = check(proto, floats(2), floats(), floats(3, 1))
    assert length == 4
    assert [item.shape for item in whole] == [(3, 1), (2,), (), (2,)]


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("split", [None, 2, [1, 0, 4], [5]])
def test_split_and_joined_again(split: int | list[int] | None, axis: int) -> None:
    names = ["x"] if split is None else ["x", "split"]
    weights = {} if split is None else {"split": np.array(split, np.int64)}
    proto = model(
        [
            node("SplitToSequence", names, ["s"], axis=axis),
            node("ConcatFromSequence", ["s"], ["y"], axis=axis),
        ],
        [value("x", (5, 5))],
        ["s", "y"],
        weights=weights,
    )
    assert np.array_equal(check(proto, floats(5, 5))[1], floats(5, 5))


def test_rows_without_their_dim_are_stacked() -> None:
    proto = model(
        [
            node("SplitToSequence", ["x"], ["s"], axis=1, keepdims=0),
            node("ConcatFromSequence", ["s"], ["y"], axis=-1, new_axis=1),
        ],
        [value("x", (3, 4))],
    )
    assert np.array_equal(check(proto, floats(3, 4))[0], floats(3, 4))


def test_a_sequence_as_input_for_several_lengths() -> None:
    body = helper.make_graph(
        [node("Mul", ["i", "w"], ["p"]), node("ReduceSum", ["p"], ["o"], keepdims=0)],
        "body", [value("i", ["n"]), value("w", (1,))], [value("p", ["n"]), value("o", ())],
    )  # fmt: skip
    proto = model(
        [node("SequenceMap", ["s", "w"], ["y", "z"], body=body)],
        [sequence("s", ["n"]), value("w", (1,))],
        ["y", "z"],
    )
    prepared = prepare(proto)
    for sizes in ((3,), (2, 5, 1), ()):
        items = [floats(n) for n in sizes]
        products, sums = prepared.run([items, np.array([2], np.float32)])
        assert_same(products, [2 * item for item in items])
        assert [item.shape for item in sums] == [()] * len(items)


def test_dims_settle_a_sequence() -> None:
    proto = model([node("SequenceAt", ["s", "k"], ["y"])], [sequence("s", (2, "n"))], ["y", "s"],
                  weights={"k": np.array(-1, np.int64)})  # fmt: skip
    function = import_model(proto, dims={"s.length": 3, "n": 4})
    assert [(v.name, v.shape) for v in function.parameters] == [
        ("s.0", (2, 4)), ("s.1", (2, 4)), ("s.2", (2, 4)),
    ]  # fmt: skip
    assert function.result_names == ("y", "s.0", "s.1", "s.2")
    with pytest.raises(ModelError, match=r"open dims are s\.length, n"):
        import_model(proto)
    with pytest.raises(ModelError, match="more than"):
        import_model(proto, dims={"s.length": 1 << 60, "n": 4})


def test_a_loop_carries_a_sequence() -> None:
    body = helper.make_graph(
        [
            node("Mul", ["a", "a"], ["square"]),
            node("SequenceInsert", ["s", "square"], ["longer"]),
            node("Identity", ["c"], ["go"]),
        ],
        "body",
        [value("t", (), TensorProto.INT64), value("c", (), TensorProto.BOOL), sequence("s")],
        [output("go"), helper.make_value_info("longer", sequence_type(None)), output("square")],
    )  # fmt: skip
    proto = model(
        [
            node("SequenceEmpty", [], ["none"]),
            node("Loop", ["trips", "", "none"], ["s", "last"], body=body),
        ],
        [value("a", (3,))],
        ["s", "last"],
        weights={"trips": np.array(4, np.int64)},
    )
    for interpreted in (True, False):
        found, last = prepare(proto, interpreted=interpreted).run([floats(3)])
        assert_same(found, [floats(3) ** 2] * 4)
        assert_same(last, np.stack(found))


def test_branches_with_sequences_are_chosen_by_a_run() -> None:
    branches = [
        helper.make_graph(
            [node("Neg", ["a"], [f"{name}_n"]),
             node("SequenceConstruct", [f"{name}_n" if name == "t" else "a", "a"], [f"{name}_s"])],
            name, [], [helper.make_value_info(f"{name}_s", sequence_type(None))],
        )
        for name in ("t", "e")
    ]  # fmt: skip
    proto = model(
        [node("If", ["c"], ["y"], then_branch=branches[0], else_branch=branches[1])],
        [value("c", (), TensorProto.BOOL), value("a", (2, 2))],
    )
    assert any(op.name == "case" for op in import_model(proto).ops)
    for flag in (True, False):
        check(proto, np.array(flag), floats(2, 2))


def test_one_value_under_two_names_in_branches() -> None:
    branches = [
        helper.make_graph([node(kind, ["a", "b"], [f"{kind}_y"])], kind, [], [output(f"{kind}_y")])
        for kind in ("Add", "Mul")
    ]
    proto = model(
        [
            node("Identity", ["a"], ["b"]),
            node("If", ["c"], ["y"], then_branch=branches[0], else_branch=branches[1]),
        ],
        [value("c", (), TensorProto.BOOL), value("a", (2,))],
    )
    for flag in (True, False):
        check(proto, np.array(flag), floats(2))


TENSOR = helper.make_tensor_type_proto(FLOAT, (2,))


@pytest.mark.parametrize("given", [True, False])
def test_an_optional_input(given: bool) -> None:
    proto = model([node("OptionalHasElement", ["x"], ["y"])], [optional("x", TENSOR)], opset=18)
    assert check(proto, floats(2) if given else None) == [np.array(given)]


def test_what_an_optional_holds() -> None:
    fed = {"x": TENSOR, "s": sequence_type((2,))}
    for name, items in (("x", floats(2)), ("s", [floats(2), floats(2)])):
        proto = model(
            [node("OptionalGetElement", [name], ["y"])], [optional(name, fed[name])], opset=18
        )
        check(proto, items)
        with pytest.raises(ModelError, match="holds nothing"):
            prepare(proto).run([None])


def test_an_optional_is_made() -> None:
    proto = model(
        [
            node("Optional", ["x"], ["o"]),
            node("OptionalGetElement", ["o"], ["y"]),
            node("Optional", [], ["e"], type=TENSOR),
            node("OptionalHasElement", ["e"], ["z"]),
        ],
        [value("x", (2,))],
        ["y", "z", "e"],
        opset=18,
    )
    found = prepare(proto).run([floats(2)])
    assert_same(list(found), [floats(2), np.array(False), None])


BAD = {
    "position": ([node("SequenceAt", ["s", "far"], ["y"], "n")], "position 9 does not exist"),
    "dtype": (
        [node("Shape", ["a"], ["i"]), node("SequenceInsert", ["s", "i"], ["y"], "n")],
        r"a tensor of i64 does not go into seq\(tensor\(float\)\)",
    ),
    "tensor": ([node("Relu", ["s"], ["y"], "n")], r"input X \('s'\) is seq\(tensor\(float\)\)"),
    "sequence": ([node("SequenceLength", ["a"], ["y"], "n")], r"input_sequence \('a'\) is tensor"),
    "join": (
        [node("SequenceErase", ["s"], ["e"]), node("ConcatFromSequence", ["e"], ["y"], "n", axis=0)],
        "'n'.*is empty",
    ),
    "none": ([node("SplitToSequence", ["a", "zero"], ["y"], "n")], "'n'.*parts of 0"),
}  # fmt: skip


@pytest.mark.parametrize("name", ["position", "dtype", "tensor", "sequence", "join", "none"])
def test_errors_name_the_node(name: str) -> None:
    nodes, match = BAD[name]
    proto = model(
        [node("SequenceConstruct", ["a"], ["s"]), *nodes],
        [value("a", (2, 3))],
        weights={"far": np.array(9, np.int64), "zero": np.array(0, np.int64)},
    )
    with pytest.raises(ModelError, match=f"(?s)'n'.*{match}|{match}"):
        import_model(proto)


def test_a_run_cannot_choose_an_item() -> None:
    proto = model(
        [node("SequenceConstruct", ["a"], ["s"]), node("SequenceAt", ["s", "k"], ["y"], "n")],
        [value("a", (2,)), value("k", (), TensorProto.INT64)],
    )
    with pytest.raises(UnsupportedError, match=r"'n'.*position.*constant"):
        import_model(proto)
    check(proto, floats(2), np.array(-1))
