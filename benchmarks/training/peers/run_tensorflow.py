"""TensorFlow's graph mode: the networks are those of networks.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import networks
import tensorflow.compat.v1 as tf
from losses import parameters, prepared
from prepared import Prepared

VERSION: str = tf.__version__

tf.disable_eager_execution()
tf.enable_resource_variables()


def prepare(model: str, inputs: Mapping[str, Any], threads: int) -> Prepared:
    """See worker.py."""
    row = next(row for row in networks.ROWS if row.name == model)
    with tf.Graph().as_default():
        training = row.build(tf)
        config = tf.ConfigProto(
            intra_op_parallelism_threads=threads, inter_op_parallelism_threads=1
        )
        session = tf.Session(config=config)
        session.run(tf.global_variables_initializer())
        for variable, value in zip(tf.trainable_variables(), parameters(inputs), strict=True):
            variable.load(value, session)
    feeds = {training.images: inputs["images"], training.labels: inputs["labels"]}
    fetches = [training.train, training.loss]
    return prepared(lambda: float(session.run(fetches, feeds)[1]))
