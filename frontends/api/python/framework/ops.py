"""Names of graphs and gradients."""

from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.custom_gradients import NotDifferentiable, RegisterGradient
from tensorkiln.frontends.graph.graph import Graph, reset_default_graph
from tensorkiln.frontends.graph.graph_keys import (
    GraphKeys,
    add_to_collection,
    add_to_collections,
    get_collection,
    get_collection_ref,
)  # fmt: skip
from tensorkiln.frontends.graph.indexed_slices import IndexedSlices
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.scopes import (
    colocate_with,
    control_dependencies,
    device,
    name_scope,
)
from tensorkiln.frontends.graph.stack import get_default_graph, get_default_session
from tensorkiln.frontends.graph.tensor import Tensor

NoGradient = NotDifferentiable
