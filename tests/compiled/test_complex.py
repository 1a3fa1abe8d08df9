"""Complex numbers at the boundary of compiled functions, in loops, in text and in headers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tensorkiln.compiler import pipeline
from tensorkiln.compiler.codegen.header import struct_lines
from tensorkiln.compiler.differentiate.differentiate import differentiate, gradient
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dtypes import C64, C128, F32, I32
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.ir.parse import parse_function
from tensorkiln.compiler.ir.text import print_function
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.runtime.errors import ParseError, TypeRuleError
from tensorkiln.runtime.manifest import TensorSpec

LOOP = """
func @main(%x: c64[3]) -> (c64[3]) {
  %0: i32[] = constant() {value = i32[] 0}
  %1: i32[], %2: c64[3] = while(%0, %x) {bound = -1} (
    func @cond(%a: i32[], %b: c64[3]) -> (bool[]) {
      %c: i32[] = constant() {value = i32[] 3}
      %d: bool[] = compare(%a, %c) {direction = "LT"}
      return %d
    }
    func @body(%e: i32[], %f: c64[3]) -> (i32[], c64[3]) {
      %g: i32[] = constant() {value = i32[] 1}
      %h: i32[] = add(%e, %g)
      %i: c64[3] = multiply(%f, %f)
      return %h, %i
    }
  )
  return %2
}
"""
Z = np.array([1 + 2j, -0.5j, 0.25 - 1j], np.complex64)


def _run(function: Function, *arrays: NDArray[Any], **options: Any) -> list[NDArray[Any]]:
    names = [v.name for v in function.parameters]
    executable = pipeline.jit(function)
    return list(executable.run(dict(zip(names, arrays, strict=True)), **options))


def test_a_loop_carries_complex_numbers() -> None:
    function = parse_function(LOOP)
    (found,) = _run(function, Z)
    np.testing.assert_allclose(found, Z**8, rtol=1e-4)
    np.testing.assert_allclose(evaluate(function, [Z])[0], Z**8, rtol=1e-4)


def test_state_is_updated_in_place() -> None:
    builder = Builder(REGISTRY)
    x = builder.parameter("x", TensorType((3,), C64))
    function = builder.finish([builder.one("add", (x, x))], aliases={0: 0})
    given = Z.copy()
    (found,) = _run(function, given, donate=True)
    np.testing.assert_array_equal(found, 2 * Z)
    assert np.shares_memory(found, given)


def test_scalars_constants_and_what_is_passed_on() -> None:
    builder = Builder(REGISTRY)
    x = builder.parameter("x", TensorType((), C128))
    fixed = builder.constant(np.array([1j, 2 - 1j]))
    function = builder.finish([x, fixed, builder.one("real", (x,))])
    again = parse_function(print_function(function))
    for each in (function, again):
        found = _run(each, np.array(3 + 4j))
        assert found[0] == 3 + 4j
        np.testing.assert_array_equal(found[1], [1j, 2 - 1j])
        assert found[2] == 3
    assert found[0].dtype == np.complex128


def test_an_operand_given_twice_counts_twice() -> None:
    builder = Builder(REGISTRY)
    x = builder.parameter("x", TensorType((3,), C64))
    square = builder.one("multiply", (x, x))
    other = builder.one("divide", (square, x))  # made from the operand beside it
    function = gradient(builder.finish([builder.one("real", (other,))]))
    np.testing.assert_allclose(_run(function, Z)[0], np.ones(3), atol=1e-6)


def test_the_gradient_of_a_hermitian_factor() -> None:
    """Along Hermitian directions; others leave what cholesky is defined for."""
    generator = np.random.default_rng(2)
    z, weight, change = (
        generator.standard_normal((4, 4)) + 1j * generator.standard_normal((4, 4)) for _ in range(3)
    )
    a, change = z @ z.conj().T + np.eye(4), change + change.conj().T
    builder = Builder(REGISTRY)
    operand = builder.parameter("a", TensorType((4, 4), C128))
    given = builder.parameter("weight", TensorType((4, 4), C128))
    factor = builder.one("cholesky", (operand,), lower=True)
    (found,) = differentiate(builder, [factor], [operand], [given])
    assert found is not None
    (slopes,) = _run(builder.finish([found]), a, weight)
    ends = [np.vdot(weight, np.linalg.cholesky(a + s * 1e-6 * change)).real for s in (1, -1)]
    assert np.vdot(slopes, change).real == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6)


@pytest.mark.parametrize("op", ["maximum", "remainder", "floor", "erf", "softmax"])
def test_ops_without_a_meaning_for_complex_numbers(op: str) -> None:
    builder = Builder(REGISTRY)
    x = builder.parameter("x", TensorType((3, 3), C64))
    attributes = {"softmax": {"axis": 0}}.get(op, {})
    operands = (x, x) if op in ("maximum", "remainder") else (x,)
    with pytest.raises(TypeRuleError, match=f"^{op}: C"):
        builder.op(op, operands, attributes)


def test_orders_products_and_narrow_parts_are_refused() -> None:
    builder = Builder(REGISTRY)
    x = builder.parameter("x", TensorType((3,), C64))
    with pytest.raises(TypeRuleError, match="C4"):
        builder.one("compare", (x, x), direction="LT")
    with pytest.raises(TypeRuleError, match="C2"):
        builder.one("reduce", (x,), dimensions=(0,), reducer="multiply")
    with pytest.raises(TypeRuleError, match="take real or imag"):
        builder.one("convert", (x,), dtype=F32)
    i = builder.parameter("i", TensorType((3,), I32))
    with pytest.raises(TypeRuleError, match="C3"):
        builder.one("complex", (i, i))


def test_text_of_complex_constants_is_bytes() -> None:
    text = LOOP.replace("= while(%0, %x)", "= while(%0, %y)").replace(
        "  %1: i32[]", "  %y: c64[3] = constant() {value = c64[3] 1 2 3}\n  %1: i32[]"
    )
    with pytest.raises(ParseError, match="hexadecimal"):
        parse_function(text)


def test_headers_name_pairs() -> None:
    (_, line, _) = struct_lines("inputs", [TensorSpec("x", (3,), "c64")], "const ")
    assert line == "  const float *x; /* x: c64[3], 24 bytes */"
