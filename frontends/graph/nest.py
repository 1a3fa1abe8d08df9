"""Nested structures of lists, tuples, named tuples and dicts; everything else is a leaf.

Dicts are walked in the order of their sorted keys, as TensorFlow does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar, cast

Structure = TypeVar("Structure")


def is_nested(item: object) -> bool:
    """True for what has parts of its own."""
    return isinstance(item, list | tuple | Mapping)


def parts(item: object) -> list[object]:
    """The parts of a nested item, in order."""
    if isinstance(item, Mapping):
        return [item[key] for key in sorted(item)]
    return list(cast(Sequence[object], item))


def flatten(item: object) -> list[object]:
    """The leaves in order; a leaf alone is a list of one."""
    if not is_nested(item):
        return [item]
    return [leaf for part in parts(item) for leaf in flatten(part)]


def pack_sequence_as(structure: object, leaves: Sequence[object]) -> object:
    """`leaves` in the form of `structure`; ValueError if their numbers differ."""
    count = len(flatten(structure))
    if count != len(leaves):
        raise ValueError(
            f"Could not pack sequence. Structure had {count} elements, but flat_sequence had "
            f"{len(leaves)} elements."
        )
    return _packed(structure, iter(leaves))


def _packed(structure: object, leaves: Iterator[object]) -> object:
    if not is_nested(structure):
        return next(leaves)
    if isinstance(structure, Mapping):
        made = {key: _packed(structure[key], leaves) for key in sorted(structure)}
        kind = cast("Callable[[object], object]", type(structure))
        return kind((key, made[key]) for key in structure)
    items = [_packed(part, leaves) for part in parts(structure)]
    if isinstance(structure, tuple) and hasattr(structure, "_fields"):
        make = cast("Callable[..., object]", type(structure))
        return make(*items)
    return tuple(items) if isinstance(structure, tuple) else items


def map_structure(function: Callable[..., object], *structures: object) -> object:
    """`function` of the leaves of structures of one form, in the form of the first."""
    for other in structures[1:]:
        assert_same_structure(structures[0], other)
    columns = zip(*map(flatten, structures), strict=True)
    return pack_sequence_as(structures[0], [function(*leaves) for leaves in columns])


def assert_same_structure(first: object, second: object, check_types: bool = True) -> None:
    """Raises ValueError (TypeError for unlike kinds of sequences) where two structures differ."""
    found = _difference(first, second, check_types)
    if found is None:
        return
    error, text = found
    raise error(
        "The two structures don't have the same nested structure.\n\n"
        f"First structure: {_shown(first)}\n\nSecond structure: {_shown(second)}\n\n"
        f"More specifically: {text}\nEntire first structure:\n{_outline(first)}\n"
        f"Entire second structure:\n{_outline(second)}"
    )


def _difference(
    first: object, second: object, check_types: bool
) -> tuple[type[Exception], str] | None:
    if is_nested(first) != is_nested(second):
        nested, leaf = (first, second) if is_nested(first) else (second, first)
        return ValueError, (
            f'Substructure "{_shown(nested)}" is a sequence, while substructure "{_shown(leaf)}" '
            "is not"
        )
    if not is_nested(first):
        return None
    both_maps = isinstance(first, Mapping) and isinstance(second, Mapping)
    if check_types and type(first) is not type(second) and not both_maps:
        return TypeError, (
            f"The two namedtuples don't have the same sequence type. First structure "
            f"{_shown(first)} has type {type(first).__name__}, while second structure "
            f"{_shown(second)} has type {type(second).__name__}"
        )
    if isinstance(first, Mapping) and isinstance(second, Mapping) and set(first) != set(second):
        return ValueError, (
            "The two dictionaries don't have the same set of keys. First structure has keys "
            f"{sorted(first)}, while second structure has keys {sorted(second)}"
        )
    left, right = parts(first), parts(second)
    if len(left) != len(right):
        return ValueError, (
            "The two structures don't have the same number of elements. First structure: "
            f"{_shown(first)}. Second structure: {_shown(second)}"
        )
    for a, b in zip(left, right, strict=True):
        found = _difference(a, b, check_types)
        if found is not None:
            return found
    return None


def _shown(item: object) -> str:
    return f"type={type(item).__name__} str={item}"


def _outline(item: object) -> str:
    if not is_nested(item):
        return "."
    if isinstance(item, Mapping):
        return "{" + ", ".join(f"{key!r}: {_outline(item[key])}" for key in sorted(item)) + "}"
    inner = ", ".join(map(_outline, parts(item)))
    if isinstance(item, tuple) and hasattr(item, "_fields"):
        pairs = zip(item._fields, item, strict=True)
        return (
            f"{type(item).__name__}({', '.join(f'{key}={_outline(part)}' for key, part in pairs)})"
        )
    return f"({inner})" if isinstance(item, tuple) else f"[{inner}]"
