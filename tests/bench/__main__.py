"""``python -m tests.bench``: prints the table within three minutes. ``--mini`` only shows that it runs."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import NamedTuple

from cognito_wsgi.session import MAX_REMEMBERED

from .footprint import measure_construction, measure_imports, measure_memory
from .key_server import KeyServer
from .measuring import compare_threads, measure
from .peers import PEER_MODULE, missing_peer
from .scene import make_users, user_pool
from .sides import BARE, MANY_BRANCHES, PEER, WARM, make_peers, make_sides
from .table import (
    Row,
    describe_machine,
    markdown,
    row_of_absence,
    row_of_construction,
    row_of_counted_runs,
    row_of_fetches,
    row_of_threads,
    rows_of_imports,
    rows_of_memory,
    rows_of_times,
    verdict,
)

THREADS = 16
#: Seconds before the end at which a part is over, so that the parts after it have time, on a busy machine too.
TIME_FOR_THE_REST = 80
TIME_FOR_MEMORY = 55
TIME_FOR_IMPORTS = 25


class Scale(NamedTuple):
    """How much is done, in so many seconds at most: rounds and further users are cut short."""

    seconds: float
    remembered: int
    further: int
    rounds: int
    thread_requests: int
    thread_rounds: int
    constructions: int
    imports: int


FULL_SCALE = Scale(
    seconds=160,
    remembered=MAX_REMEMBERED,
    further=10 * MAX_REMEMBERED,
    rounds=160,
    thread_requests=640,
    thread_rounds=100,
    constructions=3,
    imports=11,
)
MINI_SCALE = Scale(
    seconds=170,
    remembered=100,
    further=200,
    rounds=1,
    thread_requests=64,
    thread_rounds=1,
    constructions=1,
    imports=1,
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--mini", action="store_true", help="a few requests of each; the figures mean nothing"
    )
    scale = MINI_SCALE if parser.parse_args().mini else FULL_SCALE
    start = time.monotonic()
    rows = list(measure_all(scale, end=start + scale.seconds))
    print(markdown(rows))
    print(f"\n{verdict(rows)}. {describe_machine()}. Took {time.monotonic() - start:.0f} s.")


def measure_all(scale: Scale, end: float) -> Iterator[Row]:
    """The rows of the table. Parts that could go on end early enough for the others to be over by ``end``."""
    users = make_users(2 * scale.remembered)
    with KeyServer(user_pool().jwks) as keys:
        sides = list(make_sides(users, scale.remembered, keys))
        absence = missing_peer()
        peers = [] if absence else list(make_peers(users, keys))
        times = measure([*sides, *peers], rounds=scale.rounds, end=end - TIME_FOR_THE_REST)
        yield from rows_of_times(times)
        yield row_of_counted_runs(times)
        yield row_of_fetches(WARM, keys.fetches("warm"), times)
        if absence:
            yield row_of_absence(PEER, absence)
        else:
            yield row_of_fetches(PEER, keys.fetches("peer"), times)
        compared = [side for side in sides if side.name in (BARE, WARM)]
        yield row_of_threads(
            compare_threads(
                compared,
                threads=THREADS,
                requests=scale.thread_requests,
                rounds=scale.thread_rounds,
                end=end - TIME_FOR_MEMORY,
            ),
            THREADS,
        )
        yield from rows_of_memory(
            measure_memory(
                users,
                remembered=scale.remembered,
                further=scale.further,
                jwks_url=keys.url("memory"),
                end=end - TIME_FOR_IMPORTS,
            )
        )
    yield row_of_construction(measure_construction(MANY_BRANCHES, times=scale.constructions))
    yield from rows_of_imports(measure_imports([] if absence else [PEER_MODULE], times=scale.imports))


if __name__ == "__main__":
    main()
