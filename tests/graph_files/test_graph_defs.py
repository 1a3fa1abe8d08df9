"""Graph definitions: a frozen graph that TensorFlow 2.21 wrote, and graphs of our own."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from google.protobuf.message import DecodeError

import tensorkiln as tf
from tensorkiln.runtime.errors import ModelError, TensorKilnError, UnsupportedError

DATA = Path(__file__).parent / "data"


@pytest.fixture(autouse=True)
def _fresh_graph() -> None:
    tf.reset_default_graph()


@pytest.fixture(scope="module")
def frozen() -> tf.GraphDef:
    return tf.GraphDef.FromString((DATA / "frozen.pb").read_bytes())


def small() -> tf.GraphDef:
    x = tf.placeholder(tf.float32, [None, 3], name="x")
    tf.add(tf.matmul(x, np.ones((3, 2), np.float32), name="mul"), 1.0, name="y")
    definition = tf.get_default_graph().as_graph_def()
    tf.reset_default_graph()
    return definition


def test_a_frozen_graph_of_tensorflow_computes_what_it_computed_there(frozen: tf.GraphDef) -> None:
    expected = dict(np.load(DATA / "frozen.npz"))
    image, training = expected.pop("image"), expected.pop("prob_training")
    names = sorted(expected)
    outputs = tf.import_graph_def(frozen, return_elements=[f"out/{k}:0" for k in names], name="")
    with tf.Session() as sess:
        found = sess.run(outputs, {"image:0": image})
        for name, value in zip(names, found, strict=True):
            np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=2e-6, err_msg=name)
        feeds = {"image:0": image, "training:0": True}
        found = sess.run("out/prob:0", feeds)
        np.testing.assert_allclose(found, training, rtol=1e-5, atol=1e-6)


def test_what_was_read_is_written_and_read_again(frozen: tf.GraphDef) -> None:
    expected = np.load(DATA / "frozen.npz")
    tf.import_graph_def(frozen, name="")
    again = tf.get_default_graph().as_graph_def()
    tf.reset_default_graph()
    (prob,) = tf.import_graph_def(again, return_elements=["out/prob:0"])
    with tf.Session(config=tf.ConfigProto(interpreted=True)) as sess:
        found = sess.run(prob, {"import/image:0": expected["image"]})
    np.testing.assert_allclose(found, expected["prob"], rtol=1e-5, atol=1e-6)


def test_names_inputs_and_elements() -> None:
    definition = small()
    assert tf.import_graph_def(definition) is None
    graph = tf.get_default_graph()
    assert [op.name for op in graph.get_operations()][:2] == ["import/x", "import/mul/b"]
    mine = tf.constant([[1.0, 2.0, 3.0]], name="mine")
    y, op = tf.import_graph_def(definition, {"x:0": mine}, ["y:0", "mul"], name="net")
    assert y.name == "net/y:0"
    assert op is graph.get_operation_by_name("net/mul")
    with tf.Session() as sess:
        np.testing.assert_array_equal(sess.run(y), [[7.0, 7.0]])
    tf.import_graph_def(definition)
    assert graph.get_operation_by_name("import_1/y").type == "Add"
    tf.import_graph_def(definition, name="")
    with pytest.raises((ValueError, TensorKilnError), match="exists already"):
        tf.import_graph_def(definition, name="")
    assert tf.identity(1.0, name="y").name == "y_1:0"


def test_wrong_arguments() -> None:
    definition = small()
    with pytest.raises(TypeError, match="graph_def must be a GraphDef proto"):
        tf.import_graph_def(b"x")
    with pytest.raises(TypeError, match="return_elements must be a list of strings"):
        tf.import_graph_def(definition, return_elements="y")
    with pytest.raises(TypeError, match="input_map must be a dictionary"):
        tf.import_graph_def(definition, input_map=[1])
    with pytest.raises(ValueError, match="Requested return tensor 'z:0' not found in graph def"):
        tf.import_graph_def(definition, return_elements=["z:0"])
    with pytest.raises(ValueError, match="Requested return node 'z' not found in graph def"):
        tf.import_graph_def(definition, return_elements=["z"])
    with pytest.raises(ValueError, match="Invalid return output 3 of node 'y', which has 1 output"):
        tf.import_graph_def(definition, return_elements=["y:3"])
    with pytest.raises(ValueError, match=r"not found in graph_def: \[q:0\]"):
        tf.import_graph_def(definition, {"q": tf.constant(1.0)})


def test_all_unsupported_types_are_listed_at_once() -> None:
    definition = small()
    for number in range(5):
        definition.node.add(name=f"bar{number}", op="Barrier")
    definition.node.add(name="foo", op="Frobnicate")
    with pytest.raises(UnsupportedError) as error:
        tf.import_graph_def(definition)
    assert str(error.value) == (
        "the graph has 2 op types that cannot be read: Barrier ('bar0', 'bar1', 'bar2' and 2 "
        "more); Frobnicate ('foo')"
    )
    assert not tf.get_default_graph().get_operations()


def node(definition: tf.GraphDef, name: str) -> tf.NodeDef:
    return next(item for item in definition.node if item.name == name)


def _twice(definition: tf.GraphDef) -> None:
    definition.node.add().CopyFrom(definition.node[0])


def _cycle(definition: tf.GraphDef) -> None:
    node(definition, "x").input.append("^y")


def _missing(definition: tf.GraphDef) -> None:
    node(definition, "mul").input[0] = "nowhere"


def _output(definition: tf.GraphDef) -> None:
    node(definition, "mul").input[0] = "x:7"


def _arity(definition: tf.GraphDef) -> None:
    node(definition, "mul").input.append("x")


def _dtype(definition: tf.GraphDef) -> None:
    node(definition, "x").attr["dtype"].type = tf.make_tensor_proto(1).dtype


def _attribute(definition: tf.GraphDef) -> None:
    del node(definition, "x").attr["dtype"]


def _tensor(definition: tf.GraphDef) -> None:
    node(definition, "mul/b").attr["value"].tensor.tensor_shape.dim[0].size = 4


def _bomb(definition: tf.GraphDef) -> None:
    tensor = node(definition, "y/y").attr["value"].tensor
    for _ in range(3):
        tensor.tensor_shape.dim.add(size=1 << 20)


def _shape(definition: tf.GraphDef) -> None:
    node(definition, "x").attr["shape"].shape.dim[1].size = 5


def _resource(definition: tf.GraphDef) -> None:
    node(definition, "x").attr["dtype"].type = 20


def _name(definition: tf.GraphDef) -> None:
    node(definition, "y").name = "../../etc passwd"


@pytest.mark.parametrize(
    ("breaks", "text"),
    [
        (_twice, "two nodes named 'x'"),
        (_cycle, "cycle through 'x', 'mul', 'y'"),
        (_missing, "'mul' reads 'nowhere'"),
        (_output, "'x' has 1 outputs"),
        (_arity, "'mul' .* has 3 inputs, its type takes 2"),
        (_dtype, "'mul' .* 'import/x:0' of type int32, incompatible with expected float32"),
        (_attribute, "'x' .* attribute 'dtype' is missing"),
        (_tensor, r"'mul/b' .* shape \[4, 2\] and type float32 has 24 bytes"),
        (_bomb, "'y/y' .* has 1 values"),
        (_shape, "'mul' .* Dimensions must be equal, but are 5 and 3"),
        (_resource, "'x' .* DT_RESOURCE is not supported"),
        (_name, "not a valid node name"),
    ],
)
def test_broken_definitions(breaks: object, text: str) -> None:
    definition = small()
    breaks(definition)  # type: ignore[operator]
    with pytest.raises(ModelError, match=text):
        tf.import_graph_def(definition)


def test_changed_bytes_give_our_errors_or_a_graph(frozen: tf.GraphDef) -> None:
    data = frozen.SerializeToString()
    draw = np.random.default_rng(5)
    for _ in range(40):
        broken = bytearray(data)
        for place in draw.integers(0, len(data), 6):
            broken[place] = draw.integers(256)
        definition = tf.GraphDef()
        try:
            definition.ParseFromString(bytes(broken))
        except DecodeError:
            continue
        with tf.Graph().as_default(), suppress(TensorKilnError, ValueError):
            tf.import_graph_def(definition)


def test_nodes_are_those_of_tensorflow() -> None:
    x = tf.placeholder(tf.float32, [None, 8, 8, 3], name="x")
    kernel = tf.get_variable("kernel", [3, 3, 3, 4])
    with tf.control_dependencies([x.op]), tf.device("/cpu:0"):
        y = tf.nn.conv2d(x, kernel, [1, 2, 2, 1], "SAME", name="y")
    node = y.op.node_def
    assert list(node.input) == ["x", "kernel/read"]
    assert list(node.attr["strides"].list.i) == [1, 2, 2, 1]
    assert node.attr["padding"].s == b"SAME"
    assert node.attr["T"].type == 1
    assert node.device == y.op.device != ""
    total = tf.reduce_sum(y, [1, 2], keepdims=True, name="total").op.node_def
    assert total.attr["Tidx"].type == 3
    assert total.attr["keep_dims"].b
    assert [d.size for d in x.op.node_def.attr["shape"].shape.dim] == [-1, 8, 8, 3]
    read = tf.get_default_graph().get_operation_by_name("kernel/read").node_def
    assert read.attr["_class"].list.s[0] == b"loc:@kernel"
    assert "_read" not in read.attr
    cast = tf.cast(y, tf.int32).op.node_def
    assert (cast.attr["SrcT"].type, cast.attr["DstT"].type) == (1, 3)
    drawn = tf.random_normal([2], seed=4).op.inputs[0].op.inputs[0].op.node_def
    assert (drawn.op, drawn.attr["seed2"].i) == ("RandomStandardNormal", 4)
    assert str(tf.no_op(name="nothing")) == 'name: "nothing"\nop: "NoOp"\n'
    shapes = tf.get_default_graph().as_graph_def(add_shapes=True).node[0]
    assert [d.size for d in shapes.attr["_output_shapes"].list.shape[0].dim] == [-1, 8, 8, 3]


def test_freezing_writing_and_reading_text(tmp_path: Path) -> None:
    x = tf.placeholder(tf.float32, [None, 3], name="x")
    w = tf.get_variable("w", [3, 2])
    y = tf.nn.softmax(tf.matmul(x, w), name="y")
    train = tf.train.GradientDescentOptimizer(0.1).minimize(tf.reduce_sum(y[:, 0]))
    value = np.arange(6, dtype=np.float32).reshape(2, 3)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        sess.run(train, {x: value})
        expected = sess.run(y, {x: value})
        whole = sess.graph.as_graph_def()
        frozen = tf.graph_util.convert_variables_to_constants(sess, whole, ["y"])
    assert [item.name for item in frozen.node] == ["x", "w", "w/read", "MatMul", "y"]
    assert frozen.node[1].op == "Const"
    for as_text in (True, False):
        path = tf.train.write_graph(frozen, str(tmp_path / "new"), "g.pb", as_text)
        again = tf.GraphDef()
        if as_text:
            text_format.Merge(Path(path).read_text(), again)
        else:
            again.ParseFromString(Path(path).read_bytes())
        assert again == frozen
    lean = tf.graph_util.remove_training_nodes(frozen)
    assert [item.name for item in lean.node] == ["x", "w", "MatMul", "y"]
    tf.reset_default_graph()
    (y,) = tf.import_graph_def(lean, return_elements=["y:0"], name="")
    with tf.Session() as sess:
        np.testing.assert_allclose(sess.run(y, {"x:0": value}), expected, rtol=1e-6)


def test_sub_graphs() -> None:
    definition = small()
    part = tf.graph_util.extract_sub_graph(definition, ["mul"])
    assert [item.name for item in part.node] == ["x", "mul/b", "mul"]
    with pytest.raises(AssertionError, match="q is not in graph"):
        tf.graph_util.extract_sub_graph(definition, ["q"])
    with pytest.raises(TypeError, match="dest_nodes must be a list"):
        tf.graph_util.extract_sub_graph(definition, "mul")


@pytest.mark.parametrize(
    "kind",
    ["float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16",
     "uint32", "uint64", "bool", "complex64", "complex128", "bfloat16"],
)  # fmt: skip
@pytest.mark.parametrize("shape", [(), (0, 2), (1,), (2, 3)])
def test_tensors_as_messages(kind: str, shape: tuple[int, ...]) -> None:
    dtype = tf.as_dtype(kind)
    value = np.random.default_rng(2).integers(0, 2, shape).astype(dtype.numpy)
    found = tf.make_ndarray(tf.make_tensor_proto(value))
    assert found.dtype == dtype.numpy
    np.testing.assert_array_equal(found, value)


def test_tensors_in_other_forms() -> None:
    proto = tf.make_tensor_proto([1, 2], tf.int64, [2, 1])
    assert tf.make_ndarray(proto).tolist() == [[1], [2]]
    assert tf.make_ndarray(tf.make_tensor_proto([b"a", b"\xff"])).tolist() == [b"a", b"\xff"]
    assert tf.make_ndarray(tf.make_tensor_proto(2.0, shape=[3])).tolist() == [2.0] * 3
    proto = tf.TensorProto(dtype=1, float_val=[1.0, 2.0])
    proto.tensor_shape.dim.add(size=4)
    assert tf.make_ndarray(proto).tolist() == [1.0, 2.0, 2.0, 2.0]
    proto.tensor_shape.dim[0].size = 1
    with pytest.raises(ValueError, match="has 2 values"):
        tf.make_ndarray(proto)


def test_a_failed_import_leaves_nothing() -> None:
    graph = tf.get_default_graph()
    x = tf.placeholder(tf.float32, [2], name="x")
    tf.add(tf.multiply(x, 2.0, name="m"), 1.0, name="y")
    definition = graph.as_graph_def()
    (broken,) = [node for node in definition.node if node.name == "y"]
    broken.op = "MatMul"
    whole = graph.as_graph_def()
    with tf.Graph().as_default() as other, other.control_dependencies([tf.no_op("first")]):
        for arguments in (
            {"graph_def": definition},
            {"graph_def": whole, "return_elements": ["nobody:0"]},
            {"graph_def": whole, "input_map": {"nobody": tf.constant(1.0, name="mine")}},
        ):
            with pytest.raises((ValueError, ModelError)):
                tf.import_graph_def(name="net", **arguments)
            assert {op.name for op in other.get_operations()} <= {"first", "mine"}
        (y,) = tf.import_graph_def(whole, return_elements=["y:0"], name="net_1/")
        assert y.name == "net_1/y:0"
        assert tf.constant(1, name="net_1/m").op.name == "net_1/m_1"
