"""Requests that try to get past the gateway, or to use it against its visitors (design.md §§6, 7)."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder, TestResponse, run_wsgi_app

from cognito_wsgi import CognitoGateway
from cognito_wsgi.local import LocalUserPool
from cognito_wsgi.paths import parse_path
from cognito_wsgi.seals import Seal
from cognito_wsgi.testing import TestPool

from .visiting import FETCH, FORM, NAVIGATION, ORIGIN, Application, House, Page, local_config, query_of, rows

SITE = "https://app.example.test:8443"
FRIEND = "https://friend.example.test"
EVIL = "https://evil.test"
RULES = {"/": "public", "/public": "public", "/admin": ["admin"], "POST /articles": ["editor"]}


@pytest.fixture
def site(pool):
    """A site on a port of its own, which trusts one other origin, with a user signed in."""
    config = pool.config(
        redirect_url=f"{SITE}/callback",
        logout_url=f"{SITE}/",
        trusted_origins=(FRIEND,),
        refresh_enabled=True,
    )
    house = House(config, RULES)
    pool.sign_in(house.client)
    return house


# Requests of other origins


def headers_of(origin: str | None, site: str | None) -> dict[str, str]:
    headers = {"Accept": "text/html"}
    if origin is not None:
        headers["Origin"] = origin
    if site is not None:
        headers["Sec-Fetch-Site"] = site
    return headers


OWN = {
    "own": (SITE, "same-origin"),
    "own, without Fetch Metadata": (SITE, None),
    "own, in capitals": (SITE.upper(), None),
    "own, though called cross-site": (SITE, "cross-site"),
    "trusted": (FRIEND, "cross-site"),
    "neither header": (None, None),
    "no origin, same-origin": (None, "same-origin"),
    "no origin, same-site": (None, "same-site"),
    "no origin, by hand": (None, "none"),
    "no origin, an unknown word": (None, "future-word"),
}
OTHERS = {
    "another": (EVIL, "cross-site"),
    "another, without Fetch Metadata": (EVIL, None),
    "another, called same-origin": (EVIL, "same-origin"),
    "null": ("null", "cross-site"),
    "null, called same-origin": ("null", "same-origin"),
    "empty": ("", None),
    "own host, default port": ("https://app.example.test", "same-site"),
    "own host, another port": ("https://app.example.test:8444", "same-site"),
    "own host, http": ("http://app.example.test:8443", "cross-site"),
    "subdomain": ("https://x.app.example.test:8443", "same-site"),
    "sibling": ("https://other.example.test:8443", "same-site"),
    "parent": ("https://example.test:8443", "same-site"),
    "own name in front": (f"{SITE}.evil.test", "cross-site"),
    "own name as user": (f"{SITE}@evil.test", "cross-site"),
    "own name behind": ("https://evil-app.example.test:8443", "cross-site"),
    "with a path": (f"{SITE}/", None),
    "two": (f"{SITE} {EVIL}", None),
    "two, joined by a server": (f"{SITE},{EVIL}", None),
    "trusted, another port": (f"{FRIEND}:8443", "cross-site"),
    "trusted, http": ("http://friend.example.test", "cross-site"),
    "no origin, cross-site": (None, "cross-site"),
    "no origin, cross-site in capitals": (None, "Cross-Site"),
}


@pytest.mark.parametrize(("origin", "fetch_site"), rows(OWN))
def test_unsafe_requests_of_own_and_trusted_origins_go_through(site, origin, fetch_site):
    for path in ("/x", "/public"):
        environ = site.environ_of(path, headers_of(origin, fetch_site), method="POST")
        assert environ["REMOTE_USER"] == "alice"


@pytest.mark.parametrize(("origin", "fetch_site"), rows(OTHERS))
def test_unsafe_requests_of_other_origins_are_refused_or_nobodys(site, origin, fetch_site):
    headers = headers_of(origin, fetch_site)
    assert site.ask("/x", headers, method="POST").status_code == 403
    assert site.app.environs == []
    assert site.environ_of("/public", headers, method="POST")["cognito.claims"] is None


@pytest.mark.parametrize(("origin", "fetch_site"), rows(OTHERS))
def test_safe_requests_of_other_origins_go_through(site, origin, fetch_site):
    for method in ("GET", "HEAD", "OPTIONS"):
        assert site.ask("/x", headers_of(origin, fetch_site), method=method).status_code == 200
    assert site.environ_of("/public", headers_of(origin, fetch_site))["REMOTE_USER"] == "alice"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_every_method_that_may_change_something_is_unsafe(site, method):
    assert site.ask("/x", headers_of(EVIL, "cross-site"), method=method).status_code == 403


@pytest.mark.filterwarnings("ignore::wsgiref.validate.WSGIWarning")  # of methods that it does not know
@pytest.mark.parametrize("method", ["PROPFIND", "QUERY", "X", "GETX", "post"])
def test_an_unknown_method_is_unsafe(site, method):
    assert site.ask("/x", headers_of(EVIL, "cross-site"), method=method).status_code == 403


def test_a_web_socket_of_another_origin_is_refused(site):
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-Fetch-Mode": "websocket"}
    assert site.ask("/x", {**upgrade, "Origin": EVIL}).status_code == 403
    assert site.ask("/x", {**upgrade, "Origin": SITE}).status_code == 200


def test_a_refused_request_changes_no_cookie(site):
    before = site.cookies
    answer = site.ask("/x", headers_of(EVIL, "cross-site"), method="POST")
    assert "Set-Cookie" not in answer.headers
    assert site.cookies == before


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(("origin", "fetch_site"), rows(OTHERS))
def test_another_origin_signs_nobody_out(site, origin, fetch_site, method):
    before = site.cookies
    answer = site.ask("/logout", headers_of(origin, fetch_site), method=method)
    assert answer.status_code == 403
    assert site.cookies == before


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(("origin", "fetch_site"), rows(OWN))
def test_own_and_trusted_origins_may_sign_out(site, origin, fetch_site, method):
    answer = site.ask("/logout", headers_of(origin, fetch_site), method=method)
    assert answer.status_code == 302
    assert site.cookies == {}


def test_a_link_on_a_trusted_origin_may_sign_out(site):
    headers = {**NAVIGATION, "Sec-Fetch-Site": "cross-site"}
    assert site.ask("/logout", {**headers, "Referer": f"{EVIL}/"}).status_code == 403
    assert site.ask("/logout", {**headers, "Referer": f"{FRIEND}.evil.test/"}).status_code == 403
    assert site.ask("/logout", {**headers, "Referer": f"{FRIEND}/page"}).status_code == 302


@pytest.mark.parametrize("origin", [EVIL, "null"])
def test_an_origin_outweighs_the_referer(site, origin):
    headers = {**headers_of(origin, "cross-site"), "Referer": f"{FRIEND}/page"}
    assert site.ask("/logout", headers, method="POST").status_code == 403


@pytest.mark.parametrize(("origin", "fetch_site"), rows(OTHERS))
def test_another_origin_refreshes_nothing(site, origin, fetch_site):
    answer = site.ask("/refresh", headers_of(origin, fetch_site), method="POST")
    assert answer.status_code == 403


@pytest.mark.parametrize(("origin", "fetch_site"), rows(OWN))
def test_own_and_trusted_origins_may_refresh(site, origin, fetch_site):
    answer = site.ask("/refresh", headers_of(origin, fetch_site), method="POST")
    assert answer.status_code == 401  # there is no refresh token


# What must not change the rule


def refusal_of(answer: TestResponse) -> tuple[int, str | None, str | None]:
    """What was decided and where to sign in, without what is fresh for every answer."""
    location = answer.headers.get("Location")
    if location is not None:
        location = re.sub("(state|nonce|code_challenge)=[^&]*", "", location)
    login_url = answer.json.get("login_url") if answer.mimetype == "application/problem+json" else None
    return answer.status_code, location, login_url


DISGUISES = {
    "method override": {"X-HTTP-Method-Override": "GET"},
    "method override, short": {"X-Method-Override": "GET"},
    "method, another": {"X-HTTP-Method": "GET"},
    "original URL": {"X-Original-URL": "/public"},
    "rewritten URL": {"X-Rewrite-URL": "/public"},
    "forwarded URI": {"X-Forwarded-Uri": "/public"},
    "forwarded path": {"X-Forwarded-Path": "/public"},
    "forwarded prefix": {"X-Forwarded-Prefix": "/public"},
    "forwarded host": {
        "X-Forwarded-Host": "evil.test",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Port": "1",
    },
    "forwarded": {"Forwarded": "for=127.0.0.1;host=evil.test;proto=https"},
    "forwarded for": {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1"},
    "forwarded user": {
        "X-Forwarded-User": "admin",
        "X-Auth-Request-Groups": "admin",
        "X-Remote-User": "admin",
    },
    "script name as a header": {"Script-Name": "/admin"},
    "path info as a header": {"Path-Info": "/public"},
    "another host": {"Host": "evil.test"},
    "health check": {"User-Agent": "GoogleHC/1.0"},
    "internal request": {"X-Middleware-Subrequest": "middleware:middleware", "X-Internal": "1"},
}
ASKED = {
    "GET": ("/admin", "GET"),
    "POST": ("/articles", "POST"),
    "beneath": ("/admin/users", "GET"),
}


@pytest.mark.parametrize(("path", "method"), rows(ASKED))
@pytest.mark.parametrize("disguise", [pytest.param(headers, id=name) for name, headers in DISGUISES.items()])
@pytest.mark.parametrize("username", [None, "bob"], ids=["nobody", "somebody"])
def test_headers_do_not_change_the_rule(pool, path, method, disguise, username):
    house = House(pool.config(), RULES)
    if username:
        pool.sign_in(house.client, username)
        house.client.set_cookie("own", "1", domain="evil.test")
    cookies = {"Cookie": house.cookie_header} if username else {}
    house.client._cookies = None
    for kind in (NAVIGATION, FETCH):
        plain = house.ask(path, kind, method=method, headers=cookies)
        disguised = house.ask(path, kind, method=method, headers={**cookies, **disguise})
        assert refusal_of(disguised) == refusal_of(plain)
        assert plain.status_code in ((403,) if username else (302, 401))
    assert house.app.environs == []


@pytest.mark.parametrize(
    "query",
    ["_method=GET", "next=/public", "path=/public", "access_token=x", "/public", "rule=public", "%2fpublic"],
)
def test_the_query_does_not_change_the_rule(pool, query):
    house = House(pool.config(), RULES)
    pool.sign_in(house.client)
    assert house.ask(f"/admin?{query}").status_code == 403
    assert house.ask(f"/articles?{query}", FORM, method="POST").status_code == 403
    assert house.app.environs == []


def test_a_head_request_is_judged_as_get(pool):
    house = House(pool.config(), {"GET /report": ["admin"]}, default="public")
    pool.sign_in(house.client)
    assert house.ask("/report", method="HEAD").status_code == 403


@pytest.mark.parametrize("header", ["Host", "X-Forwarded-Host"])
def test_addresses_are_made_from_the_configuration_alone(pool, header):
    house = House(pool.config(), RULES)
    answer = house.ask("/x", headers={header: "evil.test"})
    assert query_of(answer.location)["redirect_uri"] == f"{ORIGIN}/callback"
    assert "evil.test" not in answer.location
    answer = house.ask("/logout", headers={header: "evil.test"})
    assert query_of(answer.location)["logout_uri"] == house.config.logout_url


# Where a sign-in leads to


@pytest.fixture(scope="module")
def local_pool() -> Iterator[LocalUserPool]:
    with LocalUserPool() as pool:
        yield pool


@pytest.fixture(scope="module")
def flow(local_pool) -> Iterator[Any]:
    """A function that goes the whole way from an address of ours to where the callback leads."""
    house = House(local_config(local_pool), RULES)
    with requests.Session() as http:  # keeps the pool's hosted session: the form is asked for once

        def walk(address: str, **options: Any) -> str:
            house.client._cookies.clear()
            begun = house.ask(address, **options)
            assert begun.status_code == 302, begun.text
            finished = house.ask(house.go_to_pool(http, begun.location, "alice"))
            assert finished.status_code == 303
            location: str = finished.headers["Location"]
            return location

        yield walk


def assert_stays(location: str) -> None:
    """Whatever a browser makes of it (WHATWG URL §4.4), it is a page of this site, and none of the gateway's."""
    assert re.fullmatch(r"/(?![/\\])[!-~]*", location), location
    assert "\\" not in location
    landed = urlsplit(urljoin(f"{ORIGIN}/callback", location))
    assert (landed.scheme, landed.netloc) == ("http", "localhost")
    assert landed.path not in ("/login", "/logout", "/callback", "/refresh")


