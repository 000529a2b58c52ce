"""Silent refresh: a session goes on as long as Cognito lets it, and ends when Cognito says so."""

from __future__ import annotations

import ctypes
import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from typing import Any

import pytest
import requests
import time_machine
from werkzeug.test import Client, TestResponse
from werkzeug.wsgi import get_input_stream

from cognito_wsgi import CognitoGateway, refresh
from cognito_wsgi.endpoints import CognitoClient
from cognito_wsgi.errors import CognitoError
from cognito_wsgi.jwks import KeyStore
from cognito_wsgi.local import LocalUserPool, submit_sign_in
from cognito_wsgi.refresh import Refresher, RefreshRefused
from cognito_wsgi.seals import Seal, pack_refresh_token
from cognito_wsgi.session import Sessions
from cognito_wsgi.tokens import TokenVerifier

from .local.visitor import claims_of
from .serving import served, wait_for
from .visiting import FETCH, FORM, NAVIGATION, House, Page, holding, local_config

ACCESS, ID, REFRESH = "cognito_access_token", "cognito_id_token", "cognito_refresh_token"
RULES = {"/": "public", "/admin": ["root"]}


@pytest.fixture
def user_pool() -> Iterator[LocalUserPool]:
    with LocalUserPool() as running:
        yield running


@pytest.fixture
def house(user_pool) -> House:
    """A browser at which alice is signed in."""
    return signed_in(user_pool)


def signed_in(user_pool: LocalUserPool, **settings: Any) -> House:
    config = local_config(user_pool, AWS_COGNITO_REFRESH_FLOW_ENABLED=True, **settings)
    house = House(config, RULES)
    assert house.sign_in("/x").status_code == 303
    return house


def by_header(house: House) -> House:
    """The same gateway, and no jar: what a request bears is in its Cookie header alone."""
    other = copy(house)
    other.client = Client(house.client.application, use_cookies=False)
    return other


def impatient(house: House, seconds: float) -> House:
    """Another process, which waits no longer than that for Cognito, and the same browser before it."""
    other = House(replace(house.config, timeout=seconds), RULES)
    other.client._cookies = house.client._cookies
    return other


def lose_access_token(house: House) -> None:
    """What a browser does once the cookie's time is up."""
    house.client.delete_cookie(ACCESS)


def calls(user_pool: LocalUserPool) -> int:
    return user_pool.calls["token:refresh_token"]


def names_of(answer: TestResponse | requests.Response, *, deleted: bool = False) -> set[str]:
    """The names of the cookies that an answer stores, or deletes."""
    cookies = (
        answer.raw.headers.getlist("Set-Cookie")
        if isinstance(answer, requests.Response)
        else answer.headers.getlist("Set-Cookie")
    )
    return {cookie.partition("=")[0] for cookie in cookies if ("Max-Age=0" in cookie) is deleted}


@contextmanager
def hours_later(hours: float = 1) -> Iterator[None]:
    with time_machine.travel(time.time() + hours * 3600 + 1):
        yield


# over HTTP: what the application and the browser see of it


def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Tells what reached it, of the body the digest."""
    body = hashlib.sha256()
    size = 0
    stream = get_input_stream(environ)
    while chunk := stream.read(64 * 1024):
        body.update(chunk)
        size += len(chunk)
    kept = ("HTTP_", "CONTENT_", "REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "SCRIPT_NAME")
    seen = {name: value for name, value in environ.items() if name.startswith(kept)}
    told = {"seen": seen, "body": body.hexdigest(), "size": size, "user": environ.get("REMOTE_USER")}
    start_response("200 OK", [("Content-Type", "application/json"), ("X-Of-The-App", "1")])
    return [json.dumps(told).encode()]


class Browser:
    """A browser at a served gateway, its cookies those of ``http``."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.http = requests.Session()
        self.http.headers.update({"Origin": origin, "User-Agent": "test"})

    def send(self, method: str, address: str, **options: Any) -> requests.Response:
        return self.http.request(method, self.origin + address, allow_redirects=False, timeout=20, **options)

    def sign_in(self, username: str = "alice") -> None:
        there = self.http.get(f"{self.origin}/x", headers=NAVIGATION, allow_redirects=False, timeout=20)
        back = submit_sign_in(self.http, there, username, f"{username}-password")
        assert self.http.get(back.headers["Location"], allow_redirects=False, timeout=20).status_code == 303

    def jar(self) -> dict[str, str]:
        return {
            cookie.name: cookie.value for cookie in self.http.cookies if cookie.name.startswith("cognito_")
        }

    def lose_access_token(self) -> None:
        for cookie in list(self.http.cookies):
            if cookie.name == ACCESS:
                self.http.cookies.clear(cookie.domain, cookie.path, cookie.name)


