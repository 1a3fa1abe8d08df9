"""SyncReplicasOptimizer: gradients of several steps are averaged and applied as one.

Chen, Monga, Bengio, Jozefowicz: Revisiting Distributed Synchronous SGD (2016), for one worker,
whose steps stand for those of the replicas.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.averages import ExponentialMovingAverage
from tensorkiln.frontends.graph.control_flow import cond
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.graph_keys import GraphKeys
from tensorkiln.frontends.graph.monitored.coordinator import Coordinator
from tensorkiln.frontends.graph.monitored.hooks import SessionRunHook
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_constant import no_op, zeros
from tensorkiln.frontends.graph.ops_elementwise import equal
from tensorkiln.frontends.graph.ops_state import assign, assign_add
from tensorkiln.frontends.graph.optimizer import Optimizer, Pair
from tensorkiln.frontends.graph.scopes import control_dependencies, group, name_scope
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.variables import Variable


class SyncReplicasOptimizer(Optimizer):
    """Applies, by `opt`, the mean of the gradients of `replicas_to_aggregate` steps.

    The step counter goes up with each update.  Sums are local variables, which need their
    initializer; moving averages of `variables_to_average`, if given, follow each update.
    """

    def __init__(
        self, opt: Optimizer, replicas_to_aggregate: int, total_num_replicas: int | None = None,
        variable_averages: ExponentialMovingAverage | None = None,
        variables_to_average: Sequence[Variable] | None = None, use_locking: bool = False,
        name: str = "sync_replicas",
    ) -> None:  # fmt: skip
        super().__init__(use_locking, name)
        if replicas_to_aggregate < 1:
            raise ValueError(f"replicas_to_aggregate must be positive, got {replicas_to_aggregate}")
        if (variable_averages is None) != (variables_to_average is None):
            raise ValueError("variable_averages and variables_to_average come together")
        self._opt, self._count_of_steps = opt, replicas_to_aggregate
        self._averages, self._averaged = variable_averages, variables_to_average
        self._applied = False

    def compute_gradients(self, *args: object, **kwargs: object) -> list[Pair]:
        """As the optimizer inside."""
        return self._opt.compute_gradients(*args, **kwargs)  # type: ignore[arg-type]

    def apply_gradients(
        self, grads_and_vars: Iterable[tuple[object, Variable]],
        global_step: Variable | None = None, name: str | None = None,
    ) -> Operation:  # fmt: skip
        """Adds the gradients to the sums; the last of the steps applies their means."""
        if global_step is None:
            raise ValueError("Global step is required to check staleness")
        pairs = [(g, v) for g, v in grads_and_vars if g is not None]
        if not pairs:
            raise ValueError("Must supply at least one variable")
        self._applied = True
        with name_scope(None, self._name):
            count = _local(zeros([], dtypes.int32), "count")
            sums = [_local(zeros(v.shape, v.dtype.base_dtype), "sum") for _, v in pairs]
            adds = [
                assign_add(total, convert_to_tensor(gradient)).op
                for total, (gradient, _) in zip(sums, pairs, strict=True)
            ]
            adds.append(assign_add(count, 1).op)
            with control_dependencies(adds):
                full = equal(count.read_value(), self._count_of_steps)

            def update() -> Operation:
                return self._update(count, sums, [v for _, v in pairs], global_step)

            chosen = cond(full, update, no_op, name="apply")
            assert isinstance(chosen, Tensor)
            return group(chosen.op, name=name or "train")

    def _update(
        self, count: Variable, sums: Sequence[Variable], variables: Sequence[Variable],
        global_step: Variable,
    ) -> Operation:  # fmt: skip
        means = [total.read_value() / float(self._count_of_steps) for total in sums]
        done = self._opt.apply_gradients(list(zip(means, variables, strict=True)), global_step)
        with control_dependencies([done]):
            resets = [assign(total, zeros(total.shape, total.dtype.base_dtype)) for total in sums]
            last = [*(reset.op for reset in resets), assign(count, 0).op]
            if self._averages is not None:
                last.append(self._averages.apply(list(self._averaged or ())))
            return group(*last)

    def get_slot(self, var: Variable, name: str) -> Variable | None:
        """The slot of the optimizer inside."""
        return self._opt.get_slot(var, name)

    def get_slot_names(self) -> list[str]:
        """The slots of the optimizer inside."""
        return self._opt.get_slot_names()

    def variables(self) -> list[Variable]:
        """The variables of the optimizer inside."""
        return self._opt.variables()

    def get_init_tokens_op(self, num_tokens: int = -1) -> Operation:
        """Nothing to do: one worker waits for no token."""
        return no_op("init_tokens")

    def make_session_run_hook(self, is_chief: bool, num_tokens: int = -1) -> SessionRunHook:
        """The hook that programs give to their monitored session."""
        return _SyncReplicasHook(self)


class _SyncReplicasHook(SessionRunHook):
    """Checks that gradients are applied."""

    def __init__(self, optimizer: SyncReplicasOptimizer) -> None:
        self._optimizer = optimizer

    def begin(self) -> None:
        """See SessionRunHook."""
        if not self._optimizer._applied:
            raise ValueError("SyncReplicasOptimizer should apply gradients before the session")

    def after_create_session(self, session: object, coord: Coordinator) -> None:
        """Nothing to start."""


def _local(initial: Tensor, name: str) -> Variable:
    return Variable(initial, trainable=False, collections=[GraphKeys.LOCAL_VARIABLES], name=name)
