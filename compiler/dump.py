"""Numbered dumps, one file a stage, for reading what the compiler did."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tensorkiln.compiler.environment import dump_folder


@dataclass
class Dump:
    """Writes `NN-stage.ext` files to `folder`, or nothing if it is None."""

    folder: Path | None = None
    count: int = field(default=0)

    @staticmethod
    def from_environment(name: str) -> Dump:
        """The dump that TENSORKILN_DUMP asks for: a folder a model below it."""
        root = dump_folder()
        # The name comes with the model: it must not lead out of the folder.
        safe = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:100] or "model"
        return Dump(root / safe if root else None)

    def write(self, stage: str, extension: str, text: Callable[[], str]) -> None:
        """Writes the stage's text; it is only made if somebody asked for dumps."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{self.count:02d}-{stage}.{extension}").write_text(text())
        self.count += 1
