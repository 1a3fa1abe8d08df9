"""`tensorkiln.safetensors`: arrays and variables in the safetensors format."""

from tensorkiln.frontends.graph.files.safetensors import (
    load_file,
    restore_variables,
    save_file,
    save_variables,
)  # fmt: skip
