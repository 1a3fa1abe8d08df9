"""A graph cut into parts that the host runs and parts that are compiled, as few as can be."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from onnx import NodeProto

from tensorkiln.frontends.onnx.structure import reads


@dataclass(frozen=True, slots=True)
class Segment:
    """Nodes that run one after the other: by the host, or compiled together.

    `inputs` are what they read from before, `outputs` what is read of them later.
    """

    host: bool
    nodes: tuple[NodeProto, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def segments(
    nodes: Sequence[NodeProto],
    host: Collection[int],
    known: Collection[str],
    outputs: Iterable[str],
) -> list[Segment]:
    """The parts in the order in which they run.

    `nodes` are in data-flow order, `host` are the positions of the host's; `known` are
    initializers, which every part has. Host and compiled parts alternate; each node runs in the
    first part of its kind in which all it reads is there.
    """
    stage_of: dict[str, int] = {}
    stages: dict[int, list[NodeProto]] = {}
    for position, node in enumerate(nodes):
        stage = max((stage_of.get(name, 0) for name in reads(node)), default=0)
        # the host's stages are even, the others odd
        stage += stage % 2 if position in host else 1 - stage % 2
        stages.setdefault(stage, []).append(node)
        stage_of.update((name, stage) for name in node.output if name)
    wanted = list(outputs)
    parts: list[Segment] = []
    for stage in sorted(stages, reverse=True):  # backwards: what is wanted later is known
        own = stages[stage]
        made = {name for node in own for name in node.output if name}
        read = dict.fromkeys(name for node in own for name in reads(node))
        inputs = tuple(name for name in read if name not in made and name not in known)
        given = tuple(dict.fromkeys(name for name in wanted if name in made))
        parts.append(Segment(stage % 2 == 0, tuple(own), inputs, given))
        wanted += inputs
    return parts[::-1]
