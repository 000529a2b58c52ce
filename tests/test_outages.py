"""Cognito is slow, broken, gone, or has new keys: who is let in, who has to wait, and for how long (design.md §7, §8)."""

from __future__ import annotations

import gc
import json
import logging
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
import requests
import time_machine
from werkzeug.test import EnvironBuilder, TestResponse, run_wsgi_app

from cognito_wsgi import CognitoGateway, endpoints
from cognito_wsgi.local import LocalUserPool

from .forging import base64url, decode
from .serving import wait_for
from .visiting import FETCH, NAVIGATION, Application, House, holding, local_config

TROUBLES = ["429", "503", "500", "html", "garbage", "slow", "drip", "huge", "redirect", "empty", "close"]
RULES: dict[str, Any] = {"/public": "public"}
#: Seconds. Those troubles alone that last for ever are worth a short one.
TIMEOUT = 1
LONG_TIMEOUT = 5
#: Seconds for the rest of a request, on a machine that has other things to do.
ALL_ELSE = 3
DAY = 24 * 3600
PLAIN_REFRESH = {"AWS_COGNITO_REFRESH_FLOW_ENABLED": True, "AWS_COGNITO_REFRESH_COOKIE_ENCRYPTED": False}


@pytest.fixture(scope="module")
def host() -> Iterator[LocalUserPool]:
    with LocalUserPool() as host:
        yield host


@pytest.fixture
def cognito(host: LocalUserPool) -> Iterator[LocalUserPool]:
    host.calls.clear()
    yield host
    host.trouble.clear()
    fetch_ends()


def house_of(cognito: LocalUserPool, trouble: str | None = None, **settings: Any) -> House:
    """A gateway that has just been started, and is as patient as a trouble to come allows."""
    timeout = TIMEOUT if trouble in ("slow", "drip") else LONG_TIMEOUT
    return House(local_config(cognito, AWS_COGNITO_TIMEOUT_SECONDS=timeout, **settings), RULES)


def lasting_token(cognito: LocalUserPool, lifetime: int = 10 * DAY, **changes: Any) -> str:
    """An access token that lives longer than Cognito's do."""
    token = cognito.issue_tokens("alice", client="web")["access_token"]
    claims = json.loads(decode(token.split(".")[1]))
    return cognito.sign({**claims, "exp": claims["iat"] + lifetime, **changes})


def with_session(house: House, cognito: LocalUserPool, **changes: Any) -> House:
    house.set_cookie("cognito_access_token", lasting_token(cognito, **changes))
    return house


def assert_is_let_in(house: House) -> None:
    answer = house.ask("/private")
    assert (answer.status_code, answer.data) == (200, b"inside")
    assert house.app.environs[-1]["cognito.claims"]["username"] == "alice"


def assert_is_an_outage(house: House, kind: dict[str, str] = NAVIGATION, address: str = "/private") -> None:
    """503 in good time, and the session is as it was."""
    reached, cookies = len(house.app.environs), house.cookies
    began = time.monotonic()
    answer = house.ask(address, kind)
    assert time.monotonic() - began < TIMEOUT + ALL_ELSE
    assert answer.status_code == 503
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert "Set-Cookie" not in answer.headers
    assert answer.mimetype == ("text/html" if kind is NAVIGATION else "application/problem+json")
    assert len(house.app.environs) == reached
    assert house.cookies == cookies


# keys


def test_sixty_four_requests_to_a_new_process_share_one_fetch(cognito: LocalUserPool) -> None:
    gateway = CognitoGateway(Application(), local_config(cognito), RULES)
    cookie = f"cognito_access_token={lasting_token(cognito)}"
    cognito.trouble.delay = 0.2
    cognito.trouble.jwks = "slow"  # time for all to arrive
    start = threading.Barrier(64)

    def ask(_: int) -> str:
        start.wait(10)
        return ask_gateway(gateway, cookie)

    with ThreadPoolExecutor(64) as threads:
        assert set(threads.map(ask, range(64))) == {"200 OK"}
    assert cognito.calls["jwks"] == 1


def ask_gateway(gateway: CognitoGateway, cookie: str) -> str:
    """The status line, with as little around it as can be."""
    environ = EnvironBuilder(
        "/private", headers=FETCH, environ_overrides={"HTTP_COOKIE": cookie}
    ).get_environ()
    return run_wsgi_app(gateway, environ)[1]


def memory_kept_of(work: Callable[[], object]) -> int:
    """Bytes that are there after the work and were not before it; the second time, when caches are filled."""
    tracemalloc.start()
    try:
        work()
        gc.collect()  # empties the interpreter's own stocks too
        before = tracemalloc.get_traced_memory()[0]
        work()
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