@contextmanager
def browsing(user_pool: LocalUserPool, app: Any = echo, **settings: Any) -> Iterator[Browser]:
    """A browser at which alice is signed in, before a real server with the gateway."""

    def make(origin: str) -> CognitoGateway:
        addresses = {"redirect_url": f"{origin}/callback", "logout_url": f"{origin}/"}
        return CognitoGateway(
            app,
            {
                **user_pool.settings("web", **addresses),
                "SECRET_KEY": "a secret key for the tests alone",
                "AWS_COGNITO_REFRESH_FLOW_ENABLED": True,
                **settings,
            },
            RULES,
        )

    with served(make) as origin:
        browser = Browser(origin)
        with browser.http:
            browser.sign_in()
            yield browser


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
def test_any_method_goes_on_as_if_nothing_had_happened(user_pool, method):
    body = None if method in ("GET", "HEAD") else b"\x00\xff body " * 1000
    request = {
        "address": "/some/p%C3%A4th;a=b?q=1&q=2&empty=&x=%2F+%00",
        "data": body,
        "headers": {"Content-Type": "application/x-odd", "X-Odd": "a, b;c=d", "If-None-Match": '"x"'},
    }
    with browsing(user_pool) as browser:
        browser.http.cookies.set("theme", "dark", domain="127.0.0.1")
        before = browser.send(method, **request)
        browser.lose_access_token()
        answer = browser.send(method, **request)
        assert calls(user_pool) == 1
        assert answer.status_code == 200
        assert answer.headers["X-Of-The-App"] == "1"
        assert names_of(answer) == {ACCESS, ID, REFRESH}
        assert answer.headers["Cache-Control"] == "private"
        assert answer.content == before.content
        if method != "HEAD":
            assert answer.json()["user"] == "alice"
            assert answer.json()["size"] == len(body or b"")
        assert browser.send(method, **request).status_code == 200
        assert calls(user_pool) == 1


@pytest.mark.parametrize("is_chunked", [False, True], ids=["with its length", "chunked"])
def test_five_megabytes_arrive_byte_for_byte(user_pool, is_chunked):
    body = bytes(range(256)) * 19531 + b"end"
    parts = [body[start : start + 70_001] for start in range(0, len(body), 70_001)]
    with browsing(user_pool) as browser:
        browser.lose_access_token()
        answer = browser.send("POST", "/upload", data=iter(parts) if is_chunked else body)
        assert calls(user_pool) == 1
        assert answer.json()["size"] == len(body)
        assert answer.json()["body"] == hashlib.sha256(body).hexdigest()
        assert answer.json()["user"] == "alice"


def test_a_streamed_answer_is_streamed_and_brings_the_new_cookies(user_pool):
    go_on, closed = threading.Event(), threading.Event()

    class Stream:
        def __iter__(self) -> Iterator[bytes]:
            yield b"first\n"
            assert go_on.wait(10)
            yield b"second\n"

        def close(self) -> None:
            closed.set()

    def app(environ: dict[str, Any], start_response: Any) -> Stream:
        start_response("200 OK", [("Content-Type", "text/plain"), ("Cache-Control", "public, max-age=60")])
        return Stream()

    with browsing(user_pool, app) as browser:
        old = browser.jar()
        browser.lose_access_token()
        with browser.send("GET", "/live", stream=True) as answer:
            assert answer.raw.read(6) == b"first\n"
            assert not closed.is_set()
            assert set(browser.jar()) >= {ACCESS, ID, REFRESH}
            assert browser.jar()[ACCESS] != old[ACCESS]
            assert answer.headers["Cache-Control"] == "max-age=60, private"
            go_on.set()
            assert answer.raw.read() == b"second\n"
        assert closed.wait(10)


def test_the_jar_of_a_browser_keeps_a_session_for_as_long_as_it_is_used(user_pool):
    """The jar drops what has expired, as browsers do; the refresh cookie's time begins anew at each refresh."""
    with browsing(user_pool, AWS_COGNITO_REFRESH_COOKIE_AGE_SECONDS=7200) as browser:
        for hour in range(1, 5):
            with hours_later(hour * 1.5):
                assert browser.send("GET", "/x").json()["user"] == "alice"
                assert calls(user_pool) == hour
        with hours_later(1.5 * 4 + 2):
            assert browser.send("GET", "/x").status_code == 401


# parallel requests, and those that come late


@pytest.mark.parametrize("rotation", [True, False], ids=["rotation without grace", "no rotation"])
def test_thirty_parallel_requests_share_one_refresh_and_the_session_lives_on(user_pool, rotation):
    user_pool.trouble.rotation, user_pool.trouble.rotation_grace = rotation, 0
    with browsing(user_pool) as browser:
        browser.lose_access_token()
        old = browser.jar()
        together = threading.Barrier(30)

        def ask(number: int) -> requests.Response:
            together.wait(10)
            return requests.post(
                f"{browser.origin}/{number}",
                data=str(number) * 10_000,
                cookies=old,
                headers={"Origin": browser.origin},
                timeout=20,
            )

        with ThreadPoolExecutor(30) as threads:
            answers = list(threads.map(ask, range(30)))
        assert [answer.status_code for answer in answers] == [200] * 30
        assert [answer.json()["user"] for answer in answers] == ["alice"] * 30
        assert [answer.json()["size"] for answer in answers] == [10_000 * len(str(n)) for n in range(30)]
        assert calls(user_pool) == 1
        assert {answer.cookies[ACCESS] for answer in answers} == {answers[0].cookies[ACCESS]}
        browser.http.cookies.update(answers[29].cookies)
        for hour in (1, 2):
            with hours_later(hour):
                assert browser.send("GET", "/x").json()["user"] == "alice"
                assert calls(user_pool) == hour + 1


