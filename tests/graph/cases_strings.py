"""Strings; cases with one are not differentiated."""

from __future__ import annotations

import numpy as np
from graph.like_tensorflow import Case

WORDS = [b"kiln", b" Clay and fire ", b"", b"a,b;c"]
NUMBERS = np.array([1.5, -2.25, 1e6], np.float32)

CASES: dict[str, Case] = {
    "!as_string": (
        lambda tf, x: [
            tf.as_string(x), tf.as_string(x, 2), tf.as_string(x, 3, scientific=True),
            tf.as_string([1, -20]), tf.as_string([True, False]), tf.as_string([7], width=4, fill="0"),
        ],
        (NUMBERS,),
    ),
    "!to_number": (
        lambda tf: [tf.string_to_number(["1.5", "-2"]), tf.string_to_number(["7"], tf.int64)], ()
    ),
    "!parts": (
        lambda tf: [
            tf.string_join([WORDS, "!"], separator="-"), tf.string_strip(WORDS),
            tf.substr(WORDS[:2], 1, 3), tf.substr(["abcdef"], [-3], [2]),
            tf.strings.length(WORDS), tf.strings.lower(WORDS), tf.strings.upper(WORDS),
        ],
        (),
    ),
    "!patterns": (
        lambda tf: [
            tf.regex_replace(WORDS, "[aei]", "<\\0>"),
            tf.strings.regex_full_match(WORDS, "[a-z]*"),
        ],
        (),
    ),
    "!base64": (
        lambda tf: [
            tf.encode_base64(WORDS), tf.decode_base64(tf.encode_base64(WORDS, pad=True)),
        ],
        (),
    ),
    "!reduce_join": (
        lambda tf: [
            tf.reduce_join([["a", "b"], ["c", "d"]], 0), tf.reduce_join([["a", "b"], ["c", "d"]]),
            tf.reduce_join([["a", "b"], ["c", "d"]], [1], separator=" ", keep_dims=True),
            tf.reduce_join([["a", "b"], ["c", "d"]], [1, 0]),
        ],
        (),
    ),
    "!split": (
        lambda tf: [
            value
            for found in (
                tf.string_split(["a bb  c", "", "d"]), tf.string_split(["a,b;c"], ",;"),
                tf.string_split(["a bb  c"], skip_empty=False), tf.string_split(["xyz"], ""),
            )
            for value in (found.indices, found.values, found.dense_shape)
        ],
        (),
    ),
}  # fmt: skip
OTHER_NAMES = {"!patterns": ["RegexReplace:0", "RegexFullMatch:0"]}
