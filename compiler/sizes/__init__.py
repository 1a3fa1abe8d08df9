"""Open sizes: one compiled function for every shape in a range."""
