"""Models made to exhaust something: an error that names the culprit, in bounded time and memory."""

from __future__ import annotations

import itertools
import resource
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import GraphProto, ModelProto, TensorProto, helper
from onnx_frontend.models import model, output, value

from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.frontends.onnx import import_model, importer
from tensorkiln.runtime.errors import ModelError, UnsupportedError

node = helper.make_node
BILLION = np.array(1 << 62, np.int64)


@pytest.fixture(autouse=True)
def little_memory_and_time() -> Iterator[None]:
    """2 GiB more than there is now; what ends takes less than 20 seconds."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    start = time.process_time()
    resource.setrlimit(resource.RLIMIT_AS, (used + (2 << 30), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)
    assert time.process_time() - start < 20


def functions(count: int, calls: int) -> ModelProto:
    """Functions of which each calls the next one several times."""
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("my", 1)]
    made = []
    for k in range(count):
        names = [f"v{i}" for i in range(calls + 1)]
        kind, domain = (f"f{k + 1}", "my") if k + 1 < count else ("Neg", "")
        nodes = [node(kind, [a], [b], domain=domain) for a, b in itertools.pairwise(names)]
        made.append(helper.make_function("my", f"f{k}", ["v0"], [names[-1]], nodes, opsets))
    proto = model([node("f0", ["x"], ["y"], domain="my")], [value("x", (2,))], functions=made)
    proto.opset_import.append(helper.make_opsetid("my", 1))
    return proto


def loops(depth: int) -> GraphProto:
    """Loops in loops of 1000 trips whose carried value grows, so that they cannot be one region."""
    numbers = [value(f"t{depth}", (), TensorProto.INT64), value(f"c{depth}", (), TensorProto.BOOL)]
    carried = value(f"v{depth}", (1,))
    inner = (
        [node("Loop", ["many", "", f"v{depth}"], [f"w{depth}"], body=loops(depth - 1))]
        if depth
        else [node("Identity", [f"v{depth}"], [f"w{depth}"])]
    )
    grown = node("Concat", [f"w{depth}", "none"], [f"r{depth}"], axis=0)
    ends = [node("Identity", [f"c{depth}"], [f"d{depth}"]), *inner, grown]
    return helper.make_graph(
        ends, f"body{depth}", [*numbers, carried], [output(f"d{depth}"), output(f"r{depth}")]
    )


def test_functions_that_call_each_other_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importer, "MAXIMUM_NODES", 2000)
    with pytest.raises(ModelError, match="more than 2000 nodes"):
        import_model(functions(40, 2))
    assert len(import_model(functions(6, 2)).ops) == 1 << 6


def test_loops_written_out_in_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importer, "MAXIMUM_NODES", 2000)
    proto = model(
        [node("Loop", ["many", "", "x"], ["y"], body=loops(3))],
        [value("x", (1,))],
        weights={"many": np.array(1000, np.int64), "none": np.zeros((1,), np.float32)},
    )
    with pytest.raises(ModelError, match="more than 2000 nodes"):
        import_model(proto)


def one(kind: str, inputs: Sequence[str], shape: Sequence[int], **more: Any) -> ModelProto:
    """A node `n` that reads x of the shape and constants."""
    weights = {
        "huge": BILLION,
        "pair": np.array([1 << 40, 1 << 40], np.int64),
        "half": np.array(0.5, np.float32),
        "rois": np.array([[0, 0, 1e30, 1e30]], np.float32),
        "image": np.zeros(1, np.int64),
        "one": np.array(1, np.int64),
        "zero": np.array(0, np.int64),
        "ints": np.arange(6, dtype=np.int64),
        "ones": np.ones(70, np.int64),
        "axes": np.arange(2, 100),
        "grid": np.array([1, 1, 1 << 40, 1 << 40]),
    }
    used = {name: array for name, array in weights.items() if name in inputs}
    names = more.pop("outputs", ["y"])
    given = [value("x", shape)] if "x" in inputs else []
    return model([node(kind, inputs, names, "n", **more)], given, names, used, opset=18)


EXTREMES = {
    "expanded": one("Expand", ["x", "pair"], (1,)),
    "zeros": one("ConstantOfShape", ["pair"], ()),
    "range": one("Range", ["zero", "huge", "one"], ()),
    "tiled": one("Tile", ["x", "pair"], (1, 1)),
    "padded": one("Pad", ["x", "pair"], (1,)),
    "one_hot": one("OneHot", ["ints", "huge", "x"], (2,)),
    "split": one("SplitToSequence", ["x"], (1 << 38,)),
    "parts": one("SplitToSequence", ["x", "one"], (1 << 38,)),
    "points": one("RoiAlign", ["x", "rois", "image"], (1, 1, 4, 4), sampling_ratio=1 << 40),
    "region": one("RoiAlign", ["x", "rois", "image"], (1, 1, 4, 4)),
    "pooled": one("RoiAlign", ["x", "rois", "image"], (1, 1, 4, 4), output_height=1 << 40,
                  sampling_ratio=2),
    "places": one(
        "TfIdfVectorizer", ["ints"], (), mode="TF", min_gram_length=1, max_gram_length=1,
        max_skip_count=0, ngram_counts=[0], ngram_indexes=[1 << 60], pool_int64s=[1],
    ),
    "window": one("AveragePool", ["x"], (1, 1, 8), kernel_shape=[1 << 40], pads=[1 << 40] * 2),
    "pooled by a huge kernel": one("MaxPool", ["x"], (1, 1, 8, 8), kernel_shape=[1 << 62] * 2),
    "expanded to many dims": one("Expand", ["x", "ones"], (1,)),
    "many dims": one("Unsqueeze", ["x", "axes"], (1, 1)),
    "resized": one("Resize", ["x", "", "", "pair"], (1, 1)),
    "mel": one("MelWeightMatrix", ["huge", "huge", "huge", "half", "half"], ()),
}  # fmt: skip


def test_a_function_body_of_a_schema_names_the_node_that_calls_it() -> None:
    proto = one("AffineGrid", ["x", "grid"], (1, 2, 3))
    del proto.opset_import[:]
    proto.opset_import.append(helper.make_opsetid("", 20))
    with pytest.raises(ModelError, match="'n'"):
        import_model(proto)


def test_windows_far_larger_than_what_they_lie_over() -> None:
    x = np.arange(6, dtype=np.float32).reshape(1, 3, 2)
    wide, whole = (
        evaluate(import_model(one("LRN", ["x"], (1, 3, 2), size=size, alpha=float(size))), [x])[0]
        for size in (1 << 40, 7)
    )
    np.testing.assert_array_equal(wide, whole)


@pytest.mark.parametrize("name", EXTREMES)
def test_absurd_numbers_name_the_node(name: str) -> None:
    with pytest.raises((ModelError, UnsupportedError), match="'n'"):
        import_model(EXTREMES[name])


def test_subgraphs_in_subgraphs() -> None:
    """As deep as protobuf takes them."""
    graph = helper.make_graph([node("Identity", ["x"], ["y0"])], "g0", [], [output("y0")])
    for k in range(1, 28):
        nodes = [node("If", ["c"], [f"y{k}"], then_branch=graph, else_branch=single(k))]
        graph = helper.make_graph(nodes, f"g{k}", [], [output(f"y{k}")])
    nodes = [node("If", ["c"], ["y"], then_branch=graph, else_branch=single(99))]
    proto = model(nodes, [value("x", (2,)), value("c", (), TensorProto.BOOL)])
    assert any(op.name == "case" for op in import_model(proto).ops)


def single(k: int) -> GraphProto:
    nodes = [node("Identity", ["x"], [f"e{k}"])]
    return helper.make_graph(nodes, f"else{k}", [], [output(f"e{k}")])


def test_names_that_are_not_there_and_that_are_there_twice() -> None:
    for nodes, match in (
        ([node("Neg", ["ghost"], ["y"], "n")], "'n'.*'ghost'"),
        ([node("Add", ["x", "y"], ["y"], "n")], "cycle"),
        ([node("Neg", ["z"], ["y"], "a"), node("Neg", ["y"], ["z"], "b")], "cycle.*'[ab]'"),
        ([node("Neg", ["x"], ["y"], "a"), node("Abs", ["x"], ["y"], "b")], "'b'.*'a'.*both"),
        ([node("Neg", ["x"], ["x"], "n")], "'n'.*'x'"),
    ):
        with pytest.raises(ModelError, match=match):
            import_model(model(nodes, [value("x", (2,))]))
