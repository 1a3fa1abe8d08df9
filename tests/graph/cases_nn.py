"""Convolutions, pools, normalisations and activations."""

from __future__ import annotations

import numpy as np
from graph.like_tensorflow import Case

R = np.random.RandomState(8)


def draw(*shape: int) -> np.ndarray:
    return R.randn(*shape).astype(np.float32)


IMAGE, KERNEL, DEEP_KERNEL = draw(2, 7, 6, 3), draw(3, 2, 3, 4), draw(3, 2, 3, 2)
FIRST = draw(2, 3, 7, 6)
ROW, ROW_KERNEL = draw(2, 9, 3), draw(3, 3, 2)
VOLUME, VOLUME_KERNEL = draw(1, 4, 5, 4, 2), draw(2, 2, 3, 2, 3)
UP = draw(2, 4, 3, 4)
X = draw(3, 4)
P = np.abs(draw(3, 4)) + 0.1

CASES: dict[str, Case] = {
    "conv2d": (
        lambda tf, x, k: [
            tf.nn.conv2d(x, k, [1, 1, 1, 1], "SAME"), tf.nn.conv2d(x, k, [1, 2, 2, 1], "VALID"),
            tf.nn.conv2d(x, k, [1, 1, 1, 1], "SAME", dilations=[1, 2, 2, 1]),
        ],
        (IMAGE, KERNEL),
    ),
    "conv2d padding": (
        lambda tf, x, k: tf.nn.conv2d(x, k, [1, 2, 1, 1], [[0, 0], [2, 1], [0, 3], [0, 0]]),
        (IMAGE, KERNEL),
    ),
    "conv1d": (
        lambda tf, x, k: [tf.nn.conv1d(x, k, 1, "SAME"), tf.nn.conv1d(x, k, 2, "VALID")],
        (ROW, ROW_KERNEL),
    ),
    "conv3d": (
        lambda tf, x, k: [
            tf.nn.conv3d(x, k, [1, 1, 1, 1, 1], "SAME"),
            tf.nn.conv3d(x, k, [1, 2, 1, 2, 1], "VALID"),
        ],
        (VOLUME, VOLUME_KERNEL),
    ),
    "convolution": (
        lambda tf, x, k: [
            tf.nn.convolution(x, k, "SAME"), tf.nn.convolution(x, k, "VALID", [2, 1]),
            tf.nn.convolution(x, k, "SAME", dilation_rate=[2, 1]),
        ],
        (IMAGE, KERNEL),
    ),
    "convolution 1d": (
        lambda tf, x, k: [
            tf.nn.convolution(x, k, "SAME"), tf.nn.convolution(x, k, "VALID", dilation_rate=[2])
        ],
        (ROW, ROW_KERNEL),
    ),
    "atrous": (
        lambda tf, x, k: [
            tf.nn.atrous_conv2d(x, k, 2, "SAME"), tf.nn.atrous_conv2d(x, k, 1, "VALID")
        ],
        (IMAGE, KERNEL),
    ),
    "atrous transpose": (
        lambda tf, x, k: tf.nn.atrous_conv2d_transpose(
            x, tf.transpose(k, [0, 1, 3, 2]), [2, 7, 6, 4], 2, "SAME"
        ),
        (IMAGE, KERNEL),
    ),
    "depthwise": (
        lambda tf, x, k: [
            tf.nn.depthwise_conv2d(x, k, [1, 1, 1, 1], "SAME"),
            tf.nn.depthwise_conv2d(x, k, [1, 2, 2, 1], "VALID"),
            tf.nn.depthwise_conv2d(x, k, [1, 1, 1, 1], "SAME", rate=[2, 2]),
            tf.nn.depthwise_conv2d_native(x, k, [1, 1, 1, 1], "VALID"),
        ],
        (IMAGE, DEEP_KERNEL),
    ),
    "separable": (
        lambda tf, x, k, q: tf.nn.separable_conv2d(x, k, q, [1, 1, 1, 1], "SAME"),
        (IMAGE, DEEP_KERNEL, draw(1, 1, 6, 5)),
    ),
    "conv2d_transpose": (
        lambda tf, x, k: [
            tf.nn.conv2d_transpose(x, k, [2, 8, 6, 3], [1, 2, 2, 1]),
            tf.nn.conv2d_transpose(x, k, [2, 6, 4, 3], [1, 1, 1, 1], "VALID"),
            tf.nn.conv2d_transpose(
                x, k, tf.stack([tf.shape(x)[0], 8, 6, 3]), [1, 2, 2, 1], padding="SAME"
            ),
        ],
        (UP, KERNEL),
    ),
    "conv1d_transpose": (
        lambda tf, x, k: tf.nn.conv1d_transpose(
            x, tf.transpose(k, [0, 2, 1]), [2, 18, 2], 2
        ),
        (ROW, ROW_KERNEL),
    ),
    "conv3d_transpose": (
        lambda tf, x, k: tf.nn.conv3d_transpose(
            x, tf.transpose(k, [0, 1, 2, 4, 3]), [1, 8, 5, 4, 3], [1, 2, 1, 1, 1]
        ),
        (VOLUME, VOLUME_KERNEL),
    ),
    "backprop": (
        lambda tf, x, k, g: [
            tf.nn.conv2d_backprop_input([2, 8, 6, 3], k, g, [1, 2, 2, 1], "SAME"),
            tf.nn.conv2d_backprop_filter(x, [3, 2, 3, 4], g, [1, 2, 2, 1], "SAME"),
        ],
        (IMAGE, KERNEL, UP),
    ),
    "depthwise backprop": (
        lambda tf, x, k, g: [
            tf.nn.depthwise_conv2d_native_backprop_input(
                [2, 7, 6, 3], k, tf.concat([g, g[..., :2]], -1), [1, 2, 2, 1], "SAME"
            ),
            tf.nn.depthwise_conv2d_native_backprop_filter(
                x, [3, 2, 3, 2], tf.concat([g, g[..., :2]], -1), [1, 2, 2, 1], "SAME"
            ),
        ],
        (IMAGE, DEEP_KERNEL, UP),
    ),
    "pools": (
        lambda tf, x: [
            tf.nn.max_pool(x, [1, 2, 2, 1], [1, 2, 2, 1], "SAME"),
            tf.nn.avg_pool(x, [1, 3, 2, 1], [1, 2, 1, 1], "SAME"),
            tf.nn.max_pool(x, [1, 3, 3, 1], [1, 1, 2, 1], "VALID"),
        ],
        (IMAGE,),
    ),
    "pools 1d": (
        lambda tf, x: [
            tf.nn.max_pool1d(x, 2, 2, "SAME"), tf.nn.avg_pool1d(x, 3, 2, "VALID"),
        ],
        (ROW,),
    ),
    "pools 3d": (
        lambda tf, x: [
            tf.nn.max_pool3d(x, [1, 2, 2, 2, 1], [1, 2, 2, 1, 1], "SAME"),
            tf.nn.avg_pool3d(x, [1, 2, 3, 2, 1], [1, 1, 2, 1, 1], "VALID"),
        ],
        (VOLUME,),
    ),
    "pool": (
        lambda tf, x: [
            tf.nn.pool(x, [2, 2], "MAX", "SAME"),
            tf.nn.pool(x, [2, 3], "AVG", "VALID", strides=[2, 1]),
        ],
        (IMAGE,),
    ),
    "pool dilated": (
        lambda tf, x: tf.nn.pool(x, [2, 2], "MAX", "VALID", dilation_rate=[2, 2]), (IMAGE,)
    ),
    "max_pool_with_argmax": (
        lambda tf, x: list(tf.nn.max_pool_with_argmax(x, [1, 2, 2, 1], [1, 2, 2, 1], "SAME")),
        (IMAGE,),
    ),
    "lrn": (
        lambda tf, x: [
            tf.nn.lrn(x), tf.nn.local_response_normalization(x, 1, 2.0, 0.5, 0.75),
        ],
        (draw(1, 2, 3, 7),),
    ),
    "dilation2d": (
        lambda tf, x, k: [
            tf.nn.dilation2d(x, k[..., 0], [1, 1, 1, 1], [1, 1, 1, 1], "SAME"),
            tf.nn.erosion2d(x, k[..., 0], [1, 2, 1, 1], [1, 1, 2, 1], "VALID"),
        ],
        (IMAGE, KERNEL),
    ),
    "activations": (
        lambda tf, x: [
            tf.nn.relu(x), tf.nn.relu6(x * 5), tf.nn.elu(x), tf.nn.selu(x), tf.nn.softplus(x),
            tf.nn.softsign(x), tf.nn.leaky_relu(x), tf.nn.crelu(x), tf.nn.swish(x),
            tf.nn.sigmoid(x), tf.nn.tanh(x), tf.nn.leaky_relu(x, 0.3, name="leak"),
        ],
        (X,),
    ),
    "softmax": (
        lambda tf, x: [tf.nn.softmax(x), tf.nn.softmax(x, 0), tf.nn.log_softmax(x)], (X,)
    ),
    "cross entropies": (
        lambda tf, x, p: [
            tf.nn.softmax_cross_entropy_with_logits(labels=p, logits=x),
            tf.nn.softmax_cross_entropy_with_logits_v2(labels=p, logits=x),
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=[1, 0, 3], logits=x),
            tf.nn.sigmoid_cross_entropy_with_logits(labels=p, logits=x),
            tf.nn.weighted_cross_entropy_with_logits(p, x, 2.0),
            tf.nn.log_poisson_loss(p, x), tf.nn.log_poisson_loss(p * 3, x, True),
            tf.nn.l2_loss(x),
        ],
        (X, P),
    ),
    "biases": (
        lambda tf, x, i, n, w: [
            tf.nn.bias_add(x, w[0]), tf.nn.bias_add(n, w[1, :3], "NCHW"),
            tf.nn.xw_plus_b(x, w, w[2]), tf.nn.relu_layer(x, w, w[3]), tf.nn.bias_add(i, w[0, :3]),
        ],
        (X, IMAGE, FIRST, draw(4, 4)),
    ),
    "moments": (
        lambda tf, x: [
            *tf.nn.moments(x, [0]), *tf.nn.moments(x, [0, 1], keep_dims=True),
            *tf.nn.weighted_moments(x, [0], [[0.1], [0.5], [2.0]]),
        ],
        (X,),
    ),
    "statistics": (
        lambda tf, x: [
            *tf.nn.sufficient_statistics(x, [0])[:3],
            *tf.nn.normalize_moments(*tf.nn.sufficient_statistics(x, [0], 0.5)),
        ],
        (X,),
    ),
    "batch_normalization": (
        lambda tf, x, p: [
            tf.nn.batch_normalization(x, x[0], p[0], x[1], x[2], 1e-3),
            tf.nn.batch_normalization(x, x[0], p[0], None, None, 1e-3),
            tf.nn.batch_norm_with_global_normalization(
                tf.reshape(x, [1, 1, 3, 4]), x[0], p[0], x[1], x[2], 1e-3, True
            ),
        ],
        (X, P),
    ),
    "fused_batch_norm": (
        lambda tf, x, s: list(tf.nn.fused_batch_norm(x, s[0, :3], s[1, :3])), (IMAGE, X)
    ),
    "fused_batch_norm inference": (
        lambda tf, x, s: list(tf.nn.fused_batch_norm(
            x, s[0, :3], s[1, :3], s[2, :3], tf.exp(s[1, :3]), is_training=False
        )),
        (IMAGE, X),
    ),
    "l2_normalize": (lambda tf, x: [tf.nn.l2_normalize(x, 1), tf.nn.l2_normalize(x)], (X,)),
    "dropout": (
        lambda tf, x: [
            tf.nn.dropout(x, 0.7, seed=3), tf.nn.dropout(x, 0.5, noise_shape=[3, 1], seed=4),
            tf.nn.dropout(x, rate=0.3, seed=3),
        ],
        (X,),
    ),
    "embedding": (
        lambda tf, x: [
            tf.nn.embedding_lookup(x, [[1, 2], [0, 1]]),
            tf.nn.embedding_lookup([x, x * 2, x * 3], [0, 1, 5, 8, 2]),
            tf.nn.embedding_lookup([x, x * 2], [0, 1, 5, 3, 2], partition_strategy="div"),
            tf.nn.embedding_lookup(x, [1, 2], max_norm=0.5),
        ],
        (X,),
    ),
    "in_top_k": (
        lambda tf, x: [tf.nn.in_top_k(x, [1, 0, 3], 2)], (X,)
    ),
    "clips": (
        lambda tf, x: [
            tf.clip_by_value(x, -0.5, 0.7), tf.clip_by_norm(x, 1.5), tf.clip_by_norm(x, 1.0, [1]),
            tf.clip_by_average_norm(x, 0.1), tf.global_norm([x, None, x * 2]),
            *tf.clip_by_global_norm([x, x * 2], 2.0)[0],
        ],
        (X,),
    ),
}  # fmt: skip
# Dilated windows are not made of blocks in the batch here; the rest is version 1's.
OTHER_NAMES = {
    "convolution": ["convolution:0", "convolution_1:0", "convolution_2:0"],
    "convolution 1d": ["convolution/Squeeze:0", "convolution_1/Squeeze:0"],
    "atrous": ["convolution:0", "convolution_1:0"],
    "atrous transpose": ["atrous_conv2d_transpose:0"],
    "depthwise": ["depthwise:0", "depthwise_1:0", "depthwise_2:0", "DepthwiseConv2dNative:0"],
    "pool dilated": ["max_pool:0"],
    "activations": [
        "Relu:0",
        "Relu6:0",
        "Elu:0",
        "Selu:0",
        "Softplus:0",
        "Softsign:0",
        "LeakyRelu:0",
        "CRelu/Relu:0",
        "swish/mul:0",
        "Sigmoid:0",
        "Tanh:0",
        "leak:0",
    ],
    "softmax": ["Softmax:0", "Softmax_1:0", "LogSoftmax:0"],
    "dropout": ["dropout/mul_1:0", "dropout_1/mul_1:0", "dropout_2/mul_1:0"],
}
