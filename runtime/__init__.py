"""Loads and calls compiled artifacts; knows nothing of the compiler that made them."""
