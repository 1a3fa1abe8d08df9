"""tensorkiln verify: agreement, and finding what was made wrong on purpose."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tensorkiln.benchmarks.models import lenet
from tensorkiln.compiler import pipeline
from tensorkiln.compiler.agreement import gap, limit_of
from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.ir.parse import parse_function
from tensorkiln.compiler.lower.constants import arrange
from tensorkiln.compiler.lower.layout import Layout
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.stepping import restore
from tensorkiln.frontends.cli import verify
from tensorkiln.frontends.cli.main import main


def save(path: Path, *nodes: onnx.NodeProto) -> str:
    """A model of `nodes` from x f32[3,5] to y."""
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3, 5])],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, path)
    return str(path)


def chain(path: Path) -> str:
    return save(
        path,
        helper.make_node("Exp", ["x"], ["a"], name="grow"),
        helper.make_node("Tanh", ["a"], ["b"], name="bend"),
        helper.make_node("Softmax", ["b"], ["y"], name="share"),
    )


def break_op(monkeypatch: pytest.MonkeyPatch, name: str, factor: float = 1.01) -> None:
    """Makes the interpreter wrong for one op, which is as good as making the compiler wrong."""
    record = REGISTRY[name]
    real = record.evaluate
    assert callable(real)
    wrong = replace(
        record, evaluate=lambda op, arrays: [a * np.float32(factor) for a in real(op, arrays)]
    )
    monkeypatch.setitem(REGISTRY._records, name, wrong)


def test_a_network_agrees(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnx.save(lenet(2), tmp_path / "m.onnx")
    arguments = ["verify", str(tmp_path / "m.onnx"), "--target", "x86-64-v2", "--target", "host"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert out.endswith("5 agree, 0 differ, 0 skipped\n")
    assert "kernels x86-64-v2" in out
    assert main([*arguments, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["agrees"] is True
    names = [check["name"] for check in report["checks"]]
    assert names == ["passes", "kernels x86-64-v2", "kernels host", "unoptimised", "threads"]
    assert all(check["units"] <= check["limit"] for check in report["checks"][:4])


def test_progress_within_a_step_is_told_on_a_terminal_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = chain(tmp_path / "m.onnx")
    assert main(["verify", path, "--target", "host", "-v"]) == 0
    err = capsys.readouterr().err
    assert "comparing kernels for host\n" in err
    assert "compiling" not in err
    assert main(["verify", path, "--target", "host"]) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["verify", path, "--target", "host"]) == 0
    lines = [x.partition("] ")[2] for x in capsys.readouterr().err.split("\r\x1b[K") if x]
    assert "interpreting: 1 of 3 ops" in lines
    assert "comparing passes: fold_constants" in lines
    kernels = [x for x in lines if x.startswith("comparing kernels for host")]
    assert kernels[1] == "comparing kernels for host: compiling"
    assert kernels[-1].endswith(" kernels")
    assert "comparing numbers of threads: 7" in lines


def test_the_steps_of_an_artifact_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, made = chain(tmp_path / "m.onnx"), str(tmp_path / "m.so")
    assert main(["compile", path, "-o", made, "--self-test"]) == 0
    capsys.readouterr()
    assert main(["verify", made, "--against", path, "-v"]) == 0
    told = [x.partition("] ")[2] for x in capsys.readouterr().err.splitlines()]
    assert told == [
        "running the self-test",
        "comparing numbers of threads",
        f"comparing with {path}",
    ]


def test_the_first_wrong_op_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = chain(tmp_path / "m.onnx")
    break_op(monkeypatch, "tanh")
    assert main(["verify", path, "--target", "host"]) == 4
    line = next(x for x in capsys.readouterr().out.splitlines() if x.startswith("differs  kernels"))
    assert "tanh of node 'bend'" in line
    assert "exp" not in line
    assert main(["verify", path, "--target", "host", "--json"]) == 4
    report = json.loads(capsys.readouterr().out)
    (kernels,) = [check for check in report["checks"] if check["name"] == "kernels host"]
    assert kernels["outcome"] == "differs"
    assert kernels["where"] == ["tanh of node 'bend'"]
    assert kernels["units"] > kernels["limit"]


@pytest.mark.parametrize(("terms", "code"), [(5, 4), (2048, 4), (9000, 0)])
def test_long_sums_may_be_off_by_more(
    terms: int, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, terms]),
         helper.make_tensor_value_info("w", TensorProto.FLOAT, [terms, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3])],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, tmp_path / "m.onnx")
    # By 400 to 800 units of the last place.
    break_op(monkeypatch, "dot_general", 1 + 400 * 2.0**-23)
    assert main(["verify", str(tmp_path / "m.onnx"), "--target", "host"]) == code


def test_the_first_wrong_pass_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def drop_tanh(function: Function) -> Function:
        """Gives readers of tanh its operand, in all results and operands."""
        ops = [op for op in function.ops if op.name == "tanh"]
        away = {op.result: op.operands[0] for op in ops}
        kept = tuple(
            replace(op, operands=tuple(away.get(v, v) for v in op.operands))
            for op in function.ops
            if op not in ops
        )
        return replace(function, ops=kept)

    wrong = tuple(
        replace(step, run=drop_tanh) if step.name == "algebra" else step for step in pipeline.PASSES
    )
    monkeypatch.setattr(pipeline, "PASSES", wrong)
    monkeypatch.setattr(verify, "PASSES", wrong)
    path = chain(tmp_path / "m.onnx")
    assert main(["verify", path, "--target", "host"]) == 4
    assert "pass algebra" in capsys.readouterr().out


def test_targets_that_cannot_run_here_are_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "missing_features", lambda features: ("avx9",))
    assert main(["verify", chain(tmp_path / "m.onnx"), "--target", "host"]) == 0
    assert "skipped  kernels host" in capsys.readouterr().out


def test_wrong_arguments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "x.so", "--target", "host"]) == 2
    assert main(["verify", "x.onnx", "--against", "y.onnx"]) == 2
    assert main(["verify", str(tmp_path / "none.onnx")]) == 1


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_units_of_the_last_place(dtype: str) -> None:
    wanted = np.array([[8, 0.001], [-3, np.inf]], dtype)
    eps = float(np.finfo(dtype).eps)
    assert gap(wanted.copy(), wanted).units == 0
    got = wanted.copy()
    got[0, 0] = 8 + 8 * 4 * eps
    found = gap(got, wanted)
    assert found.units == pytest.approx(4, rel=0.3)
    assert found.index == (0, 0)
    assert found.agrees
    for bad in (np.nan, np.inf):
        got[1, 0] = bad
        assert gap(got, wanted).units == np.inf
        assert not gap(got, wanted).agrees
    nothing = np.array([np.nan, np.nan], dtype)
    assert gap(nothing.copy(), nothing).units == 0
    assert gap(np.empty((0, 2), dtype), np.empty((0, 2), dtype)).agrees


def test_units_of_integers() -> None:
    wanted = np.array([1, 2**63 - 1], np.int64)
    assert gap(wanted - 1, wanted).units == 1
    assert not gap(wanted - 1, wanted).agrees
    assert gap(wanted - 1, wanted, rounded=True).agrees
    flags = np.array([True, False])
    assert gap(flags, ~flags, rounded=True).units == 1
    assert not gap(flags, ~flags, rounded=True).agrees
    assert limit_of(np.dtype(np.complex64)) == limit_of(np.dtype(np.float32))
    assert gap(np.array([1 + 1j], np.complex64), np.array([1 + 2j], np.complex64)).units > 1e5


@pytest.mark.parametrize(
    ("order", "blocks", "shape"),
    [((0, 1, 2), (), (2, 3, 5)), ((2, 0, 1), (), (2, 3, 5)), ((0, 1, 2), ((1, 4),), (2, 7, 3)),
     ((1, 0), ((0, 2), (1, 3)), (5, 4)), ((), (), ()), ((0,), ((0, 8),), (3,))],
)  # fmt: skip
def test_memory_of_any_layout_comes_back(
    order: tuple[int, ...], blocks: tuple[tuple[int, int], ...], shape: tuple[int, ...]
) -> None:
    layout = Layout(order, blocks)
    data = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    physical = np.zeros(layout.physical_shape(shape), np.float32)
    arrange(data, layout, physical)
    np.testing.assert_array_equal(restore(physical, layout, shape), data)


PLACES = """func @f(%x: f32[8], %n: i64[8]) -> (i64[8], u8[8], i64[8]) {
  %a: i64[8] = convert(%x) {dtype = i64}
  %b: u8[8] = convert(%x) {dtype = u8}
  %c: i64[8] = negate(%n)
  return %a, %b, %c
}
"""


@pytest.mark.parametrize(
    ("position", "by", "outcome"),
    [(0, 1, "agrees"), (0, 2, "differs"), (1, 16, "agrees"), (1, 17, "differs"), (2, 0, "agrees"),
     (2, 1, "differs")],
)  # fmt: skip
def test_integers_that_are_rounded_or_not(
    position: int, by: int, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Places may be off by one, quantized numbers by several steps, what no float made by nothing."""
    arrays = [np.arange(8, dtype=np.float32), np.arange(8)]
    checked = verify.Verifier(parse_function(PLACES), arrays)
    results = [array.copy() for array in checked.expected]
    results[position][3] += by
    assert check_of(checked, results, monkeypatch).outcome == outcome


