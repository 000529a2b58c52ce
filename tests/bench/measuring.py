"""Times, taken so that noise hits all sides alike.

All sides take turns in one process, a short run each, in an order that is new in every round. Each request is made
right before its clock starts, as a server makes it, and garbage is collected after all sides had their turn. Medians
and 99th percentiles are over all requests of a side.
"""

from __future__ import annotations

import gc
import random
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from .scene import Environ, Requests

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

#: So each of the 20 users comes five times. If all came once, the other sides' work would stand between any two
#: requests of a user, and a server that serves one application has no other work.
REQUESTS_IN_A_RUN = 100


class Side(NamedTuple):
    """A WSGI application and the requests it is to answer.

    make: makes so many new environs.
    status: the code of every answer; anything else ends the benchmark.
    """

    name: str
    app: WSGIApplication
    make: Callable[[int], list[Environ]]
    status: str = "200"


class Times(NamedTuple):
    """Seconds for one request, and how many requests there were."""

    median: float
    p99: float
    requests: int


def answer(app: WSGIApplication, environ: Environ) -> str:
    """Have a request answered as a server would: collect the start, iterate the body, close it."""
    start: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        start[:] = status, headers
        return None

    body = app(environ, start_response)
    for _ in body:
        pass
    close = getattr(body, "close", None)
    if close is not None:
        close()
    return start[0]


def fill(app: WSGIApplication, requests: Requests, count: int) -> None:
    """Have so many requests answered, untimed and made one by one."""
    for _ in range(count):
        (environ,) = requests.make(1)
        answer(app, environ)


def measure(sides: Sequence[Side], *, rounds: int, end: float) -> dict[str, Times]:
    """The times of each side, by name: of so many rounds, or of as many as end before ``time.monotonic()`` is ``end``."""
    order, shuffle = list(sides), random.Random(5).shuffle
    took: dict[str, list[int]] = {side.name: [] for side in sides}
    for side in sides:
        _run(side)  # imports, keys, caches of the interpreter
    with _garbage_kept():
        for _ in range(rounds):
            shuffle(order)
            for side in order:
                took[side.name] += _run(side)
            gc.collect()
            if time.monotonic() > end:
                break
    return {name: _summary(times) for name, times in took.items()}


@contextmanager
def _garbage_kept() -> Iterator[None]:
    """No collection within, but for those that are asked for; they look at what is made within alone."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def _run(side: Side) -> list[int]:
    """Nanoseconds of each request of a run."""
    app, clock = side.app, time.perf_counter_ns
    took, statuses = [], set()
    for _ in range(REQUESTS_IN_A_RUN):
        environs = side.make(1)
        start = clock()
        status = answer(app, environs.pop())  # and what the request leaves is done away with
        took.append(clock() - start)
        statuses.add(status[:3])
    if statuses != {side.status}:
        raise SystemExit(f"{side.name}: answered {sorted(statuses)}, expected {side.status}")
    return took


def _summary(times: list[int]) -> Times:
    ordered = sorted(times)
    p99 = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
    return Times(statistics.median(ordered) / 1e9, p99 / 1e9, len(ordered) + REQUESTS_IN_A_RUN)


# threads


def compare_threads(sides: Sequence[Side], *, threads: int, requests: int, rounds: int) -> dict[str, float]:
    """Throughput with so many threads over that with one, by the side's name: the median of some rounds."""
    ratios: dict[str, list[float]] = {side.name: [] for side in sides}
    with _garbage_kept():  # a collection of the sessions of other sides would fall on whoever's turn it is
        for _ in range(rounds):
            for side in sides:
                alone = _answer_all(side, side.make(requests), 1)
                ratios[side.name].append(alone / _answer_all(side, side.make(requests), threads))
                gc.collect()
    return {name: statistics.median(found) for name, found in ratios.items()}


def _answer_all(side: Side, environs: list[Environ], threads: int) -> float:
    """Seconds in which so many threads answer all requests, each its share."""
    ready = threading.Barrier(threads + 1)

    def work(share: list[Environ]) -> None:
        ready.wait()
        for environ in share:
            answer(side.app, environ)

    workers = [threading.Thread(target=work, args=(environs[number::threads],)) for number in range(threads)]
    for worker in workers:
        worker.start()
    ready.wait()
    start = time.perf_counter()
    for worker in workers:
        worker.join()
    return time.perf_counter() - start
