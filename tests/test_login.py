"""Sign-in: several at once, each good once, none without end."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import requests
import time_machine
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client, TestResponse

from cognito_wsgi.cookies import MAX_TOTAL_SIZE
from cognito_wsgi.local import LocalUserPool
from cognito_wsgi.login import Login
from cognito_wsgi.seals import Seal

from .test_refresh import by_header
from .visiting import FETCH, FORM, NAVIGATION, House, Page, local_config, query_of

ACCESS, ID, REFRESH = "cognito_access_token", "cognito_id_token", "cognito_refresh_token"
RULES = {"/": "public", "/admin": ["admin"], "/nobody": ["nobody"]}


@pytest.fixture
def user_pool() -> Iterator[LocalUserPool]:
    with LocalUserPool() as running:
        yield running


@pytest.fixture
def house(user_pool) -> House:
    return House(local_config(user_pool), RULES)


@pytest.fixture
def http() -> Iterator[requests.Session]:
    """The browser's dealings with the pool."""
    with requests.Session() as session:
        yield session


def logins_of(house: House) -> list[str]:
    return [name for name in house.cookies if name.startswith("cognito_login_")]


def begin(house: House, address: str = "/x") -> str:
    """Open an address that needs a sign-in; where at the pool that leads."""
    answer = house.ask(address)
    assert answer.status_code == 302, answer.text
    return answer.location


def drop_session(house: House) -> None:
    for name in house.cookies:
        if not name.startswith("cognito_login_"):
            house.client.delete_cookie(name)


# several at once


