"""Samples of elementwise arithmetic."""

from __future__ import annotations

import numpy as np
from ops.samples import Sample, draw

from tensorkiln.compiler.ir.dtypes import F32

SAMPLES = (
    Sample("add", (draw((3, 5), F32), draw((3, 5), F32, seed=1)), np.add),
    Sample("exponential", (draw((7,), F32),), np.exp),
)