def test_latecomers_get_the_result_for_sixty_seconds(user_pool, house):
    user_pool.trouble.rotation = True
    lose_access_token(house)
    old = house.cookie_header
    start = time.time()
    with time_machine.travel(start, tick=False) as clock:
        new = house.ask("/x").headers.getlist("Set-Cookie")[0]
        late_tab = by_header(house)
        for seconds in (1, 30, 59):
            clock.move_to(start + seconds)
            late = late_tab.ask("/x", FETCH, headers={"Cookie": old})
            assert late.data == b"inside"
            assert late.headers.getlist("Set-Cookie")[0].partition(";")[0] == new.partition(";")[0]
        assert calls(user_pool) == 1
        clock.move_to(start + 60)
        too_late = late_tab.ask("/x", FETCH, headers={"Cookie": old})
        assert too_late.status_code == 401
        assert calls(user_pool) == 2


def test_a_request_from_before_the_result_still_shares_it(user_pool, house):
    """It had come when the refresh was not over, and asks when it is: its clock is behind the result's."""
    user_pool.trouble.rotation = True
    lose_access_token(house)
    old = house.cookie_header
    start = time.time()
    with time_machine.travel(start + 5, tick=False):
        assert house.ask("/x").data == b"inside"
    with time_machine.travel(start, tick=False):
        assert by_header(house).ask("/x", headers={"Cookie": old}).data == b"inside"
    assert calls(user_pool) == 1


def test_a_latecomer_gets_the_newest_of_several_refreshes(user_pool, house):
    user_pool.trouble.rotation = True
    lose_access_token(house)
    first = house.cookie_header
    house.ask("/x")
    lose_access_token(house)
    house.ask("/x")
    assert calls(user_pool) == 2
    late = by_header(house).ask("/x", headers={"Cookie": first})
    assert late.data == b"inside"
    assert f"{ACCESS}={house.cookies[ACCESS]};" in str(late.headers)
    assert calls(user_pool) == 2
    house.set_cookie(REFRESH, cookie_in(late, REFRESH))
    with hours_later():
        assert house.ask("/x").data == b"inside"
    assert calls(user_pool) == 3


def cookie_in(answer: TestResponse, name: str) -> str:
    """The value of a cookie that an answer sets."""
    cookies = (cookie.partition(";")[0].partition("=") for cookie in answer.headers.getlist("Set-Cookie"))
    return {name: value for name, _, value in cookies}[name]


@pytest.mark.parametrize("rotation", [True, False], ids=["rotation", "no rotation"])
def test_tokens_that_live_for_less_than_a_minute_are_refreshed_again(user_pool, house, rotation):
    user_pool.trouble.rotation = rotation
    user_pool.trouble.access_token_lifetime = 5
    lose_access_token(house)
    old = house.cookie_header
    start = time.time()
    with time_machine.travel(start, tick=False) as clock:
        house.ask("/x")
        for number in (2, 4, 6):
            clock.shift(6)
            assert house.ask("/x").data == b"inside"
            assert calls(user_pool) == number
            clock.shift(6)
            assert by_header(house).ask("/x", headers={"Cookie": old}).data == b"inside"
            assert calls(user_pool) == number + 1


def test_what_is_kept_for_latecomers_is_bounded_and_goes(user_pool, monkeypatch):
    monkeypatch.setattr(refresh, "MAX_SHARED", 3)
    refresher = make_refresher(user_pool)
    tokens = [user_pool.issue_tokens("alice", client="web")["refresh_token"] for _ in range(5)]
    with time_machine.travel(time.time(), tick=False) as clock:
        for token in tokens:
            refresher.refresh(token, None)
        assert len(refresher._entries) == 3
        refresher.refresh(tokens[4], None)
        assert calls(user_pool) == 5
        refresher.refresh(tokens[0], None)
        assert calls(user_pool) == 6
        clock.shift(61)
        refresher.refresh(tokens[1], None)
        assert len(refresher._entries) == 1


def make_refresher(user_pool: LocalUserPool, **settings: Any) -> Refresher:
    config = local_config(user_pool, AWS_COGNITO_REFRESH_FLOW_ENABLED=True, **settings)
    keys = KeyStore(config)
    sessions = Sessions(config, keys, TokenVerifier(config, keys))
    return Refresher(CognitoClient(config), sessions, timeout=config.timeout)


