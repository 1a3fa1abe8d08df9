"""The messages of meta graphs and saved models, by TensorFlow's public field numbers."""

from __future__ import annotations

from google.protobuf import any_pb2

from tensorkiln.frontends.graph.files import messages, proto_checkpoint, proto_graph
from tensorkiln.frontends.graph.files.messages import define, message

FILE = "tensorkiln/meta_graph.proto"

messages.add_file(any_pb2.DESCRIPTOR.serialized_pb)
define(
    FILE,
    """
SaveSliceInfoDef: full_name string 1, full_shape int64* 2, var_offset int64* 3, var_shape int64* 4
VariableDef: variable_name string 1, initializer_name string 2, snapshot_name string 3, save_slice_info_def SaveSliceInfoDef 4, is_resource bool 5, initial_value_name string 6, trainable bool 7, synchronization int32 8, aggregation int32 9
CollectionDef: kind/node_list CollectionDef.NodeList 1, kind/bytes_list CollectionDef.BytesList 2, kind/int64_list CollectionDef.Int64List 3, kind/float_list CollectionDef.FloatList 4, kind/any_list CollectionDef.AnyList 5
CollectionDef.NodeList: value string* 1
CollectionDef.BytesList: value bytes* 1
CollectionDef.Int64List: value int64* 1
CollectionDef.FloatList: value float* 1
CollectionDef.AnyList: value .google.protobuf.Any* 1
TensorInfo: encoding/name string 1, encoding/coo_sparse TensorInfo.CooSparse 4, dtype DataType 2, tensor_shape TensorShapeProto 3
TensorInfo.CooSparse: values_tensor_name string 1, indices_tensor_name string 2, dense_shape_tensor_name string 3
SignatureDef: inputs {TensorInfo} 1, outputs {TensorInfo} 2, method_name string 3
AssetFileDef: tensor_info TensorInfo 1, filename string 2
MetaGraphDef: meta_info_def MetaGraphDef.MetaInfoDef 1, graph_def GraphDef 2, saver_def SaverDef 3, collection_def {CollectionDef} 4, signature_def {SignatureDef} 5, asset_file_def AssetFileDef* 6
MetaGraphDef.MetaInfoDef: meta_graph_version string 1, stripped_op_list OpList 2, any_info .google.protobuf.Any 3, tags string* 4, tensorflow_version string 5, tensorflow_git_version string 6, stripped_default_attrs bool 7
SavedModel: saved_model_schema_version int64 1, meta_graphs MetaGraphDef* 2
""",
    (proto_graph.FILE, proto_checkpoint.FILE, "google/protobuf/any.proto"),
)

VariableDef = message("VariableDef")
CollectionDef = message("CollectionDef")
TensorInfo = message("TensorInfo")
SignatureDef = message("SignatureDef")
AssetFileDef = message("AssetFileDef")
MetaGraphDef = message("MetaGraphDef")
SavedModel = message("SavedModel")
