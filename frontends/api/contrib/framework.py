"""`tf.contrib.framework`: the step counter and collections of variables."""

from tensorkiln.frontends.graph.graph_keys import (
    global_variables,
    local_variables,
    model_variables,
    trainable_variables,
)  # fmt: skip
from tensorkiln.frontends.graph.nest import flatten, map_structure, pack_sequence_as
from tensorkiln.frontends.graph.schedules import (
    assert_global_step,
    create_global_step,
    get_global_step,
    get_or_create_global_step,
)

get_trainable_variables = trainable_variables
get_model_variables, get_local_variables = model_variables, local_variables
get_variables = global_variables


class nest:
    """Functions of nested structures."""

    flatten = staticmethod(flatten)
    map_structure = staticmethod(map_structure)
    pack_sequence_as = staticmethod(pack_sequence_as)
