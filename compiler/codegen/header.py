"""Pieces of C headers: identifiers out of any names, comments, statuses, structures of tensors."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tensorkiln.runtime import status
from tensorkiln.runtime.elements import ELEMENTS
from tensorkiln.runtime.manifest import TensorSpec

# Words that cannot name a field or function in C99 to C23 or in C++.
_KEYWORDS = frozenset(
    """
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t
    char8_t class co_await co_return co_yield compl concept const const_cast consteval constexpr
    constinit continue decltype default delete do double dynamic_cast else enum explicit export
    extern false float for friend goto if inline int linux long mutable namespace new noexcept not
    not_eq nullptr operator or or_eq private protected public register reinterpret_cast requires
    restrict return short signed sizeof static static_assert static_cast struct switch template
    this thread_local throw true try typedef typeid typename typeof typeof_unqual union unix
    unsigned using virtual void volatile wchar_t while xor xor_eq
    """.split()  # noqa: SIM905
)


def c_identifier(name: str, fallback: str = "tensor") -> str:
    """`name` as a C identifier: other characters become "_", keywords get one at their end."""
    text = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:60]
    if not text or text[0].isdigit():
        text = f"{fallback}_{text}".rstrip("_")
    return f"{text}_" if text in _KEYWORDS else text


def field_names(specs: Sequence[TensorSpec]) -> list[str]:
    """A C field name for each tensor, all different."""
    names: list[str] = []
    for spec in specs:
        name = plain = c_identifier(spec.name)
        number = 2
        while name in names:
            name, number = f"{plain}_{number}", number + 1
        names.append(name)
    return names


def comment_text(text: str) -> str:
    """`text` without anything that could end a comment, start one, or be a trigraph."""
    return re.sub(r"[^A-Za-z0-9_:;,./+=()\[\] -]", "_", text)[:200]


def status_lines(upper: str, training: bool = False) -> list[str]:
    """The statuses as macros."""
    names = {
        "OK": status.OK,
        "NULL_ARGUMENT": status.NULL_ARGUMENT,
        "MISALIGNED_WORKSPACE": status.MISALIGNED_WORKSPACE,
        "OUT_OF_MEMORY": status.OUT_OF_MEMORY,
        "WEIGHTS_NOT_LOADED": status.WEIGHTS_NOT_LOADED,
        "WEIGHTS_UNREADABLE": status.WEIGHTS_UNREADABLE,
        "WEIGHTS_MISMATCH": status.WEIGHTS_MISMATCH,
        "UNSUPPORTED_PROCESSOR": status.UNSUPPORTED_PROCESSOR,
        "SELF_TEST_FAILED": status.SELF_TEST_FAILED,
    }
    if training:
        names |= {
            "STATE_UNWRITABLE": status.STATE_UNWRITABLE,
            "STATE_UNREADABLE": status.STATE_UNREADABLE,
            "STATE_MISMATCH": status.STATE_MISMATCH,
        }
    return [
        f"#define {upper}_{name} {code} /* {status.MESSAGES[code]} */"
        for name, code in names.items()
    ]


def struct_lines(
    name: str,
    specs: Sequence[TensorSpec],
    qualifier: str,
    inputs: Sequence[TensorSpec] = (),
) -> list[str]:
    """A structure of pointers, one a tensor."""
    input_fields = field_names(inputs)
    lines = ["typedef struct {"]
    for field, spec in zip(field_names(specs), specs, strict=True):
        element = ELEMENTS[spec.dtype]
        notes = f"{comment_text(spec.name)}: {spec}, {spec.bytes} bytes"
        if spec.alias is not None:
            notes += f"; may be the same buffer as input {input_fields[spec.alias]}"
        lines.append(f"  {qualifier}{element.c_type} *{field}; /* {notes} */")
    if not specs:
        lines.append("  const void *unused;")
    return [*lines, f"}} {name};"]
