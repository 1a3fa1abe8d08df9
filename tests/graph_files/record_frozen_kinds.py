"""Freezes nets of the classic kinds under TensorFlow, with what they compute.  By hand:

TF_USE_LEGACY_KERAS=1 python tests/graph_files/record_frozen_kinds.py FOLDER
"""

import sys

import numpy as np
import tensorflow as tf2
from tensorflow.python.ops import gen_array_ops, gen_audio_ops

tf = tf2.compat.v1
FOLDER = sys.argv[1]
RANDOM = np.random.RandomState(0)


def variable(name, *shape):
    scale = np.sqrt(np.prod(shape[:-1]))
    return tf.get_variable(name, initializer=(RANDOM.randn(*shape) / scale).astype(np.float32))


def positive(name, count):
    return tf.abs(variable(name, count)) + 0.5


def freeze(name, session, fetched, as_text=False, **arrays):
    frozen = tf.graph_util.convert_variables_to_constants(session, session.graph_def, fetched)
    tf.train.write_graph(frozen, FOLDER, f"{name}.pb{'txt' if as_text else ''}", as_text=as_text)
    np.savez_compressed(f"{FOLDER}/{name}.npz", **arrays)


def convolution(x, name, size, channels, stride=1, padding="SAME", fused=False):
    """A convolution, a batch normalisation and a relu, as Inception has them."""
    with tf.variable_scope(name):
        kernel = variable("conv2d_params", size, size, int(x.shape[-1]), channels)
        x = tf.nn.conv2d(x, kernel, [1, stride, stride, 1], padding, name="Conv2D")
        if fused:
            gamma, beta = positive("gamma", channels), variable("beta", channels)
            mean, spread = variable("mean", channels), positive("variance", channels)
            x = tf.nn.fused_batch_norm(x, gamma, beta, mean, spread, is_training=False, name="bn")[
                0
            ]
        else:
            mean, spread = variable("moving_mean", channels), positive("moving_variance", channels)
            beta, gamma = variable("beta", channels), variable("gamma", channels)
            x = tf.nn.batch_normalization(x, mean, spread, beta, gamma, 0.001, name="batchnorm")
        x = gen_array_ops.check_numerics(x, message="Check numerics")
        return tf.nn.relu(tf.identity(x, name="control_dependency"), name=name)


def image():
    picture = tf.placeholder(tf.float32, [None, None, 3], name="image")
    x = tf.expand_dims(tf.cast(picture, tf.float32), 0)
    x = tf.image.resize_bilinear(x, [17, 17], name="ResizeBilinear")
    x = tf.multiply(tf.subtract(x, 128.0), 1 / 128.0, name="Mul")
    x = convolution(x, "conv", 3, 6, 2, "VALID")
    x = convolution(x, "conv_1", 3, 4, fused=True)
    x = tf.nn.max_pool(x, [1, 3, 3, 1], [1, 2, 2, 1], "VALID", name="pool")
    x = tf.nn.lrn(x, 2, bias=1.0, alpha=0.001, beta=0.75, name="norm1")
    towers = [
        convolution(x, "mixed_conv", 1, 3),
        convolution(convolution(x, "tower_conv", 1, 3), "tower_conv_1", 5, 4),
        tf.nn.avg_pool(x, [1, 3, 3, 1], [1, 1, 1, 1], "SAME", name="mixed/pool"),
    ]
    towers[2] = convolution(towers[2], "mixed_tower_2", 1, 2, fused=True)
    x = gen_array_ops.concat(concat_dim=3, values=towers, name="join")
    x = tf.nn.depthwise_conv2d(x, variable("dw", 3, 3, 9, 1), [1, 1, 1, 1], "SAME")
    x = tf.nn.relu6(tf.nn.bias_add(x, variable("db", 9)), name="relu6")
    x = tf.squeeze(tf.reduce_mean(x, [1, 2], keep_dims=True, name="pool_3"), [1, 2])
    x = tf.matmul(tf.reshape(x, [-1, 9], name="pool_3/_reshape"), variable("w", 9, 5))
    y = tf.nn.softmax(x + variable("b", 5), name="softmax")
    session.run(tf.global_variables_initializer())
    pixels = RANDOM.randint(0, 255, (23, 31, 3)).astype(np.float32)
    freeze("image", session, ["softmax"], image=pixels, softmax=session.run(y, {picture: pixels}))


