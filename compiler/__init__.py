"""The compiler: tensor IR, kernel IR, and the passes from one to machine code."""
