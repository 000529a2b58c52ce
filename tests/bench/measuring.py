"""Times, taken so that noise hits all sides alike.

All sides take turns in one process, a short run each, in an order that is new in every round. Each request is made
right before its clock starts, as a server makes it, and garbage is collected after all sides had their turn. Medians
and 99th percentiles are over all requests of a side's quiet runs, those that no neighbour on the machine disturbed, or
of its quietest (quiet.py).
"""

from __future__ import annotations

import gc
import os
import random
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from .quiet import Run, Watch
from .scene import Environ, Requests

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

#: So each of the 20 users comes five times. If all came once, the other sides' work would stand between any two
#: requests of a user, and a server that serves one application has no other work.
REQUESTS_IN_A_RUN = 100
#: So many runs of a side count, the quietest, where fewer than that were quiet.
LEAST_RUNS = 10
LEAST_THREAD_RUNS = 20


class Side(NamedTuple):
    """A WSGI application and the requests it is to answer.

    make: makes so many new environs.
    status: the code of every answer; anything else ends the benchmark.
    requests: in each run.
    """

    name: str
    app: WSGIApplication
    make: Callable[[int], list[Environ]]
    status: str = "200"
    requests: int = REQUESTS_IN_A_RUN


class Times(NamedTuple):
    """Seconds for one request in the runs that count, how many requests all runs had, and the share that counts."""

    median: float
    p99: float
    requests: int
    counted: float = 1.0


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
    """The times of each side, by name: of so many rounds, or of as many as end before ``time.monotonic()`` is ``end``.

    The first side, the bare application, is the probe as well.
    """
    order, shuffle = list(sides), random.Random(5).shuffle
    runs: dict[str, list[Run[list[int]]]] = {side.name: [] for side in sides}
    for side in sides:
        _run(side)  # imports, keys, caches of the interpreter
    with _garbage_kept():
        watch = Watch(_probe(sides[0]))
        for _ in range(rounds):
            shuffle(order)
            for side in order:
                runs[side.name].append(watch.run(partial(_run, side)))
            gc.collect()
            if time.monotonic() > end:
                break
    quiet = watch.quiet(runs, least=LEAST_RUNS)
    return {side.name: _summary(side, len(runs[side.name]), quiet[side.name]) for side in sides}


def _probe(side: Side) -> Callable[[], object]:
    """One request of a side, the same each time."""
    (environ,) = side.make(1)
    return lambda: answer(side.app, environ.copy())


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
    for _ in range(side.requests):
        environs = side.make(1)
        start = clock()
        status = answer(app, environs.pop())  # and what the request leaves is done away with
        took.append(clock() - start)
        statuses.add(status[:3])
    if statuses != {side.status}:
        raise SystemExit(f"{side.name}: answered {sorted(statuses)}, expected {side.status}")
    return took


def _summary(side: Side, runs: int, quiet: Sequence[list[int]]) -> Times:
    ordered = sorted(chain.from_iterable(quiet))
    p99 = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
    return Times(
        median=statistics.median(ordered) / 1e9,
        p99=p99 / 1e9,
        requests=(runs + 1) * side.requests,  # one run came before the clock
        counted=len(quiet) / runs,
    )


# threads


def compare_threads(
    sides: Sequence[Side], *, threads: int, requests: int, rounds: int, end: float
) -> dict[str, float]:
    """Throughput with so many threads over that with one, by the side's name, of so many rounds or as ``measure``.

    On one processor: what threads lose by moving the interpreter between two is more than all else, and not ours.
    """
    runs: dict[tuple[str, int], list[Run[float]]] = {
        (side.name, number): [] for side in sides for number in (1, threads)
    }
    with _on_one_processor(), _garbage_kept():
        watch = Watch(_probe(sides[0]))
        for _ in range(rounds):
            for side in sides:
                for number in (1, threads):
                    environs = side.make(requests)
                    run = watch.run(partial(_answer_all, side, environs, number))
                    runs[side.name, number].append(run)
            gc.collect()
            if time.monotonic() > end:
                break
    quiet = watch.quiet(runs, least=LEAST_THREAD_RUNS)
    took = {key: statistics.median(found) for key, found in quiet.items()}
    return {side.name: took[side.name, 1] / took[side.name, threads] for side in sides}


@contextmanager
def _on_one_processor() -> Iterator[None]:
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    processors = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(processors)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, processors)


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
