"""The pool's keys: which are taken from a key set, and when it is fetched (design.md §8)."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import time_machine

from cognito_wsgi import CognitoError, CognitoGateway, ConfigurationError, endpoints, forks
from cognito_wsgi.errors import UnknownKey
from cognito_wsgi.forks import run_in_forked_children
from cognito_wsgi.jwks import MAX_KID_LENGTH, KeyStore, parse_key_set
from cognito_wsgi.tokens import _prepare

from .forging import (
    HEADER,
    KID,
    NOW,
    POOL,
    SIGNING_KEY,
    access_claims,
    base64url,
    decode,
    jwk,
    new_key,
    signed,
    uint,
    verifier,
)
from .serving import ROOT, served, wait_for

#: Seconds (design.md §8).
AN_HOUR, A_DAY, BETWEEN_SEARCHES = 3600, 24 * 3600, 30

NUMBERS = SIGNING_KEY.public_key().public_numbers()
GOOD = jwk(NUMBERS, KID)
SECOND = {**GOOD, "kid": "second"}


def without(member: str) -> dict[str, Any]:
    return {name: value for name, value in GOOD.items() if name != member}


def sized(bits: int) -> dict[str, Any]:
    """A key whose modulus has exactly so many bits. (Nothing is signed with it: the number is odd, and that is all.)"""
    return {**GOOD, "kid": "sized", "n": uint((1 << (bits - 1)) | 1)}


# parsing


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(GOOD, id="as Cognito writes it"),
        pytest.param({**GOOD, "kid": "k" * MAX_KID_LENGTH}, id="longest kid"),
        pytest.param(without("use"), id="no use"),
        pytest.param(without("alg"), id="no alg"),
        pytest.param({**GOOD, "key_ops": ["verify"]}, id="key_ops verify"),
        pytest.param({**GOOD, "key_ops": ["sign", "verify"]}, id="key_ops sign and verify"),
        pytest.param({**GOOD, "x5c": ["MIIB"], "x5t": "abc", "issuer": "https://x.test"}, id="other members"),
        pytest.param({**GOOD, "e": "Aw"}, id="exponent 3"),
        pytest.param({**GOOD, "e": uint(2**255 + 1)}, id="largest exponent"),
        pytest.param(sized(2048), id="2048 bits"),
        pytest.param(sized(16384), id="16384 bits"),
        pytest.param({**GOOD, "n": GOOD["n"] + "=="}, id="n padded"),
        pytest.param({**GOOD, "n": base64url(b"\0\0\0" + decode(GOOD["n"]))}, id="n with leading zeros"),
        pytest.param({**GOOD, "e": "AAEAAQ"}, id="e with leading zeros"),
    ],
)
def test_usable_key_is_taken(entry: dict[str, Any]) -> None:
    key = parse_key_set({"keys": [entry]})[entry["kid"]]
    assert key.kid == entry["kid"]
    assert key.n == int.from_bytes(decode(entry["n"].rstrip("=")), "big")
    assert key.e == int.from_bytes(decode(entry["e"]), "big")


UNUSABLE: dict[str, Any] = {
    "null": None,
    "a text": "key",
    "a list": [GOOD],
    "an empty object": {},
    "no kty": without("kty"),
    "kty EC": {"kty": "EC", "kid": KID, "use": "sig", "crv": "P-256", "x": "AA", "y": "AA", "alg": "ES256"},
    "kty EC with the numbers of RSA": {**GOOD, "kty": "EC"},
    "kty oct": {"kty": "oct", "kid": KID, "k": "c2VjcmV0", "alg": "HS256"},
    "kty OKP": {"kty": "OKP", "kid": KID, "crv": "Ed25519", "x": "AA"},
    "kty in small letters": {**GOOD, "kty": "rsa"},
    "kty a list": {**GOOD, "kty": ["RSA"]},
    "no kid": without("kid"),
    "kid null": {**GOOD, "kid": None},
    "kid empty": {**GOOD, "kid": ""},
    "kid a number": {**GOOD, "kid": 1},
    "kid too long by a character": {**GOOD, "kid": "k" * (MAX_KID_LENGTH + 1)},
    "use enc": {**GOOD, "use": "enc"},
    "use null": {**GOOD, "use": None},
    "use a list": {**GOOD, "use": ["sig"]},
    "alg RS384": {**GOOD, "alg": "RS384"},
    "alg PS256": {**GOOD, "alg": "PS256"},
    "alg RSA-OAEP": {**GOOD, "alg": "RSA-OAEP"},
    "alg HS256": {**GOOD, "alg": "HS256"},
    "alg null": {**GOOD, "alg": None},
    "key_ops encrypt": {**GOOD, "key_ops": ["encrypt"]},
    "key_ops sign alone": {**GOOD, "key_ops": ["sign"]},
    "key_ops empty": {**GOOD, "key_ops": []},
    "key_ops a text": {**GOOD, "key_ops": "verify"},
    "key_ops null": {**GOOD, "key_ops": None},
    "no n": without("n"),
    "n null": {**GOOD, "n": None},
    "n empty": {**GOOD, "n": ""},
    "n a number": {**GOOD, "n": NUMBERS.n},
    # (four characters more, since a decoder that passes over them still counts them)
    "n in the other alphabet": {**GOOD, "n": "++//" + GOOD["n"]},
    "n with blanks": {**GOOD, "n": "    " + GOOD["n"]},
    "n with lines": {**GOOD, "n": GOOD["n"] + "\r\n\r\n"},
    "n no whole bytes": {**GOOD, "n": GOOD["n"] + "AAA"},
    "n with letters that are none of ASCII": {**GOOD, "n": "é" + GOOD["n"]},
    "n even": {**GOOD, "n": uint(NUMBERS.n - 1)},
    "n zero": {**GOOD, "n": "AA"},
    "n of 1024 bits": sized(1024),
    "n of 2047 bits": sized(2047),
    "n of 16385 bits": sized(16385),
    "n without end": {**GOOD, "n": "A" * 100_000 + GOOD["n"]},
    "no e": without("e"),
    "e null": {**GOOD, "e": None},
    "e a number": {**GOOD, "e": 65537},
    "e zero": {**GOOD, "e": "AA"},
    "e one": {**GOOD, "e": "AQ"},
    "e even": {**GOOD, "e": uint(65536)},
    "e too large": {**GOOD, "e": uint(2**256 + 1)},
    "its private half": {**GOOD, "d": "AQAB"},
    "its private half, null": {**GOOD, "d": None},
    "its primes": {**GOOD, "p": "AQAB", "q": "AQAB"},
}


@pytest.mark.parametrize("entry", [pytest.param(entry, id=name) for name, entry in UNUSABLE.items()])
def test_unusable_key_is_left_out_and_spoils_no_other(entry: Any) -> None:
    other = {"second": parse_key_set({"keys": [SECOND]})["second"]}
    assert parse_key_set({"keys": [entry]}) == {}
    assert parse_key_set({"keys": [entry, SECOND]}) == other
    assert parse_key_set({"keys": [SECOND, entry]}) == other


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"keys": None},
        {"keys": {}},
        {"keys": {"0": GOOD}},
        {"keys": "keys"},
        {"keys": []},
        {"Keys": [GOOD]},
        GOOD,
    ],
)
def test_what_is_no_key_set_has_no_keys(document: Any) -> None:
    assert parse_key_set(document) == {}


def test_first_key_of_a_kid_stands() -> None:
    another = jwk(new_key().public_key().public_numbers(), KID)
    assert parse_key_set({"keys": [GOOD, another]})[KID].n == NUMBERS.n
    assert parse_key_set({"keys": [another, GOOD]})[KID].n != NUMBERS.n


@pytest.mark.parametrize(("bits", "exponent"), [(2048, 3), (2048, 65537), (3072, 65537)])
def test_keys_of_each_usual_size_verify(bits: int, exponent: int) -> None:
    key = new_key(bits, exponent=exponent)
    by = verifier(jwks={"keys": [jwk(key.public_key().public_numbers(), KID)]})
    assert by.verify_access_token(signed(HEADER, access_claims(), key=key), now=NOW).claims == access_claims()


@pytest.mark.parametrize("entry", [sized(16384), {**GOOD, "e": uint(2**255 + 1)}, sized(2048)])
def test_key_that_nobody_can_sign_with_verifies_nothing_and_breaks_nothing(entry: dict[str, Any]) -> None:
    key = parse_key_set({"keys": [entry]})[entry["kid"]]
    assert _prepare(key).verify(b"text", b"\1" * (key.n.bit_length() // 8)) is False


# a fixed set


def test_fixed_set_without_a_usable_key_is_a_configuration_error() -> None:
    config = POOL.config(jwks={"keys": [{**GOOD, "use": "enc"}]})
    with pytest.raises(ConfigurationError, match=r"AWS_COGNITO_JWKS.*2048"):
        KeyStore(config)
    with pytest.raises(ConfigurationError, match="AWS_COGNITO_JWKS"):
        CognitoGateway(lambda environ, start_response: [], config)


# a set that is fetched


class KeyServer:
    """A key set over HTTP, as the test wants it at the moment."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.entries: list[Any] = [GOOD]
        self.is_up = True
        self.calls = 0
        self.before_answer: Callable[[], object] = lambda: None
        self._counting = threading.Lock()

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        with self._counting:
            self.calls += 1
        self.before_answer()
        start_response("200 OK" if self.is_up else "503 Down", [("Content-Type", "application/json")])
        return [json.dumps({"keys": self.entries}).encode()]


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[str, dict[str, KeyServer]]]:
    """One HTTP server for all tests, and what answers there, by path. (It takes half a second to stop.)"""
    by_path: dict[str, KeyServer] = {}

    def app(environ: Any, start_response: Any) -> list[bytes]:
        return by_path[environ["PATH_INFO"]](environ, start_response)

    with served(lambda origin: app) as origin:
        yield origin, by_path


