"""Files and the like."""
