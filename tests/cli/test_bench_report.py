"""Reports of the benchmark: merging, tables, curves, and the page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tensorkiln.frontends.cli.bench.html import page
from tensorkiln.frontends.cli.bench.plots import bars, curves
from tensorkiln.frontends.cli.bench.report import Report, machine, means, text
from tensorkiln.frontends.cli.bench.result import (
    KernelTime,
    Point,
    Result,
    Times,
    from_json,
    to_json,
)
from tensorkiln.frontends.cli.main import main


def times(seconds: float) -> Times:
    return Times(seconds, 0.9 * seconds, 1.2 * seconds, 7)


def row(name: str, compiled: float, peer: float, **parts: object) -> Result:
    given = {"group": "models", **parts}
    return Result(
        name, 1, engines={"compiled": times(compiled), "jax": times(peer)}, **given  # type: ignore[arg-type]
    )  # fmt: skip


def report(*results: Result) -> Report:
    return Report(machine(), {"tensorkiln": "0"}, list(results))


def test_results_come_back_from_json() -> None:
    result = row("a", 1.0, 2.0, point=Point("s", "batch", 4), limit=1e-6)
    result.kernels.append(KernelTime("k", "n", 1.0, 0.5, 0.25, 0.125))
    result.ceilings["read"] = times(0.25)
    result.shares["read"] = 0.5
    again = from_json(json.loads(json.dumps(to_json(result))))
    assert again == result
    assert again.ratio == 0.5
    assert again.share == 0.5


@pytest.mark.parametrize(
    ("found", "bound"),
    [({"fma_peak": 2.0, "read": 1.0}, ("fma_peak", 2.0)),
     ({"fma_peak": 0.5, "copy": 3.0, "copy_streaming": 1.0}, ("copy_streaming", 1.0)),
     ({"fma_peak": 1.0, "fma_peak x86-64-v2": 4.0}, ("fma_peak", 1.0)),
     ({}, None)],
)  # fmt: skip
def test_the_ceiling_that_takes_longest_binds(
    found: dict[str, float], bound: tuple[str, float] | None
) -> None:
    shares = {name: s / 8 for name, s in found.items()}
    ceilings = {name: times(s) for name, s in found.items()}
    result = row("a", 4.0, 8.0, ceilings=ceilings, shares=shares)
    assert result.bound == bound
    assert result.share == (None if bound is None else bound[1] / 8)


def test_means_name_the_rows_that_are_slower() -> None:
    said = means([row("a", 1.0, 2.0), row("b", 2.0, 1.0), row("c", 1.0, 1.0)])
    assert said == (
        "models, 1 threads: 1.00 of the fastest peer's time (geometric mean of 3); slower: b (2.00)"
    )


def test_merging_keeps_what_was_measured_first(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(report(row("a", 1.0, 2.0), row("b", 1.0, 2.0)).as_json()))
    new = report(row("a", 3.0, 2.0))
    new.merge(path)
    new.merge(tmp_path / "not yet there.json")
    assert [(r.name, r.engines["compiled"].median) for r in new.results] == [("a", 3), ("b", 1)]


def test_a_resumed_run_measures_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, html = tmp_path / "a.json", tmp_path / "a.html"
    path.write_text(json.dumps(report(row("mlp_b1", 123.0, 2.0)).as_json()))
    words = ["bench", "mlp_b1", "overhead_executable", "--repeat", "1", "-o", str(path)]
    assert main([*words, "--merge", str(path), "--html", str(html)]) == 0
    found = {r["name"]: r for r in json.loads(path.read_text())["results"]}
    assert found["mlp_b1"]["engines"]["compiled"]["median"] == 123.0
    assert 0 < found["overhead_executable"]["end_to_end"]["compiled"]["median"] < 1e-3
    assert "overhead_executable" in html.read_text()
    before = path.read_text()
    assert main(["bench", "--report-only", "--merge", str(path), "--json"]) == 0
    assert path.read_text() == before
    assert "123.0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "said"),
    [("[]", "is no report"), ('{"results": 3}', "is no report"), ("{", "is no report"),
     ('{"results": [], "machine": {"processor": "Z80"}, "versions": {}}', "cannot be compared")],
)  # fmt: skip
def test_files_that_are_no_reports(
    content: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.json"
    path.write_text(content)
    assert main(["bench", "--report-only", "--merge", str(path)]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [["--peers", "caffe"], ["--also-target", "z80"], ["-o", "no/such/folder/a.json"],
     ["--threads", "1000"], ["--also-target", "aarch64"]],
)  # fmt: skip
def test_arguments_that_do_not_fit(words: list[str]) -> None:
    assert main(["bench", "mlp_b1", *words]) == 2


def test_charts_are_svg_with_every_point() -> None:
    lines = {"compiled": [(1.0, 0.001), (256.0, 7.0)], "a<b": [(1.0, 0.5), (16.0, 3.0)]}
    root = ElementTree.fromstring(curves("t & u", "batch", "ms", lines))
    named = [element.tag.rpartition("}")[2] for element in root.iter()]
    assert named.count("circle") == 4
    assert named.count("polyline") == 2
    circles = [e for e in root.iter() if e.tag.endswith("circle")]
    assert float(circles[0].get("cy", "0")) > float(circles[1].get("cy", "0"))
    root = ElementTree.fromstring(bars("t", [("fast", 0.5), ("slow", 2.0)]))
    widths = [float(e.get("width", "0")) for e in root.iter() if e.tag.endswith("rect")]
    assert widths[0] == pytest.approx(widths[1], abs=0.2)
    ElementTree.fromstring(curves("one point", "batch", "ms", {"compiled": [(1.0, 1.0)]}))


def test_a_dashed_line_shows_what_would_grow_in_proportion() -> None:
    steep = {"compiled": [(1.0, 0.01), (100.0, 1.0)]}
    flat = {"compiled": [(1.0, 2.0), (1e5, 3.0)]}
    for lines in (steep, flat):
        root = ElementTree.fromstring(curves("t", "ops", "s", lines))
        (dashed,) = (e for e in root.iter() if e.get("class") == "even")
        places = [
            (float(e.get("cx", "")), float(e.get("cy", "")))
            for e in root.iter()
            if e.tag.endswith("circle")
        ]
        end = float(dashed.get("x2", "")), float(dashed.get("y2", ""))
        begin = float(dashed.get("x1", "")), float(dashed.get("y1", ""))
        assert end == pytest.approx(places[-1], abs=0.1)
        if lines is steep:  # it is the curve itself
            assert begin == pytest.approx(places[0], abs=0.1)
        else:  # it enters at the bottom, to the right of the first point
            assert begin[0] > places[0][0]
            assert begin[1] > places[0][1]


def test_compile_time_is_drawn_once_for_all_numbers_of_threads() -> None:
    def made(threads: int) -> Result:
        point = Point("compiling", "ops", 10)
        one = row(f"ops{threads}", 1.0, 1.0, group="compile", point=point)
        one.prepare["compiled"] = 0.5
        return replace(one, threads=threads)

    grown = [
        replace(row("g", 1.0, 2.0, group="growth", point=Point("mlp", "batch", 1)), threads=threads)
        for threads in (1, 2)
    ]
    found = page(report(made(1), made(2)))
    assert found.count("<svg") == 1
    found = page(report(made(2), *grown))
    assert found.count("<svg") == 3
    assert "mlp, 1 thread<" in found
    assert "mlp, 2 threads<" in found


def test_the_page_has_all_parts() -> None:
    slow = row("slow", 2.0, 1.0, rest={"jax": 0.03}, errors={"openvino": "no <such> op"})
    slow.kernels.append(KernelTime("conv", "/a/Conv", 1.0, 0.5, 0.25, 0.125))
    grown = [
        row(f"g{n}", n, 2 * n, group="growth", point=Point("mlp", "batch", n)) for n in (1, 2, 4)
    ]
    compiled = row("c", 1, 2, group="compile", point=Point("ops", "ops", 10))
    compiled.prepare["compiled"] = 0.5
    call = Result("call", 1, "overhead", limit=1e-5, engines={"compiled": times(1e-6)})
    ceiling = Result("ceiling fma", 1, "ceilings", 10**9, engines={"compiled": times(0.01)})
    found = page(report(slow, *grown, compiled, call, ceiling))
    root = ElementTree.fromstring(found.partition("</head>")[2].removesuffix("</html>"))
    titles = [e.text for e in root.iter("h2")]
    assert titles == [
        "Means", "Ceilings of this machine", "What a call costs", "Models",
        "Growing batches and sequences", "Growing graphs", "Kernels of rows that are behind",
        "Milliseconds busy after a turn", "What went wrong or is missing",
    ]  # fmt: skip
    assert "no &lt;such&gt; op" in found
    assert "100.0 GFLOP/s" in found
    assert "http" not in found
    printed = text(report(slow, call, ceiling))
    assert "slower: slow (2.00)" in printed
    assert "100.0 GFLOP/s" in printed
