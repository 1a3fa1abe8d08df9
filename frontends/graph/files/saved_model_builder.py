"""Writing saved models: `saved_model.pb`, `variables/` and `assets/` in a folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence

from google.protobuf import text_format

from tensorkiln.frontends.graph.files import aside, signature_constants, tag_constants
from tensorkiln.frontends.graph.files import saved_model_constants as names
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.files.meta_graph import export_meta_graph
from tensorkiln.frontends.graph.files.node_order import order_of
from tensorkiln.frontends.graph.files.proto_graph import GraphDef
from tensorkiln.frontends.graph.files.proto_meta import AssetFileDef, SavedModel
from tensorkiln.frontends.graph.files.saver import Saver
from tensorkiln.frontends.graph.files.signatures import PRIVATE
from tensorkiln.frontends.graph.files.signatures_of_models import (
    build_tensor_info,
    predict_signature_def,
)
from tensorkiln.frontends.graph.graph import Graph
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.session import BaseSession
from tensorkiln.frontends.graph.stack import get_default_graph
from tensorkiln.frontends.graph.tensor import Tensor


class SavedModelBuilder:
    """Collects meta graphs and variables, then writes them to a new or empty folder."""

    def __init__(self, export_dir: str) -> None:
        """AssertionError if the folder holds something."""
        self._folder = os.fspath(export_dir)
        if os.path.isdir(self._folder) and os.listdir(self._folder):
            raise AssertionError(
                "Export directory already exists, and isn't empty. Please choose a different "
                "export directory, or delete all the contents of the specified directory: "
                f"{self._folder}"
            )
        os.makedirs(self._folder, exist_ok=True)
        self._model = SavedModel(saved_model_schema_version=names.SAVED_MODEL_SCHEMA_VERSION)
        self._has_variables = False

    def add_meta_graph_and_variables(
        self,
        sess: BaseSession,
        tags: Sequence[str],
        signature_def_map: Mapping[str, Proto] | None = None,
        assets_collection: Iterable[Tensor] | None = None,
        legacy_init_op: Operation | None = None,
        clear_devices: bool = False,
        main_op: Operation | None = None,
        strip_default_attrs: bool = False,
        saver: Saver | None = None,
        assets_list: Iterable[Tensor] | None = None,
    ) -> None:
        """Adds the session's graph and writes its variables' values; once, before all others.

        What only this front end can compute (gradients and what depends on them) is left out of
        the graph, so that TensorFlow can read it.
        """
        if self._has_variables:
            raise AssertionError(
                "Graph state including variables and assets has already been saved. Please invoke "
                "`add_meta_graph()` instead."
            )
        with sess.graph.as_default():
            used = saver or Saver(allow_empty=True)
        folder = os.path.join(self._folder, names.VARIABLES_DIRECTORY)
        os.makedirs(folder, exist_ok=True)
        prefix = os.path.join(folder, names.VARIABLES_FILENAME)
        used.save(sess, prefix, write_meta_graph=False, write_state=False)
        self._has_variables = True
        assets = list(assets_list or assets_collection or ())
        self._add(sess.graph, used, tags, signature_def_map, assets, main_op or legacy_init_op,
                  clear_devices)  # fmt: skip

    def add_meta_graph(
        self,
        tags: Sequence[str],
        signature_def_map: Mapping[str, Proto] | None = None,
        assets_collection: Iterable[Tensor] | None = None,
        legacy_init_op: Operation | None = None,
        clear_devices: bool = False,
        main_op: Operation | None = None,
        strip_default_attrs: bool = False,
        saver: Saver | None = None,
        assets_list: Iterable[Tensor] | None = None,
    ) -> None:
        """Adds the default graph, which shares the variables that were written first."""
        if not self._has_variables:
            raise AssertionError(
                "Graph state including variables and assets has not been saved yet. Please invoke "
                "`add_meta_graph_and_variables()` first."
            )
        used = saver or Saver(allow_empty=True)
        graph = get_default_graph()
        assets = list(assets_list or assets_collection or ())
        self._add(graph, used, tags, signature_def_map, assets, main_op or legacy_init_op,
                  clear_devices)  # fmt: skip

    def _add(
        self, graph: Graph, saver: Saver, tags: Sequence[str],
        signatures: Mapping[str, Proto] | None, assets: Sequence[Tensor],
        main_op: Operation | None, clear_devices: bool,
    ) -> None:  # fmt: skip
        definition = graph.as_graph_def()
        public = order_of(definition, lambda node: node.op not in PRIVATE)
        kept = {node.name for node in public}
        part = GraphDef(versions=definition.versions)
        part.node.extend(node for node in definition.node if node.name in kept)
        message: Proto = export_meta_graph(
            graph_def=part, saver_def=saver.as_saver_def(), graph=graph,
            clear_devices=clear_devices,
        )  # fmt: skip
        _drop_missing(message, kept)
        message.meta_info_def.tags.extend([tags] if isinstance(tags, str) else tags)
        for key, signature in (signatures or {}).items():
            _check_signature(key, signature)
            message.signature_def[key].CopyFrom(signature)
        if main_op is not None:
            message.collection_def[names.MAIN_OP_KEY].node_list.value.append(main_op.name)
        for tensor in assets:
            self._add_asset(message, tensor)
        self._model.meta_graphs.append(message)

    def _add_asset(self, message: Proto, tensor: Tensor) -> None:
        """Copies the file that a constant tensor names."""
        path = _asset_path(tensor)
        name = os.path.basename(path)
        folder = os.path.join(self._folder, names.ASSETS_DIRECTORY)
        os.makedirs(folder, exist_ok=True)
        shutil.copyfile(path, os.path.join(folder, name))
        asset = AssetFileDef(filename=name, tensor_info=build_tensor_info(tensor))
        message.asset_file_def.append(asset)
        message.collection_def[names.ASSETS_KEY].any_list.value.add().Pack(asset)

    def save(self, as_text: bool = False) -> bytes:
        """Writes the description; the result is its path, as bytes."""
        name = names.SAVED_MODEL_FILENAME_PBTXT if as_text else names.SAVED_MODEL_FILENAME_PB
        path = os.path.join(self._folder, name)
        data = self._model.SerializeToString()
        if as_text:
            data = text_format.MessageToString(self._model).encode()
        aside.write_whole(path, data)
        return os.fsencode(path)


def _asset_path(tensor: Tensor) -> str:
    value = tensor.op.attributes.get("value")
    if tensor.op.type != "Const" or value is None:
        raise ValueError(f"the asset {tensor.name!r} is no constant that names a file")
    (item,) = value.reshape(-1)  # type: ignore[attr-defined]
    return os.fsdecode(item)


def _check_signature(key: str, signature: Proto) -> None:
    for info in (*signature.inputs.values(), *signature.outputs.values()):
        if not info.WhichOneof("encoding") or not info.dtype:
            raise AssertionError(
                f"All TensorInfo protos used in the SignatureDefs must have the name and dtype "
                f"fields set: {key}"
            )


def _drop_missing(message: Proto, kept: set[str]) -> None:
    """Takes names of nodes that were left out from the lists of nodes."""
    for key in list(message.collection_def):
        collection = message.collection_def[key]
        if collection.WhichOneof("kind") != "node_list":
            continue
        found = [n for n in collection.node_list.value if n.rpartition(":")[0] in kept or n in kept]
        del collection.node_list.value[:]
        collection.node_list.value.extend(found)
        if not found:
            del message.collection_def[key]


def simple_save(
    session: BaseSession,
    export_dir: str,
    inputs: Mapping[str, Tensor],
    outputs: Mapping[str, Tensor],
    legacy_init_op: Operation | None = None,
) -> None:
    """Writes a saved model with one meta graph, tagged for serving, and one signature."""
    signature = predict_signature_def(inputs, outputs)
    key = signature_constants.DEFAULT_SERVING_SIGNATURE_DEF_KEY
    builder = SavedModelBuilder(export_dir)
    builder.add_meta_graph_and_variables(
        session, [tag_constants.SERVING], {key: signature}, main_op=legacy_init_op,
        clear_devices=True,
    )  # fmt: skip
    builder.save()
