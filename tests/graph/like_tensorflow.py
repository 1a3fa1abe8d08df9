"""Cases that say what TensorFlow says: values, gradients, shapes and names of outputs.

A module `cases_<family>.py` holds `CASES`: name -> (function of the module `tf` and of tensors,
the arrays fed).  `record_tensorflow.py` runs it under TensorFlow's compat.v1 and keeps what came
out in `recorded/<family>.npz`; the tests run it here, interpreted and compiled, and compare.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Case = tuple[Callable[..., Any], tuple[Any, ...]]
FOLDER = Path(__file__).parent / "recorded"


def build(tf: Any, case: Case) -> tuple[list[Any], list[Any]]:
    """Placeholders for the arrays, and the list of outputs."""
    function, arrays = case
    fed = [
        tf.placeholder(tf.as_dtype(np.asarray(a).dtype), np.shape(a), name=f"x{k}")
        for k, a in enumerate(arrays)
    ]
    made = function(tf, *fed)
    return fed, list(made) if isinstance(made, list | tuple) else [made]


def weighted(tf: Any, outputs: Sequence[Any]) -> Any:
    """A scalar that depends on every element of the float outputs, differently on each."""
    total = 0.0
    for output in outputs:
        if output.dtype.is_floating:
            count = tf.cast(tf.range(tf.size(output)), tf.float64)
            weights = tf.reshape(tf.cos(count), tf.shape(output))
            total = tf.reduce_sum(tf.cast(output, tf.float64) * weights) + total
    return total


def gradients(tf: Any, fed: Sequence[Any], outputs: Sequence[Any]) -> list[Any]:
    """The gradient of `weighted` for each float input, None where there is no path."""
    floats = [x for x in fed if x.dtype.is_floating]
    if not floats or not any(o.dtype.is_floating for o in outputs):
        return []
    found = tf.gradients(weighted(tf, outputs), floats)
    return [None if g is None else tf.convert_to_tensor(g) for g in found]


def record(tf: Any, cases: Mapping[str, Case]) -> dict[str, Any]:
    """What TensorFlow gives, by case and kind."""
    kept: dict[str, Any] = {}
    for name, case in cases.items():
        with tf.Graph().as_default(), tf.Session() as session:
            fed, outputs = build(tf, case)
            slopes = [] if name.startswith("!") else gradients(tf, fed, outputs)
            known = [(k, g) for k, g in enumerate(slopes) if g is not None]
            feeds = dict(zip(fed, case[1], strict=True))
            values, found = session.run([outputs, [g for _, g in known]], feeds)
            kept[f"{name}|names"] = np.array([o.name for o in outputs])
            kept[f"{name}|shapes"] = np.array([str(o.shape) for o in outputs])
            for k, value in enumerate(values):
                kept[f"{name}|value{k}"] = plain(value)
            for (k, _), value in zip(known, found, strict=True):
                kept[f"{name}|gradient{k}"] = np.asarray(value)
    return kept


def plain(value: Any) -> Any:
    """An array; strings as text of the same letters, which needs no pickling."""
    array = np.asarray(value)
    if array.dtype.kind not in "OS":
        return array
    letters = [bytes(item).decode("latin-1") for item in array.reshape(-1)]
    return np.array(letters, np.str_).reshape(array.shape)


def load(family: str) -> dict[str, Any]:
    """What was recorded of a family."""
    with np.load(FOLDER / f"{family}.npz") as file:
        return dict(file)


def prepare(tf: Any, name: str, case: Case) -> tuple[dict[Any, Any], list[Any]]:
    """What to feed, and what to fetch: outputs, and gradients (None where there is no path)."""
    fed, outputs = build(tf, case)
    slopes = [] if name.startswith("!") else gradients(tf, fed, outputs)
    return dict(zip(fed, case[1], strict=True)), [outputs, dict(enumerate(slopes))]


def without_none(fetches: list[Any]) -> list[Any]:
    """The fetches with gradients that do not exist left out."""
    outputs, slopes = fetches
    return [outputs, {k: g for k, g in slopes.items() if g is not None}]


def check(family: Mapping[str, Any], name: str, found: list[Any]) -> None:
    """Fails unless values and gradients are those recorded."""
    values, slopes = found
    expected = [key for key in family if key.startswith(f"{name}|value")]
    assert len(values) == len(expected)
    for k, value in enumerate(values):
        _same(plain(value), family[f"{name}|value{k}"], f"{name}: output {k}")
    wanted = {key for key in family if key.startswith(f"{name}|gradient")}
    for k, value in slopes.items():
        key = f"{name}|gradient{k}"
        _same(np.asarray(value), family.get(key, np.zeros_like(value)), f"{name}: gradient {k}")
        wanted.discard(key)
    assert not wanted, f"no gradient for {sorted(wanted)}"


def compare(tf: Any, family: Mapping[str, Any], name: str, case: Case, session: Any) -> None:
    """Runs one case and checks it."""
    feeds, fetches = prepare(tf, name, case)
    check(family, name, session.run(without_none(fetches), feeds))


def compare_together(
    tf: Any, family: Mapping[str, Any], cases: Mapping[str, Case], session: Any
) -> None:
    """Runs all cases at once and checks each."""
    feeds: dict[Any, Any] = {}
    fetches: dict[str, list[Any]] = {}
    for name, case in cases.items():
        fed, wanted = prepare(tf, name, case)
        feeds |= fed
        fetches[name] = without_none(wanted)
    for name, found in session.run(fetches, feeds).items():
        check(family, name, found)


def check_shapes(family: Mapping[str, Any], name: str, outputs: Sequence[Any]) -> None:
    """Fails unless all that TensorFlow knows of a shape while building is known here too."""
    for output, text in zip(outputs, family[f"{name}|shapes"], strict=True):
        if text == "<unknown>":
            continue
        known = [int(size) if size.isdigit() else None for size in re.findall(r"[\w?]+", str(text))]
        found = output.shape.as_list()
        assert len(found) == len(known), f"{name}: {output.shape}, not {text}"
        for own, other in zip(found, known, strict=True):
            assert own == other or other is None, f"{name}: {output.shape}, not {text}"


def _same(value: Any, expected: Any, place: str) -> None:
    assert value.dtype == expected.dtype or value.dtype.kind == "U", (
        f"{place}: {value.dtype}, not {expected.dtype}"
    )
    if value.dtype.kind not in "fc":
        np.testing.assert_array_equal(value, expected, err_msg=place)
        return
    scale = float(np.max(np.abs(expected[np.isfinite(expected)]), initial=1e-30))
    tight = value.dtype == np.float64
    np.testing.assert_allclose(
        value, expected, rtol=1e-9 if tight else 3e-5, atol=scale * (1e-11 if tight else 2e-6),
        err_msg=place,
    )  # fmt: skip
