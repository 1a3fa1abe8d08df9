"""Top-level names for graph definitions and tensors as messages."""

from tensorkiln.frontends.graph.files.import_graph import import_graph_def
from tensorkiln.frontends.graph.files.proto_graph import (
    AttrValue,
    GraphDef,
    NodeDef,
    TensorProto,
    TensorShapeProto,
)  # fmt: skip
from tensorkiln.frontends.graph.files.proto_meta import MetaGraphDef
from tensorkiln.frontends.graph.files.tensor_proto import make_ndarray, make_tensor_proto
