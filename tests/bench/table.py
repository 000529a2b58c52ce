"""The table: rows, goals, Markdown."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from .footprint import Memory
from .measuring import Times
from .sides import BARE, COLD, FULL, PUBLIC, UNIT, WARM, WARM_MANY_RULES

COLUMNS = ("", "median", "p99", "over the bare app", "raw verifications", "goal", "met")


class Goal(NamedTuple):
    """The extra time may be at most ``limit`` times that of another side."""

    limit: float
    of: str = UNIT
    #: What the table calls it.
    label: str = ""


#: Issue 5 and design.md §9. Refusals, by whatever name, come to REFUSED.
GOALS = {
    WARM: Goal(0.5),
    WARM_MANY_RULES: Goal(1.15, WARM, " of 10 rules"),
    PUBLIC: Goal(0.25),
    COLD: Goal(5.0),
    FULL: Goal(2.0, COLD, " of not full"),
}
REFUSED = Goal(1.0, COLD, " of an accepted cold one")


#: The rest of issue 5's goals: bytes, a share of the memory of all sessions (the allocator's own ebb and flow),
#: seconds, and shares of a peer.
SESSION_LIMIT = 10 * 1024
GROWTH_LIMIT = 0.05
CONSTRUCTION_LIMIT = 2.0
IMPORT_LIMIT = 0.6
THREADS_LIMIT = 0.95


class Row(NamedTuple):
    cells: tuple[str, ...]  # as COLUMNS has them, but for the last
    is_met: bool | None = None

    def markdown(self) -> str:
        met = {None: "", True: "yes", False: "NO"}[self.is_met]
        return f"| {' | '.join(self.cells)} | {met} |"


def rows_of_times(times: Mapping[str, Times]) -> Iterator[Row]:
    """A row for each side, in their order."""
    bare = times[BARE].median
    extra = {name: side.median - bare for name, side in times.items()}
    for name, side in times.items():
        first = (name, _microseconds(side.median), _microseconds(side.p99))
        if name == BARE:
            yield Row((*first, "", "", ""))
            continue
        units = extra[name] / extra[UNIT]
        goal = GOALS.get(name, REFUSED if name.startswith("refused") else None)
        text, is_met = "", None
        if goal is not None:
            ratio = extra[name] / extra[goal.of]
            is_met = ratio <= goal.limit
            text = f"{ratio:.2f}, at most {goal.limit:g}{goal.label}"
        yield Row((*first, _microseconds(extra[name]), f"{units:.2f}", text), is_met)


def row_of_counted_runs(times: Mapping[str, Times]) -> Row:
    """Which share of the runs counts: the quiet ones, and the quietest of a side that has few (quiet.py)."""
    share = statistics.fmean(side.counted for side in times.values())
    return _fact("runs that count, of all that were made", f"{share:.0%}")


def row_of_absence(name: str, reason: str) -> Row:
    return _fact(name, f"left out: {reason}")


def row_of_fetches(name: str, fetches: int, times: Mapping[str, Times]) -> Row:
    """How often the key set was fetched. The gateway does so once, before its first request."""
    label = f"key fetches: {name}"
    value = f"{fetches:,} in {times[name].requests:,} requests"
    return _fact(label, value, "1 in all", fetches == 1) if name == WARM else _fact(label, value)


def row_of_threads(throughput: Mapping[str, float], threads: int) -> Row:
    """Throughput with many threads over that with one. What the interpreter loses is nobody's fault."""
    gateway, bare = throughput[WARM], throughput[BARE]
    return _fact(
        f"gateway: throughput of {threads} threads, 1 for one thread",
        f"{gateway:.2f} (bare app {bare:.2f})",
        f"{gateway / bare:.2f}, at least {THREADS_LIMIT:g} of the bare app's",
        gateway / bare >= THREADS_LIMIT,
    )


def rows_of_memory(memory: Memory | None) -> Iterator[Row]:
    if memory is None:
        yield row_of_absence("memory", "this system does not tell a process its size")
        return
    taken = memory.per_session * memory.remembered
    yield _fact(
        f"memory of a remembered session, of {memory.remembered:,}",
        f"{memory.per_session / 1024:.1f} KiB",
        f"at most {SESSION_LIMIT / 1024:g} KiB",
        memory.per_session <= SESSION_LIMIT,
    )
    yield _fact(
        f"growth with {memory.further:,} further users",
        f"{memory.growth / 2**20:+.1f} MiB",
        f"{memory.growth / taken:+.1%}, at most {GROWTH_LIMIT:.0%}",
        memory.growth <= GROWTH_LIMIT * taken,
    )


def row_of_construction(seconds: float) -> Row:
    return _fact(
        "construction with 10,000 rules",
        f"{seconds:.2f} s",
        f"under {CONSTRUCTION_LIMIT:g} s",
        seconds < CONSTRUCTION_LIMIT,
    )


def rows_of_imports(seconds: Mapping[str, float]) -> Iterator[Row]:
    """What importing adds after ``import flask``, the gateway's module first."""
    (module, own), *others = seconds.items()
    yield _fact(f"import {module}, after flask", f"{own * 1e3:.0f} ms")
    for other, peers in others:
        yield _fact(
            f"import {other}, after flask",
            f"{peers * 1e3:.0f} ms",
            f"{own / peers:.2f}, {module} at most {IMPORT_LIMIT:g} of it",
            own <= IMPORT_LIMIT * peers,
        )


def _fact(name: str, value: str, goal: str = "", is_met: bool | None = None) -> Row:
    return Row((name, value, "", "", "", goal), is_met)


def markdown(rows: Iterable[Row]) -> str:
    lines = [f"| {' | '.join(COLUMNS)} |", "| --- |" + " ---: |" * 4 + " --- | --- |"]
    return "\n".join([*lines, *(row.markdown() for row in rows)])


def verdict(rows: Iterable[Row]) -> str:
    judged = [row for row in rows if row.is_met is not None]
    missed = [row.cells[0] for row in judged if not row.is_met]
    counted = f"{len(judged) - len(missed)} of {len(judged)} goals met"
    return f"{counted}; missed: {'; '.join(missed)}" if missed else counted


def describe_machine() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("flask", "werkzeug", "cryptography"))
    return (
        f"{_cpu_model()}, {os.cpu_count()} cores, {platform.system()}, "
        f"{platform.python_implementation()} {platform.python_version()}, {packages}"
    )


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _microseconds(seconds: float) -> str:
    return f"{seconds * 1e6:,.1f} µs"