GOOD = {
    "path": ("/claims", "/claims"),
    "query": ("/claims?a=1&b=%20", "/claims?a=1&b=%20"),
    "address in the query": ("/go?to=https://evil.test/", "/go?to=https://evil.test/"),
    "unicode": ("/caf\xe9?\xfc=\u2603", "/caf%C3%A9?%C3%BC=%E2%98%83"),
    "encoded unicode": ("/caf%C3%A9", "/caf%C3%A9"),
    "spaces": ("/a b?c d", "/a%20b?c%20d"),
    "quotes and brackets": ("/a'b\"c<d>", "/a'b%22c%3Cd%3E"),
    "at sign": ("/@evil.test", "/@evil.test"),
    "dots that are no segment": ("/..evil/x...y", "/..evil/x...y"),
    "beneath an own endpoint": ("/login/help", "/login/help"),
    "colon": ("/javascript:alert(1)", "/javascript:alert(1)"),
    "fits": ("/" + "a" * 1999, "/" + "a" * 1999),
}
HOSTILE = {
    "nothing": "",
    "absolute": "https://evil.test/",
    "absolute, ours": f"{ORIGIN}/claims",
    "scheme alone": "https:evil.test",
    "scheme and one slash": "https:/evil.test",
    "capitals": "HTTPS://evil.test",
    "script": "javascript:alert(1)",
    "data": "data:text/html,<script>alert(1)</script>",
    "two slashes": "//evil.test",
    "three slashes": "///evil.test",
    "four slashes": "////evil.test",
    "backslash": "\\evil.test",
    "slash and backslash": "/\\evil.test",
    "backslashes": "\\\\evil.test",
    "backslash and slash": "\\/evil.test",
    "backslash inside": "/a\\..\\evil.test",
    "encoded backslash": "/%5Cevil.test",
    "encoded backslashes": "/%5c%5cevil.test",
    "tab": "/\t/evil.test",
    "encoded tab": "/%09/evil.test",
    "newline": "/\n/evil.test",
    "return": "/\r/evil.test",
    "encoded newline": "/%0a/evil.test",
    "header of its own": "/x\r\nSet-Cookie: a=1",
    "encoded header of its own": "/x%0d%0aSet-Cookie:%20a=1",
    "header of its own in the query": "/x?\r\nSet-Cookie: a=1",
    "nul": "/\0evil",
    "encoded nul": "/%00evil",
    "delete": "/\x7f/evil.test",
    "C1": "/\x85/evil.test",
    "encoded C1": "/%c2%85/evil.test",
    "space in front": " /evil.test",
    "space and slashes": " //evil.test",
    "tab in front": "\t//evil.test",
    "dots": "/../evil",
    "dot": "/./x",
    "dots at the end": "/x/..",
    "encoded dots": "/%2e%2e/x",
    "half encoded dots": "/.%2e//evil.test",
    "dot and two slashes": "/.//evil.test",
    "slashes inside": "/x//evil.test",
    "encoded slash": "/x/%2fevil.test",
    "relative": "claims",
    "host alone": "evil.test",
    "query alone": "?x",
    "fragment": "/claims#x",
    "fragment alone": "#x",
    "user": "@evil.test",
    "unicode slash": "\u2215\u2215evil.test",
    "fullwidth slash": "\uff0f\uff0fevil.test",
    "not UTF-8": "/%ff%fe",
    "too long": "/" + "a" * 2000,
    "too long once encoded": "/" + "\xe9" * 700,
    "login": "/login",
    "login with a query": "/login?next=/login",
    "encoded login": "/%6Cogin",
    "logout": "/logout",
    "logout by detour": "/x/../logout",
    "callback": "/callback?code=x&state=y",
}


