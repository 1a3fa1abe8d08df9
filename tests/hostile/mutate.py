"""Damage to files: bytes of protobufs, and words of texts, changed by a seed."""

from __future__ import annotations

import random
import re

# sizes, counts and lengths that have broken programs before
NUMBERS = (
    0,
    1,
    -1,
    2,
    7,
    127,
    128,
    255,
    2**15,
    2**31 - 1,
    2**31,
    2**32,
    2**62,
    2**63 - 1,
    -(2**63),
)
_WORD = re.compile(r"-?\d+|[%@A-Za-z_][A-Za-z0-9_.]*|[^\sA-Za-z0-9_]")


def damaged_bytes(data: bytes, seed: int) -> bytes:
    """`data` with some of its bytes flipped, replaced, removed, doubled, or put elsewhere."""
    generator = random.Random(seed)
    changed = bytearray(data)
    for _ in range(generator.choice((1, 1, 2, 4, 16))):
        if not changed:
            break
        at = generator.randrange(len(changed))
        length = min(generator.choice((1, 1, 2, 5, 30)), len(changed) - at)
        kind = generator.randrange(6)
        if kind == 0:
            changed[at] ^= 1 << generator.randrange(8)
        elif kind == 1:
            changed[at] = generator.choice((0, 1, 0x7F, 0x80, 0xFF, generator.randrange(256)))
        elif kind == 2:
            del changed[at : at + length]
        elif kind == 3:
            changed[at:at] = changed[at : at + length]
        elif kind == 4:
            changed[at : at + 1] = _varint(generator.choice(NUMBERS) % 2**64)
        else:
            other = generator.randrange(len(changed))
            changed[at : at + length] = changed[other : other + length]
    return bytes(changed)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def damaged_text(text: str, seed: int) -> str:
    """`text` with some of its words replaced, removed, doubled, or exchanged."""
    generator = random.Random(seed)
    words = [(m.start(), m.end()) for m in _WORD.finditer(text)]
    for _ in range(generator.choice((1, 1, 2, 3, 6))):
        start, end = generator.choice(words)
        other = generator.choice(words)
        kind = generator.randrange(5)
        word = text[start:end]
        if kind == 0 or (kind < 3 and word.lstrip("-").isdigit()):
            new = str(generator.choice(NUMBERS))
        elif kind == 1:
            new = text[other[0] : other[1]]
        elif kind == 2:
            new = ""
        elif kind == 3:
            new = f"{word} {word}"
        else:
            new = generator.choice(("(", ")", "{", "}", "[", "]", ",", "%nobody", "f32", "$", '"'))
        text = text[:start] + new + text[end:]
        words = [(m.start(), m.end()) for m in _WORD.finditer(text)]
        if not words:
            break
    return text
