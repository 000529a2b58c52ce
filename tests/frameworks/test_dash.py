"""Dash: page, layout and callbacks are protected, scripts and styles are not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from ..visiting import FETCH, NAVIGATION
from .conftest import need

need("dash")


@pytest.fixture
def client(load, pool) -> FlaskClient:
    settings = pool.settings(AWS_COGNITO_LOGOUT_URL="http://localhost/")
    return load("dash_app").create_app(settings).test_client()


def choose(client: FlaskClient, year: str) -> TestResponse:
    """What Dash's script sends when a year is chosen."""
    call = {
        "output": "sales.children",
        "outputs": {"id": "sales", "property": "children"},
        "inputs": [{"id": "year", "property": "value", "value": year}],
        "changedPropIds": ["year.value"],
    }
    headers = {**FETCH, "Origin": "http://localhost"}
    # In a thread, as under a server: Dash runs an event loop, and a test with Playwright may have left this thread one.
    with ThreadPoolExecutor() as server:
        return server.submit(client.post, "/_dash-update-component", json=call, headers=headers).result()


def shown(answer: TestResponse) -> str:
    assert answer.status_code == 200, answer.text
    return answer.json["response"]["sales"]["children"]


@pytest.mark.parametrize("path", ["/_dash-layout", "/_dash-dependencies", "/_reload-hash"])
def test_a_stranger_gets_nothing_of_the_application(client, path):
    assert client.get("/", headers=NAVIGATION).status_code == 302
    assert client.get(path, headers=FETCH).status_code == 401


def test_a_stranger_gets_no_callback_answered(client):
    answer = choose(client, "2026")
    assert (answer.status_code, answer.mimetype) == (401, "application/problem+json")


def test_a_signed_in_user_gets_page_layout_and_scripts(client, pool):
    pool.sign_in(client, "erin")
    page = client.get("/", headers=NAVIGATION).text
    assert "_dash-config" in page
    assert client.get("/_dash-layout", headers=FETCH).json[0]["type"] == "Dropdown"


def test_scripts_are_public_so_that_they_may_be_cached(client):
    page = client.application.test_client()
    script = "/_dash-component-suites/dash/dash-renderer/build/dash_renderer.min.js"
    assert page.get(script, headers=FETCH).status_code == 200
    assert page.get("/_favicon.ico", headers=FETCH).status_code == 200


def test_a_callback_knows_its_user_and_decides_by_his_groups(client, pool):
    pool.sign_in(client, "erin")
    assert shown(choose(client, "2026")) == "Sales of 2026, for erin"
    assert shown(choose(client, "2025")) == "The archive is not open to you"
    pool.sign_in(client, "frank", groups=["archive"])
    assert shown(choose(client, "2025")) == "Sales of 2025, for frank"


def test_another_sites_page_cannot_call_back_for_the_user(client, pool):
    pool.sign_in(client, "erin")
    answer = client.post("/_dash-update-component", json={}, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
