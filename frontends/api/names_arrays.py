"""Top-level names of functions that rearrange tensors."""
