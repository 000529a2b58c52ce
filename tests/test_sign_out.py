"""Sign-out signs out, whatever state the cookies, Cognito and the request are in."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import requests
from werkzeug.test import TestResponse

from cognito_wsgi.local import LocalUserPool
from cognito_wsgi.testing import TestPool

from .serving import wait_for
from .test_refresh import RULES, by_header, impatient, signed_in
from .visiting import FETCH, FORM, NAVIGATION, House, Page, local_config, query_of

ACCESS, ID, REFRESH = "cognito_access_token", "cognito_id_token", "cognito_refresh_token"


@pytest.fixture
def user_pool() -> Iterator[LocalUserPool]:
    with LocalUserPool() as running:
        yield running


@pytest.fixture
def house(user_pool) -> House:
    """A browser at which alice is signed in."""
    return signed_in(user_pool)


def check_signed_out(house: House, answer: TestResponse) -> None:
    """The answer leads to Cognito's sign-out and leaves no cookie of ours behind."""
    assert answer.status_code == 302
    address, _, _ = answer.location.partition("?")
    assert address == f"{house.config.domain}/logout"
    assert query_of(answer.location) == {
        "client_id": house.config.client_id,
        "logout_uri": house.config.logout_url,
    }
    assert answer.headers["Clear-Site-Data"] == '"cache"'
    assert answer.headers["Cache-Control"] == "no-store"
    assert house.cookies == {}


def deleted(answer: TestResponse) -> dict[str, str]:
    """Attributes of the cookies that an answer deletes, by name."""
    cookies = answer.headers.getlist("Set-Cookie")
    assert all("Max-Age=0; " in cookie and "Expires=Thu, 01 Jan 1970" in cookie for cookie in cookies)
    return {cookie.partition("=")[0]: cookie.partition("; ")[2] for cookie in cookies}


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        pytest.param("GET", NAVIGATION, id="link"),
        pytest.param("GET", {**NAVIGATION, "Sec-Fetch-Site": "none"}, id="address bar"),
        pytest.param("GET", {}, id="program"),
        pytest.param("HEAD", NAVIGATION, id="head"),
        pytest.param("POST", FORM, id="form"),
        pytest.param("POST", {**FETCH, "Origin": "http://localhost"}, id="fetch"),
    ],
)
def test_sign_out_deletes_every_cookie_revokes_the_token_and_goes_to_cognito(user_pool, house, method, kind):
    assert len(house.cookies) == 4
    old = {"Cookie": house.cookie_header.replace(ACCESS, "gone")}
    answer = house.ask("/logout", kind, method=method)
    check_signed_out(house, answer)
    assert user_pool.calls["revoke"] == 1
    assert house.ask("/x").status_code == 302
    another_process = by_header(House(house.config, RULES))
    assert another_process.ask("/x", FETCH, headers=old).status_code == 401  # by Cognito's word


def test_cognito_ends_its_own_session_and_sends_the_browser_home(user_pool, house):
    with requests.Session() as http:
        house.ask(house.go_to_pool(http, house.ask("/login").location, "alice"))
        home = http.get(house.ask("/logout").location, allow_redirects=False, timeout=10)
        assert (home.status_code, home.headers["Location"]) == (302, house.config.logout_url)
        page = http.get(house.ask("/x").location, timeout=10)
    assert "password" in page.text


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_sign_nobody_out(user_pool, house, method):
    answer = house.ask("/logout", FETCH, method=method)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD, POST"
    assert answer.headers.getlist("Set-Cookie") == []
    assert user_pool.calls["revoke"] == 0


@pytest.mark.parametrize(
    ("samesite", "method", "origin"),
    [
        pytest.param("Lax", "POST", {"Origin": "https://portal.example"}, id="form"),
        pytest.param("Strict", "POST", {"Origin": "https://portal.example"}, id="form, strict"),
        pytest.param("Strict", "GET", {"Referer": "https://portal.example/"}, id="link, strict"),
    ],
)
def test_a_trusted_site_signs_out_although_the_browser_keeps_the_cookies_back(
    user_pool, samesite, method, origin
):
    trusting = {"AWS_COGNITO_TRUSTED_ORIGINS": ["https://portal.example"]}
    settings = {"AWS_COGNITO_REFRESH_FLOW_ENABLED": True, "AWS_COGNITO_COOKIE_SAMESITE": samesite}
    house = House(local_config(user_pool, **settings, **trusting), RULES)
    house.sign_in("/x")
    from_there = {**NAVIGATION, "Sec-Fetch-Site": "cross-site", **origin}
    step = by_header(house).ask("/logout", from_there, method=method)
    assert step.status_code == 200
    address = Page(step.text).goes_on_to
    assert address == "/logout"
    check_signed_out(house, house.ask(address))
    assert user_pool.calls["revoke"] == 1


