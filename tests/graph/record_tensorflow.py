"""Runs the cases under TensorFlow and keeps its answers.  By hand, where TensorFlow is installed:

python tests/graph/record_tensorflow.py math arrays
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def main(families: list[str]) -> None:
    tf = importlib.import_module("tensorflow.compat.v1")
    tf.disable_v2_behavior()
    tools = importlib.import_module("graph.like_tensorflow")
    for family in families:
        module = importlib.import_module(f"graph.cases_{family}")
        kept = module.record(tf) if hasattr(module, "record") else tools.record(tf, module.CASES)
        np.savez_compressed(tools.FOLDER / f"{family}.npz", **kept)
        print(family, len(kept), "arrays")


if __name__ == "__main__":
    main(sys.argv[1:])
