"""Which runs had the machine to themselves.

A neighbour on the same core makes everything take half as long again, for a hundredth of a second or for many, and the
median of all runs falls on this side of it or on that. So one fixed piece of work, the probe, is timed before and after
each run. A run waits a moment for a quick probe, and counts if both are quick. What a run itself took decides nothing,
so no side gains.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")
Name = TypeVar("Name")

#: A probe is quick if it takes at most so many times what the quickest of all took.
QUICK = 1.15
#: Seconds that a run waits for one.
PATIENCE = 0.1
REPETITIONS = 7


class Run(NamedTuple, Generic[T]):
    """What a run found, and the slower one of the probes beside it, in nanoseconds."""

    found: T
    probed: float


class Watch:
    """Runs things between probes, and tells afterwards which of them were quiet.

    work: the probe, some tens of microseconds; its median over a few calls is what is compared, since the first call
    pays for what the run before it has pushed out of the caches.
    """

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self._quickest = math.inf

    @property
    def _limit(self) -> float:
        return QUICK * self._quickest

    def run(self, do: Callable[[], T]) -> Run[T]:
        end = time.monotonic() + PATIENCE
        while (before := self._probe()) > self._limit and time.monotonic() < end:
            pass
        found = do()
        return Run(found, max(before, self._probe()))

    def quiet(self, runs: Mapping[Name, Sequence[Run[T]]], *, least: int) -> dict[Name, list[T]]:
        """What the quiet runs found, by their names; at least what so many did, the quietest first."""
        counted = {}
        for name, all_runs in runs.items():
            ordered = sorted(all_runs, key=lambda run: run.probed)
            number = sum(run.probed <= self._limit for run in ordered)
            counted[name] = [run.found for run in ordered[: max(number, least)]]
        return counted

    def _probe(self) -> float:
        took = []
        for _ in range(REPETITIONS):
            start = time.perf_counter_ns()
            self._work()
            took.append(time.perf_counter_ns() - start)
        probed = statistics.median(took)
        self._quickest = min(probed, self._quickest)
        return probed
