"""Fused groups to kernels: element generation, layouts, and the memory plan."""