@pytest.fixture
def server(servers: tuple[str, dict[str, KeyServer]]) -> KeyServer:
    origin, by_path = servers
    path = f"/{len(by_path)}/jwks.json"
    by_path[path] = KeyServer(origin + path)
    return by_path[path]


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


@pytest.fixture
def store(server: KeyServer, clock: Any) -> KeyStore:
    return KeyStore(POOL.config(jwks=None, jwks_url=server.url, timeout=5))


def find(store: KeyStore, kid: str = KID, *, wait: bool = True) -> Any:
    return store.find(kid, time.time(), wait=wait)


def quiet(store: KeyStore) -> None:
    """Wait until no fetch is under way."""
    wait_for(lambda: store._under_way is None)


def test_keys_are_fetched_on_first_need_and_then_kept(server: KeyServer, store: KeyStore, clock: Any) -> None:
    assert server.calls == 0
    assert find(store).n == NUMBERS.n
    clock.shift(AN_HOUR - 1)
    assert find(store).n == NUMBERS.n
    quiet(store)
    assert server.calls == 1


def test_keys_of_an_hour_are_renewed_in_the_background(
    server: KeyServer, store: KeyStore, clock: Any
) -> None:
    find(store)
    gate = threading.Event()
    server.before_answer = lambda: gate.wait(10)
    server.entries = [SECOND]
    clock.shift(AN_HOUR)
    for _ in range(3):
        with at_once():
            assert find(store).kid == KID
    gate.set()
    quiet(store)
    assert server.calls == 2
    assert find(store, "second").kid == "second"
    with pytest.raises(UnknownKey):
        find(store)


