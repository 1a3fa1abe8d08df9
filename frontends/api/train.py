"""`tf.train`: optimizers and learning rates."""

import numpy as np

from tensorkiln.frontends.graph.averages import ExponentialMovingAverage
from tensorkiln.frontends.graph.cluster_spec import ClusterSpec
from tensorkiln.frontends.graph.config import ClusterDef, JobDef, ServerDef
from tensorkiln.frontends.graph.device_setter import replica_device_setter
from tensorkiln.frontends.graph.files.checkpoint_reader import (
    CheckpointReader,
    list_variables,
    load_checkpoint,
    load_variable,
)  # fmt: skip
from tensorkiln.frontends.graph.files.checkpoint_state import (
    checkpoint_exists,
    generate_checkpoint_state_proto,
    get_checkpoint_mtimes,
    get_checkpoint_state,
    latest_checkpoint,
    remove_checkpoint,
    update_checkpoint_state,
)  # fmt: skip
from tensorkiln.frontends.graph.files.checkpoints_iterator import checkpoints_iterator
from tensorkiln.frontends.graph.files.graph_util import write_graph
from tensorkiln.frontends.graph.files.import_meta import import_meta_graph
from tensorkiln.frontends.graph.files.init_checkpoint import init_from_checkpoint
from tensorkiln.frontends.graph.files.meta_graph import export_meta_graph
from tensorkiln.frontends.graph.files.proto_checkpoint import CheckpointState, SaverDef
from tensorkiln.frontends.graph.files.saver import Saver
from tensorkiln.frontends.graph.monitored.coordinator import Coordinator, LooperThread
from tensorkiln.frontends.graph.monitored.creators import (
    ChiefSessionCreator,
    SessionCreator,
    WorkerSessionCreator,
)  # fmt: skip
from tensorkiln.frontends.graph.monitored.hooks import (
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
)  # fmt: skip
from tensorkiln.frontends.graph.monitored.hooks_files import (
    CheckpointSaverHook,
    CheckpointSaverListener,
    ProfilerHook,
    SummarySaverHook,
)  # fmt: skip
from tensorkiln.frontends.graph.monitored.hooks_steps import (
    GlobalStepWaiterHook,
    StepCounterHook,
    StopAtStepHook,
)  # fmt: skip
from tensorkiln.frontends.graph.monitored.hooks_values import (
    FeedFnHook,
    FinalOpsHook,
    LoggingTensorHook,
    NanLossDuringTrainingError,
    NanTensorHook,
)  # fmt: skip
from tensorkiln.frontends.graph.monitored.scaffold import Scaffold
from tensorkiln.frontends.graph.monitored.session_manager import SessionManager
from tensorkiln.frontends.graph.monitored.sessions import (
    MonitoredSession,
    SingularMonitoredSession,
)  # fmt: skip
from tensorkiln.frontends.graph.monitored.supervisor import Supervisor, basic_train_loop
from tensorkiln.frontends.graph.monitored.timer import SecondOrStepTimer
from tensorkiln.frontends.graph.monitored.training_session import MonitoredTrainingSession
from tensorkiln.frontends.graph.optimizer import Optimizer
from tensorkiln.frontends.graph.optimizers import (
    AdadeltaOptimizer,
    AdagradOptimizer,
    AdamOptimizer,
    GradientDescentOptimizer,
    MomentumOptimizer,
    RMSPropOptimizer,
)  # fmt: skip
from tensorkiln.frontends.graph.optimizers_proximal import (
    AdagradDAOptimizer,
    FtrlOptimizer,
    ProximalAdagradOptimizer,
    ProximalGradientDescentOptimizer,
)  # fmt: skip
from tensorkiln.frontends.graph.proto_example import (
    BytesList,
    Example,
    Feature,
    FeatureList,
    FeatureLists,
    Features,
    FloatList,
    Int64List,
    SequenceExample,
)  # fmt: skip
from tensorkiln.frontends.graph.schedules import (
    assert_global_step,
    create_global_step,
    exponential_decay,
    get_global_step,
    get_or_create_global_step,
    inverse_time_decay,
    natural_exp_decay,
    piecewise_constant,
    polynomial_decay,
)  # fmt: skip
from tensorkiln.frontends.graph.schedules_cosine import (
    cosine_decay,
    cosine_decay_restarts,
    linear_cosine_decay,
    noisy_linear_cosine_decay,
)  # fmt: skip
from tensorkiln.frontends.graph.server import Server
from tensorkiln.frontends.graph.session import BaseSession
from tensorkiln.frontends.graph.summary.event_file import summary_iterator
from tensorkiln.frontends.graph.summary.writer import FileWriter as SummaryWriter
from tensorkiln.frontends.graph.sync_replicas import SyncReplicasOptimizer

piecewise_constant_decay = piecewise_constant


def global_step(sess: BaseSession, global_step_tensor: object) -> int:
    """The value of the step counter in a session."""
    return int(np.asarray(sess.run(global_step_tensor)))


def NewCheckpointReader(filepattern: str) -> CheckpointReader:
    """A reader of the checkpoint at a path; NotFoundError if there is none."""
    return CheckpointReader(filepattern)