# latecomers and sign-out


def test_after_sign_out_no_latecomer_gets_a_session(user_pool, house):
    user_pool.trouble.rotation = True
    lose_access_token(house)
    first = house.cookie_header
    house.ask("/x")
    lose_access_token(house)
    second = house.cookie_header
    house.ask("/x")
    assert house.ask("/logout").status_code == 302
    made = calls(user_pool)
    for old in (first, second):
        assert by_header(house).ask("/x", FETCH, headers={"Cookie": old}).status_code == 401
    assert calls(user_pool) == made


def test_sign_out_revokes_what_an_older_tab_does_not_know_of(user_pool, house):
    user_pool.trouble.rotation = True
    lose_access_token(house)
    old = house.cookie_header
    house.ask("/x")
    lose_access_token(house)
    newest = {"Cookie": house.cookie_header}
    assert by_header(house).ask("/logout", headers={"Cookie": old}).status_code == 302
    assert by_header(house).ask("/x", FETCH, headers=newest).status_code == 401
    another_process = by_header(House(house.config, RULES))
    assert another_process.ask("/x", FETCH, headers=newest).status_code == 401  # by Cognito's word


@pytest.mark.parametrize("rotation", [True, False], ids=["rotation", "no rotation"])
@pytest.mark.parametrize("revoke", [None, "503"], ids=["revoked at once", "revocation fails"])
def test_sign_out_in_the_middle_of_a_refresh_ends_that_as_well(user_pool, house, rotation, revoke):
    user_pool.trouble.rotation, user_pool.trouble.revoke = rotation, revoke
    for answer in signed_out_while_refreshing(user_pool, house):
        assert answer.status_code == 401
        assert names_of(answer) == set()


def test_a_token_that_came_after_sign_out_is_revoked(user_pool, house):
    user_pool.trouble.rotation, user_pool.trouble.revoke = True, "503"
    signed_out_while_refreshing(user_pool, house, then=lambda: setattr(user_pool.trouble, "revoke", None))
    assert user_pool.calls["revoke"] == 2
    store = user_pool._state.store
    assert len(store._refresh_tokens) == 2
    assert all(store.is_revoked(token.sign_in.origin_jti) for token in store._refresh_tokens.values())


def test_sign_out_is_not_forgotten_where_the_refresh_under_way_fails(user_pool):
    house = signed_in(user_pool)
    lose_access_token(house)
    cookies = {"Cookie": house.cookie_header}
    user_pool.trouble.revoke = "503"
    answers = signed_out_while_refreshing(user_pool, house, ends_in="503")
    assert {answer.status_code for answer in answers} <= {401, 503}
    assert by_header(house).ask("/x", FETCH, headers=cookies).status_code == 401
    assert calls(user_pool) == 1


def signed_out_while_refreshing(
    user_pool: LocalUserPool,
    house: House,
    *,
    ends_in: str | None = None,
    then: Callable[[], object] = bool,
) -> list[TestResponse]:
    """The answers to two requests that shared a refresh when their user signed out.

    ends_in: the trouble that the refresh meets after that. then: what happens between the two.
    """
    lose_access_token(house)
    cookies = {"Cookie": house.cookie_header}
    refresher, token, house = house.gateway._visitors._refresher, refresh_token_of(house), by_header(house)
    with ThreadPoolExecutor(2) as threads:
        with holding(user_pool, "token", then=ends_in):
            refreshing = [threads.submit(house.ask, "/x", FETCH, headers=cookies) for _ in range(2)]
            wait_for(lambda: calls(user_pool) == 1 and waiting_for(refresher, token) == 1)
            assert house.ask("/logout", headers=cookies).status_code == 302
            then()
        return [one.result(timeout=10) for one in refreshing]


def waiting_for(refresher: Refresher, token: str) -> int:
    """How many wait for the answer that another request gets for a token."""
    return len(refresher._entries[token].answer._condition._waiters)


def test_sign_out_names_the_newest_token_for_revocation_and_ends_it_here(user_pool):
    user_pool.trouble.rotation = True
    refresher = make_refresher(user_pool)
    first = user_pool.issue_tokens("alice", client="web")["refresh_token"]
    second = refresher.refresh(first, None).refresh_token
    third = refresher.refresh(second, None).refresh_token
    assert len({first, second, third}) == 3
    assert refresher.sign_out(first) == third
    for token in (first, second, third):
        with pytest.raises(RefreshRefused):
            refresher.refresh(token, None)
    assert calls(user_pool) == 2


# which tokens are kept


@pytest.mark.parametrize("rotation", [True, False], ids=["rotation", "no rotation"])
@pytest.mark.parametrize("encrypted", [True, False], ids=["encrypted", "bare"])
def test_the_same_answer_stores_the_refresh_token_to_go_on_with(user_pool, rotation, encrypted):
    user_pool.trouble.rotation = rotation
    house = signed_in(user_pool, AWS_COGNITO_REFRESH_COOKIE_ENCRYPTED=encrypted)
    before = refresh_token_of(house)
    lose_access_token(house)
    answer = house.ask("/x")
    assert names_of(answer) == {ACCESS, ID, REFRESH}
    assert (refresh_token_of(house) != before) is rotation
    for hour in (1, 2):
        with hours_later(hour):
            assert house.ask("/x").data == b"inside"