@pytest.mark.parametrize(("address", "location"), rows(GOOD))
def test_next_leads_back_to_a_page_of_this_site(flow, address, location):
    assert flow(f"/login?next={quote(address, safe='')}") == location
    assert_stays(location)


@pytest.mark.parametrize("address", [pytest.param(value, id=name) for name, value in HOSTILE.items()])
def test_another_next_is_ignored(flow, address):
    assert flow(f"/login?next={quote(address, safe='')}") == "/"


@pytest.mark.parametrize(
    ("path", "location"),
    [
        pytest.param("/deep/link?a=1&b=%2F%3F", "/deep/link?a=1&b=%2F%3F", id="deep link"),
        pytest.param("/caf%C3%A9?q=%C3%A9", "/caf%C3%A9?q=%C3%A9", id="unicode"),
        pytest.param("/a%3Fb%23c", "/a%3Fb%23c", id="encoded marks"),
        pytest.param("/a%25b", "/a%25b", id="encoded percent"),
        pytest.param("/x?next=//evil.test", "/x?next=//evil.test", id="address in the query"),
        pytest.param("/x?" + "a" * 3000, "/x", id="long query"),
        pytest.param("/" + "a" * 3000, "/", id="long path"),
    ],
)
def test_a_deep_link_leads_back_to_itself(flow, path, location):
    assert flow(path) == location


