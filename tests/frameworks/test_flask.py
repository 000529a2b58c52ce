"""Flask: blueprints and a factory, its own error pages, its session, ``url_for`` and ``ProxyFix``."""

from __future__ import annotations

import pytest
from flask import Flask

from ..visiting import FETCH, NAVIGATION

# blueprints and an application factory


@pytest.fixture
def factory_app(load) -> Flask:
    return load("flask_factory").create_app()


@pytest.mark.parametrize(
    ("groups", "method", "path", "status"),
    [
        pytest.param(None, "GET", "/articles/", 200, id="a stranger reads"),
        pytest.param(None, "POST", "/articles/", 401, id="a stranger does not write"),
        pytest.param([], "POST", "/articles/", 403, id="a reader does not write"),
        pytest.param(["editor"], "POST", "/articles/", 201, id="an editor writes"),
        pytest.param(None, "GET", "/office/", 401, id="a stranger stays out of the office"),
        pytest.param([], "GET", "/office/", 403, id="a reader stays out of the office"),
        pytest.param(["editor"], "GET", "/office/", 200, id="an editor is let into the office"),
        pytest.param(["editor"], "GET", "/office/salaries/2026", 403, id="an editor does not see salaries"),
        pytest.param(["admin"], "GET", "/office/salaries/2026", 200, id="an admin sees salaries"),
    ],
)
def test_rules_of_each_blueprint_hold(factory_app, pool, groups, method, path, status):
    client = factory_app.test_client()
    if groups is not None:
        pool.sign_in(client, "erin", groups=groups)
    assert client.open(path, method=method, headers=FETCH).status_code == status


def test_views_of_a_blueprint_know_the_user(factory_app, pool):
    client = factory_app.test_client()
    pool.sign_in(client, "erin", groups=["editor"])
    assert client.get("/articles/").json == {"reader": "erin"}
    assert client.post("/articles/").json == {"author": "erin"}
    assert client.get("/office/").json == {"groups": ["editor"]}


def test_a_setting_given_to_the_factory_outweighs_the_environment(load, pool):
    app = load("flask_factory").create_app({"AWS_COGNITO_LOGIN_PATH": "/enter"})
    assert app.test_client().get("/enter").status_code == 302


# the application's own error pages


@pytest.fixture
def pages_app(load, pool) -> Flask:
    return load("flask_error_pages").create_app(pool.settings())


def test_the_applications_403_page_is_shown(pages_app, pool, caplog):
    client = pages_app.test_client()
    pool.sign_in(client, "erin")
    answer = client.get("/vault", headers=NAVIGATION)
    assert answer.status_code == 403
    assert "<h1>Not for you, erin</h1>" in answer.text
    assert "a key to / and name " in answer.text
    reference = answer.text.partition("and name ")[2][:8]
    assert f"(reference {reference})" in caplog.text


def test_the_applications_401_page_is_shown_where_a_form_was_sent_without_a_session(pages_app):
    answer = pages_app.test_client().post("/vault", headers=NAVIGATION)
    assert answer.status_code == 401
    assert '<h1>Please <a href="/login">sign in</a></h1>' in answer.text
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="cognito"'


def test_a_stranger_who_follows_a_link_is_still_sent_to_sign_in(pages_app):
    answer = pages_app.test_client().get("/vault", headers=NAVIGATION)
    assert answer.status_code == 302
    assert "/oauth2/authorize?" in answer.location


def test_programs_get_the_gateways_answer(pages_app):
    answer = pages_app.test_client().get("/vault", headers=FETCH)
    assert (answer.status_code, answer.mimetype) == (401, "application/problem+json")


def test_an_error_that_the_application_has_no_handler_for_gets_the_gateways_page(pages_app):
    answer = pages_app.test_client().get("/a/../b", headers=NAVIGATION)
    assert answer.status_code == 400
    assert "That did not work" in answer.text


# the session, url_for and ProxyFix

FORWARDED = {
    "X-Forwarded-For": "192.0.2.7",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "www.example.org",
    "X-Forwarded-Prefix": "/shop",
}


@pytest.fixture
def session_app(load, pool) -> Flask:
    settings = pool.settings(
        AWS_COGNITO_REDIRECT_URL="https://www.example.org/shop/callback",
        AWS_COGNITO_LOGOUT_URL="https://www.example.org/shop/goodbye",
    )
    return load("flask_session").create_app(settings)


class Browser:
    """What a browser at https://www.example.org/shop makes of a proxy that strips the prefix."""

    def __init__(self, app: Flask) -> None:
        self.client = app.test_client()

    def open(self, path: str, method: str = "GET", **options):
        headers = {**FORWARDED, **options.pop("headers", FETCH)}
        base_url = "http://www.example.org"  # what reaches the application: the proxy speaks TLS
        return self.client.open(path, method=method, headers=headers, base_url=base_url, **options)

    def basket(self) -> list[str]:
        return self.open("/basket").json["things"]


def test_url_for_names_the_address_that_visitors_know(session_app, pool):
    browser = Browser(session_app)
    pool.sign_in(browser.client)
    assert browser.open("/basket").json["address"] == "https://www.example.org/shop/basket"


def test_flasks_session_is_kept_from_request_to_request(session_app, pool):
    browser = Browser(session_app)
    pool.sign_in(browser.client)
    origin = {**FETCH, "Origin": "https://www.example.org"}
    for thing in ("tea", "salt"):
        assert browser.open("/basket", "POST", data={"thing": thing}, headers=origin).status_code == 204
    assert browser.basket() == ["tea", "salt"]


def test_flasks_session_is_not_shown_to_the_next_user(session_app, pool):
    browser = Browser(session_app)
    pool.sign_in(browser.client, "alice")
    browser.open("/basket", "POST", data={"thing": "tea"})
    assert browser.open("/logout").status_code == 302
    assert browser.client.get_cookie("session", domain="www.example.org") is not None
    pool.sign_in(browser.client, "bob")
    assert browser.basket() == []


def test_a_sign_in_under_a_prefix_comes_back_to_the_page_that_was_asked_for(session_app):
    browser = Browser(session_app)
    away = browser.open("/basket", headers=NAVIGATION)
    assert "redirect_uri=https%3A%2F%2Fwww.example.org%2Fshop%2Fcallback" in away.location
    refused = browser.open("/callback?error=access_denied", headers=NAVIGATION)
    assert 'href="/shop/login' in refused.text
    problem = browser.open("/basket")
    assert problem.json["login_url"] == "/shop/login?next=%2Fshop%2Fbasket"


def test_the_page_after_sign_out_is_public_under_a_prefix(session_app):
    assert Browser(session_app).open("/goodbye").status_code == 404
    assert Browser(session_app).open("/basket").status_code == 401
