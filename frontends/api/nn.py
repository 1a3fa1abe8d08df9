"""`tf.nn`: operations of neural nets."""

from tensorkiln.frontends.graph.ops_activation import (
    elu,
    leaky_relu,
    log_softmax,
    relu,
    relu6,
    selu,
    softmax,
    softplus,
    softsign,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_convolution import (
    atrous_conv2d,
    conv1d,
    conv2d,
    conv2d_transpose,
    conv3d,
    convolution,
    depthwise_conv2d,
    separable_conv2d,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_counting import zero_fraction
from tensorkiln.frontends.graph.ops_elementwise import sigmoid, tanh
from tensorkiln.frontends.graph.ops_loss import (
    l2_loss,
    sigmoid_cross_entropy_with_logits,
    softmax_cross_entropy_with_logits,
    softmax_cross_entropy_with_logits_v2,
    sparse_softmax_cross_entropy_with_logits,
    weighted_cross_entropy_with_logits,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_normalize import (
    batch_normalization,
    bias_add,
    dropout,
    fused_batch_norm,
    l2_normalize,
    moments,
    relu_layer,
    xw_plus_b,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_pool import avg_pool, avg_pool3d, max_pool, max_pool3d
from tensorkiln.frontends.graph.ops_select import embedding_lookup, in_top_k

max_pool2d = max_pool
avg_pool2d = avg_pool
