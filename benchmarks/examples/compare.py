"""The programs of examples/tensorflow1 beside the same programs under TensorFlow, in turns.

    python -m tensorkiln.benchmarks.examples.compare --tensorflow-python PYTHON [PROGRAM ...]

Each program runs as it stands, only its import line changed; what is compared is the time of a step
of its training loop, feeds and all.  The other Python needs tensorflow, tf-keras (for the cells of
recurrent nets) and scikit-learn.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

HARNESS = Path(__file__).resolve().parent / "harness.py"
PROGRAMS = Path(__file__).resolve().parents[2] / "examples" / "tensorflow1"
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "averages_train": ("{folder}", "400"),
    "autoencoder": ("10",),
    "back_propagation": ("4",),
    "cnn": ("300",),
    "custom_loss": ("2001",),
    "dream": (),
    "linear_regression": ("--logdir={folder}", "--steps=200"),
    "lstm_rows": ("300",),
    "perceptron": (),
    "q_learning": ("40",),
    "seq2seq": ("300",),
    "softmax_regression": ("1000",),
    "word_vectors": ("1000",),
}
"""What each program is called with; `{folder}` is an empty folder."""


def seconds_a_step(python: str, program: str, module: str) -> float:
    """The time of a step; RuntimeError with the program's words if it fails."""
    with tempfile.TemporaryDirectory(prefix="tensorkiln-") as folder:
        arguments = [text.format(folder=folder) for text in ARGUMENTS[program]]
        command = [python, str(HARNESS), str(PROGRAMS / f"{program}.py"), module, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{program} under {module} failed:\n{done.stderr[-2000:]}")
    return float(json.loads(done.stdout.splitlines()[-1])["seconds"])


def main(words: Sequence[str] | None = None) -> int:
    """Prints a table; 1 if a program is slower than under TensorFlow, 2 if one fails."""
    parser = argparse.ArgumentParser(
        prog="python -m tensorkiln.benchmarks.examples.compare",
        description="Milliseconds of training steps of the example programs, and TensorFlow's.",
    )
    parser.add_argument("programs", nargs="*", choices=[*ARGUMENTS, []], metavar="PROGRAM")
    parser.add_argument("--tensorflow-python", required=True, metavar="PYTHON")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="rounds of turns")
    options = parser.parse_args(words)
    print(f"{'program':20s} {'tensorkiln ms':>13s} {'tensorflow ms':>13s} {'ratio':>6s}")
    status = 0
    for program in options.programs or ARGUMENTS:
        ours: list[float] = []
        theirs: list[float] = []
        try:
            for _ in range(options.repeat):
                ours.append(seconds_a_step(sys.executable, program, "tensorkiln"))
                theirs.append(seconds_a_step(options.tensorflow_python, program, "tensorflow"))
        except RuntimeError as error:
            print(error, file=sys.stderr)
            status = 2
            continue
        mine, other = (statistics.median(times) * 1000 for times in (ours, theirs))
        print(f"{program:20s} {mine:13.3f} {other:13.3f} {mine / other:6.2f}", flush=True)
        status = max(status, int(mine > other))
    return status


if __name__ == "__main__":
    raise SystemExit(main())
