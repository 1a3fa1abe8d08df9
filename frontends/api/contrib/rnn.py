"""`tf.contrib.rnn`: recurrent cells and unrolled nets under their older names."""

from tensorkiln.frontends.graph.rnn import (
    static_bidirectional_rnn,
    static_rnn,
    static_state_saving_rnn,
)  # fmt: skip
from tensorkiln.frontends.graph.rnn_cells import (
    BasicLSTMCell,
    BasicRNNCell,
    GRUCell,
    LSTMCell,
    LSTMStateTuple,
    RNNCell,
)
from tensorkiln.frontends.graph.rnn_cells_normalized import LayerNormBasicLSTMCell, LSTMBlockCell
from tensorkiln.frontends.graph.rnn_wrappers import (
    DeviceWrapper,
    DropoutWrapper,
    MultiRNNCell,
    ResidualWrapper,
)  # fmt: skip