@pytest.mark.parametrize("path", ["//evil.test", "///evil.test/x", "//evil.test//x", "/x//evil.test"])
def test_a_path_that_looks_like_another_host_leads_to_no_other(flow, path):
    assert_stays(flow("/x", environ_overrides={"PATH_INFO": path}))


@pytest.mark.parametrize("path", ["//evil.test", "///evil.test/x"])
def test_a_link_on_another_site_does_not_hop_to_a_third(pool, path):
    house = House(pool.config(cookie_samesite="Strict"), RULES)
    headers = {"Sec-Fetch-Site": "cross-site"}
    page = Page(house.ask("/x", headers=headers, environ_overrides={"PATH_INFO": path}).text)
    assert_stays(page.goes_on_to)
    assert set(page.links.values()) == {page.goes_on_to}


@pytest.mark.parametrize("path", ["/login", "//login", "///login"])
def test_a_link_on_another_site_to_the_sign_in_hops_there_with_all_that_it_asks(pool, path):
    house = House(pool.config(cookie_samesite="Strict"), RULES)
    environ = {"PATH_INFO": path, "QUERY_STRING": "next=/x%3Fa&lang=de&other=" + "o" * 3000}
    answer = house.ask("/", headers={"Sec-Fetch-Site": "cross-site"}, environ_overrides=environ)
    assert Page(answer.text).goes_on_to == "/login?next=%2Fx%3Fa&lang=de"