def refresh_token_of(house: House) -> str:
    found = house.gateway._visitors._session_cookies.find_refresh_token(house.cookies, time.time())
    assert found is not None
    return found.token


def test_an_access_token_that_has_expired_is_refreshed_though_its_cookie_is_still_there(user_pool, house):
    with hours_later():
        assert house.environ_of("/x")["REMOTE_USER"] == "alice"
    assert calls(user_pool) == 1


def test_new_groups_come_with_the_new_tokens(user_pool, house):
    assert house.environ_of("/x")["cognito.groups"] == ("admin", "editor")
    user_pool.set_groups("alice", ["reader"])
    lose_access_token(house)
    assert house.environ_of("/x")["cognito.groups"] == ("reader",)


@pytest.mark.parametrize("has_hash", [True, False], ids=["at_hash of the old access token", "no at_hash"])
def test_without_a_new_id_token_the_old_user_info_stays(user_pool, house, has_hash):
    if not has_hash:
        claims = claims_of(house.cookies[ID])
        del claims["at_hash"]
        house.set_cookie(ID, user_pool.sign(claims, use="id"))
    user_pool.trouble.omit_id_token = True
    lose_access_token(house)
    for _ in range(2):
        assert house.environ_of("/x")["cognito.user_info"]["email"] == "alice@example.test"
    another_process = by_header(House(house.config))
    assert another_process.environ_of("/x", headers={"Cookie": house.cookie_header})["cognito.user_info"]


def test_an_old_id_token_of_another_user_does_not_stay(user_pool, house):
    claims = claims_of(user_pool.issue_tokens("bob", client="web")["id_token"])
    del claims["at_hash"]  # which would give him away as well
    house.set_cookie(ID, user_pool.sign(claims, use="id"))
    user_pool.trouble.omit_id_token = True
    lose_access_token(house)
    assert house.environ_of("/x")["cognito.user_info"] is None
    assert ID not in house.cookies


def test_new_tokens_of_another_user_than_the_expired_one_end_the_session(user_pool):
    house = signed_in(user_pool, AWS_COGNITO_REFRESH_COOKIE_ENCRYPTED=False)
    house.set_cookie(REFRESH, user_pool.issue_tokens("bob", client="web")["refresh_token"])
    with hours_later():
        answer = house.ask("/x", FETCH)
    assert answer.status_code == 401
    assert calls(user_pool) == 1
    assert names_of(answer, deleted=True) >= {ACCESS, ID, REFRESH}
    assert names_of(answer) == set()


@pytest.mark.parametrize("lifetime", [1, 3600], ids=["expired", "live"])
def test_a_refresh_on_demand_is_for_the_user_of_the_access_token(user_pool, lifetime):
    house = signed_in(user_pool, AWS_COGNITO_REFRESH_COOKIE_ENCRYPTED=False)
    user_pool.trouble.access_token_lifetime = lifetime
    house.set_cookie(ACCESS, user_pool.issue_tokens("bob", client="web")["access_token"])
    user_pool.trouble.clear()
    with time_machine.travel(time.time() + 2):
        answer = house.ask("/refresh", FETCH, method="POST")
    assert answer.status_code == 401
    assert names_of(answer) == set()
    assert {ACCESS, REFRESH} <= names_of(answer, deleted=True)


def test_new_tokens_of_another_user_than_the_refresh_cookies_end_the_session(user_pool, house):
    packed = pack_refresh_token(user_pool.issue_tokens("bob", client="web")["refresh_token"], "alice's sub")
    house.set_cookie(REFRESH, Seal(house.config, "refresh").seal(packed, time.time()))
    lose_access_token(house)
    answer = house.ask("/x", FETCH)
    assert answer.status_code == 401
    assert names_of(answer, deleted=True) == {ID, REFRESH}


# what ends a session, and what does not

BAD_ANSWERS = ["429", "503", "500", "html", "garbage", "empty", "close", "slow", "drip", "redirect", "huge"]


@pytest.mark.parametrize("kind", BAD_ANSWERS)
def test_nothing_but_invalid_grant_ends_a_session(user_pool, kind):
    house = impatient(signed_in(user_pool), 0.3)
    wait_for(lambda: house.ask("/x").status_code == 200)  # it has keys now
    lose_access_token(house)
    old = dict(house.cookies)
    user_pool.trouble.token, user_pool.trouble.delay = kind, 5
    for ask in (NAVIGATION, FETCH, FORM):
        answer = house.ask("/x", ask, method="POST" if ask is FORM else "GET")
        assert answer.status_code == 503
        assert 1 <= int(answer.headers["Retry-After"]) <= 10
        assert answer.headers.getlist("Set-Cookie") == []
    assert house.cookies == old
    user_pool.trouble.clear()
    wait_for(lambda: house.ask("/x").status_code == 200)
    assert house.environ_of("/x")["REMOTE_USER"] == "alice"


