"""Traces of runs for chrome://tracing."""

from tensorkiln.frontends.graph.trace import Timeline
