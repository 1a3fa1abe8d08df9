"""A loss of one's own: a product too few costs its profit, one too many its cost."""

import sys

import numpy as np

import tensorkiln as tf

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
BATCH_SIZE, COST, PROFIT = 8, 9, 1

rdm = np.random.RandomState(23455)
X = rdm.rand(32, 2)
Y_ = [[x1 + x2 + (rdm.rand() / 10.0 - 0.05)] for (x1, x2) in X]

x = tf.placeholder(tf.float32, shape=(None, 2))
y_ = tf.placeholder(tf.float32, shape=(None, 1))
w1 = tf.Variable(tf.random_normal([2, 1], stddev=1, seed=1))
y = tf.matmul(x, w1)
loss = tf.reduce_sum(tf.where(tf.greater(y, y_), (y - y_) * COST, (y_ - y) * PROFIT))
train_step = tf.train.GradientDescentOptimizer(0.001).minimize(loss)

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for i in range(STEPS):
        start = (i * BATCH_SIZE) % 32
        sess.run(train_step, feed_dict={x: X[start : start + 8], y_: Y_[start : start + 8]})
        if i % 500 == 0:
            total_loss = sess.run(loss, feed_dict={x: X, y_: Y_})
            print("After %d training step(s), loss on all data is %g" % (i, total_loss))
    print("Final w1 is:\n", sess.run(w1))
