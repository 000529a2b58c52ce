"""``cognito-wsgi check``: each mistake is found, where it is, and nothing else is blamed."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from cognito_wsgi import CognitoConfig, ConfigurationError
from cognito_wsgi.check import (
    USERS,
    Finding,
    Replies,
    Reply,
    SampleUser,
    Status,
    ask,
    check_config,
    check_cookies,
    check_https,
    check_secret_key,
    check_settings,
    failed_settings,
    judge_client,
    judge_clock,
    judge_discovery,
    judge_keys,
    judge_pkce,
    judge_sign_in,
    judge_sign_out,
)
from cognito_wsgi.endpoints import Answer, unavailable
from cognito_wsgi.errors import CognitoError
from cognito_wsgi.local import LocalUserPool
from cognito_wsgi.testing import TestPool

from .serving import free_port, served

REDIRECT_URL = "https://site.example.test/callback"
LOGOUT_URL = "https://site.example.test/bye"
SECRET_KEY = "c7a0f3be51d2496e88a1b7d04c39f6e2" * 2

OK, WARN, FAIL = Status.OK, Status.WARN, Status.FAIL


@pytest.fixture(scope="module")
def running_pool() -> Iterator[LocalUserPool]:
    with LocalUserPool() as pool:
        for client in pool.clients.values():
            client.allow_urls(callback=REDIRECT_URL, logout=LOGOUT_URL)
        yield pool


@pytest.fixture
def local_pool(running_pool: LocalUserPool) -> Iterator[LocalUserPool]:
    running_pool.trouble.clear()
    running_pool.calls.clear()
    yield running_pool
    running_pool.trouble.clear()


def settings_of(pool: LocalUserPool, client: str = "web", **overrides: Any) -> dict[str, Any]:
    """Right settings for a site behind https, save for ``overrides`` by the end of their keys; None leaves one out."""
    settings = {
        **pool.settings(client, redirect_url=REDIRECT_URL, logout_url=LOGOUT_URL),
        "SECRET_KEY": SECRET_KEY,
        **{f"AWS_COGNITO_{key}": value for key, value in overrides.items()},
    }
    return {key: value for key, value in settings.items() if value is not None}


def config_of(pool: LocalUserPool, client: str = "web", **overrides: Any) -> CognitoConfig:
    return CognitoConfig.from_mapping(settings_of(pool, client, **overrides))


def statuses(findings: list[Finding]) -> dict[str, Status]:
    """What is not OK."""
    return {finding.check: finding.status for finding in findings if finding.status is not OK}


def holds_a_secret(findings: list[Finding], config: CognitoConfig) -> bool:
    return any(secret in repr(findings) for secret in (config.client_secret or SECRET_KEY, SECRET_KEY))


def text_of(findings: list[Finding], check: str) -> str:
    return next(f"{finding.text} → {finding.advice}" for finding in findings if finding.check == check)


# against a user pool


@pytest.mark.parametrize("client", ["web", "public"])
@pytest.mark.parametrize("refresh", [False, True])
def test_of_a_right_configuration_every_check_is_ok(
    local_pool: LocalUserPool, client: str, refresh: bool
) -> None:
    config = config_of(local_pool, client, REFRESH_FLOW_ENABLED=refresh)
    findings = check_config(config)
    assert not holds_a_secret(findings, config)
    # The 50 groups of the large user leave no room for an ID token beside a refresh token.
    assert statuses(findings) == ({"cookies, large user": WARN} if refresh else {})
    assert [finding.check for finding in findings] == [
        "settings",
        "https",
        "secret key",
        "cookies, typical user",
        "cookies, large user",
        "discovery",
        "keys",
        "clock",
        "sign-in",
        "PKCE",
        "client secret",
        "sign-out",
    ]


UNKNOWN_CLIENT = {
    "sign-in": FAIL,
    "PKCE": WARN,
    "client secret": FAIL,
    "sign-out": FAIL,
}

MISTAKES = [
    pytest.param(
        {"USER_POOL_CLIENT_SECRET": "0" * 52},
        {"client secret": FAIL},
        ("client secret", "of this id and secret → copy both"),
        id="wrong secret",
    ),
    pytest.param(
        {"USER_POOL_CLIENT_SECRET": None},
        {"client secret": FAIL},
        ("client secret", "set AWS_COGNITO_USER_POOL_CLIENT_SECRET"),
        id="secret forgotten",
    ),
    pytest.param(
        {"USER_POOL_CLIENT_ID": "9unknown000000000000000000"},
        UNKNOWN_CLIENT,
        ("sign-in", "AWS_COGNITO_USER_POOL_CLIENT_ID"),
        id="unknown client",
    ),
    pytest.param(
        {"REDIRECT_URL": "https://site.example.test/callback/x"},
        {"sign-in": FAIL, "PKCE": WARN},
        (
            "sign-in",
            "redirect_mismatch: the app client does not know https://site.example.test/callback/x → add",
        ),
        id="redirect_url not registered",
    ),
    pytest.param(
        {"REDIRECT_URL": REDIRECT_URL.replace("https:", "http:").replace("site.example.test", "localhost")},
        {"sign-in": FAIL, "PKCE": WARN, "https": WARN},
        ("https", "without Secure"),
        id="http redirect_url, not registered",
    ),
    pytest.param(
        {"LOGOUT_URL": LOGOUT_URL + "/"},
        {"sign-out": FAIL},
        ("sign-out", f"does not return to {LOGOUT_URL}/ (status 400) → add exactly this text"),
        id="logout_url with another slash",
    ),
    pytest.param(
        {"SCOPES": "openid newsroom/read"},
        {"sign-in": FAIL, "PKCE": WARN},
        ("sign-in", "invalid_scope: the app client may not have all of these: openid newsroom/read"),
        id="scope that the client lacks",
    ),
    pytest.param(
        {
            "USER_POOL_CLIENT_ID": "7machineclient000000000000",
            "USER_POOL_CLIENT_SECRET": "machine0secret0machine0secret0machine0secret0machine",
        },
        {"sign-in": FAIL, "PKCE": WARN, "client secret": FAIL},
        ("client secret", "may not redeem codes"),
        id="machine's client",
    ),
    pytest.param(
        {"ISSUER": "{issuer}X"},
        {"discovery": FAIL, "keys": FAIL},
        ("discovery", "no user pool at"),
        id="issuer of another pool",
    ),
    pytest.param(
        {"ISSUER": "{issuer_as_localhost}", "JWKS_URL": "{jwks_url}"},
        {"discovery": FAIL},
        ("discovery", "no token would be accepted"),
        id="issuer by another name",
    ),
    pytest.param(
        {"JWKS_URL": "{issuer}/keys"},
        {"discovery": WARN, "keys": FAIL},
        ("keys", "no usable key at"),
        id="keys at the wrong address",
    ),
    pytest.param(
        {"DOMAIN": "{domain_as_localhost}"},
        {"discovery": WARN},
        ("discovery", "set AWS_COGNITO_DOMAIN to that origin"),
        id="domain by another name",
    ),
    pytest.param(
        {"DOMAIN": "{nowhere}"},
        {**UNKNOWN_CLIENT, "discovery": WARN, "clock": WARN},
        ("sign-in", "Connection refused"),
        id="domain down",
    ),
    pytest.param(
        {"DOMAIN": "{issuer_origin}"},
        {**UNKNOWN_CLIENT, "discovery": WARN},
        ("client secret", "/oauth2/token answers status 404"),
        id="issuer for a domain",
    ),
    pytest.param(
        {"ISSUER": "{nowhere}/pool"},
        {"discovery": FAIL, "keys": FAIL},
        ("keys", "Connection refused"),
        id="issuer down",
    ),
    pytest.param(
        {"COOKIE_DOMAIN": "example.test", "DISABLED": True},
        {"disabled": WARN},
        ("disabled", "lets everyone in"),
        id="disabled",
    ),
]


def with_addresses(pool: LocalUserPool, overrides: Mapping[str, Any]) -> dict[str, Any]:
    parts = urlsplit(pool.issuer)
    addresses = {
        "issuer": pool.issuer,
        "issuer_origin": f"http://{parts.netloc}",
        "issuer_as_localhost": pool.issuer.replace("127.0.0.1", "localhost"),
        "jwks_url": pool.jwks_url,
        "domain_as_localhost": pool.domain.replace("127.0.0.1", "localhost"),
        "nowhere": f"http://127.0.0.1:{free_port()}",
    }
    return {
        key: value.format_map(addresses) if isinstance(value, str) else value
        for key, value in overrides.items()
    }


@pytest.mark.parametrize(("overrides", "expected", "said"), MISTAKES)
def test_a_mistake_is_found_where_it_is_and_nowhere_else(
    local_pool: LocalUserPool,
    overrides: dict[str, Any],
    expected: dict[str, Status],
    said: tuple[str, str],
) -> None:
    config = config_of(local_pool, **with_addresses(local_pool, overrides))
    findings = check_config(config)
    assert not holds_a_secret(findings, config)
    assert statuses(findings) == expected
    assert said[1] in text_of(findings, said[0])
    assert all(finding.advice for finding in findings if finding.status is not OK)


TROUBLES = [
    pytest.param({"clock_ahead": 60}, {"clock": FAIL}, id="clock ahead"),
    pytest.param({"clock_ahead": -3600}, {"clock": FAIL}, id="clock behind"),
    pytest.param({"jwks": "empty"}, {"keys": FAIL}, id="no keys"),
    pytest.param({"jwks": "html"}, {"keys": FAIL}, id="keys as HTML"),
    pytest.param({"jwks": "503"}, {"keys": FAIL}, id="keys unavailable"),
    pytest.param({"jwks": "redirect"}, {"keys": FAIL}, id="keys elsewhere"),
    pytest.param({"jwks": "close"}, {"keys": FAIL}, id="keys hung up"),
    pytest.param({"token": "429"}, {"client secret": WARN}, id="throttled"),
    pytest.param({"token": "500"}, {"client secret": FAIL}, id="token endpoint broken"),
    pytest.param({"token": "garbage"}, {"client secret": FAIL}, id="token endpoint talks rubbish"),
    pytest.param({"token": "close"}, {"client secret": FAIL, "clock": WARN}, id="token endpoint hung up"),
    pytest.param(
        {"authorize_error": "server_error"}, {"sign-in": FAIL, "PKCE": WARN}, id="authorize endpoint broken"
    ),
]


@pytest.mark.parametrize(("trouble", "expected"), TROUBLES)
def test_trouble_of_the_pool_is_found_where_it_is(
    local_pool: LocalUserPool, trouble: dict[str, Any], expected: dict[str, Status]
) -> None:
    for switch, value in trouble.items():
        setattr(local_pool.trouble, switch, value)
    assert statuses(check_config(config_of(local_pool))) == expected


def test_a_pool_that_never_answers_costs_one_time_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        origin = f"http://127.0.0.1:{silent.getsockname()[1]}"
        config = TestPool().config(issuer=f"{origin}/pool", domain=origin, jwks=None, timeout=1)
        config = replace(config, jwks_url=f"{origin}/keys")
        began = time.monotonic()
        replies = ask(config)
        took = time.monotonic() - began
    assert all(isinstance(reply, CognitoError) for reply in replies[1:])
    assert took < 3


def test_asking_signs_nobody_in_and_asks_each_thing_once(local_pool: LocalUserPool) -> None:
    ask(config_of(local_pool))
    assert dict(local_pool.calls) == {
        "discovery": 1,
        "jwks": 1,
        "authorize": 3,
        "token": 1,
        "token:authorization_code": 1,
        "logout": 1,
    }


@pytest.mark.parametrize("overrides", [{}, {"USER_POOL_CLIENT_SECRET": "0123secret+" * 4}])
def test_no_finding_holds_a_secret_a_code_or_a_token(
    local_pool: LocalUserPool, overrides: dict[str, Any]
) -> None:
    asked: list[str] = []

    def domain(origin: str) -> Any:
        """Repeats in its refusals whatever it was sent."""

        def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
            query = parse_qs(environ["QUERY_STRING"] + "&" + body)
            asked.extend(value for values in query.values() for value in values if len(value) >= 40)
            asked.append(environ.get("HTTP_AUTHORIZATION", "").partition(" ")[2] or "Basic")
            echo = environ["QUERY_STRING"] + body
            start_response("400 BAD REQUEST", [("Location", f"/error?{echo}"), ("X-Echo", echo)])
            return [echo.encode()]

        return app

    with served(domain) as origin:
        config = config_of(local_pool, DOMAIN=origin, **overrides)
        report = repr(check_config(config))
    assert len(asked) > 10
    for secret in {str(config.client_secret), SECRET_KEY, *asked} - {"Basic"}:
        assert secret not in report


def test_what_the_pool_says_cannot_command_the_terminal(local_pool: LocalUserPool) -> None:
    hostile = "\x1b[2J\x9b31m" + "x" * 1000

    def domain(origin: str) -> Any:
        def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
            start_response(
                "302 FOUND", [("Location", "/error?error=%1b[2J%c2%9b31m"), ("Content-Type", "text/html")]
            )
            return [json.dumps({"error": hostile, "issuer": hostile, "keys": hostile}).encode()]

        return app

    with served(domain) as origin:
        findings = check_config(config_of(local_pool, DOMAIN=origin, ISSUER=f"{origin}/pool"))
        document = Answer(200, {}, json.dumps({"issuer": hostile}).encode())
        findings.append(judge_discovery(config_of(local_pool), document))
    texts = "".join(finding.text + finding.advice for finding in findings)
    assert r"\x1b[2J" in texts
    assert all(character.isprintable() for character in texts)
    assert max(len(finding.text) for finding in findings) < 500


# judgements of single answers


def answer(status: int, body: bytes = b"", **headers: str) -> Answer:
    return Answer(status, headers, body)


DOMAIN = "https://testpool.auth.eu-central-1.amazoncognito.com"
DOWN = unavailable("host cannot be reached")

SIGN_IN = [
    pytest.param(
        answer(302, Location=f"{DOMAIN}/login?client_id=x"), OK, "takes this client", id="login page"
    ),
    pytest.param(answer(302, Location="/login?client_id=x"), OK, "takes this client", id="relative address"),
    pytest.param(answer(303, Location="https://idp.example.test/saml"), OK, "takes", id="only one provider"),
    pytest.param(
        answer(302, Location="/error?error=redirect_mismatch&client_id=x"),
        FAIL,
        "callback URLs",
        id="mismatch",
    ),
    pytest.param(
        answer(400, b"<p>redirect_mismatch</p>"), FAIL, "callback URLs", id="mismatch on the page itself"
    ),
    pytest.param(answer(400, b"<p>Bad Request"), FAIL, "status 400", id="another page"),
    pytest.param(
        answer(302, Location="/error?error=Required+parameters+missing"),
        FAIL,
        "answers: 'Required parameters missing'",
        id="other error page",
    ),
    pytest.param(
        answer(302, Location=f"{REDIRECT_URL}?error=unauthorized_client&state=x"),
        FAIL,
        "authorization code grant",
        id="grant not allowed",
    ),
    pytest.param(answer(403, b"Forbidden"), FAIL, "AWS WAF", id="web ACL"),
    pytest.param(answer(302), FAIL, "a redirect to nowhere", id="no address"),
    pytest.param(answer(302, Location="http://[x/"), FAIL, "a redirect to nowhere", id="broken address"),
    pytest.param(answer(200, b"<html>"), FAIL, "status 200", id="some web site"),
    pytest.param(DOWN, FAIL, "host cannot be reached", id="down"),
]


@pytest.mark.parametrize(("reply", "status", "said"), SIGN_IN)
def test_answers_of_the_authorize_endpoint(pool: TestPool, reply: Reply, status: Status, said: str) -> None:
    finding = judge_sign_in(pool.config(), reply)
    assert finding.status is status
    assert said in finding.text + finding.advice


YES, NO = answer(302, Location="/login"), answer(302, Location=f"{REDIRECT_URL}?error=invalid_request")


@pytest.mark.parametrize(
    ("hashed", "plain", "none", "status"),
    [
        pytest.param(YES, NO, YES, OK, id="Cognito"),
        pytest.param(YES, NO, NO, OK, id="demands PKCE"),
        pytest.param(YES, DOWN, NO, OK, id="down at the second question"),
        pytest.param(YES, YES, YES, WARN, id="looks at no challenge"),
        pytest.param(NO, NO, YES, FAIL, id="refuses challenges"),
        pytest.param(NO, NO, NO, WARN, id="refuses everything"),
        pytest.param(DOWN, DOWN, DOWN, WARN, id="down"),
    ],
)
def test_whether_pkce_is_understood(
    pool: TestPool, hashed: Reply, plain: Reply, none: Reply, status: Status
) -> None:
    replies = Replies(0, DOWN, DOWN, hashed, plain, none, DOWN, DOWN)
    assert judge_pkce(pool.config(), replies).status is status


@pytest.mark.parametrize(
    ("skew", "leeway", "status"),
    [
        (0.0, 0, OK),
        (3.0, 0, OK),
        (-3.0, 0, OK),
        (3.1, 0, WARN),
        (-3.1, 0, WARN),
        (10.0, 0, WARN),
        (10.1, 0, FAIL),
        (10.1, 60, WARN),
        (60.1, 60, FAIL),
        (-300.0, 0, WARN),
        (-300.1, 0, FAIL),
        (None, 0, WARN),
    ],
)
def test_clocks_may_differ_as_much_as_tokens_allow(
    pool: TestPool, skew: float | None, leeway: int, status: Status
) -> None:
    assert judge_clock(pool.config(leeway=leeway), skew).status is status


def error_answer(error: object, status: int = 400) -> Answer:
    return answer(status, json.dumps({"error": error}).encode())


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        pytest.param(error_answer("invalid_grant"), OK, id="the code is refused"),
        pytest.param(error_answer("invalid_client"), FAIL, id="the client is refused"),
        pytest.param(error_answer("invalid_client", 401), FAIL, id="the client is refused with 401"),
        pytest.param(error_answer("unauthorized_client"), FAIL, id="the grant is refused"),
        pytest.param(error_answer("invalid_request"), FAIL, id="the request is refused"),
        pytest.param(error_answer(["invalid_grant"]), FAIL, id="no error code"),
        pytest.param(answer(200, b'{"access_token":"x"}'), FAIL, id="a made-up code is taken"),
        pytest.param(answer(429), WARN, id="throttled"),
        pytest.param(DOWN, FAIL, id="down"),
    ],
)
def test_answers_of_the_token_endpoint(pool: TestPool, reply: Reply, status: Status) -> None:
    assert judge_client(pool.config(), reply).status is status


def test_a_public_client_is_told_that_it_has_no_secret(pool: TestPool) -> None:
    finding = judge_client(pool.config(client_secret=None), error_answer("invalid_grant"))
    assert (finding.status, finding.text) == (OK, "none, and the app client has none")


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        pytest.param(answer(302, Location=LOGOUT_URL), OK, id="back to logout_url"),
        pytest.param(answer(302, Location=f"{LOGOUT_URL}?x"), FAIL, id="to another address"),
        pytest.param(answer(302, Location="/error?error=x"), FAIL, id="to the error page"),
        pytest.param(answer(200, Location=LOGOUT_URL), FAIL, id="no redirect"),
        pytest.param(answer(400), FAIL, id="the error page itself"),
        pytest.param(DOWN, FAIL, id="down"),
    ],
)
def test_answers_of_the_logout_endpoint(pool: TestPool, reply: Reply, status: Status) -> None:
    assert judge_sign_out(pool.config(logout_url=LOGOUT_URL), reply).status is status


def test_a_fixed_key_set_needs_neither_discovery_nor_keys_of_the_pool(pool: TestPool) -> None:
    config = pool.config()
    discovery, keys = judge_discovery(config, DOWN), judge_keys(config, DOWN)
    assert (discovery.status, keys.status) == (WARN, WARN)
    assert keys.text == "1 usable, fixed in AWS_COGNITO_JWKS"


def test_a_fixed_key_set_without_a_usable_key_fails(pool: TestPool) -> None:
    finding = judge_keys(pool.config(jwks={"keys": [{"kty": "EC"}]}), DOWN)
    assert finding.status is FAIL


def test_the_address_of_the_keys_does_not_matter_beside_a_fixed_key_set(pool: TestPool) -> None:
    config = pool.config()
    document = {
        "issuer": config.issuer,
        "jwks_uri": "https://else.example.test/",
        "authorization_endpoint": config.authorize_url,
    }
    reply = answer(200, json.dumps(document).encode())
    assert judge_discovery(config, reply).status is OK
    assert judge_discovery(replace(config, jwks=None), reply).status is WARN


# settings


@pytest.mark.parametrize(
    ("overrides", "status", "said"),
    [
        pytest.param({}, OK, "named __Host-", id="https"),
        pytest.param({"cookie_domain": "example.test"}, OK, "named __Secure-", id="cookie domain"),
        pytest.param(
            {"redirect_url": "http://localhost/callback"}, WARN, "without Secure", id="http on this machine"
        ),
        pytest.param({"logout_url": "http://localhost/"}, WARN, "logout_url is http", id="logout_url http"),
        pytest.param(
            {"cookie_domain": "example.test", "domain": "https://auth.example.test"},
            WARN,
            "go to Cognito at auth.example.test too",
            id="cookies reach a custom sign-in domain",
        ),
        pytest.param(
            {"cookie_domain": "example.test", "domain": "https://auth.other-example.test"},
            OK,
            "Secure",
            id="a sign-in domain with a similar name",
        ),
    ],
)
def test_https_and_cookies_agree(overrides: dict[str, Any], status: Status, said: str) -> None:
    config = TestPool(redirect_url=REDIRECT_URL, logout_url=LOGOUT_URL).config(**overrides)
    finding = check_https(config)
    assert finding.status is status
    assert said in finding.text


@pytest.mark.parametrize(
    ("key", "said"),
    [
        pytest.param(SECRET_KEY, None, id="random hex"),
        pytest.param(bytes(range(100, 132)), None, id="32 bytes"),
        pytest.param(bytes(range(100, 131)), "has 31 bytes of the 32", id="31 bytes"),
        pytest.param("0123456789abcdef", "has 16 bytes", id="16 bytes"),
        pytest.param("013579bdfg" * 4, None, id="ten characters"),
        pytest.param("013579bdf" * 4, "repeats a few characters", id="nine characters"),
        pytest.param("ThisIsMySuperSecretKeyDoNotTellAnybody", "a word", id="a phrase"),
        pytest.param("correct-horse-battery-staple-TEST-KEY", "a word", id="for tests"),
        pytest.param("k2v-Test" * 2 + "Xw0QmZ81pLtY4eHn", None, id="four letters that chance writes, too"),
        pytest.param("changeme" * 5, "repeats a few characters, holds a word", id="two flaws"),
    ],
)
def test_weak_secret_keys_are_noticed(pool: TestPool, key: str | bytes, said: str | None) -> None:
    finding = check_secret_key(pool.config(secret_key=key))
    assert finding.status is (WARN if said else OK)
    assert (said or f"{len(key)} bytes") in finding.text


def test_generated_secret_keys_are_good(pool: TestPool) -> None:
    import secrets

    for _ in range(200):
        for key in (secrets.token_hex(32), secrets.token_urlsafe(32), secrets.token_bytes(32)):
            assert check_secret_key(pool.config(secret_key=key)).status is OK


def test_old_secret_keys_are_counted(pool: TestPool) -> None:
    config = pool.config(secret_key=SECRET_KEY, secret_key_fallbacks=("a" * 16, "b" * 16))
    assert check_secret_key(config).text == "64 bytes; 2 older still accepted when reading"


def test_every_problem_of_the_settings_is_a_line() -> None:
    with pytest.raises(ConfigurationError) as caught:
        CognitoConfig.from_mapping({"AWS_REGION": "nowhere", "AWS_COGNITO_DOMIAN": "x"})
    findings = failed_settings(caught.value)
    assert len(findings) > 5
    assert {finding.status for finding in findings} == {FAIL}
    assert {finding.check for finding in findings} == {"settings"}
    assert "did you mean AWS_COGNITO_DOMAIN" in findings[0].text


# sizes


def sizes_in(finding: Finding) -> tuple[int, int]:
    """``(all together, the largest cookie)``."""
    words = finding.text.replace(",", "").replace(";", " ").split()
    return int(words[words.index("cookies") + 1]), int(words[words.index("largest") + 1])


@pytest.mark.parametrize("user", USERS, ids=lambda user: user.name)
def test_the_prefix_of_secure_cookies_counts(user: SampleUser) -> None:
    plain = check_cookies(TestPool().config(), user)
    secure = check_cookies(TestPool(redirect_url=REDIRECT_URL).config(), user)
    total, largest = sizes_in(plain)
    assert sizes_in(secure) == (total + 2 * len("__Host-"), largest + len("__Host-") + len("; Secure"))


def test_a_refresh_token_is_counted_only_where_it_is_kept() -> None:
    pool = TestPool()
    without, plain, encrypted = (
        sizes_in(check_cookies(pool.config(**options), USERS[0]))[0]
        for options in (
            {},
            {"refresh_enabled": True, "refresh_cookie_encrypted": False},
            {"refresh_enabled": True},
        )
    )
    assert 1_700 < plain - without < 2_000  # cognito.md §7 has 1,852
    assert plain < encrypted < plain + 200


def test_without_openid_there_is_no_id_token(pool: TestPool) -> None:
    finding = check_cookies(pool.config(scopes=("aws.cognito.signin.user.admin",)), USERS[0])
    assert finding.status is OK
    assert "1 cookies" in finding.text


def test_more_than_4_kb_of_headers_comes_with_a_hint_for_servers(pool: TestPool) -> None:
    small = check_cookies(pool.config(), USERS[0])
    large = check_cookies(pool.config(), USERS[1])
    assert (small.status, small.advice) == (OK, "")
    assert large.status is OK
    assert "proxy_buffer_size" in large.advice


@pytest.mark.parametrize("count", [40, 500])
def test_tokens_that_fit_into_no_cookies_fail_for_the_typical_user_alone(pool: TestPool, count: int) -> None:
    """40 scopes make cookies too large, 500 the token itself."""
    config = pool.config(scopes=tuple(f"resource-server-{number:03}/{'x' * 120}" for number in range(count)))
    findings = {finding.check: finding for finding in check_settings(config)}
    assert findings["cookies, typical user"].status is FAIL
    assert findings["cookies, large user"].status is WARN
    assert "no sign-in" in findings["cookies, typical user"].text
