"""freeze_graph: a graph's part for some outputs, the variables of a checkpoint as constants."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tensorkiln.frontends.graph.files import aside
from tensorkiln.frontends.graph.files.graph_util import convert_variables_to_constants
from tensorkiln.frontends.graph.files.import_graph import import_graph_def
from tensorkiln.frontends.graph.files.import_meta import import_meta_graph
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.files.meta_graph import parse_binary_or_text
from tensorkiln.frontends.graph.files.proto_graph import GraphDef
from tensorkiln.frontends.graph.files.saved_model_loader import load
from tensorkiln.frontends.graph.files.saver import Saver
from tensorkiln.frontends.graph.graph import Graph
from tensorkiln.frontends.graph.session import Session
from tensorkiln.runtime.errors import ModelError, TensorKilnError


def main(arguments: Sequence[str]) -> int:
    """The command; the result is the exit status: 0, 1 for what cannot be frozen."""
    options = _parser().parse_args(list(arguments))
    try:
        frozen = _freeze(options)
        aside.write_whole(options.output_graph, frozen.SerializeToString())
    except (TensorKilnError, OSError, ValueError, KeyError, AssertionError, RuntimeError) as error:
        text = error.args[0] if isinstance(error, KeyError) else error
        print(f"freeze_graph: {text}", file=sys.stderr)
        return 1
    print(f"{len(frozen.node)} ops in the final graph.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="freeze_graph", allow_abbrev=False,
        description="Writes the part of a graph that some nodes need, with the variables of a "
        "checkpoint as constants.",
    )  # fmt: skip
    add = parser.add_argument
    add("--input_graph", default="", help="the GraphDef, binary or text")
    add("--input_meta_graph", default="", help="instead of it: a meta graph (.meta)")
    add("--input_saved_model_dir", default="", help="instead of both: a saved model's folder")
    add("--saved_model_tags", default="serve", help="its tags, with commas (default: serve)")
    add("--input_checkpoint", default="", help="the checkpoint with the variables' values")
    add("--output_graph", required=True, help="the file to write, binary")
    add("--output_node_names", required=True, help="the nodes that are wanted, with commas")
    add("--variable_names_whitelist", default="", help="variables to freeze (default: all)")
    add("--variable_names_blacklist", default="", help="variables not to freeze")
    add("--clear_devices", default="true", help="whether nodes lose their devices (true, false)")
    # Taken from command lines as they are: the form of a file shows in the file.
    add("--input_binary", default="", help="accepted")
    return parser


def _freeze(options: argparse.Namespace) -> Proto:
    graph = Graph()
    with graph.as_default(), Session(graph=graph) as session:
        if options.input_saved_model_dir:
            load(session, _names(options.saved_model_tags), options.input_saved_model_dir)
        else:
            _restore(options, session)
        definition = graph.as_graph_def()
        if options.clear_devices.lower() == "true":
            for node in definition.node:
                node.device = ""
        return convert_variables_to_constants(
            session, definition, _names(options.output_node_names),
            _names(options.variable_names_whitelist) or None,
            _names(options.variable_names_blacklist) or None,
        )  # fmt: skip


def _restore(options: argparse.Namespace, session: Session) -> None:
    """Reads the graph, then the variables it has from the checkpoint."""
    if bool(options.input_graph) == bool(options.input_meta_graph):
        raise ModelError("give --input_graph, --input_meta_graph or --input_saved_model_dir")
    if not options.input_checkpoint:
        raise ModelError("give --input_checkpoint")
    if options.input_meta_graph:
        saver = import_meta_graph(options.input_meta_graph)
    else:
        data = Path(options.input_graph).read_bytes()
        import_graph_def(parse_binary_or_text(data, GraphDef, options.input_graph), name="")
        operations = session.graph.get_operations()
        found = {op.name: op for op in operations if op.type == "VariableV2"}
        saver = Saver(found) if found else None
    if saver is not None:
        saver.restore(session, options.input_checkpoint)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
