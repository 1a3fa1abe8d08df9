"""tf.train.Saver: writes a session's variables to checkpoints and reads them back."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Sequence

import numpy as np

from tensorkiln.frontends.graph import logs
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.errors import InvalidArgumentError, NotFoundError
from tensorkiln.frontends.graph.files import bundle
from tensorkiln.frontends.graph.files.checkpoint_state import (
    checkpoint_exists,
    update_checkpoint_state,
)
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.files.meta_graph import export_meta_graph
from tensorkiln.frontends.graph.files.ops_save import Checkpoint, at, open_bundle, read_checked
from tensorkiln.frontends.graph.files.proto_checkpoint import SaverDef
from tensorkiln.frontends.graph.files.retention import Retention, delete_all
from tensorkiln.frontends.graph.files.saved_variables import saved_variables
from tensorkiln.frontends.graph.files.saver_ops import add_saver_ops, saver_variables
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.session import BaseSession
from tensorkiln.frontends.graph.shapes import compatible
from tensorkiln.frontends.graph.stack import get_default_graph
from tensorkiln.frontends.graph.tensor import Tensor

_RESTORE_FAILED = (
    "Restoring from checkpoint failed. This is most likely due to a {cause}. Please ensure that "
    "you have not altered the graph expected based on the checkpoint. Original error:\n\n{error}"
)
_MISSING = "Variable name or other graph key that is missing from the checkpoint"
_MISMATCH = "mismatch between the current graph and the graph from the checkpoint"


class Saver:
    """Saves variables (a list, names to variables, None: all global ones) of a session.

    `max_to_keep` checkpoints are kept (None or 0: all), and one every
    `keep_checkpoint_every_n_hours`.  Everything goes to one data file, `sharded` or not.
    """

    def __init__(
        self,
        var_list: object = None,
        reshape: bool = False,
        sharded: bool = False,
        max_to_keep: int | None = 5,
        keep_checkpoint_every_n_hours: float = 10000.0,
        name: str | None = None,
        restore_sequentially: bool = False,
        saver_def: Proto = None,
        builder: object = None,
        defer_build: bool = False,
        allow_empty: bool = False,
        write_version: int = SaverDef.V2,
        pad_step_number: bool = False,
        save_relative_paths: bool = False,
        filename: str | None = None,
    ) -> None:
        if defer_build and var_list:
            raise ValueError(
                "If `var_list` is provided then build cannot be deferred. Either set "
                "defer_build=False or var_list=None."
            )
        if write_version == SaverDef.V1:
            raise ValueError("checkpoints are written in format V2 only")
        self._var_list = var_list
        self._reshape = reshape
        self._name = name
        self._allow_empty = allow_empty
        self._pad_step_number = pad_step_number
        self._save_relative_paths = save_relative_paths
        self._filename = filename or "model"
        self._variables: dict[str, Operation] = {}
        self._saving = threading.Lock()
        self.saver_def: Proto = saver_def
        limit = saver_def.max_to_keep if saver_def is not None else max_to_keep
        hours = (
            saver_def.keep_checkpoint_every_n_hours
            if saver_def is not None
            else keep_checkpoint_every_n_hours
        )
        self._retention = Retention(limit or 0, hours)
        if saver_def is not None:
            self._variables = saver_variables(get_default_graph(), saver_def)
        elif not defer_build:
            self.build()

    def build(self) -> None:
        """Adds the saver's ops to the default graph; ValueError if there is nothing to save."""
        if self.saver_def is not None:
            return
        graph = get_default_graph()
        self._variables = saved_variables(self._var_list)
        if not self._variables and not self._allow_empty:
            raise ValueError("No variables to save")
        if self._variables:
            graph = next(iter(self._variables.values())).graph
        scope = self._name or "save"
        self.saver_def = add_saver_ops(graph, self._variables, self._filename, scope)
        self.saver_def.max_to_keep = self._retention.max_to_keep
        self.saver_def.keep_checkpoint_every_n_hours = self._retention.interval / 3600

    # -- saving ----------------------------------------------------------------------------

    def save(
        self,
        sess: BaseSession,
        save_path: str,
        global_step: object = None,
        latest_filename: str | None = None,
        meta_graph_suffix: str = "meta",
        write_meta_graph: bool = True,
        write_state: bool = True,
        strip_default_attrs: bool = False,
        save_debug_info: bool = False,
    ) -> str | None:
        """Writes a checkpoint; the result is its path, `save_path` with `-<global_step>`.

        A crash at any time leaves the checkpoints before this one, and this one if it was
        written.  ValueError for wrong paths, FailedPreconditionError for variables without value.
        """
        self._check_built("save")
        if not isinstance(sess, BaseSession):
            raise TypeError(f"'sess' must be a Session; {sess}")
        prefix = self._prefix(sess, os.fspath(save_path), global_step)
        if latest_filename and os.path.dirname(latest_filename):
            raise ValueError("'latest_filename' must not contain path components")
        folder = os.path.dirname(prefix)
        if folder and not os.path.isdir(folder):
            raise ValueError(f"Parent directory of {save_path} doesn't exist, can't save.")
        if not self._variables:
            return None
        with self._saving:
            values = {name: sess.variable_value(op) for name, op in self._variables.items()}
            bundle.write_bundle(prefix, values)
            if write_state:
                self._retention.record(prefix)
                surplus = self._retention.take_surplus()
                update_checkpoint_state(
                    folder, prefix, self.last_checkpoints, latest_filename,
                    save_relative_paths=self._save_relative_paths,
                )  # fmt: skip
                delete_all(surplus, meta_graph_suffix)
        if write_meta_graph:
            with sess.graph.as_default():
                self.export_meta_graph(f"{prefix}.{meta_graph_suffix}")
        return prefix

    def _check_built(self, what: str) -> None:
        if self.saver_def is None:
            raise RuntimeError(f"`build()` should be called before {what} if defer_build==True")

    def _prefix(self, sess: BaseSession, save_path: str, global_step: object) -> str:
        if not save_path:
            raise ValueError("no path specified")
        if global_step is None:
            if os.path.basename(save_path) == "checkpoint" and not os.path.dirname(save_path):
                raise ValueError(
                    "'latest_filename' collides with 'save_path': 'checkpoint' and 'checkpoint'"
                )
            return save_path
        if not isinstance(global_step, int | np.integer):
            global_step = int(np.asarray(sess.run(global_step)))
        form = "{}-{:08d}" if self._pad_step_number else "{}-{:d}"
        return form.format(save_path, global_step)

    # -- restoring -------------------------------------------------------------------------

    def restore(self, sess: BaseSession, save_path: str | None) -> None:
        """Gives the variables the values of a checkpoint; none needs an initializer then.

        ValueError if there is no such checkpoint, NotFoundError for a missing variable,
        InvalidArgumentError for one of another dtype or shape.  All or none are changed.
        """
        self._check_built("restore")
        if save_path is None:
            raise ValueError("Can't load save_path when it is None.")
        path = os.fspath(save_path)
        if not checkpoint_exists(path):
            raise ValueError(f"The passed save_path is not a valid checkpoint: {path}")
        logs.info("Restoring parameters from %s", path)
        if not self._variables:
            return
        op = self._restore_op(sess)
        try:
            source = open_bundle(path, op)
            values = {
                variable: self._value(source, name, variable, op)
                for name, variable in self._variables.items()
            }
        except NotFoundError as error:
            text = _RESTORE_FAILED.format(cause=_MISSING, error=error)
            raise NotFoundError(error.node_def, error.op, text) from None
        except InvalidArgumentError as error:
            text = _RESTORE_FAILED.format(cause=_MISMATCH, error=error)
            raise InvalidArgumentError(error.node_def, error.op, text) from None
        for variable, value in values.items():
            sess.assign_value(variable, value)

    def _restore_op(self, sess: BaseSession) -> Operation:
        """The op that errors name: the reading one, or that which waits for all."""
        name = str(self.saver_def.restore_op_name)
        reading = f"{name.rpartition('/')[0]}/RestoreV2".removeprefix("/")
        known = reading in {op.name for op in sess.graph.get_operations()}
        return sess.graph.get_operation_by_name(reading if known else name)

    def _value(self, source: Checkpoint, name: str, variable: Operation, op: Operation) -> Array:
        tensor = variable.outputs[0]
        value = read_checked(source, name, tensor.dtype.base_dtype, op)
        if self._reshape and value.size == tensor.shape.num_elements():
            value = value.reshape(tensor.shape.as_list())
        if not compatible(tensor.sizes, value.shape):
            assigned = _assignment(tensor, op)
            left, right = (
                "[" + ",".join("?" if n is None else str(n) for n in sizes or ()) + "]"
                for sizes in (tensor.sizes, value.shape)
            )
            raise InvalidArgumentError(
                assigned.name, assigned, "Assign requires shapes of both tensors to match. lhs "
                f"shape= {left} rhs shape= {right}{at(assigned)}",
            )  # fmt: skip
        return value

    @property
    def variables(self) -> dict[str, Operation]:
        """The variables' operations by their names in checkpoints."""
        return dict(self._variables)

    # -- what has been saved ---------------------------------------------------------------

    @property
    def last_checkpoints(self) -> list[str]:
        """The paths of the checkpoints that are kept, oldest first."""
        return [path for path, _ in self._retention.checkpoints]

    def set_last_checkpoints(self, last_checkpoints: Sequence[str]) -> None:
        """Sets the list of checkpoints; their times are unknown."""
        self.set_last_checkpoints_with_time([(path, float("nan")) for path in last_checkpoints])

    def set_last_checkpoints_with_time(
        self, last_checkpoints_with_time: Sequence[tuple[str, float]]
    ) -> None:
        """Sets the list of checkpoints and of the times (in seconds) at which they were written."""
        self._retention.checkpoints = list(last_checkpoints_with_time)

    def recover_last_checkpoints(self, checkpoint_paths: Sequence[str]) -> None:
        """Goes on counting from checkpoints of an earlier run; those that are gone are left out."""
        self._retention.recover(checkpoint_paths)

    def as_saver_def(self) -> Proto:
        """The description of the saver's ops (SaverDef)."""
        return self.saver_def

    def to_proto(self, export_scope: str | None = None) -> Proto:
        """The description of the saver's ops (SaverDef)."""
        return self.saver_def

    def export_meta_graph(
        self,
        filename: str | None = None,
        collection_list: Collection[str] | None = None,
        as_text: bool = False,
        export_scope: str | None = None,
        clear_devices: bool = False,
        clear_extraneous_savers: bool = False,
        strip_default_attrs: bool = False,
        save_debug_info: bool = False,
    ) -> Proto:
        """The default graph with this saver as a MetaGraphDef, written to `filename` if given."""
        return export_meta_graph(
            filename, saver_def=self.saver_def, collection_list=collection_list, as_text=as_text,
            export_scope=export_scope, clear_devices=clear_devices,
        )  # fmt: skip

    @staticmethod
    def from_proto(saver_def: Proto, import_scope: str | None = None) -> Saver:
        """A saver of ops that are in the default graph (below `import_scope`)."""
        return Saver(saver_def=in_scope(saver_def, import_scope))


def in_scope(saver_def: Proto, scope: str | None) -> Proto:
    """The description of saver ops that were imported below `scope`."""
    moved = SaverDef.FromString(saver_def.SerializeToString())
    if scope:
        for field in ("filename_tensor_name", "save_tensor_name", "restore_op_name"):
            setattr(moved, field, f"{scope}/{getattr(saver_def, field)}")
    return moved


def _assignment(tensor: Tensor, restore: Operation) -> Operation:
    """The saver's op that assigns to a variable."""
    sources = set(restore.outputs)
    for op in restore.graph.get_operations():
        if op.type == "Assign" and op.inputs[0] is tensor and op.inputs[1] in sources:
            return op
    return restore
