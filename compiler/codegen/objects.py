"""Joins relocatable objects into one, so that artifacts need no linker of the system for that.

Sections are kept side by side, defined symbols meet undefined ones of the same name, and every
symbol outside of a given list becomes local. So two models' objects can be linked into one program
though each has its own `tk_body` and thread pool. (System V ABI, chapter 4; 64-bit, little-endian.)
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from tensorkiln.runtime.elf import (
    HEADER,
    SECTION,
    SHT_GROUP,
    SHT_NOBITS,
    SHT_NULL,
    SHT_RELA,
    SHT_STRTAB,
    SHT_SYMTAB,
    Buffer,
    Elf,
    Section,
    read_elf,
    string_at,
)
from tensorkiln.runtime.errors import ArtifactError

_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = np.dtype([("offset", "<u8"), ("kind", "<u4"), ("symbol", "<u4"), ("addend", "<i8")])
_LOCAL, _GLOBAL = 0, 1
_OBJECT, _SECTION_SYMBOL, _FILE_SYMBOL = 1, 3, 4
_UNDEFINED, _ABSOLUTE, _RESERVED = 0, 0xFFF1, 0xFF00
_LLVM_FIRST, _LLVM_LAST = 0x6FFF4C00, 0x6FFF4CFF  # hints whose symbol numbers would be stale
_DROPPED = (SHT_NULL, SHT_SYMTAB, SHT_STRTAB, SHT_GROUP)
_ALLOCATED, _IN_GROUP = 0x2, 0x200
_SOURCE = "model"  # what debuggers show as the file of local symbols


@dataclass(slots=True)
class _Symbol:
    name: str
    kind: int
    section: int
    value: int
    size: int
    index: int = 0


@dataclass(frozen=True, slots=True)
class DataSymbol:
    """Bytes to be put into the object as read-only data under a symbol's name."""

    name: str
    data: Buffer
    alignment: int = 64


@dataclass(frozen=True, slots=True)
class RenamedObject:
    """Object code whose global symbols get other names, and whose local ones get `suffix` behind
    theirs (a loader in the process may look even these up by name)."""

    code: bytes
    names: Mapping[str, str]
    suffix: str = ""


def join_objects(
    objects: Sequence[bytes | RenamedObject],
    public: Iterable[str],
    data: Sequence[DataSymbol] = (),
) -> JoinedObject:
    """One relocatable object out of several; only `public` symbols stay visible.

    ArtifactError if two objects define the same global symbol or an object is of another machine.
    """
    joined = JoinedObject(frozenset(public))
    for symbol in data:
        joined.add_data(symbol)
    for number, item in enumerate(objects):
        part = item if isinstance(item, RenamedObject) else RenamedObject(item, {})
        joined.add_object(read_elf(part.code, f"object {number}"), part.names, part.suffix)
    return joined


