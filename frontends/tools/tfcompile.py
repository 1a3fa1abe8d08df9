"""tfcompile: the part of a graph between feeds and fetches as an object file and a C++ class."""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tensorkiln.compiler.cache import default_cache
from tensorkiln.compiler.codegen.artifact import write_artifact
from tensorkiln.compiler.codegen.header import c_identifier
from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.pipeline import compile_function
from tensorkiln.frontends.graph.dtypes import DType
from tensorkiln.frontends.graph.export import freeze
from tensorkiln.frontends.graph.files import aside, data_types
from tensorkiln.frontends.graph.files.attributes import attribute_value
from tensorkiln.frontends.graph.files.import_graph import import_graph_def
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.files.meta_graph import parse_binary_or_text
from tensorkiln.frontends.graph.files.node_order import parse_input
from tensorkiln.frontends.graph.files.proto_graph import GraphDef
from tensorkiln.frontends.graph.graph import Graph
from tensorkiln.frontends.graph.ops_constant import placeholder
from tensorkiln.frontends.graph.session import Session
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.tools.config import Feed, Fetch, read_config
from tensorkiln.frontends.tools.cpp_class import Buffer, ClassName, cpp_header
from tensorkiln.runtime.errors import ModelError, TensorKilnError, UnsupportedError

_CLASS = re.compile(r"(::)?([A-Za-z_]\w*::)*[A-Za-z_]\w*")


def main(arguments: Sequence[str]) -> int:
    """The command; the result is the exit status: 0, 1 for what cannot be compiled."""
    options = _parser().parse_args(list(arguments))
    try:
        if options.dump_fetch_nodes:
            _, fetches = read_config(Path(options.config).read_bytes(), options.config)
            print(",".join(dict.fromkeys(fetch.node for fetch in fetches)))
            return 0
        _check_given(options)
        _compile(options)
    except (TensorKilnError, OSError) as error:
        print(f"tfcompile: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tfcompile", allow_abbrev=False,
        description="Compiles the part of a TensorFlow graph between feeds and fetches to an object "
        "file and a header with C functions and a C++ class. Link with -lm -lpthread.",
    )  # fmt: skip
    add = parser.add_argument
    add("--graph", help="the GraphDef, binary or text; frozen, without variables")
    add("--config", required=True, help="the tf2xla.Config with feeds and fetches, text or binary")
    add("--entry_point", default="entry", help="prefix of the C functions (default: entry)")
    add("--cpp_class", help="the class to generate, as in space::Name")
    add("--out_function_object", "--out_object", default="out_model.o", help="the object file")
    add("--out_header", default="out.h", help="the header file")
    add(
        "--target_triple",
        default="",
        help="x86_64-... or aarch64-..., Linux (default: this machine)",
    )
    add(
        "--dump_fetch_nodes", action="store_true",
        help="only print the nodes that the config fetches, as freeze_graph wants them",
    )  # fmt: skip
    add("--target_cpu", default="", help="x86-64, x86-64-v2, x86-64-v3, x86-64-v4 or host")
    return parser


def _check_given(options: argparse.Namespace) -> None:
    for name in ("graph", "cpp_class"):
        if getattr(options, name) is None:
            raise ModelError(f"--{name} is missing")


def _compile(options: argparse.Namespace) -> None:
    name = _class_name(options.cpp_class)
    if c_identifier(options.entry_point) != options.entry_point:
        raise ModelError(f"--entry_point {options.entry_point!r} is not usable as a C identifier")
    target = _target(options.target_triple, options.target_cpu)
    definition = parse_binary_or_text(Path(options.graph).read_bytes(), GraphDef, options.graph)
    feeds, fetches = read_config(Path(options.config).read_bytes(), options.config)
    function = graph_function(definition, feeds, fetches, options.entry_point)
    compiled = compile_function(function, target, cache=default_cache())
    output, header = Path(options.out_function_object), Path(options.out_header)
    with tempfile.TemporaryDirectory() as folder:
        written = write_artifact(compiled, target, Path(folder) / "m.o", prefix=options.entry_point)
        code, c_header = written.path.read_bytes(), written.header.read_text()
    text = cpp_header(
        c_header, options.entry_point, name,
        [Buffer("arg", k, spec, feed.name) for k, (spec, feed) in enumerate(
            zip(compiled.manifest.inputs, feeds, strict=True))],
        [Buffer("result", k, spec, fetch.name) for k, (spec, fetch) in enumerate(
            zip(compiled.manifest.outputs, fetches, strict=True))],
    )  # fmt: skip
    aside.write_whole(str(output), code)
    aside.write_whole(str(header), text.encode())