def test_keys_survive_an_outage_of_a_day_and_not_longer(
    server: KeyServer, store: KeyStore, clock: Any
) -> None:
    find(store)
    server.is_up = False
    for hour in range(1, 24):
        clock.move_to(NOW + hour * 3600)
        assert find(store).kid == KID
        quiet(store)
    clock.move_to(NOW + A_DAY - 1)
    assert find(store).kid == KID
    quiet(store)
    clock.move_to(NOW + A_DAY)
    with pytest.raises(CognitoError):
        find(store)
    server.is_up = True
    assert find(store).kid == KID


@pytest.mark.parametrize(
    "entries", [[], [{**GOOD, "use": "enc"}], [None], [{}]], ids=["empty", "unusable", "null", "an empty key"]
)
def test_set_without_a_usable_key_is_a_failed_fetch(
    server: KeyServer, store: KeyStore, clock: Any, entries: list[Any]
) -> None:
    find(store)
    good, server.entries = server.entries, entries
    clock.shift(AN_HOUR)
    find(store)
    quiet(store)
    assert server.calls == 2
    assert find(store).kid == KID
    fresh = KeyStore(POOL.config(jwks=None, jwks_url=server.url))
    with pytest.raises(CognitoError) as caught:
        find(fresh)
    assert "no usable key" in caught.value.reason
    server.entries = good
    assert find(fresh).kid == KID


