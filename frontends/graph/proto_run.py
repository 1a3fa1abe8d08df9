"""The messages of a run's metadata, by TensorFlow's public field numbers."""

from __future__ import annotations

from tensorkiln.frontends.graph.files import proto_graph
from tensorkiln.frontends.graph.files.messages import define, message

FILE = "tensorkiln/run_metadata.proto"

define(
    FILE,
    """
AllocationDescription: requested_bytes int64 1, allocated_bytes int64 2, allocator_name string 3, allocation_id int64 4, has_single_reference bool 5, ptr uint64 6
TensorDescription: dtype DataType 1, shape TensorShapeProto 2, allocation_description AllocationDescription 4
AllocationRecord: alloc_micros int64 1, alloc_bytes int64 2
AllocatorMemoryUsed: allocator_name string 1, total_bytes int64 2, peak_bytes int64 3, live_bytes int64 4, allocation_records AllocationRecord* 6, allocator_bytes_in_use int64 5
NodeOutput: slot int32 1, tensor_description TensorDescription 3
MemoryStats: temp_memory_size int64 1, persistent_memory_size int64 3, persistent_tensor_alloc_ids int64* 5
NodeExecStats: node_name string 1, all_start_micros int64 2, op_start_rel_micros int64 3, op_end_rel_micros int64 4, all_end_rel_micros int64 5, memory AllocatorMemoryUsed* 6, output NodeOutput* 7, timeline_label string 8, scheduled_micros int64 9, thread_id uint32 10, referenced_tensor AllocationDescription* 11, memory_stats MemoryStats 12, all_start_nanos int64 13, op_start_rel_nanos int64 14, op_end_rel_nanos int64 15, all_end_rel_nanos int64 16, scheduled_nanos int64 17
DeviceStepStats: device string 1, node_stats NodeExecStats* 2
StepStats: dev_stats DeviceStepStats* 1
RunMetadata: step_stats StepStats 1, partition_graphs GraphDef* 3
""",
    (proto_graph.FILE,),
)

NodeExecStats = message("NodeExecStats")
DeviceStepStats = message("DeviceStepStats")
StepStats = message("StepStats")
RunMetadata = message("RunMetadata")
