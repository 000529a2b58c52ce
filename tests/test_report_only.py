"""report_only: decides and reports, and lets through; never for our own endpoints or a malformed path."""

from __future__ import annotations

import logging

import pytest
from flask import Flask, request

from cognito_wsgi import CognitoGateway, ConfigurationError, RouteRules
from cognito_wsgi.events import Denied
from cognito_wsgi.testing import TestPool

NAVIGATION = {"Accept": "text/html"}


@pytest.fixture
def protect(pool: TestPool):
    def make(rules, **options):
        app = Flask(__name__)

        @app.route("/<path:anything>", methods=["GET", "POST"])
        def view(anything: str):
            return {"user": request.environ.get("REMOTE_USER"), "claims": request.environ["cognito.claims"]}

        seen: list[Denied] = []
        gateway = CognitoGateway(app.wsgi_app, pool.config(), rules=rules, on_event=seen.append, **options)
        app.wsgi_app = gateway
        return app.test_client(), gateway, seen

    return make


@pytest.mark.parametrize(
    ("rules", "options"),
    [
        pytest.param({"/admin": ["admin"]}, {"report_only": True}, id="gateway-wide"),
        pytest.param({"/admin": {"groups": ["admin"], "report_only": True}}, {}, id="one rule"),
    ],
)
@pytest.mark.parametrize("username", [None, "bob"])
def test_what_would_be_refused_is_let_through_and_reported(protect, pool, caplog, rules, options, username):
    caplog.set_level(logging.INFO, "cognito_wsgi")
    client, gateway, seen = protect(rules, **options)
    if username:
        pool.sign_in(client, username)
    answer = client.get("/admin/x", headers=NAVIGATION)
    assert answer.status_code == 200
    assert answer.json["user"] == username
    gateway.events.flush()
    (denied,) = seen
    assert denied.is_report_only
    assert denied.status == (403 if username else 401)
    assert "REPORT ONLY, let through" in caplog.text
    assert caplog.records[-1].levelno == logging.WARNING


def test_a_path_with_many_spellings_is_reported_once(protect):
    client, gateway, seen = protect({"/admin": ["admin"]}, report_only=True)
    assert client.get("/admin/x//a//b//c//d").status_code == 200
    gateway.events.flush()
    assert len(seen) == 1


def test_other_rules_are_enforced_beside_one_that_only_reports(protect):
    client, _, _ = protect({"/admin": {"groups": ["admin"], "report_only": True}})
    assert client.get("/other").status_code == 401


def test_a_request_of_another_origin_is_let_through_without_the_user(protect, pool):
    client, _, _ = protect({}, report_only=True)
    pool.sign_in(client, "bob")
    answer = client.post("/form", headers={"Origin": "https://elsewhere.example"})
    assert answer.status_code == 200
    assert answer.json == {"user": None, "claims": None}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param("/admin/../x", 400, id="malformed path"),
        pytest.param("/callback?code=x&state=y", 400, id="callback that does not fit"),
        pytest.param("/login", 302, id="sign-in"),
        pytest.param("/logout", 302, id="sign-out"),
    ],
)
def test_a_malformed_path_and_our_own_endpoints_are_never_let_through(protect, path, status):
    client, _, _ = protect({}, report_only=True)
    assert client.get(path).status_code == status


def test_the_gateway_says_loudly_that_it_only_reports(protect, caplog):
    protect({}, report_only=True)
    assert "report_only is set" in caplog.text


def test_report_only_is_true_or_false():
    with pytest.raises(ConfigurationError, match="report_only"):
        RouteRules({"/a": {"report_only": "yes"}})
