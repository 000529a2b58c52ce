"""``python -m tests.bench.throughput``: requests per second of gunicorn with two workers, loaded by wrk.

The bare application, the gateway and flask-cognito-lib each have a server of their own and take turns in short
rounds. In each, 20 signed-in users take turns, and path and analytics cookie are new in every request. All on
loopback; three minutes at most.
"""

from __future__ import annotations

import argparse
import http.client
import json
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.serving import free_port, gunicorn, process

from .key_server import KeyServer
from .peers import make_peer, missing_peer
from .scene import Requests, User, make_app, make_gateway, make_users, user_pool
from .sides import USERS_TAKING_TURNS
from .table import describe_machine

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

BARE, GATEWAY = "bare Flask application", "gateway"
PEER, PEER_NO_FETCH = "flask-cognito-lib", "flask-cognito-lib, its key fetch removed"
GOAL = 0.95  # of the bare application's requests per second
CONNECTIONS = 8
#: wrk fills in the number of the request: the path, and the value of the analytics cookie.
PAGE = "/branch-0/admin/users/@@/profile"

WRK_SCRIPT = """
local number, cookies, headers = 0, {}, {}
function init(arguments)
    for line in io.lines(arguments[1]) do
        local name, value = line:match("^(%S+) (.*)$")
        if name == "Cookie" then cookies[#cookies + 1] = value else headers[name] = value end
    end
end
function request()
    number = number + 1
    headers["Cookie"] = "_ga_8XQ2W1T9KD=GS2.1.s" .. number .. "$o12$g1; " .. cookies[number % #cookies + 1]
    return wrk.format("GET", (wrk.path:gsub("@@", number)), headers)
end
function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format('{"requests": %d, "microseconds": %d, "errors": %d}',
        summary.requests, summary.duration,
        errors.connect + errors.read + errors.write + errors.timeout + errors.status))
end
"""


class Scale(NamedTuple):
    rounds: int
    seconds: int  # for each side in each round


FULL_SCALE = Scale(rounds=7, seconds=4)
MINI_SCALE = Scale(rounds=1, seconds=1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.throughput", description=__doc__)
    parser.add_argument("--mini", action="store_true", help="one short round; the figures mean nothing")
    scale = MINI_SCALE if parser.parse_args().mini else FULL_SCALE
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed here (Debian: apt-get install wrk)")
    sides = [BARE, GATEWAY]
    absence = missing_peer()
    if absence is None:
        sides += [PEER, PEER_NO_FETCH]
    print_table(measure(sides, scale))
    print(f"\ngunicorn, 2 workers, wrk with {CONNECTIONS} connections. {describe_machine()}.", absence or "")


def measure(sides: Sequence[str], scale: Scale) -> dict[str, list[float]]:
    """Requests per second, by side and round."""
    users = make_users(USERS_TAKING_TURNS)
    with ExitStack() as stack:
        keys = stack.enter_context(KeyServer(user_pool().jwks))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ports = {side: stack.enter_context(serving(side, keys)) for side in sides}
        found: dict[str, list[float]] = {side: [] for side in sides}
        for side in sides:
            load(
                ports[side], headers_of(side, users), folder, seconds=1
            )  # the first requests pay for imports
        for _ in range(scale.rounds):
            for side in sides:
                found[side].append(load(ports[side], headers_of(side, users), folder, scale.seconds))
    return found


def make_served(side: str, jwks_url: str) -> WSGIApplication:
    """What a gunicorn worker serves. Its own TestPool's key is not used: keys come from the key server."""
    app = make_app()
    if side == GATEWAY:
        return make_gateway(jwks_url, app=app.wsgi_app)
    if side in (PEER, PEER_NO_FETCH):
        return make_peer(app, jwks_url, fetches=side == PEER)
    return app.wsgi_app


@contextmanager
def serving(side: str, keys: KeyServer) -> Iterator[int]:
    """Gives the port."""
    port = free_port()
    target = f"tests.bench.throughput:make_served({side!r}, {keys.url('throughput')!r})"
    with process(gunicorn(target, port), port=port):
        yield port


def headers_of(side: str, users: Sequence[User]) -> str:
    """The headers of a side's requests, a line each; those that begin with Cookie take turns."""
    prefix = "" if side in (PEER, PEER_NO_FETCH) else "__Host-"
    environs = Requests([PAGE], users, prefix=prefix).make(len(users))
    fixed = {
        name.removeprefix("HTTP_").replace("_", "-").title(): value
        for name, value in environs[0].items()
        if name.startswith("HTTP_") and name != "HTTP_COOKIE"
    }
    lines = [*fixed.items(), *(("Cookie", environ["HTTP_COOKIE"]) for environ in environs)]
    return "".join(f"{name} {value}\n" for name, value in lines)


def require_good_answers(port: int, headers: str) -> None:
    """Every user is let in; if not, the benchmark ends. wrk by itself takes a redirect for a good answer."""
    lines = [line.split(" ", 1) for line in headers.splitlines()]
    fixed = {name: value for name, value in lines if name != "Cookie"}
    for cookie in (value for name, value in lines if name == "Cookie"):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", PAGE.replace("@@", "0"), headers={**fixed, "Cookie": cookie})
        status = connection.getresponse().status
        connection.close()
        if status != 200:
            raise SystemExit(f"a signed-in user was answered {status}, expected 200")


def load(port: int, headers: str, folder: Path, seconds: int) -> float:
    """Requests per second that a server answers well. Anything but good answers ends the benchmark."""
    require_good_answers(port, headers)
    script, header_file = folder / "load.lua", folder / "headers"
    script.write_text(WRK_SCRIPT)
    header_file.write_text(headers)
    url = f"http://127.0.0.1:{port}{PAGE}"
    command = [
        "wrk",
        "-t1",
        f"-c{CONNECTIONS}",
        f"-d{seconds}s",
        "-s",
        str(script),
        url,
        "--",
        str(header_file),
    ]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 30).stdout
    summary = json.loads(printed[printed.rindex("{") :])
    if summary["errors"] or not summary["requests"]:
        raise SystemExit(f"wrk: {printed}")
    require_good_answers(port, headers)
    return float(summary["requests"] / summary["microseconds"] * 1e6)


def print_table(found: Mapping[str, Sequence[float]]) -> None:
    """Medians; the ratios are of the rounds in which both took part."""
    print("|  | requests per second | of the bare application | goal | met |")
    print("| --- | ---: | ---: | --- | --- |")
    for side, rates in found.items():
        ratio = statistics.median(rate / bare for rate, bare in zip(rates, found[BARE], strict=True))
        goal = f"at least {GOAL:g}" if side == GATEWAY else ""
        met = ("yes" if ratio >= GOAL else "NO") if goal else ""
        print(f"| {side} | {statistics.median(rates):,.0f} | {ratio:.2f} | {goal} | {met} |")


if __name__ == "__main__":
    main()
