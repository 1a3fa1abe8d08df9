"""Files and folders."""

from tensorkiln.frontends.graph.file_io import (
    Copy,
    DeleteRecursively,
    Exists,
    GFile,
    Glob,
    IsDirectory,
    ListDirectory,
    MakeDirs,
    MkDir,
    Remove,
    Rename,
    Stat,
    Walk,
)  # fmt: skip

FastGFile = Open = GFile
