"""TensorFlow's graph mode with what XLA can compile compiled by XLA."""

from __future__ import annotations

import os

# Read when TensorFlow is loaded; without the second XLA leaves graphs on the CPU alone.
os.environ["TF_XLA_FLAGS"] = "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit"

from run_tensorflow import VERSION, prepare

__all__ = ["VERSION", "prepare"]
