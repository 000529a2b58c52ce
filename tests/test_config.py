from __future__ import annotations

import ast
import dataclasses
import json
import pickle
import re
import sys
from pathlib import Path
from types import MappingProxyType
from typing import Any

import flask
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cognito_wsgi.config
from cognito_wsgi.config import CognitoConfig
from cognito_wsgi.errors import ConfigurationError

VALID: dict[str, Any] = {
    "AWS_REGION": "eu-west-1",
    "AWS_COGNITO_USER_POOL_ID": "eu-west-1_AbCdEf123",
    "AWS_COGNITO_DOMAIN": "https://auth.example.com",
    "AWS_COGNITO_USER_POOL_CLIENT_ID": "6kl2example",
    "AWS_COGNITO_REDIRECT_URL": "https://app.example.com/callback",
    "AWS_COGNITO_LOGOUT_URL": "https://app.example.com/goodbye",
    "SECRET_KEY": "0123456789abcdef",
}
LOCAL = {
    "AWS_COGNITO_REDIRECT_URL": "http://localhost:5000/callback",
    "AWS_COGNITO_LOGOUT_URL": "http://localhost:5000/goodbye",
}
KEY_SET = {"keys": [{"kid": "one", "kty": "RSA"}]}
POOL_URL = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEf123"

REQUIRED = object()
# design.md §3, in its order: field, key, default.
CONTRACT = [
    ("region", "AWS_REGION", REQUIRED),
    ("user_pool_id", "AWS_COGNITO_USER_POOL_ID", REQUIRED),
    ("domain", "AWS_COGNITO_DOMAIN", REQUIRED),
    ("client_id", "AWS_COGNITO_USER_POOL_CLIENT_ID", REQUIRED),
    ("client_secret", "AWS_COGNITO_USER_POOL_CLIENT_SECRET", None),
    ("redirect_url", "AWS_COGNITO_REDIRECT_URL", REQUIRED),
    ("logout_url", "AWS_COGNITO_LOGOUT_URL", REQUIRED),
    ("secret_key", "SECRET_KEY", REQUIRED),
    ("secret_key_fallbacks", "SECRET_KEY_FALLBACKS", ()),
    ("scopes", "AWS_COGNITO_SCOPES", None),
    ("refresh_enabled", "AWS_COGNITO_REFRESH_FLOW_ENABLED", False),
    ("refresh_cookie_encrypted", "AWS_COGNITO_REFRESH_COOKIE_ENCRYPTED", True),
    ("refresh_cookie_max_age", "AWS_COGNITO_REFRESH_COOKIE_AGE_SECONDS", 86400),
    ("cookie_max_age", "AWS_COGNITO_COOKIE_AGE_SECONDS", None),
    ("cookie_domain", "AWS_COGNITO_COOKIE_DOMAIN", None),
    ("cookie_samesite", "AWS_COGNITO_COOKIE_SAMESITE", "Lax"),
    ("leeway", "AWS_COGNITO_EXPIRATION_LEEWAY", 0),
    ("disabled", "AWS_COGNITO_DISABLED", False),
    ("login_path", "AWS_COGNITO_LOGIN_PATH", "/login"),
    ("logout_path", "AWS_COGNITO_LOGOUT_PATH", "/logout"),
    ("refresh_path", "AWS_COGNITO_REFRESH_PATH", "/refresh"),
    ("bearer_enabled", "AWS_COGNITO_BEARER_ENABLED", False),
    ("bearer_client_ids", "AWS_COGNITO_BEARER_CLIENT_IDS", ()),
    ("trusted_origins", "AWS_COGNITO_TRUSTED_ORIGINS", ()),
    ("issuer", "AWS_COGNITO_ISSUER", POOL_URL),
    ("jwks_url", "AWS_COGNITO_JWKS_URL", POOL_URL + "/.well-known/jwks.json"),
    ("jwks", "AWS_COGNITO_JWKS", None),
    ("timeout", "AWS_COGNITO_TIMEOUT_SECONDS", 5.0),
]
FIELD = {key: name for name, key, _ in CONTRACT}
REQUIRED_KEYS = [key for _, key, default in CONTRACT if default is REQUIRED]
OPTIONAL = [(name, key, default) for name, key, default in CONTRACT if default is not REQUIRED]


def configure(changes: dict[str, Any] | None = None) -> CognitoConfig:
    return CognitoConfig.from_mapping({**VALID, **(changes or {})})


def problems_of(changes: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        configure(changes)
    return caught.value.problems


def only_problem_of(changes: dict[str, Any]) -> str:
    (problem,) = problems_of(changes)
    return problem


def rows(*table: tuple[Any, ...]) -> list[Any]:
    """Rows of a table, the name first."""
    return [pytest.param(*row, id=name) for name, *row in table]


# The contract: names, keys, defaults


def test_fields_are_those_of_the_contract():
    assert [field.name for field in dataclasses.fields(CognitoConfig)] == [name for name, _, _ in CONTRACT]


@pytest.mark.parametrize(("name", "key", "default"), OPTIONAL)
def test_a_setting_that_is_left_out_or_none_has_its_default(name, key, default):
    for config in configure(), configure({key: None}):
        assert getattr(config, name) == default
        assert type(getattr(config, name)) is type(default)


@pytest.mark.parametrize("key", REQUIRED_KEYS)
def test_a_required_setting_that_is_none_is_missing(key):
    problem = only_problem_of({key: None})
    assert problem.startswith(f"{key} ({FIELD[key]}): missing, expected ")


def test_an_empty_mapping_lacks_all_that_is_required():
    with pytest.raises(ConfigurationError) as caught:
        CognitoConfig.from_mapping({})
    assert [problem.split()[0] for problem in caught.value.problems] == REQUIRED_KEYS
    assert all(": missing, expected " in problem for problem in caught.value.problems)


def test_an_instance_can_be_made_directly_from_a_mapping_or_from_the_environment():
    made = [
        CognitoConfig(**{FIELD[key]: value for key, value in VALID.items()}),
        CognitoConfig.from_mapping(MappingProxyType(VALID)),
        CognitoConfig.from_env(VALID),
    ]
    assert made[0] == made[1] == made[2]
    assert len({*made}) == 1


def test_direct_construction_checks_and_normalises_as_well():
    values = {FIELD[key]: value for key, value in VALID.items()}
    config = CognitoConfig(**{**values, "scopes": ["openid"], "cookie_samesite": "strict"})
    assert (config.scopes, config.cookie_samesite) == (("openid",), "Strict")
    with pytest.raises(ConfigurationError, match=r"^AWS_REGION \(region\): found 'Mars', expected "):
        CognitoConfig(**{**values, "region": "Mars"})


def test_only_keywords_are_taken():
    with pytest.raises(TypeError):
        CognitoConfig("eu-west-1")


def test_an_instance_cannot_be_changed_and_pickles():
    config = configure({"AWS_COGNITO_JWKS": KEY_SET})
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.region = "us-east-1"
    assert pickle.loads(pickle.dumps(config)) == config
    assert hash(config) == hash(configure({"AWS_COGNITO_JWKS": KEY_SET}))


def test_the_module_imports_the_standard_library_and_our_errors_alone():
    tree = ast.parse(Path(cognito_wsgi.config.__file__).read_text())
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module)
    foreign = {name for name in imported if name.partition(".")[0] not in sys.stdlib_module_names}
    assert foreign == {"cognito_wsgi.errors"}


# Where the values come from


def test_keys_of_others_are_ignored():
    assert configure({"AWS_PROFILE": "x", "aws_cognito_x": "x", "XAWS_COGNITO_X": "x", 7: "x"}) == configure()


