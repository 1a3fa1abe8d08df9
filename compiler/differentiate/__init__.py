"""Reverse-mode differentiation over tensor IR."""

from __future__ import annotations

from tensorkiln.compiler.differentiate.differentiate import differentiate, gradient

__all__ = ["differentiate", "gradient"]