@pytest.mark.parametrize(
    "order",
    [
        pytest.param(order, id="".join(map(str, order)))
        for order in ((0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (2, 4, 0, 3, 1))
    ],
)
def test_five_sign_ins_in_one_jar_finish_in_any_order(house, http, order):
    callbacks = {}
    for tab in range(5):
        there = begin(house, f"/tab/{tab}?q={tab}")
        callbacks[tab] = house.go_to_pool(http, there, "alice")
    assert len(logins_of(house)) == 5
    for tab in order:
        answer = house.ask(callbacks[tab])
        assert (answer.status_code, answer.location) == (303, f"/tab/{tab}?q={tab}")
        assert house.environ_of(answer.location)["REMOTE_USER"] == "alice"


def test_two_users_in_two_tabs_end_with_the_last_who_came_back(house):
    addresses = [begin(house, f"/{name}") for name in ("alice", "bob")]
    for name, address in zip(("alice", "bob"), addresses, strict=True):
        with requests.Session() as http:
            assert house.ask(house.go_to_pool(http, address, name)).location == f"/{name}"
        assert house.environ_of("/x")["REMOTE_USER"] == name


def test_the_sixth_sign_in_drops_the_oldest(house, http):
    with time_machine.travel(time.time(), tick=False) as clock:
        addresses = []
        for tab in range(6):
            addresses.append(begin(house, f"/tab/{tab}"))
            clock.shift(1)
            assert len(logins_of(house)) == min(tab + 1, 5)
        callbacks = [house.go_to_pool(http, address, "alice") for address in addresses]
        assert house.ask(callbacks[0]).status_code == 400
        assert [house.ask(callback).status_code for callback in callbacks[1:]] == [303] * 5


def test_a_finished_sign_in_counts_among_the_five(house, http):
    with time_machine.travel(time.time(), tick=False) as clock:
        oldest = house.go_to_pool(http, begin(house, "/oldest"), "alice")
        finished = house.go_to_pool(http, begin(house, "/finished"), "alice")
        clock.shift(1)
        house.ask(finished)
        drop_session(house)
        for tab in range(4):
            clock.shift(1)
            begin(house, f"/tab/{tab}")
        assert len(logins_of(house)) == 5
        assert house.ask(oldest).status_code == 400


NO_NAVIGATIONS = {
    "fetch": FETCH,
    "image": {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image", "Accept": "image/*"},
    "favicon": {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image", "Accept": "text/html, image/*"},
    "script": {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script", "Accept": "*/*"},
    "web socket": {"Sec-Fetch-Mode": "websocket", "Upgrade": "websocket", "Connection": "Upgrade"},
    "prefetch": {**NAVIGATION, "Sec-Purpose": "prefetch"},
    "prerender": {**NAVIGATION, "Sec-Purpose": "prefetch;prerender"},
    "prefetch of old": {**NAVIGATION, "Purpose": "prefetch"},
    "old browser's script": {"Accept": "text/html", "X-Requested-With": "XMLHttpRequest"},
}


@pytest.mark.parametrize("kind", NO_NAVIGATIONS)
@pytest.mark.parametrize("address", ["/x", "/login?next=/x"])
def test_only_a_navigation_starts_a_sign_in(house, kind, address):
    answer = house.ask(address, NO_NAVIGATIONS[kind])
    assert answer.status_code == 401
    assert "Location" not in answer.headers
    assert answer.headers.getlist("Set-Cookie") == []


def test_a_form_sent_without_a_session_starts_none_either(house):
    answer = house.ask("/x", FORM, method="POST")
    assert answer.status_code == 401
    assert "Sign in" in Page(answer.text).links
    assert answer.headers.getlist("Set-Cookie") == []


@pytest.mark.parametrize("kind", [NAVIGATION, FETCH], ids=["navigation", "fetch"])
def test_who_is_signed_in_and_lacks_the_group_gets_403_and_no_new_sign_in(house, kind):
    house.sign_in("/x")
    known = logins_of(house)
    answer = house.ask("/nobody", kind)
    assert answer.status_code == 403
    assert answer.headers.getlist("Set-Cookie") == []
    assert logins_of(house) == known


# state, nonce and verifier


def test_everything_is_fresh_for_every_attempt(house):
    house.client._cookies = None
    texts = set()
    for _ in range(5):
        query = query_of(begin(house))
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", query["state"])
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", query["nonce"])
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", query["code_challenge"])
        assert query["code_challenge_method"] == "S256"
        texts |= {query["state"], query["nonce"], query["code_challenge"]}
    assert len(texts) == 15


def test_the_verifier_is_as_fresh_as_the_rest_and_shown_to_nobody():
    logins = [Login.fresh("/x", None) for _ in range(5)]
    assert len({login.code_verifier for login in logins}) == 5
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", login.code_verifier) for login in logins)
    assert repr(logins[0]) == "Login(is_finished=False)"


def test_the_login_cookie_hides_what_it_holds(house):
    query = query_of(begin(house, "/secret-place"))
    (value,) = house.cookies.values()
    decoded = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    for text in (query["state"], query["nonce"], "secret-place"):
        assert text not in value
        assert text.encode() not in decoded


def spoilt(value: str) -> str:
    return value[:40] + ("A" if value[40] != "A" else "B") + value[41:]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda house, name: house.client.delete_cookie(name), id="gone"),
        pytest.param(lambda house, name: house.set_cookie(name, spoilt(house.cookies[name])), id="changed"),
        pytest.param(lambda house, name: house.set_cookie(name, "rubbish"), id="rubbish"),
        pytest.param(
            lambda house, name: house.set_cookie(
                name, Seal(house.config, "refresh").seal(b'["s","n","v","/",null,false]', time.time())
            ),
            id="sealed for another purpose",
        ),
        pytest.param(
            lambda house, name: house.set_cookie(
                name,
                Seal(house.config, "login").seal(json.dumps(Login.fresh("/x", None)).encode(), time.time()),
            ),
            id="another sign-in's",
        ),
    ],
)
def test_a_callback_without_its_login_cookie_signs_nobody_in(house, http, user_pool, change):
    callback = house.go_to_pool(http, begin(house), "alice")
    change(house, logins_of(house)[0])
    answer = house.ask(callback)
    assert answer.status_code == 400
    assert ACCESS not in house.cookies
    assert user_pool.calls["token"] == 0
    assert Page(answer.text).links["Try again"] == "/login"


