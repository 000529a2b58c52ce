"""Counters and histograms for Prometheus, out of the gateway's events. Needs the extra ``metrics``.

    app.wsgi_app = CognitoGateway(app.wsgi_app, app.config, rules=…, on_event=Metrics())

``metrics_app()`` is a WSGI application that shows them. With several worker processes set
``PROMETHEUS_MULTIPROC_DIR`` to an empty folder, as prometheus-client asks; both ends then work across them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, make_wsgi_app
from prometheus_client.multiprocess import MultiProcessCollector

from .events import (
    Denied,
    Event,
    KeysFetched,
    Outage,
    RefreshFailed,
    SessionRefreshed,
    SignedIn,
    SignedOut,
    SignInFailed,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """An ``on_event`` that counts. Labels take few values, none of them from a request.

    registry: where the metrics live; one ``Metrics`` for each.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"cognito_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str) -> Histogram:
            return Histogram(f"cognito_{name}_seconds", text, buckets=_SECONDS, registry=registry)

        self._sign_ins = counter("sign_ins", "Sign-ins that came back from Cognito", "outcome")
        self._sign_in_seconds = histogram("sign_in", "Exchange of a code for verified tokens")
        self._refreshes = counter("refreshes", "Sessions that needed new tokens", "outcome")
        self._refresh_seconds = histogram("refresh", "Refresh of a session")
        self._sign_outs = counter(
            "sign_outs", "Sign-outs, by whether the refresh token was revoked", "revoked"
        )
        self._denials = counter("denials", "Requests not let through, or only reported", "status", "mode")
        self._key_fetches = counter("key_fetches", "Fetches of the user pool's keys")
        self._key_fetch_seconds = histogram("key_fetch", "Fetch of the user pool's keys")
        self._outages = counter("outages", "Calls to Cognito that failed", "endpoint")

    def __call__(self, event: Event) -> None:
        match event:
            case SignedIn(seconds=seconds):
                self._sign_ins.labels("ok").inc()
                self._sign_in_seconds.observe(seconds)
            case SignInFailed():
                self._sign_ins.labels("failed").inc()
            case SessionRefreshed(seconds=seconds):
                self._refreshes.labels("ok").inc()
                self._refresh_seconds.observe(seconds)
            case RefreshFailed(is_final=is_final):
                self._refreshes.labels("ended" if is_final else "failed").inc()
            case SignedOut(is_revoked=is_revoked):
                self._sign_outs.labels({None: "none", True: "yes", False: "no"}[is_revoked]).inc()
            case Denied(status=status, is_report_only=is_report_only):
                self._denials.labels(str(status), "report_only" if is_report_only else "enforced").inc()
            case KeysFetched(seconds=seconds):
                self._key_fetches.inc()
                self._key_fetch_seconds.observe(seconds)
            case Outage(endpoint=endpoint):
                self._outages.labels(endpoint).inc()


def metrics_app(registry: CollectorRegistry = REGISTRY) -> WSGIApplication:
    """A WSGI application that shows the metrics of this process, or of all that share PROMETHEUS_MULTIPROC_DIR."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    app: Any = make_wsgi_app(registry)
    return app  # type: ignore[no-any-return]
