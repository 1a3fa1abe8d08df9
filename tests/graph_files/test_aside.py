"""Files written aside by several threads of one process at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tensorkiln.frontends.graph.files.aside import write_whole


def test_threads_may_replace_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "graph.meta"
    texts = [bytes([65 + k]) * 100_000 for k in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda text: write_whole(str(path), text), texts * 4))
    assert path.read_bytes() in texts
    assert list(tmp_path.iterdir()) == [path]
