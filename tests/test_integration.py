"""The whole house: a Flask application behind the gateway, in two gunicorn workers, before a real user pool."""

from __future__ import annotations

import html
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import pytest
import requests
from flask import Flask, request

from cognito_wsgi import CognitoConfig, CognitoGateway
from cognito_wsgi.local import LocalUserPool, submit_sign_in

from .serving import free_port, gunicorn, process, wait_for
from .visiting import FETCH, NAVIGATION, query_of

pytestmark = pytest.mark.server

WORKERS = 2

RULES: dict[str, Any] = {
    "/": "public",
    "/admin": ["admin"],
    "/press": {"groups": ["admin", "editor"], "any_group": True},
    "/both": ["admin", "editor"],
    "POST /articles": ["editor"],
    "/closed": "deny",
}


def create_app() -> Flask:
    """What gunicorn serves: every path answers with what the application was given. Settings from the environment."""
    app = Flask(__name__)

    @app.route("/", defaults={"path": ""}, methods=["GET", "POST"])
    @app.route("/<path:path>", methods=["GET", "POST"])
    def show(path: str) -> dict[str, Any]:
        environ = request.environ
        return {
            "path": path,
            "user": request.remote_user,
            "claims": environ["cognito.claims"],
            "user_info": environ["cognito.user_info"],
            "groups": environ["cognito.groups"],
            "cookies": dict(request.cookies),
            "form": dict(request.form),
        }

    app.wsgi_app = naming_the_worker(CognitoGateway(app.wsgi_app, CognitoConfig.from_env(), RULES))  # type: ignore[method-assign]
    return app


def naming_the_worker(app: Any) -> Any:
    """``app``, every answer naming the process that gave it."""

    def named(environ: Any, start_response: Any) -> Any:
        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            return start_response(status, [*headers, ("X-Worker", str(os.getpid()))], *rest)

        return app(environ, start)

    return named


class Visitor:
    """A browser as far as HTTP goes: it keeps cookies, and follows a redirect only when told to."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.http = requests.Session()
        self.http.headers["Connection"] = "close"  # each request to whichever worker takes it

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.http.close()

    def visit(self, path: str) -> requests.Response:
        return self._ask("GET", path, NAVIGATION)

    def fetch(self, path: str, method: str = "GET", **options: Any) -> requests.Response:
        return self._ask(method, path, FETCH, **options)

    def fetch_from_every_worker(self, path: str) -> list[dict[str, Any]]:
        """The same request until each worker has answered it."""
        answers: list[requests.Response] = []

        def ask() -> bool:
            answers.append(self.fetch(path))
            return len({answer.headers["X-Worker"] for answer in answers}) == WORKERS

        wait_for(ask, 30)
        return [answer.json() for answer in answers]

    def post(self, path: str, **options: Any) -> requests.Response:
        return self._ask("POST", path, {**NAVIGATION, "Origin": self.origin}, **options)

    def _ask(self, method: str, path: str, headers: dict[str, str], **options: Any) -> requests.Response:
        return self.http.request(
            method, self.origin + path, headers=headers, allow_redirects=False, timeout=10, **options
        )

    def callback(self, path: str, username: str = "alice") -> str:
        """The callback's address after a sign-in at the pool that a page has asked for."""
        answer = submit_sign_in(self.http, self.visit(path), username, f"{username}-password")
        return answer.headers["Location"].removeprefix(self.origin)

    def sign_in(self, path: str = "/start", username: str = "alice") -> None:
        answer = self.visit(self.callback(path, username))
        assert (answer.status_code, answer.headers["Location"]) == (303, path)

    @property
    def cookies(self) -> list[str]:
        """Names of the cookies that the site has set."""
        return [cookie.name for cookie in self.http.cookies if cookie.domain == "localhost.local"]

    def lose(self, *names: str) -> None:
        for name in names:
            del self.http.cookies[name]


@contextmanager
def serving(pool: LocalUserPool, **settings: str) -> Iterator[str]:
    """The origin of the application in two workers; ``settings`` by key."""
    port = free_port()
    origin = f"http://localhost:{port}"  # another host than the pool's: cookies do not mind ports
    env = {
        **pool.settings("web", redirect_url=f"{origin}/callback", logout_url=f"{origin}/"),
        "SECRET_KEY": "a secret key for two workers",
        "AWS_COGNITO_REFRESH_FLOW_ENABLED": "yes",
        **settings,
    }
    command = gunicorn("tests.test_integration:create_app()", port, "--threads", "4")
    with process(command, port=port, env={key: str(value) for key, value in env.items()}):
        yield origin