def test_a_fleet_is_not_told_to_come_back_all_at_once(user_pool, house):
    lose_access_token(house)
    user_pool.trouble.token = "503"
    assert len({house.ask("/x", FETCH).headers["Retry-After"] for _ in range(30)}) > 2


def test_every_request_that_shares_a_failure_has_a_refusal_of_its_own(user_pool, house):
    """The gateway writes its reference into it, and the log line must be the one of the page."""
    lose_access_token(house)
    refresher = house.gateway._visitors._refresher
    token = refresh_token_of(house)
    with ThreadPoolExecutor(3) as threads, holding(user_pool, "token"):
        refused = [threads.submit(refused_by, refresher, token) for _ in range(3)]
        wait_for(lambda: calls(user_pool) == 1 and waiting_for(refresher, token) == 2)
        user_pool.stop()
        errors = [one.result(timeout=10) for one in refused]
    assert len({id(error) for error in errors}) == 3
    assert len({error.reason for error in errors}) == 1
    assert calls(user_pool) == 1


def refused_by(refresher: Refresher, token: str) -> CognitoError:
    with pytest.raises(CognitoError) as caught:
        refresher.refresh(token, None)
    return caught.value


@pytest.mark.parametrize("encrypted", [True, False], ids=["encrypted", "bare"])
def test_keys_that_cannot_be_fetched_do_not_lose_a_rotated_token(user_pool, encrypted):
    """Cognito has rotated the token and its key: the browser gets what it rotated to, for any process to go on with."""
    house = signed_in(user_pool, AWS_COGNITO_REFRESH_COOKIE_ENCRYPTED=encrypted)
    user_pool.trouble.rotation, user_pool.trouble.rotation_grace = True, 0
    user_pool.rotate_keys()
    user_pool.trouble.jwks = "503"
    lose_access_token(house)
    old = {"Cookie": house.cookie_header}
    answer = house.ask("/x")
    assert answer.status_code == 503
    assert names_of(answer) == {REFRESH}
    user_pool.trouble.jwks = None
    with time_machine.travel(time.time() + 31):  # the next fetch for an unknown key
        assert by_header(house).environ_of("/x", headers=old)["REMOTE_USER"] == "alice"
    assert calls(user_pool) == 1
    other = House(house.config, RULES)
    other.client._cookies = house.client._cookies
    assert other.environ_of("/x")["REMOTE_USER"] == "alice"
    with hours_later():
        assert house.ask("/x").data == b"inside"


def test_a_rule_that_only_reports_does_not_lose_a_rotated_token(user_pool):
    house = signed_in(user_pool)
    reporting = House(house.config, RULES, report_only=True)
    reporting.client._cookies = house.client._cookies
    assert reporting.ask("/x").data == b"inside"  # it has keys
    user_pool.trouble.rotation, user_pool.trouble.rotation_grace = True, 0
    user_pool.rotate_keys()
    user_pool.trouble.jwks = "503"
    lose_access_token(reporting)
    answer = reporting.ask("/x")
    assert (answer.status_code, names_of(answer)) == (200, {REFRESH})


@pytest.mark.parametrize(("path", "status"), [("/admin", 403), ("/a/../b", 400), ("/x", 401)])
def test_cookies_that_another_process_can_open_stay(user_pool, house, path, status):
    """While a new SECRET_KEY is being rolled out, those with the old one alone cannot open what is sealed with it."""
    other = House(replace(house.config, secret_key="the key before this one, and long enough"), RULES)
    other.client._cookies = house.client._cookies
    if status == 401:
        house.client.delete_cookie(ACCESS)
        house.client.delete_cookie(REFRESH)
    answer = other.ask(path, FETCH)
    assert answer.status_code == status
    assert names_of(answer, deleted=True) == set()


def test_a_process_without_keys_spends_no_refresh_token(user_pool, house):
    user_pool.trouble.rotation, user_pool.trouble.rotation_grace = True, 0
    lose_access_token(house)
    old = {"Cookie": house.cookie_header}
    fresh = by_header(House(house.config, RULES))
    user_pool.trouble.jwks = "503"
    answer = fresh.ask("/x", headers=old)
    assert (answer.status_code, names_of(answer), calls(user_pool)) == (503, set(), 0)
    user_pool.trouble.jwks = None
    assert fresh.ask("/x", headers=old).data == b"inside"


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        pytest.param({"clock_ahead": 60}, "iat lies in the future", id="from the future"),
        pytest.param({"access_token_lifetime": 0}, "exp has passed", id="expired when it comes"),
    ],
)
def test_new_tokens_that_are_refused_are_an_outage_and_end_nothing(user_pool, house, caplog, trouble, reason):
    lose_access_token(house)
    old = dict(house.cookies)
    for switch, value in trouble.items():
        setattr(user_pool.trouble, switch, value)
    answer = house.ask("/x")
    assert answer.status_code == 503
    assert reason in caplog.text
    assert house.cookies == old
    user_pool.trouble.clear()
    with time_machine.travel(time.time() + 61):
        assert house.ask("/x").data == b"inside"


