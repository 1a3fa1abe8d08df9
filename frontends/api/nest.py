"""Nested structures of lists, tuples and dicts (tf.nest)."""

from tensorkiln.frontends.graph.nest import (
    assert_same_structure,
    flatten,
    is_nested,
    map_structure,
    pack_sequence_as,
)  # fmt: skip

__all__ = ["assert_same_structure", "flatten", "is_nested", "map_structure", "pack_sequence_as"]