def test_something_else_than_a_mapping_is_refused_by_name_of_its_type():
    with pytest.raises(ConfigurationError, match=r"type Flask, expected a mapping such as app\.config"):
        CognitoConfig.from_mapping(flask.Flask("app"))


def test_a_misspelt_key_is_reported_with_the_nearest_one_and_without_its_value():
    misspelt = "AWS_COGNITO_USER_POOL_CLIENT_SECERT"
    problem = only_problem_of({misspelt: "hunter2hunter2"})
    assert problem == (
        f"{misspelt} is no setting of cognito_wsgi, did you mean AWS_COGNITO_USER_POOL_CLIENT_SECRET?"
    )


def test_a_key_like_no_other_is_reported_without_advice():
    key = "AWS_COGNITO_" + "X" * 200
    problem = only_problem_of({key: None})
    assert problem.endswith("… is no setting of cognito_wsgi")
    assert len(problem) < 120


def test_all_problems_are_reported_at_once():
    problems = problems_of(
        {
            "AWS_REGION": "us-east-1",  # by itself fine, but not the pool's
            "AWS_COGNITO_DOMAIN": "auth.example.com",
            "AWS_COGNITO_USER_POOL_CLIENT_ID": None,
            "AWS_COGNITO_DISABLED": "perhaps",
            "AWS_COGNITO_TIMEOUT": 5,
            "AWS_COGNITO_LOGIN_PATH": "/logout",
            "AWS_COGNITO_COOKIE_DOMAIN": "example.org",
            "SECRET_KEY": "short",
        }
    )
    assert {problem.split()[0] for problem in problems} == {
        "AWS_COGNITO_TIMEOUT",
        "AWS_COGNITO_DOMAIN",
        "AWS_COGNITO_USER_POOL_CLIENT_ID",
        "AWS_COGNITO_DISABLED",
        "SECRET_KEY",
        "AWS_COGNITO_USER_POOL_ID",
        "AWS_COGNITO_COOKIE_DOMAIN",
        "AWS_COGNITO_LOGIN_PATH",
    }
    assert len(problems) == 8


def test_the_process_environment_is_read_unless_another_is_given(monkeypatch):
    for _, key, _ in CONTRACT:
        monkeypatch.delenv(key, raising=False)
    for key, value in VALID.items():
        monkeypatch.setenv(key, value)
    assert CognitoConfig.from_env() == configure()


def test_an_empty_variable_is_not_set():
    empty = {key: "" for _, key, _ in CONTRACT if key not in VALID}
    assert CognitoConfig.from_env({**VALID, **empty, "AWS_COGNITO_NO_SUCH": ""}) == configure()
    with pytest.raises(ConfigurationError, match=r"^AWS_REGION \(region\): missing"):
        CognitoConfig.from_env({**VALID, "AWS_REGION": ""})


@pytest.mark.parametrize("key", FIELD)
def test_an_empty_text_in_a_mapping_is_malformed(key):
    problem = only_problem_of({key: ""})
    assert problem.startswith(f"{key} ({FIELD[key]}): found ")


def test_an_environment_full_of_text_gives_real_types():
    config = CognitoConfig.from_env(
        {
            **VALID,
            "SECRET_KEY_FALLBACKS": "fedcba9876543210, 0000000000000000",
            "AWS_COGNITO_SCOPES": "openid, email  profile\tapi/read,",
            "AWS_COGNITO_REFRESH_FLOW_ENABLED": "On",
            "AWS_COGNITO_REFRESH_COOKIE_ENCRYPTED": "NO",
            "AWS_COGNITO_REFRESH_COOKIE_AGE_SECONDS": "600",
            "AWS_COGNITO_COOKIE_AGE_SECONDS": "060",
            "AWS_COGNITO_COOKIE_SAMESITE": "NONE",
            "AWS_COGNITO_EXPIRATION_LEEWAY": "0",
            "AWS_COGNITO_DISABLED": "0",
            "AWS_COGNITO_BEARER_ENABLED": "1",
            "AWS_COGNITO_BEARER_CLIENT_IDS": "one two,three",
            "AWS_COGNITO_TRUSTED_ORIGINS": "https://a.example.com,https://b.example.com",
            "AWS_COGNITO_JWKS": json.dumps(KEY_SET),
            "AWS_COGNITO_TIMEOUT_SECONDS": "2.5",
        }
    )
    assert config.secret_keys == (b"0123456789abcdef", b"fedcba9876543210", b"0000000000000000")
    assert config.scopes == ("openid", "email", "profile", "api/read")
    assert (config.refresh_enabled, config.refresh_cookie_encrypted) == (True, False)
    assert (config.refresh_cookie_max_age, config.cookie_max_age, config.leeway) == (600, 60, 0)
    assert config.cookie_samesite == "None"
    assert (config.disabled, config.bearer_enabled) == (False, True)
    assert config.bearer_client_ids == ("one", "two", "three")
    assert config.trusted_origins == ("https://a.example.com", "https://b.example.com")
    assert config.jwks == KEY_SET
    assert config.timeout == 2.5


def test_the_config_of_a_flask_application_is_taken_as_it_is():
    app = flask.Flask("app")
    app.config.from_mapping(VALID)
    assert CognitoConfig.from_mapping(app.config) == configure()


def test_flasks_prefixed_environment_is_taken_with_the_types_it_gives(monkeypatch):
    for key, value in VALID.items():
        monkeypatch.setenv(f"FLASK_{key}", value)
    monkeypatch.setenv("FLASK_AWS_COGNITO_SCOPES", '["openid", "email"]')
    monkeypatch.setenv("FLASK_AWS_COGNITO_DISABLED", "True")  # not JSON: stays text
    monkeypatch.setenv("FLASK_AWS_COGNITO_BEARER_ENABLED", "true")
    monkeypatch.setenv("FLASK_AWS_COGNITO_REFRESH_FLOW_ENABLED", "1")
    monkeypatch.setenv("FLASK_AWS_COGNITO_EXPIRATION_LEEWAY", "10")
    monkeypatch.setenv("FLASK_AWS_COGNITO_COOKIE_AGE_SECONDS", "null")
    monkeypatch.setenv("FLASK_AWS_COGNITO_JWKS", json.dumps(KEY_SET))
    app = flask.Flask("app")
    app.config.from_prefixed_env()
    config = CognitoConfig.from_mapping(app.config)
    assert config.scopes == ("openid", "email")
    assert (config.disabled, config.bearer_enabled, config.refresh_enabled) == (True, True, True)
    assert (config.leeway, config.cookie_max_age, config.jwks) == (10, None, KEY_SET)


# One setting at a time

