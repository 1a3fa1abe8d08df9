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
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.pipeline import compile_function
from tensorkiln.frontends.graph.files import aside
from tensorkiln.frontends.graph.files.meta_graph import parse_binary_or_text
from tensorkiln.frontends.graph.files.proto_graph import GraphDef
from tensorkiln.frontends.tools.config import Interface, read_config
from tensorkiln.frontends.tools.cpp_class import Buffer, Buffers, ClassName, cpp_header
from tensorkiln.frontends.tools.graph_part import graph_part
from tensorkiln.runtime.errors import ModelError, TensorKilnError, UnsupportedError
from tensorkiln.runtime.manifest import Manifest

_CLASS = re.compile(r"(::)?([A-Za-z_]\w*::)*[A-Za-z_]\w*")


def main(arguments: Sequence[str]) -> int:
    """The command; the result is the exit status: 0, 1 for what cannot be compiled."""
    options = _parser().parse_args(list(arguments))
    try:
        if options.dump_fetch_nodes:
            interface = read_config(Path(options.config).read_bytes(), options.config)
            print(",".join(dict.fromkeys(fetch.node for fetch in interface.fetches)))
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
    add(
        "--graph", help="the GraphDef, binary or text; variables are frozen or listed in the config"
    )
    add("--config", required=True, help="the tf2xla.Config with feeds, fetches and variables")
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
    interface = read_config(Path(options.config).read_bytes(), options.config)
    part = graph_part(definition, interface, options.entry_point)
    compiled = compile_function(part.function, target, cache=default_cache())
    output, header = Path(options.out_function_object), Path(options.out_header)
    with tempfile.TemporaryDirectory() as folder:
        written = write_artifact(compiled, target, Path(folder) / "m.o", prefix=options.entry_point)
        code, c_header = written.path.read_bytes(), written.header.read_text()
    text = cpp_header(
        c_header, options.entry_point, name, _buffers(interface, compiled.manifest), part.written
    )
    aside.write_whole(str(output), code)
    aside.write_whole(str(header), text.encode())


def _buffers(interface: Interface, manifest: Manifest) -> Buffers:
    """The memory that the class manages."""
    count = len(interface.feeds)
    args, variables = manifest.inputs[:count], manifest.inputs[count:]
    results = manifest.outputs[: len(interface.fetches)]
    return Buffers(
        [Buffer("arg", k, spec, feed.name)
         for k, (spec, feed) in enumerate(zip(args, interface.feeds, strict=True))],
        [Buffer("var", count + k, spec, variable.name, variable.readonly)
         for k, (spec, variable) in enumerate(zip(variables, interface.variables, strict=True))],
        [Buffer("result", k, spec, fetch.name)
         for k, (spec, fetch) in enumerate(zip(results, interface.fetches, strict=True))],
    )  # fmt: skip


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
