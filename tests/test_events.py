"""Events: one record for each thing that happens, in the log and at ``on_event``, and never in the way."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest
import requests
from flask import Flask
from prometheus_client import CollectorRegistry, generate_latest
from werkzeug.test import Client

from cognito_wsgi import CognitoGateway
from cognito_wsgi.events import (
    MAX_WAITING,
    Denied,
    Event,
    Events,
    KeysFetched,
    Outage,
    RefreshFailed,
    SessionRefreshed,
    SignedIn,
    SignedOut,
    SignInFailed,
)
from cognito_wsgi.local import LocalUserPool, submit_sign_in
from cognito_wsgi.metrics import Metrics, metrics_app
from cognito_wsgi.testing import TestPool, subject_of

from .serving import ROOT, served

NAVIGATION = {"Accept": "text/html"}
DENIED = Denied(status=403, method="GET", path="/a", rule="/a", reason="no", reference="12ab34cd")


def make_app() -> Flask:
    app = Flask(__name__)
    app.add_url_rule("/", "front", lambda: "front")
    app.add_url_rule("/secret", "secret", lambda: "secret")
    return app


def test_a_session_s_whole_life_is_reported_once_each(caplog):
    caplog.set_level(logging.INFO, "cognito_wsgi")
    seen: list[Event] = []
    with LocalUserPool() as pool:

        def protect(origin: str):
            settings = pool.settings("web", redirect_url=f"{origin}/callback", logout_url=f"{origin}/")
            settings |= {"SECRET_KEY": "s" * 32, "AWS_COGNITO_REFRESH_FLOW_ENABLED": True}
            return CognitoGateway(
                make_app().wsgi_app,
                settings,
                rules={"/": "public", "/secret": ["admin"]},
                on_event=seen.append,
            )

        holder: list[CognitoGateway] = []
        with served(lambda origin: holder.append(protect(origin)) or holder[0]) as origin:
            (gateway,) = holder
            http = requests.Session()
            start = http.get(f"{origin}/secret", headers=NAVIGATION, allow_redirects=False)
            back = submit_sign_in(http, start, "alice", pool.users["alice"].password)
            http.get(back.headers["Location"])
            assert http.get(f"{origin}/secret").text == "secret"
            http.post(f"{origin}/refresh").raise_for_status()
            pool.revoke_all("alice")
            http.cookies.clear(domain="127.0.0.1", path="/", name="cognito_access_token")
            assert http.post(f"{origin}/refresh").status_code == 200  # the result is shared for a minute
            pool.trouble.revoke = "503"
            http.get(f"{origin}/logout", allow_redirects=False)
            http.get(f"{origin}/callback?error=access_denied", headers=NAVIGATION)
            gateway.events.flush()
    kinds = [type(event) for event in seen]
    assert kinds == [Denied, KeysFetched, SignedIn, SessionRefreshed, Outage, SignedOut, SignInFailed]
    denied, _, signed_in, refreshed, outage, signed_out, failed = seen
    assert (denied.status, denied.rule, denied.path, denied.sub) == (401, "/secret", "/secret", None)
    assert signed_in.sub == refreshed.sub == pool.users["alice"].sub
    assert outage.endpoint == "revoke"
    assert signed_out.is_revoked is False
    assert failed.status == 400
    logged = [record for record in caplog.records if hasattr(record, "cognito_event")]
    assert [record.cognito_event for record in logged] == [event.name for event in seen]
    assert logged[0].cognito_reference == denied.reference


def test_a_denial_bears_the_reference_of_the_page_and_the_user_s_sub():
    pool, seen = TestPool(), []
    app = make_app()
    app.wsgi_app = gateway = CognitoGateway(
        app.wsgi_app, pool.config(), rules={"/secret": ["admin"]}, on_event=seen.append
    )
    client = app.test_client()
    pool.sign_in(client, "bob")
    page = client.get("/secret", headers=NAVIGATION)
    gateway.events.flush()
    assert seen[0].reference in page.text
    assert seen[0].sub == subject_of("bob")


def test_a_failed_refresh_says_whether_the_session_is_over():
    pool_events: list[Event] = []
    with LocalUserPool() as pool:
        settings = pool.settings(
            "web", redirect_url="http://localhost/callback", logout_url="http://localhost/"
        )
        settings |= {"SECRET_KEY": "s" * 32, "AWS_COGNITO_REFRESH_FLOW_ENABLED": True}
        settings |= {"AWS_COGNITO_REFRESH_COOKIE_ENCRYPTED": False}
        app = make_app()
        app.wsgi_app = gateway = CognitoGateway(app.wsgi_app, settings, on_event=pool_events.append)
        client = app.test_client()
        client.set_cookie("cognito_refresh_token", pool.issue_tokens("alice", client="web")["refresh_token"])
        pool.trouble.token = "503"
        assert client.get("/secret").status_code == 503
        pool.trouble.clear()
        pool.revoke_all("alice")
        assert client.get("/secret").status_code == 401
        gateway.events.flush()
    failures = [event for event in pool_events if isinstance(event, RefreshFailed)]
    assert [failure.is_final for failure in failures] == [False, True]


def test_a_slow_on_event_delays_no_request_and_a_full_queue_drops_the_newest():
    release, taken = threading.Event(), []

    def slow(event: Event) -> None:
        release.wait(6)
        taken.append(event)

    events = Events(slow)
    began = time.monotonic()
    for _ in range(MAX_WAITING + 50):
        events.emit(DENIED)
        assert time.monotonic() - began < 5
    release.set()
    events.flush()
    assert MAX_WAITING <= len(taken) <= MAX_WAITING + 1


def test_an_on_event_that_raises_is_logged_and_called_again(caplog):
    calls = []

    def broken(event: Event) -> None:
        calls.append(event)
        raise RuntimeError("broken on purpose")

    events = Events(broken)
    events.emit(DENIED)
    events.emit(DENIED)
    events.flush()
    assert len(calls) == 2
    assert "on_event raised" in caplog.text


FORKING = """
import os, signal, threading, time
from cognito_wsgi.events import Events, KeysFetched

