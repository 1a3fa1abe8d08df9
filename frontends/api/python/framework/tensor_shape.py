"""Static shapes."""

from tensorkiln.frontends.graph.dimension import Dimension
from tensorkiln.frontends.graph.shapes import TensorShape, as_shape
