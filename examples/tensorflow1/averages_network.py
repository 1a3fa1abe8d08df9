"""The network that averages_train.py and averages_test.py share."""

import numpy as np
from sklearn.datasets import load_digits

import tensorkiln as tf

INPUT_NODE, LAYER1_NODE, OUTPUT_NODE = 64, 50, 10


def get_weight(shape, regularizer):
    w = tf.Variable(tf.truncated_normal(shape, stddev=0.1, seed=3))
    if regularizer is not None:
        tf.add_to_collection("losses", regularizer * tf.nn.l2_loss(w))
    return w


def forward(x, regularizer):
    w1 = get_weight([INPUT_NODE, LAYER1_NODE], regularizer)
    b1 = tf.Variable(tf.zeros([LAYER1_NODE]))
    y1 = tf.nn.relu(tf.matmul(x, w1) + b1)
    w2 = get_weight([LAYER1_NODE, OUTPUT_NODE], regularizer)
    b2 = tf.Variable(tf.zeros([OUTPUT_NODE]))
    return tf.matmul(y1, w2) + b2


def data():
    """1400 digits to train on, 397 to test with."""
    digits = load_digits()
    images, labels = np.float32(digits.data / 16), np.eye(10, dtype=np.float32)[digits.target]
    return (images[:1400], labels[:1400]), (images[1400:], labels[1400:])
