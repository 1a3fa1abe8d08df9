"""The thread pool: splits, growth, sleep, fork, shutdown, and how many threads it takes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from artifacts.pools import TestPool, make_pool, range_function

from tensorkiln.runtime.pool import pool_text
from tensorkiln.runtime.processor import architecture


@pytest.fixture
def pool() -> Iterator[TestPool]:
    made = make_pool()
    yield made
    made.shutdown()


def ranges(
    pool: TestPool, count: int, threads: int, taking: int = 256
) -> list[tuple[int, int, int]]:
    """(begin, end, thread id) of every call, sorted; all threads, at most `taking`, get one."""
    calls: list[tuple[int, int, int]] = []
    met = threading.Barrier(max(1, min(threads, count, taking)))
    here: set[int] = set()

    @range_function
    def record(context: int, begin: int, end: int) -> None:
        thread = threading.get_native_id()
        calls.append((begin, end, thread))
        if thread not in here:
            here.add(thread)
            met.wait(10)

    pool.parallel_for(record, None, count, threads)
    return sorted(calls)


def split(count: int, threads: int) -> list[tuple[int, int]]:
    """The documented ranges: four for each thread, as far as there are so many."""
    pieces = 1 if min(threads, count) == 1 else min(4 * min(threads, count), count)
    return [(count * c // pieces, count * (c + 1) // pieces) for c in range(pieces)]


def own_threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


@pytest.mark.parametrize("count", [0, 1, 2, 7, 1000])
@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_split_is_the_documented_one(pool: TestPool, count: int, threads: int) -> None:
    calls = ranges(pool, count, threads)
    assert [(begin, end) for begin, end, _ in calls] == (split(count, threads) if count else [])
    assert len({thread for _, _, thread in calls}) == min(threads, count)


def test_the_threads_stay(pool: TestPool) -> None:
    first = {thread for _, _, thread in ranges(pool, 8, 4)}
    assert threading.get_native_id() in first
    assert {thread for _, _, thread in ranges(pool, 8, 4)} == first
    assert {thread for _, _, thread in ranges(pool, 8, 2)} < first


def test_a_thread_that_is_held_up_keeps_only_the_range_it_has_begun(pool: TestPool) -> None:
    caller, calls, over = threading.get_native_id(), [], threading.Event()

    @range_function
    def uneven(context: int, begin: int, end: int) -> None:
        mine = threading.get_native_id() == caller
        calls.append(mine)
        if not mine:
            assert over.wait(10)  # until the caller has done everything else
        elif len(calls) == 8:
            over.set()
        while mine and False not in calls:  # the worker has a range before the caller goes on
            time.sleep(0.001)

    pool.parallel_for(uneven, None, 8, 2)
    assert sorted(calls) == [False] + 7 * [True]


def test_jobs_follow_each_other_closely(pool: TestPool) -> None:
    sums = [0] * 64

    @range_function
    def count(context: int, begin: int, end: int) -> None:
        for place in range(begin, end):
            sums[place] += 1

    for job in range(3000):
        pool.parallel_for(count, None, 1 + job % 64, 2 + job % 3)
    assert sums == [sum(job % 64 >= place for job in range(3000)) for place in range(64)]


def test_grows_when_more_threads_are_asked_for(pool: TestPool) -> None:
    before = own_threads()
    ranges(pool, 2, 2)
    assert own_threads() == before + 1
    ranges(pool, 9, 5)
    assert own_threads() == before + 4


def test_nested_call_runs_serially(pool: TestPool) -> None:
    inner: list[tuple[int, int]] = []
    lock = threading.Lock()

    @range_function
    def record(context: int, begin: int, end: int) -> None:
        with lock:
            inner.append((begin, end))

    @range_function
    def outer(context: int, begin: int, end: int) -> None:
        pool.parallel_for(record, None, 10, 2)

    pool.parallel_for(outer, None, 2, 2)
    assert inner == [(0, 10), (0, 10)]


def test_busy_pool_makes_other_callers_serial(pool: TestPool) -> None:
    entered, leave = threading.Event(), threading.Event()

    @range_function
    def hold(context: int, begin: int, end: int) -> None:
        entered.set()
        leave.wait(10)

    holder = threading.Thread(target=pool.parallel_for, args=(hold, None, 2, 2))
    holder.start()
    assert entered.wait(10)
    try:
        assert [call[:2] for call in ranges(pool, 6, 2, taking=1)] == [(0, 6)]
    finally:
        leave.set()
        holder.join()
    assert len(ranges(pool, 6, 2)) == 6


def test_idle_workers_use_no_processor_time(pool: TestPool) -> None:
    ranges(pool, 4, 4)
    time.sleep(0.02)
    before = time.process_time()
    time.sleep(0.2)
    assert time.process_time() - before < 0.05


def test_wakes_workers_that_sleep(pool: TestPool) -> None:
    for pause in (0.0, 0.0001, 0.002, 0.01):
        for _ in range(20):
            assert len(ranges(pool, 3, 3)) == 3
            time.sleep(pause)


def test_shutdown_joins_and_the_pool_comes_back(pool: TestPool) -> None:
    before = own_threads()
    ranges(pool, 4, 4)
    pool.shutdown()
    assert own_threads() == before
    assert len(ranges(pool, 4, 4)) == 4
    pool.shutdown()
    pool.shutdown()
    assert own_threads() == before


def test_workers_leave_signals_to_the_users_threads(pool: TestPool) -> None:
    me = threading.get_native_id()
    workers = {thread for _, _, thread in ranges(pool, 3, 3)} - {me}
    for worker in workers:
        status = Path(f"/proc/self/task/{worker}/status").read_text()
        blocked = int(re.search(r"SigBlk:\s*([0-9a-f]+)", status)[1], 16)  # type: ignore[index]
        assert blocked >> (signal.SIGINT - 1) & 1
        assert blocked >> (signal.SIGTERM - 1) & 1


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_child_gets_workers_of_its_own(pool: TestPool) -> None:
    parent = ranges(pool, 4, 3)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        calls = ranges(pool, 4, 3)
        distinct = len({thread for _, _, thread in calls})
        os.write(write, f"{[call[:2] for call in calls]} {distinct}".encode())
        os._exit(0)
    os.close(write)
    text = os.read(read, 1000).decode()
    os.close(read)
    assert os.waitpid(child, 0)[1] == 0
    assert text == f"{[call[:2] for call in parent]} 3"
    assert [call[:2] for call in ranges(pool, 4, 3)] == [call[:2] for call in parent]


def test_requested_counts_are_capped(pool: TestPool) -> None:
    assert pool.thread_count(3) == 3
    assert pool.thread_count(10_000) == 256


def test_default_count_follows_the_affinity() -> None:
    allowed = sorted(os.sched_getaffinity(0))[0]
    code = (
        f"import os; os.sched_setaffinity(0, {{{allowed}}})\n"
        "from tensorkiln.runtime.pool import process_pool\n"
        "print(process_pool().thread_count(0))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "1"


def with_paths(folder: Path) -> str:
    """The pool's text looking for control groups under `folder`."""
    text = pool_text(architecture())

    def moved(match: re.Match[str]) -> str:
        path = str(folder) + match[2]
        return f'{match[1]}[{len(path) + 1} x i8] c"{path}\\00"'

    text = re.sub(r'(constant )\[\d+ x i8\] c"(/sys[^"\\]*|/proc[^"\\]*)\\00"', moved, text)
    assert text.count(str(folder)) == 4
    # sixteen processors, so that only the groups limit
    return text.replace("%empty = icmp", "%unused = icmp").replace(
        "%processors = select i1 %empty, i64 1, i64 %total", "%processors = add i64 0, 16"
    )


