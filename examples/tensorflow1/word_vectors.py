"""Word vectors by skip-grams and noise-contrastive estimation, with a checkpoint read back."""

import os
import random
import sys
import tempfile

import numpy as np

import tensorkiln as tf

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 1500
size, batch, noise_words = 8, 64, 6
random.seed(4)

# Sentences of a made-up language: animals eat and sleep, machines run and stop, in places of theirs.
WORDS = {
    "animal": ["cat", "dog", "horse", "cow"], "does": ["eats", "sleeps", "drinks", "waits"],
    "where": ["stable", "meadow", "barn", "garden"],
    "machine": ["pump", "engine", "press", "crane"], "works": ["runs", "stops", "starts", "breaks"],
    "plant": ["factory", "harbour", "mill", "mine"],
}  # fmt: skip
vocabulary = sorted(word for kind in WORDS.values() for word in kind)
number = {word: k for k, word in enumerate(vocabulary)}


def sentence():
    """The numbers of three words that go together."""
    kinds = random.choice([("animal", "does", "where"), ("machine", "works", "plant")])
    return [number[random.choice(WORDS[kind])] for kind in kinds]


def pairs(count):
    """Words, and for each another word of its sentence."""
    drawn = [random.sample(sentence(), 2) for _ in range(count)]
    return [word for word, _ in drawn], [[other] for _, other in drawn]


graph = tf.Graph()
with graph.as_default():
    word = tf.placeholder(tf.int32, [batch], name="word")
    other = tf.placeholder(tf.int64, [batch, 1], name="other")
    with tf.device("/cpu:0"), tf.name_scope("vectors"):
        vectors = tf.Variable(
            tf.random_uniform([len(vocabulary), size], -1.0, 1.0, seed=1), name="table"
        )
        inputs = tf.nn.embedding_lookup(vectors, word)
    with tf.name_scope("noise"):
        weights = tf.Variable(
            tf.truncated_normal([len(vocabulary), size], stddev=size**-0.5, seed=2), name="weights"
        )
        biases = tf.Variable(tf.zeros([len(vocabulary)]), name="biases")
        sampled = tf.nn.log_uniform_candidate_sampler(
            other, 1, noise_words, True, len(vocabulary), seed=3
        )
        loss = tf.reduce_mean(
            tf.nn.nce_loss(
                weights, biases, other, inputs, noise_words, len(vocabulary), sampled_values=sampled
            )
        )
    train = tf.train.AdagradOptimizer(1.0).minimize(loss)
    normalized = tf.nn.l2_normalize(vectors, 1)
    asked = tf.placeholder(tf.int32, [None], name="asked")
    similarity = tf.matmul(tf.gather(normalized, asked), normalized, transpose_b=True)
    saver = tf.train.Saver({"vectors": vectors}, max_to_keep=2)
    init = tf.global_variables_initializer()

folder = tempfile.mkdtemp()
with tf.Session(graph=graph) as sess:
    init.run()
    mean = 0.0
    for step in range(1, steps + 1):
        words, others = pairs(batch)
        _, now = sess.run([train, loss], {word: words, other: others})
        mean += now
        if step % 500 == 0:
            path = saver.save(sess, os.path.join(folder, "words"), global_step=step)
            print("step %d: loss %.3f, saved %s" % (step, mean / 500, os.path.basename(path)))
            mean = 0.0
    table = normalized.eval()

latest = tf.train.latest_checkpoint(folder)
print(tf.train.list_variables(latest))
with tf.Session(graph=graph) as sess:
    saver.restore(sess, latest)
    print("restored alike:", np.allclose(sess.run(normalized), table))
    names = ["cat", "runs", "harbour"]
    for name, row in zip(names, similarity.eval({asked: [number[n] for n in names]})):
        print(name, "is like", ", ".join(vocabulary[k] for k in row.argsort()[::-1][1:4]))
