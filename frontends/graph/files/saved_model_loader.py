"""Reading saved models into a session."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection

from tensorkiln.frontends.graph.files import saved_model_constants as names
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.files.meta_graph import add_meta_graph, parse_binary_or_text
from tensorkiln.frontends.graph.files.proto_meta import SavedModel
from tensorkiln.frontends.graph.files.saver import Saver, in_scope
from tensorkiln.frontends.graph.session import BaseSession
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.runtime.errors import ModelError

_LOGGER = logging.getLogger("tensorflow")


def contains_saved_model(export_dir: str) -> bool:
    """True if the folder holds the description of a saved model."""
    return _description(export_dir) is not None


maybe_saved_model_directory = contains_saved_model


def _description(export_dir: str) -> str | None:
    for name in (names.SAVED_MODEL_FILENAME_PB, names.SAVED_MODEL_FILENAME_PBTXT):
        path = os.path.join(os.fspath(export_dir), name)
        if os.path.isfile(path):
            return path
    return None


def read_saved_model(export_dir: str) -> Proto:
    """The description of a saved model; OSError if there is none, ModelError for a broken one."""
    path = _description(export_dir)
    if path is None:
        raise OSError(
            f"SavedModel file does not exist at: {export_dir}/"
            f"{{{names.SAVED_MODEL_FILENAME_PBTXT}|{names.SAVED_MODEL_FILENAME_PB}}}"
        )
    with open(path, "rb") as file:
        return parse_binary_or_text(file.read(), SavedModel, path)


def load(
    sess: BaseSession,
    tags: Collection[str],
    export_dir: str,
    import_scope: str | None = None,
    **saver_kwargs: object,
) -> Proto:
    """Adds the meta graph with exactly these tags to the session's graph and gives the variables
    their values; the result is the MetaGraphDef with its signatures.

    RuntimeError if no meta graph has the tags.
    """
    wanted = {tags} if isinstance(tags, str) else set(tags)
    model = read_saved_model(export_dir)
    found = [graph for graph in model.meta_graphs if set(graph.meta_info_def.tags) == wanted]
    if not found:
        shown = ", ".join(sorted(wanted))
        there = [set(graph.meta_info_def.tags) for graph in model.meta_graphs]
        raise RuntimeError(
            f"MetaGraphDef associated with tags {shown!r} could not be found in SavedModel, with "
            f"available tags '{there}'."
        )
    message = found[0]
    with sess.graph.as_default():
        add_meta_graph(message, import_scope=import_scope)
        if message.HasField("saver_def") and message.saver_def.restore_op_name:
            saver = Saver(saver_def=in_scope(message.saver_def, import_scope))
            folder = os.path.join(os.fspath(export_dir), names.VARIABLES_DIRECTORY)
            if saver.variables:
                saver.restore(sess, os.path.join(folder, names.VARIABLES_FILENAME))
        _run_main_op(sess, message, export_dir, import_scope)
    return message


def _run_main_op(sess: BaseSession, message: Proto, export_dir: str, scope: str | None) -> None:
    """Runs what the model wants run first, with the places of its assets fed."""
    prefix = f"{scope}/" if scope else ""
    there = {op.name for op in sess.graph.get_operations()}
    for key in (names.MAIN_OP_KEY, names.LEGACY_INIT_OP_KEY):
        if key in message.collection_def:
            for name in message.collection_def[key].node_list.value:
                if f"{prefix}{name}" not in there:
                    _LOGGER.warning("%r, to be run first, is left out with what it needs", name)
                    continue
                feeds = _assets(sess, message, export_dir, prefix)
                sess.run(sess.graph.get_operation_by_name(f"{prefix}{name}"), feeds)
            return


def _assets(
    sess: BaseSession, message: Proto, export_dir: str, prefix: str
) -> dict[object, object]:
    """The paths of the assets by the tensors that stand for them."""
    feeds: dict[object, object] = {}
    there = {op.name for op in sess.graph.get_operations()}
    for asset in message.asset_file_def:
        if os.path.basename(asset.filename) != asset.filename or asset.filename in ("", ".."):
            raise ModelError(f"the asset {asset.filename!r} is outside of the model's folder")
        if f"{prefix}{asset.tensor_info.name.rpartition(':')[0]}" not in there:
            continue  # left out with what reads it
        tensor: Tensor = sess.graph.get_tensor_by_name(f"{prefix}{asset.tensor_info.name}")
        folder = os.path.join(os.fspath(export_dir), names.ASSETS_DIRECTORY)
        feeds[tensor] = os.path.join(folder, asset.filename)
    return feeds
