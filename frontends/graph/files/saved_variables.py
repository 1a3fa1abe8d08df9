"""Which variables a Saver saves, and under which names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tensorkiln.frontends.graph.convert import Convertible
from tensorkiln.frontends.graph.graph_keys import GraphKeys, get_collection, global_variables
from tensorkiln.frontends.graph.lowering import variable_of
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.partitioned_variable import PartitionedVariable
from tensorkiln.frontends.graph.save_slices import label, slice_of, split_label
from tensorkiln.frontends.graph.tensor import Tensor


def saved_variables(var_list: object) -> dict[str, Operation]:
    """The variables' ops by the names in the checkpoint (with slices: `save_slices.label`), sorted.

    `var_list` is a list of variables, a mapping from names to variables, or None for all global
    variables and the collection `saveable_objects`.  TypeError and ValueError are TensorFlow's.
    """
    if var_list is None:
        extra = get_collection(GraphKeys.SAVEABLE_OBJECTS)
        return _by_names(list(dict.fromkeys([*global_variables(), *extra])))
    if isinstance(var_list, Mapping):
        found = {}
        for name, value in var_list.items():
            if isinstance(value, PartitionedVariable | list | tuple):
                found.update(_parts(str(name), list(value)))
                continue
            op = _variable(value)
            if op is None:
                raise TypeError(
                    "names_to_saveables must be a dict mapping string names to Tensors/Variables. "
                    f"Not a variable: {value}"
                )
            found[str(name)] = op
        return dict(sorted(found.items()))
    if isinstance(var_list, Sequence | set | frozenset) and not isinstance(var_list, str | bytes):
        return _by_names(list(var_list))
    raise TypeError(f"Variables to save should be passed in a dict or a list. Got {var_list}")


def _by_names(values: Sequence[object]) -> dict[str, Operation]:
    found: dict[str, Operation] = {}
    for value in values:
        if isinstance(value, PartitionedVariable):
            found.update(_parts(None, list(value)))
            continue
        op = _variable(value)
        if op is None:
            raise TypeError(f"Variable to save is not a Variable: {value}")
        sliced = slice_of(op)
        name = op.name if sliced is None else label(*sliced)
        if name in found:
            raise ValueError(f"At least two variables have the same name: {op.name}")
        found[name] = op
    return dict(sorted(found.items()))


def _parts(name: str | None, values: Sequence[object]) -> dict[str, Operation]:
    """The parts of one variable, saved under `name` or under its own."""
    found: dict[str, Operation] = {}
    for value in values:
        op = _variable(value)
        sliced = None if op is None else slice_of(op)
        if op is None or sliced is None:
            raise ValueError(f"Slices must all be slices: {value}")
        found[label(name or sliced[0], sliced[1])] = op
    if len({split_label(key)[0] for key in found}) > 1:
        raise ValueError(f"Slices must all be from the same tensor: {sorted(found)}")
    return found


def _variable(value: object) -> Operation | None:
    """The VariableV2 op that a variable, or its mutable tensor, stands for."""
    if isinstance(value, Operation):
        return value if value.type == "VariableV2" else None
    if not isinstance(value, Convertible):
        return None
    tensor = value._as_tensor(as_ref=True)
    return variable_of(tensor) if isinstance(tensor, Tensor) and tensor.dtype.is_ref else None