def test_an_outage_costs_a_fetch_a_minute_or_so(server: KeyServer, store: KeyStore, clock: Any) -> None:
    find(store)
    server.is_up = False
    clock.shift(AN_HOUR)
    for _ in range(120):  # 20 minutes
        assert find(store).kid == KID
        quiet(store)
        clock.shift(10)
    assert 1200 / 90 <= server.calls - 1 <= 1200 / 30


def test_unknown_kid_is_looked_for_once_in_thirty_seconds(
    server: KeyServer, store: KeyStore, clock: Any
) -> None:
    find(store)
    for seconds in (0, 1, BETWEEN_SEARCHES - 2):
        clock.shift(seconds)
        with pytest.raises(UnknownKey):
            find(store, f"unknown {seconds}")
        assert server.calls == 2
    server.entries = [GOOD, SECOND]
    with pytest.raises(UnknownKey):
        find(store, "second")
    clock.shift(1)
    assert find(store, "second").kid == "second"
    assert server.calls == 3


def test_thirty_seconds_count_from_the_last_fetch_for_an_unknown_kid_alone(
    server: KeyServer, store: KeyStore, clock: Any
) -> None:
    find(store)
    server.entries = [GOOD, SECOND]
    assert find(store, "second").kid == "second"  # a moment after the first fetch
    clock.shift(AN_HOUR)
    find(store)
    quiet(store)
    server.entries = [GOOD, {**GOOD, "kid": "third"}]
    assert find(store, "third").kid == "third"  # a moment after a regular one
    assert server.calls == 4


def test_request_that_began_before_the_last_search_begins_no_other(
    server: KeyServer, store: KeyStore
) -> None:
    find(store)
    for seconds in (0, 0.001, 29, 120):
        with pytest.raises(UnknownKey):
            store.find("unknown", NOW - seconds, wait=True)
    assert server.calls == 2


def test_search_goes_on_after_the_clock_was_set_back(server: KeyServer, store: KeyStore, clock: Any) -> None:
    find(store)
    with pytest.raises(UnknownKey):
        find(store, "second")
    clock.move_to(NOW - 3600)
    find(store)
    quiet(store)  # renewed for the same reason
    server.entries = [GOOD, SECOND]
    assert find(store, "second").kid == "second"


def test_first_fetch_answers_for_an_unknown_kid_too(server: KeyServer, store: KeyStore) -> None:
    with pytest.raises(UnknownKey):
        find(store, "unknown")
    assert server.calls == 1


def test_unknown_kid_cannot_be_told_while_the_pool_is_down(
    server: KeyServer, store: KeyStore, clock: Any
) -> None:
    find(store)
    server.is_up = False
    for _ in range(100):
        with pytest.raises(CognitoError):
            find(store, "second")
        assert find(store).kid == KID
    assert server.calls == 2
    server.is_up = True
    server.entries = [GOOD, SECOND]
    clock.shift(BETWEEN_SEARCHES)
    assert find(store, "second").kid == "second"


def test_unknown_kid_is_unknown_again_after_any_good_fetch(
    server: KeyServer, store: KeyStore, clock: Any
) -> None:
    find(store)
    clock.shift(AN_HOUR - 1)
    server.is_up = False
    with pytest.raises(CognitoError):
        find(store, "second")
    server.is_up = True
    clock.shift(1)
    find(store)
    quiet(store)
    with pytest.raises(UnknownKey):
        find(store, "second")
    assert server.calls == 3