LONG_CLIENT_ID = "c" * 128
LONG_POOL_ID = "eu-west-1_" + "a" * 45
LONG_URL = "https://app.example.com/".ljust(1024, "a")
LONG_LABEL = "a" * 63
LONG_HOST = ".".join([LONG_LABEL] * 3 + ["a" * 61])  # 253


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    rows(
        ("pool id of 55", "AWS_COGNITO_USER_POOL_ID", LONG_POOL_ID, LONG_POOL_ID),
        ("client id of 128", "AWS_COGNITO_USER_POOL_CLIENT_ID", LONG_CLIENT_ID, LONG_CLIENT_ID),
        ("client id, first and last sign", "AWS_COGNITO_USER_POOL_CLIENT_ID", "!~", "!~"),
        ("client secret", "AWS_COGNITO_USER_POOL_CLIENT_SECRET", "!a+/=~", "!a+/=~"),
        ("domain, lone slash", "AWS_COGNITO_DOMAIN", "https://auth.example.com/", "https://auth.example.com"),
        ("domain, capitals and port", "AWS_COGNITO_DOMAIN", "HTTPS://Auth.Example.com:443", "https://auth.example.com"),
        ("domain on this machine", "AWS_COGNITO_DOMAIN", "http://127.0.0.1:8001", "http://127.0.0.1:8001"),
        ("domain of 253", "AWS_COGNITO_DOMAIN", f"https://{LONG_HOST}", f"https://{LONG_HOST}"),
        ("domain in punycode", "AWS_COGNITO_DOMAIN", "https://xn--mnchen-3ya.example", "https://xn--mnchen-3ya.example"),
        ("redirect with a query", "AWS_COGNITO_REDIRECT_URL", LONG_URL[:99] + "?a=b@c", LONG_URL[:99] + "?a=b@c"),
        ("redirect of 1024", "AWS_COGNITO_REDIRECT_URL", LONG_URL, LONG_URL),
        ("redirect, greatest port", "AWS_COGNITO_REDIRECT_URL", "https://a.example:65535/c", "https://a.example:65535/c"),
        ("redirect, least port", "AWS_COGNITO_REDIRECT_URL", "https://a.example:1/c", "https://a.example:1/c"),
        ("logout without a path", "AWS_COGNITO_LOGOUT_URL", "https://app.example.com", "https://app.example.com"),
        ("logout elsewhere, odd path", "AWS_COGNITO_LOGOUT_URL", "https://o.example/a//b/%ff", "https://o.example/a//b/%ff"),
        ("logout path is login path", "AWS_COGNITO_LOGOUT_URL", "https://app.example.com/login", "https://app.example.com/login"),
        ("logout elsewhere, own name", "AWS_COGNITO_LOGOUT_URL", "https://o.example/logout", "https://o.example/logout"),
        ("key of 16 bytes in 8 letters", "SECRET_KEY", "ä" * 8, "ä" * 8),
        ("key of bytes", "SECRET_KEY", b"\xff" * 16, b"\xff" * 16),
        ("no fallbacks", "SECRET_KEY_FALLBACKS", [], ()),
        ("fallbacks", "SECRET_KEY_FALLBACKS", ["a" * 16, b"b" * 16], ("a" * 16, b"b" * 16)),
        ("fallback with a space, in a list", "SECRET_KEY_FALLBACKS", ["a secret key 1234"], ("a secret key 1234",)),
        ("scopes repeated", "AWS_COGNITO_SCOPES", ("b", "a", "b"), ("b", "a")),
        ("scope of a resource server", "AWS_COGNITO_SCOPES", ["https://a.example/r:w"], ("https://a.example/r:w",)),
        ("scope, every kind of sign", "AWS_COGNITO_SCOPES", ["!#[]~"], ("!#[]~",)),
        ("least age", "AWS_COGNITO_COOKIE_AGE_SECONDS", 1, 1),
        ("greatest age", "AWS_COGNITO_COOKIE_AGE_SECONDS", 315_360_000, 315_360_000),
        ("greatest age of refresh, text", "AWS_COGNITO_REFRESH_COOKIE_AGE_SECONDS", "315360000", 315_360_000),
        ("greatest leeway", "AWS_COGNITO_EXPIRATION_LEEWAY", 600, 600),
        ("greatest timeout", "AWS_COGNITO_TIMEOUT_SECONDS", 60, 60.0),
        ("small timeout", "AWS_COGNITO_TIMEOUT_SECONDS", 0.001, 0.001),
        ("timeout of whole seconds", "AWS_COGNITO_TIMEOUT_SECONDS", "7", 7.0),
        ("cookie domain, dot and capitals", "AWS_COGNITO_COOKIE_DOMAIN", ".Example.COM", "example.com"),
        ("cookie domain, the very host", "AWS_COGNITO_COOKIE_DOMAIN", "app.example.com", "app.example.com"),
        ("samesite", "AWS_COGNITO_COOKIE_SAMESITE", "STRICT", "Strict"),
        ("samesite none with https", "AWS_COGNITO_COOKIE_SAMESITE", "none", "None"),
        ("login path of two parts", "AWS_COGNITO_LOGIN_PATH", "/auth/log-in.html", "/auth/log-in.html"),
        ("login path, other letters", "AWS_COGNITO_LOGIN_PATH", "/вход", "/вход"),
        ("login path, dots", "AWS_COGNITO_LOGIN_PATH", "/...", "/..."),
        ("login path, hidden", "AWS_COGNITO_LOGIN_PATH", "/.login", "/.login"),
        ("no trusted origins", "AWS_COGNITO_TRUSTED_ORIGINS", (), ()),
        (
            "trusted origins as browsers write them",
            "AWS_COGNITO_TRUSTED_ORIGINS",
            ["HTTPS://WWW.Example.com:443/", "http://[::1]:80", "http://LOCALHOST:3000", "https://1.2.3.4"],
            ("https://www.example.com", "http://[::1]", "http://localhost:3000", "https://1.2.3.4"),
        ),
        ("issuer unaltered", "AWS_COGNITO_ISSUER", "https://Login.Example:443/X", "https://Login.Example:443/X"),
        ("issuer without a path", "AWS_COGNITO_ISSUER", "http://localhost:1", "http://localhost:1"),
        ("keys with a query", "AWS_COGNITO_JWKS_URL", "https://k.example/?v=2", "https://k.example/?v=2"),
        ("keys as text", "AWS_COGNITO_JWKS", json.dumps(KEY_SET), KEY_SET),
    ),
)  # fmt: skip
def test_a_good_value_is_taken(key, value, expected):
    stored = getattr(configure({key: value}), FIELD[key])
    assert stored == expected
    assert type(stored) is type(expected)


