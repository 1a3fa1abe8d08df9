"""What of an ONNX model machine code does not do: text and files of images."""

from __future__ import annotations

from tensorkiln.frontends.onnx.host.model import HostedModel, is_hosted

__all__ = ["HostedModel", "is_hosted"]
