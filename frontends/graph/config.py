"""Options of sessions and runs, by the names that TensorFlow programs use."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class OptimizerOptions:
    """Options of the graph optimiser; accepted, since everything is compiled anyway."""

    DEFAULT = 0
    OFF = -1
    ON_1 = 1
    ON_2 = 2
    L0 = -1
    L1 = 0

    global_jit_level: int = 0
    opt_level: int = 0
    do_common_subexpression_elimination: bool = True
    do_constant_folding: bool = True
    do_function_inlining: bool = True
    max_folded_constant_in_bytes: int = 0


@dataclass
class GraphOptions:
    """Options of the graph; accepted."""

    optimizer_options: OptimizerOptions = field(default_factory=OptimizerOptions)
    enable_recv_scheduling: bool = False
    build_cost_model: int = 0
    build_cost_model_after: int = 0
    infer_shapes: bool = False
    place_pruned_graph: bool = False
    enable_bfloat16_sendrecv: bool = False
    timeline_step: int = 0


@dataclass
class GPUOptions:
    """Options of GPU memory; accepted."""

    per_process_gpu_memory_fraction: float = 0.0
    allow_growth: bool = False
    allocator_type: str = ""
    deferred_deletion_bytes: int = 0
    visible_device_list: str = ""
    polling_active_delay_usecs: int = 0
    force_gpu_compatible: bool = False


@dataclass
class ConfigProto:
    """Options of a session.

    `intra_op_parallelism_threads` is the number of threads of a compiled step (0: as many as
    there are processors); `interpreted` runs the reference interpreter instead of compiled code.
    Ops on devices that do not exist are an error, unless `allow_soft_placement`.
    `log_device_placement` prints each op's device on stderr.  `operation_timeout_in_ms` is how
    long a run may take (0: any time).
    """

    device_count: dict[str, int] = field(default_factory=dict)
    intra_op_parallelism_threads: int = 0
    inter_op_parallelism_threads: int = 0
    use_per_session_threads: bool = False
    placement_period: int = 0
    device_filters: list[str] = field(default_factory=list)
    allow_soft_placement: bool = False
    log_device_placement: bool = False
    gpu_options: GPUOptions = field(default_factory=GPUOptions)
    graph_options: GraphOptions = field(default_factory=GraphOptions)
    operation_timeout_in_ms: int = 0
    isolate_session_state: bool = False
    interpreted: bool = False


@dataclass
class RunOptions:
    """Options of one run: how much is traced into RunMetadata, and how long it may take."""

    NO_TRACE = 0
    SOFTWARE_TRACE = 1
    HARDWARE_TRACE = 2
    FULL_TRACE = 3
    trace_level: int = 0
    timeout_in_ms: int = 0
    inter_op_thread_pool: int = 0
    output_partition_graphs: bool = False
    report_tensor_allocations_upon_oom: bool = False