NO_URL = "an absolute URL beginning with https://"
NO_PATH = "a path such as '/login'"
SIGNS = "percent-encode"
HOST = "a valid host name"
PORT = "from 1 to 65535"
HTTPS = "http:// only for 127.0.0.0/8, [::1] and localhost"
UNREACHABLE = "a URL whose path is UTF-8 without"
FLAG = "true or false"
AGE = "a whole number of seconds from 1 to 315360000"
LEEWAY = "a whole number of seconds from 0 to 600"
SECONDS = "a number of seconds greater than 0, at most 60"
KEYS = "a JSON Web Key Set"


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    rows(
        ("region, number", "AWS_REGION", 7, "AWS region"),
        ("region, zone", "AWS_REGION", "eu-west-1a", "AWS region"),
        ("region, newline", "AWS_REGION", "eu-west-1\n", "AWS region"),
        ("region, other digit", "AWS_REGION", "eu-west-٣", "AWS region"),
        ("region, capitals", "AWS_REGION", "EU-WEST-1", "AWS region"),
        ("pool, no region", "AWS_COGNITO_USER_POOL_ID", "_AbC", "id of a user pool"),
        ("pool, no name", "AWS_COGNITO_USER_POOL_ID", "eu-west-1_", "id of a user pool"),
        ("pool, path", "AWS_COGNITO_USER_POOL_ID", "eu-west-1_a/b", "id of a user pool"),
        ("pool, other letter", "AWS_COGNITO_USER_POOL_ID", "ëu-west-1_a", "id of a user pool"),
        ("pool, newline", "AWS_COGNITO_USER_POOL_ID", "eu-west-1_a\n", "id of a user pool"),
        ("pool of 56", "AWS_COGNITO_USER_POOL_ID", LONG_POOL_ID + "a", "55 characters at most"),
        ("pool, number", "AWS_COGNITO_USER_POOL_ID", 1, "id of a user pool"),
        ("client, space", "AWS_COGNITO_USER_POOL_CLIENT_ID", "a b", "without spaces"),
        ("client, delete", "AWS_COGNITO_USER_POOL_CLIENT_ID", "a\x7f", "visible ASCII"),
        ("client, newline", "AWS_COGNITO_USER_POOL_CLIENT_ID", "a\n", "visible ASCII"),
        ("client, letter", "AWS_COGNITO_USER_POOL_CLIENT_ID", "ä", "visible ASCII"),
        ("client of 129", "AWS_COGNITO_USER_POOL_CLIENT_ID", LONG_CLIENT_ID + "c", "128 at most"),
        ("client, number", "AWS_COGNITO_USER_POOL_CLIENT_ID", 123, "in quotes"),
        ("domain, number", "AWS_COGNITO_DOMAIN", 1, NO_URL),
        ("domain, bytes", "AWS_COGNITO_DOMAIN", b"https://auth.example.com", NO_URL),
        ("domain, no scheme", "AWS_COGNITO_DOMAIN", "auth.example.com", "write https:// in front"),
        ("domain, port and no scheme", "AWS_COGNITO_DOMAIN", "auth.example.com:443", "write https:// in front"),
        ("domain, half a scheme", "AWS_COGNITO_DOMAIN", "//auth.example.com", "write https:// in front"),
        ("domain, path", "AWS_COGNITO_DOMAIN", "https://A.example.com/oauth2", "as in 'https://a.example.com'"),
        ("domain, two slashes", "AWS_COGNITO_DOMAIN", "https://a.example.com//", "an origin"),
        ("domain, query", "AWS_COGNITO_DOMAIN", "https://a.example.com?", "an origin"),
        ("redirect, http", "AWS_COGNITO_REDIRECT_URL", "http://app.example.com/callback", HTTPS),
        ("redirect, http on all interfaces", "AWS_COGNITO_REDIRECT_URL", "http://0.0.0.0:5000/callback", HTTPS),
        ("redirect, http after loopback", "AWS_COGNITO_REDIRECT_URL", "http://128.0.0.1/callback", HTTPS),
        ("redirect, http like localhost", "AWS_COGNITO_REDIRECT_URL", "http://localhost.example/callback", HTTPS),
        ("redirect, http IPv6", "AWS_COGNITO_REDIRECT_URL", "http://[::2]/callback", HTTPS),
        ("redirect, ftp", "AWS_COGNITO_REDIRECT_URL", "ftp://app.example.com/callback", "beginning with https://"),
        ("redirect, javascript", "AWS_COGNITO_REDIRECT_URL", "javascript://a.example/%0aalert(1)", "beginning with https://"),
        ("redirect, no path", "AWS_COGNITO_REDIRECT_URL", "https://app.example.com", "path of its own"),
        ("redirect, root", "AWS_COGNITO_REDIRECT_URL", "https://app.example.com/", "path of its own"),
        ("redirect, root and query", "AWS_COGNITO_REDIRECT_URL", "https://app.example.com?x=/y", "path of its own"),
        ("redirect, fragment", "AWS_COGNITO_REDIRECT_URL", "https://app.example.com/c#x", "without a fragment"),
        ("redirect, empty fragment", "AWS_COGNITO_REDIRECT_URL", "https://app.example.com/c#", "without a fragment"),
        ("redirect, user", "AWS_COGNITO_REDIRECT_URL", "https://u@app.example.com/c", "without a user name"),
        ("redirect, empty user", "AWS_COGNITO_REDIRECT_URL", "https://@app.example.com/c", "without a user name"),
        ("redirect, space", "AWS_COGNITO_REDIRECT_URL", "https://app.example.com/a b", SIGNS),
        ("redirect, tab", "AWS_COGNITO_REDIRECT_URL", "https://app.exam\tple.com/c", SIGNS),
        ("redirect, newline", "AWS_COGNITO_REDIRECT_URL", "https://app.example.com/c\n", SIGNS),
        ("redirect, null", "AWS_COGNITO_REDIRECT_URL", "https://app.example.com/c\0", SIGNS),
        ("redirect, backslash", "AWS_COGNITO_REDIRECT_URL", "https://app.example.com\\c", SIGNS),
        ("redirect, quote", "AWS_COGNITO_REDIRECT_URL", 'https://app.example.com/"', SIGNS),
        ("redirect, half an escape", "AWS_COGNITO_REDIRECT_URL", "https://app.example.com/%4", SIGNS),
        ("redirect, letter in host", "AWS_COGNITO_REDIRECT_URL", "https://münchen.example/c", "punycode (xn--…)"),
        ("redirect, letter in path", "AWS_COGNITO_REDIRECT_URL", "https://app.example.com/ä", "percent-encode"),
        ("redirect, no port", "AWS_COGNITO_REDIRECT_URL", "https://app.example.com:/c", PORT),
        ("redirect, port 0", "AWS_COGNITO_REDIRECT_URL", "https://app.example.com:0/c", PORT),
        ("redirect, port 65536", "AWS_COGNITO_REDIRECT_URL", "https://app.example.com:65536/c", PORT),
        ("redirect, port of letters", "AWS_COGNITO_REDIRECT_URL", "https://app.example.com:https/c", PORT),
        ("redirect, no host", "AWS_COGNITO_REDIRECT_URL", "https:///c", HOST),
        ("redirect, port alone", "AWS_COGNITO_REDIRECT_URL", "https://:443/c", HOST),
        ("redirect, empty label", "AWS_COGNITO_REDIRECT_URL", "https://app..example.com/c", HOST),
        ("redirect, label of 64", "AWS_COGNITO_REDIRECT_URL", f"https://a{LONG_LABEL}.example/c", HOST),
        ("redirect, host of 254", "AWS_COGNITO_REDIRECT_URL", f"https://{LONG_HOST}a/c", HOST),
        ("redirect, escape in host", "AWS_COGNITO_REDIRECT_URL", "https://ex%61mple.com/c", HOST),
        ("redirect, short IPv4", "AWS_COGNITO_REDIRECT_URL", "http://127.1/c", HOST),
        ("redirect, IPv4 out of range", "AWS_COGNITO_REDIRECT_URL", "http://127.0.0.256/c", HOST),
        ("redirect, IPv4 as a number", "AWS_COGNITO_REDIRECT_URL", "http://2130706433/c", HOST),
        ("redirect, IPv4 in hex", "AWS_COGNITO_REDIRECT_URL", "http://0x7f000001/c", HOST),
        ("redirect, IPv6 with a zone", "AWS_COGNITO_REDIRECT_URL", "https://[fe80::1%25eth0]/c", HOST),
        ("redirect, IPv4 in IPv6", "AWS_COGNITO_REDIRECT_URL", "https://[::ffff:1.2.3.4]/c", HOST),
        ("redirect, open bracket", "AWS_COGNITO_REDIRECT_URL", "https://[::1/c", "valid host"),
        ("redirect, two slashes", "AWS_COGNITO_REDIRECT_URL", "https://app.example.com/a//b", UNREACHABLE),
        ("redirect, escaped slashes", "AWS_COGNITO_REDIRECT_URL", "https://app.example.com/a%2f/b", UNREACHABLE),
        ("redirect, dots", "AWS_COGNITO_REDIRECT_URL", "https://app.example.com/a/../b", UNREACHABLE),
        ("redirect, escaped dot", "AWS_COGNITO_REDIRECT_URL", "https://app.example.com/a/%2e", UNREACHABLE),
        ("redirect, escaped backslash", "AWS_COGNITO_REDIRECT_URL", "https://app.example.com/a%5cb", UNREACHABLE),
        ("redirect, escaped control", "AWS_COGNITO_REDIRECT_URL", "https://app.example.com/a%C2%80", UNREACHABLE),
        ("redirect, not UTF-8", "AWS_COGNITO_REDIRECT_URL", "https://app.example.com/%ff", UNREACHABLE),
        ("redirect of 1025", "AWS_COGNITO_REDIRECT_URL", LONG_URL + "a", "at most 1024 characters"),
        ("logout, http", "AWS_COGNITO_LOGOUT_URL", "http://app.example.com", HTTPS),
        ("logout, path alone", "AWS_COGNITO_LOGOUT_URL", "/goodbye", "write https:// in front"),
        ("logout, odd path on our site", "AWS_COGNITO_LOGOUT_URL", "https://app.example.com/a/../b", UNREACHABLE),
        ("scopes, none", "AWS_COGNITO_SCOPES", [], "one or more scopes"),
        ("scopes, commas alone", "AWS_COGNITO_SCOPES", " , ", "one or more scopes"),
        ("scopes, set", "AWS_COGNITO_SCOPES", {"openid"}, "a list of one or more scopes"),
        ("scopes, number", "AWS_COGNITO_SCOPES", 7, "a list of one or more scopes"),
        ("scope, none", "AWS_COGNITO_SCOPES", ["openid", None], "RFC 6749"),
        ("scope, empty", "AWS_COGNITO_SCOPES", ["openid", ""], "RFC 6749"),
        ("scope, space", "AWS_COGNITO_SCOPES", ["openid email"], "RFC 6749"),
        ("scope, quote", "AWS_COGNITO_SCOPES", 'a"b', "RFC 6749"),
        ("scope, backslash", "AWS_COGNITO_SCOPES", "a\\b", "RFC 6749"),
        ("flag, 2", "AWS_COGNITO_DISABLED", 2, FLAG),
        ("flag, word", "AWS_COGNITO_DISABLED", "maybe", FLAG),
        ("flag, padded", "AWS_COGNITO_DISABLED", " true", FLAG),
        ("flag, float", "AWS_COGNITO_DISABLED", 1.0, FLAG),
        ("flag, list", "AWS_COGNITO_DISABLED", [], FLAG),
        ("flag of refresh", "AWS_COGNITO_REFRESH_FLOW_ENABLED", "enabled", FLAG),
        ("flag of encryption", "AWS_COGNITO_REFRESH_COOKIE_ENCRYPTED", "2", FLAG),
        ("flag of bearer", "AWS_COGNITO_BEARER_ENABLED", "y", FLAG),
        ("age, 0", "AWS_COGNITO_COOKIE_AGE_SECONDS", 0, AGE),
        ("age, over ten years", "AWS_COGNITO_COOKIE_AGE_SECONDS", 315_360_001, AGE),
        ("age, negative text", "AWS_COGNITO_COOKIE_AGE_SECONDS", "-1", AGE),
        ("age, flag", "AWS_COGNITO_COOKIE_AGE_SECONDS", True, AGE),
        ("age, fraction", "AWS_COGNITO_COOKIE_AGE_SECONDS", 60.5, AGE),
        ("age, infinite", "AWS_COGNITO_COOKIE_AGE_SECONDS", float("inf"), AGE),
        ("age, huge", "AWS_COGNITO_COOKIE_AGE_SECONDS", 10**5000, AGE),
        ("age, huge text", "AWS_COGNITO_COOKIE_AGE_SECONDS", "9" * 5000, AGE),
        ("age, other digits", "AWS_COGNITO_COOKIE_AGE_SECONDS", "٣٠", AGE),
        ("age, underscore", "AWS_COGNITO_COOKIE_AGE_SECONDS", "3_600", AGE),
        ("age of refresh, 0", "AWS_COGNITO_REFRESH_COOKIE_AGE_SECONDS", "0", AGE),
        ("age of refresh, too great", "AWS_COGNITO_REFRESH_COOKIE_AGE_SECONDS", "315360001", AGE),
        ("leeway, negative", "AWS_COGNITO_EXPIRATION_LEEWAY", -1, LEEWAY),
        ("leeway, 601", "AWS_COGNITO_EXPIRATION_LEEWAY", 601, LEEWAY),
        ("leeway, flag", "AWS_COGNITO_EXPIRATION_LEEWAY", False, LEEWAY),
        ("timeout, 0", "AWS_COGNITO_TIMEOUT_SECONDS", 0, SECONDS),
        ("timeout, negative", "AWS_COGNITO_TIMEOUT_SECONDS", -0.5, SECONDS),
        ("timeout, over 60", "AWS_COGNITO_TIMEOUT_SECONDS", 60.001, SECONDS),
        ("timeout, NaN", "AWS_COGNITO_TIMEOUT_SECONDS", float("nan"), SECONDS),
        ("timeout, NaN as text", "AWS_COGNITO_TIMEOUT_SECONDS", "nan", SECONDS),
        ("timeout, infinite", "AWS_COGNITO_TIMEOUT_SECONDS", float("inf"), SECONDS),
        ("timeout, huge", "AWS_COGNITO_TIMEOUT_SECONDS", 10**400, SECONDS),
        ("timeout, huge text", "AWS_COGNITO_TIMEOUT_SECONDS", "9" * 400, SECONDS),
        ("timeout, flag", "AWS_COGNITO_TIMEOUT_SECONDS", True, SECONDS),
        ("timeout, unit", "AWS_COGNITO_TIMEOUT_SECONDS", "5s", SECONDS),
        ("samesite, other word", "AWS_COGNITO_COOKIE_SAMESITE", "loose", "'Lax', 'Strict' or 'None'"),
        ("samesite, flag", "AWS_COGNITO_COOKIE_SAMESITE", False, "'Lax', 'Strict' or 'None'"),
        ("cookie domain, URL", "AWS_COGNITO_COOKIE_DOMAIN", "https://example.com", "a domain name"),
        ("cookie domain, one word", "AWS_COGNITO_COOKIE_DOMAIN", "com", "a domain name"),
        ("cookie domain, two dots", "AWS_COGNITO_COOKIE_DOMAIN", "..example.com", "a domain name"),
        ("cookie domain, attribute", "AWS_COGNITO_COOKIE_DOMAIN", "example.com; Path=/x", "a domain name"),
        ("cookie domain, newline", "AWS_COGNITO_COOKIE_DOMAIN", "example.com\n", "a domain name"),
        ("cookie domain, address", "AWS_COGNITO_COOKIE_DOMAIN", "127.0.0.1", "a domain name"),
        ("cookie domain, flag", "AWS_COGNITO_COOKIE_DOMAIN", True, "a domain name"),
        ("cookie domain, another", "AWS_COGNITO_COOKIE_DOMAIN", "example.org", "the host of AWS_COGNITO_REDIRECT_URL"),
        ("cookie domain, same ending", "AWS_COGNITO_COOKIE_DOMAIN", "ample.com", "the host of AWS_COGNITO_REDIRECT_URL"),
        ("cookie domain, below", "AWS_COGNITO_COOKIE_DOMAIN", "x.app.example.com", "the host of AWS_COGNITO_REDIRECT_URL"),
        ("path, number", "AWS_COGNITO_LOGIN_PATH", 1, NO_PATH),
        ("path, root", "AWS_COGNITO_LOGIN_PATH", "/", NO_PATH),
        ("path, relative", "AWS_COGNITO_LOGIN_PATH", "login", NO_PATH),
        ("path, trailing slash", "AWS_COGNITO_LOGIN_PATH", "/login/", NO_PATH),
        ("path, two slashes", "AWS_COGNITO_LOGOUT_PATH", "//logout", NO_PATH),
        ("path, dot", "AWS_COGNITO_LOGOUT_PATH", "/./logout", NO_PATH),
        ("path, dots", "AWS_COGNITO_LOGOUT_PATH", "/a/..", NO_PATH),
        ("path, backslash", "AWS_COGNITO_REFRESH_PATH", "/a\\b", NO_PATH),
        ("path, query", "AWS_COGNITO_REFRESH_PATH", "/a?b", NO_PATH),
        ("path, fragment", "AWS_COGNITO_REFRESH_PATH", "/a#b", NO_PATH),
        ("path, variable", "AWS_COGNITO_LOGIN_PATH", "/<lang>/login", NO_PATH),
        ("path, opening bracket", "AWS_COGNITO_LOGIN_PATH", "/a<b", NO_PATH),
        ("path, closing bracket", "AWS_COGNITO_LOGIN_PATH", "/a>b", NO_PATH),
        ("path, escape", "AWS_COGNITO_LOGIN_PATH", "/log%69n", NO_PATH),
        ("path, space", "AWS_COGNITO_LOGIN_PATH", "/log in", NO_PATH),
        ("path, wide space", "AWS_COGNITO_LOGIN_PATH", "/log\u3000in", NO_PATH),
        ("path, newline", "AWS_COGNITO_LOGIN_PATH", "/login\n", NO_PATH),
        ("path, C1 control", "AWS_COGNITO_LOGIN_PATH", "/login\x85", NO_PATH),
        ("path, not UTF-8", "AWS_COGNITO_LOGIN_PATH", "/\udcff", NO_PATH),
        ("clients, number", "AWS_COGNITO_BEARER_CLIENT_IDS", 7, "a list of app clients"),
        ("clients, one bad", "AWS_COGNITO_BEARER_CLIENT_IDS", ["one", "t w o"], "without spaces"),
        ("origin, star", "AWS_COGNITO_TRUSTED_ORIGINS", "*", "a list of origins"),
        ("origin, null", "AWS_COGNITO_TRUSTED_ORIGINS", ["null"], "a list of origins"),
        ("origin, path", "AWS_COGNITO_TRUSTED_ORIGINS", ["https://a.example/x"], "as in 'https://a.example'"),
        ("origin, http", "AWS_COGNITO_TRUSTED_ORIGINS", ["http://a.example"], HTTPS),
        ("origin, mapping", "AWS_COGNITO_TRUSTED_ORIGINS", {}, "a list of origins"),
        ("issuer, slash", "AWS_COGNITO_ISSUER", "https://i.example/", "without a query or a trailing slash"),
        ("issuer, query", "AWS_COGNITO_ISSUER", "https://i.example/a?b", "without a query or a trailing slash"),
        ("issuer, fragment", "AWS_COGNITO_ISSUER", "https://i.example/a#b", "without a fragment"),
        ("issuer, http", "AWS_COGNITO_ISSUER", "http://i.example", HTTPS),
        ("keys, http", "AWS_COGNITO_JWKS_URL", "http://i.example/keys", HTTPS),
        ("keys, file", "AWS_COGNITO_JWKS_URL", "file:///keys.json", "beginning with https://"),
    ),
)  # fmt: skip
def test_a_bad_value_is_refused_with_key_field_what_was_found_and_what_is_expected(key, value, expected):
    problem = only_problem_of({key: value})
    match = re.fullmatch(rf"{key} \({FIELD[key]}\): found (.+?), expected (.+)", problem)
    assert match
    assert len(match[1]) <= 180
    assert expected in match[2]


