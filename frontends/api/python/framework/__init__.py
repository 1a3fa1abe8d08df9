"""Graphs' neighbours."""
