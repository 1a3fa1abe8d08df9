"""Kernels to LLVM IR, object code, PTX and artifacts."""
