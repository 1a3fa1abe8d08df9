"""`tf.graph_util`: graph definitions cut down and frozen."""

from tensorkiln.frontends.graph.files.graph_util import (
    convert_variables_to_constants,
    extract_sub_graph,
    must_run_on_cpu,
    remove_training_nodes,
    tensor_shape_from_node_def_name,
)  # fmt: skip
from tensorkiln.frontends.graph.files.import_graph import import_graph_def
