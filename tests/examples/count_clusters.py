"""Runs a program as it stands and says on stderr how many compiled clusters its training step is.

    python count_clusters.py PROGRAM [ARGUMENT ...]

The training step is what the program runs most often.  The last line of stderr is JSON: its runs,
the clusters compiled code was called for in one of them, and the ops that ran on the host.
"""

from __future__ import annotations

import collections
import json
import runpy
import sys
from pathlib import Path
from typing import Any

from tensorkiln.frontends.graph.plan import ClusterPart, HostPart, Plan

RUNS: collections.Counter[Plan] = collections.Counter()
CALLS: dict[Plan, tuple[int, list[str]]] = {}


def count(plan: Plan, *arguments: Any) -> list[object]:
    """`Plan.run`, which also notes what ran."""
    values = RUN(plan, *arguments)
    RUNS[plan] += 1
    hosts = [op.type for part in plan.parts if isinstance(part, HostPart) for op in part.operations]
    CALLS[plan] = (sum(isinstance(part, ClusterPart) for part in plan.parts), hosts)
    return values


RUN = Plan.run
Plan.run = count  # type: ignore[method-assign]
program = sys.argv[1]
sys.argv = sys.argv[1:]
sys.path.insert(0, str(Path(program).parent))
try:
    runpy.run_path(program, run_name="__main__")
finally:
    if RUNS:
        plan, runs = RUNS.most_common(1)[0]
        clusters, hosts = CALLS[plan]
        print(json.dumps({"runs": runs, "clusters": clusters, "host": hosts}), file=sys.stderr)
