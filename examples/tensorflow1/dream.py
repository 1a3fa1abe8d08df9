"""Gradient ascent as in DeepDream: the input changes until a trained network is sure of a digit."""

import sys

import numpy as np
from sklearn.datasets import load_digits

import tensorkiln as tf

digit = int(sys.argv[1]) if len(sys.argv) > 1 else 3
digits = load_digits()
batches = np.random.RandomState(0)

tf.set_random_seed(7)
x = tf.placeholder(tf.float32, [None, 8, 8, 1])
y_ = tf.placeholder(tf.int64, [None])
w = tf.Variable(tf.truncated_normal([3, 3, 1, 16], stddev=0.2))
conv = tf.nn.relu(tf.nn.conv2d(x, w, [1, 1, 1, 1], "SAME"), name="conv")
pool = tf.nn.avg_pool(conv, [1, 2, 2, 1], [1, 2, 2, 1], "VALID")
v = tf.Variable(tf.truncated_normal([256, 10], stddev=0.1))
logits = tf.matmul(tf.reshape(pool, [-1, 256]), v, name="logits")
loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y_, logits=logits))
train_step = tf.train.AdamOptimizer(0.01).minimize(loss)

score = tf.reduce_mean(logits[:, digit])
gradient = tf.gradients(score, x)[0]
probability = tf.nn.softmax(logits)[0, digit]

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    images = digits.images[..., None] / 16
    for _ in range(200):
        rows = batches.randint(0, 1400, 50)
        sess.run(train_step, {x: images[rows], y_: digits.target[rows]})
    image = np.full([1, 8, 8, 1], 0.5, np.float32)
    print("before: probability of a %d is %.3f" % (digit, sess.run(probability, {x: image})))
    for _ in range(30):
        g, value = sess.run([gradient, score], {x: image})
        image = np.clip(image + 0.1 * g / (g.std() + 1e-8), 0, 1)
    print("after:  probability of a %d is %.3f" % (digit, sess.run(probability, {x: image})))
    for row in image[0, :, :, 0]:
        print("".join(" .:-=+*#%@"[int(value * 9)] * 2 for value in row))
