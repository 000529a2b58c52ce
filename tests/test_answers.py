"""What a visitor without access gets (design.md §7), and how programs with a token are answered (§8)."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
import werkzeug.exceptions
from werkzeug.test import TestResponse

from cognito_wsgi import (
    Access,
    AuthorisationRequiredError,
    BadRequestError,
    CognitoError,
    CognitoGroupRequiredError,
    CrossSiteRequestError,
    RefusalError,
)
from cognito_wsgi.testing import TestPool

from .serving import free_port
from .test_refresh import by_header
from .visiting import FETCH, FORM, NAVIGATION, ORIGIN, Application, House, Page, query_of, rows

RULES = {
    "/": "public",
    "/denied": "deny",
    "/admin": ["admin"],
    "/scoped": {"scopes": ["api/read", "api/write"]},
    "/some": {"where": lambda claims: claims["username"] == "bob"},
    "/recent": {"max_auth_age": 300},
    "POST /articles": ["editor"],
}
AUTHORIZE = "https://testpool.auth.eu-central-1.amazoncognito.com/oauth2/authorize?"
CHALLENGE = 'Bearer realm="cognito"'
EVIL = "https://evil.test"


def nothing(pool: TestPool, house: House) -> None:
    pass


def signed_in(pool: TestPool, house: House) -> None:
    pool.sign_in(house.client, "alice")


def signed_in_long_ago(pool: TestPool, house: House) -> None:
    pool.sign_in(house.client, "alice", claims={"auth_time": int(time.time()) - 301})


def with_token(make: Callable[[TestPool], str]) -> Callable[[TestPool, House], None]:
    return lambda pool, house: pool.set_cookies(house.client, make(pool))


# Who he is, what he asks for, and the answer: to a navigation, to a program, to a form.
NOT_SIGNED_IN = (302, 401, 401)
NOT_ALLOWED = (403, 403, 403)
MALFORMED = (400, 400, 400)
TABLE = {
    "nobody": (nothing, "/x", NOT_SIGNED_IN),
    "nobody, where nobody may": (nothing, "/denied", NOT_SIGNED_IN),
    "rubbish for a token": (with_token(lambda pool: "rubbish"), "/x", NOT_SIGNED_IN),
    "forged token": (with_token(TestPool.other_pool_token), "/x", NOT_SIGNED_IN),
    "expired token": (with_token(TestPool.expired_token), "/x", NOT_SIGNED_IN),
    "another client's token": (with_token(TestPool.other_client_token), "/x", NOT_SIGNED_IN),
    "ID token for access token": (with_token(TestPool.id_token), "/x", NOT_SIGNED_IN),
    "machine's token in a cookie": (with_token(TestPool.machine_token), "/x", NOT_SIGNED_IN),
    "no group": (signed_in, "/admin", NOT_ALLOWED),
    "no group, beneath": (signed_in, "/admin/users/7", NOT_ALLOWED),
    "no scope": (signed_in, "/scoped", NOT_ALLOWED),
    "where says no": (signed_in, "/some", NOT_ALLOWED),
    "where nobody may": (signed_in, "/denied", NOT_ALLOWED),
    "signed in too long ago": (signed_in_long_ago, "/recent", NOT_SIGNED_IN),
    "backslash in the path": (signed_in, "/x\\y", MALFORMED),
    "dots in the path": (nothing, "/x/%2e%2e/y", MALFORMED),
    "callback without parameters": (nothing, "/callback", (400, 400, 405)),
    "callback with a wrong state": (nothing, f"/callback?code=x&state={'s' * 43}", (400, 400, 405)),
    "oversized query at login": (nothing, "/login?next=/" + "a" * 9000, (400, 401, 405)),
    "login says next twice": (nothing, "/login?next=/a&next=/b", (400, 401, 405)),
}


@pytest.mark.parametrize("number", range(3), ids=["navigation", "program", "form"])
@pytest.mark.parametrize(("arrange", "path", "statuses"), rows(TABLE))
def test_the_table_of_answers(pool, arrange, path, statuses, number):
    house = House(pool.config(), RULES)
    arrange(pool, house)
    kind, method = [(NAVIGATION, "GET"), (FETCH, "GET"), (FORM, "POST")][number]
    answer = house.ask(path, kind, method=method)
    assert answer.status_code == statuses[number]
    assert house.app.environs == []
    if statuses[number] == 302:
        assert answer.location.startswith(AUTHORIZE)
    elif kind is FETCH:
        check_problem(answer)
    else:
        check_page(answer)
    assert_private(answer)


def check_problem(answer: TestResponse) -> dict[str, Any]:
    """RFC 9457 §3."""
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = json.loads(answer.data)
    assert problem["type"] == "about:blank"
    assert problem["status"] == answer.status_code
    assert problem["title"] == werkzeug.http.HTTP_STATUS_CODES[answer.status_code]
    assert problem["detail"]
    assert re.fullmatch("[0-9a-f]{8}", problem["reference"])
    return problem


def check_page(answer: TestResponse) -> Page:
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    page = Page(answer.text)
    assert f"{answer.status_code} " in page.text
    assert re.search("reference: [0-9a-f]{8}\n", page.text)
    assert "h1" in page.tags
    return page


def assert_private(answer: TestResponse) -> None:
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_form_of_another_origin_that_rides_on_cookies_is_refused(pool):
    house = House(pool.config(), RULES)
    signed_in(pool, house)
    from_elsewhere = {"Origin": EVIL, "Sec-Fetch-Site": "cross-site"}
    page = house.ask("/x", FORM, method="POST", headers=from_elsewhere)
    assert (page.status_code, check_page(page).links) == (
        403,
        {"Go to the start page": "/", "Sign out": "/logout"},
    )
    problem = house.ask("/x", FETCH, method="POST", headers=from_elsewhere)
    assert problem.status_code == 403
    assert "Another site" in check_problem(problem)["detail"]
    assert house.app.environs == []


@pytest.fixture
def out_of_reach(pool):
    """A house whose pool cannot be reached, so that no token can be verified."""
    house = House(pool.config(jwks=None, jwks_url=f"http://127.0.0.1:{free_port()}/"), RULES)
    signed_in(pool, house)
    return house


@pytest.mark.parametrize(
    ("kind", "method", "check"),
    [
        pytest.param(NAVIGATION, "GET", check_page, id="navigation"),
        pytest.param(FETCH, "GET", check_problem, id="program"),
        pytest.param(FORM, "POST", check_page, id="form"),
    ],
)
def test_503_where_cognito_cannot_be_reached_and_nobody_is_signed_out(out_of_reach, kind, method, check):
    before = out_of_reach.cookies
    answer = out_of_reach.ask("/x", kind, method=method)
    assert answer.status_code == 503
    check(answer)
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert "Set-Cookie" not in answer.headers
    assert out_of_reach.cookies == before != {}


# A navigation


@pytest.mark.parametrize(
    ("headers", "is_navigation"),
    [
        pytest.param({"Sec-Fetch-Mode": "navigate"}, True, id="navigate"),
        pytest.param(
            {"Sec-Fetch-Mode": "navigate", "Accept": "application/json"}, True, id="navigate alone tells"
        ),
        pytest.param(
            {"Sec-Fetch-Mode": "navigate", "X-Requested-With": "x"}, True, id="navigate, whatever else"
        ),
        pytest.param({"Sec-Fetch-Mode": "cors", "Accept": "text/html"}, False, id="cors"),
        pytest.param({"Sec-Fetch-Mode": "no-cors", "Accept": "text/html"}, False, id="no-cors"),
        pytest.param({"Sec-Fetch-Mode": "same-origin", "Accept": "text/html"}, False, id="same-origin"),
        pytest.param({"Sec-Fetch-Mode": "websocket", "Accept": "text/html"}, False, id="websocket"),
        pytest.param({"Sec-Fetch-Mode": "", "Accept": "text/html"}, False, id="empty mode"),
        pytest.param({"Accept": "text/html"}, True, id="an old browser"),
        pytest.param({"Accept": "text/html,*/*;q=0.8"}, True, id="an old browser, more types"),
        pytest.param({"Accept": "TEXT/HTML"}, True, id="in capitals"),
        pytest.param({"Accept": "*/*"}, False, id="curl"),
        pytest.param({"Accept": "application/json"}, False, id="json"),
        pytest.param({}, False, id="no header at all"),
        pytest.param({"Accept": "text/html", "X-Requested-With": "XMLHttpRequest"}, False, id="jQuery"),
    ],
)
def test_what_counts_as_a_navigation(pool, headers, is_navigation):
    house = House(pool.config(), RULES)
    for method in ("GET", "HEAD"):
        assert house.ask("/x", headers, method=method).status_code == (302 if is_navigation else 401)
    posted = house.ask("/x", headers, method="POST")
    assert posted.status_code == 401
    assert posted.mimetype == ("text/html" if is_navigation else "application/problem+json")


@pytest.mark.parametrize("header", ["Sec-Purpose", "Purpose"])
def test_a_prefetch_begins_no_sign_in(pool, header):
    house = House(pool.config(), RULES)
    answer = house.ask("/x", headers={header: "prefetch;prerender"})
    assert answer.status_code == 401
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(("path", "status"), [("/x", 302), ("/x\\y", 400)])
def test_head_is_answered_as_get_without_a_body(pool, path, status):
    house = House(pool.config(), RULES)
    get, head = house.ask(path), house.ask(path, method="HEAD")
    assert get.status_code == head.status_code == status
    assert head.data == b""
    assert head.headers.get("Content-Type") == get.headers.get("Content-Type")


# 401


def test_a_redirect_to_cognito_names_all_that_the_flow_needs(pool):
    house = House(pool.config(scopes=("openid", "email")), RULES)
    answer = house.ask("/deep/link?a=1&b=2")
    query = query_of(answer.location)
    state, nonce, challenge = (query.pop(name) for name in ("state", "nonce", "code_challenge"))
    assert query == {
        "response_type": "code",
        "client_id": pool.client_id,
        "redirect_uri": f"{ORIGIN}/callback",
        "scope": "openid email",
        "code_challenge_method": "S256",
    }
    assert all(re.fullmatch("[A-Za-z0-9_-]{43}", value) for value in (state, nonce, challenge))
    assert len({state, nonce, challenge}) == 3


def sign_in_at(login_url: str | None) -> dict[str, str] | None:
    """The parameters of an address where a sign-in begins."""
    if login_url is None:
        return None
    path, _, query = login_url.partition("?")
    assert path == "/login"
    return query_of(login_url) if query else {}


@pytest.mark.parametrize(
    ("path", "method", "referer", "next_page"),
    [
        pytest.param("/x?q=1", "GET", None, "/x?q=1", id="the address itself"),
        pytest.param("/x", "GET", f"{ORIGIN}/page?q=1", "/page?q=1", id="its page"),
        pytest.param("/x", "GET", ORIGIN, "/", id="its page, the root"),
        pytest.param("/x", "GET", f"{EVIL}/page", "/x", id="another site's page"),
        pytest.param("/x", "GET", "http://localhost.evil.test/", "/x", id="a like host"),
        pytest.param("/x", "GET", f"{ORIGIN}//evil.test", None, id="page with a double slash"),
        pytest.param("/x", "GET", "http://[::1/", "/x", id="malformed page"),
        pytest.param("/x", "GET", f"{ORIGIN}/logout", None, id="own endpoint for a page"),
        pytest.param("/x", "POST", None, None, id="an address that is no page"),
        pytest.param("/x", "POST", f"{ORIGIN}/form", "/form", id="a form's page"),
    ],
)
def test_login_url_leads_back_to_the_page_that_the_program_runs_on(pool, path, method, referer, next_page):
    house = House(pool.config(), RULES)
    answer = house.ask(path, FETCH, method=method, headers={"Referer": referer} if referer else {})
    assert answer.status_code == 401
    expected = {"next": next_page} if next_page else {}
    assert sign_in_at(check_problem(answer)["login_url"]) == expected
    assert answer.headers["WWW-Authenticate"] == CHALLENGE


def test_a_form_with_a_dead_session_is_offered_a_sign_in(pool):
    house = House(pool.config(), RULES)
    pool.set_cookies(house.client, pool.expired_token())
    answer = house.ask("/articles", FORM, method="POST", headers={"Referer": f"{ORIGIN}/articles/new"})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == CHALLENGE
    page = check_page(answer)
    assert sign_in_at(page.links["Sign in"]) == {"next": "/articles/new"}


def test_a_sign_in_that_is_too_old_is_asked_for_anew(pool):
    house = House(pool.config(), RULES)
    signed_in_long_ago(pool, house)
    assert query_of(house.ask("/recent").location)["prompt"] == "login"
    answer = house.ask("/recent", FETCH)
    assert answer.status_code == 401
    assert sign_in_at(check_problem(answer)["login_url"]) == {"next": "/recent", "prompt": "login"}
    challenge = answer.headers["WWW-Authenticate"]  # RFC 9470 §3
    assert challenge.startswith(f'{CHALLENGE}, error="insufficient_user_authentication", ')
    assert challenge.endswith(', max_age="300"')


# 403


def test_a_forbidden_page_offers_ways_out(pool):
    house = House(pool.config(), RULES)
    signed_in(pool, house)
    page = check_page(house.ask("/admin"))
    assert page.links == {"Go to the start page": "/", "Sign in as somebody else": "/logout"}


def test_a_forbidden_page_says_nothing_of_the_rule(pool):
    house = House(pool.config(), {"/a": ["a-secret-group"]})
    signed_in(pool, house)
    for kind in (NAVIGATION, FETCH):
        assert "a-secret-group" not in house.ask("/a", kind).text


def test_links_name_the_prefix_under_which_the_application_is_mounted(pool):
    config = pool.config(redirect_url=f"{ORIGIN}/app/callback", logout_url=f"{ORIGIN}/app/")
    house = House(config, RULES)
    mounted = {"SCRIPT_NAME": "/app"}
    refused = house.ask("/x", FETCH, environ_overrides=mounted)
    login_url = check_problem(refused)["login_url"]
    assert login_url.startswith("/app/login?")
    assert query_of(login_url) == {"next": "/app/x"}
    signed_in(pool, house)
    page = check_page(house.ask("/admin", environ_overrides=mounted))
    assert page.links == {"Go to the start page": "/app/", "Sign in as somebody else": "/app/logout"}


def test_method_rules_are_asked_for_their_method_alone(pool):
    house = House(pool.config(), RULES)
    pool.sign_in(house.client, groups=["reader"])
    assert house.ask("/articles").status_code == 200
    assert house.ask("/articles", FORM, method="POST").status_code == 403
    pool.sign_in(house.client, groups=["editor"])
    assert house.ask("/articles", FORM, method="POST").status_code == 200


# 405


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        pytest.param("/login", {"GET", "HEAD"}, id="login"),
        pytest.param("/callback", {"GET"}, id="callback"),
        pytest.param("/refresh", {"POST"}, id="refresh"),
        pytest.param("/logout", {"GET", "HEAD", "POST"}, id="logout"),
    ],
)
def test_own_endpoints_answer_their_methods_alone(pool, path, allowed):
    house = House(pool.config(refresh_enabled=True), RULES)
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        answer = house.ask(path, method=method)
        assert (answer.status_code == 405) is (method not in allowed)
        if answer.status_code == 405:
            assert set(answer.headers["Allow"].split(", ")) == allowed
            assert "Set-Cookie" not in answer.headers
    assert house.app.environs == []


def test_the_refresh_path_is_the_applications_while_refresh_is_off(pool):
    house = House(pool.config(), {"/refresh": "public"})
    assert house.ask("/refresh", method="POST").data == b"inside"


# CORS preflights


PREFLIGHT = {**FETCH, "Origin": "https://friend.test", "Access-Control-Request-Method": "PUT"}


@pytest.mark.parametrize(
    "path",
    [
        "/x",
        "/admin",
        "/recent",
        "/",
    ],
)
def test_a_trusted_preflight_reaches_the_application_without_claims(pool, path):
    house = House(pool.config(trusted_origins=("https://friend.test",)), RULES)
    assert house.environ_of(path, PREFLIGHT, method="OPTIONS")["cognito.claims"] is None
    signed_in(pool, house)
    environ = house.environ_of(path, PREFLIGHT, method="OPTIONS")
    assert environ["cognito.claims"] is None
    assert "REMOTE_USER" not in environ


@pytest.mark.parametrize(
    ("path", "method", "headers"),
    [
        pytest.param("/x", "OPTIONS", {"Origin": EVIL}, id="another origin"),
        pytest.param("/x", "OPTIONS", {"Origin": "null"}, id="no origin"),
        pytest.param("/denied", "OPTIONS", {}, id="where nobody may"),
        pytest.param("/x", "GET", {}, id="another method"),
        pytest.param("/x\\y", "OPTIONS", {}, id="bad path"),
    ],
)
def test_what_is_no_trusted_preflight_is_judged_as_ever(pool, path, method, headers):
    house = House(pool.config(trusted_origins=("https://friend.test",)), RULES)
    answer = house.ask(path, PREFLIGHT, method=method, headers=headers)
    assert answer.status_code == (400 if "\\" in path else 401)


@pytest.mark.parametrize("missing", ["Origin", "Access-Control-Request-Method"])
def test_options_without_the_headers_of_a_preflight_is_judged_as_ever(pool, missing):
    house = House(pool.config(trusted_origins=("https://friend.test",)), RULES)
    headers = {name: value for name, value in PREFLIGHT.items() if name != missing}
    assert house.ask("/x", headers, method="OPTIONS").status_code == 401


# Broken cookies


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("rubbish", id="rubbish"),
        pytest.param("a.b.c", id="three parts"),
        pytest.param("e" * 40_000, id="too long"),
        pytest.param("\xff\xfe", id="not UTF-8"),
        pytest.param('"quoted"', id="quoted"),
    ],
)
def test_a_broken_cookie_is_no_session_and_the_next_answer_deletes_it(pool, value):
    house = House(pool.config(), RULES)
    house.client._cookies = None
    for kind, status in ((NAVIGATION, 302), (FETCH, 401)):
        answer = house.ask("/x", kind, headers={"Cookie": f"cognito_access_token={value}"})
        assert answer.status_code == status
        deleted = [line for line in answer.headers.getlist("Set-Cookie") if "Max-Age=0" in line]
        assert [line.partition("=")[0] for line in deleted] == ["cognito_access_token"]
    assert house.ask("/", headers={"Cookie": f"cognito_access_token={value}"}).status_code == 200


LOGIN = "cognito_login_0123456789abcdef"


OWN_ANSWERS = {
    "sent to Cognito": ("/x", NAVIGATION, 302),
    "sent to Cognito on demand": ("/login", NAVIGATION, 302),
    "not signed in": ("/x", FETCH, 401),
    "not allowed": ("/admin", FETCH, 403),
    "malformed": ("/a/../b", FETCH, 400),
    "callback of nobody": ("/callback", NAVIGATION, 400),
}


@pytest.mark.parametrize("value", ["rubbish", "a.b.c", "e" * 9000, "\xff\xfe", "doubled"])
@pytest.mark.parametrize(
    ("name", "answer"),
    [
        pytest.param(name, answer, id=f"{name}, {case}")
        for name in ("cognito_access_token", "cognito_id_token", "cognito_refresh_token", LOGIN)
        for case, answer in OWN_ANSWERS.items()
        if (name, case) != ("cognito_access_token", "not allowed")  # without a good one nobody is signed in
    ],
)
def test_any_broken_cookie_is_deleted_by_the_next_answer(pool, name, answer, value):
    path, kind, status = answer
    house = House(pool.config(refresh_enabled=True), RULES)
    house.client._cookies = None
    header = f"{name}={value}; {name}={value}" if value == "doubled" else f"{name}={value}"
    if status == 403:
        header += f"; cognito_access_token={pool.access_token()}"
    answer = house.ask(path, kind, headers={"Cookie": header})
    assert answer.status_code == status
    deleted = [line for line in answer.headers.getlist("Set-Cookie") if "Max-Age=0" in line]
    assert [line.partition("=")[0] for line in deleted] == [name]


def test_a_doubled_cookie_is_no_session_and_the_next_answer_deletes_it(pool, caplog):
    house = House(pool.config(), RULES)
    house.client._cookies = None
    token = pool.access_token()
    header = f"cognito_access_token={token}; cognito_access_token={token}"
    with caplog.at_level("INFO"):
        answer = house.ask("/x", FETCH, headers={"Cookie": header})
    assert "came twice or not whole" in caplog.text
    assert answer.status_code == 401
    assert answer.headers["Set-Cookie"].startswith("cognito_access_token=; ")


# References, and the log


def last_line(caplog: pytest.LogCaptureFixture) -> logging.LogRecord:
    return next(record for record in reversed(caplog.records) if record.name == "cognito_wsgi")


LOGGED = {
    "401": (nothing, "/x", FETCH, "default", "no access token", logging.INFO),
    "403": (signed_in, "/admin/x", NAVIGATION, "/admin", "needs all the groups admin", logging.WARNING),
    "403 of a method": (
        signed_in,
        "/articles",
        FORM,
        "POST /articles",
        "needs all the groups editor",
        logging.WARNING,
    ),
    "403 of where": (signed_in, "/some", NAVIGATION, "/some", "where function", logging.WARNING),
    "400": (nothing, "/x\\y", NAVIGATION, "none", "backslash", logging.WARNING),
}


@pytest.mark.parametrize(("arrange", "path", "kind", "rule", "reason", "level"), rows(LOGGED))
def test_a_refusal_has_a_reference_on_the_page_and_in_the_log_line_that_says_why(
    pool, caplog, arrange, path, kind, rule, reason, level
):
    caplog.set_level(logging.INFO)
    house = House(pool.config(), RULES)
    arrange(pool, house)
    answer = house.ask(path, kind, method="POST" if kind is FORM else "GET")
    line = last_line(caplog)
    (reference,) = re.findall(r"\(reference ([0-9a-f]{8})\)", line.getMessage())
    assert reference in answer.text
    assert f"rule {rule!r}:" in line.getMessage()
    assert reason in line.getMessage()
    assert line.getMessage().startswith(f"{answer.status_code} {'POST' if kind is FORM else 'GET'} ")
    assert line.levelno == level


def test_references_are_not_repeated(pool):
    house = House(pool.config(), RULES)
    references = {check_problem(house.ask("/x", FETCH))["reference"] for _ in range(20)}
    assert len(references) == 20


def test_a_sign_in_that_a_navigation_begins_is_logged_too(pool, caplog):
    caplog.set_level(logging.INFO)
    House(pool.config(), RULES).ask("/x")
    assert "no access token" in last_line(caplog).getMessage()


def test_a_503_is_logged_with_host_and_cause(out_of_reach, caplog):
    answer = out_of_reach.ask("/x")
    line = last_line(caplog)
    assert line.levelno == logging.ERROR
    assert re.search("127.0.0.1:[0-9]+ cannot be reached: ConnectionRefusedError", line.getMessage())
    assert re.findall(r"\(reference ([0-9a-f]{8})\)", line.getMessage())[0] in answer.text


# on_error


def asked(pool: TestPool, *, on_error: Any, **config: Any) -> House:
    return House(pool.config(**config), RULES, on_error=on_error)


def test_on_error_replaces_our_page(pool):
    house = asked(pool, on_error=lambda error, environ: Application(("X-Theirs", "1")))
    for kind in (NAVIGATION, FETCH):
        answer = house.ask("/x\\y", kind)
        assert (answer.status_code, answer.data, answer.headers["X-Theirs"]) == (200, b"inside", "1")
    assert house.app.environs == []


def test_on_errors_application_is_given_the_environ_of_the_request(pool):
    app = Application()
    house = asked(pool, on_error=lambda error, environ: app)
    house.ask("/x", FETCH, headers={"X-Theirs": "1"})
    assert app.environs[0]["PATH_INFO"] == "/x"
    assert app.environs[0]["HTTP_X_THEIRS"] == "1"
    assert app.environs[0]["cognito.claims"] is None


def test_an_error_is_a_wsgi_application_itself(pool):
    answer = asked(pool, on_error=lambda error, environ: error).ask("/x", FETCH)
    assert answer.status_code == 401
    assert "You are not signed in" in answer.text


def test_on_error_that_returns_none_leaves_it_to_our_page(pool):
    check_page(asked(pool, on_error=lambda error, environ: None).ask("/x\\y"))


def test_on_error_that_raises_leaves_it_to_our_page_and_a_log_line(pool, caplog):
    def on_error(error, environ):
        raise LookupError("of theirs")

    check_page(asked(pool, on_error=on_error).ask("/x\\y"))
    assert last_line(caplog).levelno == logging.ERROR
    assert last_line(caplog).exc_info[0] is LookupError


@pytest.mark.parametrize("rubbish", ["text", b"bytes", 42, {"status": 400}, [], ("400", [])], ids=repr)
def test_on_error_that_returns_no_application_leaves_it_to_our_page_and_a_log_line(pool, caplog, rubbish):
    check_page(asked(pool, on_error=lambda error, environ: rubbish).ask("/x\\y"))
    assert f"on_error returned {type(rubbish).__name__}" in last_line(caplog).getMessage()


def test_on_error_that_raises_a_refusal_leaves_it_to_our_page(pool):
    def on_error(error, environ):
        raise BadRequestError("of theirs")

    assert asked(pool, on_error=on_error).ask("/x", FETCH).status_code == 401


ERRORS = {
    "400": (nothing, "/x\\y", BadRequestError, 400, None),
    "401": (nothing, "/x", AuthorisationRequiredError, 401, {"next": "/x"}),
    "401 of too long ago": (
        signed_in_long_ago,
        "/recent",
        AuthorisationRequiredError,
        401,
        {"next": "/recent", "prompt": "login"},
    ),
    "403": (signed_in, "/admin", CognitoGroupRequiredError, 403, None),
}


@pytest.mark.parametrize(("arrange", "path", "kind", "code", "sign_in"), rows(ERRORS))
def test_on_error_is_given_the_facts_as_attributes(pool, caplog, arrange, path, kind, code, sign_in):
    caplog.set_level(logging.INFO)
    errors: list[RefusalError] = []
    house = asked(pool, on_error=lambda error, environ: errors.append(error))
    arrange(pool, house)
    answer = house.ask(path, FETCH)
    (error,) = errors
    assert type(error) is kind
    assert isinstance(error, werkzeug.exceptions.HTTPException)
    assert error.code == answer.status_code == code
    assert sign_in_at(error.login_url) == sign_in
    assert error.reference == check_problem(answer)["reference"]
    assert error.reason in last_line(caplog).getMessage()
    assert error.description == check_problem(answer)["detail"]
    assert error.challenge == answer.headers.get("WWW-Authenticate")


def test_on_error_is_given_the_503(pool):
    errors: list[RefusalError] = []
    house = asked(
        pool,
        on_error=lambda error, environ: errors.append(error),
        jwks=None,
        jwks_url=f"http://127.0.0.1:{free_port()}/",
    )
    signed_in(pool, house)
    answer = house.ask("/x")
    assert type(errors[0]) is CognitoError
    assert str(errors[0].retry_after) == answer.headers["Retry-After"]


def test_on_error_is_given_the_cross_site_request(pool):
    errors: list[RefusalError] = []
    house = asked(pool, on_error=lambda error, environ: errors.append(error))
    signed_in(pool, house)
    assert house.ask("/x", FORM, method="POST", headers={"Origin": EVIL}).status_code == 403
    assert [type(error) for error in errors] == [CrossSiteRequestError]


def test_on_error_is_not_asked_where_nothing_is_refused(pool):
    errors: list[RefusalError] = []
    house = asked(pool, on_error=lambda error, environ: errors.append(error))
    assert house.ask("/").status_code == 200
    assert house.ask("/x").status_code == 302
    assert house.ask("/login").status_code == 302
    assert house.ask("/logout").status_code == 302
    assert errors == []


def test_cookies_are_deleted_in_on_errors_answer_too(pool):
    house = asked(pool, on_error=lambda error, environ: Application(("Cache-Control", "public")))
    house.set_cookie("cognito_access_token", "rubbish")
    answer = house.ask("/x", FETCH)
    assert answer.data == b"inside"
    assert answer.headers["Set-Cookie"].startswith("cognito_access_token=; ")
    assert answer.headers["Cache-Control"] == "private"


# disabled


def test_disabled_lets_everyone_in_to_every_path_and_says_so_once(pool, caplog):
    house = House(pool.config(disabled=True), RULES, default="deny")
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "EVERYONE" in warnings[0].getMessage()
    for path in ("/x", "/denied", "/admin", "/scoped", "/some", "/recent"):
        for kind, method in ((NAVIGATION, "GET"), (FETCH, "GET"), (FORM, "POST")):
            assert house.ask(path, kind, method=method).data == b"inside"
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == warnings


def test_disabled_refuses_what_could_mean_two_things(pool):
    assert House(pool.config(disabled=True)).ask("/x\\y").status_code == 400


def test_disabled_keeps_the_own_endpoints(pool):
    house = House(pool.config(disabled=True))
    assert house.ask("/login").location.startswith(AUTHORIZE)
    assert house.ask("/logout").status_code == 302


# Bearer (RFC 6750)


@pytest.fixture
def api(pool):
    return House(pool.config(bearer_enabled=True, bearer_client_ids=("machine",)), RULES)


def bearer(token: str, scheme: str = "Bearer") -> dict[str, str]:
    return {"Authorization": f"{scheme} {token}"}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_a_token_in_the_authorization_header_lets_in(pool, api, scheme):
    environ = api.environ_of("/x", FETCH, headers=bearer(pool.access_token("bob"), scheme))
    assert environ["REMOTE_USER"] == "bob"
    assert environ["AUTH_TYPE"] == "Cognito"


def test_bearer_is_for_those_who_enable_it(pool):
    house = House(pool.config(), RULES)
    answer = house.ask("/x", FETCH, headers=bearer(pool.access_token()))
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == CHALLENGE


def test_a_request_with_a_token_is_judged_by_it_alone(pool, api):
    pool.sign_in(api.client, "alice", groups=["admin"])
    assert api.ask("/admin").status_code == 200
    refused = api.ask("/admin", FETCH, headers=bearer(pool.access_token("bob")))
    assert refused.status_code == 403
    environ = api.environ_of("/x", FETCH, headers=bearer(pool.access_token("bob")))
    assert environ["REMOTE_USER"] == "bob"
    assert environ["cognito.user_info"] is None


@pytest.mark.parametrize("authorization", ["Bearer", "Bearer ", "Bearer rubbish", "Bearer a b"])
def test_a_bad_token_is_not_made_good_by_cookies(pool, api, authorization):
    pool.sign_in(api.client)
    assert api.ask("/x", FETCH, headers={"Authorization": authorization}).status_code in (400, 401)
    environ = api.environ_of("/", FETCH, headers={"Authorization": authorization})
    assert environ["cognito.claims"] is None


@pytest.mark.parametrize("authorization", ["Basic YTpi", "Bearers x", "Bearer,x", "Bearer\tx", "Digest x"])
def test_another_scheme_leaves_it_to_the_cookies(pool, api, authorization):
    pool.sign_in(api.client)
    environ = api.environ_of("/x", FETCH, headers={"Authorization": authorization})
    assert environ["REMOTE_USER"] == "alice"
    assert environ["HTTP_AUTHORIZATION"] == authorization


BEARER_REFUSED = {
    "no token": (lambda pool: "", 401, f"{CHALLENGE}"),
    "rubbish": (lambda pool: "rubbish", 401, 'error="invalid_token"'),
    "forged": (TestPool.other_pool_token, 401, 'error="invalid_token"'),
    "expired": (TestPool.expired_token, 401, 'error="invalid_token"'),
    "another client's": (TestPool.other_client_token, 401, 'error="invalid_token"'),
    "an ID token": (TestPool.id_token, 401, 'error="invalid_token"'),
    "two tokens": (lambda pool: "a b", 400, 'error="invalid_request"'),
    "two headers, joined": (lambda pool: "a,Bearer b", 400, 'error="invalid_request"'),
    "too long": (lambda pool: "a" * 40_000, 400, 'error="invalid_request"'),
}


@pytest.mark.parametrize("kind", [NAVIGATION, FETCH], ids=["navigation", "program"])
@pytest.mark.parametrize(("make", "status", "error"), rows(BEARER_REFUSED))
def test_refusals_of_a_token_follow_rfc_6750(pool, api, make, status, error, kind):
    answer = api.ask("/x", kind, headers=bearer(make(pool)))
    assert answer.status_code == status
    challenge = answer.headers["WWW-Authenticate"]
    assert challenge.startswith(CHALLENGE)
    assert error in challenge
    assert ("error=" in challenge) is ("error=" in error)
    check_problem(answer)
    assert "Set-Cookie" not in answer.headers


def test_no_error_code_where_no_token_was_sent(api):
    answer = api.ask("/x", FETCH)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, CHALLENGE)


@pytest.mark.parametrize(
    ("path", "challenge"),
    [
        pytest.param("/scoped", ', error="insufficient_scope", scope="api/read api/write"', id="scopes"),
        pytest.param("/admin", ', error="insufficient_scope"', id="groups"),
        pytest.param("/denied", ', error="insufficient_scope"', id="deny"),
    ],
)
def test_a_good_token_that_does_not_do_is_403_insufficient_scope(pool, api, path, challenge):
    answer = api.ask(path, NAVIGATION, headers=bearer(pool.access_token()))
    assert answer.status_code == 403
    assert answer.headers["WWW-Authenticate"] == CHALLENGE + challenge
    check_problem(answer)


def test_a_token_of_too_long_ago_is_401_insufficient_user_authentication(pool, api):
    token = pool.access_token(claims={"auth_time": int(time.time()) - 301})
    answer = api.ask("/recent", NAVIGATION, headers=bearer(token))
    assert answer.status_code == 401
    assert 'error="insufficient_user_authentication"' in answer.headers["WWW-Authenticate"]
    check_problem(answer)


def test_a_machine_is_never_recent(pool, api):
    answer = api.ask("/recent", FETCH, headers=bearer(pool.machine_token(client_id="machine")))
    assert answer.status_code == 401


def test_cross_site_rules_do_not_apply_to_a_token(pool, api):
    from_elsewhere = {"Origin": EVIL, "Sec-Fetch-Site": "cross-site"}
    headers = {**from_elsewhere, **bearer(pool.access_token())}
    assert api.environ_of("/x", FETCH, method="POST", headers=headers)["REMOTE_USER"] == "alice"


@pytest.mark.parametrize(("client_id", "status"), [("machine", 200), ("stranger", 401)])
def test_machines_of_the_clients_named_are_let_in(pool, api, client_id, status):
    token = pool.machine_token(client_id=client_id, scopes=["api/read", "api/write"])
    assert api.ask("/scoped", FETCH, headers=bearer(token)).status_code == status


def test_a_machine_is_in_no_group_whatever_its_token_says(pool, api):
    """Groups are users'. A trigger may write any claim into a machine's token."""
    token = pool.machine_token(
        client_id="machine", scopes=["api/read", "api/write"], **{"cognito:groups": ["admin"]}
    )
    assert api.ask("/admin", FETCH, headers=bearer(token)).status_code == 403
    assert api.environ_of("/scoped", FETCH, headers=bearer(token))["cognito.groups"] == ()


def test_another_clients_token_is_none_in_a_cookie(pool, api):
    pool.set_cookies(api.client, pool.access_token(claims={"client_id": "machine"}))
    assert api.ask("/x", FETCH).status_code == 401


def test_a_token_of_the_header_is_not_remembered_for_a_cookie(pool, api):
    """Whatever text a cookie holds; what the header may have, no cookie may."""
    token = pool.machine_token(client_id="machine", scopes=["api/read", "api/write"])
    assert api.ask("/scoped", FETCH, headers=bearer(token)).status_code == 200
    for text in (token, f"bearer {token}", f"Bearer {token}", f"('{token}',)"):
        headers = {"Cookie": f"cognito_access_token={text}"}
        assert by_header(api).ask("/scoped", FETCH, headers=headers).status_code == 401


def test_a_token_in_the_query_is_none(pool, api):
    assert api.ask(f"/x?access_token={pool.access_token()}", FETCH).status_code == 401


# The classes


def test_errors_are_http_exceptions_with_their_status():
    statuses = {
        AuthorisationRequiredError: 401,
        CognitoGroupRequiredError: 403,
        CrossSiteRequestError: 403,
        BadRequestError: 400,
        CognitoError: 503,
    }
    for kind, status in statuses.items():
        assert issubclass(kind, werkzeug.exceptions.HTTPException)
        assert kind("text").code == status


def test_an_access_object_says_the_same_as_a_dict(pool):
    house = House(pool.config(), {"/a": Access(groups=("admin",))})
    signed_in(pool, house)
    assert house.ask("/a").status_code == 403
