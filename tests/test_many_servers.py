"""Several processes and machines: nothing is kept in one that another needs, but the secret key."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import cycle
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

from cognito_wsgi import CognitoConfig, CognitoGateway
from cognito_wsgi.local import LocalUserPool, submit_sign_in

from .serving import free_port, gunicorn, process, served, wait_for
from .visiting import FETCH, NAVIGATION, House, Page, local_config

ACCESS, REFRESH = "cognito_access_token", "cognito_refresh_token"
RULES = {"/": "public"}
OLD, NEW, OTHER = "the old secret key", "the new secret key", "another secret key"


@pytest.fixture
def user_pool() -> Iterator[LocalUserPool]:
    with LocalUserPool() as running:
        yield running


@pytest.fixture
def http() -> Iterator[requests.Session]:
    """The browser's dealings with the pool."""
    with requests.Session() as session:
        yield session


def machines(user_pool: LocalUserPool, *settings: dict[str, Any]) -> list[House]:
    """Gateways that share nothing but their configuration, and one browser before them."""
    houses = [
        House(local_config(user_pool, AWS_COGNITO_REFRESH_FLOW_ENABLED=True, **each), RULES)
        for each in settings
    ]
    jar = houses[0].client._cookies
    for house in houses:
        house.client._cookies = jar
    return houses


def keys(key: str, *fallbacks: str) -> dict[str, Any]:
    return {"SECRET_KEY": key, "SECRET_KEY_FALLBACKS": list(fallbacks)}


def test_a_sign_in_begun_on_one_finishes_on_another_and_goes_on_at_a_third(user_pool, http):
    one, other, third = machines(user_pool, *[{}] * 3)
    callback = one.go_to_pool(http, one.ask("/deep/link").location, "alice")
    answer = other.ask(callback)
    assert (answer.status_code, answer.location) == (303, "/deep/link")
    assert third.environ_of("/deep/link")["cognito.user_info"]["email"] == "alice@example.test"
    third.client.delete_cookie(ACCESS)
    assert one.environ_of("/x")["REMOTE_USER"] == "alice"  # refreshed there
    assert other.environ_of("/x")["REMOTE_USER"] == "alice"
    assert user_pool.calls["token"] == 2
    third.ask("/logout")
    assert [house.ask("/x").status_code for house in (one, other, third)] == [302] * 3


def test_a_callback_reloaded_at_a_process_that_has_no_keys_yet_goes_on_to_next(user_pool, http):
    one, other = machines(user_pool, {}, {})
    callback = one.go_to_pool(http, one.ask("/deep/link").location, "alice")
    assert one.ask(callback).location == "/deep/link"
    assert other.ask(callback).location == "/deep/link"


def test_a_callback_sent_to_two_processes_at_once_can_be_reloaded_all_the_same(user_pool, http):
    """The loser's answer comes last, and leaves alone what the winner's has set."""
    one, other = machines(user_pool, {}, {})
    callback = one.go_to_pool(http, one.ask("/deep/link").location, "alice")
    before = {"Cookie": one.cookie_header}
    assert one.ask(callback).location == "/deep/link"
    loser = House(other.config, RULES)
    loser.client = Client(loser.client.application, use_cookies=False)
    answer = loser.ask(callback, headers=before)
    assert answer.status_code == 400
    assert answer.headers.getlist("Set-Cookie") == []
    assert Page(answer.text).links["Try again"] == "/login?next=%2Fdeep%2Flink"
    assert other.ask(callback).location == "/deep/link"


def test_the_loop_breaker_counts_over_all_machines(user_pool, http):
    houses = machines(user_pool, *[{}] * 3)
    for house in houses:
        assert house.ask(house.go_to_pool(http, house.ask("/x").location, "alice")).status_code == 303
        for name in (ACCESS, "cognito_id_token", REFRESH):
            house.client.delete_cookie(name)
    assert houses[0].ask("/x").status_code == 400


# rotation of SECRET_KEY


