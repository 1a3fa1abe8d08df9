"""`tf.contrib.rnn`: recurrent cells and unrolled nets under their older names."""

from tensorkiln.frontends.graph.rnn import static_bidirectional_rnn, static_rnn
from tensorkiln.frontends.graph.rnn_cells import (
    BasicLSTMCell,
    BasicRNNCell,
    GRUCell,
    LSTMCell,
    LSTMStateTuple,
    RNNCell,
)
from tensorkiln.frontends.graph.rnn_wrappers import (
    DeviceWrapper,
    DropoutWrapper,
    MultiRNNCell,
    ResidualWrapper,
)  # fmt: skip
