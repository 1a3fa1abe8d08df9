"""From a model that is trained to an artifact: compiled for every target and tested."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tensorkiln.compiler.cache import Cache
from tensorkiln.compiler.codegen.artifact_files import WrittenArtifact
from tensorkiln.compiler.codegen.training_artifact import write_training_artifact
from tensorkiln.compiler.ir.dims import Symbol
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.open_pipeline import compile_open
from tensorkiln.compiler.pipeline import compile_function
from tensorkiln.compiler.training import TrainingModel
from tensorkiln.compiler.training_self_test import MakeTraining, make_training_self_test
from tensorkiln.runtime.compiled import Compiled


@dataclass(frozen=True, slots=True)
class TrainingExport:
    """How a training artifact is made.

    `targets` are one, or several levels of x86-64. `weights` tells where initial values and constants
    go: "embed" or "file". Passes in `without` are not run, `tell` is called with what is done next.
    """

    targets: Sequence[Target]
    self_test: bool = False
    cache: Cache | None = None
    without: Collection[str] = ()
    weights: Literal["embed", "file"] = "embed"
    tell: Callable[[str], None] = lambda step: None

    def write(
        self,
        make: MakeTraining,
        symbols: Sequence[Symbol],
        path: str | os.PathLike[str],
        prefix: str,
    ) -> tuple[WrittenArtifact, Compiled, Compiled]:
        """The artifact of the model that `make` builds for sizes of `symbols`, which may be none.

        With it come the step and the prediction for the first target. Errors are those of the
        compiler, ModelError for a model that trains nothing, and ArtifactError where a file cannot
        be written.
        """
        models = _Models(make)
        greatest = {symbol.name: symbol.maximum or symbol.minimum for symbol in symbols}
        model = models(greatest)
        model.check()
        steps, predictions = [], []
        for target in self.targets:
            self.tell(f"compiling for {target.name}")
            steps.append(self._compile(lambda p: models(p).step, symbols, target))
            predictions.append(self._compile(lambda p: models(p).predict, symbols, target))
        test = None
        if self.self_test:
            self.tell("making test vectors")
            test = make_training_self_test(lambda p: models({**greatest, **p}), steps, predictions)
        self.tell(f"writing {os.fspath(path)}")
        written = write_training_artifact(
            model.state,
            list(zip(steps, self.targets, strict=True)),
            list(zip(predictions, self.targets, strict=True)),
            path,
            prefix,
            weights=self.weights,
            self_test=test,
            recipe=model.recipe,
        )
        return written, steps[0], predictions[0]

    def _compile(
        self,
        make: Callable[[Mapping[str, int]], Function],
        symbols: Sequence[Symbol],
        target: Target,
    ) -> Compiled:
        """One function; of the symbols, only those that the shapes of its inputs depend on."""
        greatest = {symbol.name: symbol.maximum or symbol.minimum for symbol in symbols}
        whole = make(greatest)
        needed = [s for s in symbols if _depends(whole, make({**greatest, s.name: s.minimum}))]
        if not needed:
            return compile_function(whole, target, cache=self.cache, without=self.without)
        return compile_open(
            lambda point: make({**greatest, **point}), needed, target, self.cache, self.without
        )


@dataclass(frozen=True, slots=True)
class _Models:
    """Models by their sizes, each built once."""

    make: MakeTraining
    made: dict[tuple[tuple[str, int], ...], TrainingModel] = field(default_factory=dict)

    def __call__(self, point: Mapping[str, int]) -> TrainingModel:
        key = tuple(sorted(point.items()))
        if key not in self.made:
            self.made[key] = self.make(point)
        return self.made[key]


def _depends(first: Function, second: Function) -> bool:
    """True if the parameters differ in a shape."""
    return [v.shape for v in first.parameters] != [v.shape for v in second.parameters]