@pytest.mark.parametrize(
    ("seconds", "status"),
    [(600, 303), (601, 400)],
    ids=["ten minutes", "a second more"],
)
def test_a_login_cookie_is_good_for_ten_minutes_by_its_own_timestamp(house, http, seconds, status):
    with time_machine.travel(time.time(), tick=False) as clock:
        there = begin(house)
        clock.shift(seconds)
        assert logins_of(house)  # this jar keeps what a browser would have dropped
        assert house.ask(house.go_to_pool(http, there, "alice")).status_code == status


def test_a_state_is_good_once(house, http, user_pool):
    """Even for who kept the login cookie of before."""
    there = begin(house)
    kept = dict(house.cookies)
    callback = house.go_to_pool(http, there, "alice")
    assert house.ask(callback).status_code == 303
    drop_session(house)
    for name, value in kept.items():
        house.set_cookie(name, value)
    answer = house.ask(callback)
    assert answer.status_code == 400
    assert "completed already" in Page(answer.text).text
    assert Page(answer.text).links["Try again"] == "/login?next=%2Fx"
    assert ACCESS not in house.cookies
    assert user_pool.calls["token"] == 1


def test_a_callback_sent_twice_at_once_leaves_the_cookie_for_a_reload(house, http):
    """The second answer must not delete what the first has set."""
    there = begin(house)
    kept = house.cookie_header
    callback = house.go_to_pool(http, there, "alice")
    assert house.ask(callback).status_code == 303
    answer = by_header(house).ask(callback, headers={"Cookie": kept})
    assert answer.status_code == 400
    assert answer.headers.getlist("Set-Cookie") == []
    assert house.ask(callback).status_code == 303


def test_used_states_are_remembered_in_bounds(house, http, monkeypatch, user_pool):
    monkeypatch.setattr("cognito_wsgi.login.MAX_USED_STATES", 2)
    for _ in range(4):
        house.sign_in("/login?next=/x")
    assert len(house.gateway._sign_in._used) == 2


# reload and back button


def test_reload_and_back_button_go_on_to_next(house, http, user_pool):
    callback = house.go_to_pool(http, begin(house, "/deep/link?q=1"), "alice")
    for _ in range(3):
        answer = house.ask(callback)
        assert (answer.status_code, answer.location) == (303, "/deep/link?q=1")
    assert user_pool.calls["token"] == 1


def test_reload_without_a_session_starts_a_new_sign_in_to_the_same_place(house, http):
    callback = house.go_to_pool(http, begin(house, "/deep/link"), "alice")
    house.ask(callback)
    drop_session(house)
    answer = house.ask(callback)
    assert answer.status_code == 302
    again = house.ask(house.go_to_pool(http, answer.location, "alice"))
    assert (again.status_code, again.location) == (303, "/deep/link")


def test_after_an_outage_a_reload_of_the_callback_finishes_the_sign_in(house, http, user_pool):
    callback = house.go_to_pool(http, begin(house), "alice")
    user_pool.trouble.token = "503"
    answer = house.ask(callback)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    user_pool.trouble.clear()
    assert house.ask(callback).status_code == 303


@pytest.mark.parametrize("endpoint", ["token", "jwks"])
def test_the_page_of_an_outage_at_the_callback_offers_another_try_to_the_same_place(
    house, http, user_pool, endpoint
):
    callback = house.go_to_pool(http, begin(house, "/deep/link"), "alice")
    setattr(user_pool.trouble, endpoint, "503")
    answer = house.ask(callback)
    assert answer.status_code == 503
    assert Page(answer.text).links["Try again"] == "/login?next=%2Fdeep%2Flink"


# what Cognito may answer


