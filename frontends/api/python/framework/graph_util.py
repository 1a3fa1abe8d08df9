"""Graph definitions cut down and frozen."""

from tensorkiln.frontends.graph.files.graph_util import (
    convert_variables_to_constants,
    extract_sub_graph,
    remove_training_nodes,
)  # fmt: skip
from tensorkiln.frontends.graph.files.import_graph import import_graph_def
