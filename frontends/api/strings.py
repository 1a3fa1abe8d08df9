"""`tf.strings`: strings under their newer names."""

from tensorkiln.frontends.graph.ops_hash import string_to_hash_bucket as to_hash_bucket
from tensorkiln.frontends.graph.ops_hash import string_to_hash_bucket_fast as to_hash_bucket_fast
from tensorkiln.frontends.graph.ops_hash import (
    string_to_hash_bucket_strong as to_hash_bucket_strong,
)
from tensorkiln.frontends.graph.ops_string import (
    as_string,
    reduce_join,
    regex_full_match,
    regex_replace,
    substr,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_string import string_join as join
from tensorkiln.frontends.graph.ops_string import string_length as length
from tensorkiln.frontends.graph.ops_string import string_lower as lower
from tensorkiln.frontends.graph.ops_string import string_strip as strip
from tensorkiln.frontends.graph.ops_string import string_to_number as to_number
from tensorkiln.frontends.graph.ops_string import string_upper as upper
