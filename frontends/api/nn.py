"""`tf.nn`: operations of neural nets."""

import sys

from tensorkiln import rnn_cell
from tensorkiln.frontends.graph.candidate_sampling import (
    log_uniform_candidate_sampler,
    uniform_candidate_sampler,
)
from tensorkiln.frontends.graph.candidate_unigrams import (
    all_candidate_sampler,
    compute_accidental_hits,
    fixed_unigram_candidate_sampler,
    learned_unigram_candidate_sampler,
)
from tensorkiln.frontends.graph.ctc import ctc_greedy_decoder, ctc_loss
from tensorkiln.frontends.graph.ctc_beam import ctc_beam_search_decoder
from tensorkiln.frontends.graph.embedding import embedding_lookup
from tensorkiln.frontends.graph.embedding_sparse import (
    embedding_lookup_sparse,
    safe_embedding_lookup_sparse,
)
from tensorkiln.frontends.graph.nn_statistics import (
    batch_norm_with_global_normalization,
    normalize_moments,
    sufficient_statistics,
    weighted_moments,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_activation import (
    crelu,
    elu,
    leaky_relu,
    log_softmax,
    relu,
    relu6,
    selu,
    softmax,
    softplus,
    softsign,
    swish,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_convolution import (
    atrous_conv2d,
    conv1d,
    conv2d,
    conv3d,
    convolution,
    depthwise_conv2d,
    depthwise_conv2d_native,
    separable_conv2d,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_convolution_gradients import (
    atrous_conv2d_transpose,
    conv1d_transpose,
    conv2d_backprop_filter,
    conv2d_backprop_input,
    conv2d_transpose,
    conv3d_backprop_filter,
    conv3d_transpose,
    conv_transpose,
    depthwise_conv2d_native_backprop_filter,
    depthwise_conv2d_native_backprop_input,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_counting import zero_fraction
from tensorkiln.frontends.graph.ops_elementwise import sigmoid, tanh
from tensorkiln.frontends.graph.ops_loss import (
    l2_loss,
    log_poisson_loss,
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
from tensorkiln.frontends.graph.ops_pool import (
    avg_pool,
    avg_pool1d,
    avg_pool3d,
    max_pool,
    max_pool1d,
    max_pool3d,
    max_pool_with_argmax,
    pool,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_select import in_top_k
from tensorkiln.frontends.graph.ops_sort import top_k
from tensorkiln.frontends.graph.ops_spaces import depth_to_space, space_to_batch, space_to_depth
from tensorkiln.frontends.graph.ops_special import log_sigmoid
from tensorkiln.frontends.graph.ops_windows import (
    dilation2d,
    erosion2d,
    local_response_normalization,
)
from tensorkiln.frontends.graph.raw_rnn import raw_rnn
from tensorkiln.frontends.graph.rnn import (
    bidirectional_dynamic_rnn,
    dynamic_rnn,
    static_bidirectional_rnn,
    static_rnn,
    static_state_saving_rnn,
)  # fmt: skip
from tensorkiln.frontends.graph.sampled_losses import nce_loss, sampled_softmax_loss
from tensorkiln.frontends.graph.space_to_batch import with_space_to_batch

# `import tensorkiln.nn.rnn_cell` finds it as well.
sys.modules["tensorkiln.nn.rnn_cell"] = rnn_cell
max_pool2d = max_pool
avg_pool2d = avg_pool
lrn = local_response_normalization
silu = swish
conv3d_backprop_filter_v2 = conv3d_backprop_filter
avg_pool_v2, max_pool_v2 = avg_pool, max_pool
depthwise_conv2d_backprop_filter = depthwise_conv2d_native_backprop_filter
depthwise_conv2d_backprop_input = depthwise_conv2d_native_backprop_input
