"""Loops as TensorFlow 1 writes them: frames of Enter, Merge, Switch, NextIteration and Exit."""

import numpy as np
import pytest

import tensorkiln as tf
from tensorkiln.frontends.graph.files.while_frames import without_frames
from tensorkiln.runtime.errors import ModelError, UnsupportedError

FLOAT, INT, BOOL = tf.float32, tf.int32, tf.bool


@pytest.fixture(autouse=True)
def _fresh_graph() -> None:
    tf.reset_default_graph()


class Definition:
    """A graph definition under construction."""

    def __init__(self) -> None:
        self.message = tf.GraphDef()

    def node(self, name: str, op: str, *inputs: str, **attributes: object) -> str:
        made = self.message.node.add(name=name, op=op, input=inputs)
        for key, value in attributes.items():
            if isinstance(value, tf.DType):
                made.attr[key].type = tf.make_tensor_proto(np.zeros(1, value.numpy)).dtype
            elif isinstance(value, bool):
                made.attr[key].b = value
            elif isinstance(value, str):
                made.attr[key].s = value.encode()
            elif isinstance(value, int):
                made.attr[key].i = value
        return name

    def constant(self, name: str, value: object, dtype: object, *inputs: str) -> str:
        self.node(name, "Const", *inputs, dtype=dtype)
        self.message.node[-1].attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, dtype))
        return name

    def placeholder(self, name: str, dtype: object) -> str:
        self.node(name, "Placeholder", dtype=dtype)
        self.message.node[-1].attr["shape"].shape.SetInParent()
        return name

    def enter(self, name: str, source: str, frame: str, constant: bool, dtype: object) -> str:
        return self.node(
            name, "Enter", source, T=dtype, frame_name=frame, is_constant=constant,
            parallel_iterations=10,
        )  # fmt: skip

    def variables(self, frame: str, starts: list[tuple[str, object]]) -> list[str]:
        """Enter and Merge nodes; NextIteration nodes are to be named `<frame>/next<k>`."""
        for k, (start, dtype) in enumerate(starts):
            self.enter(f"{frame}/enter{k}", start, frame, False, dtype)
            self.node(
                f"{frame}/merge{k}", "Merge", f"{frame}/enter{k}", f"{frame}/next{k}", T=dtype, N=2
            )
        return [f"{frame}/merge{k}" for k in range(len(starts))]

    def switches(self, frame: str, condition: str, dtypes: list[object]) -> list[str]:
        """LoopCond, Switch, Identity and Exit nodes; the Identity nodes are the result."""
        self.node(f"{frame}/cond", "LoopCond", condition)
        for k, dtype in enumerate(dtypes):
            self.node(f"{frame}/switch{k}", "Switch", f"{frame}/merge{k}", f"{frame}/cond", T=dtype)
            self.node(f"{frame}/id{k}", "Identity", f"{frame}/switch{k}:1", T=dtype)
            self.node(f"{frame}/exit{k}", "Exit", f"{frame}/switch{k}", T=dtype)
        return [f"{frame}/id{k}" for k in range(len(dtypes))]

    def advance(self, frame: str, results: list[tuple[str, object]]) -> None:
        for k, (result, dtype) in enumerate(results):
            self.node(f"{frame}/next{k}", "NextIteration", result, T=dtype)


def doubling() -> Definition:
    """i = 0, a = x; while i < limit: i, a = i + 1, a * scale."""
    graph = Definition()
    graph.placeholder("limit", INT)
    graph.placeholder("x", FLOAT)
    graph.constant("zero", 0, INT)
    graph.constant("scale", 2.0, FLOAT)
    graph.variables("w", [("zero", INT), ("x", FLOAT)])
    graph.enter("w/limit", "limit", "w", True, INT)
    graph.enter("w/scale", "scale", "w", True, FLOAT)
    graph.node("w/less", "Less", "w/merge0", "w/limit", T=INT)
    graph.switches("w", "w/less", [INT, FLOAT])
    graph.constant("w/one", 1, INT, "^w/id0")
    graph.node("w/add", "Add", "w/id0", "w/one", T=INT)
    graph.node("w/mul", "Mul", "w/id1", "w/scale", T=FLOAT)
    graph.advance("w", [("w/add", INT), ("w/mul", FLOAT)])
    graph.node("y", "Identity", "w/exit1", T=FLOAT)
    return graph


def test_a_loop() -> None:
    (y, count) = tf.import_graph_def(doubling().message, return_elements=["y:0", "w/exit0:0"])
    with tf.Session() as sess:
        for limit in (0, 1, 5):
            feeds = {"import/limit:0": limit, "import/x:0": 3.0}
            assert sess.run([y, count], feeds) == [3.0 * 2**limit, limit]


def test_what_was_read_is_written_again() -> None:
    tf.import_graph_def(doubling().message, name="")
    definition = tf.get_default_graph().as_graph_def()
    assert "Enter" not in {node.op for node in definition.node}
    tf.reset_default_graph()
    (y,) = tf.import_graph_def(definition, return_elements=["y:0"], name="b")
    with tf.Session() as sess:
        assert sess.run(y, {"b/limit:0": 4, "b/x:0": 1.0}) == 16.0


