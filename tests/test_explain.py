"""``cognito-wsgi explain``: it says what the gateway does, and which check of a token failed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.routing import BaseConverter
from werkzeug.test import run_wsgi_app

from cognito_wsgi import Access, CognitoGateway, TokenVerifyError
from cognito_wsgi.cookies import CookieSet
from cognito_wsgi.errors import InvalidClaim
from cognito_wsgi.explain import (
    TOKEN_CHECKS,
    Bearer,
    Cookie,
    Explanation,
    Imagined,
    Visitor,
    describe_answer,
    explain,
    mark_checks,
    path_info_of,
)
from cognito_wsgi.rule_tree import MatchedRule
from cognito_wsgi.testing import TestPool

from .serving import free_port

NOW = 1_790_000_000
POOL = TestPool(redirect_url="http://localhost/shop/callback")

RULES: dict[str, Any] = {
    "/": "public",
    "/admin": ["admin"],
    "/admin/help": "public",
    "/edit": {"groups": ["admin", "editor"], "any_group": True},
    "POST /articles": ["editor"],
    "/articles": "public",
    "/closed": "deny",
    "/machines": {"scopes": ["newsroom/read"]},
    "/recent": {"max_auth_age": 300},
    "/grown-up": {"where": lambda claims: claims["age"] >= 18},
    "/tried": {"groups": ["admin"], "report_only": True},
    "/files/<path:name>": "public",
    "/files/secret": ["admin"],
}


def inside(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"inside"]


def protect(pool: TestPool = POOL, rules: Mapping[str, Any] = RULES, **options: Any) -> CognitoGateway:
    overrides = options.pop("config", {})
    return CognitoGateway(
        inside, pool.config(bearer_enabled=True, refresh_enabled=True, **overrides), rules, **options
    )


def answer_of(
    gateway: CognitoGateway, method: str, path_info: str, headers: Mapping[str, str]
) -> tuple[str, bytes]:
    """What the gateway really does with the request of a program: status and body."""
    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path_info,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        **headers,
    }
    body, status, _ = run_wsgi_app(gateway, environ, buffered=True)
    return status, b"".join(body)


# it agrees with the gateway

GATEWAY = protect()
COOKIE = CookieSet(GATEWAY.config).access

#: What a visitor is to ``explain``, and what he sends to the gateway.
VISITORS: dict[str, tuple[Visitor, Mapping[str, str]]] = {"nobody": (None, {})}
for _name, _token in {
    "bob": POOL.access_token("bob"),
    "admin": POOL.access_token("ann", groups=["admin"]),
    "editor": POOL.access_token("ed", groups=["editor"], scopes=["newsroom/read"]),
    "child": POOL.access_token("kid", claims={"age": 9, "auth_time": 5}),
    "expired": POOL.expired_token(groups=["admin"]),
    "other client": POOL.other_client_token(groups=["admin"]),
    "other pool": POOL.other_pool_token(groups=["admin"]),
    "machine": POOL.machine_token(scopes=["newsroom/read"]),
    "ID token": POOL.id_token(groups=["admin"]),
    "rubbish": "rubbish",
}.items():
    VISITORS[f"{_name} by cookie"] = (Cookie(_token), {"HTTP_COOKIE": f"{COOKIE}={_token}"})
    VISITORS[f"{_name} by header"] = (Bearer(_token), {"HTTP_AUTHORIZATION": f"Bearer {_token}"})

RULED = "/".join(RULES).replace("<path:name>", "").replace("POST ", "/").split("/")
OWN = ["login", "logout", "refresh", "shop", "callback", "signed-out"]
ODD = ["..", ".", "x", "\\", "\x00", "\xc3\xa4", "ADMIN", "admin%20"]
segments = st.sampled_from([*RULED, *OWN, *ODD])
paths = st.lists(segments, max_size=5).flatmap(
    lambda parts: st.sampled_from(["/", "", "//"]).map(lambda start: start + "/".join(parts))
)


@given(
    st.sampled_from(["GET", "HEAD", "POST", "OPTIONS", "DELETE"]),
    paths,
    st.sampled_from(sorted(VISITORS)),
)
def test_the_explanation_is_what_the_gateway_does(method: str, path_info: str, name: str) -> None:
    visitor, headers = VISITORS[name]
    explanation = explain(GATEWAY, method, path_info, visitor)
    status, body = answer_of(GATEWAY, method, path_info, headers)
    if explanation.refusal is not None:
        assert status.startswith(str(explanation.refusal.code))
        assert body != b"inside"
    elif explanation.endpoint is not None:
        assert explanation.judged == ()
        assert body != b"inside"
    else:
        assert body == b"inside"


SIGNED_IN = {
    "bob": Imagined(),
    "admin": Imagined(("admin",)),
    "editor": Imagined(("editor",), ("newsroom/read",)),
    "child": Imagined(claims={"age": 9, "auth_time": 5}),
}


@given(st.sampled_from(["GET", "POST"]), paths, st.sampled_from(sorted(SIGNED_IN)))
def test_an_imagined_user_is_judged_as_a_real_one(method: str, path_info: str, name: str) -> None:
    imagined = explain(GATEWAY, method, path_info, SIGNED_IN[name])
    real = explain(GATEWAY, method, path_info, VISITORS[f"{name} by cookie"][0])
    assert verdict(imagined) == verdict(real)
    assert imagined.token == ()


def verdict(explanation: Explanation) -> tuple[object, ...]:
    return (
        explanation.endpoint,
        explanation.refusal and explanation.refusal.reason,
        [(judged.path, judged.rule.key) for judged in explanation.judged],
    )


# rules


@pytest.mark.parametrize(
    ("method", "path_info", "visitor", "rule", "code", "reason"),
    [
        pytest.param("GET", "/admin/users", None, "/admin", 401, "no access token", id="nobody"),
        pytest.param(
            "GET",
            "/admin/users",
            Imagined(("editor",)),
            "/admin",
            403,
            "needs all the groups admin",
            id="no member",
        ),
        pytest.param("GET", "/admin/users", Imagined(("admin",)), "/admin", None, None, id="member"),
        pytest.param("GET", "/admin/help", None, "/admin/help", None, None, id="public below"),
        pytest.param("GET", "/ADMIN", Imagined(), "default", None, None, id="no rule"),
        pytest.param(
            "POST", "/articles/7", None, "POST /articles", 401, "no access token", id="method's rule"
        ),
        pytest.param("PUT", "/articles/7", None, "/articles", None, None, id="other method"),
        pytest.param(
            "GET", "/closed", Imagined(("admin",)), "/closed", 403, "nobody is let in here", id="deny"
        ),
        pytest.param(
            "GET", "/machines", Imagined(), "/machines", 403, "needs the scopes newsroom/read", id="no scope"
        ),
        pytest.param(
            "GET", "/machines", Imagined((), ("newsroom/read",)), "/machines", None, None, id="scope"
        ),
        pytest.param("GET", "/recent", Imagined(), "/recent", None, None, id="signed in this moment"),
        pytest.param(
            "GET",
            "/recent",
            Imagined(claims={"auth_time": 5}),
            "/recent",
            401,
            "needs a sign-in at most 300 s ago",
            id="signed in long ago",
        ),
        pytest.param(
            "GET", "/grown-up", Imagined(claims={"age": 18}), "/grown-up", None, None, id="where says True"
        ),
        pytest.param(
            "GET",
            "/grown-up",
            Imagined(claims={"age": 9}),
            "/grown-up",
            403,
            "the rule's where function did not say True",
            id="where says no",
        ),
        pytest.param("GET", "/signed-out", None, "AWS_COGNITO_LOGOUT_URL", None, None, id="after sign-out"),
    ],
)
def test_the_rule_and_the_reason_are_named(
    method: str, path_info: str, visitor: Visitor, rule: str, code: int | None, reason: str | None
) -> None:
    explanation = explain(GATEWAY, method, path_info, visitor)
    assert [judged.rule.key for judged in explanation.judged] == [rule]
    assert (explanation.refusal and explanation.refusal.code) == code
    assert (explanation.refusal and explanation.refusal.reason) == reason


def test_both_spellings_of_a_path_are_judged_up_to_the_first_refusal() -> None:
    both = explain(GATEWAY, "GET", "/files//secret")
    assert [(judged.path, judged.rule.key) for judged in both.judged] == [("/files/secret", "/files/secret")]
    assert both.refusal is not None
    let_in = explain(GATEWAY, "GET", "/files/a//b")
    assert [judged.path for judged in let_in.judged] == ["/files/a/b", "/files/a//b"]
    assert let_in.refusal is None


def test_an_ambiguous_path_comes_to_no_rule() -> None:
    explanation = explain(GATEWAY, "GET", "/public/../admin", Imagined(("admin",)))
    assert explanation.judged == ()
    assert explanation.refusal is not None
    assert explanation.refusal.code == 400


def test_a_rule_that_only_reports_shows_whom_it_would_refuse() -> None:
    (judged,) = explain(GATEWAY, "GET", "/tried", Imagined()).judged
    assert judged.is_report_only
    assert judged.refusal is not None
    assert judged.refusal.code == 403
    (judged,) = explain(protect(report_only=True), "GET", "/closed", Imagined()).judged
    assert judged.is_report_only
    assert judged.refusal is not None


def test_a_disabled_gateway_lets_everyone_in_by_a_rule_of_that_name(caplog: pytest.LogCaptureFixture) -> None:
    (judged,) = explain(protect(config={"disabled": True}), "GET", "/closed").judged
    assert judged.rule == MatchedRule("AWS_COGNITO_DISABLED", Access("public"))
    assert "lets EVERYONE in" in caplog.text


@pytest.mark.parametrize(
    ("path_info", "script_name", "does"),
    [
        ("/login", "", "begins a sign-in"),
        ("/logout", "/shop", "signs out"),
        ("/refresh", "", "renews the session"),
        ("/callback", "/shop", "finishes a sign-in"),
        ("/shop/callback", "", "finishes a sign-in"),
        ("/callback", "", None),
    ],
)
def test_the_gateways_own_paths_are_told_apart(path_info: str, script_name: str, does: str | None) -> None:
    assert explain(GATEWAY, "GET", path_info, script_name=script_name).endpoint == does


def test_the_path_of_refresh_is_the_applications_while_refresh_is_off() -> None:
    gateway = CognitoGateway(inside, POOL.config(), RULES)
    assert explain(gateway, "GET", "/refresh").endpoint is None


def test_nothing_is_reported_and_the_application_is_not_called(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        raise AssertionError("called")

    caplog.set_level(logging.DEBUG, "cognito_wsgi")
    events: list[object] = []
    gateway = CognitoGateway(refuse, POOL.config(), RULES, on_event=events.append, report_only=True)
    for path_info in ("/", "/admin", "/closed", "/login", "/logout", "/.."):
        for visitor, _ in VISITORS.values():
            explain(gateway, "GET", path_info, visitor)
    gateway.events.flush()
    assert events == []
    assert [record.getMessage() for record in caplog.records] == [
        "report_only is set: cognito_wsgi lets EVERYONE in, and only reports whom it would refuse"
    ]


@pytest.mark.parametrize(
    ("written", "path_info"),
    [
        ("/admin", "/admin"),
        ("/%61dmin", "/admin"),
        ("/a%2fb", "/a/b"),
        ("/%252e", "/%2e"),
        ("/ä", "/\xc3\xa4"),
        ("/%C3%A4", "/\xc3\xa4"),
        (b"/\xe4", "/\xe4"),
    ],
)
def test_path_info_is_made_as_servers_make_it(written: str | bytes, path_info: str) -> None:
    assert path_info_of(written) == path_info


# tokens


@pytest.fixture
def at_now() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


def sign(**claims: Any) -> str:
    return POOL.access_token("alice", groups=["admin"], claims=claims)


BAD_TOKENS: list[Any] = [
    pytest.param(lambda: "a.b", "form", "the token has not three parts", id="two parts"),
    pytest.param(lambda: sign() + "=", "form", "base64url", id="padding"),
    pytest.param(
        lambda: POOL.sign(POOL.access_claims(), header={"alg": "HS256"}),
        "form",
        "alg is not RS256",
        id="HS256",
    ),
    pytest.param(
        lambda: sign(iss="https://else.example.test"),
        "iss",
        f"iss is another issuer: found 'https://else.example.test', expected '{POOL.issuer}'",
        id="issuer",
    ),
    pytest.param(lambda: sign(iss=...), "iss", "iss is missing: found none, expected", id="no issuer"),
    pytest.param(
        lambda: POOL.id_token(),
        "token_use",
        "token_use is not 'access': found 'id', expected 'access'",
        id="ID token",
    ),
    pytest.param(lambda: sign(sub=""), "sub", "sub is no text", id="no subject"),
    pytest.param(lambda: sign(exp="9999999999"), "exp, iat, nbf", "exp is no number", id="exp as text"),
    pytest.param(lambda: sign(exp=2**53), "exp, iat, nbf", "exp is no time", id="exp for ever"),
    pytest.param(lambda: sign(iat=...), "exp, iat, nbf", "iat is missing", id="no iat"),
    pytest.param(lambda: sign(nbf=True), "exp, iat, nbf", "nbf is no number", id="nbf true"),
    pytest.param(
        lambda: POOL.other_client_token(),
        "client_id",
        "found 'otherclient000000000000000', expected 'testclient0000000000000000'",
        id="other client",
    ),
    pytest.param(
        lambda: sign(aud="https://api.example.test"),
        "aud",
        "expected none, or an address at http://localhost",
        id="other resource",
    ),
    pytest.param(
        lambda: POOL.machine_token(),
        "username, scope, cognito:groups",
        "username is missing: a machine has no session",
        id="machine",
    ),
    pytest.param(
        lambda: sign(scope=["a"]), "username, scope, cognito:groups", "scope is no text", id="scope as list"
    ),
    pytest.param(
        lambda: sign(**{"cognito:groups": "admin"}),
        "username, scope, cognito:groups",
        "cognito:groups is no list of texts",
        id="groups as text",
    ),
    pytest.param(lambda: POOL.other_pool_token(), "signature", "the signature does not fit", id="other pool"),
    pytest.param(
        lambda: POOL.sign(POOL.access_claims(), header={"kid": "x"}),
        "signature",
        "kid is unknown",
        id="other key",
    ),
    pytest.param(lambda: sign(iat=NOW + 11), "not of the future", "iat lies in the future", id="future"),
    pytest.param(lambda: sign(exp=NOW), "not expired", "exp has passed", id="expired"),
    # two faults: the first in the verifier's order is named
    pytest.param(lambda: sign(iss="x", exp=NOW), "iss", "iss is another issuer", id="issuer, expired"),
    pytest.param(lambda: sign(sub=1, client_id="x"), "sub", "sub is no text", id="subject, client"),
    pytest.param(lambda: sign(aud=1, exp=None), "exp, iat, nbf", "exp is no number", id="audience, expiry"),
    pytest.param(
        lambda: sign(aud=1, client_id="x"), "client_id", "another app client", id="audience, client"
    ),
    pytest.param(lambda: sign(aud=1, scope=1), "aud", "aud is no text", id="audience, scope"),
    pytest.param(
        lambda: POOL.other_pool_token(claims={"scope": 1}),
        "username, scope, cognito:groups",
        "scope is no text",
        id="scope, signature",
    ),
    pytest.param(
        lambda: POOL.other_pool_token(claims={"exp": NOW, "iat": NOW + 99}),
        "signature",
        "the signature does not fit",
        id="signature, times",
    ),
    pytest.param(
        lambda: sign(iat=NOW + 11, exp=NOW),
        "not of the future",
        "iat lies in the future",
        id="future, expired",
    ),
]


@pytest.mark.usefixtures("at_now")
@pytest.mark.parametrize(("make", "name", "detail"), BAD_TOKENS)
def test_the_check_that_failed_is_named(make: Callable[[], str], name: str, detail: str) -> None:
    """Those before it were passed; those behind were not looked at, and nothing is said of them."""
    explanation = explain(GATEWAY, "GET", "/admin", Cookie(make()))
    assert [check.name for check in explanation.token] == list(TOKEN_CHECKS)
    failed = TOKEN_CHECKS.index(name)
    marks = [check.is_good for check in explanation.token]
    assert marks == [True] * failed + [False] + [None] * (len(TOKEN_CHECKS) - failed - 1)
    assert detail in explanation.token[failed].detail
    assert explanation.refusal is not None
    assert explanation.refusal.code == 401
    assert explanation.refusal.reason in explanation.token[failed].detail


@pytest.mark.usefixtures("at_now")
def test_of_a_good_token_every_check_is_good() -> None:
    explanation = explain(GATEWAY, "GET", "/admin", Bearer(sign()))
    assert [(check.name, check.is_good) for check in explanation.token] == [
        (name, True) for name in TOKEN_CHECKS
    ]
    details = {check.name: check.detail for check in explanation.token}
    assert details["iss"] == repr(POOL.issuer)
    assert details["username, scope, cognito:groups"] == "'alice', 'openid', ['admin']"
    assert details["not expired"] == "for 3,600 s more"
    assert explanation.refusal is None


def test_a_token_is_shown_in_no_part() -> None:
    token = sign()
    for visitor in (Cookie(token), Bearer(token), Cookie(POOL.other_pool_token())):
        explanation = explain(GATEWAY, "GET", "/closed", visitor)
        text = repr([*explanation.token, describe_answer(explanation.refusal, visitor)])  # type: ignore[arg-type]
        assert not any(part in text for part in token.split("."))
        assert str(time.time())[:4] in text  # while its claims are


def test_a_machines_token_is_good_in_the_header() -> None:
    token = POOL.machine_token(scopes=["newsroom/read"])
    explanation = explain(GATEWAY, "GET", "/machines", Bearer(token))
    assert all(check.is_good for check in explanation.token)
    assert explanation.refusal is None


def test_the_header_is_not_looked_at_while_bearer_is_off() -> None:
    gateway = CognitoGateway(inside, POOL.config(), RULES)
    explanation = explain(gateway, "GET", "/admin", Bearer(sign()))
    (check,) = explanation.token
    assert check.is_good is False
    assert "AWS_COGNITO_BEARER_ENABLED is off" in check.detail
    assert explanation.refusal is not None
    assert explanation.refusal.reason == "no access token"


@pytest.mark.parametrize(
    ("carrier", "expected"),
    [(Bearer, "'testclient0000000000000000' or 'robot'"), (Cookie, "'testclient0000000000000000'")],
)
def test_other_clients_are_expected_in_the_header_alone(
    carrier: type[Bearer | Cookie], expected: str
) -> None:
    gateway = protect(config={"bearer_client_ids": ("robot",)})
    (failed,) = (
        check
        for check in explain(gateway, "GET", "/admin", carrier(POOL.other_client_token())).token
        if check.is_good is False
    )
    assert failed.detail.endswith(f", expected {expected}")


def test_keys_that_cannot_be_had_leave_the_signature_open() -> None:
    config = {"jwks": None, "jwks_url": f"http://127.0.0.1:{free_port()}/keys"}
    explanation = explain(protect(config=config), "GET", "/admin", Cookie(sign()))
    (failed,) = (check for check in explanation.token if check.is_good is False)
    assert failed.name == "signature"
    assert "cannot be reached" in failed.detail
    assert explanation.refusal is not None
    assert explanation.refusal.code == 503


def test_a_check_that_is_new_to_us_says_nothing_of_the_others() -> None:
    checks = mark_checks(InvalidClaim("device_key", "is revoked"), {}, {})
    assert checks[0] == ("device_key", False, "device_key is revoked")
    assert [check.is_good for check in checks[1:]] == [None] * len(TOKEN_CHECKS)


def test_a_hostile_token_cannot_command_the_terminal() -> None:
    token = sign(iss="\x1b[2J" + "x" * 5000, sub=[[[[[["deep"]]]]]])
    explanation = explain(GATEWAY, "GET", "/admin", Cookie(token))
    texts = "".join(check.detail for check in explanation.token)
    assert r"\x1b[2J" in texts
    assert texts.isprintable()
    assert len(texts) < 1000


def test_claims_that_no_token_has_are_refused() -> None:
    with pytest.raises(TokenVerifyError, match="exp is no number"):
        explain(GATEWAY, "GET", "/", Imagined(claims={"exp": "soon"}))


@pytest.mark.parametrize(
    ("path_info", "visitor", "text"),
    [
        ("/admin", None, "a browser: 302 to Cognito; a program: 401 and problem+json"),
        (
            "/recent",
            Imagined(claims={"auth_time": 5}),
            "a browser: 302 to Cognito to sign in anew; a program: 401 and problem+json",
        ),
        ("/admin", Imagined(), "a browser: a 403 page; a program: 403 and problem+json"),
        ("/..", None, "a browser: a 400 page; a program: 400 and problem+json"),
        ("/admin", Bearer("x"), "401 and problem+json"),
    ],
)
def test_what_a_visitor_receives_is_told(path_info: str, visitor: Visitor, text: str) -> None:
    refusal = explain(GATEWAY, "GET", path_info, visitor).refusal
    assert refusal is not None
    assert describe_answer(refusal, visitor) == text


def test_a_converter_that_breaks_is_a_refusal() -> None:
    class Broken(BaseConverter):
        def to_python(self, value: str) -> str:
            raise RuntimeError("broken on purpose")

    pool = TestPool()
    rules = {"/x/<broken:name>": "public"}
    gateway = CognitoGateway(lambda environ, start: [], pool.config(), rules, converters={"broken": Broken})
    refusal = explain(gateway, "GET", "/x/y").refusal
    assert refusal is not None
    assert refusal.code == 400