class Flood:
    """Tokens without fault but for a ``kid`` that nobody knows: each costs the gateway a look at its keys."""

    def __init__(self, gateway: CognitoGateway, token: str) -> None:
        self._gateway = gateway
        self._claims = token.split(".")[1]
        self._environ = EnvironBuilder("/private", headers=FETCH).get_environ()
        self._sent = 0

    def send(self, number: int) -> set[str]:
        """The status lines that came."""
        statuses: set[str] = set()
        for _ in range(number):
            self._sent += 1
            header = base64url(b'{"alg":"RS256","kid":"%d"}' % self._sent)
            cookie = f"cognito_access_token={header}.{self._claims}.AAAA"
            answer = self._gateway(
                {**self._environ, "HTTP_COOKIE": cookie}, lambda status, _: statuses.add(status)
            )
            answer.close()
        return statuses


@pytest.mark.parametrize(
    ("trouble", "status", "rounds"),
    [
        pytest.param(None, "401 UNAUTHORIZED", 10, id="10,000 with the pool up"),
        pytest.param("503", "503 SERVICE UNAVAILABLE", 2, id="2,000 with the pool down"),
    ],
)
def test_flood_of_unknown_kids_costs_one_fetch_and_disturbs_nobody(
    cognito: LocalUserPool, trouble: str | None, status: str, rounds: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "cognito_wsgi")  # pytest would keep the 10,000 lines
    with time_machine.travel(time.time(), tick=False):
        gateway = CognitoGateway(Application(), local_config(cognito), RULES)
        token = lasting_token(cognito)
        flood = Flood(gateway, token)
        assert ask_gateway(gateway, f"cognito_access_token={token}") == "200 OK"
        cognito.trouble.jwks = trouble
        for n in range(rounds):
            assert flood.send(1000) == {status}
            for good in (token, lasting_token(cognito, jti=str(n))):
                assert ask_gateway(gateway, f"cognito_access_token={good}") == "200 OK"
        assert memory_kept_of(lambda: flood.send(500)) < 10_000  # bytes: twenty for each would show
    assert cognito.calls["jwks"] == 2


def test_outage_of_a_day_changes_nothing_and_then_nobody_is_signed_out(cognito: LocalUserPool) -> None:
    with time_machine.travel(time.time(), tick=False) as clock:
        house = with_session(house_of(cognito), cognito)
        assert_is_let_in(house)
        cognito.trouble.jwks = "503"
        for _ in range(23):
            clock.shift(3600)
            assert_is_let_in(house)
            fetch_ends()
        clock.shift(3599)
        assert_is_let_in(house)
        fetch_ends()
        clock.shift(1)
        for kind in (NAVIGATION, FETCH):
            assert_is_an_outage(house, kind)
        public = house.ask("/public")
        assert (public.status_code, house.app.environs[-1]["cognito.claims"]) == (200, None)
        assert "Set-Cookie" not in public.headers
        fetch_ends()
        cognito.trouble.clear()
        assert_is_let_in(house)


def fetch_ends() -> None:
    """Wait for the fetch in the background."""
    wait_for(lambda: "cognito_wsgi keys" not in {thread.name for thread in threading.enumerate()})


@pytest.mark.parametrize("trouble", TROUBLES)
def test_new_process_in_an_outage_answers_503_and_recovers_by_itself(
    cognito: LocalUserPool, trouble: str
) -> None:
    house = with_session(house_of(cognito, trouble), cognito)
    cognito.trouble.jwks = trouble
    for kind in (NAVIGATION, FETCH):
        assert_is_an_outage(house, kind)
    cognito.trouble.clear()
    assert_is_let_in(house)
    assert cognito.calls["jwks"] == 3
    assert cognito.calls["elsewhere"] == 0


@pytest.mark.parametrize("trouble", TROUBLES)
def test_keys_are_kept_through_every_trouble(cognito: LocalUserPool, trouble: str) -> None:
    with time_machine.travel(time.time(), tick=False) as clock:
        house = with_session(house_of(cognito, trouble), cognito)
        assert_is_let_in(house)
        cognito.trouble.jwks = trouble
        clock.shift(3600)
        began = time.monotonic()
        assert_is_let_in(house)
        assert time.monotonic() - began < TIMEOUT  # nobody waits for the fetch in the background
        fetch_ends()
        assert cognito.calls["jwks"] == 2
        assert_is_let_in(house)


def test_keys_are_renewed_after_an_hour_and_no_sooner(cognito: LocalUserPool) -> None:
    with time_machine.travel(time.time(), tick=False) as clock:
        house = with_session(house_of(cognito), cognito)
        assert_is_let_in(house)
        for seconds, calls in ((3599, 1), (1, 2), (3599, 2), (1, 3)):
            clock.shift(seconds)
            assert_is_let_in(house)
            fetch_ends()
            assert cognito.calls["jwks"] == calls