def test_a_refused_client_is_the_operators_mistake_and_ends_nothing(user_pool, caplog):
    house = signed_in(user_pool)
    lose_access_token(house)
    secret = {"AWS_COGNITO_USER_POOL_CLIENT_SECRET": "wrong" * 6}
    wrong = by_header(House(local_config(user_pool, AWS_COGNITO_REFRESH_FLOW_ENABLED=True, **secret), RULES))
    answer = wrong.ask("/x", headers={"Cookie": house.cookie_header})
    assert answer.status_code == 503
    assert names_of(answer, deleted=True) == set()
    assert "AWS_COGNITO_USER_POOL_CLIENT_SECRET" in caplog.text
    assert "wrongwrong" not in caplog.text


def test_invalid_grant_ends_a_session_and_is_remembered_for_a_minute(user_pool, house):
    user_pool.revoke_all("alice")
    lose_access_token(house)
    with time_machine.travel(time.time(), tick=False) as clock:
        assert house.ask("/x").status_code == 302
        for _ in range(3):
            clock.shift(19)
            assert house.ask("/x", FETCH).status_code == 401
            assert house.ask("/x", FORM, method="POST").status_code == 401
        assert calls(user_pool) == 1
        clock.shift(3)
        assert house.ask("/x", FETCH).status_code == 401
        assert calls(user_pool) == 2


@pytest.mark.parametrize("seconds", [0, 4, 30, 59, 120], ids=str)
def test_a_request_that_has_lost_a_race_never_clears_cookies(user_pool, house, seconds):
    """Two processes; one has rotated the token, and its answer has set the cookies that the other must leave alone."""
    user_pool.trouble.rotation = True
    lose_access_token(house)
    old = {"Cookie": house.cookie_header}
    loser = by_header(House(house.config, RULES))
    assert house.ask("/x").data == b"inside"
    with time_machine.travel(time.time(), tick=False) as clock:
        assert loser.ask("/x", FETCH, headers=old).status_code == 401
        clock.shift(seconds)
        for kind in (NAVIGATION, FETCH):
            answer = loser.ask("/x", kind, headers=old)
            assert answer.status_code in (302, 401)
            assert names_of(answer, deleted=True) == set()
    assert loser.environ_of("/x", headers={"Cookie": house.cookie_header})["REMOTE_USER"] == "alice"


def test_a_refresh_that_is_broken_off_leaves_nobody_waiting(user_pool):
    """A worker that is stopped raises what is no Exception, in the middle of the call."""
    refresher = make_refresher(user_pool)
    token = user_pool.issue_tokens("alice", client="web")["refresh_token"]
    stopped = threading.Event()

    def run() -> None:
        try:
            refresher.refresh(token, None)
        except SystemExit:
            stopped.set()

    worker = threading.Thread(target=run)
    with ThreadPoolExecutor(1) as threads:
        with holding(user_pool, "token"):
            worker.start()
            wait_for(lambda: calls(user_pool) == 1)
            waiting = threads.submit(refused_by, refresher, token)
            wait_for(lambda: waiting_for(refresher, token) == 1)
            raise_in(worker, SystemExit)
        assert "broken off" in waiting.result(timeout=10).reason
    worker.join()
    assert stopped.is_set()
    assert refresher.refresh(token, None).session.sub == user_pool.users["alice"].sub


def raise_in(thread: threading.Thread, error: type[BaseException]) -> None:
    assert (
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(error)) == 1
    )


# where none is made


def test_a_public_path_never_waits_for_a_refresh(user_pool, house):
    user_pool.trouble.token = "slow"
    lose_access_token(house)
    assert house.environ_of("/")["cognito.claims"] is None
    assert calls(user_pool) == 0


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Origin": "https://evil.example"}, id="Origin"),
        pytest.param({"Origin": "null"}, id="null"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, id="Fetch Metadata"),
    ],
)
@pytest.mark.parametrize("path", ["/x", "/refresh"])
def test_another_site_causes_no_refresh(user_pool, house, headers, path):
    lose_access_token(house)
    answer = house.ask(path, FETCH, method="POST", headers=headers)
    assert answer.status_code == 403
    assert answer.headers.getlist("Set-Cookie") == []
    assert calls(user_pool) == 0


SPOILERS: dict[str, Callable[[str], str]] = {
    "cut short": lambda value: value[:-1],
    "a character changed": lambda value: value[:50] + ("A" if value[50] != "A" else "B") + value[51:],
    "rubbish": lambda value: "rubbish",
    "not UTF-8": lambda value: "\xff\xfe",
    "too long": lambda value: value * 30,
}


