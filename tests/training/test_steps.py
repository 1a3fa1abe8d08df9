"""Whole training steps, compiled: right, in place, and the same bits for any number of threads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import tensorkiln as tf
from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.pipeline import jit, lower

BATCH, SIDE, CLASSES = 12, 12, 5


@dataclass(frozen=True)
class Net:
    """A network in the graph it was made in."""

    graph: Any
    start: Any
    fetches: list[Any]
    variables: list[Any]
    feeds: dict[Any, Any]


def net(optimizer: Callable[[], Any]) -> Net:
    """A small convolutional net with dropout whose random numbers are fixed by seeds."""
    graph = tf.Graph()
    with graph.as_default():
        tf.set_random_seed(7)
        x = tf.placeholder(tf.float32, [None, SIDE * SIDE])
        y = tf.placeholder(tf.float32, [None, CLASSES])
        hidden = tf.reshape(x, [-1, SIDE, SIDE, 1])
        for inputs, outputs in ((1, 6), (6, 17)):
            kernel = tf.Variable(tf.truncated_normal([3, 3, inputs, outputs], stddev=0.2))
            bias = tf.Variable(tf.constant(0.1, shape=[outputs]))
            hidden = tf.nn.relu(tf.nn.conv2d(hidden, kernel, [1, 1, 1, 1], "SAME") + bias)
            hidden = tf.nn.max_pool(hidden, [1, 2, 2, 1], [1, 2, 2, 1], "SAME")
        size = int(np.prod(hidden.get_shape().as_list()[1:]))
        hidden = tf.nn.dropout(tf.reshape(hidden, [-1, size]), 0.8)
        weights = tf.Variable(tf.truncated_normal([size, CLASSES], stddev=0.1))
        logits = tf.matmul(hidden, weights) + tf.Variable(tf.zeros([CLASSES]))
        loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=logits))
        train = optimizer().minimize(loss)
        start = tf.global_variables_initializer()
        variables = tf.global_variables()
    random = np.random.RandomState(0)
    images = random.rand(BATCH, SIDE * SIDE).astype(np.float32)
    labels = np.eye(CLASSES, dtype=np.float32)[random.randint(0, CLASSES, BATCH)]
    return Net(graph, start, [train, loss], variables, {x: images, y: labels})


OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "descent": lambda: tf.train.GradientDescentOptimizer(0.1),
    "momentum": lambda: tf.train.MomentumOptimizer(0.05, 0.9),
    "adam": lambda: tf.train.AdamOptimizer(0.01),
    "rms": lambda: tf.train.RMSPropOptimizer(0.003),
}


def trained(net: Net, steps: int, **options: Any) -> list[Any]:
    """The losses of the steps, and all variables after them."""
    with tf.Session(graph=net.graph, config=tf.ConfigProto(**options)) as session:
        session.run(net.start)
        losses = [session.run(net.fetches, net.feeds)[1] for _ in range(steps)]
        return [np.array(losses), *session.run(net.variables)]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_compiled_training_is_interpreted_training(optimizer: str) -> None:
    made = net(OPTIMIZERS[optimizer])
    expected = trained(made, 4, interpreted=True)
    found = trained(made, 4, intra_op_parallelism_threads=1)
    assert expected[0][-1] < expected[0][0]
    for got, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=2e-3, atol=2e-4)


def step_function(made: Net) -> Function:
    with tf.Session(graph=made.graph) as session:
        return session.lower(made.fetches, made.feeds)


def test_the_number_of_threads_changes_no_bit() -> None:
    function = step_function(net(OPTIMIZERS["adam"]))
    executable = jit(function)
    random = np.random.RandomState(1)
    arrays = {
        v.name: random.uniform(0, 0.9, v.shape).astype(v.dtype.numpy) for v in function.parameters
    }
    first = executable.run(arrays, threads=1)
    for threads in (2, 3):
        for got, wanted in zip(executable.run(arrays, threads=threads), first, strict=True):
            assert got.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_state_is_updated_in_place(optimizer: str) -> None:
    """Every new value of the state is written by the kernel that computes it, to the old one."""
    function = step_function(net(OPTIMIZERS[optimizer]))
    program = lower(function, target_named("host")).program
    names = [program.kernels[call.kernel].name for call in program.calls]
    assert "copy" not in names
    written = {
        slot.position
        for call in program.calls
        for slot in call.slots[len(call.slots) - program.kernels[call.kernel].outputs :]
        if slot.space == "argument"
    }
    first = len(function.parameters)
    for result, parameter in function.aliases.items():
        assert written & {parameter, first + result}


def test_memory_of_large_parameters_is_not_held_twice() -> None:
    """Descent on a wide layer needs memory for packing and activations, not for gradients."""
    size = 700
    graph = tf.Graph()
    with graph.as_default():
        x = tf.placeholder(tf.float32, [4, size])
        weights = tf.Variable(tf.zeros([size, size]))
        loss = tf.reduce_sum(tf.square(tf.matmul(x, weights) - x))
        train = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
    with tf.Session(graph=graph) as session:
        function = session.lower([train, loss], {x: np.zeros((4, size), np.float32)})
    program = lower(function, target_named("host")).program
    assert program.workspace_bytes < size * size
