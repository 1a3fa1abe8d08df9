"""A model that can be trained: its state, the step that changes it, and what it predicts."""

from __future__ import annotations

from dataclasses import dataclass

from tensorkiln.compiler.ir.function import Array, Function
from tensorkiln.runtime.errors import ModelError
from tensorkiln.runtime.training_manifest import Recipe


@dataclass(frozen=True, slots=True, eq=False)
class TrainingModel:
    """Functions over one state.

    `state` has the initial arrays by name. Parameters of `step` and `predict` with such a name are
    the state, all others are fed. Of `step` every result that aliases a parameter is the state's
    new value; of `predict` none does. `recipe` tells how the training of an ONNX model was made.
    """

    state: dict[str, Array]
    step: Function
    predict: Function
    recipe: Recipe | None = None

    def used_state(self) -> list[str]:
        """The names of the state that a function takes, in order."""
        used = {v.name for function in (self.step, self.predict) for v in function.parameters}
        return [name for name in self.state if name in used]

    def check(self) -> None:
        """ModelError where the functions do not fit the state, or nothing is trained."""
        if not self.step.aliases:
            raise ModelError("the training step updates nothing: it needs a variable to train")
        for function in (self.step, self.predict):
            for value in function.parameters:
                array = self.state.get(value.name)
                if array is not None and (array.shape, array.dtype) != (
                    value.shape, value.dtype.numpy,
                ):  # fmt: skip
                    raise ModelError(
                        f"the state {value.name!r} is {array.dtype}{list(array.shape)}, but"
                        f" {function.name} takes {value.type}"
                    )
        for parameter in self.step.aliases.values():
            name = self.step.parameters[parameter].name
            if name not in self.state:
                raise ModelError(f"the training step updates {name!r}, which has no initial value")
        if self.predict.aliases:
            raise ModelError("the outputs of a training artifact's predict change its state")
