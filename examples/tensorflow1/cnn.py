"""A convolutional network with dropout and Adam on scanned digits."""

import sys

import numpy as np
from sklearn.datasets import load_digits

import tensorkiln as tf

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 300
digits = load_digits()
batches = np.random.RandomState(0)


def weight_variable(shape):
    return tf.Variable(tf.truncated_normal(shape, stddev=0.1))


def bias_variable(shape):
    return tf.Variable(tf.constant(0.1, shape=shape))


def conv2d(x, W):
    return tf.nn.conv2d(x, W, strides=[1, 1, 1, 1], padding="SAME")


def max_pool_2x2(x):
    return tf.nn.max_pool(x, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="SAME")


tf.set_random_seed(1)
x = tf.placeholder(tf.float32, [None, 64])
y_ = tf.placeholder(tf.int64, [None])
keep_prob = tf.placeholder(tf.float32)

x_image = tf.reshape(x, [-1, 8, 8, 1])
h_conv1 = tf.nn.relu(conv2d(x_image, weight_variable([3, 3, 1, 16])) + bias_variable([16]))
h_pool1 = max_pool_2x2(h_conv1)
h_conv2 = tf.nn.relu(conv2d(h_pool1, weight_variable([3, 3, 16, 32])) + bias_variable([32]))
h_pool2 = max_pool_2x2(h_conv2)
h_flat = tf.reshape(h_pool2, [-1, 2 * 2 * 32])
h_fc1 = tf.nn.relu(tf.matmul(h_flat, weight_variable([128, 128])) + bias_variable([128]))
h_drop = tf.nn.dropout(h_fc1, keep_prob)
logits = tf.matmul(h_drop, weight_variable([128, 10])) + bias_variable([10])

losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y_, logits=logits)
train_step = tf.train.AdamOptimizer(2e-3).minimize(tf.reduce_mean(losses))
accuracy = tf.reduce_mean(tf.cast(tf.equal(tf.argmax(logits, 1), y_), tf.float32))

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for step in range(steps):
        rows = batches.randint(0, 1400, 50)
        feed = {x: digits.data[rows] / 16, y_: digits.target[rows]}
        if step % 100 == 0:
            print("step %d, accuracy %g" % (step, accuracy.eval({**feed, keep_prob: 1.0})))
        train_step.run({**feed, keep_prob: 0.85})
    test = {x: digits.data[1400:] / 16, y_: digits.target[1400:], keep_prob: 1.0}
    print("test accuracy %.3f" % accuracy.eval(test))
