"""Options of sessions and runs: TensorFlow's messages, by their public names and field numbers.

What a session heeds: `intra_op_parallelism_threads` (the threads of a compiled step; 0: as many as
there are processors), `allow_soft_placement`, `log_device_placement`, `operation_timeout_in_ms`
(how long a run may take; 0: any time) and `interpreted`, which is not TensorFlow's: it runs the
reference interpreter instead of compiled code.  The rest is accepted: everything is compiled,
whatever the JIT level, and nothing needs memory of a GPU.
"""

from __future__ import annotations

from tensorkiln.frontends.graph.files.messages import define, message

FILE = "tensorkiln/config.proto"

define(
    FILE,
    """
enum OptimizerOptions.Level: L1 0, L0 -1
enum OptimizerOptions.GlobalJitLevel: DEFAULT 0, OFF -1, ON_1 1, ON_2 2
enum RewriterConfig.Toggle: DEFAULT 0, ON 1, OFF 2, AGGRESSIVE 3
enum RewriterConfig.NumIterationsType: DEFAULT_NUM_ITERS 0, ONE 1, TWO 2
enum RewriterConfig.MemOptType: DEFAULT_MEM_OPT 0, NO_MEM_OPT 1, MANUAL 2, HEURISTICS 3, SWAPPING_HEURISTICS 4, RECOMPUTATION_HEURISTICS 5, SCHEDULING_HEURISTICS 6
enum RunOptions.TraceLevel: NO_TRACE 0, SOFTWARE_TRACE 1, HARDWARE_TRACE 2, FULL_TRACE 3
GPUOptions: per_process_gpu_memory_fraction double 1, allow_growth bool 4, allocator_type string 2, deferred_deletion_bytes int64 3, visible_device_list string 5, polling_active_delay_usecs int32 6, polling_inactive_delay_msecs int32 7, force_gpu_compatible bool 8, experimental GPUOptions.Experimental 9
GPUOptions.Experimental: virtual_devices GPUOptions.Experimental.VirtualDevices* 1, use_unified_memory bool 2, num_dev_to_dev_copy_streams int32 3, collective_ring_order string 4, timestamped_allocator bool 5
GPUOptions.Experimental.VirtualDevices: memory_limit_mb float* 1
OptimizerOptions: do_common_subexpression_elimination bool 1, do_constant_folding bool 2, max_folded_constant_in_bytes int64 6, do_function_inlining bool 4, opt_level OptimizerOptions.Level 3, global_jit_level OptimizerOptions.GlobalJitLevel 5
RewriterConfig: layout_optimizer RewriterConfig.Toggle 1, constant_folding RewriterConfig.Toggle 3, shape_optimization RewriterConfig.Toggle 13, remapping RewriterConfig.Toggle 14, arithmetic_optimization RewriterConfig.Toggle 7, dependency_optimization RewriterConfig.Toggle 8, loop_optimization RewriterConfig.Toggle 9, function_optimization RewriterConfig.Toggle 10, debug_stripper RewriterConfig.Toggle 11, disable_model_pruning bool 2, scoped_allocator_optimization RewriterConfig.Toggle 15, pin_to_host_optimization RewriterConfig.Toggle 18, implementation_selector RewriterConfig.Toggle 22, auto_mixed_precision RewriterConfig.Toggle 23, disable_meta_optimizer bool 19, meta_optimizer_iterations RewriterConfig.NumIterationsType 12, min_graph_nodes int32 17, memory_optimization RewriterConfig.MemOptType 4, memory_optimizer_target_node_name_scope string 6, meta_optimizer_timeout_ms int64 20, fail_on_optimizer_errors bool 21, optimizers string* 100
GraphOptions: enable_recv_scheduling bool 2, optimizer_options OptimizerOptions 3, build_cost_model int64 4, build_cost_model_after int64 9, infer_shapes bool 5, place_pruned_graph bool 6, enable_bfloat16_sendrecv bool 7, timeline_step int32 8, rewrite_options RewriterConfig 10
ThreadPoolOptionProto: num_threads int32 1, global_name string 2
RPCOptions: use_rpc_for_inprocess_master bool 1, compression_algorithm string 2, compression_level int32 3, cache_rpc_response bool 4
JobDef: name string 1, tasks {int32:string} 2
ClusterDef: job JobDef* 1
ConfigProto: device_count {string:int32} 1, intra_op_parallelism_threads int32 2, inter_op_parallelism_threads int32 5, use_per_session_threads bool 9, session_inter_op_thread_pool ThreadPoolOptionProto* 12, placement_period int32 3, device_filters string* 4, gpu_options GPUOptions 6, allow_soft_placement bool 7, log_device_placement bool 8, graph_options GraphOptions 10, operation_timeout_in_ms int64 11, rpc_options RPCOptions 13, cluster_def ClusterDef 14, isolate_session_state bool 15, experimental ConfigProto.Experimental 16, interpreted bool 1001
ConfigProto.Experimental: collective_group_leader string 1, executor_type string 3, recv_buf_max_chunk int32 4, use_numa_affinity bool 5, collective_deterministic_sequential_execution bool 6, collective_nccl bool 7, share_session_state_in_clusterspec_propagation bool 8, disable_thread_spinning bool 9
RunOptions: trace_level RunOptions.TraceLevel 1, timeout_in_ms int64 2, inter_op_thread_pool int32 3, output_partition_graphs bool 5, report_tensor_allocations_upon_oom bool 7
ServerDef: cluster ClusterDef 1, job_name string 2, task_index int32 3, default_session_config ConfigProto 4, protocol string 5
""",
)

OptimizerOptions = message("OptimizerOptions")
GraphOptions = message("GraphOptions")
GPUOptions = message("GPUOptions")
ConfigProto = message("ConfigProto")
RunOptions = message("RunOptions")
RewriterConfig = message("RewriterConfig")
ClusterDef = message("ClusterDef")
JobDef = message("JobDef")
ServerDef = message("ServerDef")
