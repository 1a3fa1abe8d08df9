"""Commands that TensorFlow users know, run with `python -m`."""
