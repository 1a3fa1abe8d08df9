"""tf.train.import_meta_graph: a graph read from a file, and the saver of its variables."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.files.meta_graph import add_meta_graph, read_meta_graph_file
from tensorkiln.frontends.graph.files.saver import Saver, in_scope
from tensorkiln.frontends.graph.graph_keys import global_variables


def import_meta_graph(
    meta_graph_or_file: object,
    clear_devices: bool = False,
    import_scope: str | None = None,
    input_map: Mapping[str, object] | None = None,
    return_elements: Collection[str] | None = None,
) -> Saver | None:
    """Adds a meta graph (a message or a file's path) to the default graph, below `import_scope`.

    The result is the saver that wrote it, or one of all variables; None if there are none.
    """
    message: Proto = meta_graph_or_file
    if isinstance(meta_graph_or_file, str):
        message = read_meta_graph_file(meta_graph_or_file)
    add_meta_graph(message, clear_devices, import_scope, input_map, return_elements)
    if message.HasField("saver_def"):
        return Saver(saver_def=in_scope(message.saver_def, import_scope))
    if global_variables(scope=import_scope):
        return Saver(name=import_scope)
    return None