@pytest.mark.parametrize(
    ("key", "value", "found", "expected"),
    rows(
        ("key of 15 bytes", "SECRET_KEY", "0123456789abcde", "a text of 15 bytes", "16 bytes or more"),
        ("key of bytes", "SECRET_KEY", b"x", "a text of 1 byte", "16 bytes or more"),
        ("key of 15 bytes in 9 letters", "SECRET_KEY", "äöüäöüabc", "a text of 15 bytes", "16 bytes or more"),
        ("key, number", "SECRET_KEY", 1234567890123456, "a value of type int", "text or bytes"),
        ("key, not UTF-8", "SECRET_KEY", "0123456789abcdef\udcff", "a text of 19 bytes", "valid UTF-8"),
        ("fallbacks, number", "SECRET_KEY_FALLBACKS", 1234567890123456, "a value of type int", "a list of earlier keys"),
        ("fallbacks, bytes", "SECRET_KEY_FALLBACKS", b"0123456789abcdef", "a text of 16 bytes", "a list of earlier keys"),
        ("fallback of 15 bytes", "SECRET_KEY_FALLBACKS", ["0" * 16, "0123456789abcde"], "a text of 15 bytes", "16 bytes or more"),
        ("fallback in text", "SECRET_KEY_FALLBACKS", "0123456789abcdef hunter2", "a text of 7 bytes", "16 bytes or more"),
        ("fallback, nothing", "SECRET_KEY_FALLBACKS", [None], "a value of type NoneType", "16 bytes or more"),
        ("secret, space", "AWS_COGNITO_USER_POOL_CLIENT_SECRET", "hunter2 hunter2", "a text of 15 bytes", "visible ASCII"),
        ("secret, newline", "AWS_COGNITO_USER_POOL_CLIENT_SECRET", "hunter2\n", "a text of 8 bytes", "visible ASCII"),
        ("secret, letter", "AWS_COGNITO_USER_POOL_CLIENT_SECRET", "hünter2", "a text of 8 bytes", "visible ASCII"),
        ("secret, bytes", "AWS_COGNITO_USER_POOL_CLIENT_SECRET", b"hunter2", "a text of 7 bytes", "visible ASCII"),
        ("secret, number", "AWS_COGNITO_USER_POOL_CLIENT_SECRET", 7777777, "a value of type int", "visible ASCII"),
        ("key set, no JSON", "AWS_COGNITO_JWKS", "{hunter2", "a text of 8 bytes", KEYS),
        ("key set, list", "AWS_COGNITO_JWKS", [{"k": "hunter2"}], "a value of type list", KEYS),
        ("key set, JSON list", "AWS_COGNITO_JWKS", '["hunter2"]', "a text of 11 bytes", KEYS),
        ("key set, no keys", "AWS_COGNITO_JWKS", {"d": "hunter2"}, "a value of type dict", KEYS),
        ("key set, empty", "AWS_COGNITO_JWKS", {"keys": []}, "a value of type dict", KEYS),
        ("key set, keys in a dict", "AWS_COGNITO_JWKS", {"keys": {"d": "hunter2"}}, "a value of type dict", KEYS),
        ("key set, a key of text", "AWS_COGNITO_JWKS", {"keys": [{}, "hunter2"]}, "a value of type dict", KEYS),
        ("key set, no JSON inside", "AWS_COGNITO_JWKS", {"keys": [{"d": b"hunter2"}]}, "a value of type dict", KEYS),
        ("key set, NaN", "AWS_COGNITO_JWKS", {"keys": [{"d": float("nan")}]}, "a value of type dict", KEYS),
        ("key set, deep", "AWS_COGNITO_JWKS", "[" * 100_000, "a text of 100000 bytes", KEYS),
        ("key set, flag", "AWS_COGNITO_JWKS", True, "a value of type bool", KEYS),
    ),
)  # fmt: skip
def test_a_bad_secret_is_described_but_not_shown(key, value, found, expected):
    with pytest.raises(ConfigurationError) as caught:
        configure({key: value})
    (problem,) = caught.value.problems
    title = f"{key} ({FIELD[key]})"
    assert problem.startswith(f"{title}: found {found}, expected ")
    assert expected in problem
    for text in problem, str(caught.value), repr(caught.value):
        assert "hunter2" not in text
        assert "0123456789abcde" not in text
        assert "äöü" not in text
        assert "1234567890123456" not in text


