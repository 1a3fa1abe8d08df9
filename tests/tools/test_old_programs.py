"""Ten small programs for TensorFlow 0.x: upgraded, they run here and compute what they should.

Together they use every function that was renamed and every argument that moved.
"""

from __future__ import annotations

import numpy as np
import pytest

import tensorkiln as tf
from tensorkiln.frontends.tools.upgrade import upgrade
from tensorkiln.frontends.tools.upgrade_tables import CALLED_NOW, KEYWORDS, RENAMED, REORDERED

# Each program, and the value that `out` has in the end.
PROGRAMS: dict[str, tuple[str, object]] = {
    "arithmetic": (
        """
x = tf.constant([1.0, 4.0])
y = tf.mul(tf.sub(x, 3.0), tf.neg(tf.inv(x)))
z = tf.select(tf.less(x, 2.0), x, y)
out = tf.concat(0, [z, tf.pack([tf.complex_abs(tf.complex(3.0, 4.0))])])
""",
        [1.0, -0.25, 5.0],
    ),
    "pieces": (
        """
x = tf.constant([[1, 2, 3, 4], [5, 6, 7, 8]])
left, right = tf.split(1, 2, x)
again, _ = tf.split(split_dim=0, num_split=2, value=right)
rows = tf.unpack(left)
listed, _ = tf.listdiff([1, 2, 3, 4], [2, 4])
other, _ = tf.list_diff([9, 8], [9])
out = tf.concat(concat_dim=0, values=[rows[0], rows[1], tf.squeeze(again, squeeze_dims=[0]), listed, other])
""",
        [1, 2, 5, 6, 3, 4, 1, 3, 8],
    ),
    "reductions": (
        """
x = tf.constant([[1.0, 2.0], [3.0, 0.0]])
parts = [tf.reduce_sum(x, reduction_indices=[1]), tf.reduce_mean(x, reduction_indices=0),
         tf.reduce_max(x, reduction_indices=1), tf.reduce_min(x, reduction_indices=[1]),
         tf.reduce_prod(x, reduction_indices=1), tf.reduce_logsumexp(x * 0, reduction_indices=1),
         tf.to_float(tf.count_nonzero(x, reduction_indices=1))]
logic = [tf.reduce_all(x > 0, reduction_indices=1), tf.reduce_any(x > 2, reduction_indices=1)]
places = [tf.argmax(x, dimension=1), tf.argmin(x, dimension=0),
          tf.arg_max(x, dimension=0), tf.arg_min(x, dimension=1)]
out = tf.concat(0, parts + [tf.to_float(t) for t in logic + places])
""",
        [3, 3, 2, 1, 2, 3, 1, 0, 2, 0, np.log(2), np.log(2), 2, 1,
         1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1],
    ),
    "classifier": (
        """
x = tf.constant([[1.0, 2.0, 0.5]])
w = tf.Variable(tf.ones([3, 2]) * [1.0, 2.0])
logits = tf.matmul(x, w)
a = tf.nn.softmax_cross_entropy_with_logits(logits, tf.constant([[1.0, 0.0]]))
b = tf.nn.sparse_softmax_cross_entropy_with_logits(logits, [1])
c = tf.nn.sigmoid_cross_entropy_with_logits(logits, targets=tf.zeros([1, 2]))
merged = tf.merge_all_summaries()
with tf.Session() as session:
    session.run(tf.initialize_all_variables())
    out = np.concatenate([session.run(t).ravel() for t in (a, b, c)])
""",
        [np.log1p(np.exp(3.5)), np.log1p(np.exp(-3.5)), np.log1p(np.exp(3.5)), np.log1p(np.exp(7))],
    ),
    "summaries": (
        """
x = tf.constant([1.0, 2.0])
tf.scalar_summary('loss', tf.reduce_sum(x))
tf.scalar_summary(tags='again', values=x[0])
h = tf.histogram_summary('x', x)
tf.image_summary('im', tf.ones([1, 2, 2, 1]), max_images=1)
tf.audio_summary('tone', tf.zeros([1, 4, 1]), 100.0)
some = tf.merge_summary([h])
with tf.Session() as session:
    writer = tf.train.SummaryWriter(folder, session.graph)
    text = session.run(tf.merge_all_summaries())
    writer.add_summary(text, 0)
    writer.close()
out = sorted(value.tag for value in tf.Summary.FromString(text).value)
""",
        ["again", "im/image", "loss", "tone/audio/0", "x"],
    ),
    "variables": (
        """
v = tf.Variable(3, name='v')
local = tf.Variable(5, collections=[tf.GraphKeys.LOCAL_VARIABLES])
other = tf.Variable(7)
names = [x.op.name for x in tf.all_variables()] + [x.op.name for x in tf.get_collection(tf.GraphKeys.VARIABLES)]
with tf.Session() as session:
    session.run(tf.initialize_variables([v]))
    session.run(tf.initialize_local_variables())
    out = [session.run(v), session.run(local), len(names)]
    session.run(tf.initialize_all_tables())
""",
        [3, 5, 4],
    ),
    "matrices": (
        """
m = tf.constant([[[2.0, 1.0], [1.0, 3.0]]])
parts = [tf.batch_matmul(m, m, adj_y=True), tf.batch_matrix_inverse(m), tf.batch_cholesky(m),
         tf.batch_matrix_transpose(m), tf.batch_matrix_solve(m, m),
         tf.batch_matrix_diag(tf.batch_matrix_diag_part(m)), tf.batch_matrix_band_part(m, 0, -1),
         tf.batch_matrix_set_diag(m, tf.zeros([1, 2])),
         tf.batch_matrix_triangular_solve(m, m), tf.batch_cholesky_solve(tf.batch_cholesky(m), m)]
out = tf.concat(0, [tf.reshape(tf.pack([tf.reduce_sum(p) for p in parts]), [-1]), tf.batch_matrix_determinant(m),
                    tf.reshape(tf.batch_self_adjoint_eigvals(m), [-1]), tf.svd(m, False)[0]])
""",
        None,
    ),
    "scopes": (
        """
def layer(x, name=None):
    with tf.op_scope([x], name, 'layer') as scope:
        return tf.expand_dims(x, dim=0, name='out')
def start(shape, initializer):
    return tf.get_variable('w', shape, initializer=initializer)
ones = start([2], tf.ones_initializer)
with tf.variable_scope('z'):
    zeros = start([2], tf.zeros_initializer)
first, second = layer(ones), layer(zeros, 'mine')
out = [first.op.name, second.op.name]
""",
        ["layer/out", "mine/out"],
    ),
    "sequences": (
        """
x = tf.constant([[[1.0], [2.0]], [[3.0], [4.0]]])
turned = tf.reverse_sequence(x, tf.constant([2, 1]), seq_dim=1, batch_dim=0)
joined = tf.reduce_join([['a', 'b']], reduction_indices=1)
cell = tf.nn.rnn_cell.BasicRNNCell(2)
outputs, state = tf.nn.rnn(cell, tf.unpack(tf.transpose(x, [1, 0, 2])), dtype=tf.float32)
with tf.Session() as session:
    session.run(tf.initialize_all_variables())
    values = session.run([turned, joined, outputs[-1], state])
out = [values[0].ravel().tolist(), values[1].tolist(), bool((values[2] == values[3]).all())]
""",
        [[2, 1, 3, 4], [b"ab"], True],
    ),
    "words": (
        """
vectors = tf.constant(np.arange(12, dtype=np.float32).reshape(6, 2) / 12)
biases = tf.zeros([6])
given = tf.constant([[0.5, 0.25]])
word = tf.constant([[3]], dtype=tf.int64)
drawn = (tf.constant([0, 1], tf.int64), tf.constant([[1.0]]), tf.constant([1.0, 1.0]))
nce = tf.nn.nce_loss(vectors, biases, given, word, 2, 6, 1, drawn)
sampled = tf.nn.sampled_softmax_loss(vectors, biases, given, word, 2, 6, sampled_values=drawn)
out = tf.concat(0, [nce, sampled])
""",
        None,
    ),
}  # fmt: skip


