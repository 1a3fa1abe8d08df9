"""tf.logging: levels, format, the counting forms; what the runtime prints."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

import tensorkiln as tf
from tensorkiln.frontends.graph import logs


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Takes away all handlers, those of pytest too, which come before the test's body."""
    monkeypatch.setattr(logging.getLogger("tensorflow"), "handlers", [])
    monkeypatch.setattr(logging.getLogger("tensorflow"), "level", logging.NOTSET)
    return lambda: monkeypatch.setattr(logging.getLogger(), "handlers", [])


def test_levels_and_format(plain: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> None:
    plain()
    tf.logging.set_verbosity(tf.logging.INFO)
    assert tf.logging.get_verbosity() == 20
    tf.logging.debug("hidden")
    tf.logging.info("step %d", 3)
    tf.logging.warning("w")
    tf.logging.set_verbosity(tf.logging.ERROR)
    tf.logging.warn("hidden")
    tf.logging.log(tf.logging.ERROR, "e")
    tf.logging.fatal("f")
    assert capsys.readouterr().err.splitlines() == [
        "INFO:tensorflow:step 3", "WARNING:tensorflow:w", "ERROR:tensorflow:e",
        "CRITICAL:tensorflow:f",
    ]  # fmt: skip


def test_counting_forms(plain: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> None:
    plain()
    tf.logging.set_verbosity(tf.logging.INFO)
    for step in range(7):
        tf.logging.log_every_n(tf.logging.INFO, "every %d", 3, step)
        tf.logging.log_first_n(tf.logging.INFO, "first %d", 2, step)
        tf.logging.log_if(tf.logging.INFO, "if", step == 5)
    lines = [line.removeprefix("INFO:tensorflow:") for line in capsys.readouterr().err.split("\n")]
    assert lines == ["every 0", "first 0", "first 1", "every 3", "if", "every 6", ""]


def test_no_handler_where_logging_is_set_up(
    plain: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    tf.logging.error("seen")
    assert logging.getLogger("tensorflow").handlers == []
    assert caplog.messages == ["seen"]
    assert caplog.records[0].filename == "test_logs.py"


@pytest.mark.parametrize(("value", "printed"), [("0", "x\n"), ("1", ""), ("3", ""), ("no", "x\n")])
def test_runtime_level(
    value: str, printed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", value)
    logs.runtime_info("x")
    assert capsys.readouterr().err == printed
    assert logs.runtime_prints(logs.ERROR) == (value != "3")
