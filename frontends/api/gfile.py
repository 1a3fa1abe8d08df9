"""`tf.gfile`: files and folders."""

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
exists, glob, isdir, listdir, makedirs, mkdir = (
    Exists,
    Glob,
    IsDirectory,
    ListDirectory,
    MakeDirs,
    MkDir,
)
copy, remove, rename, rmtree, stat, walk = Copy, Remove, Rename, DeleteRecursively, Stat, Walk
