"""Meta graphs: a graph's definition with its collections, its saver and its signatures."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping

from google.protobuf import text_format
from google.protobuf.message import DecodeError

from tensorkiln.frontends.graph.files import aside
from tensorkiln.frontends.graph.files.collections import collection_def, restore_collection
from tensorkiln.frontends.graph.files.import_graph import add_graph_def, as_graph_def
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.files.proto_meta import MetaGraphDef
from tensorkiln.frontends.graph.graph import Graph
from tensorkiln.frontends.graph.stack import get_default_graph
from tensorkiln.frontends.graph.variables import Variable
from tensorkiln.runtime.errors import ModelError

_CONTEXTS = ("cond_context", "while_context")


def export_meta_graph(
    filename: str | None = None,
    meta_info_def: Proto = None,
    graph_def: Proto = None,
    saver_def: Proto = None,
    collection_list: Collection[str] | None = None,
    as_text: bool = False,
    graph: Graph | None = None,
    export_scope: str | None = None,
    clear_devices: bool = False,
    clear_extraneous_savers: bool = False,
    strip_default_attrs: bool = False,
) -> Proto:
    """The default graph (or `graph`) as a MetaGraphDef, written to `filename` if that is given.

    `collection_list` limits the collections; `export_scope` the nodes to those below a scope.
    """
    source = graph or get_default_graph()
    message = MetaGraphDef()
    if meta_info_def is not None:
        message.meta_info_def.MergeFrom(meta_info_def)
    definition = source.as_graph_def() if graph_def is None else graph_def
    message.graph_def.MergeFrom(definition)
    prefix = f"{export_scope}/" if export_scope else ""
    if prefix:
        _keep_below(message.graph_def, prefix)
    if clear_devices:
        for node in message.graph_def.node:
            node.device = ""
    if saver_def is not None:
        message.saver_def.MergeFrom(saver_def)
    for key in source.get_all_collection_keys():
        if key in _CONTEXTS or (collection_list is not None and key not in collection_list):
            continue
        items = source.get_collection(key, prefix or None)
        encoded = collection_def(key, items) if items else None
        if encoded is not None:
            message.collection_def[key].CopyFrom(encoded)
    if filename:
        data = message.SerializeToString()
        if as_text:
            data = text_format.MessageToString(message).encode()
        aside.write_whole(filename, data)
    return message


def _keep_below(definition: Proto, prefix: str) -> None:
    kept = [node for node in definition.node if node.name.startswith(prefix)]
    copies = [type(node).FromString(node.SerializeToString()) for node in kept]
    del definition.node[:]
    definition.node.extend(copies)


def read_meta_graph_file(filename: str) -> Proto:
    """The MetaGraphDef of a file, binary or text; OSError without a file, ModelError for a
    broken one."""
    if not os.path.exists(filename):
        raise OSError(f"File does not exist. Received: {filename}.")
    with open(filename, "rb") as file:
        data = file.read()
    return parse_binary_or_text(data, MetaGraphDef, filename)


def parse_binary_or_text(data: bytes, kind: type[Proto], path: str) -> Proto:
    """A message from its binary or its text form; ModelError names the file."""
    try:
        return kind.FromString(data)
    except DecodeError:
        message = kind()
    try:
        text_format.Merge(data.decode(), message)
    except (UnicodeDecodeError, text_format.ParseError) as error:
        raise ModelError(f"cannot parse {path}: {error}") from None
    return message


def add_meta_graph(
    message: Proto,
    clear_devices: bool = False,
    import_scope: str | None = None,
    input_map: Mapping[str, object] | None = None,
    return_elements: Collection[str] | None = None,
) -> list[object] | None:
    """Adds a meta graph's operations and collections to the default graph.

    Nodes that cannot be read, and what depends on them, are left out with a warning: graphs of
    training programs hold much that is not needed to go on with the model.
    """
    definition = as_graph_def(message.graph_def)
    if clear_devices:
        definition = type(definition).FromString(definition.SerializeToString())
        for node in definition.node:
            node.device = ""
    graph = get_default_graph()
    wanted = None if return_elements is None else list(return_elements)
    elements = add_graph_def(definition, input_map, wanted, import_scope or "", strict=False)
    scope = f"{import_scope}/" if import_scope else ""
    variables: dict[str, Variable] = {}
    for key in sorted(message.collection_def):
        if key not in _CONTEXTS:
            restore_collection(graph, key, message.collection_def[key], scope, variables)
    return None if elements is None else list(elements)
