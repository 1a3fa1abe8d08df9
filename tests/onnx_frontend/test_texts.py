"""Models with texts: codes in machine code, Python for the nodes that look into them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnx_frontend.models import output, value

from tensorkiln.frontends.onnx import import_model
from tensorkiln.frontends.onnx.backend import InterpretedBackend, TensorKilnBackend
from tensorkiln.frontends.onnx.host import HostedModel
from tensorkiln.runtime.errors import FeedError, ModelError, UnsupportedError

TEXT = TensorProto.STRING
MODES = pytest.mark.parametrize("mode", [InterpretedBackend, TensorKilnBackend])
ML = "ai.onnx.ml"


def texts(*items: Any) -> np.ndarray:
    return np.array(items, object)


def model(
    nodes: Sequence[NodeProto],
    inputs: Sequence[Any],
    outputs: Sequence[str] = ("y",),
    **weights: Any,
) -> ModelProto:
    tensors = [
        helper.make_tensor(n, TEXT, a.shape, [t.encode() for t in a.reshape(-1)])
        if a.dtype == object
        else numpy_helper.from_array(a, n)
        for n, a in weights.items()
    ]
    graph = helper.make_graph(nodes, "g", inputs, [output(n) for n in outputs], tensors)
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid(ML, 4)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def one(kind: str, *arrays: Any, domain: str = "", **attributes: Any) -> Any:
    """The first result of a node of texts, compiled."""
    names = [f"x{k}" for k in range(len(arrays))]
    kinds = [
        TEXT if a.dtype == object else helper.np_dtype_to_tensor_dtype(a.dtype) for a in arrays
    ]
    inputs = [value(n, a.shape, k) for n, a, k in zip(names, arrays, kinds, strict=True)]
    node = helper.make_node(kind, names, ["y"], "n", domain=domain, **attributes)
    return TensorKilnBackend.prepare(model([node], inputs)).run(list(arrays))[0]


@MODES
def test_texts_move_and_compare_in_machine_code(mode: type[TensorKilnBackend]) -> None:
    nodes = [
        helper.make_node("Gather", ["x", "places"], ["picked"], axis=0),
        helper.make_node("Concat", ["picked", "more"], ["all"], axis=0),
        helper.make_node("Equal", ["all", "word"], ["same"]),
        helper.make_node("Where", ["same", "other", "all"], ["y"]),
        helper.make_node("Reshape", ["y", "shape"], ["z"]),
    ]
    proto = model(
        nodes, [value("x", ["n"], TEXT)], ("y", "same", "z"),
        places=np.array([2, -1, 0]), more=texts("a", "ü"), word=texts("a"), other=texts("none"),
        shape=np.array([5, 1]),
    )  # fmt: skip
    prepared = mode.prepare(proto)
    assert isinstance(prepared, HostedModel)
    assert prepared.host_nodes == ()
    for x in (texts("b", "a", "", "x y"), texts("a", "a", "a"), np.array(["a", "b", "c"])):
        everything = [x[2], x[-1], x[0], "a", "ü"]
        y, same, z = prepared.run([x])
        assert y.tolist() == ["none" if t == "a" else t for t in everything]
        assert same.tolist() == [t == "a" for t in everything]
        assert z.tolist() == [[t] for t in y]


@MODES
def test_python_and_machine_code_take_turns(mode: type[TensorKilnBackend]) -> None:
    """Words are cleaned by Python, looked up and summed by machine code, and written by Python."""
    rows = np.array([[0.5, 2], [4, 8], [16, 32], [1, 0]], np.float32)
    nodes = [
        helper.make_node("StringNormalizer", ["x"], ["low"], "clean", case_change_action="LOWER",
                         stopwords=["the"], is_case_sensitive=0),
        helper.make_node("LabelEncoder", ["low"], ["ids"], "ids", domain=ML,
                         keys_strings=["cat", "dog", "cat"], values_int64s=[0, 1, 2],
                         default_int64=3),
        helper.make_node("Gather", ["rows", "ids"], ["found"]),
        helper.make_node("ReduceSum", ["found", "axis"], ["total"], keepdims=0),
        helper.make_node("Cast", ["total"], ["numbers"], "write", to=TEXT),
        helper.make_node("StringConcat", ["numbers", "unit"], ["y"], "unit"),
        helper.make_node("ArgMax", ["total"], ["best"], axis=0),
        helper.make_node("LabelEncoder", ["best"], ["label"], "label", domain=ML,
                         keys_int64s=[0, 1], values_strings=["first", "second"]),
    ]  # fmt: skip
    proto = model(
        nodes, [value("x", ["n"], TEXT)], ("y", "label", "low"), rows=rows,
        axis=np.array([0]), unit=texts(" m"),
    )  # fmt: skip
    prepared = mode.prepare(proto)
    assert isinstance(prepared, HostedModel)
    assert prepared.host_nodes == ("clean", "write", "unit")
    y, label, low = prepared.run({"x": texts("The", "CAT", "dog", "cow")})
    assert low.tolist() == ["cat", "dog", "cow"]
    assert y.tolist() == ["21 m", "40 m"]
    assert label.tolist() == ["second"]
    y, label, low = prepared.run([texts("the", "THE")])
    assert (low.tolist(), y.tolist(), label.tolist()) == ([""], ["1 m", "0 m"], ["first"])


@pytest.mark.parametrize(
    ("array", "written"),
    [
        (np.array([0, -7, 1 << 40]), ["0", "-7", str(1 << 40)]),
        (np.array([0.1, 1e30, -np.inf, np.nan, 3, 1e-9], np.float32),
         ["0.1", "1e+30", "-INF", "NaN", "3", "1e-09"]),
        (np.array([0.1, 123456.75]), ["0.1", "123456.75"]),
        (np.array([0.5, 2], np.float16), ["0.5", "2"]),
        (np.zeros((0, 2), np.int32), []),
    ],
)  # fmt: skip
def test_numbers_are_written_and_read(array: np.ndarray, written: list[str]) -> None:
    found = one("Cast", array, to=TEXT)
    assert found.tolist() == written
    assert found.shape == array.shape
    back = one("Cast", found, to=helper.np_dtype_to_tensor_dtype(array.dtype))
    np.testing.assert_array_equal(back, array)
    assert back.dtype == array.dtype


def test_texts_that_are_no_numbers() -> None:
    kind = TensorProto.INT8
    for text in ("x", "1.5", "", "300", "1_0"):
        with pytest.raises(FeedError, match="node 'n' \\(Cast\\)"):
            one("Cast", texts(text), to=kind)
    np.testing.assert_array_equal(one("Cast", texts("-5", "0"), to=kind), [-5, 0])


def test_splits_concatenations_and_patterns() -> None:
    assert one("StringSplit", texts("a,b,,c", "", "x"), delimiter=",", maxsplit=2).tolist() == [
        ["a", "b", ",c"], ["", "", ""], ["x", "", ""],
    ]  # fmt: skip
    assert one("StringSplit", texts("  a  b "), delimiter="").tolist() == [["a", "b"]]
    assert one("StringConcat", texts(texts("a", "b"), texts("c", "d")), texts("x", "y")).tolist() \
        == [["ax", "by"], ["cx", "dy"]]  # fmt: skip
    with pytest.raises(FeedError, match=r"\[2\] and \[3\] do not broadcast"):
        one("StringConcat", texts("a", "b"), texts("a", "b", "c"))
    found = one("RegexFullMatch", texts("a1", "a٣", "xa1", ""), pattern=r"a\d")
    assert found.tolist() == [True, False, False, False]  # RE2's digits are those of ASCII
    with pytest.raises(UnsupportedError, match="cannot be read"):
        one("RegexFullMatch", texts("a"), pattern="(")
    with pytest.raises(FeedError, match=r"not \[C\] or \[1, C\]"):
        one("StringNormalizer", np.full((2, 2), "a", object))


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_labels_of_numbers(dtype: type) -> None:
    """The last of equal keys holds, NaN is a key, and there may be none."""
    floats = dtype is np.float32
    x = np.array([[1, 2, 3], [4, 1, 7]], dtype)
    keys: list[float] = [1, 3, 1, 4]
    given: dict[str, Any] = {"values_floats": [10.0, 30, 11, 40], "default_float": 0.5}
    if floats:
        x[1, 2] = np.nan
        keys[3] = float("nan")
        given["keys_floats"] = keys
        expected = [[11, 0.5, 30], [0.5, 11, 40]]
    else:
        given["keys_int64s"] = keys
        expected = [[11, 0.5, 30], [40, 11, 0.5]]
    found = one("LabelEncoder", x, domain=ML, **given)
    np.testing.assert_array_equal(found, np.array(expected, np.float32))
    assert one("LabelEncoder", x[:0], domain=ML, **given).shape == (0, 3)
    with pytest.raises(ModelError, match="4 keys for 1 values"):
        one("LabelEncoder", x, domain=ML, **{**given, "values_floats": [1.0]})


def test_labels_of_wide_tensors() -> None:
    x = np.array([5, 1, 2], np.int16)
    tensors = {
        "keys_tensor": numpy_helper.from_array(np.array([1, 5], np.int16)),
        "values_tensor": numpy_helper.from_array(np.array([0.25, -1])),
        "default_tensor": numpy_helper.from_array(np.array([9.0])),
    }
    found = one("LabelEncoder", x, domain=ML, **tensors)
    np.testing.assert_array_equal(found, [-1, 0.25, 9])


def test_texts_pass_branches_and_lists_and_keep_their_bytes() -> None:
    def branch(name: str) -> Any:
        node = helper.make_node("Identity", [name], [f"{name}.out"])
        return helper.make_graph([node], name, [], [value(f"{name}.out", [2], TEXT)])

    nodes = [
        helper.make_node("If", ["c"], ["chosen"], then_branch=branch("x"), else_branch=branch("w")),
        helper.make_node("SequenceConstruct", ["chosen", "x"], ["list"]),
        helper.make_node("SequenceEmpty", [], ["none"], dtype=TEXT),
        helper.make_node("SequenceInsert", ["none", "x"], ["one"]),
        helper.make_node("SequenceAt", ["one", "first"], ["x again"]),
        helper.make_node("SequenceInsert", ["list", "x again"], ["longer"]),
        helper.make_node("ConcatFromSequence", ["longer"], ["y"], axis=0),
    ]
    proto = model(
        nodes,
        [value("c", [], TensorProto.BOOL), value("x", [2], TEXT)],
        w=texts("p", "q"),
        first=np.array(0),
    )
    prepared = TensorKilnBackend.prepare(proto)
    x = texts(b"\xff\x00", "ü")
    twice = ["\udcff\x00", "ü"] * 2
    assert prepared.run([np.array(False), x])[0].tolist() == ["p", "q", *twice]
    assert prepared.run([np.array(True), x])[0].tolist()[0].encode(
        "utf-8", "surrogateescape"
    ) == b"\xff\x00"  # fmt: skip


def test_what_is_refused() -> None:
    node = helper.make_node("StringConcat", ["x", "x"], ["y"], "twice")
    proto = model([node], [value("x", [2], TEXT)])
    with pytest.raises(UnsupportedError, match=r"element type STRING.*backend\.prepare"):
        import_model(proto)
    stream = [value("x", [9], TensorProto.UINT8)]
    with pytest.raises(UnsupportedError, match=r"ImageDecoder(.|\n)*by Python"):
        import_model(model([helper.make_node("ImageDecoder", ["x"], ["y"])], stream))
    prepared = TensorKilnBackend.prepare(proto)
    with pytest.raises(FeedError, match="input 'x' is of texts"):
        prepared.run([np.zeros(2)])
    with pytest.raises(FeedError, match="'x' are missing"):
        prepared.run([])
    inner = helper.make_graph([node], "b", [], [value("y", [2], TEXT)])
    branches = helper.make_node("If", ["c"], ["z"], then_branch=inner, else_branch=inner)
    inputs = [value("c", [], TensorProto.BOOL), value("x", [2], TEXT)]
    with pytest.raises(UnsupportedError, match=r"node 'twice'.*inside of a subgraph"):
        TensorKilnBackend.prepare(model([branches], inputs, ("z",)))
    for dims in ([3], [-1]):
        few = model([node], [], x=texts("a", "b"))
        few.graph.initializer[0].dims[:] = dims
        with pytest.raises(ModelError, match="and 2 texts"):
            TensorKilnBackend.prepare(few)
    unknown = helper.make_node("StringConcat", ["x", "nothing"], ["y"])
    with pytest.raises(ModelError, match="'nothing'"):
        TensorKilnBackend.prepare(model([unknown], [value("x", [2], TEXT)]))


def test_images(monkeypatch: pytest.MonkeyPatch) -> None:
    images = pytest.importorskip("PIL.Image")
    io = pytest.importorskip("io")
    pixels = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    buffer = io.BytesIO()
    images.fromarray(pixels).save(buffer, "PNG")
    data = np.frombuffer(buffer.getvalue(), np.uint8)
    np.testing.assert_array_equal(one("ImageDecoder", data), pixels)
    np.testing.assert_array_equal(one("ImageDecoder", data, pixel_format="BGR"), pixels[..., ::-1])
    assert one("ImageDecoder", data, pixel_format="Grayscale").shape == (5, 7, 1)
    with pytest.raises(FeedError, match="are no image"):
        one("ImageDecoder", data[:40])
    with pytest.raises(ModelError, match="pixel_format"):
        one("ImageDecoder", data, pixel_format="CMYK")
    with monkeypatch.context() as patch:
        patch.setattr(images, "MAX_IMAGE_PIXELS", 10)
        with pytest.raises(FeedError, match="pixels"):
            one("ImageDecoder", data)

    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(UnsupportedError, match=r"tensorkiln\[image\]"):
        one("ImageDecoder", data)
