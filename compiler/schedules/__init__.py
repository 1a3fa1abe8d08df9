"""Kernel families: how a fused group becomes a fast loop nest on a target."""
