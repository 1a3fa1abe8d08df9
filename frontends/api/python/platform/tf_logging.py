"""Messages with levels, on stderr."""

from tensorkiln.frontends.graph.logs import (
    DEBUG,
    ERROR,
    FATAL,
    INFO,
    WARN,
    debug,
    error,
    fatal,
    get_verbosity,
    info,
    log,
    log_every_n,
    set_verbosity,
    warn,
)

warning = warn
