"""What a run gives can be kept: pickled and copied."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np

import tensorkiln as tf


def test_arrays_of_one_element_are_pickled_and_copied(session: Any) -> None:
    found = session.run(tf.constant([[2.5]]))
    assert float(found) == 2.5
    for kept in (pickle.loads(pickle.dumps(found)), copy.deepcopy(found)):
        assert kept is not found
        np.testing.assert_array_equal(kept, [[2.5]])
