"""The answers that the trouble switches bring, one function for each kind of trouble."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from werkzeug import Request, Response

HUGE_BODY = 64 * 1024 * 1024  # bytes
DRIP_INTERVAL = 0.2  # seconds


class Occasion(NamedTuple):
    """A request that is to be answered badly.

    delay: seconds that "slow" takes.
    elsewhere: the address that "redirect" names.
    stopped: set when the pool ends, and with it every wait here.
    """

    request: Request
    delay: float
    elsewhere: str
    stopped: threading.Event


def _throttled(occasion: Occasion) -> Response:
    return Response('{"error":"too_many_requests"}', 429, {"Retry-After": "1"}, mimetype="application/json")


def _unavailable(occasion: Occasion) -> Response:
    return Response("Service Unavailable", 503)


def _broken(occasion: Occasion) -> Response:
    return Response('{"error":"server_error"}', 500, mimetype="application/json")


def _html(occasion: Occasion) -> Response:
    return Response("<!doctype html><title>Hello</title><p>This is no JSON.", mimetype="text/html")


def _garbage(occasion: Occasion) -> Response:
    return Response(b'\x00\xff{"keys": [}\xfe', mimetype="application/json")


def _slow(occasion: Occasion) -> Response | None:
    return Response(status=503) if occasion.stopped.wait(occasion.delay) else None


def _drip(occasion: Occasion) -> Response:
    def drops() -> Iterator[bytes]:
        yield b"{"
        while not occasion.stopped.wait(DRIP_INTERVAL):
            yield b" "

    return Response(drops(), mimetype="application/json")


def _huge(occasion: Occasion) -> Response:
    def flood() -> Iterator[bytes]:
        chunk = b" " * 65536
        for _ in range(HUGE_BODY // len(chunk)):
            if occasion.stopped.is_set():
                return
            yield chunk

    return Response(flood(), mimetype="application/json")


def _redirect(occasion: Occasion) -> Response:
    return Response(status=302, headers={"Location": occasion.elsewhere})


def _empty(occasion: Occasion) -> Response:
    body = '{"keys": []}' if occasion.request.path.endswith("/jwks.json") else "{}"
    return Response(body, mimetype="application/json")


def _close(occasion: Occasion) -> Response:
    occasion.request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    return Response()  # which the server finds it can no longer send


#: Kind of trouble → its answer, or None where the good one follows.
BAD_ANSWERS: Mapping[str, Callable[[Occasion], Response | None]] = {
    "429": _throttled,
    "503": _unavailable,
    "500": _broken,
    "html": _html,
    "garbage": _garbage,
    "slow": _slow,
    "drip": _drip,
    "huge": _huge,
    "redirect": _redirect,
    "empty": _empty,
    "close": _close,
}
