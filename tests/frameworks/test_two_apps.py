"""Two applications with a gateway each on one site: with one app client, and with two."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import requests
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client, TestResponse

from cognito_wsgi.local import LocalUserPool, submit_sign_in

from ..visiting import FETCH, NAVIGATION, ORIGIN

MAX_REDIRECTS = 6


@pytest.fixture(scope="module")
def user_pool() -> Iterator[LocalUserPool]:
    with LocalUserPool() as running:
        yield running


@pytest.fixture
def example(load) -> ModuleType:
    return load("two_apps")


def settings(pool: LocalUserPool, client: str = "web") -> dict[str, Any]:
    for prefix in ("/shop", "/office"):
        registered = pool.settings(
            client, redirect_url=f"{ORIGIN}{prefix}/callback", logout_url=f"{ORIGIN}{prefix}/"
        )
    return {
        **registered,
        "SECRET_KEY": "a secret key for the tests alone",
        "AWS_COGNITO_REFRESH_FLOW_ENABLED": True,
    }


class Visitor:
    """A browser, at the site and at the pool."""

    def __init__(self, site: DispatcherMiddleware, http: requests.Session) -> None:
        self.client = Client(site)
        self.http = http

    def visit(self, address: str) -> TestResponse:
        """Follows redirects, to the pool's form and back as well; alice signs in there if she is asked to."""
        answer = self.client.get(address, headers=NAVIGATION)
        for _ in range(MAX_REDIRECTS):
            if answer.status_code not in (302, 303):
                return answer
            if answer.location.startswith("http"):
                page = self.http.get(answer.location, allow_redirects=False, timeout=10)
                back = submit_sign_in(self.http, page, "alice", "alice-password").headers["Location"]
                answer = self.client.get(back.removeprefix(ORIGIN), headers=NAVIGATION)
            else:
                answer = self.client.get(answer.location, headers=NAVIGATION)
        raise AssertionError(f"redirected for ever, at last to {answer.location}")

    def fetch(self, address: str) -> TestResponse:
        return self.client.get(address, headers=FETCH)


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


@pytest.fixture
def alice(example, user_pool, http) -> Visitor:
    return Visitor(example.create_site(settings(user_pool), ORIGIN), http)


@pytest.mark.parametrize("prefix", ["/shop", "/office"])
def test_a_sign_in_at_one_application_serves_the_other(alice, prefix):
    assert alice.visit(f"{prefix}/login?next={prefix}/").json == {"user": "alice", "at": prefix}
    assert alice.fetch("/shop/basket").json == {"of": "alice"}
    assert alice.fetch("/office/").json == {"user": "alice", "at": "/office"}


def test_each_application_has_its_own_rules(alice):
    assert alice.fetch("/shop/").json == {"user": None, "at": "/shop"}
    assert alice.fetch("/office/").status_code == 401
    assert alice.fetch("/shop/basket").status_code == 401


def test_a_sign_out_at_one_application_is_one_at_both(alice):
    alice.visit("/office/")
    assert alice.client.get("/shop/logout", headers=NAVIGATION).status_code == 302
    assert alice.fetch("/shop/").json == {"user": None, "at": "/shop"}
    assert alice.fetch("/office/").status_code == 401


def test_an_expired_session_is_refreshed_by_either(alice):
    alice.visit("/office/")
    for address in ("/shop/basket", "/office/", "/shop/basket"):
        alice.client.delete_cookie("cognito_access_token")
        assert alice.fetch(address).status_code == 200
        assert alice.client.get_cookie("cognito_access_token") is not None


# two app clients: the cookies have the same names, and each application refuses the tokens for the other


@pytest.fixture
def alice_of_two_clients(example, user_pool, http) -> Visitor:
    shop = example.create_site(settings(user_pool, "web"), ORIGIN)
    office = example.create_site(settings(user_pool, "other"), ORIGIN)
    mounts = {"/shop": shop.mounts["/shop"], "/office": office.mounts["/office"]}
    return Visitor(DispatcherMiddleware(shop.app, mounts), http)


def test_with_two_app_clients_each_change_of_application_takes_a_silent_sign_in(
    alice_of_two_clients, user_pool
):
    alice = alice_of_two_clients
    alice.visit("/office/")
    before = user_pool.calls.copy()
    for _ in range(3):
        assert alice.visit("/shop/basket").json == {"of": "alice"}
        assert alice.visit("/office/").json == {"user": "alice", "at": "/office"}
    assert user_pool.calls["token:authorization_code"] == before["token:authorization_code"] + 6
    assert user_pool.calls["login"] == before["login"]


def test_with_two_app_clients_a_session_at_one_is_none_at_the_other(alice_of_two_clients):
    alice = alice_of_two_clients
    alice.visit("/office/")
    assert alice.fetch("/shop/basket").status_code == 401
