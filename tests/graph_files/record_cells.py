"""Freezes graphs with whole cells as single ops, and a speech net of that kind.  By hand:

python tests/graph_files/record_cells.py FOLDER
"""

import sys

import numpy as np
import tensorflow as tf2
from tensorflow.python.ops import gen_ctc_ops, gen_rnn_ops

tf = tf2.compat.v1
FOLDER = sys.argv[1]
RANDOM = np.random.RandomState(5)


def weights(name, *shape):
    return tf.constant((RANDOM.randn(*shape) / 2).astype(np.float32), name=name)


def freeze(name, session, values, **given):
    tf.train.write_graph(session.graph_def, FOLDER, f"{name}.pb", as_text=False)
    np.savez_compressed(f"{FOLDER}/{name}.npz", **given, **values)


def cells(session):
    x = tf.placeholder(tf.float32, [3, 4], name="x")
    h = weights("h", 3, 5)
    parts = [weights(n, *s) for n, s in (("w", (9, 20)), ("wci", (5,)), ("wcf", (5,)),
             ("wco", (5,)), ("b", (20,)))]  # fmt: skip
    fetched = {}
    for peep in (False, True):
        made = gen_rnn_ops.lstm_block_cell(
            x, h * 3, h, *parts, forget_bias=0.5, cell_clip=1.5 if peep else -1, use_peephole=peep
        )
        fetched |= {
            f"lstm_{peep}_{k}": tf.identity(t, f"lstm_{peep}_{k}") for k, t in enumerate(made)
        }
    made = gen_rnn_ops.gru_block_cell(
        x, h, weights("ru", 9, 10), weights("c", 9, 5), weights("bru", 10), weights("bc", 5)
    )
    fetched |= {f"gru_{k}": tf.identity(t, f"gru_{k}") for k, t in enumerate(made)}
    value = RANDOM.randn(3, 4).astype(np.float32)
    freeze("cells", session, session.run(fetched, {x: value}), x=value)


def listen(session):
    """Windows of features, dense layers, one LSTM over all steps, letters, and the best texts."""
    features = tf.placeholder(tf.float32, [1, 6, 9, 3], name="input_node")
    lengths = tf.placeholder(tf.int32, [1], name="input_lengths")
    state, output = (tf.placeholder(tf.float32, [1, 4], name=n) for n in ("state_c", "state_h"))
    x = tf.reshape(tf.transpose(features, [1, 0, 2, 3]), [-1, 27])
    x = tf.minimum(tf.nn.relu(tf.matmul(x, weights("h1", 27, 7)) + weights("b1", 7)), 20.0)
    x = tf.reshape(x, [6, 1, 7])
    longest = tf.cast(tf.reduce_max(lengths), tf.int64)
    zeros = tf.zeros([4])
    cell = gen_rnn_ops.block_lstm(longest, x, state, output, weights("kernel", 11, 16), zeros, zeros,
                                  zeros, weights("bias", 16), cell_clip=-1)  # fmt: skip
    logits = tf.matmul(tf.reshape(cell.h, [-1, 4]), weights("h6", 4, 5))
    logits = tf.reshape(logits, [6, 1, 5], name="raw_logits")
    tf.nn.softmax(logits, name="logits")
    best = gen_ctc_ops.ctc_beam_search_decoder(logits, lengths, 8, 2, merge_repeated=False)
    names = {
        "logits": "logits:0", "new_state_c": tf.identity(cell.cs[5], "new_state_c"),
        "hidden": tf.identity(cell.h, "hidden"), "gates": tf.identity(cell.o, "gates"),
        "letters": tf.identity(best.decoded_values[0], "letters"),
        "score": tf.identity(best.log_probability, "score"),
    }  # fmt: skip
    given = {
        "input_node": RANDOM.randn(1, 6, 9, 3).astype(np.float32),
        "input_lengths": np.int32([4]), "state_c": RANDOM.randn(1, 4).astype(np.float32),
        "state_h": RANDOM.randn(1, 4).astype(np.float32),
    }  # fmt: skip
    values = session.run(names, {f"{n}:0": v for n, v in given.items()})
    freeze("listen", session, values, **given)


tf.disable_v2_behavior()
for make in (cells, listen):
    with tf.Graph().as_default(), tf.Session() as session:
        make(session)