@pytest.mark.parametrize("with_state", [True, False], ids=["with state", "without state"])
@pytest.mark.parametrize("error", ["access_denied", "invalid_request", "server_error", "<script>", "x" * 99])
def test_a_sign_in_that_cognito_refuses_ends_on_a_page_with_another_try(house, caplog, error, with_state):
    state = {"state": query_of(begin(house, "/place"))["state"]} if with_state else {}
    told = {"error": error, "error_description": "alice@example.test <b>said no</b>", **state}
    answer = house.ask("/callback", query_string=told)
    assert answer.status_code == 400
    assert Page(answer.text).links["Try again"] == ("/login?next=%2Fplace" if with_state else "/login")
    for text in (answer.text, caplog.text):
        assert "alice@example.test" not in text
        assert "said no" not in text
        assert (error in text) is (error in ("access_denied", "invalid_request", "server_error"))
    assert len(logins_of(house)) == 0


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        pytest.param({"code": None}, "no usable code", id="no code"),
        pytest.param({"code": ""}, "no usable code", id="empty code"),
        pytest.param({"code": "a b"}, "no usable code", id="code with a space"),
        pytest.param({"code": "a" * 2049}, "no usable code", id="long code"),
        pytest.param({"code": "unknown"}, "did not accept", id="unknown code"),
        pytest.param({"iss": "https://evil.example"}, "another sign-in service", id="another issuer"),
        pytest.param({"state": None}, "not begun in this browser", id="no state"),
        pytest.param({"state": "s" * 42}, "not begun in this browser", id="short state"),
        pytest.param({"state": "s" * 43}, "not begun in this browser", id="unknown state"),
    ],
)
def test_a_callback_that_does_not_fit_is_refused(house, http, parameters, reason):
    callback = house.go_to_pool(http, begin(house), "alice")
    query = {**query_of(callback), **parameters}
    answer = house.ask(
        "/callback", query_string={name: value for name, value in query.items() if value is not None}
    )
    assert answer.status_code == 400
    assert reason in Page(answer.text).text
    assert "Try again" in Page(answer.text).links
    assert ACCESS not in house.cookies


def test_our_own_issuer_and_unknown_parameters_are_no_obstacle(house, http):
    callback = house.go_to_pool(http, begin(house), "alice")
    query = {**query_of(callback), "iss": house.config.issuer, "session_state": "x"}
    assert house.ask("/callback", query_string=query).status_code == 303


@pytest.mark.parametrize(
    ("trouble", "settings", "text"),
    [
        pytest.param({"omit_nonce": True}, {}, "cannot be trusted", id="no nonce"),
        pytest.param({"clock_ahead": 60}, {}, "clock", id="tokens from the future"),
        pytest.param({"clock_ahead": -7200}, {}, "clock", id="tokens expired when they come"),
        pytest.param(
            {"omit_id_token": True}, {"AWS_COGNITO_SCOPES": "openid email"}, "who you are", id="no ID token"
        ),
    ],
)
def test_tokens_that_are_refused_end_on_a_page_with_another_try(user_pool, http, trouble, settings, text):
    house = House(local_config(user_pool, **settings), RULES)
    there = begin(house)
    for switch, value in trouble.items():
        setattr(user_pool.trouble, switch, value)
    answer = house.ask(house.go_to_pool(http, there, "alice"))
    assert answer.status_code == 400
    assert text in Page(answer.text).text
    assert Page(answer.text).links["Try again"] == "/login?next=%2Fx"
    assert house.cookies == {}


def test_without_openid_an_id_token_may_be_missing(user_pool, house):
    user_pool.trouble.omit_id_token = True
    assert house.sign_in("/x").status_code == 303
    assert house.environ_of("/x")["cognito.user_info"] is None


# loops


def sign_in_in_vain(
    house: House, http: requests.Session, keep: Mapping[str, str] | None = None
) -> TestResponse:
    """Open a page, sign in, and lose the session's cookies, or all but some of them."""
    answer = house.ask("/x")
    if answer.status_code == 302:
        assert house.ask(house.go_to_pool(http, answer.location, "alice")).status_code == 303
        drop_session(house)
        for name, value in (keep or {}).items():
            house.set_cookie(name, value)
    return answer


