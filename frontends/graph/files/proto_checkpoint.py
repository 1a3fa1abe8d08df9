"""The messages of checkpoints: tensor bundles, the state file, the saver's description."""

from __future__ import annotations

from tensorkiln.frontends.graph.files import proto_graph
from tensorkiln.frontends.graph.files.messages import define, message

FILE = "tensorkiln/checkpoint.proto"

define(
    FILE,
    """
TensorSliceProto: extent TensorSliceProto.Extent* 1
TensorSliceProto.Extent: start int64 1, has_length/length int64 2
BundleHeaderProto: num_shards int32 1, endianness BundleHeaderProto.Endianness 2, version VersionDef 3
enum BundleHeaderProto.Endianness: LITTLE 0, BIG 1
BundleEntryProto: dtype DataType 1, shape TensorShapeProto 2, shard_id int32 3, offset int64 4, size int64 5, crc32c fixed32 6, slices TensorSliceProto* 7
SavedSliceMeta: name string 1, shape TensorShapeProto 2, dtype DataType 3, slice TensorSliceProto* 4
SavedTensorSliceMeta: tensor SavedSliceMeta* 1, versions VersionDef 2
SavedSlice: name string 1, slice TensorSliceProto 2, data TensorProto 3
SavedTensorSlices: meta SavedTensorSliceMeta 1, data SavedSlice 2
CheckpointState: model_checkpoint_path string 1, all_model_checkpoint_paths string* 2, all_model_checkpoint_timestamps double* 3, last_preserved_timestamp double 4
SaverDef: filename_tensor_name string 1, save_tensor_name string 2, restore_op_name string 3, max_to_keep int32 4, sharded bool 5, keep_checkpoint_every_n_hours float 6, version SaverDef.CheckpointFormatVersion 7
enum SaverDef.CheckpointFormatVersion: LEGACY 0, V1 1, V2 2
""",
    (proto_graph.FILE,),
)

BundleHeaderProto = message("BundleHeaderProto")
BundleEntryProto = message("BundleEntryProto")
CheckpointState = message("CheckpointState")
SavedTensorSlices = message("SavedTensorSlices")
SaverDef = message("SaverDef")