def test_a_key_set_that_contains_itself_is_refused():
    endless: dict[str, Any] = {}
    endless["keys"] = [endless]
    assert KEYS in only_problem_of({"AWS_COGNITO_JWKS": endless})


def test_secrets_are_not_in_the_repr():
    config = configure(
        {
            "AWS_COGNITO_USER_POOL_CLIENT_SECRET": "client-hunter2",
            "SECRET_KEY": "current-key-hunter2",
            "SECRET_KEY_FALLBACKS": ["earlier-key-hunter2", b"bytes-key-hunter2"],
            "AWS_COGNITO_JWKS": {"keys": [{"d": "private-hunter2"}]},
        }
    )
    assert "hunter2" not in repr(config)
    assert "region='eu-west-1'" in repr(config)


@pytest.mark.parametrize(
    "url",
    rows(
        ("user", "https://user:hunter2@auth.example.com/x"),
        ("long password", f"https://user:{'hunter2' * 30}@auth.example.com/x"),
        ("password with a slash", "https://user:/hunter2@auth.example.com/x"),
        ("password with an at", "https://user:hunter2@hunter2@auth.example.com/x"),
        ("password like a URL", "https://user:hunter2://hunter2@auth.example.com/x"),
        ("password on two lines", "https://user:hunter2\nhunter2@auth.example.com/x"),
        ("no scheme", "user:hunter2@auth.example.com"),
    ),
)
@pytest.mark.parametrize("key", ["AWS_COGNITO_DOMAIN", "AWS_COGNITO_JWKS_URL", "AWS_COGNITO_TRUSTED_ORIGINS"])
def test_a_password_in_a_url_is_not_shown(key, url):
    problem = only_problem_of({key: [url] if key.endswith("ORIGINS") else url})
    assert "hunter2" not in problem
    assert "…@auth.example.com" in problem


