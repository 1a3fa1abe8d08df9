"""What a training artifact says of itself: its state, and the two functions over it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from tensorkiln.runtime.errors import ArtifactError
from tensorkiln.runtime.fields import Fields, JsonText, parse_fields
from tensorkiln.runtime.manifest import (
    ArtifactInfo,
    Manifest,
    TensorSpec,
    manifest_from,
    tensor_from,
)

VERSION = 1
ALIGNMENT = 64  # of each tensor of the state


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the training of an ONNX model was made: what has to be known to make it again."""

    loss: str
    optimizer: str
    learning_rate: float
    trainable: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrainingManifest:
    """What is known of a model that is trained.

    `state` are the tensors that training changes, in the order in which they lie in the block of
    `state_bytes` bytes, each at the next multiple of 64. Inputs of `step` and `predict` with such a
    name are the state; outputs of `step` with an alias are its new values. Both manifests name the
    same artifact. `recipe` is there if the training was made for an ONNX model.
    """

    state: tuple[TensorSpec, ...]
    step: Manifest
    predict: Manifest
    recipe: Recipe | None = None

    @property
    def artifact(self) -> ArtifactInfo:
        """The prefix of the C names and what else only a file has; `versions` are the step's."""
        assert self.step.artifact is not None
        return self.step.artifact

    @property
    def offsets(self) -> dict[str, int]:
        """Where in the block each tensor of the state starts, in bytes."""
        return _offsets(self.state)[0]

    @property
    def state_bytes(self) -> int:
        """Size of the block that holds the state."""
        return _offsets(self.state)[1]

    @property
    def workspace_bytes(self) -> int:
        """What either function needs."""
        return max(self.step.workspace_bytes, self.predict.workspace_bytes)

    def fed(self, manifest: Manifest) -> Manifest:
        """`manifest` (`step` or `predict`) as its callers see it: without the state."""
        names = {spec.name for spec in self.state}
        kept = [k for k, spec in enumerate(manifest.inputs) if spec.name not in names]
        given = [k for k, spec in enumerate(manifest.outputs) if spec.alias is None]
        sizes = manifest.sizes
        if sizes is not None:
            sizes = replace(
                sizes,
                inputs=tuple(sizes.inputs[k] for k in kept if k < len(sizes.inputs)),
                outputs=tuple(sizes.outputs[k] for k in given),
            )
        return replace(
            manifest,
            inputs=tuple(manifest.inputs[k] for k in kept),
            outputs=tuple(manifest.outputs[k] for k in given),
            sizes=sizes,
        )

    def to_json(self) -> str:
        """The manifest as JSON text, which `from_json` reads back."""
        data = {
            "version": VERSION,
            "state": [asdict(spec) for spec in self.state],
            "train_step": json.loads(self.step.to_json()),
            "predict": json.loads(self.predict.to_json()),
            "recipe": None if self.recipe is None else asdict(self.recipe),
        }
        return json.dumps(data, separators=(",", ":"))

    @staticmethod
    def from_json(text: JsonText, source: str = "manifest") -> TrainingManifest:
        """The manifest in `text`; `source` names the file in errors (ArtifactError)."""
        return _read(parse_fields(text, source))


def _offsets(state: tuple[TensorSpec, ...]) -> tuple[dict[str, int], int]:
    offsets, end = {}, 0
    for spec in state:
        offsets[spec.name] = end
        end += -(-spec.bytes // ALIGNMENT) * ALIGNMENT
    return offsets, max(end, ALIGNMENT)


def _read(fields: Fields) -> TrainingManifest:
    version = fields.count("version")
    if version != VERSION:
        raise ArtifactError(
            f"{fields.where}: its training manifest has version {version}, this TensorKiln reads"
            f" {VERSION}; compile the model again or install the TensorKiln that made it"
        )
    state = tuple(tensor_from(item) for item in fields.objects("state"))
    step = manifest_from(fields.object("train_step"))
    predict = manifest_from(fields.object("predict"))
    recipe = fields.optional_object("recipe")
    manifest = TrainingManifest(state, step, predict, None if recipe is None else _recipe(recipe))
    fields.end()
    _check(manifest, fields.where)
    return manifest


def _recipe(fields: Fields) -> Recipe:
    recipe = Recipe(
        loss=fields.text("loss"),
        optimizer=fields.text("optimizer"),
        learning_rate=fields.number("learning_rate"),
        trainable=fields.texts("trainable"),
    )
    fields.end()
    return recipe


def _check(manifest: TrainingManifest, where: str) -> None:
    """ArtifactError where the functions do not fit the state or each other."""
    state: Mapping[str, TensorSpec] = {spec.name: spec for spec in manifest.state}
    if len(state) != len(manifest.state) or any(s.alias is not None for s in manifest.state):
        raise ArtifactError(f"{where}: two tensors of the state have one name, or an alias")
    step, predict = manifest.step.artifact, manifest.predict.artifact
    if step is None or predict is None or step.prefix != predict.prefix:
        raise ArtifactError(f"{where}: its manifest does not name its functions")
    if [v.name for v in step.versions] != [v.name for v in predict.versions]:
        raise ArtifactError(f"{where}: its functions are for different instruction sets")
    for part in (manifest.step, manifest.predict):
        for spec in part.inputs:
            kept = state.get(spec.name)
            if kept is not None and (kept.shape, kept.dtype) != (spec.shape, spec.dtype):
                raise ArtifactError(f"{where}: the state {spec.name!r} is {kept}, not {spec}")
        for spec in part.outputs:
            if spec.alias is not None and part.inputs[spec.alias].name not in state:
                raise ArtifactError(f"{where}: the output {spec.name!r} changes an input")