def test_after_three_sign_ins_that_did_not_stick_a_page_names_the_cause(house, http, user_pool, caplog):
    with time_machine.travel(time.time(), tick=False) as clock:
        for _ in range(3):
            assert sign_in_in_vain(house, http).status_code == 302
            clock.shift(10)
        answer = sign_in_in_vain(house, http)
        assert answer.status_code == 400
        assert "3 times" in Page(answer.text).text
        assert "does not keep this site's cookies" in Page(answer.text).text
        assert "over http" in Page(answer.text).text
        assert "did not stick" in caplog.text
        assert user_pool.calls["token"] == 3


def test_the_page_offers_another_try_that_counts_anew(house, http):
    for _ in range(3):
        sign_in_in_vain(house, http)
    answer = house.ask("/x")
    assert answer.status_code == 400
    assert logins_of(house) == []
    assert house.ask(Page(answer.text).links["Try again"]).status_code == 302


@pytest.mark.parametrize(("seconds", "status"), [(59, 400), (60, 302)], ids=["within", "after"])
def test_only_sign_ins_of_the_last_minute_make_a_loop(house, http, seconds, status):
    with time_machine.travel(int(time.time()), tick=False) as clock:
        for _ in range(3):
            sign_in_in_vain(house, http)
        clock.shift(seconds)
        assert house.ask("/x").status_code == status


def test_the_sign_in_page_of_ours_and_a_reloaded_callback_break_the_loop_as_well(house, http):
    for _ in range(2):
        sign_in_in_vain(house, http)
    callback = house.go_to_pool(http, begin(house), "alice")
    house.ask(callback)
    drop_session(house)
    assert house.ask("/login?next=/x").status_code == 400
    house = House(house.config, RULES)
    for _ in range(2):
        sign_in_in_vain(house, http)
    callback = house.go_to_pool(http, begin(house), "alice")
    house.ask(callback)
    drop_session(house)
    assert house.ask(callback).status_code == 400


def test_who_has_a_session_may_sign_in_as_often_as_he_likes(house, http):
    for _ in range(5):
        assert house.sign_in("/login?next=/x").status_code == 303
    assert house.ask("/login").status_code == 302


def test_sign_ins_that_were_not_completed_make_no_loop(house):
    assert [house.ask("/x").status_code for _ in range(8)] == [302] * 8


def test_the_cause_is_the_clock_where_cognitos_differs(user_pool, http, caplog):
    """Told by the Date header of Cognito's answers."""
    house = House(local_config(user_pool, AWS_COGNITO_EXPIRATION_LEEWAY=60), RULES)
    user_pool.trouble.clock_ahead = 45
    with time_machine.travel(int(time.time()), tick=False):
        for _ in range(3):
            sign_in_in_vain(house, http)
        answer = house.ask("/x")
    assert answer.status_code == 400
    assert re.search(r"clock .* by 45 seconds", Page(answer.text).text)
    assert "+45 s" in caplog.text


@pytest.mark.parametrize(
    ("keep", "cause"),
    [
        pytest.param({f"{ACCESS}_1": "the second half"}, "size of the cookies", id="a part is missing"),
        pytest.param({ACCESS: "one", f"{ACCESS}_2": "three"}, "size of the cookies", id="one in the middle"),
        pytest.param("expired", "very short tokens", id="expired"),
    ],
)
def test_the_cause_is_read_from_what_came_back(house, http, user_pool, keep, cause):
    if keep == "expired":
        user_pool.trouble.access_token_lifetime = 60
        keep = {ACCESS: user_pool.issue_tokens("alice", client="web")["access_token"]}
        user_pool.trouble.clear()
    with time_machine.travel(time.time() + 61):
        for _ in range(3):
            sign_in_in_vain(house, http, keep)
        answer = house.ask("/x")
    assert answer.status_code == 400
    assert cause in Page(answer.text).text


# within the limits


