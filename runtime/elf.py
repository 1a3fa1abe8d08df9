"""Reads the section table of 64-bit little-endian ELF files (System V ABI, chapter 4).

Every offset is checked against the file, since artifacts come from strangers.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from tensorkiln.runtime.errors import ArtifactError

HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SECTION = struct.Struct("<IIQQQQIIQQ")
SHT_NULL, SHT_SYMTAB, SHT_STRTAB, SHT_RELA, SHT_NOBITS, SHT_GROUP = 0, 2, 3, 4, 8, 17
MACHINES = {62: "x86_64", 183: "aarch64", 243: "riscv64"}

Buffer = bytes | bytearray | memoryview


@dataclass(slots=True)
class Section:
    """One section; `data` is a view of the file (empty for zero-filled sections of `size`)."""

    name: str
    type: int
    flags: int
    data: Buffer
    size: int
    link: int
    info: int
    alignment: int
    entry_size: int


@dataclass(slots=True)
class Elf:
    """An ELF file's type (1: relocatable, 3: shared), machine number, flags and sections."""

    type: int
    machine: int
    flags: int
    sections: list[Section]

    @property
    def architecture(self) -> str:
        """The first part of the triple that runs this code, or "machine N"."""
        return MACHINES.get(self.machine, f"machine {self.machine}")


def read_elf(data: Buffer, source: str) -> Elf:
    """The ELF file in `data`; ArtifactError naming `source` if it is malformed or truncated."""
    view = memoryview(data)
    if len(view) < HEADER.size or bytes(view[:4]) != b"\x7fELF":
        raise ArtifactError(f"{source} is not an ELF file")
    if view[4] != 2 or view[5] != 1:
        raise ArtifactError(f"{source} is not a 64-bit little-endian ELF file")
    fields = HEADER.unpack_from(view)
    kind, machine, table, flags = fields[1], fields[2], fields[6], fields[7]
    entry, count, names_index = fields[11], fields[12], fields[13]
    if entry != SECTION.size or table + entry * count > len(view) or names_index >= count:
        raise ArtifactError(f"{source} is truncated or has no section table")
    rows = [SECTION.unpack_from(view, table + entry * index) for index in range(count)]
    names = _contents(view, rows[names_index], source)
    sections = [
        Section(
            name=string_at(names, row[0], source),
            type=row[1],
            flags=row[2],
            data=_contents(view, row, source),
            size=row[5],
            link=row[6],
            info=row[7],
            alignment=row[8],
            entry_size=row[9],
        )
        for row in rows
    ]
    return Elf(kind, machine, flags, sections)


def string_at(table: Buffer, offset: int, source: str) -> str:
    """The NUL-terminated string at `offset` of a string table."""
    end = bytes(table).find(b"\0", offset) if offset < len(table) else -1
    if end < 0:
        raise ArtifactError(f"{source} has a name outside of its string table")
    return bytes(table[offset:end]).decode("utf-8", "replace")


def _contents(view: memoryview, row: tuple[int, ...], source: str) -> memoryview:
    kind, offset, size = row[1], row[4], row[5]
    if kind in (SHT_NULL, SHT_NOBITS):
        return view[:0]
    if offset + size > len(view):
        raise ArtifactError(f"{source} is truncated: a section ends beyond the file")
    return view[offset : offset + size]
