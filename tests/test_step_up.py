"""Step-up: a rule may ask for a recent sign-in, and gets one or a clear answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import time_machine

from cognito_wsgi.local import LocalUserPool
from cognito_wsgi.testing import TestPool

from .visiting import FETCH, FORM, NAVIGATION, House, Page, local_config, query_of

ACCESS = "cognito_access_token"
RULES = {
    "/": "public",
    "/pay": {"max_auth_age": 300},
    "/ever": {"max_auth_age": 10**10},
    "/pay/admin": {"max_auth_age": 300, "groups": ["root"]},
}


@pytest.fixture
def user_pool() -> Iterator[LocalUserPool]:
    with LocalUserPool() as running:
        yield running


@pytest.fixture
def http() -> Iterator[requests.Session]:
    """The browser's dealings with the pool: its hosted session lives for an hour."""
    with requests.Session() as session:
        yield session


@pytest.fixture
def house(user_pool) -> House:
    return House(local_config(user_pool, AWS_COGNITO_REFRESH_FLOW_ENABLED=True), RULES)


def sign_in(house: House, http: requests.Session, address: str = "/x") -> None:
    callback = house.go_to_pool(http, house.ask(address).location, "alice")
    assert house.ask(callback).status_code == 303


def signed_in_at(auth_time: Any, **settings: Any) -> House:
    """A gateway, and a browser with a token of that ``auth_time``."""
    pool = TestPool()
    house = House(pool.config(**settings), RULES)
    pool.sign_in(house.client, claims={"auth_time": auth_time})
    return house


@pytest.mark.parametrize("leeway", [0, 30])
@pytest.mark.parametrize(("age", "status"), [(0, 200), (300, 200), (301, 302)])
def test_a_sign_in_is_recent_enough_up_to_the_age_and_leeway(age, status, leeway):
    with time_machine.travel(1_790_000_000, tick=False):
        house = signed_in_at(int(time.time()) - age - (leeway if age else 0), leeway=leeway)
        assert house.ask("/pay").status_code == status
        assert house.ask("/x").status_code == 200


@pytest.mark.parametrize(
    "auth_time",
    [..., None, "1790000000", True, [], {}],
    ids=["missing", "null", "text", "true", "list", "object"],
)
def test_a_token_that_does_not_tell_is_not_recent(auth_time):
    house = signed_in_at(auth_time)
    assert house.ask("/pay").status_code == 302
    assert house.ask("/ever").status_code == 302
    assert house.ask("/x").status_code == 200


def test_a_machine_has_never_signed_in():
    pool = TestPool()
    house = House(pool.config(bearer_enabled=True), RULES)
    bearer = {"Authorization": f"Bearer {pool.machine_token()}"}
    assert house.ask("/x", FETCH, headers=bearer).status_code == 200
    answer = house.ask("/pay", FETCH, headers=bearer)
    assert answer.status_code == 401
    assert "insufficient_user_authentication" in answer.headers["WWW-Authenticate"]


def test_who_signed_in_too_long_ago_signs_in_anew_and_comes_back(user_pool, house, http):
    sign_in(house, http)
    with time_machine.travel(time.time() + 400):
        answer = house.ask("/pay?bill=7")
        assert answer.status_code == 302
        assert query_of(answer.location)["prompt"] == "login"
        back = house.ask(house.go_to_pool(http, answer.location, "alice"))
        assert (back.status_code, back.location) == (303, "/pay?bill=7")
        assert house.environ_of("/pay?bill=7")["REMOTE_USER"] == "alice"


def test_a_session_that_is_not_recent_stays_good_for_the_rest(user_pool, house, http):
    sign_in(house, http)
    with time_machine.travel(time.time() + 400):
        before = house.cookies[ACCESS]
        assert house.ask("/pay").status_code == 302
        assert house.cookies[ACCESS] == before
        assert house.environ_of("/x")["REMOTE_USER"] == "alice"


def test_a_refresh_is_no_sign_in(user_pool, house, http):
    sign_in(house, http)
    with time_machine.travel(time.time() + 3700):
        answer = house.ask("/pay")
        assert user_pool.calls["token:refresh_token"] == 1
        assert answer.status_code == 302
        assert query_of(answer.location)["prompt"] == "login"
        assert house.environ_of("/x")["REMOTE_USER"] == "alice"


def test_a_program_is_told_in_the_words_of_rfc_9470(user_pool, house, http):
    sign_in(house, http)
    with time_machine.travel(time.time() + 400):
        answer = house.ask("/pay", FETCH)
        assert answer.status_code == 401
        assert answer.mimetype == "application/problem+json"
        challenge = answer.headers["WWW-Authenticate"]
        assert challenge.startswith("Bearer ")
        assert 'error="insufficient_user_authentication"' in challenge
        assert 'max_age="300"' in challenge
        login_url = answer.json["login_url"]
        assert login_url == "/login?next=%2Fpay&prompt=login"
        callback = house.go_to_pool(http, house.ask(login_url).location, "alice")
        assert house.ask(callback).location == "/pay"
        assert house.ask("/pay", FETCH).status_code == 200


def test_a_form_gets_a_page_with_a_link(user_pool, house, http):
    sign_in(house, http)
    with time_machine.travel(time.time() + 400):
        answer = house.ask("/pay", FORM, method="POST", headers={"Referer": "http://localhost/pay/form"})
    assert answer.status_code == 401
    assert "prompt=login" in str(Page(answer.text).links)


def test_groups_are_asked_first(user_pool, house, http):
    """Who lacks the group is not sent to sign in for nothing."""
    sign_in(house, http)
    with time_machine.travel(time.time() + 400):
        assert house.ask("/pay/admin").status_code == 403


def test_who_is_not_signed_in_at_all_is_not_asked_for_his_password_twice(user_pool, house, http):
    answer = house.ask("/pay")
    assert "prompt" not in query_of(answer.location)
    assert house.ask(house.go_to_pool(http, answer.location, "alice")).location == "/pay"
    assert house.ask("/pay").status_code == 200


# the classic hosted UI ignores prompt


def test_where_cognito_ignores_prompt_a_clear_page_ends_it(user_pool, house, http, caplog):
    sign_in(house, http)
    user_pool.trouble.ignore_prompt = True
    with time_machine.travel(time.time() + 400):
        before = dict(house.cookies)
        answer = house.ask(house.go_to_pool(http, house.ask("/pay").location, "alice"))
        assert answer.status_code == 400
        page = Page(answer.text)
        assert "Sign out first" in page.text
        assert list(page.links.items()) == [
            ("Sign out", "/logout"),
            ("Try again", "/login?next=%2Fpay"),
            ("Go to the start page", "/"),
        ]
        assert "ignores prompt" in caplog.text
        assert "Location" not in answer.headers
        assert house.cookies == before
        assert house.environ_of("/x")["REMOTE_USER"] == "alice"
        assert user_pool.calls["token"] == 2


def test_that_page_comes_as_often_as_he_tries_and_signing_out_helps(user_pool, house, http):
    sign_in(house, http)
    user_pool.trouble.ignore_prompt = True
    with time_machine.travel(time.time() + 400):
        for _ in range(4):
            answer = house.ask(house.go_to_pool(http, house.ask("/pay").location, "alice"))
            assert answer.status_code == 400
            links = Page(answer.text).links
        http.get(house.ask(links["Sign out"]).location, allow_redirects=False, timeout=10)
        answer = house.ask(house.go_to_pool(http, house.ask(links["Try again"]).location, "alice"))
        assert (answer.status_code, answer.location) == (303, "/pay")
        assert house.ask("/pay", NAVIGATION).status_code == 200
