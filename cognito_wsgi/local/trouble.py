"""Trouble on demand: the switches that make the pool behave badly, and the answers they bring."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields

from werkzeug import Request, Response

#: What may be wrong with an endpoint's answer.
KINDS = (
    "429",
    "503",
    "500",
    "html",
    "garbage",
    "slow",
    "drip",
    "huge",
    "redirect",
    "empty",
    "close",
)

#: The endpoints that have a switch of their own.
ENDPOINTS = ("jwks", "token", "revoke")

HUGE_BODY = 64 * 1024 * 1024  # bytes
DRIP_INTERVAL = 0.2  # seconds


@dataclass
class Trouble:
    """The switches. Set one and the pool misbehaves from the next request on.

    jwks, token, revoke: how that endpoint answers, one of ``KINDS``; None for as it should.
        "html" and "garbage" come with status 200; "slow" is a good answer ``delay`` seconds late;
        "drip" sends a byte every 0.2 seconds for ever; "huge" is 64 MiB of text; "redirect"
        leads to another address of the pool; "close" hangs up without a word.
    delay: seconds.
    access_token_lifetime, id_token_lifetime: seconds.
    rotation: every refresh brings a new refresh token and ends the old one.
    rotation_grace: seconds for which the old one still works (0 to 60 in Cognito).
    omit_state_in_errors: error redirects of the authorize endpoint come without ``state``.
    ignore_prompt: as the classic hosted UI does.
    clock_ahead: seconds by which the pool's clock is ahead: tokens and the Date header.
    omit_id_token: the token endpoint sends none. omit_nonce: ID tokens come without.
    authorize_error: every request at the authorize endpoint is sent back with this ``error``.

    Raises AttributeError for a switch that does not exist, ValueError for a value it cannot have.
    """

    jwks: str | None = None
    token: str | None = None
    revoke: str | None = None
    delay: float = 10.0
    access_token_lifetime: int = 3600
    id_token_lifetime: int = 3600
    rotation: bool = False
    rotation_grace: int = 0
    omit_state_in_errors: bool = False
    ignore_prompt: bool = False
    clock_ahead: int = 0
    omit_id_token: bool = False
    omit_nonce: bool = False
    authorize_error: str | None = None

    def __setattr__(self, name: str, value: object) -> None:
        if name not in _DEFAULTS:
            raise AttributeError(f"there is no switch {name!r}; there are {', '.join(_DEFAULTS)}")
        if name in ENDPOINTS and value not in (None, *KINDS):
            raise ValueError(f"{name} cannot be {value!r}; it can be None or {', '.join(KINDS)}")
        if not _is_like(_DEFAULTS[name], value):
            raise ValueError(f"{name} cannot be {value!r}; its default is {_DEFAULTS[name]!r}")
        super().__setattr__(name, value)

    def clear(self) -> None:
        """Everything as it should be again."""
        for name, default in _DEFAULTS.items():
            setattr(self, name, default)

    def as_dict(self) -> dict[str, object]:
        return asdict(self)

    def kind_for(self, endpoint: str | None) -> str | None:
        """What is wrong with an endpoint just now."""
        return getattr(self, endpoint) if endpoint in ENDPOINTS else None


_DEFAULTS: dict[str, object] = {switch.name: switch.default for switch in fields(Trouble)}


def _is_like(default: object, value: object) -> bool:
    if default is None:
        return value is None or isinstance(value, str)
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    return isinstance(value, int if isinstance(default, int) else int | float)


def troubled_response(
    kind: str, request: Request, *, delay: float, elsewhere: str, stopped: threading.Event
) -> Response | None:
    """The bad answer of one of ``KINDS``; None where the good one may follow.

    delay: seconds that "slow" takes.
    elsewhere: the address that "redirect" names.
    stopped: set when the pool ends, and with it every wait here.
    """
    if kind == "slow":
        return Response(status=503) if stopped.wait(delay) else None
    if kind == "close":
        return _hang_up(request)
    if kind == "drip":
        return Response(_drops(stopped), mimetype="application/json")
    if kind == "huge":
        return Response(_flood(stopped), mimetype="application/json")
    return _PLAIN_ANSWERS[kind](request, elsewhere)


def _hang_up(request: Request) -> Response:
    request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    return Response()  # which the server finds it can no longer send


def _drops(stopped: threading.Event) -> Iterator[bytes]:
    yield b"{"
    while not stopped.wait(DRIP_INTERVAL):
        yield b" "


def _flood(stopped: threading.Event) -> Iterator[bytes]:
    chunk = b" " * 65536
    for _ in range(HUGE_BODY // len(chunk)):
        if stopped.is_set():
            return
        yield chunk


def _throttled(request: Request, elsewhere: str) -> Response:
    return Response('{"error":"too_many_requests"}', 429, {"Retry-After": "1"}, mimetype="application/json")


def _unavailable(request: Request, elsewhere: str) -> Response:
    return Response("Service Unavailable", 503)


def _broken(request: Request, elsewhere: str) -> Response:
    return Response('{"error":"server_error"}', 500, mimetype="application/json")


def _html(request: Request, elsewhere: str) -> Response:
    return Response("<!doctype html><title>Hello</title><p>This is no JSON.", mimetype="text/html")


def _garbage(request: Request, elsewhere: str) -> Response:
    return Response(b'\x00\xff{"keys": [}\xfe', mimetype="application/json")


def _redirect(request: Request, elsewhere: str) -> Response:
    return Response(status=302, headers={"Location": elsewhere})


def _empty(request: Request, elsewhere: str) -> Response:
    body = '{"keys": []}' if request.path.endswith("/jwks.json") else "{}"
    return Response(body, mimetype="application/json")


_PLAIN_ANSWERS = {
    "429": _throttled,
    "503": _unavailable,
    "500": _broken,
    "html": _html,
    "garbage": _garbage,
    "redirect": _redirect,
    "empty": _empty,
}