def test_a_new_secret_key_signs_nobody_out_and_breaks_no_sign_in(user_pool, http):
    before, after = machines(user_pool, keys(OLD), keys(NEW, OLD))
    before.sign_in("/x")
    callback = before.go_to_pool(http, before.ask("/login?next=/y").location, "alice")
    after.client.delete_cookie(ACCESS)
    assert after.environ_of("/x")["REMOTE_USER"] == "alice"
    assert user_pool.calls["token:refresh_token"] == 1
    assert after.ask(callback).location == "/y"


def test_the_old_key_can_go_once_everything_was_sealed_anew(user_pool):
    before, between, after = machines(user_pool, keys(OLD), keys(NEW, OLD), keys(NEW))
    before.sign_in("/x")
    for house in (between, after):
        house.client.delete_cookie(ACCESS)
        assert house.environ_of("/x")["REMOTE_USER"] == "alice"


def test_a_fleet_is_renewed_machine_by_machine(user_pool):
    """First every machine learns to read the new key, then each begins to seal with it."""
    fleet = machines(user_pool, keys(OLD, NEW), keys(NEW, OLD))
    fleet[0].sign_in("/x")
    for house in (*fleet, *fleet):
        house.client.delete_cookie(ACCESS)
        assert house.environ_of("/x")["REMOTE_USER"] == "alice"


def test_a_dropped_key_ends_its_sessions_cleanly_and_no_other(user_pool, http):
    before, after = machines(user_pool, keys(OLD), keys(OTHER))
    before.sign_in("/x")
    callback = before.go_to_pool(http, before.ask("/login?next=/y").location, "alice")
    assert (
        after.environ_of("/x")["REMOTE_USER"] == "alice"
    )  # the access token is Cognito's, and good for its time
    assert after.ask(callback).status_code == 400
    after.client.delete_cookie(ACCESS)
    answer = after.ask("/x", FETCH)
    assert answer.status_code == 401
    assert [cookie.partition("=")[0] for cookie in answer.headers.getlist("Set-Cookie")] == [REFRESH]
    assert REFRESH not in after.cookies
    assert user_pool.calls["token:refresh_token"] == 0
    after.sign_in("/x")
    after.client.delete_cookie(ACCESS)
    assert after.environ_of("/x")["REMOTE_USER"] == "alice"


def test_the_cookies_of_another_application_are_worth_nothing(user_pool):
    """The same secret key, the same pool, another app client."""
    house = machines(user_pool, {})[0]
    house.sign_in("/x")
    other = House(local_config(user_pool, "other", AWS_COGNITO_REFRESH_FLOW_ENABLED=True), RULES)
    other.client = Client(other.client.application, use_cookies=False)
    for header in (house.cookie_header, f"{REFRESH}={house.cookies[REFRESH]}"):
        assert other.ask("/x", FETCH, headers={"Cookie": header}).status_code == 401
    assert user_pool.calls["token:refresh_token"] == 0


# two real servers behind one address, taking turns


def make_app() -> Any:
    """What gunicorn serves: it says who asks, and which worker answers."""

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain"), ("X-Worker", str(os.getpid()))])
        return [environ.get("REMOTE_USER", "nobody").encode()]

    return CognitoGateway(app, CognitoConfig.from_env(), RULES)


class TakingTurns:
    """A proxy before servers: one request each; a server that hangs up is passed over."""

    def __init__(self, ports: list[int]) -> None:
        self._ports = cycle(ports)
        self._lock = threading.Lock()
        self.served_by: list[int] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        request = Request(environ)
        body = request.get_data()
        headers = {name: value for name, value in request.headers if name != "Connection"}
        for _ in range(4):
            with self._lock:
                port = next(self._ports)
            try:
                answer = requests.request(
                    request.method,
                    f"http://127.0.0.1:{port}{request.full_path}",
                    headers=headers,
                    data=body,
                    allow_redirects=False,
                    timeout=20,
                )
            except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
                continue  # it hung up before the answer, or in the middle of it
            self.served_by.append(port)
            kept = [
                (name, value)
                for name, value in answer.raw.headers.items()
                if name.lower() not in ("connection", "transfer-encoding")
            ]
            return Response(answer.content, answer.status_code, kept)(environ, start_response)
        return Response("no server", 502)(environ, start_response)