@contextmanager
def at_once() -> Iterator[None]:
    """A fetch that is waited for in vain takes 5 seconds."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < 4


def test_who_may_not_wait_does_not(server: KeyServer, store: KeyStore) -> None:
    gate = threading.Event()
    server.before_answer = lambda: gate.wait(10)
    for _ in range(50):
        with at_once(), pytest.raises(CognitoError):
            find(store, wait=False)
    gate.set()
    quiet(store)
    assert find(store, wait=False).kid == KID
    gate.clear()
    server.entries = [GOOD, SECOND]
    for _ in range(50):
        with at_once(), pytest.raises(UnknownKey):
            find(store, "second", wait=False)
    gate.set()
    quiet(store)
    assert find(store, "second", wait=False).kid == "second"
    assert server.calls == 2


def test_removed_key_is_gone_after_the_next_refresh(server: KeyServer, store: KeyStore, clock: Any) -> None:
    server.entries = [GOOD, SECOND]
    assert find(store, "second").kid == "second"
    server.entries = [GOOD]
    clock.shift(AN_HOUR)
    assert find(store, "second").kid == "second"
    quiet(store)
    with pytest.raises(UnknownKey):
        find(store, "second")


def test_same_keys_again_are_the_same_set(server: KeyServer, store: KeyStore, clock: Any) -> None:
    """So that remembered sessions need not look at it again."""
    find(store)
    keys = store.current(time.time())
    clock.shift(AN_HOUR)
    find(store)
    quiet(store)
    assert server.calls == 2
    assert store.current(time.time()) is keys


def in_threads(number: int, work: Callable[[], Any]) -> list[Any]:
    """What each of so many threads gets, or the exception it meets; all begin together."""
    start = threading.Barrier(number)

    def run(_: int) -> Any:
        start.wait(10)
        try:
            return work()
        except Exception as error:
            return error

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(run, range(number)))


def test_sixty_four_threads_share_the_first_fetch(server: KeyServer, store: KeyStore) -> None:
    server.before_answer = lambda: time.sleep(0.1)  # time for all to arrive
    assert {key.kid for key in in_threads(64, lambda: find(store))} == {KID}
    assert server.calls == 1


@pytest.mark.parametrize("age", [AN_HOUR, A_DAY], ids=["an hour", "a day"])
def test_sixty_four_threads_share_the_renewal_of_old_keys(
    server: KeyServer, store: KeyStore, clock: Any, age: int
) -> None:
    find(store)
    clock.shift(age)
    server.before_answer = lambda: time.sleep(0.1)
    assert {key.kid for key in in_threads(64, lambda: find(store))} == {KID}
    quiet(store)
    assert server.calls == 2


def test_thread_that_comes_late_to_old_keys_finds_the_new_ones(
    server: KeyServer, store: KeyStore, clock: Any
) -> None:
    find(store)
    clock.shift(A_DAY)
    find(store)
    assert store._look_after(time.time()) is store._keys  # it saw the old ones, and waited for the lock since
    quiet(store)
    assert server.calls == 2
    assert find(store).kid == KID


def test_threads_that_wait_in_vain_have_an_error_of_their_own(server: KeyServer, store: KeyStore) -> None:
    """The gateway writes a reference into it, which must not be another visitor's."""
    server.is_up = False
    server.before_answer = lambda: time.sleep(0.1)
    errors = in_threads(16, lambda: find(store))
    assert all(isinstance(error, CognitoError) and "503" in error.reason for error in errors)
    assert len({id(error) for error in errors}) == 16


def test_threads_with_unknown_kids_share_one_fetch(server: KeyServer, store: KeyStore) -> None:
    find(store)

    def flood() -> None:
        for n in range(40):
            with pytest.raises(UnknownKey):
                find(store, f"unknown {n}")

    assert in_threads(32, flood) == [None] * 32
    assert server.calls == 2


