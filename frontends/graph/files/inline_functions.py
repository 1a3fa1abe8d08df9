"""Graph definitions without functions: calls, branches and loops of TensorFlow 2's kind.

A call becomes the function's nodes; `If`, `Case` and `While` become ops with regions, in the form in
which ours are written.  Variables that enter are used where they are: a handle is no loop variable,
nor is a value that no trip changes.  What is saved for gradients only is left out, since gradients
of branches and loops have become ops of their own before (`inline_gradients`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tensorkiln.frontends.graph.files.attributes import attribute_proto
from tensorkiln.frontends.graph.files.export_regions import CONTROL, REGIONS
from tensorkiln.frontends.graph.files.function_bodies import Body, body, needed
from tensorkiln.frontends.graph.files.graph_errors import BrokenGraphError
from tensorkiln.frontends.graph.files.inline_gradients import Gradients
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.files.node_order import parse_input
from tensorkiln.frontends.graph.files.proto_graph import GraphDef, NodeDef
from tensorkiln.frontends.graph.files.region_message import changes_state, region_message
from tensorkiln.frontends.graph.files.signatures import MARK

_CALLS = ("PartitionedCall", "StatefulPartitionedCall", "SymbolicGradient")
_BRANCHES = {"If": "If", "StatelessIf": "If", "Case": "Case", "StatelessCase": "Case"}
_LOOPS = ("While", "StatelessWhile")
_RESOURCE = 20
_SAVED = ("TensorListPushBack", "OptionalFromValue", "OptionalNone")
_DEEPEST = 50


def without_functions(definition: Proto) -> Proto:
    """The definition with its functions put in place; itself if it has none.

    ModelError for functions that are missing, broken, or call themselves.
    """
    if not definition.library.function:
        return definition
    functions = {str(f.signature.name): f for f in definition.library.function}
    work = _Inlining(functions, definition.node)
    work.level(definition.node, 0)
    result = GraphDef(versions=definition.versions)
    for node in work.nodes.values():
        _rename(node, work.renamed)
    result.node.extend(work.nodes.values())
    return result


def _rename(node: Proto, renamed: Mapping[str, str]) -> None:
    inputs = []
    for text in node.input:
        name = text
        for _ in range(len(renamed)):
            if name not in renamed:
                break
            name = renamed[name]
        inputs.append(name)
    del node.input[:]
    node.input.extend(inputs)


class _Inlining:
    """`nodes` are those made so far; `renamed` says which tensor stands in for another."""

    def __init__(self, functions: Mapping[str, Proto], top: Iterable[Proto]) -> None:
        self.nodes: dict[str, Proto] = {}
        self.renamed: dict[str, str] = {}
        self._functions = functions
        self._gradients = Gradients(functions)
        self._names = {str(node.name) for node in top}

    def level(self, given: Iterable[Proto], depth: int) -> list[str]:
        """Adds nodes, those of functions in place of what runs these; the names of the nodes that
        are not inside of further regions, in order."""
        if depth > _DEEPEST:
            raise BrokenGraphError(f"functions call each other more than {_DEEPEST} deep")
        order: list[str] = []
        for node in self._gradients.rewritten(given, self.renamed):
            kind = str(node.op)
            if MARK in node.attr or not self._is_functional(node):
                self.nodes[str(node.name)] = node
            elif kind in _BRANCHES:
                order.append(self._branches(node, depth))
            elif kind in _LOOPS:
                order.append(self._loop(node, depth))
            else:
                order += self._call(node, depth)
            order.append(str(node.name))
        return order

    def _is_functional(self, node: Proto) -> bool:
        return node.op in (*_CALLS, *_BRANCHES, *_LOOPS) or node.op in self._functions

    def _function(self, node: Proto, key: str) -> Proto:
        name = str(node.attr[key].func.name)
        if name not in self._functions:
            raise BrokenGraphError(
                f"node {node.name!r} runs the function {name!r}, which is missing"
            )
        return self._functions[name]

    def _prefix(self, node: Proto, word: str) -> str:
        """A scope for a function's nodes that no node of the graph is in."""
        prefix, number = f"{node.name}/{word}", 0
        while any(name.startswith(f"{prefix}/") or name == prefix for name in self._names):
            number += 1
            prefix = f"{node.name}/{word}_{number}"
        return prefix

    def _call(self, node: Proto, depth: int) -> list[str]:
        named = str(node.op) in self._functions
        function = self._functions[node.op] if named else self._function(node, "f")
        inputs, before = _split(node)
        made = body(function, self._prefix(node, "call"), inputs, node.attr, before)
        order = self.level(made.nodes, depth + 1)
        kind = "Results" if made.outputs else "NoOp"
        end = NodeDef(name=node.name, op=kind, input=[*made.outputs, *made.control, *before])
        self.nodes[str(node.name)] = end
        return order

    def _branches(self, node: Proto, depth: int) -> str:
        (chooser, *inputs), before = _split(node)
        keys = ("then_branch", "else_branch")
        if _BRANCHES[str(node.op)] == "If":
            functions = [self._function(node, key) for key in keys]
        else:
            functions = [self._named(node, f.name) for f in node.attr["branches"].list.func]
        bodies = [
            body(function, self._prefix(node, f"branch_{k}"), inputs, node.attr)
            for k, function in enumerate(functions)
        ]
        kept = [
            k for k in range(len(bodies[0].outputs))
            if not any(_kind_of(made, made.outputs[k]) in _SAVED for made in bodies)
        ]  # fmt: skip
        regions = [self._region((), [made.outputs[k] for k in kept], made, depth)
                   for made in bodies]  # fmt: skip
        return self._add(node, _BRANCHES[str(node.op)], [chooser], regions, before, kept)

    def _named(self, node: Proto, name: str) -> Proto:
        if name not in self._functions:
            raise BrokenGraphError(
                f"node {node.name!r} runs the function {name!r}, which is missing"
            )
        return self._functions[name]

    def _loop(self, node: Proto, depth: int) -> str:
        inputs, before = _split(node)
        test, step = (self._function(node, key) for key in ("cond", "body"))
        prefixes = [self._prefix(node, word) for word in ("cond", "body")]
        types = list(node.attr["T"].list.type)
        arguments = [str(a.name) for a in step.signature.input_arg]
        results = [str(step.ret[a.name]) for a in step.signature.output_arg]
        saved = [
            parse_input(text)[0].partition(":")[0] in _names_of(step, _SAVED) for text in results
        ]
        same = [a == r for a, r in zip(arguments, results, strict=True)]
        kept = [
            k for k in range(len(inputs))
            if not same[k] and not saved[k] and types[k] != _RESOURCE
        ]  # fmt: skip
        regions = []
        for function, prefix in zip((test, step), prefixes, strict=True):
            given = list(inputs)
            parameters = []
            for k in kept:
                given[k] = f"{prefix}/argument_{k}"
                parameter = NodeDef(name=given[k], op="RegionInput", input=[inputs[k]])
                parameter.attr[MARK].b = True
                self.nodes[given[k]] = parameter
                parameters.append(given[k])
            made = body(function, prefix, given, node.attr)
            outputs = [made.outputs[k] for k in kept] if function is step else made.outputs
            regions.append(self._region(parameters, outputs, made, depth))
        for k, text in enumerate(inputs):
            if k not in kept:
                self.renamed[_output(str(node.name), k)] = text
        return self._add(node, "While", [inputs[k] for k in kept], regions, before, kept)

    def _region(
        self, parameters: Sequence[str], outputs: Sequence[str], made: Body, depth: int
    ) -> tuple[Proto, list[str]]:
        """A region, and the nodes that the op which runs it must come after."""
        nodes = needed(made.nodes, [*outputs, *made.control])
        order = self.level(nodes, depth + 1)
        results = [self._renamed(text) for text in outputs]
        ends = [parse_input(text)[0] for text in results]
        return region_message(parameters, results, order), [*parameters, *order, *ends]

    def _renamed(self, text: str) -> str:
        while text in self.renamed:
            text = self.renamed[text]
        return text

    def _add(
        self, node: Proto, kind: str, inputs: Sequence[str],
        regions: Sequence[tuple[Proto, list[str]]], before: Sequence[str], kept: Sequence[int],
    ) -> str:  # fmt: skip
        """Adds the op that runs the regions, and in the node's place one that waits for it; `kept`
        are the outputs that the op has."""
        inner = dict.fromkeys(name for _, names in regions for name in names)
        changing = any(changes_state(self.nodes[name]) for name in inner if name in self.nodes)
        name = self._prefix(node, "run")
        made = NodeDef(name=name, op=kind if changing else f"Stateless{kind}")
        made.input.extend([*inputs, *before, *(f"^{name}" for name in inner)])
        made.attr[MARK].b = True
        control = tuple(text.removeprefix("^") for text in before)
        made.attr[CONTROL].CopyFrom(attribute_proto(control, "strings"))
        made.attr[REGIONS].list.func.extend(message for message, _ in regions)
        self.nodes[name] = made
        self.nodes[str(node.name)] = NodeDef(name=node.name, op="NoOp", input=[f"^{name}"])
        for new, old in enumerate(kept):
            self.renamed[_output(str(node.name), old)] = _output(name, new)
        return name


def _output(name: str, place: int) -> str:
    return f"{name}:{place}" if place else name


def _split(node: Proto) -> tuple[list[str], list[str]]:
    """The inputs, and what must have run before."""
    texts = [str(text) for text in node.input]
    return [t for t in texts if not t.startswith("^")], [t for t in texts if t.startswith("^")]


def _kind_of(made: Body, output: str) -> str:
    source = parse_input(output)[0]
    return next((str(node.op) for node in made.nodes if node.name == source), "")


def _names_of(function: Proto, kinds: Sequence[str]) -> set[str]:
    return {str(node.name) for node in function.node_def if node.op in kinds}
