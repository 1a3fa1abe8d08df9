"""tf.colocate_with: the groups of ops, as TensorFlow writes them into definitions."""

from __future__ import annotations

import tensorkiln as tf


def test_ops_join_the_group_of_another() -> None:
    with tf.Graph().as_default() as graph:
        with tf.device("/cpu:0"):
            v = tf.Variable(1.0, name="v")
        own = tf.constant(1.0, name="own")
        with tf.colocate_with(v.op):
            c = tf.constant(2.0, name="c")
            with tf.colocate_with(own):
                d = tf.constant(2.0, name="d")
            with tf.colocate_with(own, ignore_existing=True):
                e = tf.constant(2.0, name="e")
            with tf.colocate_with(None):
                f = tf.constant(2.0, name="f")
        g = tf.constant(2.0, name="g")
    assert c.op.colocation_groups() == [b"loc:@v"]
    assert c.op.get_attr("_class") == [b"loc:@v"]
    assert c.device == "/device:CPU:0"
    assert d.op.colocation_groups() == [b"loc:@own", b"loc:@v"]
    assert e.op.colocation_groups() == [b"loc:@own"]
    assert f.op.colocation_groups() == [b"loc:@v"]
    assert (g.op.colocation_groups(), g.device) == ([b"loc:@g"], "")
    nodes = {node.name: node for node in graph.as_graph_def().node}
    assert list(nodes["c"].attr["_class"].list.s) == [b"loc:@v"]
    with tf.Session(graph=graph) as session:
        assert session.run(c) == 2
