"""The application, and the gateway in front of it. No other file of the demo's site knows the gateway."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from flask import Flask, Response, render_template, request
from prometheus_client import CollectorRegistry
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from cognito_wsgi import CognitoConfig, CognitoGateway
from cognito_wsgi.metrics import Metrics, metrics_app

from .newsroom import Newsroom
from .rules import RULES, in_words
from .views import api, pages

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue


def create_app(config: CognitoConfig) -> Flask:
    app = Flask(__name__)
    app.config.update(
        MAX_CONTENT_LENGTH=64 * 1024,  # bytes of a request's body
        LIVE_SECONDS=30,  # how long the live page goes on
        QUIET_SECONDS=3,  # and how soon the agency fills a silence
    )
    app.extensions["newsroom"] = Newsroom()
    app.register_blueprint(pages)
    app.register_blueprint(api)
    app.register_error_handler(HTTPException, error_page)
    app.after_request(harden(config.domain))
    app.add_template_filter(in_words)
    app.add_template_filter(lambda access: repr(access).replace("'", '"'), "as_written")
    app.add_template_filter(moment)
    app.add_template_global(RULES, "route_map")
    app.add_template_global(lambda: datetime.now().astimezone(), "now")

    registry = CollectorRegistry()
    site = DispatcherMiddleware(app.wsgi_app, {"/metrics": metrics_app(registry)})
    app.wsgi_app = CognitoGateway(  # type: ignore[method-assign]
        site, config, rules=RULES, on_event=Metrics(registry)
    )
    return app


def harden(cognito_domain: str):
    """Headers of every answer of the application's own."""
    policy = "; ".join(
        (
            "default-src 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            # A browser holds a form's redirects to this as well, and signing out leads to Cognito.
            f"form-action 'self' {cognito_domain}",
        )
    )

    def add_headers(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = policy
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"
        if request.endpoint != "static":
            # The header differs from visitor to visitor, and the back button should not show it
            # after signing out.
            response.headers["Cache-Control"] = "no-store"
        return response

    return add_headers


def error_page(error: HTTPException) -> ResponseReturnValue:
    if request.path.startswith("/api/"):
        return {"title": error.name, "detail": error.description}, error.code or 500
    return render_template("error.html", error=error), error.code or 500


def moment(value: object) -> str:
    """A claim's Unix time, or a datetime, in words and local time."""
    if isinstance(value, int | float) and 0 <= value < 2**40:
        value = datetime.fromtimestamp(value, UTC)
    if not isinstance(value, datetime):
        return str(value)
    local = value.astimezone()
    return f"{local.day} {local:%B %Y, %H:%M}"
