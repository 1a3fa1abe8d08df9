"""`tf.contrib.seq2seq`: decoders with attention."""

from tensorkiln.frontends.graph.seq2seq_attention import (
    AttentionMechanism,
    AttentionWrapper,
    AttentionWrapperState,
    BahdanauAttention,
    LuongAttention,
)
from tensorkiln.frontends.graph.seq2seq_basic import BasicDecoder, BasicDecoderOutput
from tensorkiln.frontends.graph.seq2seq_beam import (
    BeamSearchDecoder,
    BeamSearchDecoderOutput,
    BeamSearchDecoderState,
    FinalBeamSearchDecoderOutput,
    gather_tree,
    tile_batch,
)  # fmt: skip
from tensorkiln.frontends.graph.seq2seq_decoder import Decoder, dynamic_decode, sequence_loss
from tensorkiln.frontends.graph.seq2seq_helpers import (
    GreedyEmbeddingHelper,
    Helper,
    SampleEmbeddingHelper,
    TrainingHelper,
)  # fmt: skip
from tensorkiln.frontends.graph.seq2seq_scheduled import (
    ScheduledEmbeddingTrainingHelper,
    ScheduledOutputTrainingHelper,
)  # fmt: skip