class JoinedObject:
    """A relocatable object being put together, and then written."""

    def __init__(self, public: frozenset[str]) -> None:
        self._public = public
        self._machine: tuple[int, int] | None = None
        self._sections: list[Section] = [Section("", SHT_NULL, 0, b"", 0, 0, 0, 0, 0)]
        # Without it linkers put the file's name into what they make, which is a random one.
        self._symbols = [_Symbol(_SOURCE, _FILE_SYMBOL, _ABSOLUTE, 0, 0)]
        self._named: dict[str, _Symbol] = {}
        self._relocations: list[tuple[Section, list[_Symbol | None]]] = []

    def add_data(self, item: DataSymbol) -> None:
        """Put `item` into a read-only section of its own."""
        size = memoryview(item.data).nbytes
        section = Section(
            f".rodata.{item.name}", 1, _ALLOCATED, item.data, size, 0, 0, item.alignment, 0
        )
        self._sections.append(section)
        symbol = self._name(item.name)
        symbol.kind, symbol.section, symbol.size = _OBJECT, len(self._sections) - 1, size

    def add_object(self, elf: Elf, names: Mapping[str, str], suffix: str = "") -> None:
        """Take over the sections, symbols (renamed by `names`) and relocations of `elf`."""
        if elf.type != 1 or self._machine not in (None, (elf.machine, elf.flags)):
            raise ArtifactError("objects of different machines cannot be joined")
        self._machine = (elf.machine, elf.flags)
        kept = {
            index
            for index, section in enumerate(elf.sections)
            if section.type not in _DROPPED and not _LLVM_FIRST <= section.type <= _LLVM_LAST
        }
        kept -= {
            index
            for index in kept
            if elf.sections[index].type == SHT_RELA and elf.sections[index].info not in kept
        }
        places = {old: len(self._sections) + new for new, old in enumerate(sorted(kept))}
        self._sections += [elf.sections[old] for old in places]
        symbols = self._take_symbols(elf, places, names, suffix)
        for old in places:
            section = elf.sections[old]
            section.flags &= ~_IN_GROUP
            section.link = places.get(section.link, 0)
            if section.type == SHT_RELA:
                section.info = places[section.info]
                self._relocations.append((section, symbols))

    def _take_symbols(
        self, elf: Elf, places: dict[int, int], renamed: Mapping[str, str], suffix: str
    ) -> list[_Symbol | None]:
        tables = [section for section in elf.sections if section.type == SHT_SYMTAB]
        if not tables:
            return []
        names = bytes(elf.sections[tables[0].link].data)
        symbols: list[_Symbol | None] = []
        for row in _SYMBOL.iter_unpack(tables[0].data):
            name, info, _, section, value, size = row
            kind = info & 15
            local = info >> 4 == _LOCAL
            gone = 0 < section < _RESERVED and section not in places
            # the first entry of a table is a local symbol of no section
            if gone or kind == _FILE_SYMBOL or (local and section == _UNDEFINED):
                symbols.append(None)
                continue
            if section > _RESERVED and section != _ABSOLUTE:
                raise ArtifactError("an object with common symbols cannot be joined")
            place = places.get(section, section)
            text = string_at(names, name, "object")
            if local:
                symbol = _Symbol(text and text + suffix, kind, place, value, size)
                self._symbols.append(symbol)
            else:
                symbol = self._name(renamed.get(text, text))
                self._define(symbol, kind, place, value, size)
            symbols.append(symbol)
        return symbols

    def _name(self, name: str) -> _Symbol:
        if name not in self._named:
            self._named[name] = _Symbol(name, 0, _UNDEFINED, 0, 0)
            self._symbols.append(self._named[name])
        return self._named[name]

    def _define(self, symbol: _Symbol, kind: int, section: int, value: int, size: int) -> None:
        if section == _UNDEFINED:
            return
        if symbol.section != _UNDEFINED:
            raise ArtifactError(f"two objects define the symbol {symbol.name!r}")
        symbol.kind, symbol.section, symbol.value, symbol.size = kind, section, value, size

    def undefined(self) -> list[str]:
        """Names that no part defines, sorted: what a linker has to find in libraries."""
        return sorted(
            name for name, symbol in self._named.items() if symbol.section == _UNDEFINED and name
        )

    def write(self, file: BinaryIO) -> None:
        """Write the object to `file`, which is at its start."""
        sections = [*self._sections]
        symbol_table, string_table, local_count = self._symbol_table()
        table_index = len(sections)
        for section, symbols in self._relocations:
            rows = np.frombuffer(section.data, _RELOCATION).copy()
            numbers = [0 if symbol is None else symbol.index for symbol in symbols]
            rows["symbol"] = np.array(numbers, np.uint32)[rows["symbol"]]
            section.data, section.link = rows.tobytes(), table_index
        sections.append(
            Section(
                ".symtab", SHT_SYMTAB, 0, symbol_table, len(symbol_table), table_index + 1,
                local_count, 8, _SYMBOL.size,
            )
        )  # fmt: skip
        sections.append(_strings(".strtab", string_table))
        name_table, offsets = _names([section.name for section in sections] + [".shstrtab"])
        sections.append(_strings(".shstrtab", name_table))
        _write_sections(file, self._machine or (0, 0), sections, offsets)

    def _symbol_table(self) -> tuple[bytes, bytes, int]:
        public = [symbol for symbol in self._symbols if self._is_public(symbol)]
        private = [symbol for symbol in self._symbols if not self._is_public(symbol)]
        strings, offsets = _names([symbol.name for symbol in private + public])
        rows = [_SYMBOL.pack(0, 0, 0, 0, 0, 0)]
        for offset, symbol in zip(offsets, private + public, strict=True):
            symbol.index = len(rows)
            binding = _GLOBAL if self._is_public(symbol) else _LOCAL
            info = binding << 4 | symbol.kind
            rows.append(_SYMBOL.pack(offset, info, 0, symbol.section, symbol.value, symbol.size))
        return b"".join(rows), strings, len(private) + 1

    def _is_public(self, symbol: _Symbol) -> bool:
        if self._named.get(symbol.name) is not symbol or not symbol.name:
            return False
        return symbol.section == _UNDEFINED or symbol.name in self._public


def _strings(name: str, data: bytes) -> Section:
    return Section(name, SHT_STRTAB, 0, data, len(data), 0, 0, 1, 0)


def _names(names: Sequence[str]) -> tuple[bytes, list[int]]:
    """A string table of `names` and the offset of each."""
    table = bytearray(b"\0")
    offsets = []
    for name in names:
        offsets.append(len(table) if name else 0)
        if name:
            table += name.encode() + b"\0"
    return bytes(table), offsets


def _write_sections(
    file: BinaryIO, machine: tuple[int, int], sections: Sequence[Section], names: Sequence[int]
) -> None:
    file.write(bytes(HEADER.size))
    position = HEADER.size
    rows = []
    for name, section in zip(names, sections, strict=True):
        padding = -position % max(section.alignment, 1)
        file.write(bytes(padding))
        position += padding
        rows.append(
            SECTION.pack(
                name, section.type, section.flags, 0, position if section.type else 0,
                section.size, section.link, section.info, section.alignment, section.entry_size,
            )
        )  # fmt: skip
        if section.type not in (SHT_NULL, SHT_NOBITS):
            file.write(section.data)
            position += section.size
    padding = -position % 8
    file.write(bytes(padding) + b"".join(rows))
    identity = b"\x7fELF\x02\x01\x01" + bytes(9)
    file.seek(0)
    file.write(
        HEADER.pack(
            identity, 1, machine[0], 1, 0, 0, position + padding, machine[1],
            HEADER.size, 0, 0, SECTION.size, len(sections), len(sections) - 1,
        )
    )  # fmt: skip
    file.seek(0, 2)