# whose cookies, and with what attributes

SETTINGS = {
    "https": ({"redirect_url": "https://app.example.test/callback"}, "__Host-", "Secure; HttpOnly; Path=/"),
    "https with a domain": (
        {"redirect_url": "https://app.example.test/callback", "cookie_domain": "example.test"},
        "__Secure-",
        "Secure; HttpOnly; Path=/",
    ),
    "http": ({}, "", "HttpOnly; Path=/"),
    "strict": ({"cookie_samesite": "Strict"}, "", "HttpOnly; Path=/"),
}


@pytest.mark.parametrize("kind", SETTINGS)
def test_cookies_are_deleted_under_their_names_and_with_the_attributes_they_were_set_with(kind):
    overrides, prefix, attributes = SETTINGS[kind]
    house = by_header(House(TestPool().config(**overrides)))
    login = f"{prefix}cognito_login_0123456789abcdef"
    names = [f"{prefix}{ACCESS}", f"{prefix}{ACCESS}_1", f"{prefix}{ID}_3", f"{prefix}{REFRESH}", login]
    answer = house.ask("/logout", headers={"Cookie": "; ".join(f"{name}=x" for name in names)})
    found = deleted(answer)
    assert list(found) == names
    samesite = overrides.get("cookie_samesite", "Lax")
    for name, text in found.items():
        assert text.endswith(f"{attributes}; SameSite={'Lax' if name == login else samesite}")
        assert ("Domain=example.test; " in text) is ("cookie_domain" in overrides)


def test_a_session_in_many_pieces_goes_whole(user_pool):
    user_pool.set_groups("dave", [f"{number:020}" for number in range(100)])
    house = House(local_config(user_pool), RULES)
    house.sign_in("/x", "dave")
    names = set(house.cookies)
    assert f"{ACCESS}_1" in names
    answer = house.ask("/logout")
    assert set(deleted(answer)) == names
    check_signed_out(house, answer)


@pytest.mark.parametrize("count", [1, 11, 300])
def test_only_names_that_came_are_deleted_ten_pieces_of_each_at_most(house, count):
    """A claim of 99,999,999 pieces has been another gateway's undoing."""
    pieces = ["", *(f"_{number}" for number in range(1, count))]
    names = [f"{base}{piece}" for base in (ACCESS, ID, REFRESH) for piece in pieces]
    header = "; ".join(f"{name}=x" for name in [*names, f"{ACCESS}_chunks", "theme"])
    found = deleted(by_header(house).ask("/logout", headers={"Cookie": header}))
    assert set(found) == {f"{base}{piece}" for base in (ACCESS, ID, REFRESH) for piece in pieces[:10]}


# whatever state it is in


@pytest.mark.parametrize(
    "value",
    ["", "rubbish", "a.b.c", "\xff\xfe", "x" * 9000, '"', "gAAAAA" + "A" * 200],
    ids=["empty", "rubbish", "three parts", "not UTF-8", "too long", "quote", "sealed by nobody"],
)
def test_cookies_that_cannot_be_read_are_deleted_all_the_same(user_pool, value):
    house = by_header(House(local_config(user_pool, AWS_COGNITO_REFRESH_FLOW_ENABLED=True)))
    names = [ACCESS, ID, REFRESH, "cognito_login_0123456789abcdef"]
    for came in (names, [*names, REFRESH]):
        header = "; ".join(f"{name}={value}" for name in came)
        answer = house.ask("/logout", headers={"Cookie": header})
        assert answer.status_code == 302
        assert list(deleted(answer)) == names
    assert user_pool.calls["revoke"] == 0


def test_a_dropped_secret_key_does_not_keep_anybody_signed_in(user_pool, house):
    rotated = House(local_config(user_pool, AWS_COGNITO_REFRESH_FLOW_ENABLED=True, SECRET_KEY="another " * 4))
    rotated.client._cookies = house.client._cookies
    check_signed_out(rotated, rotated.ask("/logout"))
    assert user_pool.calls["revoke"] == 0  # of what cannot be opened


