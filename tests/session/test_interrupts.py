"""Ctrl-C, threads and time limits: what a session holds stays sound."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

import tensorkiln as tf

TRIPS = 30_000_000


@pytest.fixture(autouse=True)
def _fresh_graph() -> None:
    tf.reset_default_graph()


@pytest.fixture
def listening() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt, also where the tests were started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def slow_step() -> tuple[object, object, object]:
    """A variable of two equal halves, a fed number, and a step that adds it after a long loop."""
    v = tf.Variable(tf.zeros([1000], tf.float64))
    trips = tf.placeholder(tf.int32, [])
    end = tf.while_loop(
        lambda i, s: i < trips,
        lambda i, s: (i + 1, s * 0.5 + 1.0),
        [0, tf.constant(0.0, tf.float64)],
    )[1]
    return v, trips, tf.assign_add(v, tf.fill([1000], end))


def interrupted(call: Callable[[], object], after: float) -> float:
    """Runs `call`, which a SIGINT must end; the seconds that it took."""
    timer = threading.Timer(after, lambda: os.kill(os.getpid(), signal.SIGINT))
    start = time.perf_counter()
    timer.start()

    def call_and_wait() -> None:
        call()
        time.sleep(30)  # the step was done before the signal came

    try:
        with pytest.raises(KeyboardInterrupt):
            call_and_wait()
    finally:
        timer.cancel()
        timer.join()
    return time.perf_counter() - start


@pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="signals need the main thread"
)
@pytest.mark.usefixtures("listening")
def test_ctrl_c_in_a_compiled_loop() -> None:
    v, trips, step = slow_step()
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        sess.run(step, {trips: 3})
        before = sess.run(v)[0]
        assert interrupted(lambda: sess.run(step, {trips: TRIPS}), 0.05) < 20
        found = sess.run(v)
        assert len(set(found.tolist())) == 1
        assert found[0] == before or abs(found[0] - before - 2.0) < 1e-9
        sess.run(step, {trips: 3})
        np.testing.assert_allclose(sess.run(v), found + before)


@pytest.mark.usefixtures("listening")
def test_ctrl_c_while_a_step_is_compiled() -> None:
    v = tf.Variable(tf.zeros([3]))
    h = v
    for _ in range(15):
        h = tf.tanh(tf.sin(h) + tf.random_uniform([3], seed=1))
    step = tf.assign_add(v, h * 0 + 1)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        interrupted(lambda: sess.run(step), 0.02)
        count = sess.run(v)[0]
        assert count in (0, 1)
        sess.run(step)
        np.testing.assert_array_equal(sess.run(v), np.full(3, count + 1))


def test_threads_of_one_session_lose_no_update() -> None:
    v = tf.Variable(0, dtype=tf.int64)
    step = tf.assign_add(v, 1)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        failed: list[BaseException] = []

        def work() -> None:
            try:
                for _ in range(200):
                    sess.run(step)
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        assert sess.run(v) == 800


def test_sessions_in_threads_over_one_graph_share_nothing() -> None:
    x = tf.placeholder(tf.float32, [None])
    v = tf.Variable(tf.zeros([]))
    step = tf.assign_add(v, tf.reduce_sum(x))
    init = tf.global_variables_initializer()
    graph = tf.get_default_graph()
    found: dict[int, float] = {}

    def work(number: int) -> None:
        with tf.Session(graph=graph) as sess:
            sess.run(init)
            for size in (1, 2, 3) * 10:
                sess.run(step, {x: np.full(size, number, np.float32)})
            found[number] = float(sess.run(v))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: 60.0 * number for number in range(4)}


def test_a_run_that_is_late_and_the_ones_after_it() -> None:
    v, trips, step = slow_step()
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        sess.run(step, {trips: 1})
        options = tf.RunOptions(timeout_in_ms=20)
        with pytest.raises(tf.errors.DeadlineExceededError):
            sess.run(step, {trips: TRIPS}, options=options)
        # The late run goes on; the next one of the same step waits for it.
        sess.run(step, {trips: 1})
        found = sess.run(v)
        assert len(set(found.tolist())) == 1
        np.testing.assert_allclose(found, 4.0)
