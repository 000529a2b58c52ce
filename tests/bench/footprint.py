"""What the gateway takes beside its requests: memory for sessions, time to be imported and made.

Each is measured in fresh interpreters, where nothing else has been going on.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from .key_server import ROOT
from .measuring import fill
from .scene import GROUP_PAGES, Requests, User, make_gateway

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_STATM = Path("/proc/self/statm")  # only Linux tells a process its size so simply


class Memory(NamedTuple):
    """Resident memory of a process, in bytes."""

    per_session: float
    growth: int  # with the further users, beyond what the remembered sessions took
    remembered: int
    further: int


def measure_memory(
    users: Sequence[User], *, remembered: int, further: int, jwks_url: str, end: float
) -> Memory | None:
    """None where the system does not tell how much memory a process takes.

    users: twice as many as are remembered; the further ones are these in turn, each forgotten when he comes again.
    end: no more further users come from then on, by ``time.monotonic()``.
    """
    if not _STATM.exists():
        return None
    found = _in_fresh_interpreter(
        _sizes_of_memory,
        {
            "users": users,
            "remembered": remembered,
            "further": further,
            "jwks_url": jwks_url,
            "seconds": end - time.monotonic(),
        },
    )
    return Memory(**found)


def measure_construction(branches: int, times: int) -> float:
    """Seconds that a gateway with ten rules for each branch takes to be made, the median of some times."""
    arguments = {"branches": branches}
    return statistics.median(_in_fresh_interpreter(_time_to_construct, arguments) for _ in range(times))


def measure_imports(peers: Sequence[str], *, times: int) -> dict[str, float]:
    """Seconds of CPU time that an import adds after ``import flask``, the gateway's first, then each peer's.

    Medians over so many interpreters, the modules taking turns.
    """
    modules = ["cognito_wsgi", *peers]
    took: dict[str, list[float]] = {module: [] for module in modules}
    with TemporaryDirectory() as compiled:  # as it is where a package has been installed
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": compiled, "PYTHONDONTWRITEBYTECODE": ""}
        for turn in range(times + 1):
            for module in modules:
                code = f"import flask, time; s = time.process_time(); import {module}; print(time.process_time() - s)"
                printed = subprocess.run(
                    [sys.executable, "-c", code],
                    cwd=ROOT,
                    env=environment,
                    check=True,
                    capture_output=True,
                    text=True,
                ).stdout
                if turn > 0:  # the first one compiles
                    took[module].append(float(printed))
    return {module: statistics.median(times) for module, times in took.items()}


def _in_fresh_interpreter(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """The result of a function of this module; arguments and result are JSON."""
    command = [sys.executable, "-m", "tests.bench.footprint", function.__name__]
    printed = subprocess.run(
        command, cwd=ROOT, input=json.dumps(arguments), check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    return json.loads(printed)


def _sizes_of_memory(
    users: list[list[str]], remembered: int, further: int, jwks_url: str, seconds: float
) -> dict[str, Any]:
    gateway = make_gateway(jwks_url, app=_nothing)
    newcomers = Requests(GROUP_PAGES, [User(*tokens) for tokens in users])
    first = remembered // 20  # imports, keys and the interpreter's own reserves come with them
    fill(gateway, newcomers, first)
    start = _resident_bytes()
    fill(gateway, newcomers, remembered - first)
    full = _resident_bytes()
    came, end = 0, time.monotonic() + seconds
    while came < further and time.monotonic() < end:
        fill(gateway, newcomers, step := min(1000, further - came))
        came += step
    return {
        "per_session": (full - start) / (remembered - first),
        "growth": _resident_bytes() - full,
        "remembered": remembered,
        "further": came,
    }


def _resident_bytes() -> int:
    gc.collect()
    return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _nothing(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", [])
    return []


def _time_to_construct(branches: int) -> float:
    gc.collect()
    start = time.perf_counter()
    make_gateway("http://127.0.0.1/never-asked", app=_nothing, branches=branches)
    return time.perf_counter() - start


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](**json.load(sys.stdin))))