POOL = TestPool()
HOUSE = House(POOL.config(), RULES)
SEAL = Seal(HOUSE.config, "login")


@given(st.text() | st.text(alphabet="/\\.%?#@:;&=\t\r\n\0 2fF5cCeElogincalback"))
def test_no_text_at_all_makes_next_lead_elsewhere(address):
    HOUSE.client._cookies.clear()
    answer = HOUSE.ask(f"/login?next={quote(address, safe='', errors='replace')}")
    assert answer.status_code == 302
    assert answer.location.startswith(HOUSE.config.authorize_url + "?")
    ((_, sealed),) = HOUSE.cookies.items()
    opened = SEAL.open(sealed, max_age=600, now=time.time())
    _, _, _, return_to, *_ = json.loads(opened.data)
    assert_stays(return_to)


# What is handed on to Cognito


HANDED_ON = ("lang", "login_hint", "identity_provider", "idp_identifier", "prompt")


@pytest.mark.parametrize("name", HANDED_ON)
@pytest.mark.parametrize(
    "value",
    [
        "de",
        "a b",
        "a@b.test",
        "a&client_id=evil",
        "a#b",
        "a=b;c",
        "\xe9\u2603",
        '"><script>',
        "//evil.test",
        "a%0d%0ab",
        "x" * 512,
    ],
)
def test_what_is_handed_on_arrives_as_one_value_and_nothing_else(pool, name, value):
    house = House(pool.config(), RULES)
    plain = set(query_of(house.ask("/login").location))
    answer = house.ask(f"/login?{name}={quote(value, safe='')}")
    assert answer.location.startswith(house.config.authorize_url + "?")
    query = query_of(answer.location)
    assert query.pop(name) == value
    assert set(query) == plain
    assert query["client_id"] == pool.client_id


