"""Loops of TensorFlow 1 graph definitions, rewritten to the form in which ours are written.

A loop there is a frame: `Enter` takes a value in (a constant one is the same for all trips), `Merge`
joins it with what `NextIteration` brings from the last trip, `LoopCond` decides, and `Switch` hands
the value to the body or to `Exit`.  Here it is one node with two regions: the condition's
parameters stand where the Merge nodes were, the body's where the Switch nodes were.

    Enter -> Merge -> Switch -> body -> NextIteration -> Merge        parameters -> body -> outputs
                        `-> Exit                                      StatelessWhile -> Exit
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tensorkiln.frontends.graph.files.export_regions import CONTROL, REGIONS
from tensorkiln.frontends.graph.files.graph_errors import BrokenGraphError
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.files.node_order import parse_input
from tensorkiln.frontends.graph.files.proto_graph import GraphDef, NodeDef
from tensorkiln.frontends.graph.files.region_message import changes_state, region_message
from tensorkiln.frontends.graph.files.signatures import MARK

_ENTERS = ("Enter", "RefEnter")
# What a gradient's loop needs of this one; nobody else does.
_STACKS = ("StackPush", "StackPushV2")


@dataclass(frozen=True)
class _Variable:
    """The nodes of one loop variable, by name; there may be no Exit."""

    enter: str
    merge: str
    switch: str
    advance: str


@dataclass(frozen=True)
class _Frame:
    """A loop: its variables, its LoopCond node and its constant Enter nodes."""

    variables: tuple[_Variable, ...]
    condition: str
    constants: tuple[str, ...]


def without_frames(definition: Proto) -> Proto:
    """The definition with its loops rewritten; itself if it has none.

    A loop of another shape than tf.while_loop makes stays as it is.
    """
    nodes = {str(node.name): node for node in definition.node}
    if not any(node.op in _ENTERS for node in definition.node):
        return definition
    try:
        frames = _frames(nodes)
        work = _Rewriting(nodes, frames)
        for frame in _inner_first(nodes, frames):
            work.rewrite(frame)
    except (KeyError, IndexError) as error:
        raise BrokenGraphError(f"the graph has a broken loop: {error} is missing") from None
    result = GraphDef(versions=definition.versions)
    result.node.extend(work.nodes.values())
    return result


def _frames(nodes: Mapping[str, Proto]) -> list[_Frame]:
    entered: dict[str, list[str]] = {}
    for name, node in nodes.items():
        if node.op in _ENTERS:
            entered.setdefault(str(node.attr["frame_name"].s), []).append(name)
    readers: dict[str, list[str]] = {}
    for name, node in nodes.items():
        for text in node.input:
            readers.setdefault(parse_input(text)[0], []).append(name)
    found = [_frame(nodes, readers, names) for names in entered.values()]
    return [frame for frame in found if frame is not None]


def _frame(
    nodes: Mapping[str, Proto], readers: Mapping[str, Sequence[str]], enters: Sequence[str]
) -> _Frame | None:
    constants = tuple(name for name in enters if nodes[name].attr["is_constant"].b)
    variables = []
    conditions = set()
    for enter in enters:
        if enter in constants:
            continue
        merges = [r for r in readers.get(enter, ()) if nodes[r].op in ("Merge", "RefMerge")]
        if len(merges) != 1 or len(nodes[merges[0]].input) != 2:
            return None
        advance = parse_input(nodes[merges[0]].input[1])[0]
        switches = [r for r in readers.get(merges[0], ()) if nodes[r].op in ("Switch", "RefSwitch")]
        switches = [s for s in switches if parse_input(nodes[s].input[0])[0] == merges[0]]
        if len(switches) != 1 or nodes.get(advance, NodeDef()).op not in (
            "NextIteration", "RefNextIteration",
        ):  # fmt: skip
            return None
        conditions.add(parse_input(nodes[switches[0]].input[1])[0])
        variables.append(_Variable(enter, merges[0], switches[0], advance))
    if len(conditions) != 1 or nodes[min(conditions)].op != "LoopCond":
        return None
    return _Frame(tuple(variables), conditions.pop(), constants)


def _inner_first(nodes: Mapping[str, Proto], frames: Sequence[_Frame]) -> list[_Frame]:
    """The frames, those inside of others before these: a frame is as deep as the number of
    frames whose variables or constants its own values come from."""
    owner = {v.switch: frame for frame in frames for v in frame.variables}
    owner |= {name: frame for frame in frames for name in frame.constants}
    depth: dict[_Frame, int] = {}
    for frame in frames:
        around: set[_Frame] = set()
        seen: set[str] = set()
        waiting = _sources(nodes, frame)
        while waiting:
            name = waiting.pop()
            if name in seen or name not in nodes:
                continue
            seen.add(name)
            if nodes[name].op in ("Exit", "RefExit"):
                left = owner.get(parse_input(nodes[name].input[0])[0])
                waiting += _sources(nodes, left) if left is not None else []
                continue
            if name in owner and owner[name] is not frame:
                around.add(owner[name])
            waiting += [parse_input(text)[0] for text in nodes[name].input]
        depth[frame] = len(around)
    return sorted(frames, key=lambda frame: -depth[frame])


def _sources(nodes: Mapping[str, Proto], frame: _Frame) -> list[str]:
    enters = (*(v.enter for v in frame.variables), *frame.constants)
    return [parse_input(nodes[name].input[0])[0] for name in enters]


class _Rewriting:
    """Nodes under change; inputs of all nodes are kept in their new names."""

    def __init__(self, nodes: Mapping[str, Proto], frames: Sequence[_Frame]) -> None:
        self._new: dict[str, str] = {}
        for frame in frames:
            for name in (*frame.constants, frame.condition):
                self._new[name] = str(nodes[name].input[0])
            for v in frame.variables:
                self._new[v.advance] = str(nodes[v.advance].input[0])
                self._new[v.enter] = str(nodes[v.enter].input[0])
                self._new[f"{v.switch}:1"] = v.switch
        stacks = {name for name, node in nodes.items() if node.op in _STACKS}
        self.nodes: dict[str, Proto] = {}
        for name, node in nodes.items():
            changed = NodeDef()
            changed.CopyFrom(node)
            kept = [text for text in node.input if text.removeprefix("^") not in stacks]
            del changed.input[:]
            changed.input.extend(self._renamed(text) for text in kept)
            if node.op in ("Identity", "RefIdentity") and "T" in changed.attr:
                del changed.attr["T"]  # a flow is an array here, whatever its type
            self.nodes[name] = changed

    def _renamed(self, text: str) -> str:
        mark = "^" if text.startswith("^") else ""
        name = text.removeprefix("^").removesuffix(":0")
        for _ in range(len(self._new)):
            if name not in self._new:
                break
            name = self._new[name].removesuffix(":0")
        else:
            if name in self._new:
                raise BrokenGraphError(f"{text!r} goes round in a circle of constants of loops")
        return f"^{parse_input(name)[0]}" if mark else name

    def rewrite(self, frame: _Frame) -> None:
        """Puts one node with regions in the place of a frame, whose inner ones are rewritten."""
        condition = self.nodes[frame.condition].input[0]
        results = [self.nodes[v.advance].input[0] for v in frame.variables]
        starts = [self.nodes[v.enter].input[0] for v in frame.variables]
        for name in (*frame.constants, frame.condition):
            del self.nodes[name]
        for v, start in zip(frame.variables, starts, strict=True):
            del self.nodes[v.enter], self.nodes[v.advance]
            for name in (v.merge, v.switch):
                parameter = NodeDef(name=name, op="RegionInput", input=[start])
                parameter.attr[MARK].b = True
                self.nodes[name] = parameter
        merges = [v.merge for v in frame.variables]
        switches = [v.switch for v in frame.variables]
        loop = NodeDef(name=f"{merges[0]}/While", op="StatelessWhile", input=starts)
        loop.attr[MARK].b = True
        loop.attr[CONTROL].list.SetInParent()
        inner: dict[str, None] = {}
        for parameters, outputs in ((merges, [condition]), (switches, results)):
            order = self._region(set(parameters), outputs)
            loop.attr[REGIONS].list.func.append(region_message(parameters, outputs, order))
            inner |= dict.fromkeys((*parameters, *order))
            inner |= dict.fromkeys(parse_input(text)[0] for text in outputs)
        if any(changes_state(self.nodes[name]) for name in inner):
            loop.op = "While"
        loop.input.extend(f"^{name}" for name in inner)
        self.nodes[loop.name] = loop
        self._leave(loop.name, switches)

    def _leave(self, loop: str, switches: Sequence[str]) -> None:
        for node in self.nodes.values():
            if node.op in ("Exit", "RefExit") and MARK not in node.attr:
                source = parse_input(node.input[0])[0]
                if source in switches:
                    node.op, node.input[0] = "Exit", f"{loop}:{switches.index(source)}"
                    node.attr[MARK].b = True
                    node.attr.pop("T", None)

    def _region(self, parameters: set[str], outputs: Iterable[str]) -> list[str]:
        """The nodes that `outputs` need and that depend on the parameters, inputs first."""
        ordered: list[str] = []
        inside: dict[str, bool] = dict.fromkeys(parameters, True)
        waiting = [(parse_input(text)[0], False) for text in outputs]
        while waiting:
            name, done = waiting.pop()
            sources = self._before(name)
            if done:
                inside[name] = any(inside.get(source, False) for source in sources)
                if inside[name]:
                    ordered.append(name)
            elif name not in inside:
                inside[name] = False
                waiting.append((name, True))
                waiting += [(source, False) for source in sources if source not in inside]
        return ordered

    def _before(self, name: str) -> list[str]:
        """The nodes that a node needs; of a loop not those of its regions."""
        node = self.nodes.get(name)
        if node is None:
            return []
        looped = REGIONS in node.attr
        inputs = [text for text in node.input if not (looped and text.startswith("^"))]
        return [parse_input(text)[0] for text in inputs]