def speech():
    wav = tf.placeholder(tf.string, [], name="wav_data")
    sound = tf.audio.decode_wav(
        wav, desired_channels=1, desired_samples=1600, name="decoded_sample_data"
    )
    spectrogram = gen_audio_ops.audio_spectrogram(sound.audio, 480, 160, magnitude_squared=True)
    mfcc = gen_audio_ops.mfcc(spectrogram, sound.sample_rate, dct_coefficient_count=10, name="Mfcc")
    x = tf.reshape(tf.reshape(mfcc, [-1, 80], name="fingerprint"), [-1, 8, 10, 1])
    x = tf.nn.conv2d(x, variable("k", 4, 3, 1, 4), [1, 1, 1, 1], "SAME") + variable("b", 4)
    x = tf.nn.max_pool(tf.nn.relu(x), [1, 2, 2, 1], [1, 2, 2, 1], "SAME")
    x = tf.matmul(tf.reshape(x, [-1, 80]), variable("fc", 80, 4)) + variable("fb", 4)
    y = tf.nn.softmax(x, name="labels_softmax")
    session.run(tf.global_variables_initializer())
    wave = 0.4 * np.sin(2 * np.pi * 440 * np.arange(1500) / 16000) + 0.06 * RANDOM.randn(1500)
    data = session.run(tf.audio.encode_wav(wave.astype(np.float32)[:, None], 16000))
    wanted = {"softmax": y, "mfcc": mfcc, "spectrogram": spectrogram}
    wanted |= {"audio": sound.audio, "rate": sound.sample_rate}
    values = session.run(wanted, {wav: data})
    freeze("speech", session, ["labels_softmax"], wav=np.frombuffer(data, np.uint8), **values)


def text_cnn():
    ids = tf.placeholder(tf.int32, [None, 9], name="input_x")
    keep = tf.placeholder_with_default(1.0, [], name="dropout_keep_prob")
    with tf.device("/cpu:0"), tf.name_scope("embedding"):
        words = tf.expand_dims(tf.nn.embedding_lookup(variable("W", 20, 6), ids), -1)
    pools = []
    for size in (3, 4, 5):
        with tf.variable_scope(f"conv-maxpool-{size}"):
            x = tf.nn.conv2d(
                words, variable("W", size, 6, 1, 3), [1, 1, 1, 1], "VALID", name="conv"
            )
            x = tf.nn.relu(tf.nn.bias_add(x, variable("b", 3)), name="relu")
            pools.append(
                tf.nn.max_pool(x, [1, 10 - size, 1, 1], [1, 1, 1, 1], "VALID", name="pool")
            )
    x = tf.nn.dropout(tf.reshape(tf.concat(pools, 3), [-1, 9]), keep)
    scores = tf.nn.xw_plus_b(x, variable("ow", 9, 2), variable("ob", 2), name="scores")
    predictions = tf.argmax(scores, 1, name="predictions")
    right = tf.equal(predictions, [0, 1, 1])
    accuracy = tf.reduce_mean(tf.cast(right, "float"), name="accuracy")
    session.run(tf.global_variables_initializer())
    given = RANDOM.randint(0, 20, (3, 9)).astype(np.int32)
    wanted = {"scores": scores, "predictions": predictions, "accuracy": accuracy}
    values = session.run(wanted, {ids: given})
    freeze("text_cnn", session, list(wanted), as_text=True, ids=given, **values)


def text_lstm():
    ids = tf.placeholder(tf.int32, [None, 7], name="ids")
    lengths = tf.placeholder(tf.int32, [None], name="lengths")
    words = tf.nn.embedding_lookup(variable("emb", 15, 4), ids)
    cells = [tf.nn.rnn_cell.LSTMCell(5), tf.nn.rnn_cell.GRUCell(3)]
    outputs, states = tf.nn.dynamic_rnn(
        tf.nn.rnn_cell.MultiRNNCell(cells), words, sequence_length=lengths, dtype=tf.float32
    )
    out = tf.nn.softmax(tf.layers.dense(states[1], 3), name="out")
    wanted = {"out": out, "outputs": tf.identity(outputs, name="outputs")}
    session.run(tf.global_variables_initializer())
    given = {"ids": RANDOM.randint(0, 15, (3, 7)).astype(np.int32)}
    given["lengths"] = np.array([7, 3, 5], np.int32)
    values = session.run(wanted, {ids: given["ids"], lengths: given["lengths"]})
    freeze("text_lstm", session, ["out", "outputs"], **given, **values)


tf.disable_v2_behavior()
tf.disable_resource_variables()
tf.disable_control_flow_v2()
for make in (image, speech, text_cnn, text_lstm):
    with tf.Graph().as_default(), tf.Session() as session:
        make()
