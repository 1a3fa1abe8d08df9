"""Finds every operator of a model that cannot be compiled, before any is imported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from onnx import FunctionProto, NodeProto

from tensorkiln.frontends.onnx.lowerings import TABLE
from tensorkiln.frontends.onnx.schemas import as_function, schema_domain, schema_of
from tensorkiln.frontends.onnx.structure import node_label
from tensorkiln.runtime.errors import ModelError, UnsupportedError

Functions: TypeAlias = Mapping[tuple[str, str], FunctionProto]

# Operators of the standard domain that look into texts or decode files.
HOST_OPS = frozenset(
    {"StringConcat", "StringSplit", "StringNormalizer", "RegexFullMatch", "ImageDecoder"}
)
HOSTED = "tensorkiln.frontends.onnx.backend.prepare(model) runs them by Python, the rest compiled"
_NAMED = 8


def require_supported(
    nodes: Iterable[NodeProto], opsets: Mapping[str, int], functions: Functions
) -> None:
    """UnsupportedError lists all operators without lowering: domain, version and nodes.

    An operator that its schema or the model defines by others counts as supported here; its body
    is looked at when it is imported.
    """
    found: dict[tuple[str, str, int], list[str]] = {}
    for node in nodes:
        if (node.domain, node.op_type) in functions:
            continue
        domain = schema_domain(node.domain)
        version = opsets.get(domain)
        if version is None:
            raise ModelError(
                f"node {node_label(node)!r} uses {node.op_type} of domain {domain!r}, for which "
                "the model imports no opset"
            )
        if not _is_supported(node, domain, version):
            found.setdefault((node.op_type, domain, version), []).append(node_label(node))
    if found:
        lines = [_line(*key, names) for key, names in sorted(found.items())]
        if any(name in HOST_OPS and not domain for name, domain, _ in found):
            lines.append(HOSTED)
        raise UnsupportedError("operators that cannot be compiled:\n" + "\n".join(lines))


def _is_supported(node: NodeProto, domain: str, version: int) -> bool:
    if TABLE.find(domain, node.op_type, version) is not None:
        return True
    schema = schema_of(node, version)
    if schema is None:
        return False
    source = as_function(schema)
    written = (
        *source.function_opset_versions,
        *source.context_dependent_function_opset_versions,
    )
    return any(v <= version for v in written)


def _line(name: str, domain: str, version: int, nodes: list[str]) -> str:
    shown = ", ".join(repr(n) for n in nodes[:_NAMED])
    more = f" and {len(nodes) - _NAMED} more" if len(nodes) > _NAMED else ""
    return f"  {name} (domain {domain or 'ai.onnx'}, opset {version}): nodes {shown}{more}"