@pytest.mark.parametrize("name", HANDED_ON)
@pytest.mark.parametrize(
    "value", ["a\r\nSet-Cookie: x=1", "a\nb", "a\0b", "a\tb", "a\x7fb", "a\x85b", "x" * 513]
)
def test_what_no_form_of_cognitos_could_mean_is_refused(pool, name, value):
    house = House(pool.config(), RULES)
    answer = house.ask(f"/login?{name}={quote(value, safe='')}")
    assert answer.status_code == 400
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    "name",
    [
        "state",
        "nonce",
        "code_challenge",
        "code_challenge_method",
        "redirect_uri",
        "client_id",
        "response_type",
        "scope",
        "max_age",
        "resource",
        "x",
    ],
)
def test_nothing_else_is_handed_on(pool, name):
    house = House(pool.config(), RULES)
    answer = house.ask(f"/login?{name}=from-outside")
    assert "from-outside" not in answer.location


@pytest.mark.parametrize("name", HANDED_ON)
def test_an_empty_parameter_is_not_handed_on(pool, name):
    assert name not in query_of(House(pool.config(), RULES).ask(f"/login?{name}=").location)


# Queries of the own endpoints


STATE = "s" * 43


@pytest.mark.parametrize(
    ("path", "query", "text"),
    [
        pytest.param("/login", "next=/a&next=/b", "twice", id="next twice"),
        pytest.param("/login", "next=/a&next=/a", "twice", id="next twice the same"),
        pytest.param("/login", "lang=de&lang=fr", "twice", id="lang twice"),
        pytest.param("/login", "x=1&x=2", "twice", id="anything twice"),
        pytest.param("/login", "%6eext=/a&next=/b", "twice", id="next twice, once encoded"),
        pytest.param("/login", "next=%ff", "malformed", id="not UTF-8"),
        pytest.param("/login", "&".join(f"a{n}=1" for n in range(51)), "malformed", id="51 parameters"),
        pytest.param("/login", "x" * 8193, "too long", id="too long"),
        pytest.param("/callback", f"code=a&code=b&state={STATE}", "twice", id="code twice"),
        pytest.param("/callback", f"code=a&state={STATE}&state={STATE}", "twice", id="state twice"),
        pytest.param("/callback", f"error=a&error=b&state={STATE}", "twice", id="error twice"),
        pytest.param("/callback", "code=%ff", "malformed", id="callback not UTF-8"),
        pytest.param("/callback", "code=" + "a" * 9000, "too long", id="callback too long"),
    ],
)
def test_what_no_honest_client_sends_is_refused(pool, path, query, text):
    answer = House(pool.config(), RULES).ask(f"{path}?{query}")
    assert answer.status_code == 400
    assert text in Page(answer.text).text


# What is reflected


SCRIPT = "<script>alert('x')</script>\"'><img src=x onerror=alert(1)>"


REFLECTED = {
    "error": ("/callback", {"error": SCRIPT}),
    "error_description": ("/callback", {"error": "invalid_request", "error_description": SCRIPT}),
    "state": ("/callback", {"code": "x", "state": SCRIPT}),
    "code": ("/callback", {"code": SCRIPT, "state": STATE}),
    "iss": ("/callback", {"code": "x", "state": STATE, "iss": SCRIPT}),
    "unknown parameter": ("/callback", {SCRIPT: SCRIPT}),
    "lang": ("/login", {"lang": SCRIPT + "\n"}),
    "next, twice": ("/login", {"next": "/" + SCRIPT, "%6eext": SCRIPT}),
    "path": ("/\\" + SCRIPT, {}),
}