def ran(source: str, folder: object) -> object:
    names: dict[str, object] = {"tf": tf, "np": np, "folder": str(folder)}
    with tf.Graph().as_default():
        exec(compile(source, "program.py", "exec"), names)
        found = names["out"]
        if isinstance(found, tf.Tensor):
            with tf.Session() as session:
                return session.run(found)
    return found


@pytest.mark.parametrize("name", PROGRAMS)
def test_upgraded_programs_run(name: str, tmp_path: object) -> None:
    source, expected = PROGRAMS[name]
    done = upgrade(source, "program.py")
    assert done.errors == []
    assert upgrade(done.text, "program.py").edits == []
    for old in RENAMED:
        assert f"{old}(" not in done.text
    found = ran(done.text, tmp_path)
    if name == "matrices":
        m = np.array([[2.0, 1.0], [1.0, 3.0]])
        sums = [(m @ m).sum(), np.linalg.inv(m).sum(), np.linalg.cholesky(m).sum(), m.sum(), 2, 5,
                6, 2, np.linalg.solve(np.tril(m), m).sum(), 2]  # fmt: skip
        spectrum = np.linalg.eigvalsh(m)
        expected = [*sums, np.linalg.det(m), *spectrum]
        found = np.asarray(found)[: len(sums) + 3]
    if name == "words":
        table = np.arange(12).reshape(6, 2) / 12
        true, wrong = table[3] @ [0.5, 0.25], table[:2] @ [0.5, 0.25]
        expected = [
            np.log1p(np.exp(-true)) + np.log1p(np.exp(wrong)).sum(),
            np.log(np.exp([true, *wrong]).sum()) - true,
        ]
    if isinstance(expected, list) and isinstance(expected[0], int | float):
        np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-5, atol=1e-6)
    else:
        assert found == expected


def test_every_change_is_in_some_program() -> None:
    """Those of functions for which there is no program here are counted in the open."""
    text = "".join(source for source, _ in PROGRAMS.values())
    missing = [n for n in {*RENAMED, *KEYWORDS, *REORDERED, *CALLED_NOW} if n not in text]
    assert sorted(missing) == [
        "tf.VARIABLES",
        "tf.batch_fft", "tf.batch_fft2d", "tf.batch_fft3d",
        "tf.batch_ifft", "tf.batch_ifft2d", "tf.batch_ifft3d",
        "tf.batch_matrix_solve_ls", "tf.batch_svd",
        "tf.contrib.deprecated.histogram_summary", "tf.contrib.deprecated.scalar_summary",
        "tf.image.per_image_whitening", "tf.nn.bidirectional_rnn", "tf.nn.state_saving_rnn",
        "tf.sparse_concat", "tf.sparse_reduce_sum", "tf.sparse_reduce_sum_sparse",
        "tf.sparse_split",
    ]  # fmt: skip
