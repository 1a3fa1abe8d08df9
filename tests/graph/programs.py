"""Small programs of the graph API from lists of numbers: each step is an op and its operands.

Every op is continuous and keeps values of moderate size, so that two ways to run a program agree
to rounding.  The module `tf` is an argument, so that other implementations can run them too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Step = tuple[int, int, int, int]
"""The op, both operands and a choice, each taken modulo what there is."""
SHAPES = ((3, 4), (2, 5), (7,), (1, 3, 2), (4, 4), (2, 3, 4), (1,), (5, 1))
Make = Callable[[Any, Any, Any, int], Any]


def noise(shape: Sequence[int], seed: int) -> Any:
    return np.random.RandomState(seed).uniform(-1, 1, tuple(shape)).astype(np.float32)


def size(x: Any) -> list[int]:
    return [int(n) for n in x.shape.as_list()]


def axis(x: Any, k: int) -> int:
    return k % len(size(x))


def same(tf: Any, x: Any, y: Any) -> Any:
    """An operand of x's shape: y if it has it, else the mean of y."""
    return y if size(x) == size(y) else tf.reduce_mean(y) + 0.0 * x


def permuted(x: Any, k: int) -> list[int]:
    return list(np.random.RandomState(k).permutation(len(size(x))))


def rows(x: Any, k: int) -> Any:
    return np.random.RandomState(k).randint(0, size(x)[0], 3)


def weighted(tf: Any, x: Any, k: int) -> Any:
    return tf.tensordot(x, noise((size(x)[-1], 1 + k % 6), k), 1) * 0.5


def convolved(tf: Any, x: Any, k: int) -> Any:
    count = int(np.prod(size(x)))
    image = tf.reshape(x, [1, count, 1, 1])
    padding = ("SAME", "VALID")[k % 2 if count >= 3 else 0]
    return tf.nn.conv2d(image, noise((3, 1, 1, 2), k), [1, 1 + k % 2, 1, 1], padding)[0, :, 0]


def pooled(tf: Any, x: Any, k: int) -> Any:
    image = tf.reshape(x, [1, -1, 1, 1])
    pool = (tf.nn.max_pool, tf.nn.avg_pool)[k % 2]
    return pool(image, [1, 2, 1, 1], [1, 1 + k % 2, 1, 1], "SAME")[0, :, :, 0]


def looped(tf: Any, x: Any, k: int) -> Any:
    def body(i: Any, total: Any) -> Any:
        return i + 1, tf.tanh(total + 0.1 * tf.cast(i, tf.float32) * x)

    return tf.while_loop(lambda i, _: i < k % 4, body, (0, x))[1]


def recurrent(tf: Any, x: Any, k: int) -> Any:
    flat = tf.reshape(x, [1, -1, 1])
    state = tf.zeros([1, 2])
    outputs = []
    for step in range(min(4, size(flat)[1])):
        both = tf.concat([flat[:, step], state], 1)
        state = tf.tanh(tf.matmul(both, noise((3, 2), k)))
        outputs.append(state)
    return tf.stack(outputs, 1)[0]


def normalized(tf: Any, x: Any, k: int) -> Any:
    mean, variance = tf.nn.moments(x, [axis(x, k)], keep_dims=True)
    return tf.nn.batch_normalization(x, mean, variance, 0.5, 1.5, 0.1)


def grouped(tf: Any, x: Any, k: int) -> Any:
    ids = np.sort(np.random.RandomState(k).randint(0, 3, size(x)[0]))
    return tf.unsorted_segment_sum(x, ids, 3)


