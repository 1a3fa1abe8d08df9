"""A single-layer perceptron for AB + BC, its rule written by hand: no optimizer, no gradient."""

import numpy as np

import tensorkiln as tf

X = np.array([[a, b, c, 1] for a in (0, 1) for b in (0, 1) for c in (0, 1)], np.float32)
Y = np.array([[float((a and b) or (b and c))] for a, b, c, _ in X], np.float32)
eta, epsilon, max_epochs = 0.4, 1e-7, 1000


def threshold(x):
    below = tf.less(x, tf.zeros(tf.shape(x), dtype=x.dtype))
    return tf.where(below, tf.zeros(tf.shape(x)), tf.ones(tf.shape(x)))


tf.set_random_seed(54)
inputs = tf.constant(X)
W = tf.Variable(tf.random_normal([4, 1], stddev=2, seed=0))
error = Y - threshold(tf.matmul(inputs, W))
mean_error = tf.reduce_mean(tf.square(error))
train = tf.assign(W, W + eta * tf.matmul(inputs, error, transpose_a=True))

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for epoch in range(max_epochs):
        err, _ = sess.run([mean_error, train])
        if err < epsilon:
            break
    print("epoch %d, mean error %g" % (epoch, err))
    print("outputs", sess.run(threshold(tf.matmul(inputs, W))).astype(int).ravel())