def _class_name(text: str) -> ClassName:
    if not _CLASS.fullmatch(text):
        raise ModelError(f"--cpp_class {text!r} is no C++ class name, as in space::Name")
    *namespaces, name = text.removeprefix("::").split("::")
    return ClassName(tuple(namespaces), name)


def _target(triple: str, cpu: str) -> Target:
    """The target of a triple and a processor, this machine where neither is given."""
    architecture = triple.partition("-")[0]
    if triple and "linux" not in triple:
        raise UnsupportedError(f"--target_triple {triple}: only Linux is supported")
    if not triple or (cpu and architecture == "x86_64"):
        return target_named(cpu or "host")
    known = {"x86_64": "x86-64", "aarch64": "aarch64", "arm64": "aarch64"}
    if architecture not in known:
        raise UnsupportedError(f"--target_triple {triple}: choose x86_64 or aarch64")
    return target_named(known[architecture])


def graph_function(
    definition: Proto, feeds: Sequence[Feed], fetches: Sequence[Fetch], name: str
) -> Function:
    """The function from the feeds (`arg0`, ...) to the fetches (`result0`, ...).

    What the fetches do not need is not read.  ModelError for nodes that are not there or are
    broken; UnsupportedError for op types that cannot be read and for variables.
    """
    nodes = {str(node.name): node for node in definition.node}
    for name_there in [feed.node for feed in feeds] + [fetch.node for fetch in fetches]:
        if name_there not in nodes:
            raise ModelError(f"the config names the node {name_there!r}, which the graph lacks")
    part, read = _needed(definition, nodes, feeds, fetches)
    graph = Graph()
    with graph.as_default():
        args = {
            feed.tensor: placeholder(_dtype(feed, nodes[feed.node]), feed.shape, f"arg{k}")
            for k, feed in enumerate(feeds)
        }
        computed = [fetch.tensor for fetch in fetches if fetch.tensor not in args]
        mapped = {key: tensor for key, tensor in args.items() if key in read}
        found = import_graph_def(part, mapped, computed, name="graph") or []
    values = dict(args) | dict(zip(computed, found, strict=True))
    outputs: dict[str, Tensor] = {}
    for k, fetch in enumerate(fetches):
        value = values[fetch.tensor]
        assert isinstance(value, Tensor)
        outputs[f"result{k}"] = value
    inputs = {f"arg{k}": args[feed.tensor] for k, feed in enumerate(feeds)}
    return freeze(Session(graph=graph), inputs, outputs, name=name)


def _needed(
    definition: Proto, nodes: dict[str, Proto], feeds: Sequence[Feed], fetches: Sequence[Fetch]
) -> tuple[Proto, set[str]]:
    """The nodes between feeds and fetches, and the names of the tensors that are read.

    A node of which only fed outputs are read stays, without its inputs, as a placeholder.
    """
    fed = {feed.tensor for feed in feeds}
    read: set[str] = set()
    whole: set[str] = set()
    waiting = [(f.node, f.output) for f in fetches if f.tensor not in fed]
    while waiting:
        name, index = waiting.pop()
        if name not in nodes:
            raise ModelError(f"a node reads {name!r}, which is not in the graph")
        if index >= 0:
            read.add(f"{name}:{index}")
        if name in whole or f"{name}:{index}" in fed:
            continue
        whole.add(name)
        for text in nodes[name].input:
            source, number = parse_input(text)
            waiting.append((source, -1 if number is None else number))
    kept = whole | {key.rpartition(":")[0] for key in read}
    part = GraphDef(versions=definition.versions)
    for node in definition.node:
        if node.name in whole:
            part.node.append(node)
        elif node.name in kept:
            added = part.node.add(name=node.name, op="Placeholder")
            added.attr["dtype"].type = data_types.number_of(_dtype_of_feed(node, feeds))
    return part, read


def _dtype_of_feed(node: Proto, feeds: Sequence[Feed]) -> DType:
    return next(_dtype(feed, node) for feed in feeds if feed.node == node.name)


def _dtype(feed: Feed, node: Proto) -> DType:
    """The type that the config gives, or that of the node."""
    if feed.dtype is not None:
        return feed.dtype
    for name in ("dtype", "DstT", "T"):
        value = attribute_value(node.attr[name]) if name in node.attr else None
        if isinstance(value, DType):
            return value.base_dtype
    raise ModelError(f"the type of the feed {feed.tensor!r} is not known; give it as `type`")
