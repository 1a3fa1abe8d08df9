"""Training steps on random data: three small networks, their profile, and other engines."""
