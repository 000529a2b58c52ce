"""Django: the environ in ``request.META``, and Django's own users made of Cognito's."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import pytest
from werkzeug.test import Client

from cognito_wsgi.testing import TestPool

from ..visiting import FETCH, NAVIGATION
from .conftest import need, set_environment
from .spellings import HARMLESS, SPELLINGS

need("django")

from django.core.management import call_command  # noqa: E402 - where it is installed
from django.db import connections  # noqa: E402


@pytest.fixture(scope="module")
def pool() -> TestPool:
    """One for all tests here: Django is set up once in a process."""
    return TestPool()


@pytest.fixture(scope="module")
def application(pool, tmp_path_factory) -> Iterator[object]:
    with pytest.MonkeyPatch.context() as patch:
        set_environment(pool, patch)
        patch.setenv("DJANGO_SITE_DATABASE", str(tmp_path_factory.mktemp("django") / "db.sqlite3"))
        application = importlib.import_module("django_site.wsgi").application
        call_command("migrate", verbosity=0)
        yield application
    connections.close_all()


@pytest.fixture
def client(application) -> Client:
    return Client(application)


def test_a_stranger_is_anonymous_on_a_public_page_and_sent_to_sign_in_elsewhere(client):
    assert client.get("/").json == {"user": "", "is_anonymous": True}
    assert client.get("/account/", headers=NAVIGATION).status_code == 302
    assert client.get("/account/", headers=FETCH).status_code == 401


def test_a_signed_in_user_is_one_of_djangos(client, pool):
    pool.sign_in(client, "alice", groups=["admin", "editor"])
    assert client.get("/account/").json == {
        "username": "alice",
        "user": "alice",
        "groups": ["admin", "editor"],
        "is_staff": True,
    }


def test_a_change_of_groups_reaches_djangos_user(client, pool):
    pool.sign_in(client, "bob", groups=["editor"])
    assert client.get("/account/").json["groups"] == ["editor"]
    client = Client(client.application)
    pool.sign_in(client, "bob", groups=["admin"])
    account = client.get("/account/").json
    assert (account["groups"], account["is_staff"]) == (["admin"], True)


def test_a_name_outside_of_ascii_arrives_whole(client, pool):
    pool.sign_in(client, "jürgen@example.test")
    account = client.get("/account/").json
    assert account["user"] == account["username"] == "jürgen@example.test"


def test_rules_cover_djangos_routes(client, pool):
    pool.sign_in(client, "carol", groups=["editor"])
    assert client.get("/keys/").status_code == 403
    pool.sign_in(client, "alice", groups=["admin"])
    assert client.get("/keys/").status_code == 200


@pytest.mark.parametrize("path_info", [*SPELLINGS, "/keys/", "//keys/", "/ke\xffys/"])
def test_no_spelling_of_a_path_gets_past_its_rule(client, pool, path_info):
    pool.sign_in(client, "carol", groups=["editor"])
    answer = client.get("/", environ_overrides={"PATH_INFO": path_info})
    assert answer.status_code in HARMLESS


def test_signing_out_at_the_gateway_ends_djangos_session_too(client, pool):
    pool.sign_in(client, "alice")
    assert client.get("/").json == {"user": "alice", "is_anonymous": False}
    assert client.get("/logout").status_code == 302
    assert client.get_cookie("sessionid") is not None
    assert client.get("/").json == {"user": "", "is_anonymous": True}


def test_another_user_does_not_get_the_django_session_of_the_last(client, pool):
    pool.sign_in(client, "alice")
    assert client.get("/account/").json["user"] == "alice"
    pool.sign_in(client, "bob")
    assert client.get("/account/").json["user"] == "bob"
