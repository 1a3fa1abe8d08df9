"""Every optimizer on a dense variable and on rows of a table, some rows twice, one never."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

START = np.array([[1.0, -2.0], [0.5, 3.0], [-0.7, 0.2], [2.0, 2.0]], np.float32)
ROWS = np.array([2, 0, 2], np.int32)
STEPS = 4

OPTIMIZERS: dict[str, Callable[[Any, Any], Any]] = {
    "descent": lambda tf, step: tf.train.GradientDescentOptimizer(0.1),
    "momentum": lambda tf, step: tf.train.MomentumOptimizer(0.1, 0.9),
    "nesterov": lambda tf, step: tf.train.MomentumOptimizer(0.1, 0.9, use_nesterov=True),
    "adagrad": lambda tf, step: tf.train.AdagradOptimizer(0.1, 0.2),
    "adadelta": lambda tf, step: tf.train.AdadeltaOptimizer(0.8, 0.9, 1e-6),
    "rms_prop": lambda tf, step: tf.train.RMSPropOptimizer(0.1, 0.8, 0.1),
    "centered": lambda tf, step: tf.train.RMSPropOptimizer(0.1, 0.8, 0.1, centered=True),
    "adam": lambda tf, step: tf.train.AdamOptimizer(0.1, 0.8, 0.99),
    "ftrl": lambda tf, step: tf.train.FtrlOptimizer(0.5),
    "ftrl l1 l2": lambda tf, step: tf.train.FtrlOptimizer(
        0.5, -0.6, 0.2, l1_regularization_strength=0.1, l2_regularization_strength=0.2
    ),
    "ftrl shrinkage": lambda tf, step: tf.train.FtrlOptimizer(
        0.5, l1_regularization_strength=0.05, l2_shrinkage_regularization_strength=0.1
    ),
    "dual averaging": lambda tf, step: tf.train.AdagradDAOptimizer(
        0.3, step, l1_regularization_strength=0.01, l2_regularization_strength=0.02
    ),
    "proximal descent": lambda tf, step: tf.train.ProximalGradientDescentOptimizer(0.1, 0.2, 0.3),
    "proximal adagrad": lambda tf, step: tf.train.ProximalAdagradOptimizer(0.1, 0.1, 0.2, 0.3),
}


def trajectory(tf: Any, name: str, sparse: bool, session: Any) -> dict[str, Any]:
    """The variable after each step, its slots at the end, and the names of all that was made."""
    w = tf.Variable(START, name="w")
    step = tf.train.get_or_create_global_step()
    read = tf.nn.embedding_lookup(w, ROWS) if sparse else w
    optimizer = OPTIMIZERS[name](tf, step)
    train = optimizer.minimize(tf.reduce_sum(read * read * [1.0, 0.5]), global_step=step)
    session.run(tf.global_variables_initializer())
    values = []
    for _ in range(STEPS):
        session.run(train)
        values.append(session.run(w))
    slots = {
        f"slot {slot}": session.run(optimizer.get_slot(w, slot))
        for slot in optimizer.get_slot_names()
    }
    names = [v.name for v in tf.global_variables()]
    return {"values": np.stack(values), **slots, "names": np.array([*names, train.name])}


def record(tf: Any) -> dict[str, Any]:
    """What TensorFlow makes of each optimizer."""
    kept = {}
    for name in OPTIMIZERS:
        for sparse in (False, True):
            with tf.Graph().as_default(), tf.Session() as session:
                found = trajectory(tf, name, sparse, session)
                kept |= {f"{name}|{sparse}|{key}": value for key, value in found.items()}
    return kept
