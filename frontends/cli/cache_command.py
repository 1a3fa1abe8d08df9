"""`tensorkiln cache`: shows or empties the compile cache."""

from __future__ import annotations

import argparse
import json
from typing import Any

from tensorkiln.compiler.cache import Cache
from tensorkiln.compiler.environment import CACHE, cache_folder
from tensorkiln.frontends.cli.commands import HELP
from tensorkiln.frontends.cli.usage import Commands, add_json


def add(commands: Commands) -> argparse.ArgumentParser:
    """Adds the command's arguments."""
    parser = commands.add_parser(
        "cache",
        help=HELP["cache"],
        description="Compiled models are kept on disk, so that the same model is compiled once."
        f" The environment variable {CACHE} names another folder, or is `off`.",
    )
    parser.add_argument("action", choices=("show", "clear"), nargs="?", default="show",
                        help="show (the default): where, how many, how large; clear: remove all")  # fmt: skip
    add_json(parser)
    return parser


def run(options: Any) -> int:
    """Shows or clears."""
    folder = cache_folder()
    if folder is None:
        print(json.dumps({"folder": None}) if options.json else f"the cache is off ({CACHE}=off)")
        return 0
    cache = Cache(folder)
    if options.action == "clear":
        removed = cache.clear()
        text = f"removed {removed} bytes from {folder}"
        print(json.dumps({"folder": str(folder), "removed": removed}) if options.json else text)
        return 0
    files = cache.files()
    models = sum(file.path.suffix == ".model" for file in files)
    total = sum(file.bytes for file in files)
    if options.json:
        report = {"folder": str(folder), "models": models, "bytes": total, "limit": cache.limit}
        print(json.dumps(report))
    else:
        print(f"{folder}: {models} models, {total} bytes of at most {cache.limit}")
    return 0
