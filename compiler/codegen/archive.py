"""Static archives (`.a`) with a symbol index, in the System V form that every Unix linker reads."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Sequence
from typing import BinaryIO

from tensorkiln.runtime.errors import ArtifactError

_MAGIC = b"!<arch>\n"


def write_archive(
    file: BinaryIO, member: str, member_file: BinaryIO, size: int, symbols: Sequence[str]
) -> None:
    """Write an archive of one object, read from `member_file`, that defines `symbols`.

    `member` is its name of at most 15 characters. Times and owners are 0, so that equal objects
    give equal archives.
    """
    if size > 9_999_999_999 or len(member) > 15:
        raise ArtifactError(f"the archive member {member!r} is too large for the archive's format")
    names = b"".join(symbol.encode() + b"\0" for symbol in symbols)
    index_size = 4 + 4 * len(symbols) + len(names)
    names += b"\0" * (index_size % 2)
    index_size += index_size % 2
    # every symbol is in the member, whose header follows the index
    place = len(_MAGIC) + 60 + index_size
    if place >= 2**32:
        raise ArtifactError("the archive's symbol index is too large")
    file.write(_MAGIC + _header("/", index_size))
    file.write(struct.pack(f">{1 + len(symbols)}I", len(symbols), *[place] * len(symbols)) + names)
    file.write(_header(member + "/", size))
    shutil.copyfileobj(member_file, file, 1 << 20)
    file.write(b"\n" * (size % 2))


def _header(name: str, size: int) -> bytes:
    return f"{name:<16}{0:<12}{0:<6}{0:<6}{644:<8}{size:<10}`\n".encode("ascii")
