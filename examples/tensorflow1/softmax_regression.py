"""Softmax regression on scanned digits: one layer, cross-entropy written out."""

import sys

import numpy as np
from sklearn.datasets import load_digits

import tensorkiln as tf

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 500
digits = load_digits()
images = np.float32(digits.data / 16)
labels = np.eye(10, dtype=np.float32)[digits.target]
batches = np.random.RandomState(0)

x = tf.placeholder(tf.float32, [None, 64])
y_ = tf.placeholder(tf.float32, [None, 10])
W = tf.Variable(tf.zeros([64, 10]))
b = tf.Variable(tf.zeros([10]))
y = tf.nn.softmax(tf.matmul(x, W) + b)

cross_entropy = tf.reduce_mean(-tf.reduce_sum(y_ * tf.log(y + 1e-10), reduction_indices=[1]))
train_step = tf.train.GradientDescentOptimizer(0.5).minimize(cross_entropy)
correct = tf.equal(tf.argmax(y, 1), tf.argmax(y_, 1))
accuracy = tf.reduce_mean(tf.cast(correct, tf.float32))

sess = tf.InteractiveSession()
tf.initialize_all_variables().run()
for step in range(steps):
    rows = batches.randint(0, 1400, 100)
    train_step.run({x: images[rows], y_: labels[rows]})
print("accuracy %.3f" % accuracy.eval({x: images[1400:], y_: labels[1400:]}))
