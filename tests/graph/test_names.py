"""Names and printed text; expectations were taken from TensorFlow's own output."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorkiln as tf
import tensorkiln.compat.v1 as tf1


def test_printing_constants() -> None:
    a = tf.constant(4.0)
    b = tf.constant([1, 2, 3, 4])
    c = tf.constant([[4], [9], [16], [25]], dtype=tf.int32)
    assert str(a) == 'Tensor("Const:0", shape=(), dtype=float32)'
    assert str(b) == 'Tensor("Const_1:0", shape=(4,), dtype=int32)'
    assert str(c) == 'Tensor("Const_2:0", shape=(4, 1), dtype=int32)'
    assert repr(a) == "<tf.Tensor 'Const:0' shape=() dtype=float32>"


def test_printing_unknown_shapes() -> None:
    assert str(tf.placeholder(tf.float32, [None, 3])).endswith("shape=(?, 3), dtype=float32)")
    unknown = tf.placeholder(tf.float32, name="u")
    assert str(unknown) == 'Tensor("u:0", dtype=float32)'
    assert repr(unknown) == "<tf.Tensor 'u:0' shape=<unknown> dtype=float32>"
    assert tf.placeholder(tf.float32, [None, 3]).get_shape().as_list() == [None, 3]
    shape = tf.placeholder(tf.float32, [None, 3]).shape
    assert repr(shape) == "TensorShape([Dimension(None), Dimension(3)])"


def test_printing_variables() -> None:
    with tf.name_scope("name"):
        var = tf.Variable([1.0], name="var")
        second = tf.Variable([1.0], name="var")
    assert repr(var) == "<tf.Variable 'name/var:0' shape=(1,) dtype=float32_ref>"
    assert second.name == "name/var_1:0"
    assert (repr(tf.float32), str(tf.float32)) == ("tf.float32", "<dtype: 'float32'>")


def test_names_are_unique_ignoring_case() -> None:
    a = tf.constant(1)
    assert (a + a).name == "add:0"
    assert tf.add(a, a).name == "Add_1:0"
    assert (a + a).name == "add_2:0"


OPS = """
Variable/initial_value Const
Variable VariableV2
Variable/Assign Assign Variable:0 Variable/initial_value:0
Variable/read Identity Variable:0
random_normal/shape Const
random_normal/mean Const
random_normal/stddev Const
random_normal/RandomStandardNormal RandomStandardNormal random_normal/shape:0
random_normal/mul Mul random_normal/RandomStandardNormal:0 random_normal/stddev:0
random_normal Add random_normal/mul:0 random_normal/mean:0
x Placeholder
MatMul MatMul x:0 random_normal:0
add Add MatMul:0 Variable/read:0
sub/y Const
sub Sub add:0 sub/y:0
Square Square sub:0
Const Const
Mean Mean Square:0 Const:0
Sum/reduction_indices Const
Sum Sum add:0 Sum/reduction_indices:0
strided_slice/stack Const
strided_slice/stack_1 Const
strided_slice/stack_2 Const
strided_slice StridedSlice x:0 strided_slice/stack:0 strided_slice/stack_1:0 strided_slice/stack_2:0
Shape Shape x:0
strided_slice_1/stack Const
strided_slice_1/stack_1 Const
strided_slice_1/stack_2 Const
strided_slice_1 StridedSlice Shape:0 strided_slice_1/stack:0 strided_slice_1/stack_1:0 strided_slice_1/stack_2:0
Reshape/shape/0 Const
Reshape/shape Pack Reshape/shape/0:0 strided_slice_1:0
Reshape Reshape x:0 Reshape/shape:0
concat/axis Const
concat ConcatV2 add:0 add:0 concat/axis:0
one_hot/on_value Const
one_hot/off_value Const
one_hot/indices Const
one_hot/depth Const
one_hot OneHot one_hot/indices:0 one_hot/depth:0 one_hot/on_value:0 one_hot/off_value:0
ArgMax/dimension Const
ArgMax ArgMax x:0 ArgMax/dimension:0
pow/y Const
pow Pow x:0 pow/y:0
"""


def test_ops_of_a_program(graph: Any) -> None:
    """Names, types and inputs as TensorFlow makes them (it says AddV2 for Add since 1.15)."""
    v = tf.Variable(1.0)
    w = tf.random_normal([3, 2], seed=1)
    x = tf.placeholder(tf.float32, [None, 3], name="x")
    y = tf.matmul(x, w) + v
    tf.reduce_mean(tf.square(y - 1.0))
    tf.reduce_sum(y, axis=1)
    x[:, 0]
    tf.reshape(x, [-1, tf.shape(x)[1]])
    tf.concat([y, y], 1)
    tf.one_hot([1, 2], 3)
    tf.argmax(x, 1)
    x**2
    lines = [
        " ".join([op.name, op.type, *(t.name for t in op.inputs)]) for op in graph.get_operations()
    ]
    assert lines == OPS.strip().split("\n")


def test_ops_of_the_optimizers(graph: Any) -> None:
    w = tf.Variable([1.0, 2.0], name="w")
    loss = tf.reduce_sum(w * w)
    step = tf.train.get_or_create_global_step()
    momentum = tf.train.MomentumOptimizer(0.1, 0.9).minimize(loss, global_step=step)
    adam = tf.train.AdamOptimizer().minimize(loss)
    plain = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
    assert (momentum.name, momentum.type) == ("Momentum", "AssignAdd")
    assert (adam.name, plain.name) == ("Adam", "GradientDescent")
    names = {op.name for op in graph.get_operations()}
    assert {
        "Momentum/learning_rate", "Momentum/momentum", "Momentum/update_w/ApplyMomentum",
        "Momentum/update", "Momentum/value", "Adam/update_w/ApplyAdam", "Adam/mul", "Adam/Assign",
        "Adam/mul_1", "Adam/Assign_1", "GradientDescent/update_w/ApplyGradientDescent",
        "w/Momentum/Initializer/zeros", "w/Adam_1/read",
    } <= names  # fmt: skip
    assert [v.name for v in tf.global_variables()] == [
        "w:0", "global_step:0", "w/Momentum:0", "beta1_power:0", "beta2_power:0", "w/Adam:0",
        "w/Adam_1:0",
    ]  # fmt: skip
    assert tf.global_variables_initializer().name == "init"


def test_scopes() -> None:
    def make() -> tuple[str, str, str]:
        with tf.variable_scope("fc", reuse=tf.AUTO_REUSE):
            k = tf.get_variable("k", [2])
            v = tf.Variable(1.0, name="v")
            return k.name, v.name, tf.identity(k, name="y").name

    assert make() == ("fc/k:0", "fc/v:0", "fc/y:0")
    assert make() == ("fc/k:0", "fc_1/v:0", "fc_1/y:0")
    with tf.name_scope("wx_b") as scope:
        assert scope == "wx_b/"
        assert tf.get_variable("plain", [1]).name == "plain:0"
        assert tf.constant(1.0).name == "wx_b/Const:0"
    with tf.name_scope(scope):
        assert tf.constant(1.0).name == "wx_b/Const_1:0"


def test_get_variable_errors() -> None:
    with tf.variable_scope("fc"):
        tf.get_variable("k", [2])
        with pytest.raises(
            ValueError, match=r"Variable fc/k already exists, disallowed\. Did you mean"
        ):
            tf.get_variable("k", [2])
    with tf.variable_scope("fc", reuse=True):
        with pytest.raises(ValueError, match="Variable fc/other does not exist"):
            tf.get_variable("other", [2])
        with pytest.raises(ValueError, match="specified shape \\(3,\\) and found shape \\(2,\\)"):
            tf.get_variable("k", [3])


def test_default_scope_names_count_up() -> None:
    names = []
    for _ in range(2):
        with tf.variable_scope(None, "dense") as scope:
            names.append((scope.name, tf.get_variable("w", [1]).name))
    assert names == [("dense", "dense/w:0"), ("dense_1", "dense_1/w:0")]


def test_graphs_are_namespaces() -> None:
    with tf.Graph().as_default() as g:
        inner = tf.constant(1)
    outer = tf.constant(1)
    assert inner.name == outer.name == "Const:0"
    assert inner.graph is g
    with pytest.raises(ValueError, match="must be from the same graph as"):
        tf.add(inner, outer)


def test_collections(graph: Any) -> None:
    assert tf.get_collection("losses") == []
    tf.add_to_collection("losses", 1)
    tf.add_to_collection("losses", 2)
    copy = tf.get_collection("losses")
    copy.append(3)
    assert tf.get_collection("losses") == [1, 2]
    v = tf.Variable(1.0, name="a/v")
    tf.Variable(1.0, name="b/v", trainable=False)
    assert tf.trainable_variables() == [v]
    assert tf.get_collection(tf.GraphKeys.GLOBAL_VARIABLES, "a/") == [v]


def test_finalized_graph(graph: Any) -> None:
    graph.finalize()
    with pytest.raises(RuntimeError, match="Graph is finalized and cannot be modified"):
        tf.constant(1)


def test_locations_are_the_users() -> None:
    op = tf.reduce_mean(tf.constant([1.0])).op
    assert op.location.file == __file__
    assert op.traceback[0][1] == op.location.line > 0


def test_lookups(graph: Any) -> None:
    t = tf.constant(1.0, name="c")
    assert graph.get_tensor_by_name("c:0") is t
    assert graph.get_operation_by_name("c") is t.op
    with pytest.raises(KeyError, match="does not exist in the graph"):
        graph.get_tensor_by_name("d:0")
    with pytest.raises(ValueError, match="Tensor names must be of the form"):
        graph.get_tensor_by_name("c")


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (1.5, "float32"), (2, "int32"), (2**40, "int64"), (True, "bool"), ("s", "string"),
        (np.float64(1), "float64"), (np.arange(2), "int64"), ([1, 2.5], "float32"),
    ],
)  # fmt: skip
def test_dtypes_of_constants(value: Any, dtype: str) -> None:
    assert tf.constant(value).dtype.name == dtype
    assert tf.constant(value).dtype == tf.as_dtype(dtype)


def test_compat_module_is_the_package() -> None:
    assert tf1 is tf
    assert tf.compat.v1 is tf
    tf.compat.v1.disable_eager_execution()


def test_what_an_operation_tells() -> None:
    """As TensorFlow 2.21 tells it."""
    x = tf.placeholder(tf.float32, [1, 4, 4, 1])
    op = tf.nn.conv2d(x, tf.zeros([2, 2, 1, 1]), [1, 1, 1, 1], "SAME").op
    assert (op.get_attr("strides"), op.get_attr("padding")) == ([1, 1, 1, 1], b"SAME")
    assert op.get_attr("T") is tf.float32
    value = tf.constant([3, 4]).op.get_attr("value")
    assert (value.dtype, value.tensor_shape.dim[0].size) == (3, 2)
    with pytest.raises(ValueError, match=r"Operation '\w+' has no attr named 'nix'\."):
        op.get_attr("nix")
    assert [argument.name for argument in op.op_def.input_arg] == ["input", "filter"]
    assert op.colocation_groups() == [b"loc:@Conv2D"]


def test_operators_of_truth_values() -> None:
    t = tf.constant(True)
    made = [t & t, t | t, t ^ t, ~t, True & t, True | t, True ^ t]
    assert [x.name for x in made] == [
        "and:0", "or:0", "xor:0", "LogicalNot:0", "and_1:0", "or_1:0", "xor_1:0",
    ]  # fmt: skip
    with tf.Session() as session:
        assert session.run(made) == [True, True, False, False, True, True, False]
    with pytest.raises(NotImplementedError, match=r"symbolic Tensor .* to a numpy array"):
        np.array(t)
    with pytest.raises(TypeError, match="len is not well defined"):
        len(t)


def test_shapes_as_messages_and_their_checks() -> None:
    shape = tf.TensorShape([2, None])
    assert tf.TensorShape(shape.as_proto()).as_list() == [2, None]
    assert tf.TensorShape(tf.TensorShape(None).as_proto()).ndims is None
    shape.assert_has_rank(2)
    shape.with_rank_at_most(2)
    for call, text in (
        (lambda: shape.assert_has_rank(1), r"Shape \(2, \?\) must have rank 1"),
        (lambda: shape.assert_same_rank([1]), "must have the same rank"),
        (lambda: shape.with_rank_at_most(1), "must have rank at most 1"),
        (lambda: tf.Dimension(3).assert_is_compatible_with(4), "Dimensions 3 and 4 are not comp"),
        (lambda: tf.zeros([2, 3]).set_shape([4, 3]), "in both shapes must be equal, but are 2 and"),
        (lambda: tf.zeros([2, 3]).set_shape([2]), "Shapes must be equal rank, but are 2 and 1"),
    ):
        with pytest.raises(ValueError, match=text):
            call()
    with pytest.raises(TypeError, match="please use // instead"):
        tf.Dimension(6) / 2
    assert (tf.Dimension(None) < 4) is None


def test_what_may_not_be_fetched_or_added() -> None:
    graph = tf.Graph()
    with graph.as_default():
        x = tf.constant(1.0)
    graph.prevent_fetching(x.op)
    assert not graph.is_fetchable(x)
    with tf.Session(graph=graph) as session, pytest.raises(ValueError, match="marked as not fetch"):
        session.run(x)
    graph.finalize()
    with pytest.raises(RuntimeError, match="Graph is finalized"):
        graph.add_to_collection("a", 1)
    for call, kind in ((graph.get_tensor_by_name, "Tensor"), (graph.get_operation_by_name, "Oper")):
        with pytest.raises(TypeError, match=f"{kind}.* names are strings"):
            call(3)
