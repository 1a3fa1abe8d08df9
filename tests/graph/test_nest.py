"""Nested structures as TensorFlow walks them."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from typing import Any

import pytest

import tensorkiln as tf

Pair = namedtuple("Pair", "first second")
STRUCTURES: list[tuple[Any, list[Any]]] = [
    (3, [3]),
    ([], []),
    ([1, (2, [3])], [1, 2, 3]),
    ({"b": 1, "a": (2, 3)}, [2, 3, 1]),
    (Pair(1, {"x": 2}), [1, 2]),
    (OrderedDict([("z", 1), ("y", 2)]), [2, 1]),
]


@pytest.mark.parametrize(("structure", "leaves"), STRUCTURES)
def test_flattened_and_packed_again(structure: Any, leaves: list[Any]) -> None:
    assert tf.nest.flatten(structure) == leaves
    packed = tf.nest.pack_sequence_as(structure, leaves)
    assert packed == structure
    assert type(packed) is type(structure)
    assert list(packed) == list(structure) if isinstance(structure, dict) else True
    doubled = tf.nest.map_structure(lambda a, b: a + b, structure, structure)
    assert tf.nest.flatten(doubled) == [2 * leaf for leaf in leaves]


def test_errors() -> None:
    with pytest.raises(ValueError, match="Structure had 2 elements, but flat_sequence had 1"):
        tf.nest.pack_sequence_as([1, 2], [1])
    with pytest.raises(ValueError, match="don't have the same number of elements"):
        tf.nest.assert_same_structure([1, 2], [1])
    with pytest.raises(TypeError, match="has type list, while second structure"):
        tf.nest.assert_same_structure([1], (1,))
    tf.nest.assert_same_structure([1], (1,), check_types=False)
    with pytest.raises(ValueError, match="don't have the same set of keys"):
        tf.nest.assert_same_structure({"a": 1}, {"b": 1})
    assert tf.nest.is_nested([1])
    assert not tf.nest.is_nested(1)
