"""Run by a Python that has TensorFlow: trains small nets and writes what going on needs.

    python tensorflow_trains.py FOLDER [CASE ...]

A case is program-optimizer-mode; for each one file CASE.npz: the meta graph and the checkpoint after
two steps (as bytes), the feeds, and the losses of the next six steps.  `data/training` was made so
with TensorFlow 2.21.  Modes: `ref` (variables of version 1), `res` (resources), `v2` (resources,
and branches and loops as functions).
"""

import sys
import tempfile
from collections.abc import Callable

import numpy as np
import tensorflow as tf2

tf = tf2.compat.v1
tf.disable_eager_execution()
RNG = np.random.RandomState(0)
Made = tuple[object, dict[str, np.ndarray]]


def variable(name: str, shape: list[int]) -> object:
    return tf.get_variable(
        name, shape, initializer=tf.random_normal_initializer(stddev=0.4, seed=3)
    )


def place(name: str, value: np.ndarray, *shape: int | None) -> tuple[object, dict[str, np.ndarray]]:
    dtype = tf.int32 if value.dtype.kind == "i" else tf.float32
    return tf.placeholder(dtype, list(shape) or value.shape, name=name), {name: value}


def dense(x: object, units: int, name: str) -> object:
    with tf.variable_scope(name):
        return tf.matmul(x, variable("w", [int(x.shape[-1]), units])) + variable("b", [units])


def mlp() -> Made:
    x, feeds = place("x", RNG.randn(7, 8), None, 8)
    t, more = place("t", RNG.randint(0, 4, 7), None)
    h = x
    for k, act in enumerate((tf.nn.relu, tf.tanh, tf.nn.elu, tf.sigmoid, tf.nn.softplus)):
        h = act(dense(h, 6, f"h{k}"))
    y = dense(tf.concat([h, x], 1), 4, "o")
    rows = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=t, logits=y)
    return tf.reduce_mean(rows) + tf.nn.l2_loss(tf.global_variables()[0]) * 0.01, feeds | more


def cnn() -> Made:
    x, feeds = place("x", RNG.randn(5, 8, 8, 1), None, 8, 8, 1)
    t, more = place("t", RNG.randint(0, 4, 5), None)
    h = tf.nn.conv2d(x, variable("w1", [3, 3, 1, 4]), [1, 1, 1, 1], "SAME")
    h = tf.nn.max_pool(tf.nn.relu(tf.nn.bias_add(h, variable("b1", [4]))), [2, 2], [2, 2], "SAME")
    h, _, _ = tf.nn.fused_batch_norm(h, variable("g", [4]) + 1.0, variable("o", [4]))
    h = tf.nn.depthwise_conv2d(h, variable("w2", [2, 2, 4, 2]), [1, 1, 1, 1], "VALID")
    h = tf.reshape(tf.nn.avg_pool(tf.nn.lrn(h), [2, 2], [1, 1], "VALID"), [-1, 32])
    h = tf.nn.dropout(h, keep_prob=tf.placeholder_with_default(1.0, [], name="keep"))
    return tf.losses.sparse_softmax_cross_entropy(t, dense(h, 4, "d")), feeds | more


def rows() -> Made:
    x, feeds = place("x", RNG.randint(0, 20, (6, 5)), None, 5)
    t, more = place("t", RNG.randn(6, 1), None, 1)
    table = variable("table", [20, 4])
    return tf.losses.mean_squared_error(t, dense(tf.reduce_sum(tf.gather(table, x), 1), 1, "o")), (
        feeds | more
    )


