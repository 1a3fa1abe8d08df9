"""A training artifact against itself with other numbers of threads, and against its model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tensorkiln.compiler.agreement import MODEL_FACTOR, gap
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.function import Array, Function
from tensorkiln.compiler.training import TrainingModel
from tensorkiln.compiler.training_self_test import shaken, steady
from tensorkiln.frontends.cli.commands import UsageError
from tensorkiln.frontends.cli.verify import AGREES, DIFFERS, Check
from tensorkiln.runtime.errors import ModelError
from tensorkiln.runtime.manifest import TensorSpec
from tensorkiln.runtime.open_sizes import OpenSpec
from tensorkiln.runtime.trainer import Trainer


def trained_inputs(trainer: Trainer, sizes: Mapping[str, int]) -> dict[str, TensorSpec]:
    """The inputs of a step and of a prediction by name, open ones at `sizes`, else the smallest.

    UsageError for sizes that the model does not have.
    """
    manifests = (trainer.manifest.step, trainer.manifest.predict)
    ranges = {r.name: r for m in manifests if m.sizes is not None for r in m.sizes.ranges}
    unknown = sorted(set(sizes) - set(ranges))
    if unknown:
        has = ", ".join(map(str, ranges.values())) or "none"
        raise UsageError(f"--dim {unknown[0]}: the model's open sizes are {has}")
    point = {name: sizes.get(name, size.minimum) for name, size in ranges.items()}
    return {
        spec.name: TensorSpec(spec.name, spec.shape.at(point), spec.dtype)
        if isinstance(spec, OpenSpec)
        else spec
        for spec in (*trainer.train_inputs, *trainer.predict_inputs)
    }


def run_trained(trainer: Trainer, feeds: Mapping[str, Array], threads: int = 0) -> dict[str, Array]:
    """A step from the initial state, then a prediction: all outputs and the state, by what they are."""
    trainer.init()
    loss = trainer.train_step(some_feeds(feeds, trainer.train_inputs), threads=threads)
    outputs = trainer.predict(some_feeds(feeds, trainer.predict_inputs), threads=threads)
    found = {
        f"output {s.name!r} of the step": a
        for s, a in zip(trainer.train_outputs, loss, strict=True)
    }
    found |= {
        f"output {s.name!r}": a for s, a in zip(trainer.predict_outputs, outputs, strict=True)
    }
    return found | {f"state {name!r}": np.array(array) for name, array in trainer.state.items()}


def some_feeds(
    feeds: Mapping[str, Array], specs: Sequence[TensorSpec | OpenSpec]
) -> dict[str, Array]:
    """The feeds of these inputs."""
    return {spec.name: feeds[spec.name] for spec in specs}


def same_bits_trained(trainer: Trainer, feeds: Mapping[str, Array], counts: Sequence[int]) -> Check:
    """Whether a step and a prediction give the same bits for these numbers of threads."""
    first: dict[str, bytes] = {}
    for count in (*counts, counts[0]):
        bits = {name: a.tobytes() for name, a in run_trained(trainer, feeds, count).items()}
        first = first or bits
        for name, now in bits.items():
            if first[name] != now:
                text = f"{name} has other bits with {count} threads"
                return Check("threads", DIFFERS, text, None, (name,))
    return Check("threads", AGREES, f"equal bits with {', '.join(map(str, counts))} threads")


def against_training(trainer: Trainer, model: TrainingModel, feeds: Mapping[str, Array]) -> Check:
    """A step and a prediction against the interpreter's.

    Elements that rounding moves far are taken as the interpreter has them (see
    `make_training_self_test`). ModelError if the model is not the artifact's.
    """
    state = {name: model.state[name] for name in model.used_state()}
    has = {spec.name: (spec.shape, spec.numpy) for spec in trainer.manifest.state}
    if has != {name: (array.shape, array.dtype) for name, array in state.items()}:
        raise ModelError("--against: the model has another state than the artifact")
    wanted = _interpret(trainer, model, state, feeds)
    moved = _interpret(trainer, model, shaken(state), feeds)
    worst = None
    for name, got in run_trained(trainer, feeds).items():
        expected = wanted[name]
        near = steady(expected, moved[name]).reshape(expected.shape)
        found = gap(np.where(near, got, expected), expected, MODEL_FACTOR, rounded=True)
        if not found.agrees:
            return Check("against the model", DIFFERS, f"{name} {found}", found, (name,))
        worst = found if worst is None or found.units > worst.units else worst
    return Check("against the model", AGREES, "the interpreter's step and outputs", worst)


def _interpret(
    trainer: Trainer, model: TrainingModel, state: Mapping[str, Array], feeds: Mapping[str, Array]
) -> dict[str, Array]:
    """What `run_trained` gives, by the interpreter."""
    current = dict(state)
    found: dict[str, Array] = {}

    def run(function: Function) -> list[Array]:
        values = {**feeds, **current}
        return [
            np.array(a) for a in evaluate(function, [values[v.name] for v in function.parameters])
        ]

    results = run(model.step)
    given = [a for k, a in enumerate(results) if k not in model.step.aliases]
    for spec, array in zip(trainer.train_outputs, given, strict=True):
        found[f"output {spec.name!r} of the step"] = array
    for position, parameter in model.step.aliases.items():
        current[model.step.parameters[parameter].name] = results[position]
    for spec, array in zip(trainer.predict_outputs, run(model.predict), strict=True):
        found[f"output {spec.name!r}"] = array
    return found | {f"state {name!r}": array for name, array in current.items()}