seen, go_on = [], threading.Event()

def take(event):
    seen.append(event.keys)
    go_on.wait(10)

events = Events(take)
for number in (1, 2):
    events.emit(KeysFetched(keys=number, seconds=0.1))
while not seen:
    time.sleep(0.01)
child = os.fork()  # while the first is being taken, and the second waits
if child == 0:
    signal.alarm(20)  # a child that is stuck dies of it
    seen, go_on = [], threading.Event()
    go_on.set()
    events.emit(KeysFetched(keys=3, seconds=0.1))
    events.flush()
    os._exit(0 if seen == [3] else 1)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
go_on.set()
events.flush()
print(status, seen)
"""


def test_a_forked_child_delivers_its_own_events_alone():
    assert run(FORKING) == "0 [1, 2]\n"


def run(code: str, **env: str) -> str:
    """What a Python of its own prints."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **env}, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def test_what_came_from_outside_stays_on_one_line_of_the_log():
    hostile = Denied(
        status=403, method="G\nET", path="/a\r\nERROR forged", rule="/ä", reason="x\ny", reference="12ab34cd"
    )
    assert str(hostile).isascii()
    assert str(hostile).isprintable()


EVENTS = [
    pytest.param(SignedIn(sub="s", seconds=0.1), 'cognito_sign_ins_total{outcome="ok"} 1.0', id="signed in"),
    pytest.param(
        SignInFailed(status=400, reason="r", reference="f"),
        'cognito_sign_ins_total{outcome="failed"} 1.0',
        id="sign-in failed",
    ),
    pytest.param(
        SessionRefreshed(sub="s", seconds=0.1), 'cognito_refreshes_total{outcome="ok"} 1.0', id="refreshed"
    ),
    pytest.param(
        RefreshFailed(is_final=True, reason="r"),
        'cognito_refreshes_total{outcome="ended"} 1.0',
        id="session ended",
    ),
    pytest.param(
        RefreshFailed(is_final=False, reason="r"),
        'cognito_refreshes_total{outcome="failed"} 1.0',
        id="refresh failed",
    ),
    pytest.param(SignedOut(is_revoked=True), 'cognito_sign_outs_total{revoked="yes"} 1.0', id="signed out"),
    pytest.param(
        SignedOut(is_revoked=False), 'cognito_sign_outs_total{revoked="no"} 1.0', id="signed out, not revoked"
    ),
    pytest.param(
        SignedOut(is_revoked=None), 'cognito_sign_outs_total{revoked="none"} 1.0', id="nothing to revoke"
    ),
    pytest.param(DENIED, 'cognito_denials_total{mode="enforced",status="403"} 1.0', id="denied"),
    pytest.param(
        replace(DENIED, is_report_only=True),
        'cognito_denials_total{mode="report_only",status="403"} 1.0',
        id="reported alone",
    ),
    pytest.param(KeysFetched(keys=2, seconds=0.1), "cognito_key_fetch_seconds_count 1.0", id="keys"),
    pytest.param(
        Outage(endpoint="token", reason="r", seconds=5),
        'cognito_outages_total{endpoint="token"} 1.0',
        id="outage",
    ),
]


@pytest.mark.parametrize(("event", "line"), EVENTS)
def test_metrics_count_each_event(event, line):
    registry = CollectorRegistry()
    Metrics(registry)(event)
    assert line in generate_latest(registry).decode()


def test_metrics_are_shown_over_wsgi():
    registry = CollectorRegistry()
    Metrics(registry)(DENIED)
    assert (
        'cognito_denials_total{mode="enforced",status="403"} 1.0'
        in Client(metrics_app(registry)).get("/").text
    )


WORKER = """
from cognito_wsgi.events import KeysFetched
from cognito_wsgi.metrics import Metrics
Metrics()(KeysFetched(keys=2, seconds=0.1))
"""


def test_metrics_of_several_processes_are_shown_together(tmp_path, monkeypatch):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    for _ in range(2):
        run(WORKER)
    assert "cognito_key_fetches_total 2.0" in Client(metrics_app(CollectorRegistry())).get("/").text
