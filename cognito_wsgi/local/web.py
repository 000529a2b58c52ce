"""The front door that both hosts of the pool share: who may knock, what is counted, what goes wrong."""

from __future__ import annotations

import uuid
from urllib.parse import urlsplit

from flask import Flask, Response, request
from werkzeug import Response as AnyResponse
from werkzeug.exceptions import Forbidden

from .bad_answers import BAD_ANSWERS, Occasion
from .loopback import is_loopback
from .state import PoolState


def create_app(name: str, state: PoolState, *, elsewhere: str) -> Flask:
    """A Flask application whose endpoints are counted under their names and obey the trouble switches.

    elsewhere: where the trouble "redirect" leads.
    """
    app = Flask(f"{__package__}.{name}")

    @app.before_request
    def refuse_strangers() -> None:
        peer, host = request.remote_addr or "", request.headers.get("Host", "")
        if not (is_loopback(peer) and is_loopback_host(host)):
            raise Forbidden("The local user pool answers to loopback addresses only.")

    @app.before_request
    def count() -> None:
        if request.endpoint is not None:
            state.count(request.endpoint)
        if request.endpoint == "token" and (grant_type := request.form.get("grant_type")):
            state.count(f"token:{grant_type}")

    @app.before_request
    def make_trouble() -> AnyResponse | None:
        kind = state.trouble.kind_for(request.endpoint)
        if kind is None:
            return None
        return BAD_ANSWERS[kind](Occasion(request, state.trouble.delay, elsewhere, state.stopped))

    @app.after_request
    def name_request(response: Response) -> Response:
        response.headers["x-amz-cognito-request-id"] = str(uuid.uuid4())
        return response

    return app


def is_loopback_host(host: str) -> bool:
    """Whether a Host header names this machine, as that of a foreign name that leads here does not."""
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False