@pytest.mark.parametrize(("path", "parameters"), rows(REFLECTED))
@pytest.mark.parametrize("kind", [NAVIGATION, FETCH], ids=["page", "problem"])
def test_what_comes_from_outside_is_no_markup(pool, path, parameters, kind):
    house = House(pool.config(), RULES)
    query = "&".join(
        f"{name if '%' in name else quote(name)}={quote(value)}" for name, value in parameters.items()
    )
    answer = house.ask("/", kind, environ_overrides={"PATH_INFO": path, "QUERY_STRING": query})
    assert answer.status_code in (400, 401)
    if kind is FETCH:
        assert answer.mimetype == "application/problem+json"
        json.loads(answer.data)
    else:
        assert "h1" in Page(answer.text).tags


def test_the_address_in_a_links_query_is_no_markup(pool):
    house = House(pool.config(), RULES)
    answer = house.ask("/x", FORM, method="POST", headers={"Referer": f"{ORIGIN}/a?{SCRIPT}"})
    assert answer.status_code == 401
    link = Page(answer.text).links["Sign in"]
    assert query_of(link)["next"].startswith("/a?%3Cscript%3E")


def test_the_hop_to_next_is_no_markup(pool):
    house = House(pool.config(cookie_samesite="Strict"), RULES)
    answer = house.ask(
        "/",
        headers={"Sec-Fetch-Site": "cross-site"},
        environ_overrides={"PATH_INFO": f"/x{SCRIPT}", "QUERY_STRING": SCRIPT},
    )
    assert answer.status_code == 200
    assert set(Page(answer.text).links) == {"Continue"}


# Cookies


def users_of(house: House, header: str) -> str | None:
    house.client._cookies = None
    user: str | None = house.environ_of("/public", headers={"Cookie": header}).get("REMOTE_USER")
    return user


TOKENS = {
    "alice": POOL.access_token("alice"),
    "bob": POOL.access_token("bob", groups=["admin"]),
    "expired": POOL.expired_token("alice"),
    "forged": POOL.other_pool_token("alice", groups=["admin"]),
    "rubbish": "rubbish",
    "empty": "",
}


@pytest.mark.parametrize("second", TOKENS)
@pytest.mark.parametrize("first", TOKENS)
def test_two_cookies_of_one_name_are_no_session(first, second):
    name = "cognito_access_token"
    for separator in ("; ", ";", "; a=1; "):
        header = f"{name}={TOKENS[first]}{separator}{name}={TOKENS[second]}"
        assert users_of(HOUSE, header) is None
    assert users_of(HOUSE, f"{name}={TOKENS[first]},{name}={TOKENS[second]}") is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["", "_1", "_2", "_9", "_10"]),
            st.sampled_from(["alice", "bob", "forged"]),
            st.sampled_from(["whole", "first half", "second half"]),
        ),
        max_size=4,
    )
)
def test_no_arrangement_of_cookies_is_a_better_session_than_one_token_whole(pieces):
    values = []
    for suffix, who, part in pieces:
        token = TOKENS[who]
        half = len(token) // 2
        shown = {"whole": token, "first half": token[:half], "second half": token[half:]}[part]
        values.append((f"cognito_access_token{suffix}", shown))
    user = users_of(HOUSE, "; ".join(f"{name}={value}" for name, value in values))
    if user is not None:
        read = [(name, value) for name, value in values if not name.endswith("_10")]
        assert "".join(value for _, value in sorted(read)) == TOKENS[user]
        assert len({name for name, _ in read}) == len(read)


# Anything at all


HEADER_TEXT = st.text(alphabet=st.characters(max_codepoint=255), max_size=60)


