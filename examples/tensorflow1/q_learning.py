"""Deep Q-learning in a corridor: a replay memory, and a target network that follows every 20 steps."""

import collections
import random
import sys

import numpy as np

import tensorkiln as tf

episodes = int(sys.argv[1]) if len(sys.argv) > 1 else 60
places, moves, batch, discount = 8, 2, 32, 0.95
random.seed(1)
Move = collections.namedtuple("Move", "place action reward after done")


def step_from(place, action):
    """The corridor: the right end is the goal, the left end a pit, every step costs a little."""
    after = place + (1 if action == 1 else -1)
    reward = {0: -1.0, places - 1: 1.0}.get(after, -0.01)
    return after, reward, after in (0, places - 1)


def network(place, scope, reuse=None, trainable=True):
    """Q of both moves."""
    with tf.variable_scope(scope, reuse=reuse):
        w1 = tf.get_variable(
            "w1", [places, 24], initializer=tf.random_normal_initializer(0.0, 0.3, seed=2),
            trainable=trainable,
        )  # fmt: skip
        b1 = tf.get_variable(
            "b1", [24], initializer=tf.constant_initializer(0.1), trainable=trainable
        )
        w2 = tf.get_variable(
            "w2", [24, moves], initializer=tf.glorot_uniform_initializer(seed=3),
            trainable=trainable,
        )  # fmt: skip
        layer = tf.nn.relu(tf.nn.xw_plus_b(tf.one_hot(place, places), w1, b1))
        return tf.matmul(layer, w2)


place = tf.placeholder(tf.int32, [None], name="place")
after = tf.placeholder(tf.int32, [None], name="after")
action = tf.placeholder(tf.int32, [None], name="action")
reward = tf.placeholder(tf.float32, [None], name="reward")
done = tf.placeholder(tf.bool, [None], name="done")
step = tf.train.get_or_create_global_step()

q = network(place, "online")
q_after = network(after, "online", reuse=True)
q_target = network(after, "target", trainable=False)

with tf.name_scope("loss"):
    # The online network chooses the next move, the target network says what it is worth.
    best = tf.argmax(q_after, axis=1, output_type=tf.int32)
    worth = tf.gather_nd(q_target, tf.stack([tf.range(tf.size(best)), best], axis=1))
    wanted = reward + discount * tf.where(done, tf.zeros_like(worth), worth)
    given = tf.reduce_sum(q * tf.one_hot(action, moves), axis=1)
    loss = tf.losses.huber_loss(tf.stop_gradient(wanted), given)

rate = tf.train.polynomial_decay(0.01, step, 400, 0.001)
optimizer = tf.train.RMSPropOptimizer(rate)
gradients = optimizer.compute_gradients(loss, tf.trainable_variables("online"))
clipped = [(tf.clip_by_norm(gradient, 10.0), variable) for gradient, variable in gradients]
train = optimizer.apply_gradients(clipped, global_step=step)

online = tf.trainable_variables("online")
target = tf.get_collection(tf.GraphKeys.GLOBAL_VARIABLES, scope="target")


def follow():
    """Copies the online network's weights."""
    with tf.control_dependencies([tf.assign(t, o) for t, o in zip(target, online)]):
        return tf.constant(True)


with tf.control_dependencies([train]):
    followed = tf.cond(tf.equal(step % 20, 0), follow, lambda: tf.constant(False))

curiosity = tf.maximum(0.1, 1.0 - tf.cast(step, tf.float32) / 300.0, name="curiosity")
move = tf.cond(
    tf.random_uniform([], seed=11) < curiosity,
    lambda: tf.random_uniform([1], maxval=moves, dtype=tf.int64, seed=7),
    lambda: tf.argmax(q, 1),
    name="move",
)

memory, returns, copies = collections.deque(maxlen=500), [], 0
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for episode in range(1, episodes + 1):
        here, total = 1, 0.0
        for _ in range(40):
            (chosen,) = sess.run(move, {place: [here]})
            there, gained, over = step_from(here, chosen)
            memory.append(Move(here, chosen, gained, there, over))
            here, total = there, total + gained
            if len(memory) >= batch:
                seen = Move(*zip(*random.sample(memory, batch)))
                feeds = dict(zip((place, action, reward, after, done), seen))
                _, copied = sess.run([train, followed], feeds)
                copies += int(copied)
            if over:
                break
        returns.append(total)
        if episode % 10 == 0:
            print(
                "episode %d: return %.2f, steps %d, copies %d"
                % (episode, np.mean(returns[-10:]), step.eval(), copies)
            )
    learned = np.argmax(q.eval({place: range(1, places - 1)}), axis=1)
    print("moves learned:", " ".join("left" if m == 0 else "right" for m in learned))
