"""The standard names of a graph's collections, and access to the default graph's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from tensorkiln.frontends.graph.stack import get_default_graph

if TYPE_CHECKING:
    from tensorkiln.frontends.graph.variables import Variable


class GraphKeys:
    """Standard collections."""

    GLOBAL_VARIABLES = "variables"
    VARIABLES = "variables"
    LOCAL_VARIABLES = "local_variables"
    MODEL_VARIABLES = "model_variables"
    METRIC_VARIABLES = "metric_variables"
    TRAINABLE_VARIABLES = "trainable_variables"
    MOVING_AVERAGE_VARIABLES = "moving_average_variables"
    SUMMARIES = "summaries"
    QUEUE_RUNNERS = "queue_runners"
    TABLE_INITIALIZERS = "table_initializer"
    ASSET_FILEPATHS = "asset_filepaths"
    REGULARIZATION_LOSSES = "regularization_losses"
    LOSSES = "losses"
    WEIGHTS = "weights"
    BIASES = "biases"
    ACTIVATIONS = "activations"
    UPDATE_OPS = "update_ops"
    SAVEABLE_OBJECTS = "saveable_objects"
    SAVERS = "savers"
    TRAIN_OP = "train_op"
    GLOBAL_STEP = "global_step"
    INIT_OP = "init_op"
    LOCAL_INIT_OP = "local_init_op"
    READY_OP = "ready_op"
    SUMMARY_OP = "summary_op"
    READY_FOR_LOCAL_INIT_OP = "ready_for_local_init_op"
    CONCATENATED_VARIABLES = "concatenated_variables"
    EVAL_STEP = "eval_step"
    RESOURCES = "resources"
    LOCAL_RESOURCES = "local_resources"
    TRAINABLE_RESOURCE_VARIABLES = "trainable_resource_variables"
    COND_CONTEXT = "cond_context"
    WHILE_CONTEXT = "while_context"


def add_to_collection(name: str, value: object) -> None:
    """Adds `value` to a collection of the default graph."""
    get_default_graph().add_to_collection(name, value)


def add_to_collections(names: Sequence[str] | str, value: object) -> None:
    """Adds `value` to collections of the default graph."""
    get_default_graph().add_to_collections(names, value)


def get_collection(key: str, scope: str | None = None) -> list[object]:
    """A copy of a collection of the default graph; empty for an unknown name."""
    return get_default_graph().get_collection(key, scope)


def get_collection_ref(key: str) -> list[object]:
    """The list itself of a collection of the default graph."""
    return get_default_graph().get_collection_ref(key)


def _variables(key: str, scope: str | None) -> list[Variable]:
    return cast("list[Variable]", get_collection(key, scope))


def global_variables(scope: str | None = None) -> list[Variable]:
    """The variables shared by all steps, in the order they were made."""
    return _variables(GraphKeys.GLOBAL_VARIABLES, scope)


def local_variables(scope: str | None = None) -> list[Variable]:
    """The variables that are not saved, such as counters."""
    return _variables(GraphKeys.LOCAL_VARIABLES, scope)


def model_variables(scope: str | None = None) -> list[Variable]:
    """The variables that a model marks as its own."""
    return _variables(GraphKeys.MODEL_VARIABLES, scope)


def trainable_variables(scope: str | None = None) -> list[Variable]:
    """The variables that optimizers update, in the order they were made."""
    return _variables(GraphKeys.TRAINABLE_VARIABLES, scope)


def moving_average_variables(scope: str | None = None) -> list[Variable]:
    """The variables that have a moving average."""
    return _variables(GraphKeys.MOVING_AVERAGE_VARIABLES, scope)
