"""Manifests for people."""

from __future__ import annotations

from tensorkiln.runtime.manifest import Manifest, TensorSpec
from tensorkiln.runtime.training_manifest import TrainingManifest


def training_text(manifest: TrainingManifest) -> str:
    """What a training artifact says of itself: its state, then its functions."""
    lines = [f"state       {len(manifest.state)} tensors, {manifest.state_bytes} bytes"]
    for spec in manifest.state:
        lines.append(f"  {_tensor(spec)} at {manifest.offsets[spec.name]}")
    recipe = manifest.recipe
    if recipe is not None:
        lines.append(
            f"training    {recipe.loss}, {recipe.optimizer}, learning rate {recipe.learning_rate:g}"
        )
    for name, part in (("train_step", manifest.step), ("predict", manifest.predict)):
        lines += ["", f"function    {name}", manifest_text(manifest.fed(part))]
    return "\n".join(lines)


def _tensor(spec: TensorSpec) -> str:
    return f"{spec.name}  {spec.dtype}[{','.join(map(str, spec.shape))}]"


def manifest_text(manifest: Manifest) -> str:
    """A manifest for people."""
    lines = [f"model       {manifest.model}", f"target      {manifest.triple}, {manifest.cpu}"]
    for kind, specs in (("input", manifest.inputs), ("output", manifest.outputs)):
        for spec in specs:
            alias = (
                "" if spec.alias is None else f", in place of {manifest.inputs[spec.alias].name}"
            )
            lines.append(f"{kind:<11} {_tensor(spec)}{alias}")
    if manifest.sizes is not None:
        shapes = zip(manifest.inputs, manifest.sizes.inputs, strict=False)
        results = zip(manifest.outputs, manifest.sizes.outputs, strict=True)
        lines.append(
            f"sizes       {', '.join(map(str, manifest.sizes.ranges))}; above are the largest"
        )
        lines += [f"  {spec.name}  {spec.dtype}[{shape}]" for spec, shape in (*shapes, *results)]
        for part in manifest.sizes.parts:
            ends = ", ".join(map(str, part.ranges))
            lines.append(f"  code for {ends}: workspace {part.workspace_bytes} bytes")
    artifact = manifest.artifact
    if artifact is not None:
        if artifact.versions:
            lines.append(f"versions    {', '.join(version.name for version in artifact.versions)}")
        lines.append(f"self-test   {'yes' if artifact.self_test else 'no'}")
    lines += [
        f"constants   {manifest.constants_bytes} bytes",
        f"workspace   {manifest.workspace_bytes} bytes",
        f"peak        {manifest.peak_bytes} bytes",
        f"work        {manifest.flops} flops, {manifest.bytes} bytes moved",
        f"kernels     {len(manifest.kernels)}",
    ]
    for kernel in manifest.kernels:
        nodes = ", ".join(kernel.nodes)
        lines.append(f"  {kernel.name}  {kernel.flops} flops, {kernel.bytes} bytes  {nodes}")
    return "\n".join(lines)
