"""Bottle and Falcon: the same application twice."""

from __future__ import annotations

import pytest
from werkzeug.test import Client

from ..visiting import FETCH, NAVIGATION
from .conftest import need
from .spellings import HARMLESS, SPELLINGS


@pytest.fixture(params=["bottle", "falcon"])
def client(request, load) -> Client:
    need(request.param)
    return Client(load(f"{request.param}_app").application)


def test_a_stranger_is_sent_to_sign_in(client):
    assert client.get("/account", headers=NAVIGATION).status_code == 302
    assert client.get("/account", headers=FETCH).status_code == 401


def test_the_application_reads_the_claims(client, pool):
    pool.sign_in(client, "jürgen")
    assert client.get("/account").json == {"user": "jürgen"}


@pytest.mark.parametrize(("groups", "status"), [([], 403), (["keepers"], 200)], ids=["visitor", "keeper"])
def test_rules_hold(client, pool, groups, status):
    pool.sign_in(client, "erin", groups=groups)
    assert client.post("/keys", json={"purpose": "tower"}).status_code == status


def test_the_body_arrives(client, pool):
    pool.sign_in(client, "erin", groups=["keepers"])
    assert client.post("/keys", json={"purpose": "tower"}).json == {"for": "tower"}


@pytest.mark.parametrize("path_info", SPELLINGS)
def test_no_spelling_of_a_path_gets_past_its_rule(client, pool, path_info):
    pool.sign_in(client, "erin")
    environ = {"PATH_INFO": path_info}
    answer = client.post("/", json={"purpose": "tower"}, environ_overrides=environ)
    assert answer.status_code in HARMLESS