def test_a_long_value_is_shortened():
    assert f"found '{'x' * 78}'," in only_problem_of({"AWS_COGNITO_LOGIN_PATH": "x" * 78})
    problem = only_problem_of({"AWS_COGNITO_LOGIN_PATH": "x" * 5000})
    assert problem.count("x") < 80
    problem = only_problem_of({"AWS_COGNITO_LOGIN_PATH": [["x" * 70] * 50] * 50})
    assert problem.count("x") < 80


def test_a_value_whose_repr_fails_is_refused_like_any_other():
    class Sulking:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    assert "<Sulking instance" in only_problem_of({"AWS_REGION": Sulking()})


def test_a_number_too_long_to_print_is_named_by_its_type():
    assert "found a value of type int," in only_problem_of({"AWS_REGION": 10**5000})


@pytest.mark.parametrize(
    "name", ["disabled", "refresh_enabled", "refresh_cookie_encrypted", "bearer_enabled"]
)
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((value, True) for value in (True, 1, "1", "true", "True", "TRUE", "yes", "YES", "on", "On")),
        *((value, False) for value in (False, 0, "0", "false", "False", "no", "No", "off", "OFF")),
    ],
)
def test_a_flag_has_many_spellings(name, value, expected):
    key = next(key for key, field in FIELD.items() if field == name)
    assert getattr(configure({key: value}), name) is expected


# What settings must agree on


def test_the_pool_must_be_in_the_region():
    problem = only_problem_of({"AWS_REGION": "us-east-1"})
    assert problem.startswith("AWS_COGNITO_USER_POOL_ID (user_pool_id): ")
    for part in "AWS_REGION (region)", "'eu-west-1'", "'us-east-1'":
        assert part in problem


def test_the_region_of_the_pool_is_compared_up_to_the_last_underscore():
    assert "'x_eu-west-1'" in only_problem_of({"AWS_COGNITO_USER_POOL_ID": "x_eu-west-1_A"})


def test_with_an_issuer_of_its_own_the_pool_may_be_anywhere():
    config = configure({"AWS_REGION": "us-east-1", "AWS_COGNITO_ISSUER": "http://localhost:8001/local_pool"})
    assert config.issuer == "http://localhost:8001/local_pool"
    assert config.jwks_url == "http://localhost:8001/local_pool/.well-known/jwks.json"


@pytest.mark.parametrize("region", ["us-east-1", "us-gov-west-1", "us-isob-east-1", "eusc-de-east-1"])
def test_the_regions_of_every_partition_are_taken(region):
    assert configure({"AWS_REGION": region, "AWS_COGNITO_USER_POOL_ID": f"{region}_Ab"}).region == region


def test_a_pool_in_china_has_an_issuer_in_china():
    config = configure({"AWS_REGION": "cn-north-1", "AWS_COGNITO_USER_POOL_ID": "cn-north-1_Ab"})
    assert config.issuer == "https://cognito-idp.cn-north-1.amazonaws.com.cn/cn-north-1_Ab"
    assert config.jwks_url == config.issuer + "/.well-known/jwks.json"


def test_an_address_of_the_keys_does_not_change_the_issuer():
    config = configure({"AWS_COGNITO_JWKS_URL": "https://proxy.example/keys"})
    assert (config.issuer, config.jwks_url) == (POOL_URL, "https://proxy.example/keys")


def test_samesite_none_needs_https():
    problem = only_problem_of({**LOCAL, "AWS_COGNITO_COOKIE_SAMESITE": "None"})
    assert problem.startswith("AWS_COGNITO_COOKIE_SAMESITE (cookie_samesite): found 'None', ")
    assert configure({**LOCAL, "AWS_COGNITO_COOKIE_SAMESITE": "Strict"}).cookie_samesite == "Strict"


def test_bearer_clients_are_named_once_each():
    config = configure({"AWS_COGNITO_BEARER_ENABLED": True, "AWS_COGNITO_BEARER_CLIENT_IDS": ["a", "b", "a"]})
    assert config.bearer_client_ids == ("a", "b")


@pytest.mark.parametrize(
    ("changes", "named"),
    rows(
        ("login, logout", {"AWS_COGNITO_LOGIN_PATH": "/logout"}, ("login_path", "logout_path")),
        ("login, refresh", {"AWS_COGNITO_LOGIN_PATH": "/refresh"}, ("login_path", "refresh_path")),
        ("login, callback", {"AWS_COGNITO_LOGIN_PATH": "/callback"}, ("login_path", "redirect_url")),
        ("logout, refresh", {"AWS_COGNITO_REFRESH_PATH": "/logout"}, ("logout_path", "refresh_path")),
        ("logout, callback", {"AWS_COGNITO_LOGOUT_PATH": "/callback"}, ("logout_path", "redirect_url")),
        ("refresh, callback", {"AWS_COGNITO_REFRESH_PATH": "/callback"}, ("refresh_path", "redirect_url")),
        ("logout, return", {"AWS_COGNITO_LOGOUT_PATH": "/goodbye"}, ("logout_url", "logout_path")),
        ("refresh, return", {"AWS_COGNITO_REFRESH_PATH": "/goodbye"}, ("logout_url", "refresh_path")),
        (
            "callback, return",
            {"AWS_COGNITO_REDIRECT_URL": "https://app.example.com/goodbye"},
            ("logout_url", "redirect_url"),
        ),
        (
            "callback in escapes",
            {"AWS_COGNITO_REDIRECT_URL": "https://app.example.com/%6Cogin"},
            ("login_path", "redirect_url"),
        ),
        (
            "return in escapes and capitals",
            {"AWS_COGNITO_LOGOUT_URL": "https://APP.example.com:443/%6Cogout?x=y"},
            ("logout_url", "logout_path"),
        ),
    ),
)
def test_two_endpoints_cannot_share_a_path(changes, named):
    problem = only_problem_of(changes)
    assert "found the path '/" in problem
    assert all(f"({name})" in problem for name in named)


