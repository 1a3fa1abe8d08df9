"""The ways in which programs import the package and parts of it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import tensorkiln as tf

FORMS = {
    "import tensorkiln.compat.v1 as t\nt.disable_eager_execution()\nfound = t.constant": "constant",
    "import tensorkiln._api.v2.compat.v1 as t\nfound = t.Session": "Session",
    "from tensorkiln.compat import v1\nfound = v1.compat.v1.placeholder": "placeholder",
    "from tensorkiln import *\nfound = placeholder": "placeholder",
    "from tensorkiln import nn, train, app, flags, gfile, logging\nfound = nn.relu": "nn.relu",
    "import tensorkiln.contrib.layers as L\nfound = L.xavier_initializer": (
        "contrib.layers.xavier_initializer"
    ),
    "from tensorkiln.contrib import rnn\nfound = rnn.GRUCell": "nn.rnn_cell.GRUCell",
    "from tensorkiln.python.framework import ops, dtypes, graph_util, tensor_shape\n"
    "assert tensor_shape.TensorShape([1]).ndims == 1 and dtypes.bool.is_bool\n"
    "found = graph_util.convert_variables_to_constants": (
        "graph_util.convert_variables_to_constants"
    ),
    "from tensorkiln.python.platform import app, flags, gfile, tf_logging\n"
    "assert tf_logging.info and flags.FLAGS is not None and gfile.GFile\nfound = app.run": "app.run",
    "from tensorkiln.python.client import device_lib, timeline\n"
    "assert timeline.Timeline and device_lib.list_local_devices()\nimport tensorkiln as t\n"
    "found = t.Session": "Session",
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(form: str) -> None:
    space: dict[str, Any] = {}
    exec(form, space)
    wanted: Any = tf
    for name in FORMS[form].split("."):
        wanted = getattr(wanted, name)
    assert space["found"] is wanted


def test_the_first_program_prints_one_line() -> None:
    program = (
        "import os\nos.environ['TF_CPP_MIN_LOG_LEVEL'] = '2'\nimport tensorkiln as tf\n"
        "message = tf.constant('Welcome to the exciting world of Deep Neural Networks!')\n"
        "config = tf.ConfigProto(log_device_placement=True)\n"
        "with tf.Session(config=config) as sess:\n    print(sess.run(message).decode())\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "Welcome to the exciting world of Deep Neural Networks!\n"
    assert ran.stderr == ""