@given(st.lists(st.integers(1, 1990), min_size=1, max_size=7), st.booleans())
def test_whatever_is_begun_the_cookies_stay_within_7500_bytes(many_groups, lengths, is_signed_in):
    house, jar = many_groups
    house.client._cookies.clear()
    for name, value in jar.items() if is_signed_in else ():
        house.set_cookie(name, value)
    for length in lengths:
        answer = house.ask("/login", query_string={"next": "/" + "n" * length})
        if is_signed_in and answer.status_code == 400:
            assert "no room" in Page(answer.text).text
        else:
            assert answer.status_code == 302
        assert len(house.cookie_header) <= MAX_TOTAL_SIZE
        assert len(logins_of(house)) <= 5
        assert not is_signed_in or ACCESS in house.cookies


@pytest.fixture(scope="module")
def many_groups() -> Iterator[tuple[House, dict[str, str]]]:
    """A gateway, and the cookies of a large session at it."""
    with LocalUserPool() as user_pool:
        user_pool.set_groups("dave", [f"{number:030}" for number in range(45)])
        house = House(local_config(user_pool, AWS_COGNITO_REFRESH_FLOW_ENABLED=True), RULES)
        house.sign_in("/x", "dave")
        jar = {name: value for name, value in house.cookies.items() if "login" not in name}
        yield house, jar


def test_beside_a_session_that_cannot_be_verified_now_the_cookies_stay_within_7500_bytes(user_pool):
    user_pool.set_groups("dave", [f"{number:030}" for number in range(45)])
    config = local_config(user_pool, AWS_COGNITO_REFRESH_FLOW_ENABLED=True)
    house, fresh = House(config, RULES), House(config, RULES)
    house.sign_in("/x", "dave")
    user_pool.trouble.jwks = "503"
    fresh.client._cookies = house.client._cookies
    answer = fresh.ask("/login", query_string={"next": "/" + "n" * 1900})
    assert answer.status_code == 302
    assert len(fresh.cookie_header) <= MAX_TOTAL_SIZE
    assert REFRESH in fresh.cookies


def test_a_session_that_was_refreshed_and_is_too_old_for_a_rule_stays_within_7500_bytes(user_pool):
    user_pool.set_groups("dave", [f"{number:030}" for number in range(25)])
    config = local_config(user_pool, AWS_COGNITO_REFRESH_FLOW_ENABLED=True)
    house = House(config, {"/": "public", "/pay": {"max_auth_age": 1}})
    house.sign_in("/x", "dave")
    assert ID in house.cookies
    house.client.delete_cookie(ACCESS)
    with time_machine.travel(time.time() + 60):
        answer = house.ask("/pay", query_string={"q": "n" * 1900})
    assert answer.status_code == 302
    assert {ACCESS, REFRESH} <= set(house.cookies)
    assert len(house.cookie_header) <= MAX_TOTAL_SIZE


def test_beside_a_large_session_fewer_login_cookies_are_kept(many_groups):
    house, jar = many_groups
    house.client._cookies.clear()
    for name, value in jar.items():
        house.set_cookie(name, value)
    with time_machine.travel(time.time(), tick=False) as clock:
        newest = []
        for number in range(5):
            clock.shift(1)
            answer = house.ask("/login", query_string={"next": f"/{number}" + "n" * 150})
            newest.append(query_of(answer.location)["state"])
    kept = logins_of(house)
    assert 1 <= len(kept) < 5
    assert kept == [house.gateway._cookies.login_name(state) for state in newest[-len(kept) :]]
    assert {ACCESS, REFRESH} <= set(house.cookies)


def test_a_session_gives_up_its_id_token_before_a_sign_in_fails(user_pool, http):
    user_pool.set_groups("alice", [f"{number:020}" for number in range(60)])
    house = House(local_config(user_pool), RULES)
    house.sign_in("/x")
    assert house.environ_of("/x")["cognito.user_info"] is not None
    answer = house.ask("/login", query_string={"next": "/" + "n" * 1500})
    assert answer.status_code == 302
    assert ID not in house.cookies
    assert len(house.cookie_header) <= MAX_TOTAL_SIZE
    assert house.environ_of("/x")["REMOTE_USER"] == "alice"
    assert house.ask(house.go_to_pool(http, answer.location, "alice")).location == "/" + "n" * 1500


