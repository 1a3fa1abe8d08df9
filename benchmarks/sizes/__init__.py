"""Models for ranges of sizes, measured beside models of one size."""
