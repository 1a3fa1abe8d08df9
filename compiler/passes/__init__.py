"""Rewrites of tensor IR: one pass a file, `Function -> Function`."""