def test_a_login_cookie_of_the_longest_address_is_no_larger_than_a_cookie_may_be(house, http):
    answer = house.ask("/" + "n" * 1999)
    assert len(answer.headers["Set-Cookie"]) <= 4096
    assert house.ask(house.go_to_pool(http, answer.location, "alice")).location == "/" + "n" * 1999


# SameSite=Strict


def strict(user_pool: LocalUserPool) -> House:
    return House(local_config(user_pool, AWS_COGNITO_COOKIE_SAMESITE="Strict"), RULES)


def go_on(answer: TestResponse) -> str:
    """Where a page goes on to by itself."""
    assert answer.status_code == 200
    found = re.search(r'<meta http-equiv="refresh" content="0;url=([^"]*)">', answer.text)
    assert found, answer.text
    assert Page(answer.text).links["Continue"] == found[1]
    return found[1]


FROM_ELSEWHERE = {**NAVIGATION, "Sec-Fetch-Site": "cross-site"}


def test_strict_cookies_take_a_step_of_our_own_after_the_callback(user_pool, http):
    house = strict(user_pool)
    callback = house.go_to_pool(http, begin(house, "/deep/link?q=1"), "alice")
    for _ in range(2):  # and so does a reload
        answer = house.ask(callback, FROM_ELSEWHERE)
        assert go_on(answer) == "/deep/link?q=1"
    assert house.environ_of("/deep/link?q=1")["REMOTE_USER"] == "alice"
    assert user_pool.calls["token"] == 1


def test_a_link_from_another_site_takes_a_step_so_that_strict_cookies_come_along(user_pool):
    house = strict(user_pool)
    house.sign_in("/x")
    jar = dict(house.cookies)
    house.client._cookies.clear()  # kept back by the browser
    assert go_on(house.ask("/x?q=1", FROM_ELSEWHERE)) == "/x?q=1"
    for name, value in jar.items():
        house.set_cookie(name, value)
    assert house.environ_of("/x?q=1")["REMOTE_USER"] == "alice"


def test_a_login_cookie_that_came_does_not_spare_that_step(user_pool):
    house = strict(user_pool)
    house.sign_in("/x")
    drop_session(house)  # kept back by the browser; the login cookie is not
    assert logins_of(house)
    assert go_on(house.ask("/x", FROM_ELSEWHERE)) == "/x"


def test_links_from_another_site_to_the_sign_in_take_that_step_and_fill_no_cookies(user_pool):
    house = strict(user_pool)
    house.sign_in("/x")
    size = len(house.cookie_header)
    jar = dict(house.cookies)
    for _ in range(3):
        drop_session(house)  # kept back by the browser
        address = "/login?next=%2F" + "n" * 1900
        assert go_on(house.ask(address, FROM_ELSEWHERE)) == address
        for name, value in jar.items():
            house.set_cookie(name, value)
    assert len(house.cookie_header) == size


def test_a_strict_session_leaves_nothing_of_a_longer_one_that_the_browser_kept_back(user_pool, http):
    user_pool.set_groups("dave", [f"{number:030}" for number in range(90)])
    house = strict(user_pool)
    house.sign_in("/x", "dave")
    jar = dict(house.cookies)
    assert f"{ACCESS}_1" in jar
    callback = house.go_to_pool(http, begin(house, "/login?next=/x"), "alice")
    drop_session(house)
    answer = house.ask(callback, FROM_ELSEWHERE)
    new = dict(house.cookies)
    for name, value in jar.items():
        house.set_cookie(name, value)
    for cookie in answer.headers.getlist("Set-Cookie"):
        name = cookie.partition("=")[0]
        house.client.delete_cookie(name)
        if name in new:
            house.set_cookie(name, new[name])
    assert house.environ_of("/x", FETCH)["REMOTE_USER"] == "alice"


# mounted under a prefix


