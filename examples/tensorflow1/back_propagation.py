"""Back-propagation by hand: a network 64-30-10 whose updates are assignments run together."""

import sys

import numpy as np
from sklearn.datasets import load_digits

import tensorkiln as tf

epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
digits = load_digits()
images, labels = np.float32(digits.data / 16), np.eye(10, dtype=np.float32)[digits.target]
eta, batch = 0.05, 10

X = tf.placeholder(tf.float32, [None, 64])
Y = tf.placeholder(tf.float32, [None, 10])
w_h = tf.Variable(tf.random_normal([64, 30], stddev=0.5, seed=1))
b_h = tf.Variable(tf.zeros([1, 30]))
w_o = tf.Variable(tf.random_normal([30, 10], stddev=0.5, seed=2))
b_o = tf.Variable(tf.zeros([1, 10]))


def sigmoid_prime(s):
    return tf.multiply(s, tf.subtract(tf.constant(1.0), s))


h = tf.sigmoid(tf.matmul(X, w_h) + b_h)
y_hat = tf.sigmoid(tf.matmul(h, w_o) + b_o)

delta_o = tf.multiply(tf.subtract(Y, y_hat), sigmoid_prime(y_hat))
delta_w_o = tf.matmul(tf.transpose(h), delta_o)
delta_h = tf.multiply(tf.matmul(delta_o, tf.transpose(w_o)), sigmoid_prime(h))
delta_w_h = tf.matmul(tf.transpose(X), delta_h)

train = [
    tf.assign(w_h, tf.add(w_h, tf.multiply(eta, delta_w_h))),
    tf.assign(b_h, tf.add(b_h, eta * tf.reduce_sum(delta_h, axis=[0], keep_dims=True))),
    tf.assign(w_o, tf.add(w_o, tf.multiply(eta, delta_w_o))),
    tf.assign(b_o, tf.add(b_o, eta * tf.reduce_sum(delta_o, axis=[0], keep_dims=True))),
]
hits = tf.reduce_sum(tf.cast(tf.equal(tf.argmax(y_hat, 1), tf.argmax(Y, 1)), tf.float32))

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for epoch in range(epochs):
        for start in range(0, 1400, batch):
            rows = slice(start, start + batch)
            sess.run(train, {X: images[rows], Y: labels[rows]})
        found = sess.run(hits, {X: images[1400:], Y: labels[1400:]})
        print("epoch %d: %d of 397" % (epoch, found))