SIGNS = """func @f(%a: f32[8], %b: f32[8]) -> (f32[8]) {
  %d: f32[8] = subtract(%a, %b)
  %n: f32[8] = abs(%d)
  %c: f32[] = constant() {value = f32[] 1e-07}
  %e: f32[8] = broadcast_in_dim(%c) {shape = (8), dimensions = ()}
  %m: f32[8] = add(%n, %e)
  %y: f32[8] = divide(%d, %m)
  return %y
}
"""


@pytest.mark.parametrize(
    ("wrong", "outcome"), [((0,), "agrees"), ((1,), "differs"), ((0, 1), "differs")]
)
def test_what_rounding_alone_moves_is_left_out(
    wrong: tuple[int, ...], outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first element is what is left where equal terms cancel, by its size: Adam's first step."""
    function = parse_function(SIGNS)
    a = np.arange(1, 9, dtype=np.float32)
    b = a * np.float32(0.5)
    b[0] = np.nextafter(a[0], np.float32(0))
    checked = verify.Verifier(function, [a, b])
    result = checked.expected[0].copy()
    for k in wrong:
        result[k] *= -1

    check = check_of(checked, [result], monkeypatch)
    assert check.outcome == outcome
    assert ("but for 1 elements" in check.text) == (outcome == "agrees")


def check_of(
    checked: verify.Verifier, results: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> verify.Check:
    """What is said of compiled code that gives `results`."""

    class Wrong:
        def __init__(self, *given: object) -> None:
            pass

        def run(self, *given: object) -> list[np.ndarray]:
            return results

    monkeypatch.setattr(verify, "Stepper", Wrong)
    return checked.plain(target_named("host"))


STEPS = """func @f(%x: i32[4,3], %w: i32[3]) -> (f32[4]) {
  %a: f32[4,3] = convert(%x) {dtype = f32}
  %b: f32[3] = convert(%w) {dtype = f32}
  %d: f32[4] = dot_general(%a, %b) {lhs_batch = (), rhs_batch = (), lhs_contracting = (1), rhs_contracting = (0)}
  %y: f32[4] = sign(%d)
  return %y
}
"""


@pytest.mark.parametrize(
    ("wrong", "outcome"),
    [({0: 1}, "agrees"), ({0: -1}, "agrees"), ({0: -1, 1: 0}, "agrees"), ({2: -1}, "differs"),
     ({0: 1, 1: 0, 2: 0}, "differs"), ({0: np.nan}, "differs")],
)  # fmt: skip
def test_what_other_sums_move_as_far_is_left_out(
    wrong: dict[int, float], outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only sums are changed here: the first one is 0, and its sign becomes 1 or -1."""
    x = np.array([[1, -1, 0], [1, 1, 1], [3, 0, 2], [2, 2, -9]], np.int32)
    checked = verify.Verifier(parse_function(STEPS), [x, np.ones(3, np.int32)])
    result = checked.expected[0].copy()
    np.testing.assert_array_equal(result, [0, 1, 1, -1])
    result[list(wrong)] = list(wrong.values())
    check = check_of(checked, [result], monkeypatch)
    assert check.outcome == outcome
    assert (f"but for {len(wrong)} elements" in check.text) == (outcome == "agrees")
