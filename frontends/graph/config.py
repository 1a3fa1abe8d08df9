"""Options of a session, by the names that TensorFlow programs use."""

from __future__ import annotations

from dataclasses import dataclass, field


class OptimizerOptions:
    """Options of the graph optimiser; accepted, since everything is compiled anyway."""

    DEFAULT = 0
    OFF = -1
    ON_1 = 1
    ON_2 = 2
    L0 = -1
    L1 = 0

    def __init__(self, global_jit_level: int = 0, opt_level: int = 0) -> None:
        self.global_jit_level = global_jit_level
        self.opt_level = opt_level


@dataclass
class GraphOptions:
    """Options of the graph."""

    optimizer_options: OptimizerOptions = field(default_factory=OptimizerOptions)


@dataclass
class GPUOptions:
    """Options of GPU memory."""

    per_process_gpu_memory_fraction: float = 0.0
    allow_growth: bool = False
    visible_device_list: str = ""


@dataclass
class ConfigProto:
    """Options of a session.

    `intra_op_parallelism_threads` is the number of threads of a compiled step (0: as many as
    there are processors); `interpreted` runs the reference interpreter instead of compiled code.
    """

    device_count: dict[str, int] = field(default_factory=dict)
    intra_op_parallelism_threads: int = 0
    inter_op_parallelism_threads: int = 0
    allow_soft_placement: bool = False
    log_device_placement: bool = False
    gpu_options: GPUOptions = field(default_factory=GPUOptions)
    graph_options: GraphOptions = field(default_factory=GraphOptions)
    operation_timeout_in_ms: int = 0
    interpreted: bool = False


@dataclass
class RunOptions:
    """Options of one run; accepted."""

    NO_TRACE = 0
    SOFTWARE_TRACE = 1
    HARDWARE_TRACE = 2
    FULL_TRACE = 3
    trace_level: int = 0
    timeout_in_ms: int = 0
    report_tensor_allocations_upon_oom: bool = False
