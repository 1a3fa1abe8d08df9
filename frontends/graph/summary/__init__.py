"""Summaries: ops that serialise values, event files, and the record files they are made of."""
