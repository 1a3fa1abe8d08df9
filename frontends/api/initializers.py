"""`tf.initializers`: functions that make the initial values of variables."""

from tensorkiln.frontends.graph.initializers import (
    Constant,
    Identity,
    Ones,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    UniformUnitScaling,
    VarianceScaling,
    Zeros,
    glorot_normal_initializer,
    glorot_uniform_initializer,
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
)  # fmt: skip
from tensorkiln.frontends.graph.initializers_orthogonal import Orthogonal
from tensorkiln.frontends.graph.variable_functions import tables_initializer
from tensorkiln.frontends.graph.variables import (
    global_variables_initializer,
    local_variables_initializer,
    variables_initializer,
)

zeros, ones, constant, identity = Zeros, Ones, Constant, Identity
random_normal, random_uniform = RandomNormal, RandomUniform
truncated_normal, variance_scaling = TruncatedNormal, VarianceScaling
glorot_normal, glorot_uniform = glorot_normal_initializer, glorot_uniform_initializer
uniform_unit_scaling = UniformUnitScaling
orthogonal = Orthogonal
global_variables, local_variables = global_variables_initializer, local_variables_initializer
variables = variables_initializer
