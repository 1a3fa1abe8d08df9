"""Manifests: round trip, and every kind of nonsense that a stranger's file can hold."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorkiln.runtime.errors import ArtifactError
from tensorkiln.runtime.manifest import ArtifactInfo, KernelInfo, Manifest, TensorSpec, VersionInfo

MANIFEST = Manifest(
    model='net "ü"\n',
    inputs=(TensorSpec("x", (2, 3), "f32"), TensorSpec("w", (), "bf16")),
    outputs=(TensorSpec("y", (0, 7), "i64"), TensorSpec("w'", (), "bf16", alias=1)),
    workspace_bytes=128,
    constants_bytes=64,
    triple="x86_64-unknown-linux-gnu",
    cpu="x86-64-v3",
    features="+avx2,-sse4a",
    flops=2**40,
    bytes=12,
    peak_bytes=300,
    kernels=(KernelInfo("k0", ("dense/matmul", "dense/add"), 5, 6),),
    compiler="0.1.0",
    artifact=ArtifactInfo(
        "net",
        "net.weights",
        "00ff",
        (VersionInfo("x86-64-v3", "x86-64-v3", "+avx2", 128, (KernelInfo("k0", ("a",), 5, 6),)),),
        True,
    ),
)


def test_round_trip() -> None:
    assert Manifest.from_json(MANIFEST.to_json()) == MANIFEST
    without = replace(MANIFEST, artifact=None)
    assert Manifest.from_json(without.to_json().encode()) == without


def changed(path: tuple[str | int, ...], value: Any) -> str:
    data = json.loads(MANIFEST.to_json())
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return json.dumps(data)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("version",), 1, "version 1"),
        (("model",), 3, "'model'.*a string"),
        (("extra",), 3, "unknown fields 'extra'"),
        (("workspace_bytes",), -1, "'workspace_bytes'"),
        (("workspace_bytes",), True, "'workspace_bytes'"),
        (("workspace_bytes",), 1.0, "'workspace_bytes'"),
        (("workspace_bytes",), 2**60, "below"),
        (("inputs",), {}, "a list"),
        (("inputs", 0), [], "an object"),
        (("inputs", 0, "dtype"), "f31", "'dtype'"),
        (("inputs", 0, "shape"), [2, -3], "'shape'"),
        (("inputs", 0, "shape"), [2**30, 2**30], "possible shape"),
        (("inputs", 0, "shape"), [1] * 65, "possible shape"),
        (("inputs", 0, "alias"), 0, "an input in the manifest has an alias"),
        (("inputs", 1, "name"), "x", "two inputs"),
        (("outputs", 1, "alias"), 2, "not there"),
        (("outputs", 1, "alias"), 0, "aliases input 'x'"),
        (("kernels", 0, "nodes"), "dense", "list of strings"),
        (("artifact", "prefix"), "a b", "C identifier"),
        (("artifact", "prefix"), "é", "C identifier"),
        (("artifact", "weights"), "../../etc/passwd", "without a folder"),
        (("artifact", "weights"), "", "without a folder"),
        (("artifact", "self_test"), 1, "true or false"),
        (("artifact", "versions", 0, "kernels"), 3, "a list"),
    ],
)
def test_nonsense_is_refused(path: tuple[str | int, ...], value: Any, words: str) -> None:
    with pytest.raises(ArtifactError, match=f"model.so.*{words}"):
        Manifest.from_json(changed(path, value), "model.so")


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"version":1}', "[" * 100_000])
def test_text_that_is_no_manifest(text: str) -> None:
    with pytest.raises(ArtifactError):
        Manifest.from_json(text)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_field_of_any_type_gives_a_manifest_or_an_artifact_error(data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(json.loads(MANIFEST.to_json()))))
    value = data.draw(
        st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers())
    )
    try:
        manifest = Manifest.from_json(changed((key,), value))
    except ArtifactError:
        return
    assert Manifest.from_json(manifest.to_json()) == manifest