@pytest.fixture
def mounted(user_pool) -> House:
    """The gateway at /app, and nothing beside it."""
    origin = "http://localhost"
    addresses = {"redirect_url": f"{origin}/app/callback", "logout_url": f"{origin}/app/"}
    config = local_config(
        user_pool,
        AWS_COGNITO_REFRESH_FLOW_ENABLED=True,
        **user_pool.settings("web", **addresses),
    )
    house = House(config, RULES)
    house.client = Client(DispatcherMiddleware(nothing, {"/app": house.client.application}))
    return house


def nothing(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("404 Not Found", [("Content-Type", "text/plain")])
    return [b""]


def test_under_a_prefix_all_paths_and_cookies_fit(mounted, http, user_pool):
    there = begin(mounted, "/app/deep/link?q=1")
    assert query_of(there)["redirect_uri"] == "http://localhost/app/callback"
    callback = mounted.go_to_pool(http, there, "alice")
    answer = mounted.ask(callback)
    assert (answer.status_code, answer.location) == (303, "/app/deep/link?q=1")
    assert all("; Path=/;" in cookie for cookie in answer.headers.getlist("Set-Cookie"))
    assert mounted.environ_of("/app/deep/link")["REMOTE_USER"] == "alice"
    assert mounted.environ_of("/app/deep/link")["SCRIPT_NAME"] == "/app"
    assert mounted.ask("/app/nobody").status_code == 403
    assert mounted.ask(callback).location == "/app/deep/link?q=1"
    assert mounted.ask("/app/refresh", FETCH, method="POST").status_code == 200
    assert user_pool.calls["token:refresh_token"] == 1
    assert mounted.ask("/app/logout").status_code == 302
    assert mounted.cookies == {}
    assert mounted.environ_of("/app/")["cognito.claims"] is None


@pytest.mark.parametrize(
    ("path", "is_home"), [("/app", True), ("/app/", False), ("/app/x", False), ("/app/app", False)]
)
def test_the_name_of_the_mount_may_be_where_cognito_returns_after_sign_out(user_pool, path, is_home):
    addresses = {"redirect_url": "http://localhost/app/callback", "logout_url": "http://localhost/app"}
    house = House(local_config(user_pool, **user_pool.settings("web", **addresses)), {})
    house.client = Client(DispatcherMiddleware(nothing, {"/app": house.client.application}))
    assert house.ask(path).status_code == (200 if is_home else 302)


def test_the_name_of_the_mount_may_be_the_callback(user_pool, http):
    addresses = {"redirect_url": "http://localhost/app", "logout_url": "http://localhost/app/bye"}
    house = House(local_config(user_pool, **user_pool.settings("web", **addresses)), {})
    house.client = Client(DispatcherMiddleware(nothing, {"/app": house.client.application}))
    callback = house.go_to_pool(http, begin(house, "/app/x"), "alice")
    assert house.ask(callback).location == "/app/x"


@pytest.mark.parametrize("script_name", ["//evil.test", "///evil.test/", "//evil.test//"])
def test_a_mount_of_two_slashes_leads_to_no_other_host(user_pool, http, script_name):
    house = House(local_config(user_pool), RULES)
    for address in ("/x", "/login"):
        there = house.ask(address, environ_overrides={"SCRIPT_NAME": script_name}).location
        answer = house.ask(house.go_to_pool(http, there, "alice"))
        assert answer.location.startswith("/evil.test/")


def test_under_a_prefix_next_and_login_url_have_it(mounted, http):
    assert mounted.ask("/app/x", FETCH).json["login_url"] == "/app/login?next=%2Fapp%2Fx"
    for address, place in (
        ("/app/login", "/app/"),
        ("/app/login?next=/app/y", "/app/y"),
        ("/app/login?next=/elsewhere", "/elsewhere"),
        ("/app/login?next=/app/logout", "/app/"),
        ("/app/login?next=/app/callback", "/app/"),
    ):
        callback = mounted.go_to_pool(http, begin(mounted, address), "alice")
        assert mounted.ask(callback).location == place