def test_a_loop_inside_of_a_loop() -> None:
    """i = 0, a = x; while i < 3: (j = 0; while j <= i: j, a = j + 1, a + x); i += 1."""
    graph = Definition()
    graph.placeholder("x", FLOAT)
    graph.constant("zero", 0, INT)
    graph.constant("three", 3, INT)
    graph.variables("o", [("zero", INT), ("x", FLOAT)])
    graph.enter("o/three", "three", "o", True, INT)
    graph.enter("o/x", "x", "o", True, FLOAT)
    graph.node("o/less", "Less", "o/merge0", "o/three", T=INT)
    graph.switches("o", "o/less", [INT, FLOAT])
    graph.constant("o/zero", 0, INT, "^o/id0")
    graph.variables("p", [("o/zero", INT), ("o/id1", FLOAT)])
    graph.enter("p/i", "o/id0", "p", True, INT)
    graph.enter("p/x", "o/x", "p", True, FLOAT)
    graph.node("p/less", "LessEqual", "p/merge0", "p/i", T=INT)
    graph.switches("p", "p/less", [INT, FLOAT])
    graph.constant("p/one", 1, INT, "^p/id0")
    graph.node("p/add", "Add", "p/id0", "p/one", T=INT)
    graph.node("p/sum", "Add", "p/id1", "p/x", T=FLOAT)
    graph.advance("p", [("p/add", INT), ("p/sum", FLOAT)])
    graph.constant("o/one", 1, INT, "^o/id0")
    graph.node("o/add", "Add", "o/id0", "o/one", T=INT)
    graph.advance("o", [("o/add", INT), ("p/exit1", FLOAT)])
    (y,) = tf.import_graph_def(graph.message, return_elements=["o/exit1:0"], name="")
    with tf.Session() as sess:
        assert sess.run(y, {"x:0": 2.0}) == 2.0 * (1 + 1 + 2 + 3)


def test_arrays_of_tensors() -> None:
    """b[k] = a[k] * a[k] for three rows of a placeholder."""
    graph = Definition()
    graph.node("rows", "Placeholder", dtype=FLOAT)
    for size in (3, 2):
        graph.message.node[-1].attr["shape"].shape.dim.add(size=size)
    for name, value in (("zero", 0), ("one", 1), ("three", 3)):
        graph.constant(name, value, INT)
    graph.node("range", "Range", "zero", "three", "one", Tidx=INT)
    for name in ("a", "b"):
        graph.node(name, "TensorArrayV3", "three", dtype=FLOAT)
    graph.node("a/all", "TensorArrayScatterV3", "a", "range", "rows", "a:1", T=FLOAT)
    graph.variables("w", [("zero", INT), ("b:1", FLOAT)])
    graph.enter("w/three", "three", "w", True, INT)
    graph.enter("w/a", "a", "w", True, FLOAT)
    graph.enter("w/all", "a/all", "w", True, FLOAT)
    graph.enter("w/b", "b", "w", True, FLOAT)
    graph.node("w/less", "Less", "w/merge0", "w/three", T=INT)
    graph.switches("w", "w/less", [INT, FLOAT])
    graph.node("w/read", "TensorArrayReadV3", "w/a", "w/id0", "w/all", dtype=FLOAT)
    graph.node("w/square", "Square", "w/read", T=FLOAT)
    graph.node("w/write", "TensorArrayWriteV3", "w/b", "w/id0", "w/square", "w/id1", T=FLOAT)
    graph.constant("w/one", 1, INT, "^w/id0")
    graph.node("w/add", "Add", "w/id0", "w/one", T=INT)
    graph.advance("w", [("w/add", INT), ("w/write", FLOAT)])
    graph.node("size", "TensorArraySizeV3", "b", "w/exit1")
    graph.node("y", "TensorArrayGatherV3", "b", "range", "w/exit1", dtype=FLOAT)
    y, size = tf.import_graph_def(graph.message, return_elements=["y:0", "size:0"], name="")
    value = np.arange(6, dtype=np.float32).reshape(3, 2)
    with tf.Session() as sess:
        found = sess.run([y, size], {"rows:0": value})
    np.testing.assert_array_equal(found[0], value**2)
    assert found[1] == 3


def test_circles_of_constants_end() -> None:
    definition = doubling().message
    next(node for node in definition.node if node.name == "w/limit").input[0] = "w/scale"
    next(node for node in definition.node if node.name == "w/scale").input[0] = "w/limit"
    with pytest.raises(ModelError, match="goes round in a circle"):
        tf.import_graph_def(definition)
    del definition.node[4].input[:]
    with pytest.raises(ModelError, match=r"broken loop|circle"):
        tf.import_graph_def(definition)


def test_definitions_without_loops_stay_as_they_are() -> None:
    tf.constant(1.0)
    definition = tf.get_default_graph().as_graph_def()
    assert without_frames(definition) is definition


@pytest.mark.parametrize("lost", ["w/cond", "w/next1", "w/switch0", "w/merge1"])
def test_frames_of_another_shape(lost: str) -> None:
    definition = doubling().message
    for node in definition.node:
        if node.name == lost:
            node.op = "Identity"
            del node.input[1:]
    with pytest.raises((ModelError, UnsupportedError)):
        tf.import_graph_def(definition)