@pytest.fixture(scope="module")
def pool() -> Iterator[LocalUserPool]:
    with LocalUserPool() as pool:
        yield pool


@pytest.fixture(scope="module")
def origin(pool: LocalUserPool) -> Iterator[str]:
    with serving(pool) as origin:
        yield origin


@pytest.fixture
def visitor(pool: LocalUserPool, origin: str) -> Iterator[Visitor]:
    with Visitor(origin) as visitor:
        yield visitor
    pool.trouble.clear()


def test_a_deep_link_leads_to_the_pool_and_back_with_its_query(visitor, pool):
    answer = visitor.visit("/deep/link?a=1&b=%C3%A4&c=%2F")
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith(f"{pool.domain}/oauth2/authorize?")
    callback = visitor.callback("/deep/link?a=1&b=%C3%A4&c=%2F")
    answer = visitor.visit(callback)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/deep/link?a=1&b=%C3%A4&c=%2F")
    shown = visitor.visit("/deep/link?a=1&b=%C3%A4&c=%2F").json()
    assert shown["path"] == "deep/link"
    assert shown["user"] == shown["claims"]["username"] == "alice"
    assert shown["user_info"]["email"] == "alice@example.test"
    assert sorted(shown["groups"]) == ["admin", "editor"]
    assert shown["cookies"] == {}


def test_a_public_page_shows_who_is_there(visitor):
    assert visitor.visit("/").json()["claims"] is None
    visitor.sign_in(username="bob")
    # A worker that has no keys yet fetches them aside, and does not let a public page wait for it.
    wait_for(lambda: visitor.visit("/").json()["user"] == "bob")


def test_a_program_gets_401_with_a_way_to_sign_in(visitor):
    answer = visitor.fetch("/api/data")
    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    answer = visitor.visit(answer.json()["login_url"])
    assert answer.status_code == 302


PEOPLE = {
    "alice": {"/admin": 200, "/admin/users/7": 200, "/press": 200, "/both": 200, "/administrator": 200},
    "bob": {"/admin": 403, "/admin/users/7": 403, "/press": 200, "/both": 403, "/administrator": 200},
    "carol": {"/admin": 403, "/admin/": 403, "/press/x": 403, "/both": 403, "/anything": 200, "/closed": 403},
}


@pytest.mark.parametrize(("username", "statuses"), PEOPLE.items())
def test_who_gets_in_where(visitor, username, statuses):
    visitor.sign_in(username=username)
    assert {path: visitor.visit(path).status_code for path in statuses} == statuses


@pytest.mark.parametrize("path", ["//admin", "/%61dmin", "/admin%2Fusers", "///admin//x", "/admin/x%3Fy"])
def test_no_spelling_gets_past_a_rule(visitor, path):
    visitor.sign_in(username="bob")
    with visitor.http.get(
        visitor.origin + path, headers=NAVIGATION, allow_redirects=False, timeout=10
    ) as answer:
        assert answer.status_code == 403


@pytest.mark.parametrize(("username", "status"), [("alice", 200), ("carol", 403)])
def test_a_rule_for_a_method_is_for_that_method_alone(visitor, username, status):
    visitor.sign_in(username=username)
    assert visitor.visit("/articles").status_code == 200
    answer = visitor.post("/articles", data={"text": "a text"})
    assert answer.status_code == status
    if status == 200:
        assert answer.json()["form"] == {"text": "a text"}


def test_a_form_of_another_origin_changes_nothing(visitor):
    visitor.sign_in()
    answer = visitor.http.post(
        f"{visitor.origin}/articles", headers={**NAVIGATION, "Origin": "https://evil.test"}, timeout=10
    )
    assert answer.status_code == 403


def test_who_signs_out_is_out_here_and_at_the_pool(visitor, pool):
    visitor.sign_in()
    revoked = pool.calls["revoke"]
    answer = visitor.visit("/logout")
    assert answer.status_code == 302
    assert query_of(answer.headers["Location"])["logout_uri"] == f"{visitor.origin}/"
    assert pool.calls["revoke"] == revoked + 1
    assert visitor.cookies == []
    after = visitor.http.get(answer.headers["Location"], allow_redirects=False, timeout=10)
    assert after.headers["Location"] == f"{visitor.origin}/"
    begun = visitor.visit("/start")
    assert begun.status_code == 302
    assert "Password" in visitor.http.get(begun.headers["Location"], timeout=10).text


def test_the_callback_may_be_reloaded(visitor):
    callback = visitor.callback("/start")
    for _ in range(4):  # by whichever worker
        answer = visitor.visit(callback)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/start")


