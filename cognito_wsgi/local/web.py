"""The front door that both hosts of the pool share: who may knock, what is counted, what goes wrong."""

from __future__ import annotations

import uuid
from urllib.parse import urlsplit

from flask import Flask, Response, request
from werkzeug import Response as AnyResponse
from werkzeug.exceptions import Forbidden

from .loopback import is_loopback
from .state import PoolState
from .trouble import troubled_response


def create_app(name: str, state: PoolState, *, elsewhere: str) -> Flask:
    """A Flask application whose endpoints are counted under their names and obey the trouble switches.

    elsewhere: where the trouble "redirect" leads.
    """
    app = Flask(f"{__package__}.{name}")

    @app.before_request
    def refuse_strangers() -> None:
        if not is_loopback_host(request.headers.get("Host", "")) or not is_loopback(
            request.remote_addr or ""
        ):
            raise Forbidden("The local user pool answers to loopback addresses only.")

    @app.before_request
    def count() -> None:
        if request.endpoint is None:
            return
        state.count(request.endpoint)
        if request.endpoint == "token":
            state.count(f"token:{request.form.get('grant_type', '')}")

    @app.before_request
    def make_trouble() -> AnyResponse | None:
        kind = state.trouble.kind_for(request.endpoint)
        if kind is None:
            return None
        return troubled_response(
            kind, request, delay=state.trouble.delay, elsewhere=elsewhere, stopped=state.stopped
        )

    @app.after_request
    def name_request(response: Response) -> Response:
        response.headers["x-amz-cognito-request-id"] = str(uuid.uuid4())
        return response

    return app


def is_loopback_host(host: str) -> bool:
    """Whether a Host header names this machine: a page elsewhere cannot, even with a name of its own that leads here."""
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False
