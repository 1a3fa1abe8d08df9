"""`tf.random`: random tensors under their newer names."""

from tensorkiln.frontends.graph.candidate_sampling import (
    log_uniform_candidate_sampler,
    uniform_candidate_sampler,
)
from tensorkiln.frontends.graph.candidate_unigrams import (
    all_candidate_sampler,
    fixed_unigram_candidate_sampler,
    learned_unigram_candidate_sampler,
)
from tensorkiln.frontends.graph.ops_random import get_seed, set_random_seed, truncated_normal
from tensorkiln.frontends.graph.ops_random import random_normal as normal
from tensorkiln.frontends.graph.ops_random import random_uniform as uniform
from tensorkiln.frontends.graph.ops_random_host import random_gamma as gamma
from tensorkiln.frontends.graph.ops_random_host import random_poisson as poisson
from tensorkiln.frontends.graph.ops_random_host import random_shuffle as shuffle
from tensorkiln.frontends.graph.ops_random_stateless import (
    categorical,
    multinomial,
    stateless_multinomial,
    stateless_random_normal,
    stateless_random_uniform,
    stateless_truncated_normal,
)

set_seed = set_random_seed
stateless_categorical = stateless_multinomial
stateless_normal = stateless_random_normal
stateless_uniform = stateless_random_uniform
