"""Saves a model of functions with TensorFlow 2, and what it computes.  By hand:

python tests/graph_files/record_functions.py FOLDER
"""

import sys

import numpy as np
import tensorflow as tf

FOLDER = sys.argv[1]
BATCH = tf.TensorSpec([None, 3], tf.float32, name="x")


class Model(tf.Module):
    """A function that another calls, a loop and a branch on values, a variable that is counted up."""

    def __init__(self):
        random = np.random.RandomState(0)
        self.w = tf.Variable(random.randn(3, 4).astype(np.float32), name="w")
        self.u = tf.Variable(random.randn(4, 2).astype(np.float32), name="u")
        self.calls = tf.Variable(0, trainable=False, name="calls", dtype=tf.int64)

    @tf.function(input_signature=[BATCH])
    def hidden(self, x):
        return tf.nn.relu(x @ self.w)

    @tf.function(input_signature=[BATCH, tf.TensorSpec([], tf.int32, name="steps")])
    def serve(self, x, steps):
        self.calls.assign_add(1)
        y = self.hidden(x)
        for _ in tf.range(steps):
            if tf.reduce_sum(y) > 100.0:  # noqa: SIM108 (a branch of the function)
                y = y * 0.5
            else:
                y = y + 1.0
        calls = self.calls.read_value()
        return {"scores": tf.nn.softmax(y @ self.u), "hidden": y, "calls": calls}


model = Model()
signatures = {"serving_default": model.serve, "hidden": model.hidden.get_concrete_function()}
tf.saved_model.save(model, f"{FOLDER}/functions", signatures=signatures)
x = np.random.RandomState(1).randn(2, 3).astype(np.float32)
loaded = tf.saved_model.load(f"{FOLDER}/functions").signatures
values = loaded["serving_default"](x=tf.constant(x), steps=tf.constant(5))
(first,) = loaded["hidden"](x=tf.constant(x)).values()
np.savez(f"{FOLDER}/functions.npz", x=x, first=first, **values)
