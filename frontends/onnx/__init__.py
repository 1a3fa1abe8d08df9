"""ONNX models: import into tensor IR, and the onnx package's backend interface."""

from __future__ import annotations

from tensorkiln.frontends.onnx.importer import import_model

__all__ = ["import_model"]