def test_a_session_that_has_grown_too_large_keeps_its_rotated_token(user_pool):
    """Else he would be signed out once the operator has mended it."""
    user_pool.trouble.rotation = True
    house = signed_in(user_pool)
    user_pool.set_groups("alice", [f"{number:040}" for number in range(100)])
    lose_access_token(house)
    answer = house.ask("/x")
    assert answer.status_code == 400
    assert "too large" in answer.text
    assert list(Page(answer.text).links.values()) == ["/", "/logout"]
    assert calls(user_pool) == 1
    user_pool.set_groups("alice", [])
    another_process = House(house.config, RULES)
    another_process.client._cookies = house.client._cookies
    assert another_process.environ_of("/x")["REMOTE_USER"] == "alice"


@pytest.mark.parametrize("kind", SPOILERS)
def test_a_broken_refresh_cookie_is_no_session_and_goes(user_pool, house, kind):
    header = f"{REFRESH}={SPOILERS[kind](house.cookies[REFRESH])}"
    for ask, status in ((NAVIGATION, 302), (FETCH, 401)):
        answer = by_header(house).ask("/x", ask, headers={"Cookie": header})
        assert answer.status_code == status
        assert names_of(answer, deleted=True) == {REFRESH}
    assert calls(user_pool) == 0


@pytest.mark.parametrize(("path", "status"), [("/admin", 403), ("/a/../b", 400)])
def test_good_cookies_stay_where_a_request_is_refused(house, path, status):
    assert {ACCESS, ID, REFRESH} < set(house.cookies)  # and that of the sign-in
    for kind in (NAVIGATION, FETCH):
        answer = house.ask(path, kind)
        assert answer.status_code == status
        assert names_of(answer, deleted=True) == set()


# POST /refresh


def test_a_page_may_ask_for_new_tokens(user_pool, house):
    before = house.cookies[ACCESS]
    answer = house.ask("/refresh", FETCH, method="POST", headers={"Origin": "http://localhost"})
    assert answer.status_code == 200
    assert answer.mimetype == "application/json"
    assert names_of(answer) == {ACCESS, ID, REFRESH}
    assert house.cookies[ACCESS] != before
    assert answer.json == {"expires_at": claims_of(house.cookies[ACCESS])["exp"]}
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("arrange", "status"),
    [
        pytest.param(lambda pool, house: house.client._cookies.clear(), 401, id="nobody"),
        pytest.param(lambda pool, house: house.client.delete_cookie(REFRESH), 401, id="no refresh token"),
        pytest.param(lambda pool, house: pool.revoke_all("alice"), 401, id="revoked"),
        pytest.param(lambda pool, house: setattr(pool.trouble, "token", "503"), 503, id="outage"),
    ],
)
def test_a_page_that_asks_in_vain_is_told_so(user_pool, house, arrange, status):
    arrange(user_pool, house)
    answer = house.ask("/refresh", FETCH, method="POST")
    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"
    assert answer.headers.getlist("Set-Cookie") == []
    assert ("Retry-After" in answer.headers) is (status == 503)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_new_tokens_are_asked_for_by_post_alone(user_pool, house, method):
    answer = house.ask("/refresh", FETCH, method=method)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"
    assert calls(user_pool) == 0


def test_while_refresh_is_off_nothing_is_refreshed_and_the_path_is_the_applications(user_pool):
    config = local_config(user_pool, AWS_COGNITO_REFRESH_COOKIE_ENCRYPTED=False)
    house = House(config, {**RULES, "/refresh": "public"})
    house.sign_in("/x")
    assert REFRESH not in house.cookies
    assert house.ask("/refresh", FETCH, method="POST").data == b"inside"
    house.set_cookie(REFRESH, user_pool.issue_tokens("alice", client="web")["refresh_token"])
    lose_access_token(house)
    assert house.ask("/x", FETCH).status_code == 401
    assert calls(user_pool) == 0


# what is said of it


def test_a_refresher_shows_no_token(user_pool):
    refresher = make_refresher(user_pool)
    tokens = user_pool.issue_tokens("alice", client="web")
    refreshed = refresher.refresh(tokens["refresh_token"], tokens["id_token"])
    assert repr(refresher) == "Refresher()"
    assert refreshed.session.user_info["email"] == "alice@example.test"


def test_the_log_tells_of_refreshes_and_holds_no_token(user_pool, house, caplog):
    with caplog.at_level(logging.DEBUG, "cognito_wsgi"):
        lose_access_token(house)
        house.ask("/x")
        token = refresh_token_of(house)
        user_pool.revoke_all("alice")
        with hours_later(), pytest.raises(RefreshRefused):
            house.gateway._visitors._refresher.refresh(token, None)
    assert "session refreshed" in caplog.text
    assert "session ended" in caplog.text
    assert not any(value[:40] in caplog.text for value in (token, *house.cookies.values()))
