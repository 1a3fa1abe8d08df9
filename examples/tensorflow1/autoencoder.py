"""A variational autoencoder of scanned digits: a code of two numbers for each, and digits from codes."""

import sys

import numpy as np
from sklearn.datasets import load_digits

import tensorkiln as tf

epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
pixels, hidden, code, batch = 64, 48, 2, 99
images = (load_digits().data / 16.0).astype(np.float32)


def dense(inputs, size, name, seed):
    """A layer without activation."""
    with tf.variable_scope(name):
        kernel = tf.get_variable(
            "kernel",
            [inputs.get_shape().as_list()[-1], size],
            initializer=tf.glorot_uniform_initializer(seed=seed),
        )
        bias = tf.get_variable("bias", [size], initializer=tf.zeros_initializer())
        return tf.nn.bias_add(tf.matmul(inputs, kernel), bias)


def encode(inputs):
    """Mean and logarithm of the variance of the code's normal distribution."""
    with tf.variable_scope("encoder"):
        layer = tf.nn.softplus(dense(inputs, hidden, "hidden", 1))
        return dense(layer, code, "mean", 2), dense(layer, code, "log_variance", 3)


def decode(codes):
    """Logits of the pixels."""
    with tf.variable_scope("decoder", reuse=tf.AUTO_REUSE):
        layer = tf.nn.softplus(dense(codes, hidden, "hidden", 4))
        return dense(layer, pixels, "pixels", 5)


x = tf.placeholder(tf.float32, [None, pixels], name="x")
mean, log_variance = encode(x)
with tf.name_scope("sample"):
    noise = tf.random_normal(tf.shape(mean), seed=6)
    z = mean + tf.exp(0.5 * log_variance) * noise
logits = decode(z)

with tf.name_scope("loss"):
    wrong_pixels = tf.reduce_sum(
        tf.nn.sigmoid_cross_entropy_with_logits(labels=x, logits=logits), axis=1
    )
    divergence = 0.5 * tf.reduce_sum(
        tf.square(mean) + tf.exp(log_variance) - log_variance - 1.0, axis=1
    )
    loss = tf.reduce_mean(wrong_pixels + divergence)
train = tf.train.AdamOptimizer(0.01).minimize(loss)

chosen_code = tf.placeholder_with_default(tf.zeros([1, code]), [None, code], name="chosen_code")
drawn = tf.nn.sigmoid(decode(chosen_code))

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for epoch in range(1, epochs + 1):
        losses = []
        for start in range(0, len(images) - batch + 1, batch):
            _, now = sess.run([train, loss], feed_dict={x: images[start : start + batch]})
            losses.append(now)
        if epoch % 5 == 0:
            print("epoch %d: loss %.2f" % (epoch, np.mean(losses)))
    codes = sess.run(mean, {x: images[:200]})
    print("codes of the first digits:", codes.shape, "spread %.1f" % codes.std())
    for row in drawn.eval().reshape(8, 8):
        print("".join(" .:*#"[min(int(value * 5), 4)] for value in row))
    print("with a code of my own: %.1f of 64" % drawn.eval({chosen_code: [[1.0, -1.0]]}).sum())
