"""Assert, Print, check_numerics and tf.assert_*: texts, and what a failed run leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tensorkiln as tf
from tensorkiln.frontends.graph.describe import summarize


@pytest.fixture(params=[True, False], ids=["interpreted", "compiled"])
def session(request: pytest.FixtureRequest) -> Iterator[Any]:
    config = tf.ConfigProto(interpreted=request.param)
    with tf.Graph().as_default(), tf.Session(config=config) as s:
        yield s


F = np.float32


# The texts are those that TensorFlow's Assert gave for these values.
@pytest.mark.parametrize(
    ("value", "limit", "text"),
    [
        (F(3), 3, "3"),
        (F([1, 2, 3, 4]), 3, "1 2 3..."),
        (F([[1, 2], [3, 4], [5, 6]]), 3, "[1 2][3...]..."),
        (F([1e-7, 1 / 3, 1e10]), 3, "1e-07 0.333333343 1e+10"),
        (np.zeros((2, 2, 2), F), 3, "[[0 0][0...]]..."),
        (F([]), 3, ""),
        (F([1, 2, 3, 4]), 2, "1 2..."),
        (F([[1, 2], [3, 4], [5, 6]]), 2, "[1 2]..."),
        (np.zeros((2, 2, 2), F), 2, "[[0 0]]..."),
        (F([[1, 2], [3, 4], [5, 6]]), 100, "[1 2][3 4][5 6]"),
        (np.zeros((2, 2, 2), F), 100, "[[0 0][0 0]][[0 0][0 0]]"),
        (np.array([[b"p", b"q\n"]], object), 3, r"[p q\n]"),
        (np.bool_(True), 3, "1"),
        (np.int64([-5]), 3, "-5"),
        (np.float64(0.1), 3, "0.1"),
        (F([np.nan, np.inf]), -1, "nan inf"),
    ],
)
def test_summarize(value: Any, limit: int, text: str) -> None:
    assert summarize(np.asarray(value), limit) == text


def test_assert(session: Any) -> None:
    x = tf.placeholder(tf.float32, [None], name="x")
    check = tf.Assert(tf.reduce_all(x > 0), ["bad x:", x, 3])
    assert check.name == "Assert/Assert"
    assert session.run(check, {x: [1.0]}) is None
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        session.run(check, {x: [1.0, -1.0]})
    assert caught.value.message.splitlines()[0] == "assertion failed: [bad x:] [1 -1] [3]"
    assert caught.value.op is check
    assert "test_checks.py" in caught.value.message


def test_a_failed_run_changes_nothing(session: Any) -> None:
    w = tf.Variable([1.0, 2.0])
    x = tf.placeholder(tf.float32, [2])
    with tf.control_dependencies([tf.assert_positive(x)]):
        loss = tf.reduce_sum(w * x)
    train = tf.train.MomentumOptimizer(0.1, 0.9).minimize(loss)
    count = tf.Variable(0)
    step = tf.group(train, count.assign_add(1))
    session.run(tf.global_variables_initializer())
    session.run(step, {x: [1.0, 1.0]})
    before = session.run(tf.global_variables())
    with pytest.raises(tf.errors.InvalidArgumentError, match="Condition x > 0 did not hold"):
        session.run(step, {x: [1.0, 0.0]})
    after = session.run(tf.global_variables())
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert session.lower(step, {x: [1.0, 1.0]}).name == "main"
    session.run(step, {x: [1.0, 1.0]})
    assert session.run(count) == 2


def test_a_failed_first_assignment(session: Any) -> None:
    v = tf.get_variable("v", initializer=tf.constant(1.0))
    value = tf.placeholder(tf.float32, [])
    with tf.control_dependencies([tf.assert_greater(value, 0.0)]):
        initialize = tf.assign(v, value)
    with pytest.raises(tf.errors.InvalidArgumentError):
        session.run(initialize, {value: -1.0})
    with pytest.raises(tf.errors.FailedPreconditionError):
        session.run(v)
    assert session.run(initialize, {value: 2.0}) == 2.0


def test_assert_needs_a_scalar(session: Any) -> None:
    message = tf.placeholder(tf.string, [])
    with pytest.raises(ValueError, match="Shape must be rank 0"):
        tf.Assert(tf.constant([1]) > 2, [message])


def test_assert_with_text_known_in_the_run(session: Any) -> None:
    message = tf.placeholder(tf.string, [])
    check = tf.Assert(tf.constant(1) > 2, [message])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"assertion failed: \[m\]"):
        session.run(check, {message: "m"})


def test_print(session: Any, capsys: pytest.CaptureFixture[str]) -> None:
    x = tf.placeholder(tf.float32, [None])
    y = tf.Print(x * 2, [x, tf.constant("st"), tf.shape(x)], message="Here: ", first_n=2)
    (gradient,) = tf.gradients(y, x)
    for _ in range(3):
        value, slope = session.run([y, gradient], {x: [1, 2, 3, 4]})
    assert value.tolist() == [2, 4, 6, 8]
    assert slope.tolist() == [2, 2, 2, 2]
    assert capsys.readouterr().err == "Here: [1 2 3...][st][4]\n" * 2


@pytest.mark.parametrize(
    ("value", "text"),
    [([np.nan, 1], "NaN"), ([np.inf, 1], "Inf"), ([np.nan, -np.inf], "Inf and NaN"), ([1, 2], "")],
)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "bfloat16"])
def test_check_numerics(session: Any, value: list[float], text: str, dtype: str) -> None:
    x = tf.placeholder(dtype, [None])
    checked = tf.check_numerics(x, "x is bad")
    if not text:
        assert session.run(checked, {x: value}).tolist() == value
        return
    for fetch in (checked, tf.verify_tensor_all_finite(x, "x is bad")):
        with pytest.raises(tf.errors.InvalidArgumentError) as caught:
            session.run(fetch, {x: value})
        assert caught.value.message.startswith(f"x is bad : Tensor had {text} values\n")


def test_add_check_numerics_ops(session: Any) -> None:
    x = tf.placeholder(tf.float32, [], name="x")
    y = tf.log(x, name="y") + 1.0
    checks = tf.add_check_numerics_ops()
    assert session.run([y, checks], {x: 1.0})[0] == 1.0
    with pytest.raises(tf.errors.InvalidArgumentError, match="y:0 : Tensor had Inf values"):
        session.run(checks, {x: 0.0})


BINARY = {
    "assert_equal": ("==", 1, 2), "assert_none_equal": ("!=", 1, 1), "assert_less": ("<", 1, 1),
    "assert_less_equal": ("<=", 2, 1), "assert_greater": (">", 1, 1),
    "assert_greater_equal": (">=", 1, 2),
}  # fmt: skip


@pytest.mark.parametrize("name", BINARY)
def test_binary_assertions(session: Any, name: str) -> None:
    sign, left, right = BINARY[name]
    x, y = tf.placeholder(tf.int32, name="a"), tf.placeholder(tf.int32, name="b")
    check = getattr(tf, name)(x, y, message="msg")
    good = {"==": (3, 3), "!=": (3, 4), "<": (3, 4), "<=": (3, 3), ">": (4, 3), ">=": (4, 3)}[sign]
    session.run(check, {x: good[0], y: [good[1]] * 2})
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        session.run(check, {x: left, y: right})
    assert caught.value.message.splitlines()[0] == (
        f"assertion failed: [msg] [Condition x {sign} y did not hold element-wise:] [x (a:0) = ] "
        f"[{left}] [y (b:0) = ] [{right}]"
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"did not hold element-wise:\nx \("):
        getattr(tf, name)(left, right)


def test_assertions_about_zero(session: Any) -> None:
    x = tf.placeholder(tf.float32, [], name="x")
    for name, sign, good, bad in (
        ("positive", ">", 1, 0), ("negative", "<", -1, 0), ("non_negative", ">=", 0, -1),
        ("non_positive", "<=", 0, 1),
    ):  # fmt: skip
        check = getattr(tf, f"assert_{name}")(x)
        session.run(check, {x: good})
        with pytest.raises(tf.errors.InvalidArgumentError) as caught:
            session.run(check, {x: bad})
        text = f"[Condition x {sign} 0 did not hold element-wise:] [x (x:0) = ] [{bad}]"
        assert text in caught.value.message


def test_assert_near(session: Any) -> None:
    x = tf.placeholder(tf.float32, [])
    check = tf.assert_near(x, 2.0)
    session.run(check, {x: 2.000001})
    with pytest.raises(tf.errors.InvalidArgumentError, match="x and y not equal to tolerance"):
        session.run(check, {x: 2.001})
    session.run(tf.assert_near(x, 2.0, atol=0.1), {x: 2.01})


def test_ranks_and_types(session: Any) -> None:
    vector, unknown = tf.constant([1.0], name="v"), tf.placeholder(tf.float32, name="u")
    tf.assert_rank(vector, 1)
    tf.assert_rank_at_least(vector, 1)
    tf.assert_rank_in(vector, (0, 1))
    for check, rank, words in (
        (tf.assert_rank, 2, "rank 2"), (tf.assert_rank_at_least, 2, "rank at least 2"),
        (tf.assert_rank_in, (2, 3), r"rank in \[2, 3\]"),
    ):  # fmt: skip
        text = rf"m.  Tensor v:0 must have {words}.  Received rank 1, shape \(1,\)"
        with pytest.raises(ValueError, match=text):
            check(vector, rank, message="m")
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"must have rank\] \[2\] \[Received"):
        session.run(tf.assert_rank(unknown, 2), {unknown: [1.0]})
    session.run(tf.assert_rank(unknown, 2), {unknown: [[1.0]]})
    tf.assert_type(vector, tf.float32)
    with pytest.raises(TypeError, match="v:0 must be of type <dtype: 'int32'>"):
        tf.assert_type(vector, tf.int32)
    tf.assert_integer(tf.constant(1))
    with pytest.raises(TypeError, match='Expected "x" to be integer type'):
        tf.assert_integer(vector)
    with pytest.raises(ValueError, match="Expected scalar shape for v:0, saw shape: "):
        tf.assert_scalar(vector)
    with pytest.raises(TypeError, match='Expected argument "values" to be iterable'):
        tf.assert_proper_iterable(vector)


LABELS = (
    "Received a label value of 3 which is outside the valid range of [0, 3).  Label values: 1 3"
)


def test_labels_in_range(session: Any) -> None:
    labels = tf.placeholder(tf.int32, [None])
    w = tf.Variable(tf.ones([2, 3]))
    doubled = tf.cast(labels, tf.int64) * tf.cast(w[0, 0], tf.int64)
    session.run(w.initializer)
    for used in (labels, doubled):
        loss = tf.reduce_sum(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=used, logits=w)
            + tf.nn.sparse_softmax_cross_entropy_with_logits(labels=used, logits=w * 2.0)
        )
        train = tf.train.GradientDescentOptimizer(1.0).minimize(loss)
        before = session.run(w)
        with pytest.raises(tf.errors.InvalidArgumentError) as caught:
            session.run(train, {labels: [1, 3]})
        assert caught.value.message.splitlines()[0] == LABELS
        assert np.array_equal(session.run(w), before)
        session.run(train, {labels: [1, 0]})
        assert not np.array_equal(session.run(w), before)
        session.run(tf.assign(w, tf.ones([2, 3])))


def test_labels_that_are_places_need_no_check(session: Any) -> None:
    x = tf.placeholder(tf.float32, [None, 3])
    labels = tf.cast(tf.argmax(x, 1), tf.int32)
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=x)
    text = str([op.name for op in session.lower(loss, {x: np.ones((2, 3))}).ops])
    assert "is_finite" not in text
    assert "'and'" not in text
    assert session.run(loss, {x: [[0.0, 50.0, 0.0]]}).tolist() == [0.0]


def test_debugging_has_the_names() -> None:
    assert tf.debugging.assert_equal is tf.assert_equal
    assert tf.debugging.assert_all_finite is tf.verify_tensor_all_finite
    assert tf.debugging.is_finite is tf.is_finite