def test_what_one_worker_has_begun_another_finishes(visitor):
    def is_finished_by_another() -> bool:
        begun = visitor.visit("/start")
        callback = submit_sign_in(visitor.http, begun, "alice", "alice-password").headers["Location"]
        finished = visitor.visit(callback.removeprefix(visitor.origin))
        assert finished.status_code == 303
        visitor.visit("/logout")
        return begun.headers["X-Worker"] != finished.headers["X-Worker"]

    wait_for(is_finished_by_another, 30)


def test_a_callback_in_another_browser_is_refused(visitor, origin):
    callback = visitor.callback("/start")
    with Visitor(origin) as other:
        answer = other.visit(callback)
        assert answer.status_code == 400
        assert "Try again" in answer.text
        assert not other.http.cookies


def test_every_worker_knows_a_user_whom_another_has_signed_in(visitor, pool):
    visitor.sign_in()
    assert {shown["user"] for shown in visitor.fetch_from_every_worker("/x")} == {"alice"}


def test_an_expired_session_goes_on_by_its_refresh_token(visitor, pool):
    visitor.sign_in()
    visitor.lose("cognito_access_token")
    answer = visitor.post("/articles", data={"text": "kept"})
    assert answer.status_code == 200
    assert answer.json()["form"] == {"text": "kept"}
    assert answer.headers["Cache-Control"] == "private"
    assert visitor.http.cookies["cognito_access_token"]


def test_a_short_outage_signs_nobody_out(visitor, pool):
    visitor.sign_in()
    visitor.lose("cognito_access_token")
    pool.trouble.token = "503"
    for answer in (visitor.visit("/x"), visitor.fetch("/x")):
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
    pool.trouble.token = None

    def is_back() -> bool:
        return visitor.fetch("/x").status_code == 200

    wait_for(is_back, 20)
    assert visitor.fetch("/x").json()["user"] == "alice"


def test_new_keys_of_the_pool_are_found_and_old_tokens_stay_good(pool):
    with serving(pool) as origin, Visitor(origin) as old, Visitor(origin) as new:
        old.sign_in(username="alice")
        pool.rotate_keys()
        new.sign_in(username="bob")
        assert {shown["user"] for shown in new.fetch_from_every_worker("/x")} == {"bob"}
        assert {shown["user"] for shown in old.fetch_from_every_worker("/x")} == {"alice"}


def test_a_pool_that_is_gone_and_comes_back():
    ports = {"port": free_port(), "issuer_port": free_port()}
    with (
        LocalUserPool(**ports) as pool,
        serving(pool) as origin,
        Visitor(origin) as visitor,
        Visitor(origin) as other,
    ):
        visitor.sign_in()
        visitor.fetch_from_every_worker("/x")
        callback = other.callback("/start", "bob")
        pool.stop()
        assert {shown["user"] for shown in visitor.fetch_from_every_worker("/x")} == {"alice"}
        assert other.visit("/x").status_code == 302  # nothing of Cognito is needed to be sent there
        refused = other.visit(callback)
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) > 0
        assert visitor.visit("/logout").status_code == 302  # signing out works all the same
        assert visitor.cookies == []
        with LocalUserPool(**ports) as same:
            same.settings("web", redirect_url=f"{origin}/callback", logout_url=f"{origin}/")
            visitor.sign_in(username="carol")
            assert {shown["user"] for shown in visitor.fetch_from_every_worker("/x")} == {"carol"}


def test_a_worker_that_starts_in_an_outage_recovers_by_itself():
    ports = {"port": free_port(), "issuer_port": free_port()}
    with LocalUserPool(**ports) as pool:
        token = pool.issue_tokens("alice", client="web")["access_token"]
        with serving(pool) as origin, Visitor(origin) as visitor:
            pool.trouble.jwks = "503"
            visitor.http.cookies.set("cognito_access_token", token, domain="localhost.local")
            assert visitor.fetch("/x").status_code == 503
            assert visitor.visit("/").json()["claims"] is None
            assert visitor.http.cookies["cognito_access_token"] == token
            pool.trouble.jwks = None
            wait_for(lambda: visitor.fetch("/x").status_code == 200, 20)
            wait_for(lambda: visitor.visit("/").json()["user"] == "alice", 20)


def test_a_visitor_who_keeps_no_session_is_told_so_instead_of_going_round(visitor):
    for _ in range(3):
        assert visitor.visit(visitor.callback("/start")).status_code == 303
        visitor.lose("cognito_access_token", "cognito_id_token", "cognito_refresh_token")
    answer = visitor.visit("/start")
    assert answer.status_code == 400
    assert "does not keep this site's cookies" in html.unescape(answer.text)
