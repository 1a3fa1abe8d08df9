"""Restores the moving averages that averages_train.py saved in place of the variables."""

import sys

import averages_network

import tensorkiln as tf

MODEL_SAVE_PATH = sys.argv[1] if len(sys.argv) > 1 else "model"

_, (images, labels) = averages_network.data()
with tf.Graph().as_default() as g:
    x = tf.placeholder(tf.float32, [None, averages_network.INPUT_NODE])
    y_ = tf.placeholder(tf.float32, [None, averages_network.OUTPUT_NODE])
    y = averages_network.forward(x, None)
    ema = tf.train.ExponentialMovingAverage(0.99)
    saver = tf.train.Saver(ema.variables_to_restore())
    correct_prediction = tf.equal(tf.argmax(y, 1), tf.argmax(y_, 1))
    accuracy = tf.reduce_mean(tf.cast(correct_prediction, tf.float32))
    with tf.Session() as sess:
        ckpt = tf.train.get_checkpoint_state(MODEL_SAVE_PATH)
        if ckpt and ckpt.model_checkpoint_path:
            saver.restore(sess, ckpt.model_checkpoint_path)
            global_step = ckpt.model_checkpoint_path.split("/")[-1].split("-")[-1]
            score = sess.run(accuracy, feed_dict={x: images, y_: labels})
            print("After %s training step(s), test accuracy = %g" % (global_step, score))
        else:
            print("No checkpoint file found")
