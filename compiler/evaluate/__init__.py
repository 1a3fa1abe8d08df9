"""The interpreter of tensor IR: the meaning of functions ("interpreted mode")."""

from __future__ import annotations

from tensorkiln.compiler.evaluate.evaluate import evaluate, evaluate_op

__all__ = ["evaluate", "evaluate_op"]
