"""The test kit: its users are signed in as Cognito's are, its bad tokens are refused, and nothing is fetched."""

from __future__ import annotations

import pytest
from flask import Flask, request
from werkzeug.test import Client

from cognito_wsgi import CognitoConfig, CognitoGateway
from cognito_wsgi.testing import TestPool, subject_of

pytest_plugins = ["pytester"]


def make_client(pool: TestPool, rules=None, **overrides):
    app = Flask(__name__)

    @app.get("/me")
    def me():
        return {
            "claims": request.environ["cognito.claims"],
            "user_info": request.environ["cognito.user_info"],
            "groups": request.environ["cognito.groups"],
        }

    app.config.update(pool.settings(**overrides))
    app.wsgi_app = CognitoGateway(app.wsgi_app, app.config, rules=rules or {})
    return app.test_client()


def test_a_signed_in_test_client_has_the_claims_that_were_asked_for(pool):
    client = make_client(pool, {"/me": {"groups": ["a"], "scopes": ["shop/read"]}})
    returned = pool.sign_in(
        client,
        "ada",
        groups=["a", "b"],
        scopes=["openid", "shop/read"],
        claims={"custom:office": "Bath"},
        user_info={"name": "Ada"},
    )
    me = client.get("/me").json
    assert me["claims"] == returned
    assert me["claims"]["sub"] == subject_of("ada")
    assert me["claims"]["custom:office"] == "Bath"
    assert me["groups"] == ["a", "b"]
    assert me["user_info"]["name"] == "Ada"
    assert me["user_info"]["email"] == "ada@example.test"


def test_signing_in_again_replaces_the_user_and_signing_out_ends_it(pool):
    client = make_client(pool)
    pool.sign_in(client, "ada")
    pool.sign_in(client, "bob")
    assert client.get("/me").json["claims"]["username"] == "bob"
    client.set_cookie("own", "kept")
    pool.sign_out(client)
    assert client.get("/me").status_code == 401
    assert client.get_cookie("own") is not None


def test_a_werkzeug_client_in_front_of_the_gateway_does_as_well(pool):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [environ["REMOTE_USER"].encode()]

    client = Client(CognitoGateway(app, pool.config()))
    pool.sign_in(client, "ada")
    assert client.get("/").text == "ada"


@pytest.mark.parametrize(
    "overrides",
    [
        pytest.param(
            {"AWS_COGNITO_REDIRECT_URL": "https://shop.example/callback"}, id="https, __Host- names"
        ),
        pytest.param(
            {
                "AWS_COGNITO_REDIRECT_URL": "https://shop.example/callback",
                "AWS_COGNITO_COOKIE_DOMAIN": "shop.example",
            },
            id="cookie_domain, __Secure- names",
        ),
    ],
)
def test_cookie_names_follow_the_configuration(pool, overrides):
    client = make_client(pool, **overrides)
    pool.sign_in(client, "ada")
    assert client.get("/me", base_url="https://shop.example").status_code == 200


def test_a_user_with_many_groups_is_signed_in_in_pieces(pool):
    client = make_client(pool)
    groups = [f"department-{number:03}-of-the-works" for number in range(100)]
    pool.sign_in(client, "dave", groups=groups)
    assert client.get_cookie("cognito_access_token_1") is not None
    assert client.get("/me").json["groups"] == groups


BAD = [
    pytest.param("expired_token", id="expired"),
    pytest.param("other_client_token", id="another app client"),
    pytest.param("other_pool_token", id="another pool's key"),
    pytest.param("id_token", id="ID token as access token"),
]


@pytest.mark.parametrize("maker", BAD)
def test_each_bad_token_is_refused_as_cookie_and_as_bearer(pool, maker):
    client = make_client(pool, AWS_COGNITO_BEARER_ENABLED=True)
    token = getattr(pool, maker)("ada")
    assert client.get("/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    pool.set_cookies(client, token)
    assert client.get("/me").status_code == 401


def test_a_machine_token_is_taken_as_bearer_and_has_no_user(pool):
    client = make_client(pool, AWS_COGNITO_BEARER_ENABLED=True, AWS_COGNITO_BEARER_CLIENT_IDS=["robot"])
    token = pool.machine_token(client_id="robot", scopes=["shop/read"])
    claims = client.get("/me", headers={"Authorization": f"Bearer {token}"}).json["claims"]
    assert claims["client_id"] == claims["sub"] == "robot"
    assert "username" not in claims


def test_config_and_settings_say_the_same(pool):
    assert CognitoConfig.from_mapping(pool.settings()) == pool.config()
    assert pool.config(leeway=30).leeway == 30


def test_a_pool_shows_no_secret_in_its_repr(pool):
    assert pool.settings()["SECRET_KEY"] not in repr(pool)


def test_pytest_finds_the_fixtures_by_itself(pytester):
    pytester.makepyfile(
        """
        from flask import Flask
        from cognito_wsgi import CognitoGateway

        def test_own_app(cognito_pool, cognito_settings):
            app = Flask(__name__)
            app.add_url_rule("/", "front", lambda: "in")
            app.wsgi_app = CognitoGateway(app.wsgi_app, cognito_settings)
            client = app.test_client()
            assert client.get("/").status_code == 401
            cognito_pool.sign_in(client)
            assert client.get("/").text == "in"
        """
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)