def mostly(*words: str) -> st.SearchStrategy[str]:
    """One of the words, or now and then anything that a header may hold."""
    return st.sampled_from([*words, *words, None]).flatmap(
        lambda word: HEADER_TEXT if word is None else st.just(word)
    )


HEADERS = {
    "HTTP_ACCEPT": mostly("text/html", "*/*"),
    "HTTP_ACCESS_CONTROL_REQUEST_METHOD": mostly("POST"),
    "HTTP_AUTHORIZATION": mostly("Bearer", f"Bearer {TOKENS['alice']}", "Bearer x", "Basic eDp4"),
    "HTTP_HOST": mostly("evil.test"),
    "HTTP_ORIGIN": mostly(ORIGIN, FRIEND, EVIL, "null"),
    "HTTP_PURPOSE": mostly("prefetch"),
    "HTTP_REFERER": mostly(f"{ORIGIN}/x", f"{ORIGIN}//evil.test", f"{EVIL}/", "http://["),
    "HTTP_SEC_FETCH_MODE": mostly("navigate", "cors"),
    "HTTP_SEC_FETCH_SITE": mostly("same-origin", "cross-site"),
    "HTTP_SEC_PURPOSE": mostly("prefetch"),
    "HTTP_UPGRADE": mostly("websocket"),
    "HTTP_X_FORWARDED_HOST": mostly("evil.test"),
    "HTTP_X_REQUESTED_WITH": mostly("XMLHttpRequest"),
    "REMOTE_USER": mostly("root"),
    "AUTH_TYPE": mostly("Basic"),
    "CONTENT_TYPE": mostly("application/json"),
}
COOKIES = st.lists(
    st.builds(
        "{}{}={}".format,
        st.sampled_from(["cognito_access_token", "cognito_refresh_token", "cognito_login_", "a"]),
        mostly("", "_1", "0123456789abcdef"),
        mostly(*TOKENS.values()),
    )
).map("; ".join)
PATHS = st.builds(
    "{}{}".format,
    st.sampled_from(
        ["/", "/x", "//x", "/login", "/logout", "/callback", "/refresh", "/admin", "/public", "*"]
    ),
    mostly("", "", "/", "//y", "/\xc3\xa9"),
)
QUERIES = mostly(
    f"code=x&state={STATE}",
    f"error=access_denied&state={STATE}",
    "error=x",
    "next=//evil.test",
    "next=/%0d%0aX:y",
    "next=/%",
    "lang=%ff",
    "lang=%E2%98%83",
    "a&b&=c&%",
    "next=/a&next=/b",
)
METHODS = mostly("GET", "GET", "HEAD", "POST", "OPTIONS", "DELETE", "TRACE", "PROPFIND", "", "get")
ANYTHING = CognitoGateway(
    Application(), POOL.config(bearer_enabled=True, refresh_enabled=True, trusted_origins=(FRIEND,)), RULES
)


@given(
    path=PATHS,
    query=QUERIES,
    script_name=st.sampled_from(["", "/app", "/\xff"]),
    method=METHODS,
    headers=st.lists(st.sampled_from(sorted(HEADERS)), max_size=6, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: HEADERS[name] for name in names})
    ),
    cookies=COOKIES,
)
def test_anything_at_all_gets_an_answer_of_the_table(path, query, script_name, method, headers, cookies):
    environ = EnvironBuilder("/").get_environ()
    environ.update(
        headers,
        HTTP_COOKIE=cookies,
        PATH_INFO=path,
        QUERY_STRING=query,
        SCRIPT_NAME=script_name,
        REQUEST_METHOD=method,
    )
    body, status, answer = run_wsgi_app(ANYTHING, environ, buffered=True)
    assert status.split()[0] in {"200", "302", "400", "401", "403", "405"}
    for name, value in answer.items():
        assert re.fullmatch("[\t\x20-\x7e\x80-\xff]*", value), f"{name}: {value!r}"
    if b"".join(body) == b"inside" and parse_path(path)[0] not in ("/", "/public"):
        credentials = headers.get("HTTP_AUTHORIZATION", "") + cookies
        assert TOKENS["alice"] in credentials or TOKENS["bob"] in credentials