def test_tokens_of_a_removed_key_are_refused_after_the_next_refresh(cognito: LocalUserPool) -> None:
    with time_machine.travel(time.time(), tick=False) as clock:
        house = with_session(house_of(cognito), cognito)
        assert_is_let_in(house)
        cognito.rotate_keys(keep_old=False)
        clock.shift(3599)
        assert_is_let_in(house)
        clock.shift(1)
        assert_is_let_in(house)  # and the keys are renewed aside
        fetch_ends()
        assert house.ask("/private").status_code == 302
        assert house.ask("/private", FETCH).status_code == 401


def test_new_keys_under_load_make_no_refusal(cognito: LocalUserPool) -> None:
    gateway = CognitoGateway(Application(), local_config(cognito), RULES)
    tokens = [lasting_token(cognito)]
    assert ask_gateway(gateway, f"cognito_access_token={tokens[0]}") == "200 OK"
    stop = threading.Event()
    statuses: list[str] = []

    def load() -> None:
        while not stop.is_set():
            for token in list(tokens):
                statuses.append(ask_gateway(gateway, f"cognito_access_token={token}"))

    def go_on() -> None:
        enough = len(statuses) + 100
        wait_for(lambda: len(statuses) > enough, 60)

    with ThreadPoolExecutor(8) as threads:
        loading = [threads.submit(load) for _ in range(8)]
        try:
            go_on()
            cognito.rotate_keys()
            tokens.append(lasting_token(cognito))  # at once used by all threads
            go_on()
            tokens.append(lasting_token(cognito))
            go_on()
        finally:
            stop.set()
        for each in loading:
            each.result()
    assert set(statuses) == {"200 OK"}
    assert cognito.calls["jwks"] == 2


def test_new_key_during_an_outage_is_no_reason_to_sign_anybody_out(cognito: LocalUserPool) -> None:
    with time_machine.travel(time.time(), tick=False) as clock:
        house = with_session(house_of(cognito), cognito)
        assert_is_let_in(house)
        cognito.rotate_keys()
        house = with_session(house, cognito)
        cognito.trouble.jwks = "close"
        for kind in (NAVIGATION, FETCH, NAVIGATION):
            assert_is_an_outage(house, kind)
        assert cognito.calls["jwks"] == 2
        cognito.trouble.clear()
        clock.shift(30)
        assert_is_let_in(house)


def assert_public_path_waits_for_nothing(house: House) -> None:
    """One wait for keys that do not come would take 5 seconds, and twenty for keys that drip as many more."""
    began = time.monotonic()
    for _ in range(20):
        assert house.environ_of("/public")["cognito.claims"] is None
        assert time.monotonic() - began < 4


@pytest.mark.parametrize("trouble", ["drip", "close"])
def test_public_path_never_waits(cognito: LocalUserPool, trouble: str) -> None:
    house = with_session(house_of(cognito, trouble), cognito)
    cognito.trouble.jwks = trouble
    assert_public_path_waits_for_nothing(house)


def test_public_path_never_waits_and_what_it_has_begun_serves_those_who_come_later(
    cognito: LocalUserPool,
) -> None:
    house = with_session(house_of(cognito), cognito)
    with holding(cognito, "jwks"):
        assert_public_path_waits_for_nothing(house)
    fetch_ends()
    assert house.environ_of("/public")["cognito.claims"]["username"] == "alice"
    assert cognito.calls["jwks"] == 1


def test_public_path_with_an_unknown_key_never_waits(cognito: LocalUserPool) -> None:
    house = with_session(house_of(cognito), cognito)
    assert_is_let_in(house)
    cognito.rotate_keys()
    with_session(house, cognito)
    with holding(cognito, "jwks"):
        assert_public_path_waits_for_nothing(house)
    fetch_ends()
    assert house.environ_of("/public")["cognito.claims"]["username"] == "alice"
    assert cognito.calls["jwks"] == 2


# tokens


def expired(house: House, cognito: LocalUserPool) -> House:
    """A session whose access token has expired and whose refresh token is good."""
    tokens = cognito.issue_tokens("alice", client="web")
    house.set_cookie("cognito_access_token", lasting_token(cognito, lifetime=-1))
    house.set_cookie("cognito_refresh_token", tokens["refresh_token"])
    return house


