"""`tf.compat`: version 1 of the interface is the package itself."""

import sys

from numpy import bytes_, str_

v1 = sys.modules["tensorkiln"]
as_str_any = str


def as_bytes(bytes_or_text: bytes | str, encoding: str = "utf-8") -> bytes:
    """Text as bytes."""
    return bytes_or_text if isinstance(bytes_or_text, bytes) else bytes_or_text.encode(encoding)


def as_text(bytes_or_text: bytes | str, encoding: str = "utf-8") -> str:
    """Bytes as text."""
    return bytes_or_text if isinstance(bytes_or_text, str) else bytes_or_text.decode(encoding)


as_str = as_text
bytes_or_text_types = (bytes, str, bytes_, str_)