def limit_under(folder: Path, files: dict[str, str]) -> int:
    for name, content in files.items():
        path = folder / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    pool = make_pool(with_paths(folder))  # its code is mapped while it lives
    return pool.thread_count(0)


V1 = "/sys/fs/cgroup/cpu/cpu.cfs_"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 16),
        ({"/sys/fs/cgroup/cpu.max": "max 100000\n"}, 16),
        ({"/sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2),
        ({"/sys/fs/cgroup/cpu.max": "150000 100000\n"}, 2),
        ({"/sys/fs/cgroup/cpu.max": "1000 100000\n"}, 1),
        ({"/sys/fs/cgroup/cpu.max": "garbage"}, 16),
        (
            {
                "/proc/self/cgroup": "0::/slice/unit\n",
                "/sys/fs/cgroup/slice/cpu.max": "300000 100000\n",
                "/sys/fs/cgroup/slice/unit/cpu.max": "500000 100000\n",
            },
            3,
        ),
        ({f"{V1}quota_us": "400000\n", f"{V1}period_us": "100000\n"}, 4),
        ({f"{V1}quota_us": "-1\n", f"{V1}period_us": "100000\n"}, 16),
    ],
)
def test_default_count_follows_control_groups(
    tmp_path: Path, files: dict[str, str], expected: int
) -> None:
    assert limit_under(tmp_path, files) == expected
