"""Linear regression of diabetes progression, with flags, summaries and checkpoints.

python linear_regression.py --steps=200 --logdir=/tmp/linear
tensorboard --logdir=/tmp/linear
"""

import os

import numpy as np
from sklearn.datasets import load_diabetes

import tensorkiln as tf

tf.app.flags.DEFINE_integer("steps", 200, "training steps")
tf.app.flags.DEFINE_float("learning_rate", 0.5, "learning rate")
tf.app.flags.DEFINE_string("logdir", "linear", "where summaries and checkpoints go")
FLAGS = tf.app.flags.FLAGS


def main(_):
    data = load_diabetes()
    features = np.float32(data.data / data.data.std(axis=0))
    targets = np.float32((data.target - data.target.mean()) / data.target.std())[:, None]

    x = tf.placeholder(tf.float32, [None, 10], name="x")
    y_ = tf.placeholder(tf.float32, [None, 1], name="y_")
    with tf.name_scope("wx_b"):
        W = tf.Variable(tf.zeros([10, 1]), name="W")
        b = tf.Variable(tf.zeros([1]), name="b")
        y = tf.matmul(x, W) + b
    with tf.name_scope("loss"):
        loss = tf.reduce_mean(tf.square(y - y_))
    global_step = tf.Variable(0, trainable=False, name="global_step")
    with tf.name_scope("train"):
        optimizer = tf.train.GradientDescentOptimizer(FLAGS.learning_rate / 5)
        train_step = optimizer.minimize(loss, global_step=global_step)

    tf.summary.scalar("loss", loss)
    tf.summary.histogram("W", W)
    merged = tf.summary.merge_all()
    saver = tf.train.Saver()

    with tf.Session() as sess:
        writer = tf.summary.FileWriter(FLAGS.logdir, sess.graph)
        sess.run(tf.global_variables_initializer())
        checkpoint = tf.train.latest_checkpoint(FLAGS.logdir)
        if checkpoint:
            saver.restore(sess, checkpoint)
            print("going on from step %d" % sess.run(global_step))
        feed = {x: features, y_: targets}
        for _ in range(FLAGS.steps):
            _, summary, step = sess.run([train_step, merged, global_step], feed)
            writer.add_summary(summary, step)
        saver.save(sess, os.path.join(FLAGS.logdir, "model.ckpt"), global_step=global_step)
        writer.close()
        print("after step %d the loss is %.4f" % (sess.run(global_step), sess.run(loss, feed)))


if __name__ == "__main__":
    tf.app.run()
