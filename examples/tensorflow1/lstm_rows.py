"""An LSTM reads scanned digits row by row."""

import sys

import numpy as np
from sklearn.datasets import load_digits

import tensorkiln as tf

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 400
n_inputs, n_steps, n_hidden, n_classes = 8, 8, 32, 10
digits = load_digits()
batches = np.random.RandomState(0)

tf.set_random_seed(2)
x = tf.placeholder(tf.float32, [None, n_steps, n_inputs])
y_ = tf.placeholder(tf.int64, [None])
cell = tf.nn.rnn_cell.BasicLSTMCell(n_hidden)
outputs, state = tf.nn.dynamic_rnn(cell, x, dtype=tf.float32)
w = tf.Variable(tf.truncated_normal([n_hidden, n_classes], stddev=0.1))
logits = tf.matmul(outputs[:, -1, :], w) + tf.Variable(tf.zeros([n_classes]))
loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y_, logits=logits))
train_step = tf.train.AdamOptimizer(0.01).minimize(loss)
accuracy = tf.reduce_mean(tf.cast(tf.equal(tf.argmax(logits, 1), y_), tf.float32))

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for step in range(steps):
        rows = batches.randint(0, 1400, 64)
        sess.run(train_step, {x: digits.images[rows] / 16, y_: digits.target[rows]})
    test = {x: digits.images[1400:] / 16, y_: digits.target[1400:]}
    print("test accuracy %.3f" % sess.run(accuracy, test))
