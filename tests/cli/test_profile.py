"""tensorkiln profile: times by kernel, JSON, the Chrome trace and the HTML report."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tensorkiln.benchmarks.models import lenet
from tensorkiln.compiler.pipeline import compile_function
from tensorkiln.frontends.cli.main import main
from tensorkiln.frontends.cli.profile import Timing
from tensorkiln.frontends.cli.profile_graph import graph_svg, heat
from tensorkiln.frontends.onnx import import_model


@pytest.fixture
def model(tmp_path: Path) -> str:
    onnx.save(lenet(2), tmp_path / "lenet.onnx")
    return str(tmp_path / "lenet.onnx")


def test_kernels_and_their_nodes(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", model, "--seconds", "0.1", "--threads", "2", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    timings = report["timings"]
    assert report["threads"] == 2
    assert report["runs"] >= 1
    assert sum(t["share"] for t in timings) == pytest.approx(1)
    assert {"/conv2/Conv", "/pool1/MaxPool", "/fc3/Gemm"} <= {
        n for t in timings for n in t["nodes"]
    }
    (conv,) = [t for t in timings if "/conv2/Conv" in t["nodes"]]
    assert conv["flops"] >= 2 * 2 * 16 * 100 * 150
    assert conv["seconds"] > 0
    assert conv["peak"] == pytest.approx(conv["flops"] / conv["seconds"] / report["peak"])
    assert "convolution" in conv["operations"]
    assert all(source < t["number"] for t in timings for source in t["after"])
    assert sum(len(t["after"]) for t in timings) >= len(timings) - 2
    kernels = sum(t["seconds"] for t in timings)
    assert 0 < kernels <= report["seconds"] * 1.5
    assert report["between"] >= 0


def test_nodes_that_share_a_constant_have_kernels_of_their_own() -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], "first"),
        helper.make_node("Max", ["a", "h"], ["b"], "first max"),
        helper.make_node("Softmax", ["b"], ["s"], "softmax"),
        helper.make_node("MatMul", ["s", "w"], ["c"], "second"),
        helper.make_node("Max", ["c", "h"], ["y"], "second max"),
    ]
    kind = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", kind, [64, 64])],
        [helper.make_tensor_value_info("y", kind, [64, 64])],
        [
            numpy_helper.from_array(np.eye(64, k=1, dtype=np.float32), "w"),
            numpy_helper.from_array(np.float32(0.5), "h"),
        ],
    )  # fmt: skip
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    kernels = compile_function(import_model(proto)).manifest.kernels
    assert [kernel.nodes for kernel in kernels] == [
        ("first", "first max"), ("softmax",), ("second", "second max"),
    ]  # fmt: skip


def test_the_table_and_the_files(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace, html = tmp_path / "t.json", tmp_path / "r.html"
    arguments = ["--seconds", "0.05", "--trace", str(trace), "--html", str(html)]
    assert main(["profile", model, *arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    times = [float(line.split()[0]) for line in lines[1:-1]]
    assert times == sorted(times, reverse=True)
    assert re.search(
        r"lenet: .* ms a run .* threads, median of \d+ runs; peak \d+ GFLOP/s", lines[-1]
    )
    events = json.loads(trace.read_text())["traceEvents"]
    runs = [event for event in events if event["name"].startswith("run ")]
    kernels = [event for event in events if event.get("cat") == "kernel"]
    assert len(kernels) == len(runs) * len(times)
    for event in kernels:  # each lies within its run
        assert any(
            r["ts"] <= event["ts"] and event["ts"] + event["dur"] <= r["ts"] + r["dur"] + 0.01
            for r in runs
        )
    text = html.read_text()
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
    assert "<link" not in text
    assert "src=" not in text
    HTMLParser().feed(text)
    svg = ElementTree.fromstring(text[text.index("<svg") : text.index("</svg>") + 6])
    boxes = svg.findall(".//{http://www.w3.org/2000/svg}rect")
    assert len(boxes) == len(times)
    assert text.count('<tr id="call') == len(times)


def timing(number: int, after: tuple[int, ...], node: str = "n") -> Timing:
    return Timing(number, "k", (node,), ("add",), 1, 1e-6, 0.1, 1, 1, 0.1, 0.1, after, ())


def test_the_graph_has_boxes_that_do_not_overlap() -> None:
    timings = [
        timing(0, ()),
        timing(1, (0,)),
        timing(2, (0,)),
        timing(3, (1, 2)),
        timing(4, (0, 3)),
    ]
    svg = ElementTree.fromstring(graph_svg(timings))
    boxes = [
        tuple(float(r.attrib[k]) for k in ("x", "y", "width", "height"))
        for r in svg.iter("{http://www.w3.org/2000/svg}rect")
    ]
    for k, (x, y, w, h) in enumerate(boxes):
        for a, b, _, _ in boxes[:k]:
            assert abs(a - x) >= w or abs(b - y) >= h
    edges = [p for p in svg.iter("{http://www.w3.org/2000/svg}path") if "marker-end" in p.attrib]
    assert len(edges) == 6


def test_names_from_the_model_are_text() -> None:
    svg = graph_svg([timing(0, (), "<script>&\"'")])
    assert "<script>" not in svg
    ElementTree.fromstring(svg)


def test_an_empty_model_has_a_graph() -> None:
    ElementTree.fromstring(graph_svg([]))
    assert heat(0) == "#ffffff"
    assert heat(1) == "#fb923c"


def test_wrong_arguments(model: str) -> None:
    assert main(["profile", model, "--seconds", "0"]) == 2
    assert main(["profile", model + ".none"]) == 1
