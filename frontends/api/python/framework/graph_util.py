"""Graph definitions cut down and frozen."""

from tensorkiln.graph_util import (
    convert_variables_to_constants,
    extract_sub_graph,
    import_graph_def,
    remove_training_nodes,
)  # fmt: skip