@pytest.mark.parametrize(
    ("is_up", "error"), [(True, UnknownKey), (False, CognitoError)], ids=["pool up", "pool down"]
)
def test_ten_thousand_unknown_kids_cost_one_fetch_and_no_memory(
    server: KeyServer, store: KeyStore, is_up: bool, error: type[Exception]
) -> None:
    find(store)
    server.is_up = is_up

    def flood(numbers: range) -> None:
        for n in numbers:
            with pytest.raises(error):
                find(store, f"unknown {n}")
            assert n % 100 or find(store).kid == KID

    flood(range(5000))
    tracemalloc.start()
    flood(range(5000, 10_000))
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < 20_000  # bytes: four for each would show
    assert server.calls == 2


@contextmanager
def held_up(server: KeyServer, store: KeyStore, kid: str = KID) -> Iterator[Future[Any]]:
    """A search for a key that waits at the server as long as the block lasts; then all is well."""
    go_on = threading.Event()
    before = server.calls
    server.is_up, server.before_answer = True, lambda: go_on.wait(10)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(find, store, kid)
        try:
            wait_for(lambda: server.calls > before)
            yield waiting
        finally:
            go_on.set()


@pytest.mark.parametrize("wait", [True, False], ids=["may wait", "may not"])
def test_one_request_at_a_time_waits_for_a_key_set_that_could_not_be_fetched(
    server: KeyServer, store: KeyStore, wait: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "PATIENCE", 0.01)
    server.is_up = False
    with pytest.raises(CognitoError):
        find(store)
    with held_up(server, store) as first:
        for _ in range(20):
            with at_once(), pytest.raises(CognitoError):
                find(store, wait=wait)
        assert not first.done()
    assert first.result().kid == KID
    assert server.calls == 2
    assert find(store).kid == KID


def test_one_request_at_a_time_waits_for_an_unknown_kid_that_could_not_be_looked_for(
    server: KeyServer, store: KeyStore, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "PATIENCE", 0.01)
    find(store)
    server.is_up = False
    with pytest.raises(CognitoError):
        find(store, "second")
    clock.shift(BETWEEN_SEARCHES)
    server.entries = [GOOD, SECOND]
    with held_up(server, store, "second") as first:
        for n in range(20):
            with at_once(), pytest.raises(CognitoError):
                find(store, f"unknown {n}")
            assert find(store).kid == KID
        assert not first.done()
    assert first.result().kid == "second"
    assert server.calls == 3


@pytest.mark.parametrize("is_begun_aside", [False, True], ids=["no fetch", "fetch of one who may not wait"])
def test_first_request_after_an_outage_is_served_however_long_that_was(
    server: KeyServer, store: KeyStore, is_begun_aside: bool
) -> None:
    server.is_up = False
    for _ in range(20):
        with pytest.raises(CognitoError):
            find(store)
    server.is_up = True
    server.before_answer = lambda: time.sleep(0.1)  # time for the one who waits to come
    if is_begun_aside:
        with pytest.raises(CognitoError):
            find(store, wait=False)
    assert find(store).kid == KID
    assert server.calls == 21


def test_outage_that_is_over_holds_up_no_crowd_of_another_day(
    server: KeyServer, store: KeyStore, clock: Any
) -> None:
    server.is_up = False
    with pytest.raises(CognitoError):
        find(store)
    server.is_up = True
    with suppress(CognitoError):
        find(store, wait=False)
    quiet(store)
    clock.shift(A_DAY)
    server.before_answer = lambda: time.sleep(0.1)
    assert {key.kid for key in in_threads(16, lambda: find(store))} == {KID}


def test_clock_that_was_set_back_does_not_keep_keys_young(
    server: KeyServer, store: KeyStore, clock: Any
) -> None:
    find(store)
    server.is_up = False
    clock.move_to(NOW - 10 * 3600)
    for _ in range(20):
        assert find(store).kid == KID
        quiet(store)
    assert server.calls == 2
    server.is_up = True
    server.entries = [SECOND]
    clock.shift(91)
    find(store)
    quiet(store)
    assert find(store, "second").kid == "second"
    assert server.calls == 3


def test_request_that_began_before_the_fetch_needs_no_other(
    server: KeyServer, store: KeyStore, clock: Any
) -> None:
    find(store)
    for seconds in (1, 120):
        assert store.find(KID, NOW - seconds, wait=True).kid == KID
    quiet(store)
    assert server.calls == 1