def cut(tf: Any, x: Any, k: int) -> Any:
    return x[tuple(slice(None, None, -1) if (k >> d) % 2 else slice(n // 3, None)
                   for d, n in enumerate(size(x)))]  # fmt: skip


def gram(tf: Any, x: Any) -> Any:
    flat = tf.reshape(x, [size(x)[0], -1])
    return tf.tanh(tf.einsum("ij,kj->ik", flat, flat))


OPS: dict[str, Make] = {
    "tanh": lambda tf, x, y, k: tf.tanh(x),
    "sigmoid": lambda tf, x, y, k: tf.sigmoid(x * 2.0),
    "softplus": lambda tf, x, y, k: tf.nn.softplus(x) - 0.5,
    "softsign": lambda tf, x, y, k: tf.nn.softsign(x),
    "elu": lambda tf, x, y, k: tf.nn.elu(x),
    "leaky": lambda tf, x, y, k: tf.nn.leaky_relu(x),
    "selu": lambda tf, x, y, k: tf.nn.selu(x),
    "erf": lambda tf, x, y, k: tf.erf(x),
    "sine": lambda tf, x, y, k: tf.sin(x * 3.0),
    "atan": lambda tf, x, y, k: tf.atan(x),
    "log": lambda tf, x, y, k: tf.log1p(tf.square(x)),
    "root": lambda tf, x, y, k: tf.sqrt(tf.square(x) + 0.3),
    "rsqrt": lambda tf, x, y, k: tf.rsqrt(tf.square(x) + 1.0),
    "power": lambda tf, x, y, k: tf.pow(tf.sigmoid(x) + 0.5, 1.5),
    "bell": lambda tf, x, y, k: tf.exp(-tf.square(x)),
    "digamma": lambda tf, x, y, k: tf.digamma(tf.square(x) + 1.5),
    "add": lambda tf, x, y, k: (x + same(tf, x, y)) * 0.7,
    "product": lambda tf, x, y, k: tf.tanh(x * same(tf, x, y)),
    "quotient": lambda tf, x, y, k: x / (1.0 + tf.square(same(tf, x, y))),
    "maximum": lambda tf, x, y, k: tf.maximum(x, same(tf, x, y)),
    "distance": lambda tf, x, y, k: tf.tanh(tf.squared_difference(x, same(tf, x, y))),
    "centred": lambda tf, x, y, k: x - tf.reduce_mean(x, axis(x, k), keepdims=True),
    "clip": lambda tf, x, y, k: tf.clip_by_value(x, -0.55, 0.65),
    "norm": lambda tf, x, y, k: tf.nn.l2_normalize(x, axis(x, k), epsilon=0.1),
    "batch norm": lambda tf, x, y, k: normalized(tf, x, k),
    "softmax": lambda tf, x, y, k: tf.nn.softmax(x, axis(x, k)),
    "log softmax": lambda tf, x, y, k: tf.nn.log_softmax(x * 0.5) * 0.4,
    "sum": lambda tf, x, y, k: tf.tanh(tf.reduce_sum(x, axis(x, k), keepdims=True)),
    "mean": lambda tf, x, y, k: tf.reduce_mean(tf.expand_dims(x, 0), 1 + axis(x, k)),
    "largest": lambda tf, x, y, k: tf.reduce_max(tf.expand_dims(x, 0), 1 + axis(x, k)),
    "logsumexp": lambda tf, x, y, k: tf.reduce_logsumexp(x, axis(x, k), keepdims=True) * 0.3,
    "cumsum": lambda tf, x, y, k: tf.sin(tf.cumsum(x, axis(x, k), k % 2 == 0, k % 3 == 0)),
    "transpose": lambda tf, x, y, k: tf.transpose(x, permuted(x, k)),
    "flatten": lambda tf, x, y, k: tf.reshape(x, [-1]),
    "reverse": lambda tf, x, y, k: tf.reverse(x, [axis(x, k)]),
    "pad": lambda tf, x, y, k: tf.pad(x, [[k % 2, 1]] * len(size(x))),
    "cut": lambda tf, x, y, k: cut(tf, x, k),
    "concat": lambda tf, x, y, k: tf.concat([x, same(tf, x, y)], axis(x, k)),
    "stack": lambda tf, x, y, k: tf.stack([x, same(tf, x, y)], k % 2),
    "tile": lambda tf, x, y, k: tf.tile(x, [1 + (k + d) % 2 for d in range(len(size(x)))]),
    "gather": lambda tf, x, y, k: tf.gather(x, rows(x, k)),
    "one hot": lambda tf, x, y, k: x[:1] + tf.one_hot(k % 3, size(x)[-1]),
    "segments": lambda tf, x, y, k: tf.tanh(grouped(tf, x, k)),
    "top": lambda tf, x, y, k: tf.nn.top_k(x, 1 + k % size(x)[-1])[0],
    "dense": lambda tf, x, y, k: weighted(tf, x, k),
    "gram": lambda tf, x, y, k: gram(tf, x),
    "conv": lambda tf, x, y, k: convolved(tf, x, k),
    "pool": lambda tf, x, y, k: pooled(tf, x, k),
    "cond": lambda tf, x, y, k: tf.cond(tf.size(x) > k, lambda: x * 0.5, lambda: tf.sin(x)),
    "loop": lambda tf, x, y, k: looped(tf, x, k),
    "map": lambda tf, x, y, k: tf.map_fn(lambda row: tf.tanh(row * 2.0), x),
    "recurrent": lambda tf, x, y, k: recurrent(tf, x, k),
}  # fmt: skip
MAKERS = tuple(OPS.values())
LARGEST = 300  # elements: what is larger is left out


def build(tf: Any, steps: Sequence[Step]) -> tuple[list[Any], list[Any], list[Any]]:
    """Inputs, what the steps make, and gradients of a scalar that depends on all of it."""
    inputs = [tf.placeholder(tf.float32, shape) for shape in SHAPES]
    tensors = list(inputs)
    for op, first, second, choice in steps:
        x, y = tensors[first % len(tensors)], tensors[second % len(tensors)]
        made = MAKERS[op % len(MAKERS)](tf, x, y, choice)
        if size(made) and 0 < np.prod(size(made)) <= LARGEST and len(size(made)) < 5:
            tensors.append(made)
    made = tensors[len(inputs) :]
    if not made:
        return inputs, [], []
    total = tf.add_n([tf.reduce_mean(tf.sin(t)) for t in made])
    slopes = [g for g in tf.gradients(total, inputs) if g is not None]
    return inputs, made, [tf.convert_to_tensor(g) for g in slopes]


def feeds(inputs: Sequence[Any]) -> dict[Any, Any]:
    return {x: noise(shape, k) for k, (x, shape) in enumerate(zip(inputs, SHAPES, strict=True))}