class Fleet:
    """Two gunicorns of two workers each, behind one address."""

    def __init__(self, origin: str, proxy: TakingTurns, user_pool: LocalUserPool) -> None:
        self.origin = origin
        self.proxy = proxy
        self.user_pool = user_pool

    def sign_in(self, browser: requests.Session) -> None:
        answer = browser.get(f"{self.origin}/x", headers=NAVIGATION, allow_redirects=False, timeout=20)
        back = submit_sign_in(browser, answer, "alice", "alice-password")
        answer = browser.get(back.headers["Location"], allow_redirects=False, timeout=20)
        assert (answer.status_code, urlsplit(answer.headers["Location"]).path) == (303, "/x")

    def ask(self, cookies: dict[str, str], path: str = "/x") -> requests.Response:
        return requests.get(
            f"{self.origin}{path}", headers=FETCH, cookies=cookies, allow_redirects=False, timeout=20
        )


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    ports = [free_port(), free_port()]
    proxy = TakingTurns(ports)
    with ExitStack() as stack:
        user_pool = stack.enter_context(LocalUserPool())
        origin = stack.enter_context(served(lambda origin: proxy))
        addresses = {"redirect_url": f"{origin}/callback", "logout_url": f"{origin}/"}
        settings = {
            **user_pool.settings("web", **addresses),
            "SECRET_KEY": "a secret key for the tests alone",
            "AWS_COGNITO_REFRESH_FLOW_ENABLED": "yes",
        }
        for port in ports:
            command = gunicorn("tests.test_many_servers:make_app()", port)
            stack.enter_context(
                process(command, port=port, env={name: str(settings[name]) for name in settings})
            )
        yield Fleet(origin, proxy, user_pool)


def jar_of(browser: requests.Session) -> dict[str, str]:
    return {cookie.name: cookie.value for cookie in browser.cookies if cookie.name.startswith("cognito_")}


@pytest.mark.server
def test_two_servers_take_turns_and_a_killed_worker_loses_no_session(fleet):
    with requests.Session() as browser:
        fleet.sign_in(browser)
        cookies = jar_of(browser)
    assert len(set(fleet.proxy.served_by)) == 2
    answers: list[requests.Response] = []
    enough = threading.Event()

    def keep_asking() -> None:
        while not enough.is_set():
            answers.append(fleet.ask(cookies))

    def workers(since: int) -> set[str]:
        return {answer.headers["X-Worker"] for answer in answers[since:] if answer.ok}

    with ThreadPoolExecutor(4) as threads:
        asking = [threads.submit(keep_asking) for _ in range(4)]
        wait_for(lambda: len(workers(0)) >= 3, 30)
        killed = workers(0).pop()
        os.kill(int(killed), signal.SIGKILL)
        since, known = len(answers) + 8, workers(0)
        wait_for(lambda: len(answers) > since + 40 and bool(workers(since) - known), 30)
        enough.set()
        for one in asking:
            one.result(timeout=20)
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, "alice")}
    assert killed not in workers(since)
    assert fleet.user_pool.calls["token"] == 1
    refreshed = fleet.ask({name: value for name, value in cookies.items() if name != ACCESS})
    assert (refreshed.status_code, refreshed.text) == (200, "alice")


@pytest.mark.server
def test_servers_that_refresh_at_once_do_not_end_the_session(fleet):
    """Rotation without grace: one process wins. No loser takes away what the winner has set."""
    trouble = fleet.user_pool.trouble
    trouble.rotation, trouble.rotation_grace = True, 0
    with requests.Session() as browser:
        fleet.sign_in(browser)
        cookies = jar_of(browser)
    del cookies[ACCESS]
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda number: fleet.ask(cookies), range(12)))
    good = [answer for answer in answers if answer.status_code == 200]
    lost = [answer for answer in answers if answer.status_code == 401]
    assert good
    assert len(good) + len(lost) == 12
    assert {answer.text for answer in good} == {"alice"}
    assert {cookie.value for answer in good for cookie in answer.cookies if cookie.name == ACCESS} == {
        good[0].cookies[ACCESS]
    }
    assert not any("Set-Cookie" in answer.headers for answer in lost)
    newest = {name: value for name, value in good[0].cookies.items() if name != ACCESS}
    again = fleet.ask(newest)
    assert (again.status_code, again.text) == (200, "alice")
