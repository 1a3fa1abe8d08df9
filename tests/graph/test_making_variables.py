"""The program's part in making variables and tensors: creators and conversions; printing."""

from __future__ import annotations

import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorkiln as tf


def test_creators_take_part() -> None:
    seen = []

    def outer(next_creator: Any, **options: Any) -> Any:
        seen.append(("outer", options["name"], options["trainable"]))
        return next_creator(**options)

    def inner(next_creator: Any, **options: Any) -> Any:
        seen.append(("inner", options["name"], options["trainable"]))
        return next_creator(**{**options, "trainable": False})

    with tf.variable_creator_scope(outer), tf.variable_creator_scope(inner):
        v = tf.Variable(1.0, name="v")
        w = tf.get_variable("w", [2])
    tf.Variable(2.0)
    expected = [(who, name, who == "inner") for name in "vw" for who in ("inner", "outer")]
    assert seen == expected
    assert (v.name, w.name) == ("v:0", "w:0")
    assert len(tf.trainable_variables()) == 1


def test_a_creator_may_make_something_else() -> None:
    with tf.variable_creator_scope(lambda next_creator, **options: "made"):
        assert tf.Variable(1.0) == "made"


class Metres:
    def __init__(self, value: float) -> None:
        self.value = value


class Feet(Metres):
    pass


def test_conversions_of_the_program(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tensorkiln.frontends.graph.convert._CONVERSIONS", [])

    def convert(value: Any, dtype: Any = None, name: Any = None, as_ref: bool = False) -> Any:
        return tf.constant(value.value, dtype or tf.float32, name=name)

    def only_feet(value: Any, dtype: Any = None, name: Any = None, as_ref: bool = False) -> Any:
        return tf.constant(value.value * 0.3) if isinstance(value, Feet) else NotImplemented

    tf.register_tensor_conversion_function(Metres, convert)
    tf.register_tensor_conversion_function((Metres,), only_feet, priority=10)
    assert session.run(tf.add(Metres(2.0), 1.0)) == 3
    assert session.run(tf.convert_to_tensor(Metres(2.0), tf.float64)).dtype == np.float64
    np.testing.assert_allclose(session.run(tf.convert_to_tensor(Feet(10.0))), 3.0)
    with pytest.raises(RuntimeError, match="incompatible dtype: requested = int32"):
        tf.convert_to_tensor(Feet(10.0), tf.int32)


def test_wrong_conversions() -> None:
    with pytest.raises(TypeError, match="Python numeric types"):
        tf.register_tensor_conversion_function(float, lambda value, **options: value)
    with pytest.raises(TypeError, match="base_type must be a type"):
        tf.register_tensor_conversion_function(3, lambda value, **options: value)
    with pytest.raises(TypeError, match="conversion_func must be callable"):
        tf.register_tensor_conversion_function(Metres, 3)


def test_the_same_float_type() -> None:
    assert tf.assert_same_float_dtype([tf.constant(1.0), None]) is tf.float32
    assert tf.assert_same_float_dtype(dtype=tf.float64) is tf.float64
    assert tf.assert_same_float_dtype() is tf.float32
    with pytest.raises(ValueError, match="expected type float32"):
        tf.assert_same_float_dtype([tf.constant(1.0), tf.constant(1.0, tf.float64)])
    with pytest.raises(ValueError, match="Expected floating point type, got int32"):
        tf.assert_same_float_dtype([tf.constant(1)])


# -- tf.print: the texts are those of TensorFlow 2.21 ----------------------------------------------

Pair = namedtuple("Pair", "a b")
PRINTED: dict[str, tuple[Any, dict[str, Any], str]] = {
    "a text and a matrix": (
        lambda: ["a", [[1.5, 2, 3, 4, 5, 6, 7], [8, 9, 10, 11, 12, 13, 1 / 3]]], {},
        "a [[1.5 2 3 ... 5 6 7]\n [8 9 10 ... 12 13 0.333333343]]\n",
    ),
    "nested": (
        lambda: [tf.constant(3), [1, tf.constant("hi")], {"k": tf.constant([1.5, 2.0]), "s": "t"}],
        {"sep": "|"}, "3|[1, \"hi\"]|{'k': [1.5 2], 's': 't'}\n",
    ),
    "tuples": (
        lambda: [tf.zeros([2, 1, 2], tf.int32), Pair(1, tf.constant(True)), (tf.constant(2.0),), None],
        {"end": "!\n"}, "[[[0 0]]\n\n [[0 0]]] Pair(a=1, b=1) (2,) None!\n",
    ),
    "few": (lambda: [tf.range(6), tf.range(7)], {"summarize": 1}, "[0 ... 5] [0 ... 6]\n"),
    "all": (lambda: [tf.range(8)], {"summarize": -1}, "[0 1 2 3 4 5 6 7]\n"),
    "kinds": (
        lambda: [
            tf.constant(["a", "b"]), tf.constant("c"), tf.zeros([0]),
            tf.constant([1.0, 1e10, 1e-7, float("nan"), 0.1]), tf.constant(0.1, tf.float64),
            tf.constant([True, False]), np.array([1, 2]),
        ],
        {}, '["a" "b"] c [] [1 1e+10 1e-07 nan 0.1] 0.1 [1 0] array([1, 2])\n',
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PRINTED)
def test_printing(name: str, session: Any, capsys: pytest.CaptureFixture[str]) -> None:
    make, options, text = PRINTED[name]
    items = [
        tf.constant(i) if isinstance(i, list) and name.startswith("a t") else i for i in make()
    ]
    session.run(tf.print(*items, **options))
    assert capsys.readouterr().err == text


def test_printing_elsewhere(any_session: Any, tmp_path: Path, capsys: Any, caplog: Any) -> None:
    x = tf.placeholder(tf.float32, [2])
    path = tmp_path / "out.txt"
    ops = [
        tf.print("x:", x * 2.0, output_stream=target)
        for target in (sys.stdout, f"file://{path}", tf.logging.warn)
    ]
    any_session.run(ops, {x: [1.0, 2.0]})
    assert capsys.readouterr().out == "x: [2 4]\n"
    assert path.read_text() == "x: [2 4]\n"
    assert [record.getMessage() for record in caplog.records] == ["x: [2 4]"]


def test_printing_with_wrong_options() -> None:
    with pytest.raises(ValueError, match=r"Unrecognized keyword arguments for tf.print"):
        tf.print(1, foo=2)
    with pytest.raises(ValueError, match="Unsupported output"):
        tf.print(1, output_stream="bad")
