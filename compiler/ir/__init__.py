"""Tensor IR: typed SSA functions over tensors, with a text form and a verifier."""
