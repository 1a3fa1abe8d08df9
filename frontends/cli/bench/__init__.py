"""The benchmark: compiled models against interpreted mode and installed engines."""