def moves() -> Made:
    x, feeds = place("x", RNG.randn(4, 6))
    h = variable("w", [4, 6]) * x
    a, b = tf.split(h, 2, axis=1)
    parts = [
        tf.stack([a, b]), tf.transpose(h), tf.pad(h, [[1, 1], [0, 2]]), h[1:3, ::2],
        tf.pad(h, [[1, 1], [2, 0]], "REFLECT"), tf.gather(h, [0, 2]), tf.tile(h, [2, 1]),
        tf.slice(h, [0, 1], [2, 3]), tf.cumsum(h), tf.reverse(h, [0]), tf.gather_nd(h, [[0, 1]]),
        tf.boolean_mask(h, [True, False, True, True]), tf.segment_sum(h, [0, 0, 1, 1]),
        tf.segment_mean(h, [0, 0, 1, 1]), tf.unsorted_segment_sum(h, [0, 1, 0, 1], 2),
        tf.dynamic_stitch([[0, 2], [1, 3]], tf.dynamic_partition(h, [0, 1, 0, 1], 2)),
        tf.nn.top_k(h, 2)[0], tf.einsum("ij,kj->ik", h, x), tf.where(h > 0, h, 2 * h),
        tf.image.resize_bilinear(tf.reshape(h, [1, 4, 6, 1]), [8, 12]),
        tf.image.resize_nearest_neighbor(tf.reshape(h, [1, 4, 6, 1]), [7, 9]),
        tf.rsqrt(tf.square(h) + 1), tf.sqrt(tf.abs(h) + 1), tf.nn.relu6(h), tf.nn.selu(h),
        tf.nn.leaky_relu(h), tf.nn.softsign(h), tf.reciprocal(tf.square(h) + 1), tf.matrix_diag(h),
    ]  # fmt: skip
    sums = [tf.reduce_mean(tf.sin(part) * (k + 1)) for k, part in enumerate(parts)]
    return tf.add_n(sums) + tf.norm(h) + tf.reduce_logsumexp(h), feeds


def branch() -> Made:
    x, feeds = place("x", RNG.randn(4, 4))
    w, flag = variable("w", [4, 4]), tf.placeholder_with_default(True, [], name="flag")
    return tf.reduce_mean(tf.cond(flag, lambda: tf.square(w * x), lambda: tf.abs(w))), feeds


class Cell:
    """An LSTM: the real class wants another package."""

    output_size, state_size, dtype = 6, (6, 6), tf.float32

    def zero_state(self, count: object, dtype: object) -> object:
        return tf.zeros([count, 6]), tf.zeros([count, 6])

    def get_initial_state(self, inputs: object, batch_size: object, dtype: object) -> object:
        return self.zero_state(batch_size, dtype)

    def __call__(self, x: object, state: object, scope: object = None) -> object:
        c, h = state
        with tf.variable_scope("cell", reuse=tf.AUTO_REUSE):
            gates = tf.matmul(tf.concat([x, h], 1), variable("w", [int(x.shape[-1]) + 6, 24]))
            i, j, f, o = tf.split(tf.nn.bias_add(gates, variable("b", [24])), 4, axis=1)
        c = c * tf.sigmoid(f + 1.0) + tf.sigmoid(i) * tf.tanh(j)
        h = tf.tanh(c) * tf.sigmoid(o)
        return h, (c, h)


def lstm() -> Made:
    x, feeds = place("x", RNG.randn(4, 5, 3), None, None, 3)
    t, more = place("t", RNG.randn(4, 2), None, 2)
    n, lengths = place("n", np.array([5, 2, 3, 1]), None)
    outputs, state = tf.nn.dynamic_rnn(Cell(), x, sequence_length=n, dtype=tf.float32)
    y = dense(state[1] + tf.reduce_sum(outputs, 1), 2, "o")
    return tf.losses.mean_squared_error(t, y), feeds | more | lengths


