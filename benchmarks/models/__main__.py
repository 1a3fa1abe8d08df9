"""Writes a generated model: python -m tensorkiln.benchmarks.models resnet50 -o resnet50.onnx."""

from __future__ import annotations

import argparse
from pathlib import Path

from tensorkiln.benchmarks.models import MODELS


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tensorkiln.benchmarks.models", description=__doc__
    )
    parser.add_argument("model", choices=sorted(MODELS))
    parser.add_argument("-o", "--output", type=Path, help="file to write (default: MODEL.onnx)")
    parser.add_argument("--batch", default="1", help="size of the batch, or a name to keep it open")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    batch = int(arguments.batch) if arguments.batch.isdigit() else arguments.batch
    path = arguments.output or Path(f"{arguments.model}.onnx")
    path.write_bytes(MODELS[arguments.model](batch, arguments.seed).SerializeToString())
    print(path)


if __name__ == "__main__":
    main()
