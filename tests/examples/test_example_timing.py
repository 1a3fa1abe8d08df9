"""The runner that times the training loops of the example programs."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "examples" / "tensorflow1"


def test_the_runner_times_a_training_loop() -> None:
    harness = ROOT / "benchmarks" / "examples" / "harness.py"
    command = [sys.executable, str(harness), str(PROGRAMS / "perceptron.py"), "tensorkiln"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[0] == "epoch 16, mean error 0"
    found = json.loads(lines[-1])
    assert found["steps"] == 17
    assert 0 < found["seconds"] < 1