def refreshing(cognito: LocalUserPool, trouble: str | None = None) -> House:
    return expired(house_of(cognito, trouble, **PLAIN_REFRESH), cognito)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_refresh_in_an_outage_ends_no_session(cognito: LocalUserPool, trouble: str) -> None:
    house = refreshing(cognito, trouble)
    cognito.trouble.token = trouble
    for kind in (NAVIGATION, FETCH):
        assert_is_an_outage(house, kind)
    began = time.monotonic()
    assert house.environ_of("/public")["cognito.claims"] is None
    assert time.monotonic() - began < TIMEOUT
    cognito.trouble.clear()
    assert_is_let_in(house)
    assert cognito.calls["token"] == 3


#: What visitors need of Cognito, and how long their access tokens live for that.
NEEDS = pytest.mark.parametrize(
    ("endpoint", "lifetime"),
    [pytest.param("jwks", DAY, id="keys"), pytest.param("token", -1, id="refresh")],
)


def ten_visitors(cognito: LocalUserPool, lifetime: int) -> list[str]:
    """Their Cookie headers."""
    return [
        f"cognito_access_token={lasting_token(cognito, lifetime)}; "
        f"cognito_refresh_token={cognito.issue_tokens('alice', client='web')['refresh_token']}"
        for _ in range(10)
    ]


@NEEDS
def test_outage_holds_one_request_at_a_time_and_the_first_after_it_is_let_in(
    cognito: LocalUserPool, endpoint: str, lifetime: int
) -> None:
    gateway = CognitoGateway(Application(), local_config(cognito, **PLAIN_REFRESH), RULES)
    visitors = ten_visitors(cognito, lifetime)
    setattr(cognito.trouble, endpoint, "503")
    for n in range(20):
        assert ask_gateway(gateway, visitors[n % 10]) == "503 SERVICE UNAVAILABLE"
    assert cognito.calls[endpoint] == 20
    with ThreadPoolExecutor(10) as threads:
        with holding(cognito, endpoint):
            first = threads.submit(ask_gateway, gateway, visitors[0])
            wait_for(lambda: cognito.calls[endpoint] == 21)
            refused = set(threads.map(partial(ask_gateway, gateway), visitors[1:]))
            assert refused == {"503 SERVICE UNAVAILABLE"}
            assert not first.done()
        assert first.result() == "200 OK"
    assert cognito.calls[endpoint] == 21
    cognito.trouble.clear()
    assert {ask_gateway(gateway, visitor) for visitor in visitors} == {"200 OK"}


@NEEDS
def test_crowd_that_comes_after_an_outage_is_let_in(
    cognito: LocalUserPool, endpoint: str, lifetime: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One answer of 429 in the night must not meet all who come in the morning."""
    monkeypatch.setattr(endpoints, "PATIENCE", 20)  # for a slow machine, too
    gateway = CognitoGateway(Application(), local_config(cognito, **PLAIN_REFRESH), RULES)
    visitors = ten_visitors(cognito, lifetime)
    setattr(cognito.trouble, endpoint, "503")
    assert ask_gateway(gateway, visitors[0]) == "503 SERVICE UNAVAILABLE"
    cognito.trouble.delay = 0.25
    setattr(cognito.trouble, endpoint, "slow")
    with ThreadPoolExecutor(10) as threads:
        assert set(threads.map(partial(ask_gateway, gateway), visitors)) == {"200 OK"}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_sign_in_in_an_outage_ends_on_a_503_in_time(cognito: LocalUserPool, trouble: str) -> None:
    house = house_of(cognito, trouble)
    with requests.Session() as http:
        callback = house.go_to_pool(http, house.ask("/private").location, "alice")
    cognito.trouble.token = trouble
    assert_is_an_outage(house, address=callback)
    assert cognito.calls["token"] == 1


@pytest.mark.parametrize("endpoint", ["token", "jwks"])
def test_sign_in_that_met_an_outage_is_finished_by_a_reload(cognito: LocalUserPool, endpoint: str) -> None:
    house = house_of(cognito)
    with requests.Session() as http:
        callback = house.go_to_pool(http, house.ask("/private").location, "alice")
    setattr(cognito.trouble, endpoint, "503")
    for _ in range(5):
        assert_is_an_outage(house, address=callback)
    cognito.trouble.clear()
    assert house.ask(callback).status_code == 303
    assert_is_let_in(house)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_sign_out_works_in_an_outage(cognito: LocalUserPool, trouble: str) -> None:
    house = refreshing(cognito, trouble)
    cognito.trouble.revoke = trouble
    began = time.monotonic()
    answer: TestResponse = house.ask("/logout")
    assert time.monotonic() - began < TIMEOUT + ALL_ELSE
    assert answer.status_code == 302
    assert answer.location.startswith(f"{cognito.domain}/logout?")
    assert house.cookies == {}
    assert cognito.calls["revoke"] == 1
