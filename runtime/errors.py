"""The errors a user can meet, one class a kind of mistake.

Every message names the user's node, value or file first and then says what to do about it.
"""

from __future__ import annotations


class TensorKilnError(Exception):
    """Base of every error that TensorKiln raises on purpose."""


class TypeRuleError(TensorKilnError):
    """An op's operands or attributes break a numbered constraint of its type rule."""


class VerifyError(TensorKilnError):
    """A function or kernel breaks a numbered invariant of its verifier."""


class ParseError(TensorKilnError):
    """A text of the tensor IR or kernel IR is malformed; the message holds line and column."""


class RewriteError(TensorKilnError):
    """A rewrite of a kernel that does not apply, or would change what the kernel computes."""


class ModelError(TensorKilnError):
    """A model file is malformed, truncated, or points outside of its folder."""


class UnsupportedError(TensorKilnError):
    """Something valid that this version cannot compile; the message names it and its node."""


class FeedError(TensorKilnError):
    """An input is missing, unknown, or has the wrong dtype or shape."""


class BoundsError(TensorKilnError):
    """Checked code would have read or written outside of a buffer: an error of the compiler."""


class ArtifactError(TensorKilnError):
    """An artifact cannot be written, linked or loaded."""
