"""Kernel IR: one loop nest per fused group, with a text form, a verifier and an interpreter."""
