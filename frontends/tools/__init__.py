"""Commands that TensorFlow users know: `python -m tensorkiln.tools.<name>`."""
