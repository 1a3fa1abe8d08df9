"""Where in the user's program an op was made."""

from __future__ import annotations

import os
import sys

from tensorkiln.compiler.ir.function import Location

# The package that holds the whole front end: frames of these files are not the user's.
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_CONTEXTLIB = os.path.join(os.path.dirname(os.__file__), "contextlib.py")


def user_location(node: str) -> Location:
    """The file and line of the nearest caller outside of the front ends, for the op `node`."""
    frame = sys._getframe(1)
    while True:
        file = frame.f_code.co_filename
        if not file.startswith(_PACKAGE) and file != _CONTEXTLIB:
            return Location(node, file, frame.f_lineno)
        if frame.f_back is None:
            return Location(node)
        frame = frame.f_back
