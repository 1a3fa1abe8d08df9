"""tf.train.init_from_checkpoint: initializers that read a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tensorkiln.frontends.graph.convert import constant_tensor
from tensorkiln.frontends.graph.files import ops_save
from tensorkiln.frontends.graph.files.checkpoint_reader import CheckpointReader, load_checkpoint
from tensorkiln.frontends.graph.graph_keys import global_variables
from tensorkiln.frontends.graph.kinds import TABLE
from tensorkiln.frontends.graph.shapes import compatible, show
from tensorkiln.frontends.graph.variables import Variable

FAMILY = ops_save
"""The module of the op that reads."""


def init_from_checkpoint(
    ckpt_dir_or_file: str, assignment_map: Mapping[str, object] | Sequence[tuple[str, object]]
) -> None:
    """Makes initializers read their values from a checkpoint.

    `assignment_map` maps names in the checkpoint to variables or their names, or scopes there
    (`old/`, or `/` for the root) to scopes here.  ValueError for what is in neither, and for
    shapes that differ.
    """
    reader = load_checkpoint(ckpt_dir_or_file)
    mapping = assignment_map if isinstance(assignment_map, Mapping) else dict(assignment_map)
    for there, here in mapping.items():
        for name, variable in _pairs(reader, there, here, ckpt_dir_or_file):
            _initialize(reader, name, variable)


def _pairs(
    reader: CheckpointReader, there: str, here: object, path: str
) -> list[tuple[str, Variable]]:
    """Names in the checkpoint and the variables that take their values."""
    known = {variable.op.name: variable for variable in global_variables()}
    if isinstance(here, Variable):
        return [(_known(reader, there, path), here)]
    if not isinstance(here, str):
        raise ValueError(f"{here!r} is neither a variable nor the name of one or of a scope")
    if not here.endswith("/"):
        if here not in known:
            raise ValueError(f"Variable {here} is not found in the graph, for {there} of {path}")
        return [(_known(reader, there, path), known[here])]
    if not there.endswith("/"):
        raise ValueError(
            f"Assignment map with scope only name {here} should map to scope only {there}. Should "
            "be 'scope/': 'other_scope/'."
        )
    old, new = there.removeprefix("/"), here.removeprefix("/")
    inside = [(name, v) for name, v in known.items() if name.startswith(new)]
    if not inside:
        raise ValueError(f"the graph has no variable below {here!r}")
    return [(_known(reader, old + name.removeprefix(new), path), v) for name, v in inside]


def _known(reader: CheckpointReader, name: str, path: str) -> str:
    if not reader.has_tensor(name):
        raise ValueError(f"Tensor {name} is not found in {path} checkpoint")
    return name


def _initialize(reader: CheckpointReader, name: str, variable: Variable) -> None:
    shape = tuple(reader.get_variable_to_shape_map()[name])
    sizes = variable.op.outputs[0].sizes
    if not compatible(sizes, shape):
        raise ValueError(
            f"Shape of variable {variable.name} ({show(sizes)}) doesn't match with shape of tensor "
            f"{name} ({list(shape)}) from checkpoint reader."
        )
    graph = variable.graph
    with (
        graph.as_default(), graph.control_dependencies(None),
        graph.name_scope(None), graph.name_scope("checkpoint_initializer"),
    ):  # fmt: skip
        inputs = (
            constant_tensor(np.array(reader.path.encode(), object), "prefix"),
            constant_tensor(np.array([name.encode()], object), "tensor_names"),
            constant_tensor(np.array([b""], object), "shape_and_slices"),
        )
        kinds = {"dtypes": (variable.dtype.base_dtype,)}
        read = graph.create_op(TABLE["RestoreV2"], inputs, kinds, "RestoreV2").outputs[0]
        read.set_shape(shape)
        variable.start_with(read)
