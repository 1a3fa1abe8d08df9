"""Small transformers for ranges of batches and tokens agree with the interpreter at each size."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

import numpy as np
import pytest

from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dims import Symbol
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.open_pipeline import compile_open
from tensorkiln.compiler.passes.canonicalize import canonicalize
from tensorkiln.compiler.passes.match_attention import match_attention
from tensorkiln.compiler.sizes.bound import bound
from tensorkiln.frontends.onnx import import_model
from tensorkiln.runtime.jit import load_compiled
from tensorkiln.runtime.open_executable import opened

SMALL = {"WIDTH": 32, "HEADS": 2, "SIZE": 16, "INNER": 48, "VOCABULARY": 31, "POSITIONS": 2200}
ARGUMENTS: dict[str, Mapping[str, int]] = {
    "bert": {"layers": 1},
    "gpt2": {"layers": 1},
    "t5": {"layers": 1, "steps": 3},
}
GENERATORS = {"bert": "bert_base", "gpt2": "gpt2", "t5": "t5_small"}


def small(monkeypatch: pytest.MonkeyPatch, name: str, sizes: Mapping[str, int]) -> Function:
    module = importlib.import_module(f"tensorkiln.benchmarks.models.{name}")
    for key, value in SMALL.items():
        if hasattr(module, key):
            monkeypatch.setattr(module, key, value)
    return import_model(getattr(module, GENERATORS[name])(**ARGUMENTS[name], **sizes))


def inputs_of(function: Function) -> list[np.ndarray]:
    drawn = np.random.default_rng(3)
    return [
        (np.ones(p.shape) if p.name == "attention_mask" else drawn.integers(0, 30, p.shape)).astype(
            p.dtype.numpy
        )
        if p.dtype.is_integer
        else drawn.standard_normal(p.shape).astype(np.float32)
        for p in function.parameters
    ]


CASES = (
    ("bert", {"batch": (2, 3), "tokens": (2, 9)}, [(2, 2), (2, 9), (3, 5), (3, 8), (3, 9)]),
    ("gpt2", {"tokens": (15, 28)}, [(15,), (16,), (23,), (28,)]),
    ("t5", {"batch": (2, 3)}, [(2,), (3,)]),
)


@pytest.mark.parametrize(("name", "ranges", "points"), CASES)
def test_model(
    name: str,
    ranges: Mapping[str, tuple[int, int]],
    points: list[tuple[int, ...]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    symbols = [Symbol(key, *ends) for key, ends in ranges.items()]
    compiled = compile_open(lambda p: small(monkeypatch, name, p), symbols, target_named("host"))
    executable = opened(load_compiled(compiled, 1))
    for point in points:
        function = small(monkeypatch, name, dict(zip(ranges, point, strict=True)))
        arrays = inputs_of(function)
        for got, wanted in zip(executable(*arrays), evaluate(function, arrays), strict=True):
            assert got.shape == wanted.shape
            np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_attention_is_found_behind_masks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    symbols = [Symbol("tokens", 2, 9)]
    whole = bound(lambda p: small(monkeypatch, name, p), symbols, {"tokens": 9})
    found = match_attention(canonicalize(whole.function))
    (attention,) = (op for op in found.ops if op.name == "attention")
    assert attention.operands[-1] is found.parameters[-1]  # the number of keys in use
    assert attention.flag("causal") == (name == "gpt2")


def test_a_cache_of_an_open_number_of_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(sizes: Mapping[str, int]) -> Function:
        return small(monkeypatch, "gpt2", {**sizes, "tokens": 1})

    compiled = compile_open(make, [Symbol("cached", 2, 9)], target_named("host"))
    executable = opened(load_compiled(compiled, 1))
    for cached in (2, 7, 9):
        function = make({"cached": cached})
        arrays = inputs_of(function)
        for got, wanted in zip(executable(*arrays), evaluate(function, arrays), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=2e-5)


def test_several_new_tokens_behind_a_cache_of_an_open_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Past length and tokens are open at once: the causal mask's diagonal lies where they say."""
    monkeypatch.setitem(ARGUMENTS, "gpt2", {"layers": 2})
    symbols = [Symbol("cached", 2, 14), Symbol("tokens", 1, 8)]

    def make(sizes: Mapping[str, int]) -> Function:
        return small(monkeypatch, "gpt2", sizes)

    executable = opened(load_compiled(compile_open(make, symbols, target_named("host")), 2))
    for cached, tokens in ((2, 1), (14, 1), (2, 8), (2, 2), (7, 5), (12, 4), (13, 3), (14, 8)):
        function = make({"cached": cached, "tokens": tokens})
        arrays = inputs_of(function)
        for got, wanted in zip(executable(*arrays), evaluate(function, arrays), strict=True):
            assert got.shape == wanted.shape
            np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=2e-5)


def test_attention_with_an_open_diagonal_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    symbols = [Symbol("cached", 1, 19), Symbol("tokens", 2, 8)]
    whole = bound(lambda p: small(monkeypatch, "gpt2", p), symbols, {"cached": 19, "tokens": 8})
    found = match_attention(canonicalize(whole.function))
    (attention,) = (op for op in found.ops if op.name == "attention")
    assert attention.flag("causal")
    assert len(attention.operands) == 5