def test_agreements_are_judged_only_between_settings_that_are_fit():
    changes = {
        "AWS_REGION": "nowhere",
        "AWS_COGNITO_REDIRECT_URL": "nowhere",
        "AWS_COGNITO_COOKIE_SAMESITE": "none",
        "AWS_COGNITO_COOKIE_DOMAIN": "example.org",
        "AWS_COGNITO_BEARER_CLIENT_IDS": ["one"],
        "AWS_COGNITO_BEARER_ENABLED": "nowhere",
    }
    assert [problem.split()[0] for problem in problems_of(changes)] == [
        "AWS_REGION",
        "AWS_COGNITO_REDIRECT_URL",
        "AWS_COGNITO_BEARER_ENABLED",
    ]


# What follows from the settings


@pytest.mark.parametrize(
    ("url", "origin", "path", "secure"),
    rows(
        ("plain", "https://app.example.com/callback", "https://app.example.com", "/callback", True),
        ("capitals", "HTTPS://App.Example.COM/CallBack", "https://app.example.com", "/CallBack", True),
        ("default port", "https://app.example.com:443/c", "https://app.example.com", "/c", True),
        ("default port with zeros", "https://app.example.com:0443/c", "https://app.example.com", "/c", True),
        ("other port", "https://app.example.com:80/c", "https://app.example.com:80", "/c", True),
        ("localhost", "http://LocalHost:5000/c", "http://localhost:5000", "/c", False),
        ("default port of http", "http://localhost:80/c", "http://localhost", "/c", False),
        ("http on 443", "http://localhost:443/c", "http://localhost:443", "/c", False),
        ("IPv4, first", "http://127.0.0.0/c", "http://127.0.0.0", "/c", False),
        ("IPv4, last", "http://127.255.255.255/c", "http://127.255.255.255", "/c", False),
        ("IPv6", "http://[0:0:0:0:0:0:0:1]:5000/c", "http://[::1]:5000", "/c", False),
        ("IPv6, capitals", "https://[2001:DB8::0:A]/c", "https://[2001:db8::a]", "/c", True),
        ("escapes", "https://a.example/%C3%A4/b%20c%2Fd", "https://a.example", "/ä/b c/d", True),
        ("query", "https://a.example/c?x=/y", "https://a.example", "/c", True),
        ("trailing slash", "https://a.example/c/", "https://a.example", "/c/", True),
        ("prefix", "https://a.example/app/c", "https://a.example", "/app/c", True),
    ),
)
def test_origin_and_callback_path_follow_from_redirect_url(url, origin, path, secure):
    config = configure({"AWS_COGNITO_REDIRECT_URL": url})
    assert (config.public_origin, config.callback_path, config.is_secure) == (origin, path, secure)
    assert config.redirect_url == url  # Cognito compares it letter by letter


@pytest.mark.parametrize(
    ("url", "path"),
    rows(
        ("path", "https://app.example.com/goodbye", "/goodbye"),
        ("no path", "https://app.example.com", "/"),
        ("root", "https://app.example.com/", "/"),
        ("query alone", "https://app.example.com?bye=1", "/"),
        ("escapes", "https://app.example.com/tsch%C3%BCss?x", "/tschüss"),
        ("same origin, written otherwise", "https://APP.example.com:443/bye", "/bye"),
        ("other host", "https://www.example.com/goodbye", None),
        ("other port", "https://app.example.com:8443/goodbye", None),
        ("other scheme", "http://localhost/goodbye", None),
    ),
)
def test_the_path_of_logout_url_counts_only_on_the_public_origin(url, path):
    assert configure({"AWS_COGNITO_LOGOUT_URL": url}).logout_return_path == path


@pytest.mark.parametrize(
    ("changes", "prefix"),
    rows(
        ("https", {}, "__Host-"),
        ("https and a domain", {"AWS_COGNITO_COOKIE_DOMAIN": "example.com"}, "__Secure-"),
        ("http", LOCAL, ""),
        (
            "http and a domain",
            {
                "AWS_COGNITO_COOKIE_DOMAIN": "example.com",
                "AWS_COGNITO_REDIRECT_URL": "http://127.0.0.1/callback",
            },
            None,
        ),
    ),
)
def test_the_cookie_prefix_is_the_strictest_that_browsers_accept(changes, prefix):
    if prefix is None:
        assert "the host of AWS_COGNITO_REDIRECT_URL" in only_problem_of(changes)
    else:
        assert configure(changes).cookie_prefix == prefix


@pytest.mark.parametrize(
    ("scopes", "wanted"),
    [(None, False), ("email", False), ("my/openid", False), ("email openid", True), (["openid"], True)],
)
def test_an_id_token_is_wanted_where_the_scopes_name_openid(scopes, wanted):
    assert configure({"AWS_COGNITO_SCOPES": scopes}).wants_openid is wanted


def test_the_endpoints_are_below_the_domain():
    config = configure({"AWS_COGNITO_DOMAIN": "https://auth.example.com/"})
    assert config.authorize_url == "https://auth.example.com/oauth2/authorize"
    assert config.token_url == "https://auth.example.com/oauth2/token"
    assert config.revoke_url == "https://auth.example.com/oauth2/revoke"
    assert config.cognito_logout_url == "https://auth.example.com/logout"


def test_the_current_key_comes_before_the_earlier_ones():
    config = configure({"SECRET_KEY": "ä" * 8, "SECRET_KEY_FALLBACKS": [b"\xff" * 16, "b" * 16]})
    assert config.secret_keys == (b"\xc3\xa4" * 8, b"\xff" * 16, b"b" * 16)


def test_a_key_set_is_a_copy_to_the_bottom():
    given_set = {"keys": [{"kid": "one", "x5c": ["a"]}]}
    config = configure({"AWS_COGNITO_JWKS": given_set})
    given_set["keys"][0]["kid"] = "two"
    given_set["keys"][0]["x5c"].append("b")
    given_set["keys"].append({})
    assert config.jwks == {"keys": [{"kid": "one", "x5c": ["a"]}]}


# Whatever comes

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
URLISH = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["https://", "http://", "//", ""]),
    st.text("abc.[]:@0127%", max_size=12),
    st.sampled_from(["", ":0", ":443", ":99999", ":x"]),
    st.text("/ab.%25?#", max_size=8),
)


@given(key=st.sampled_from(sorted(FIELD)), value=ANYTHING | URLISH | st.lists(URLISH, max_size=2))
def test_any_value_gives_a_configuration_or_our_error(key, value):
    try:
        config = configure({key: value})
    except ConfigurationError as error:
        assert any(key in problem for problem in error.problems)
    else:
        # What was taken is taken again, and means the same.
        stored = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
        assert CognitoConfig(**stored) == config
        assert config.public_origin.isascii() and config.callback_path.startswith("/")
