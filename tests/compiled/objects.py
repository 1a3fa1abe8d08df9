"""What a relocatable object asks of others."""

from __future__ import annotations

import struct

from tensorkiln.runtime.elf import SHT_SYMTAB, read_elf, string_at

# The thread pool, which is linked in; libc; and fmod, the one function of libm (docs/math.md).
POOL = ("tk_parallel_for", "tk_thread_count")
LIBRARIES = ("memcpy", "memset", "memmove", "fmod", "fmodf")
KNOWN = frozenset((*POOL, *LIBRARIES, "_GLOBAL_OFFSET_TABLE_"))
_SYMBOL = struct.Struct("<IBBHQQ")
_UNDEFINED = 0


def undefined_symbols(data: bytes) -> set[str]:
    """The names that the object in `data` uses and does not define."""
    elf = read_elf(data, "object")
    found: set[str] = set()
    for table in elf.sections:
        if table.type != SHT_SYMTAB:
            continue
        names = elf.sections[table.link].data
        for offset in range(0, len(table.data), _SYMBOL.size):
            name, _, _, section, _, _ = _SYMBOL.unpack_from(table.data, offset)
            if section == _UNDEFINED:
                found.add(string_at(names, name, "object"))
    return found - {""}


def foreign_symbols(data: bytes) -> set[str]:
    """The undefined names that no artifact brings or finds in libc and libm."""
    return undefined_symbols(data) - KNOWN
