"""ConfigProto and RunOptions are TensorFlow's messages: printed, merged, written to bytes."""

from __future__ import annotations

import pytest

import tensorkiln as tf

# What TensorFlow prints for the same message.
PRINTED = """\
device_count {
  key: "GPU"
  value: 0
}
intra_op_parallelism_threads: 2
gpu_options {
  per_process_gpu_memory_fraction: 0.5
  allow_growth: true
}
allow_soft_placement: true
graph_options {
  optimizer_options {
    global_jit_level: ON_1
  }
}
"""


def test_as_programs_write_it() -> None:
    config = tf.ConfigProto()
    config.gpu_options.allow_growth = True
    config.graph_options.optimizer_options.global_jit_level = tf.OptimizerOptions.ON_1
    config.allow_soft_placement = True
    options = tf.GPUOptions(per_process_gpu_memory_fraction=0.5)
    other = tf.ConfigProto(
        device_count={"GPU": 0}, intra_op_parallelism_threads=2, gpu_options=options
    )
    config.MergeFrom(other)
    assert str(config) == PRINTED
    # The bytes that TensorFlow 2.21 writes.
    assert config.SerializeToString(deterministic=True).hex() == (
        "0a070a0347505510001002320b09000000000000e03f2001380152041a022801"
    )
    assert tf.ConfigProto.FromString(config.SerializeToString()) == config


def test_run_options_and_wrong_fields() -> None:
    options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE, timeout_in_ms=5)
    assert str(options) == "trace_level: FULL_TRACE\ntimeout_in_ms: 5\n"
    assert (tf.OptimizerOptions.L0, tf.OptimizerOptions.OFF, tf.OptimizerOptions.ON_2) == (
        -1,
        -1,
        2,
    )
    with pytest.raises(ValueError, match="bogus"):
        tf.ConfigProto(bogus=1)
    with pytest.raises(AttributeError):
        tf.ConfigProto().nix = 3
    with pytest.raises(TypeError):
        tf.ConfigProto().intra_op_parallelism_threads = 1.5
