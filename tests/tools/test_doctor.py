"""`tensorkiln doctor`: what it finds in programs, and how it tells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tensorkiln.frontends.cli.doctor import examine
from tensorkiln.frontends.cli.main import main

PROGRAM = """
import numpy as np
import tensorflow as tf
import tensorflow.no_such.part as part
from tensorflow.python.client import timeline, nothing
from tensorflow import compat as c
FLAGS = tf.app.flags.FLAGS
nn = tf.nn
x = tf.placeholder(tf.float32, [None, 4])
w = tf.compat.v1.get_variable("w", [4, 2])
y = nn.relu(tf.matmul(x, w, transpose_a=False))
z = nn.no_such_activation(y) + tf.no_such.thing(x).method()
z = tf.no_such.other(z)
tf.placeholder(tf.float32, shap=[2])
c.v1.Session.no_such_method
FLAGS.whatever.part
np.no_such_thing
def f(tf_like):
    return tf_like.no_such, x.no_such_attribute
with tf.Session() as sess:
    sess.run(tf.train.AdamOptimizer(0.1).minimize(z))
"""


def test_findings() -> None:
    found = examine(PROGRAM, "p.py")
    assert found.missing == {
        "no_such": [4, 12, 13], "python.client.nothing": [5], "nn.no_such_activation": [12],
        "Session.no_such_method": [15],
    }  # fmt: skip
    assert found.arguments == {"placeholder(shap=)": [14]}
    assert found.used["placeholder"] == [9, 14]
    assert found.used["nn.relu"] == [11]
    assert found.used["train.AdamOptimizer"] == [21]
    assert "python.client.timeline" in found.used
    assert not [name for name in found.used if "no_such_thing" in name]


def test_the_import_as_it_stands() -> None:
    found = examine("import tensorflow\ntensorflow.constant(1)\ntensorflow.zzz", "p.py")
    assert found.missing == {"zzz": [3]}
    found = examine("import tensorkiln as tf\ntf.zzz(tf.constant(1))", "p.py")
    assert found.missing == {"zzz": [2]}
    assert examine("import torch\ntorch.zzz", "p.py").used == {}


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "good.py", tmp_path / "bad.py"
    good.write_text("import tensorflow as tf\nprint(tf.constant(1))\n")
    bad.write_text("import tensorflow as tf\ntf.zzz\ntf.zzz(tf.constant(1, nam='a'))\n")
    assert main(["doctor", str(good)]) == 0
    text = f"{good}: uses 1 TensorFlow names, and TensorKiln has all of them\n"
    assert capsys.readouterr().out == text
    assert main(["doctor", str(tmp_path)]) == 4
    out = capsys.readouterr().out
    assert out == (
        f"{bad}: uses 2 TensorFlow names\n"
        "  TensorKiln lacks:\n    tf.zzz  lines 2, 3\n"
        "  arguments that are not taken:\n    tf.constant(nam=)  line 3\n" + text
    )
    assert main(["doctor", "--json", str(bad)]) == 4
    assert json.loads(capsys.readouterr().out) == {
        str(bad): {"names": 2, "missing": {"zzz": [2, 3]}, "arguments": {"constant(nam=)": [3]}}
    }


def test_bad_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = tmp_path / "old.py"
    old.write_text("print 'python 2'\n")
    assert main(["doctor", str(old)]) == 1
    assert "old.py:1: not Python 3" in capsys.readouterr().err
    old.write_bytes(b"# \xff\n")
    assert main(["doctor", str(old)]) == 1
    assert "not UTF-8" in capsys.readouterr().err
    assert main(["doctor", str(tmp_path / "none.py")]) == 1
    assert "none.py: no such file" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main(["doctor", str(tmp_path / "empty")]) == 2


EXAMPLES = sorted((Path(__file__).parents[2] / "examples" / "tensorflow1").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_nothing_is_missing_for_programs_that_run(path: Path) -> None:
    """The examples, with the import line that they had under TensorFlow."""
    text = path.read_text().replace("import tensorkiln as tf", "import tensorflow as tf")
    found = examine(text, path.name)
    assert len(found.used) > 3
    assert found.missing == {}
    assert found.arguments == {}


# As programs of the time write them: what is there is used, what is not is told.
INPUTS = """
import tensorflow as tf
from tensorflow.examples.tutorials.mnist import input_data
mnist = input_data.read_data_sets("MNIST_data/", one_hot=True)
queue = tf.train.string_input_producer(["a.csv"], num_epochs=1)
key, value = tf.TextLineReader().read(queue)
columns = tf.decode_csv(value, record_defaults=[[0.0]] * 4)
x = tf.layers.dense(tf.placeholder(tf.float32, [None, 784]), 10, activation=tf.nn.relu)
server = tf.train.Server.create_local_server()
with tf.Session(server.target, config=tf.ConfigProto(log_device_placement=True)) as sess:
    sess.run(tf.global_variables_initializer())
"""


def test_a_program_of_queues() -> None:
    found = examine(INPUTS, "p.py")
    for name in ("train.Server.create_local_server", "ConfigProto", "nn.relu", "placeholder"):
        assert name in found.used
    assert set(found.missing) <= {
        "examples", "examples.tutorials.mnist.input_data", "train.string_input_producer", "TextLineReader",
        "decode_csv", "layers.dense",
    }  # fmt: skip
