"""Values of ops against numpy, and static shapes against the shapes of the values."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensorkiln as tf

R = np.random.RandomState(7)
X = R.randn(3, 4).astype(np.float32)
Y = R.randn(3, 4).astype(np.float32)
P = np.abs(X) + 0.5
N = np.array([[7, -7, 3], [0, 5, -4]], np.int32)
J = np.array([[2, 2, -2], [3, -3, -3]], np.int32)
B = X > 0
ROW = np.array([1.0, 2.0, 3.0, 4.0], np.float32)


def softmax(x: Any, axis: int = -1) -> Any:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


erf = np.vectorize(math.erf)
CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...], Any]] = {
    "add": (lambda x, r: x + r, (X, ROW), X + ROW),
    "reflected": (lambda x: 1 - 2 / (3 * x), (P,), 1 - 2 / (3 * P)),
    "int truediv": (lambda a, b: a / b, (N, J), N / J),
    "int floordiv": (lambda a, b: a // b, (N, J), N // J),
    "int mod": (lambda a, b: a % b, (N, J), N % J),
    "float floordiv": (lambda a, b: a // b, (X, Y), X // Y),
    "float mod": (lambda a, b: a % b, (X, Y), X % Y),
    "tf.div": (tf.div, (N, J), N // J),
    "int mean": (lambda a: tf.reduce_mean(a, 1), (N,), np.array([1, 0], np.int32)),
    "pow": (lambda x: x**2.5, (P,), P**2.5),
    "abs neg": (lambda x: abs(-x), (X,), np.abs(X)),
    "compare": (lambda x, y: tf.logical_and(x > y, ~(x > 0)), (X, Y), (X > Y) & ~(X > 0)),
    "maximum": (tf.maximum, (X, Y), np.maximum(X, Y)),
    "squared_difference": (tf.squared_difference, (X, Y), (X - Y) ** 2),
    "square": (tf.square, (X,), X * X),
    "sqrt": (tf.sqrt, (P,), np.sqrt(P)),
    "rsqrt": (tf.rsqrt, (P,), 1 / np.sqrt(P)),
    "exp": (tf.exp, (X,), np.exp(X)),
    "log1p": (tf.log1p, (P,), np.log1p(P)),
    "erf": (tf.erf, (X,), erf(X)),
    "asin": (tf.asin, (X / 4,), np.arcsin(X / 4)),
    "acos": (tf.acos, (X / 4,), np.arccos(X / 4)),
    "atan": (tf.atan, (X,), np.arctan(X)),
    "sinh": (tf.sinh, (X,), np.sinh(X)),
    "cosh": (tf.cosh, (X,), np.cosh(X)),
    "round half even": (tf.round, (np.float32([0.5, 1.5, -2.5]),), [0, 2, -2]),
    "cast truncates": (lambda x: tf.cast(x, tf.int32), (np.float32([1.9, -1.9]),), [1, -1]),
    "cast bool": (lambda x: tf.cast(x > 0, tf.float32), (X,), B.astype(np.float32)),
    "add_n": (lambda x, y: tf.add_n([x, y, x]), (X, Y), 2 * X + Y),
    "is_nan": (tf.is_nan, (np.float32([1, np.nan]),), [False, True]),
    "is_inf": (tf.is_inf, (np.float32([np.inf, 1]),), [True, False]),
    "sum": (lambda x: tf.reduce_sum(x, axis=[0]), (X,), X.sum(0)),
    "sum keep": (lambda x: tf.reduce_sum(x, -1, keep_dims=True), (X,), X.sum(1, keepdims=True)),
    "sum of nothing": (lambda x: tf.reduce_sum(x, []), (X,), X),
    "prod max min": (
        lambda x: [tf.reduce_prod(x), tf.reduce_max(x, 0), tf.reduce_min(x, 1)],
        (X,), [X.prod(), X.max(0), X.min(1)],
    ),
    "all any": (lambda b: [tf.reduce_all(b, 1), tf.reduce_any(b)], (B,), [B.all(1), B.any()]),
    "logsumexp": (
        lambda x: tf.reduce_logsumexp(x + 100, 1), (X,), np.log(np.exp(X).sum(1)) + 100,
    ),
    "empty sum": (tf.reduce_sum, (np.zeros((0, 2), np.float32),), 0.0),
    "argmax first": (lambda x: tf.argmax(x, 1), (np.float32([[1, 3, 3], [2, 0, 2]]),), [1, 0]),
    "cumsum": (lambda x: tf.cumsum(x, 1), (X,), X.cumsum(1)),
    "cumsum exclusive reverse": (
        lambda x: tf.cumsum(x, exclusive=True, reverse=True), (ROW,), [9, 7, 4, 0],
    ),
    "matmul": (lambda x, y: tf.matmul(x, y, transpose_b=True), (X, Y), X @ Y.T),
    "matmul a": (lambda x, y: tf.matmul(x, y, transpose_a=True), (X, Y), X.T @ Y),
    "operator @": (lambda x, y: x @ tf.transpose(y), (X, Y), X @ Y.T),
    "batch matmul": (
        tf.matmul, (R.rand(2, 3, 4), R.rand(2, 4, 5)), None,
    ),
    "tensordot": (lambda x, y: tf.tensordot(x, y, [[0], [0]]), (X, Y), np.tensordot(X, Y, [[0], [0]])),
    "reshape": (lambda x: tf.reshape(x, [-1, 2]), (X,), X.reshape(-1, 2)),
    "reshape by shape": (
        lambda x: tf.reshape(x, tf.stack([tf.shape(x)[1], -1])), (X,), X.reshape(4, -1),
    ),
    "shape arithmetic": (
        lambda x: tf.zeros([tf.shape(x)[0] * 2, tf.size(x) // 4 - tf.rank(x)]), (X,),
        np.zeros((6, 1)),
    ),
    "transpose": (tf.transpose, (X,), X.T),
    "expand squeeze": (
        lambda x: tf.squeeze(tf.expand_dims(tf.expand_dims(x, 0), -1), [0]), (X,), X[..., None],
    ),
    "slices": (lambda x: [x[0], x[1:, ::2], x[..., -1], x[:, None, 1:3], x[::-1]], (X,),
               [X[0], X[1:, ::2], X[..., -1], X[:, None, 1:3], X[::-1]]),
    "index by tensor": (lambda x, k: [x[k], x[:, k]], (X, np.int32(2)), [X[2], X[:, 2]]),
    "tf.slice": (lambda x: tf.slice(x, [1, 0], [2, -1]), (X,), X[1:3]),
    "concat stack": (
        lambda x, y: [tf.concat([x, y], 1), tf.stack([x, y], axis=1), tf.concat([x, y], -2)],
        (X, Y), [np.concatenate([X, Y], 1), np.stack([X, Y], 1), np.concatenate([X, Y], 0)],
    ),
    "split unstack": (
        lambda x: [tf.split(x, 2, 1)[1], tf.split(x, [1, -1], 0)[1], tf.unstack(x, axis=1)[2]],
        (X,), [X[:, 2:], X[1:], X[:, 2]],
    ),
    "tile": (lambda x: tf.tile(x, [2, 3]), (X,), np.tile(X, (2, 3))),
    "pad": (lambda x: tf.pad(x, [[1, 0], [0, 2]]), (X,), np.pad(X, [(1, 0), (0, 2)])),
    "pad reflect": (
        lambda x: tf.pad(x, [[1, 1], [2, 0]], "REFLECT"), (X,), np.pad(X, [(1, 1), (2, 0)], "reflect"),
    ),
    "pad symmetric": (
        lambda x: tf.pad(x, [[1, 1], [2, 0]], "SYMMETRIC"), (X,),
        np.pad(X, [(1, 1), (2, 0)], "symmetric"),
    ),
    "gather": (
        lambda x, i: [tf.gather(x, i), tf.gather(x, i, axis=1), tf.nn.embedding_lookup(x, i)],
        (X, np.int32([2, 0])), [X[[2, 0]], X[:, [2, 0]], X[[2, 0]]],
    ),
    "one_hot": (lambda i: tf.one_hot(i, 3, 5.0, 0.5), (np.int32([2, 9, 0]),),
                [[0.5, 0.5, 5], [0.5, 0.5, 0.5], [5, 0.5, 0.5]]),
    "where": (tf.where, (B, X, Y), np.where(B, X, Y)),
    "where rows": (lambda b, x, y: tf.where(b[:, 0], x, y), (B, X, Y), np.where(B[:, :1], X, Y)),
    "range": (lambda n: [tf.range(3, 9, 2), tf.range(1.0, 0.0, -0.25), tf.range(tf.size(n))],
              (ROW,), [np.arange(3, 9, 2), np.arange(1, 0, -0.25), np.arange(4)]),
    "linspace": (lambda n: tf.linspace(2.0, 5.0, 5), (ROW,), [2, 2.75, 3.5, 4.25, 5]),
    "fill eye diag": (
        lambda r: [tf.fill([2, 2], 7), tf.eye(2, 3), tf.diag(r), tf.diag_part(tf.diag(r)), tf.trace(tf.diag(r))],
        (ROW,), [np.full((2, 2), 7), np.eye(2, 3), np.diag(ROW), ROW, 10.0],
    ),
    "likes": (lambda i: [tf.zeros_like(i), tf.ones_like(i, dtype=tf.float32)], (N,),
              [np.zeros_like(N), np.ones(N.shape)]),
    "constant fills": (lambda r: tf.constant([1, 2], shape=[2, 2]), (ROW,), [[1, 2], [2, 2]]),
    "clip": (lambda x: tf.clip_by_value(x, -0.5, 0.5), (X,), X.clip(-0.5, 0.5)),
    "clip norm": (lambda x: tf.clip_by_norm(x, 1.0), (X,), X / np.linalg.norm(X)),
    "global norm": (
        lambda x, y: tf.clip_by_global_norm([x, y], 1.0)[0], (X, Y),
        [a / np.sqrt((X**2).sum() + (Y**2).sum()) for a in (X, Y)],
    ),
    "relu": (tf.nn.relu, (X,), X.clip(0)),
    "relu6": (tf.nn.relu6, (X * 8,), (X * 8).clip(0, 6)),
    "elu": (tf.nn.elu, (X * 50,), np.where(X > 0, X * 50, np.expm1(np.minimum(X * 50, 0)))),
    "leaky": (lambda x: tf.nn.leaky_relu(x, 0.1), (X,), np.where(X > 0, X, 0.1 * X)),
    "sigmoid tanh": (lambda x: [tf.sigmoid(x), tf.tanh(x)], (X,), [1 / (1 + np.exp(-X)), np.tanh(X)]),
    "softplus": (tf.nn.softplus, (X * 100,), np.logaddexp(0, X.astype(np.float64) * 100)),
    "softsign": (tf.nn.softsign, (X,), X / (1 + np.abs(X))),
    "softmax": (lambda x: [tf.nn.softmax(x), tf.nn.log_softmax(x, axis=0)], (X,),
                [softmax(X), np.log(softmax(X, 0))]),
    "cross entropy": (
        lambda x, y: tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=x * 100), (X, P),
        -(P * (X * 100 - (X * 100).max(1, keepdims=True)
               - np.log(np.exp(X * 100 - (X * 100).max(1, keepdims=True)).sum(1, keepdims=True)))).sum(1),
    ),
    "sparse cross entropy": (
        lambda x, i: tf.nn.sparse_softmax_cross_entropy_with_logits(labels=i, logits=x),
        (X, np.int64([3, 0, 1])), -np.log(softmax(X))[[0, 1, 2], [3, 0, 1]],
    ),
    "sigmoid cross entropy": (
        lambda x, y: tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=x), (X * 30, P),
        np.maximum(X * 30, 0) - X * 30 * P + np.log1p(np.exp(-np.abs(X * 30))),
    ),
    "l2 bias xw": (
        lambda x, r, y: [tf.nn.l2_loss(x), tf.nn.bias_add(x, r), tf.nn.xw_plus_b(x, tf.transpose(y), [1.0, 2.0, 3.0])],
        (X, ROW, Y), [(X**2).sum() / 2, X + ROW, X @ Y.T + [1, 2, 3]],
    ),
    "moments": (lambda x: tf.nn.moments(x, [0]), (X,), [X.mean(0), X.var(0)]),
    "batch norm": (
        lambda x, r: tf.nn.batch_normalization(x, r, r, 0.5, 2.0, 1e-3), (X, ROW),
        (X - ROW) / np.sqrt(ROW + 1e-3) * 2 + 0.5,
    ),
    "in_top_k": (lambda x: tf.nn.in_top_k(x, [2, 0], 2),
                 (np.float32([[3, 1, 2], [0, 1, 2]]),), [True, False]),
    "dropout of everything kept": (lambda x: tf.nn.dropout(x, 1.0), (X,), X),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_values(name: str, session: Any) -> None:
    build, arrays, expected = CASES[name]
    feeds = {tf.placeholder(np.asarray(a).dtype, np.shape(a)): a for a in arrays}
    built = build(*feeds)
    if name == "batch matmul":
        expected = arrays[0] @ arrays[1]
    tensors, wanted = (
        (built, expected) if isinstance(built, list | tuple) else ([built], [expected])
    )
    for tensor, value, number in zip(
        tensors, session.run(list(tensors), feeds), wanted, strict=True
    ):
        np.testing.assert_allclose(value, number, rtol=2e-5, atol=1e-6)
        assert tensor.dtype.as_numpy_dtype == value.dtype.type
        assert tensor.shape.as_list() == list(value.shape)


@pytest.mark.parametrize(
    "name", ["slices", "concat stack", "reshape", "matmul", "sum keep", "pad", "one_hot", "gather"]
)
def test_shapes_with_unknown_dims_hold(name: str, session: Any) -> None:
    build, arrays, _ = CASES[name]
    feeds = {
        tf.placeholder(np.asarray(a).dtype, [None, *np.shape(a)[1:]] if np.ndim(a) else []): a
        for a in arrays
    }
    built = build(*feeds)
    tensors = list(built) if isinstance(built, list | tuple) else [built]
    for tensor, value in zip(tensors, session.run(tensors, feeds), strict=True):
        assert tensor.shape.is_compatible_with(value.shape)
        assert tensor.shape.ndims == value.ndim


def convolve(x: Any, k: Any, stride: int, padding: str) -> Any:
    size = (
        -(-x.shape[1] // stride) if padding == "SAME" else (x.shape[1] - k.shape[0]) // stride + 1
    )
    total = max((size - 1) * stride + k.shape[0] - x.shape[1], 0) if padding == "SAME" else 0
    x = np.pad(
        x, [(0, 0), (total // 2, total - total // 2), (total // 2, total - total // 2), (0, 0)]
    )
    out = np.zeros((x.shape[0], size, size, k.shape[3]))
    for i in range(size):
        for j in range(size):
            part = x[:, i * stride : i * stride + k.shape[0], j * stride : j * stride + k.shape[1]]
            out[:, i, j] = np.tensordot(part, k, 3)
    return out


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("stride", [1, 2])
def test_conv2d(stride: int, padding: str, any_session: Any) -> None:
    x, k = R.rand(2, 6, 6, 3).astype(np.float32), R.rand(3, 3, 3, 4).astype(np.float32)
    image = tf.placeholder(tf.float32, [None, 6, 6, 3])
    result = tf.nn.conv2d(image, k, [1, stride, stride, 1], padding)
    expected = convolve(x, k, stride, padding)
    assert result.shape.as_list() == [None, *expected.shape[1:]]
    np.testing.assert_allclose(any_session.run(result, {image: x}), expected, rtol=1e-4)
    turned = tf.transpose(image, [0, 3, 1, 2])
    other = tf.nn.conv2d(turned, k, [1, 1, stride, stride], padding, data_format="NCHW")
    np.testing.assert_allclose(
        any_session.run(other, {image: x}), expected.transpose(0, 3, 1, 2), rtol=1e-4
    )


def test_depthwise_and_dilated_convolution(session: Any) -> None:
    x, k = R.rand(1, 5, 5, 2).astype(np.float32), R.rand(2, 2, 2, 3).astype(np.float32)
    found = session.run(tf.nn.depthwise_conv2d(x, k, [1, 1, 1, 1], "VALID"))
    for c in range(2):
        for m in range(3):
            alone = convolve(x[..., c : c + 1], k[:, :, c : c + 1, m : m + 1], 1, "VALID")
            np.testing.assert_allclose(found[..., c * 3 + m], alone[..., 0], rtol=1e-4)
    holes = np.zeros((3, 3, 2, 3), np.float32)
    holes[::2, ::2] = k
    np.testing.assert_allclose(
        session.run(tf.nn.atrous_conv2d(x, k, 2, "VALID")),
        convolve(x, holes, 1, "VALID"),
        rtol=1e-4,
    )


def test_pooling_over_existing_cells(any_session: Any) -> None:
    x = R.randn(1, 3, 3, 1).astype(np.float32) - 5
    largest = tf.nn.max_pool(x, [1, 2, 2, 1], [1, 2, 2, 1], "SAME")
    mean = tf.nn.avg_pool(x, [1, 2, 2, 1], [1, 2, 2, 1], "SAME")
    parts = [[x[0, i : i + 2, j : j + 2, 0] for j in (0, 2)] for i in (0, 2)]
    got = any_session.run([largest, mean])
    np.testing.assert_allclose(
        got[0][0, ..., 0], [[p.max() for p in row] for row in parts], rtol=1e-5
    )
    np.testing.assert_allclose(
        got[1][0, ..., 0], [[p.mean() for p in row] for row in parts], rtol=1e-5
    )
    assert largest.shape.as_list() == [1, 2, 2, 1]


def test_conv2d_transpose_is_the_gradient(session: Any) -> None:
    x, k = tf.zeros([1, 5, 5, 2]), tf.constant(R.rand(3, 3, 2, 4).astype(np.float32))
    y = tf.nn.conv2d(x, k, [1, 2, 2, 1], "SAME")
    g = tf.constant(R.rand(1, 3, 3, 4).astype(np.float32))
    expected = tf.gradients(y, x, g)[0]
    found = tf.nn.conv2d_transpose(g, k, [1, 5, 5, 2], [1, 2, 2, 1], "SAME")
    a, b = session.run([found, expected])
    np.testing.assert_allclose(a, b, rtol=1e-5)


def test_fused_batch_norm(session: Any) -> None:
    x = R.randn(2, 3, 3, 2).astype(np.float32)
    y, mean, variance = session.run(tf.nn.fused_batch_norm(x, [1.0, 2.0], [0.0, 1.0]))
    flat = x.reshape(-1, 2)
    np.testing.assert_allclose(mean, flat.mean(0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(variance, flat.var(0, ddof=1), rtol=1e-4)
    normal = (x - flat.mean(0)) / np.sqrt(flat.var(0) + 1e-3)
    np.testing.assert_allclose(y, normal * [1, 2] + [0, 1], rtol=1e-3, atol=1e-5)


def test_integer_arguments_of_float_ops() -> None:
    for build in (
        lambda: tf.linspace(2, 5, 5),
        lambda: tf.exp(tf.constant(1)),
        lambda: tf.nn.softmax(tf.constant([1])),
    ):
        with pytest.raises(TypeError, match="not in list of allowed values"):
            build()