def test_who_is_not_signed_in_is_signed_out_of_cognito(user_pool):
    house = House(local_config(user_pool))
    answer = house.ask("/logout")
    check_signed_out(house, answer)
    assert answer.headers.getlist("Set-Cookie") == []


@pytest.mark.parametrize("kind", ["429", "503", "500", "html", "close", "slow", "drip", "redirect"])
def test_sign_out_works_when_cognito_does_not(user_pool, caplog, kind):
    house = impatient(signed_in(user_pool), 0.4)
    user_pool.trouble.revoke, user_pool.trouble.delay = kind, 10
    began = time.monotonic()
    check_signed_out(house, house.ask("/logout"))
    assert time.monotonic() - began < 3
    assert "revoke" in caplog.text or kind == "html"
    assert house.ask("/x").status_code == 302


def test_sign_out_works_when_cognito_is_gone(user_pool):
    house = signed_in(user_pool)
    user_pool.stop()
    check_signed_out(house, house.ask("/logout"))


def test_without_refresh_there_is_nothing_to_revoke(user_pool):
    house = House(local_config(user_pool), RULES)
    house.sign_in("/x")
    check_signed_out(house, house.ask("/logout"))
    assert user_pool.calls["revoke"] == 0


def test_a_sign_in_under_way_in_another_tab_ends_as_well(user_pool, house):
    with requests.Session() as http:
        callback = house.go_to_pool(http, house.ask("/login").location, "alice")
    house.ask("/logout")
    assert house.ask(callback).status_code == 400
    assert ACCESS not in house.cookies


# who may


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        pytest.param("GET", {"Sec-Fetch-Site": "cross-site"}, id="link or image"),
        pytest.param("POST", {"Sec-Fetch-Site": "cross-site"}, id="form without Origin"),
        pytest.param("POST", {"Origin": "https://evil.example"}, id="form"),
        pytest.param("POST", {"Origin": "null"}, id="sandboxed form"),
        pytest.param(
            "GET",
            {"Sec-Fetch-Site": "cross-site", "Referer": "https://evil.example/?https://friend.example"},
            id="link with a Referer",
        ),
        pytest.param(
            "POST",
            {"Origin": "https://evil.example", "Referer": "https://friend.example/"},
            id="Origin before Referer",
        ),
    ],
)
def test_another_site_signs_nobody_out(user_pool, method, headers):
    house = signed_in(user_pool, AWS_COGNITO_TRUSTED_ORIGINS="https://friend.example")
    answer = house.ask("/logout", {**NAVIGATION, **headers}, method=method)
    assert answer.status_code == 403
    assert answer.headers.getlist("Set-Cookie") == []
    assert "Clear-Site-Data" not in answer.headers
    assert user_pool.calls["revoke"] == 0
    assert house.environ_of("/x")["REMOTE_USER"] == "alice"


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        pytest.param("POST", {"Origin": "https://friend.example"}, id="form"),
        pytest.param(
            "GET", {"Sec-Fetch-Site": "cross-site", "Referer": "https://friend.example/page"}, id="link"
        ),
        pytest.param(
            "GET", {"Sec-Fetch-Site": "cross-site", "Origin": "https://friend.example"}, id="Origin"
        ),
    ],
)
def test_a_trusted_origin_may(user_pool, method, headers):
    house = signed_in(user_pool, AWS_COGNITO_TRUSTED_ORIGINS="https://friend.example")
    check_signed_out(house, house.ask("/logout", {**NAVIGATION, **headers}, method=method))


def test_the_page_that_cognito_returns_to_is_public(user_pool):
    house = House(local_config(user_pool))  # no rule says so
    house.sign_in("/x")
    house.ask("/logout")
    assert house.environ_of("/")["cognito.claims"] is None
    assert house.ask("/x").status_code == 302


def test_cookies_go_though_revocation_is_still_under_way(user_pool):
    """A second tab that asks meanwhile finds no session that could be refreshed."""
    house = signed_in(user_pool)
    old = {"Cookie": house.cookie_header.replace(ACCESS, "gone")}
    user_pool.trouble.revoke, user_pool.trouble.delay = "slow", 0.5
    leaving = threading.Thread(target=house.ask, args=("/logout",))
    leaving.start()
    wait_for(lambda: user_pool.calls["revoke"] == 1)
    assert by_header(house).ask("/x", FETCH, headers=old).status_code == 401
    leaving.join()
    assert user_pool.calls["token:refresh_token"] == 0