def test_fetch_that_does_not_end_is_not_waited_for(server: KeyServer, clock: Any) -> None:
    gate = threading.Event()
    server.before_answer = lambda: gate.wait(10)
    store = KeyStore(POOL.config(jwks=None, jwks_url=server.url, timeout=0.2))
    began = time.monotonic()
    with pytest.raises(CognitoError) as caught:
        find(store)
    assert time.monotonic() - began < 4
    assert "no complete answer in 0.2 s" in caught.value.reason
    gate.set()


@pytest.fixture
def no_threads() -> Iterator[None]:
    """The system gives no thread to anybody: it has no memory for a stack so large."""
    size = threading.stack_size(1 << 46)
    try:
        yield
    finally:
        threading.stack_size(size)


def test_system_without_threads_is_an_outage(no_threads: None, clock: Any) -> None:
    with pytest.raises(RuntimeError):
        threading.Thread(target=int).start()
    store = KeyStore(POOL.config(jwks=None, jwks_url="http://127.0.0.1:9/jwks.json"))
    for wait in (True, False):
        with pytest.raises(CognitoError):
            find(store, wait=wait)


# forks


class Witness:
    def __init__(self) -> None:
        self.called = 0

    def note(self) -> None:
        self.called += 1


def test_object_is_told_of_forks_as_long_as_it_lives_and_not_kept_alive() -> None:
    before = len(forks._methods)
    witness = Witness()
    run_in_forked_children(witness, type(witness).note)
    assert len(forks._methods) == before + 1
    forks._run_all()  # what a fork does in the child
    assert witness.called == 1
    trace = weakref.ref(witness)
    del witness
    assert trace() is None
    assert len(forks._methods) == before


def test_child_is_told_of_a_fork_that_its_parent_was_not_told_of() -> None:
    """uWSGI's py-call-osafterfork without its py-call-uwsgi-fork-hooks."""
    witness = Witness()
    run_in_forked_children(witness, type(witness).note)
    forks._start_child()
    assert witness.called == 1
    assert forks.importing.acquire(timeout=10)
    forks._start_child()
    assert witness.called == 2
    assert not forks.importing.locked()


FORKING = """
import os, signal, sys, threading, time
from tests.test_jwks import KeyServer, Witness, KID, POOL, find
from tests.serving import served, wait_for
from cognito_wsgi.forks import run_in_forked_children
from cognito_wsgi.tokens import _prepare
from cognito_wsgi.jwks import KeyStore

def fork(work):
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # a child that is stuck dies of it
        os._exit(0 if work() else 1)
    return child

def ended_well(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

witness, gone = Witness(), Witness()
run_in_forked_children(witness, type(witness).note)
run_in_forked_children(gone, type(gone).note)
del gone
server, gate = KeyServer(""), threading.Event()
server.before_answer = gate.wait
with served(lambda origin: server) as url:
    store = KeyStore(POOL.config(jwks=None, jwks_url=url, timeout=15))
    waiting = threading.Thread(target=find, args=(store,))
    waiting.start()
    wait_for(lambda: server.calls == 1)
    while_fetching = fork(lambda: find(store).kid == KID and witness.called == 1)
    wait_for(lambda: server.calls == 2)  # the child's own
    gate.set()
    waiting.join()
    with store._lock:
        while_locked = fork(lambda: find(store, wait=False).kid == KID and find(store).kid == KID)
        cold = KeyStore(POOL.config(jwks=None, jwks_url=url, timeout=15))
        with cold._lock:
            while_cold = fork(lambda: find(cold).kid == KID)
    cold._health.failure = "status 503"
    with cold._health.waiting():
        while_failing = fork(lambda: find(cold).kid == KID and cold._health._turn.acquire(blocking=False))
    results = [ended_well(child) for child in (while_fetching, while_locked, while_cold, while_failing)]
    assert witness.called == 0
print(results)
"""


def test_child_forked_at_a_bad_moment_is_not_stuck() -> None:
    """While a fetch runs in the parent, while its lock is held, and while somebody waits who alone may."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout.strip(), done.returncode) == ("[True, True, True, True]", 0), done.stderr
