"""An encoder and a decoder with attention learn to read digits backwards."""

import sys

import numpy as np

import tensorkiln as tf

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 600
length, symbols, units, batch = 5, 10, 48, 64
start_symbol = symbols
rng = np.random.RandomState(0)

tf.set_random_seed(4)
source = tf.placeholder(tf.int32, [None, length])
target = tf.placeholder(tf.int32, [None, length])
embedding = tf.get_variable("embedding", [symbols + 1, 16])
memory_layer = tf.get_variable("memory_layer", [units, units])
output_layer = tf.get_variable("output_layer", [2 * units, symbols])

with tf.variable_scope("encoder"):
    encoder_inputs = tf.nn.embedding_lookup(embedding, source)
    encoder = tf.nn.rnn_cell.GRUCell(units)
    memory, encoder_state = tf.nn.dynamic_rnn(encoder, encoder_inputs, dtype=tf.float32)
    keys = tf.tensordot(memory, memory_layer, [[2], [0]])

decoder = tf.nn.rnn_cell.GRUCell(units)


def decode(symbol, state):
    """One step: the state asks the memory where to look (Luong's multiplicative attention)."""
    with tf.variable_scope("decoder", reuse=tf.AUTO_REUSE):
        query, state = decoder(tf.nn.embedding_lookup(embedding, symbol), state)
    scores = tf.reduce_sum(keys * tf.expand_dims(query, 1), 2)
    alignment = tf.expand_dims(tf.nn.softmax(scores), 2)
    context = tf.reduce_sum(memory * alignment, 1)
    return tf.matmul(tf.concat([query, context], 1), output_layer), state


# In training the decoder is given the right symbol before, later its own.
go = tf.fill(tf.shape(source)[:1], start_symbol)
losses, guesses = [], []
state, own_state = encoder_state, encoder_state
before, own = go, go
for place in range(length):
    logits, state = decode(before, state)
    before = target[:, place]
    losses.append(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=before, logits=logits))
    own_logits, own_state = decode(own, own_state)
    own = tf.cast(tf.argmax(own_logits, 1), tf.int32)
    guesses.append(own)
loss = tf.reduce_mean(tf.stack(losses))
greedy = tf.stack(guesses, axis=1)

optimizer = tf.train.AdamOptimizer(0.01)
variables = tf.trainable_variables()
clipped, _ = tf.clip_by_global_norm(tf.gradients(loss, variables), 5.0)
train_step = optimizer.apply_gradients(zip(clipped, variables))

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for _ in range(steps):
        digits = rng.randint(0, symbols, [batch, length])
        value, _ = sess.run([loss, train_step], {source: digits, target: digits[:, ::-1]})
    digits = rng.randint(0, symbols, [200, length])
    found = sess.run(greedy, {source: digits})
    print("loss %.3f" % value)
    print("%s backwards is %s" % (digits[0], found[0]))
    print("symbols right: %.3f" % (found == digits[:, ::-1]).mean())
