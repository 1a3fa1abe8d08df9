"""A saved model of TensorFlow 2: functions that call each other, a loop, a branch, a counter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tensorkiln as tf

FOLDER = Path(__file__).parent / "data"


@pytest.mark.parametrize("interpreted", [True, False])
def test_signatures_run(interpreted: bool) -> None:
    values = np.load(FOLDER / "functions.npz")
    config = tf.ConfigProto(interpreted=interpreted)
    with tf.Graph().as_default(), tf.Session(config=config) as session:
        model = tf.saved_model.loader.load(session, ["serve"], str(FOLDER / "functions"))
        serve, hidden = (model.signature_def[key] for key in ("serving_default", "hidden"))
        feeds = {serve.inputs["x"].name: values["x"], serve.inputs["steps"].name: 5}
        outputs = {key: info.name for key, info in serve.outputs.items()}
        for calls in (1, 2):
            found = session.run(outputs, feeds)
            assert found["calls"] == calls
            for key in ("scores", "hidden"):
                np.testing.assert_allclose(found[key], values[key], rtol=1e-5)
        (output,) = hidden.outputs.values()
        first = session.run(output.name, {hidden.inputs["x"].name: values["x"]})
        np.testing.assert_allclose(first, values["first"], rtol=1e-6)
