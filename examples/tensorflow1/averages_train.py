"""Training with a decaying rate, L2 regularisation and moving averages; see averages_test.py."""

import os
import sys

import averages_network
import numpy as np

import tensorkiln as tf

MODEL_SAVE_PATH = sys.argv[1] if len(sys.argv) > 1 else "model"
STEPS = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
BATCH_SIZE, REGULARIZER, MOVING_AVERAGE_DECAY = 100, 0.0001, 0.99
LEARNING_RATE_BASE, LEARNING_RATE_DECAY = 0.3, 0.99

(images, labels), _ = averages_network.data()
x = tf.placeholder(tf.float32, [None, averages_network.INPUT_NODE])
y_ = tf.placeholder(tf.float32, [None, averages_network.OUTPUT_NODE])
y = averages_network.forward(x, REGULARIZER)
global_step = tf.Variable(0, trainable=False)

ce = tf.nn.sparse_softmax_cross_entropy_with_logits(logits=y, labels=tf.argmax(y_, 1))
loss = tf.reduce_mean(ce) + tf.add_n(tf.get_collection("losses"))
learning_rate = tf.train.exponential_decay(
    LEARNING_RATE_BASE, global_step, len(images) / BATCH_SIZE, LEARNING_RATE_DECAY, staircase=True
)
optimizer = tf.train.GradientDescentOptimizer(learning_rate)
train_step = optimizer.minimize(loss, global_step=global_step)
ema = tf.train.ExponentialMovingAverage(MOVING_AVERAGE_DECAY, global_step)
ema_op = ema.apply(tf.trainable_variables())
with tf.control_dependencies([train_step, ema_op]):
    train_op = tf.no_op(name="train")
saver = tf.train.Saver()

os.makedirs(MODEL_SAVE_PATH, exist_ok=True)
batches = np.random.RandomState(0)
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for _ in range(STEPS):
        rows = batches.randint(0, len(images), BATCH_SIZE)
        _, loss_value, step = sess.run(
            [train_op, loss, global_step], feed_dict={x: images[rows], y_: labels[rows]}
        )
    print("After %d training step(s), loss on training batch is %g." % (step, loss_value))
    saver.save(sess, os.path.join(MODEL_SAVE_PATH, "digits_model"), global_step=global_step)
