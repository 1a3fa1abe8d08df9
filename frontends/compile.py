"""From any model to an executable in this process, or to an artifact on disk."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from onnx import ModelProto

from tensorkiln.compiler.cache import Cache, default_cache
from tensorkiln.compiler.codegen.artifact import write_artifact
from tensorkiln.compiler.codegen.artifact_files import WrittenArtifact
from tensorkiln.compiler.codegen.header import c_identifier
from tensorkiln.compiler.codegen.target import isa_names, target_named
from tensorkiln.compiler.evaluate.specialize import specialize
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.open_pipeline import compile_open
from tensorkiln.compiler.pipeline import compile_function
from tensorkiln.compiler.self_test import make_self_test
from tensorkiln.compiler.sizes.samples import Make
from tensorkiln.compiler.training_self_test import MakeTraining
from tensorkiln.frontends.cached import compile_onnx
from tensorkiln.frontends.graph.graph import Graph
from tensorkiln.frontends.graph.session import BaseSession
from tensorkiln.frontends.onnx import import_model
from tensorkiln.frontends.open_dims import Dims, DimSizes, dim_sizes
from tensorkiln.frontends.trained import graph_function
from tensorkiln.frontends.trained_state import train_graph
from tensorkiln.frontends.training import train_onnx
from tensorkiln.frontends.training_export import TrainingExport
from tensorkiln.frontends.training_rules import DEFAULT_OPTIMIZER, DEFAULT_RATE
from tensorkiln.runtime.compiled import Compiled
from tensorkiln.runtime.errors import ArtifactError, ModelError
from tensorkiln.runtime.executable import Executable
from tensorkiln.runtime.jit import load_compiled
from tensorkiln.runtime.open_executable import OpenExecutable, opened

Model: TypeAlias = "str | os.PathLike[str] | bytes | ModelProto | Graph | Function"


def compile_model(
    model: Model,
    target: str = "host",
    threads: int = 0,
    *,
    dims: Dims | None = None,
    outputs: Sequence[object] = (),
    session: BaseSession | None = None,
    cache: bool = True,
    winograd: bool = True,
) -> Executable | OpenExecutable:
    """The model as machine code in this process.

    `model` is an ONNX file, its bytes or its ModelProto; a Graph, of which `outputs` names the
    tensors wanted and `session` holds the variables; or a Function of tensor IR. `dims` gives
    sizes to open dims by name; where it gives ranges, as in {"batch": (1, 64)}, the result takes
    every shape in them. A dim of a graph may be as large as another: {"x.0": (1, 64), "y.0":
    "x.0"}. `threads` is what calls use that do not say otherwise (0: all processors). What was
    compiled before is taken from the user's cache on disk, unless `cache` is False or the
    environment variable TENSORKILN_CACHE is "off". With `winograd=False` no convolution is
    computed by Winograd's scheme, which keeps four times the weights of a 3x3 filter. ModelError
    for malformed models, UnsupportedError for what cannot be compiled,
    ArtifactError where this machine cannot run code for `target`.
    """
    kept = default_cache() if cache else None
    compiled = _compile(
        model, target_named(target), dims, outputs, session, "main", kept, _without(winograd)
    )
    return opened(load_compiled(compiled, threads))


def export_model(
    model: Model,
    path: str | os.PathLike[str],
    target: str = "host",
    *,
    name: str | None = None,
    dims: Dims | None = None,
    outputs: Sequence[object] = (),
    session: BaseSession | None = None,
    weights: Literal["embed", "file"] = "embed",
    cache: bool = True,
    winograd: bool = True,
    isa: Sequence[str] = (),
    self_test: bool = False,
) -> WrittenArtifact:
    """The model as a shared object, archive or object file with a C header beside it.

    `path` ends in .so, .a or .o. `name` is the prefix of the C names, by default the file's name;
    with `weights="file"` the weights go to a file of their own. `isa` gives several levels of
    x86-64 ("v2", "v3", "v4") in the place of `target`: the file holds code for each and takes the
    best that the processor has. With `self_test` it holds test vectors (for ranges of sizes: at the
    ends and at primes between) and a function that tries them. The rest is as in `compile`; errors are those and ArtifactError where the files cannot be
    written or linked.
    """
    name = c_identifier(Path(path).stem if name is None else name, "model")
    kept = default_cache() if cache else None
    targets = _targets(target, isa)
    without = _without(winograd)
    made = [_compile(model, each, dims, outputs, session, name, kept, without) for each in targets]
    test = None
    if self_test:
        test = make_self_test(_maker(model, dim_sizes(dims), outputs, session, name), made)
    others = list(zip(made[1:], targets[1:], strict=True))
    return write_artifact(
        made[0], targets[0], path, weights=weights, prefix=name, others=others, self_test=test
    )


def export_training(
    model: Model,
    path: str | os.PathLike[str],
    target: str = "host",
    *,
    loss: object,
    train: Sequence[object] = (),
    outputs: Sequence[object] = (),
    session: BaseSession | None = None,
    optimizer: str | None = None,
    learning_rate: float | None = None,
    trainable: Sequence[str] | None = None,
    name: str | None = None,
    dims: Dims | None = None,
    cache: bool = True,
    winograd: bool = True,
    isa: Sequence[str] = (),
    weights: Literal["embed", "file"] = "embed",
    self_test: bool = False,
) -> WrittenArtifact:
    """A model that is trained in C: functions init, train_step, predict, save and load.

    Of a Graph, `train` names the operations of a step, `loss` the tensor it gives, `outputs` what a
    prediction gives, and `session` holds the state to start with. Of an ONNX model, `loss` is
    "softmax_cross_entropy" (with an input `labels`), "sigmoid_cross_entropy", "mean_squared_error"
    or "mean_absolute_error" (with `targets`) of its first output; `optimizer` is "sgd", "momentum",
    "adam" (the default, with a rate of 0.001), "adamw", "adagrad" or "rmsprop", and `trainable`
    names the initializers to train (default: all of f32, but the statistics of batch norms).
    `tensorkiln.load` gives a Trainer of what was written. With `weights="file"` the initial values and
    all constants go to a file of their own. The rest and the errors are as in
    `export`; test vectors try steps, predictions and the state.
    """
    name = c_identifier(Path(path).stem if name is None else name, "model")
    sizes = dim_sizes(dims)
    make = _training_maker(
        model, sizes, loss, train, outputs, session, optimizer, learning_rate, trainable
    )
    how = TrainingExport(
        list(_targets(target, isa)), self_test, default_cache() if cache else None,
        _without(winograd), weights,
    )  # fmt: skip
    return how.write(make, sizes.symbols, path, name)[0]


def _training_maker(
    model: Model,
    sizes: DimSizes,
    loss: object,
    train: Sequence[object],
    outputs: Sequence[object],
    session: BaseSession | None,
    optimizer: str | None,
    learning_rate: float | None,
    trainable: Sequence[str] | None,
) -> MakeTraining:
    """What builds the model with its training for given sizes."""
    if isinstance(model, Graph):
        if session is None or not train or not outputs:
            raise ModelError("a graph's training needs train=[...], outputs=[...] and session=...")
        if not (optimizer is None and learning_rate is None and trainable is None):
            raise ModelError(
                "optimizer, learning_rate and trainable are for ONNX models; a graph has its own"
            )
        graph, holder = model, session
        return lambda point: train_graph(
            graph, train=train, loss=loss, outputs=outputs, session=holder, dims=sizes.at(point)
        )
    if isinstance(model, Function) or train or outputs or session is not None:
        raise ModelError("train, outputs and session are for graphs; the other models are ONNX")
    source = model
    return lambda point: train_onnx(
        source, loss=str(loss), optimizer=optimizer or DEFAULT_OPTIMIZER,
        learning_rate=DEFAULT_RATE if learning_rate is None else learning_rate,
        dims=sizes.at(point), trainable=trainable,
    )  # fmt: skip


def _targets(target: str, isa: Sequence[str]) -> list[Target]:
    """The targets that code is made for; ArtifactError for two ways of naming them at once."""
    if isa and target != "host":
        raise ArtifactError("give target or isa, not both")
    return list(map(target_named, isa_names(isa) if isa else [target]))


def _without(winograd: bool) -> tuple[str, ...]:
    """The passes that a compilation leaves out."""
    return () if winograd else ("winograd",)


def _compile(
    model: Model,
    target: Target,
    dims: Dims | None,
    outputs: Sequence[object],
    session: BaseSession | None,
    name: str,
    cache: Cache | None,
    without: Collection[str],
) -> Compiled:
    if isinstance(model, Graph | Function) or outputs or session is not None:
        sizes = dim_sizes(dims)
        make = _maker(model, sizes, outputs, session, name)
        symbols = sizes.symbols or (model.symbols if isinstance(model, Function) else ())
        if symbols:
            return compile_open(make, list(symbols), target, cache, without)
        return compile_function(make({}), target, cache=cache, without=without)
    return compile_onnx(model, target, dims=dims, name=name, cache=cache, without=without)


def _maker(
    model: Model,
    sizes: DimSizes,
    outputs: Sequence[object],
    session: BaseSession | None,
    name: str,
) -> Make:
    """What builds the model for given sizes."""
    if isinstance(model, Function) and model.symbols and not sizes.symbols:
        function = model
        return lambda point: specialize(function, point)
    return lambda point: model_function(
        model, dims=sizes.at(point), outputs=outputs, session=session, name=name
    )


def model_function(
    model: Model,
    *,
    dims: Mapping[str, int] | None = None,
    outputs: Sequence[object] = (),
    session: BaseSession | None = None,
    name: str = "main",
) -> Function:
    """The model in tensor IR; see `compile_model`."""
    if isinstance(model, Graph):
        return graph_function(model, outputs, session, dims or {}, name)
    if outputs or session is not None:
        raise ModelError("outputs and session are for graphs; this model names its own outputs")
    if isinstance(model, Function):
        if dims:
            raise ModelError("dims are for models of which the sizes are open, not for functions")
        return model
    return import_model(model, dims=dims, name=name)
