"""The driver that stands in for a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import requests
from flask import Flask, redirect

from cognito_wsgi.local import SignInRefused, submit_sign_in
from cognito_wsgi.local.server import LoopbackServer

from .visitor import CALLBACK, Visitor, answer


@pytest.fixture
def application(visitor: Visitor) -> Iterator[str]:
    """An application that sends people to the pool by way of its own ``/login``, or round in circles."""
    app = Flask(__name__)
    app.add_url_rule("/", "home", lambda: redirect("/login"))
    authorize = f"{visitor.pool.domain}{visitor.login_path('/oauth2/authorize')}"
    app.add_url_rule("/login", "login", lambda: redirect(authorize))
    app.add_url_rule("/round", "round", lambda: redirect("/round"))
    server = LoopbackServer("127.0.0.1", 0)
    server.start(app, clock=lambda: 0)
    yield server.origin
    server.stop()


@pytest.mark.parametrize(
    "begin",
    [
        pytest.param(
            lambda v, app: v.http.get(f"{app}/", allow_redirects=False, timeout=10), id="application"
        ),
        pytest.param(lambda v, app: v.authorize(), id="authorize endpoint"),
        pytest.param(lambda v, app: v.get(v.login_path()), id="sign-in page"),
    ],
)
@pytest.mark.parametrize("has_session", [False, True])
def test_signs_in_from_wherever_it_stands(
    visitor: Visitor, application: str, begin: Callable[[Visitor, str], requests.Response], has_session: bool
) -> None:
    if has_session:
        visitor.sign_in()
    response = submit_sign_in(visitor.http, begin(visitor, application), "alice", "alice-password")
    assert response.headers["Location"].startswith(CALLBACK)
    assert "code" in answer(response)


def test_a_live_session_skips_the_form(visitor: Visitor) -> None:
    visitor.sign_in()
    response = submit_sign_in(visitor.http, visitor.authorize(), "alice", "wrong")
    assert "code" in answer(response)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param(
            {"redirect_uri": "http://localhost:1/"},
            "An error was encountered with the requested page. redirect_mismatch",
            id="error page",
        ),
        pytest.param({}, "Incorrect username or password.", id="wrong password"),
    ],
)
def test_a_page_instead_of_a_redirect_is_an_error_with_its_alert(
    visitor: Visitor, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(SignInRefused) as caught:
        submit_sign_in(visitor.http, visitor.authorize(**changes), "alice", "wrong")
    assert caught.value.message == message


def test_an_error_sent_back_is_returned(visitor: Visitor) -> None:
    assert answer(visitor.sign_in(scope="nothing"))["error"] == "invalid_scope"


def test_a_page_that_is_no_sign_in_page_is_refused(visitor: Visitor) -> None:
    response = requests.get(visitor.pool.jwks_url, timeout=10)
    with pytest.raises(SignInRefused, match=r"^neither a redirect nor a sign-in page: 200 http://"):
        submit_sign_in(visitor.http, response, "alice", "alice-password")


def test_redirects_in_a_circle_come_to_an_end(visitor: Visitor, application: str) -> None:
    response = visitor.http.get(f"{application}/round", allow_redirects=False, timeout=10)
    with pytest.raises(SignInRefused, match="no redirect led to an authorize endpoint"):
        submit_sign_in(visitor.http, response, "alice", "alice-password")
