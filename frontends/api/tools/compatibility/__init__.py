"""Commands for older programs."""