def loops() -> Made:
    """A loop in a loop, with a branch, a table and a value from outside."""
    x, feeds = place("x", RNG.randn(4, 4))
    w = variable("w", [4, 4])

    def inner(j: object, h: object) -> tuple[object, object]:
        return j + 1, tf.cond(tf.equal(j % 2, 0), lambda: tf.tanh(tf.matmul(h, w)), lambda: h * w)

    def outer(i: object, h: object) -> tuple[object, object]:
        g = tf.while_loop(lambda j, h: j < 3, inner, [0, h])[1]
        return i + 1, g + tf.sin(g) + x

    y = tf.while_loop(lambda i, h: i < 2, outer, [0, tf.sin(w)])[1]
    z = tf.scan(lambda a, b: tf.tanh(a * w[0] + b), x, initializer=w[1])
    return tf.reduce_mean(y**2) + tf.reduce_sum(z**2), feeds


PROGRAMS: dict[str, Callable[[], Made]] = {
    f.__name__: f for f in (mlp, cnn, rows, moves, branch, lstm, loops)
}
OPTIMIZERS = {
    "sgd": lambda: tf.train.GradientDescentOptimizer(0.05),
    "momentum": lambda: tf.train.MomentumOptimizer(0.05, 0.9, use_nesterov=True),
    "adam": lambda: tf.train.AdamOptimizer(0.05),
    "adagrad": lambda: tf.train.AdagradOptimizer(0.05),
    "adadelta": lambda: tf.train.AdadeltaOptimizer(0.5),
    "rmsprop": lambda: tf.train.RMSPropOptimizer(0.01, momentum=0.5, centered=True),
    "ftrl": lambda: tf.train.FtrlOptimizer(0.05),
    "proximal": lambda: tf.train.ProximalAdagradOptimizer(0.01),
}
CASES = (
    "mlp-momentum-res", "cnn-adam-ref", "rows-rmsprop-res", "rows-adam-ref",
    "rows-adam-res", "rows-ftrl-res", "rows-momentum-ref", "rows-adadelta-res", "rows-adagrad-res",
    "rows-proximal-res", "rows-sgd-ref", "moves-sgd-res", "branch-adam-ref", "branch-adam-res",
    "branch-adam-v2", "lstm-adam-ref", "lstm-adam-v2", "loops-adam-res", "loops-adam-v2",
)  # fmt: skip


def write(folder: str, case: str) -> None:
    program, optimizer, mode = case.split("-")
    (tf.disable_resource_variables if mode == "ref" else tf.enable_resource_variables)()
    (tf.enable_control_flow_v2 if mode == "v2" else tf.disable_control_flow_v2)()
    RNG.seed(0)
    with tf.Graph().as_default(), tf.Session() as sess, tempfile.TemporaryDirectory() as place:
        loss, feeds = PROGRAMS[program]()
        loss = tf.identity(loss, name="loss")
        step = tf.train.get_or_create_global_step()
        made = OPTIMIZERS[optimizer]()
        pairs = made.compute_gradients(loss)
        clipped, _ = tf.clip_by_global_norm([g for g, _ in pairs], 5.0)
        pairs = [(g, v) for g, (_, v) in zip(clipped, pairs, strict=True)]
        train = made.apply_gradients(pairs, global_step=step, name="train")
        tf.summary.scalar("loss", loss)
        saver = tf.train.Saver()
        sess.run(tf.global_variables_initializer())
        fed = {f"{name}:0": value for name, value in feeds.items()}
        for _ in range(2):
            sess.run(train, fed)
        path = saver.save(sess, f"{place}/m")
        files = {}
        for key, ending in (("meta", "meta"), ("index", "index"), ("data", "data-00000-of-00001")):
            with open(f"{path}.{ending}", "rb") as file:
                files[f"file_{key}"] = np.frombuffer(file.read(), np.uint8)
        losses = [sess.run([train, loss], fed)[1] for _ in range(6)]
        inputs = {f"feed_{name}": value for name, value in feeds.items()}
        np.savez_compressed(f"{folder}/{case}.npz", losses=losses, **files, **inputs)


if __name__ == "__main__":
    for chosen in sys.argv[2:] or CASES:
        write(sys.argv[1], chosen)
