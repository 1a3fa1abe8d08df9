"""What `tf.logging` and the runtime print on stderr, with TensorFlow's levels and format."""

from __future__ import annotations

import logging
import os
import sys
from collections import Counter
from typing import TextIO

DEBUG = logging.DEBUG
INFO = logging.INFO
WARN = logging.WARNING
ERROR = logging.ERROR
FATAL = logging.FATAL

# Programs reach the logger by this name to set its level.
_LOGGER = logging.getLogger("tensorflow")
_RUNTIME_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_calls: Counter[tuple[str, int]] = Counter()


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to whatever stderr is at the time."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """The stream to write to."""
        return sys.stderr


def get_logger() -> logging.Logger:
    """The logger; it gets a handler unless the program has set up logging itself."""
    if not _LOGGER.handlers and not logging.getLogger().handlers:
        handler = _Stderr()
        handler.setFormatter(logging.Formatter(logging.BASIC_FORMAT))
        _LOGGER.addHandler(handler)
    return _LOGGER


def log(level: int, msg: str, *args: object, **kwargs: object) -> None:
    """Logs `msg % args` at a level."""
    get_logger().log(level, msg, *args, stacklevel=2)


def debug(msg: str, *args: object, **kwargs: object) -> None:
    """Logs for whoever looks for errors."""
    get_logger().debug(msg, *args, stacklevel=2)


def info(msg: str, *args: object, **kwargs: object) -> None:
    """Logs what may be of interest."""
    get_logger().info(msg, *args, stacklevel=2)


def warn(msg: str, *args: object, **kwargs: object) -> None:
    """Logs a warning."""
    get_logger().warning(msg, *args, stacklevel=2)


def error(msg: str, *args: object, **kwargs: object) -> None:
    """Logs an error."""
    get_logger().error(msg, *args, stacklevel=2)


def fatal(msg: str, *args: object, **kwargs: object) -> None:
    """Logs an error that nothing can be done about."""
    get_logger().critical(msg, *args, stacklevel=2)


def vlog(level: int, msg: str, *args: object, **kwargs: object) -> None:
    """Logs at a numeric level."""
    get_logger().log(level, msg, *args, stacklevel=2)


def log_if(level: int, msg: str, condition: object, *args: object) -> None:
    """Logs if the condition holds."""
    if condition:
        get_logger().log(level, msg, *args, stacklevel=2)


def log_every_n(level: int, msg: str, n: int, *args: object) -> None:
    """Logs the first and then every n-th call of the place in the program that calls this."""
    log_if(level, msg, _count() % n == 0, *args)


def log_first_n(level: int, msg: str, n: int, *args: object) -> None:
    """Logs the first n calls of the place in the program that calls this."""
    log_if(level, msg, _count() < n, *args)


def _count() -> int:
    """How often the caller's caller has come here from its line."""
    frame = sys._getframe(2)
    place = (frame.f_code.co_filename, frame.f_lineno)
    _calls[place] += 1
    return _calls[place] - 1


def get_verbosity() -> int:
    """The lowest level that is printed."""
    return get_logger().getEffectiveLevel()


def set_verbosity(v: int) -> None:
    """Sets the lowest level that is printed, such as `tf.logging.INFO`."""
    get_logger().setLevel(v)


def flush() -> None:
    """Nothing to do: every line is written at once."""


def runtime_prints(level: int) -> bool:
    """True if the runtime may print at this level: TF_CPP_MIN_LOG_LEVEL 1 silences INFO, 2 WARN,
    3 ERROR."""
    text = os.environ.get(_RUNTIME_LEVEL, "0").strip()
    silenced = int(text) if text.isdigit() else 0
    return level // 10 - 2 >= silenced


def runtime_info(text: str) -> None:
    """Prints what the runtime has to say, unless TF_CPP_MIN_LOG_LEVEL silences it."""
    if runtime_prints(INFO):
        print(text, file=sys.stderr, flush=True)
