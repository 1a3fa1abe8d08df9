"""`tf.logging`: messages with levels, on stderr."""

from tensorkiln.frontends.graph.logs import (
    DEBUG,
    ERROR,
    FATAL,
    INFO,
    WARN,
    debug,
    error,
    fatal,
    flush,
    get_verbosity,
    info,
    log,
    log_every_n,
    log_first_n,
    log_if,
    set_verbosity,
    vlog,
    warn,
)  # fmt: skip

warning = warn
TaskLevelStatusMessage = info
