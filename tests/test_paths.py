"""Which path is judged, which is refused as ambiguous, and which may be returned to (design.md §§4, 6)."""

from __future__ import annotations

import re
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from flask import Flask
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.routing import BaseConverter
from werkzeug.test import Client, EnvironBuilder, run_wsgi_app
from werkzeug.wrappers import Request

from cognito_wsgi import CognitoGateway
from cognito_wsgi.errors import BadRequestError
from cognito_wsgi.paths import (
    MAX_RETURN_LENGTH,
    decode_wsgi,
    find_return_path,
    parse_decoded_path,
    parse_path,
    quote_path,
    quote_query,
)
from cognito_wsgi.testing import TestPool

# what is judged

CLEAR = [
    pytest.param("/admin", "/admin", "/admin", id="as it should be"),
    pytest.param("", "/", "/", id="empty"),
    pytest.param("/", "/", "/", id="root"),
    pytest.param("//", "/", "/", id="two slashes"),
    pytest.param("/admin/", "/admin/", "/admin/", id="slash at the end"),
    pytest.param("//admin", "/admin", "/admin", id="two slashes before"),
    pytest.param("////admin/users", "/admin/users", "/admin/users", id="many slashes before"),
    pytest.param("/admin//users", "/admin/users", "/admin//users", id="run inside"),
    pytest.param("/admin///users//7", "/admin/users/7", "/admin///users//7", id="runs inside"),
    pytest.param("//admin//users//", "/admin/users/", "/admin//users//", id="runs everywhere"),
    pytest.param("/admin//", "/admin/", "/admin//", id="run at the end"),
    pytest.param("/a" + "//b" * 5, "/a" + "/b" * 5, "/a" + "//b" * 5, id="as many runs as may be"),
    pytest.param("/a" + "/" * 9000, "/a/", "/a" + "/" * 9000, id="one run, however long"),
    pytest.param("/ADMIN", "/ADMIN", "/ADMIN", id="capitals"),
    pytest.param("/admin?x", "/admin?x", "/admin?x", id="question mark that was encoded"),
    pytest.param("/admin#x", "/admin#x", "/admin#x", id="fragment on the wire"),
    pytest.param("/admin%2fx", "/admin%2fx", "/admin%2fx", id="encoded twice"),
    pytest.param("//admin%2fx", "/admin%2fx", "/admin%2fx", id="encoded twice, behind a run"),
    pytest.param("/admin;x=1", "/admin;x=1", "/admin;x=1", id="parameter"),
    pytest.param("/a b", "/a b", "/a b", id="space"),
    pytest.param("/k\xc3\xa4se", "/käse", "/käse", id="UTF-8"),
    pytest.param(
        "/\xe2\x80\xa8x", "/\u2028x", "/\u2028x", id="line separator, which ends no line in Werkzeug"
    ),
    pytest.param("/\xef\xbc\x8fadmin", "/\uff0fadmin", "/\uff0fadmin", id="fullwidth slash, which is none"),
    pytest.param("/\xef\xbc\x8e\xef\xbc\x8e/x", "/\uff0e\uff0e/x", "/\uff0e\uff0e/x", id="fullwidth dots"),
    pytest.param("/.well-known/x", "/.well-known/x", "/.well-known/x", id="dot before"),
    pytest.param("/a./b../...", "/a./b../...", "/a./b../...", id="dots that are no segment"),
    pytest.param("/\xf0\x9f\x92\xa9", "/\U0001f4a9", "/\U0001f4a9", id="beyond the first plane"),
]


@pytest.mark.parametrize(("path_info", "merged", "as_it_came"), CLEAR)
def test_a_clear_path_is_judged_decoded_and_with_single_slashes(path_info, merged, as_it_came):
    first, *others = parse_path(path_info)
    assert first == merged
    assert [first, *others][-1] == as_it_came


@pytest.mark.parametrize(
    ("as_it_came", "judged"),
    [
        pytest.param("/a/b", ["/a/b"], id="no run"),
        pytest.param("/a//b", ["/a/b", "/a//b"], id="one"),
        pytest.param("/a//b///c", ["/a/b/c", "/a/b///c", "/a//b///c"], id="two"),
        pytest.param("/a//", ["/a/", "/a//"], id="one at the end"),
        pytest.param(
            "/a//b///c//",
            ["/a/b/c/", "/a/b/c//", "/a/b///c/", "/a//b///c/", "/a/b///c//", "/a//b///c//"],
            id="three, one at the end",
        ),
    ],
)
def test_runs_of_slashes_are_merged_up_to_somewhere(as_it_came, judged):
    assert list(parse_path(as_it_came)) == judged


def test_a_route_that_forgives_the_slash_at_its_end_takes_two_as_well():
    """And it sees the run inside, where a converter takes nothing."""

    class Maybe(BaseConverter):
        regex = "[a-z]*"

    app = Flask("app")
    app.url_map.converters["maybe"] = Maybe
    app.add_url_rule("/a/<maybe:m>/b/", "b", lambda m: "b", strict_slashes=False)
    pool = TestPool()
    rules = {"/a/<maybe:m>/b": {"allow": "authenticated", "exact": True}, "/": "public"}
    client = Client(
        CognitoGateway(app, pool.config(), rules, default="public", converters=app.url_map.converters)
    )

    def status_of(path):
        return client.get("http://localhost/", environ_overrides={"PATH_INFO": path}).status_code

    assert status_of("/a//b//") == 401
    pool.sign_in(client, "alice")
    assert status_of("/a//b//") == 200


@pytest.mark.parametrize("path", ["//docs/a", "///docs/a"])
def test_slashes_in_front_lead_past_no_mount(path):
    """DispatcherMiddleware compares text: it would hand these to the site, and Flask would pass over the slashes."""
    docs, site = Flask("docs"), Flask("site")
    docs.add_url_rule("/<path:p>", "docs", lambda p: "docs")
    site.add_url_rule("/<path:p>", "site", lambda p: "for the staff")
    mounted = DispatcherMiddleware(site, {"/docs": docs})
    gateway = CognitoGateway(mounted, TestPool().config(), {"/docs": "public", "/<path:p>": ["staff"]})
    (past, _, _), (guarded, status, _) = (
        run_wsgi_app(app, EnvironBuilder(environ_overrides={"PATH_INFO": path}).get_environ())
        for app in (mounted, gateway)
    )
    assert b"".join(past) == b"for the staff"
    assert (status, b"".join(guarded)) == ("200 OK", b"docs")


def test_an_application_mounted_in_another_passes_over_slashes_in_the_midst_of_the_path():
    """DispatcherMiddleware hands on //x/a//b, Flask drops the first run, and a <path:…> route sees the second."""
    inner = Flask("inner")
    inner.add_url_rule("/x/<a>/<b>", "two", lambda a, b: "for all")
    inner.add_url_rule("/x/<path:rest>", "rest", lambda rest: "for the staff")
    pool = TestPool()
    rules = {"/m": "authenticated", "/m/x/<path:rest>": ["staff"], "/m/x/<a>/<b>": "public"}
    gateway = CognitoGateway(
        DispatcherMiddleware(Flask("main").wsgi_app, {"/m": inner}), pool.config(), rules
    )
    client = Client(gateway)
    pool.sign_in(client, "alice")
    for path, status in (("/m/x/a/b", 200), ("/m/x/a//b", 403), ("/m//x/a//b", 403), ("/m//x//a//b", 403)):
        assert client.get("http://localhost/", environ_overrides={"PATH_INFO": path}).status_code == status, (
            path
        )
    pool.sign_in(client, "alice", groups=["staff"])
    assert (
        client.get("http://localhost/", environ_overrides={"PATH_INFO": "/m//x/a//b"}).text == "for the staff"
    )


AMBIGUOUS = [
    pytest.param("admin", "begin with a slash", id="no slash"),
    pytest.param("http:admin", "begin with a slash", id="opaque target"),
    pytest.param("http://x/admin", "begin with a slash", id="URL"),
    pytest.param("*", "begin with a slash", id="star"),
    pytest.param(" /admin", "begin with a slash", id="space before"),
    pytest.param("\\admin", "begin with a slash", id="backslash before"),
    pytest.param("/.", "dots", id="dot"),
    pytest.param("/..", "dots", id="two dots"),
    pytest.param("/./admin", "dots", id="dot segment"),
    pytest.param("/public/../admin", "dots", id="two dots inside"),
    pytest.param("/admin/..", "dots", id="two dots at the end"),
    pytest.param("/admin/./", "dots", id="dot and slash at the end"),
    pytest.param("//../admin", "dots", id="dots behind a run"),
    pytest.param("/public\\..\\admin", "backslash", id="backslashes"),
    pytest.param("/admin\\", "backslash", id="backslash at the end"),
    pytest.param("/admin\0", "control", id="NUL"),
    pytest.param("/admin\n", "control", id="newline at the end"),
    pytest.param("/\nadmin", "control", id="newline"),
    pytest.param("/ad\tmin", "control", id="tab"),
    pytest.param("/admin\x1f", "control", id="last of C0"),
    pytest.param("/admin\x7f", "control", id="DEL"),
    pytest.param("/admin\xc2\x80", "control", id="first of C1"),
    pytest.param("/admin\xc2\x85", "control", id="next line"),
    pytest.param("/admin\xc2\x9f", "control", id="last of C1"),
    pytest.param("/admin\x85", "UTF-8", id="stray byte"),
    pytest.param("/\xc0\xafadmin", "UTF-8", id="overlong slash"),
    pytest.param("/\xc0\xae\xc0\xae/admin", "UTF-8", id="overlong dots"),
    pytest.param("/\xe4dmin", "UTF-8", id="latin-1"),
    pytest.param("/\xed\xa0\x80", "UTF-8", id="surrogate"),
    pytest.param("/k\u0101se", "UTF-8", id="no bytes at all"),
    pytest.param("/a" + "//b" * 6, "runs of slashes", id="more runs of slashes than anybody reads"),
]


@pytest.mark.parametrize(("path_info", "words"), AMBIGUOUS)
def test_a_path_that_could_mean_two_things_is_refused(path_info, words):
    with pytest.raises(BadRequestError) as caught:
        parse_path(path_info)
    assert words in caught.value.description
    assert path_info not in caught.value.description


@pytest.mark.parametrize("code", [*range(0x20), *range(0x7F, 0xA0)], ids=hex)
def test_no_control_character_gets_through(code):
    with pytest.raises(BadRequestError, match="control characters"):
        parse_path(f"/admin/{chr(code)}x".encode().decode("latin-1"))


HOSTILE = st.text(st.sampled_from("/.\\ax%\n\x85\xc2\xa0;?#* "), max_size=8)
BYTES = st.binary(max_size=12).map(lambda data: "/" + data.decode("latin-1"))


@given(HOSTILE | BYTES | st.text(max_size=8))
@example("/a.b")
@example("/.a")
def test_the_quick_way_decides_as_the_thorough_one(path_info):
    def outcome(parse):
        try:
            return parse()
        except BadRequestError as error:
            return error.description

    assert outcome(lambda: parse_path(path_info)) == outcome(
        lambda: parse_decoded_path(decode_wsgi(path_info))
    )


@given(HOSTILE | BYTES)
def test_what_is_judged_is_what_werkzeug_reads(path_info):
    environ = EnvironBuilder().get_environ()
    environ["PATH_INFO"] = path_info
    try:
        paths = parse_path(path_info)
    except BadRequestError:
        return
    assert paths[-1] == "/" + Request(environ).path.lstrip("/")
    assert paths[0] == re.sub("/+", "/", paths[-1])


# addresses

SITE = "https://app.example.test"
RETURNS = [
    pytest.param("/", "/", "/", id="root"),
    pytest.param("/x/y?a=1&b=2", "/x/y?a=1&b=2", "/x/y", id="query"),
    pytest.param("/x?", "/x?", "/x", id="empty query"),
    pytest.param("/käse?q=für", "/k%C3%A4se?q=f%C3%BCr", "/käse", id="not ASCII"),
    pytest.param("/k%C3%A4se", "/k%C3%A4se", "/käse", id="encoded"),
    pytest.param("/a%2Fb", "/a%2Fb", "/a/b", id="encoded slash"),
    pytest.param("/a%3Fb", "/a%3Fb", "/a?b", id="encoded question mark"),
    pytest.param("/a b", "/a%20b", "/a b", id="space"),
    pytest.param("/a?next=https://evil.test/", "/a?next=https://evil.test/", "/a", id="URL in the query"),
    pytest.param("/a?b=/../c//d", "/a?b=/../c//d", "/a", id="dots in the query"),
    pytest.param('/<"a>', "/%3C%22a%3E", '/<"a>', id="what ends an attribute"),
    pytest.param("/@evil.test", "/@evil.test", "/@evil.test", id="at sign"),
    pytest.param("/:80", "/:80", "/:80", id="colon"),
    pytest.param("/%252e%252e/x", "/%252e%252e/x", "/%2e%2e/x", id="encoded twice"),
]


@pytest.mark.parametrize(("address", "quoted", "path"), RETURNS)
def test_a_path_of_this_site_may_be_returned_to(address, quoted, path):
    assert find_return_path(address) == (quoted, path)


NO_RETURNS = [
    pytest.param("", id="empty"),
    pytest.param("x", id="relative"),
    pytest.param("https://evil.test/", id="URL"),
    pytest.param("//evil.test", id="two slashes"),
    pytest.param("///evil.test", id="three slashes"),
    pytest.param("/\\evil.test", id="slash and backslash"),
    pytest.param("\\\\evil.test", id="backslashes"),
    pytest.param("/\t/evil.test", id="tab"),
    pytest.param("/\n/evil.test", id="newline"),
    pytest.param("/x\r\nSet-Cookie: a=b", id="header injection"),
    pytest.param("/x\x85y", id="next line"),
    pytest.param("/x\x00", id="NUL"),
    pytest.param(" /x", id="space before"),
    pytest.param("javascript:alert(1)", id="javascript"),
    pytest.param("/x?a=\\b", id="backslash in the query"),
    pytest.param("/x?a=\r\nb", id="newline in the query"),
    pytest.param("/x#y", id="fragment"),
    pytest.param("/x?y#z", id="fragment behind the query"),
    pytest.param("/x/../y", id="dots"),
    pytest.param("/./x", id="dot"),
    pytest.param("/%2e%2e/x", id="encoded dots"),
    pytest.param("/x%5cy", id="encoded backslash"),
    pytest.param("/x%0d%0ay", id="encoded newline"),
    pytest.param("/x%C2%85", id="encoded next line"),
    pytest.param("/x//y", id="run of slashes"),
    pytest.param("/x/%2Fy", id="run of slashes, one encoded"),
    pytest.param("/x%ff", id="not UTF-8"),
    pytest.param("/x%C0%AFy", id="overlong"),
]


@pytest.mark.parametrize("address", NO_RETURNS)
def test_nothing_else_may_be_returned_to(address):
    assert find_return_path(address) is None


def test_the_length_of_an_address_to_return_to_is_limited_as_it_travels():
    longest = "/" + "x" * (MAX_RETURN_LENGTH - 1)
    assert find_return_path(longest) == (longest, longest)
    assert find_return_path(longest + "x") is None
    fits_until_quoted = "/" + "ä" * (MAX_RETURN_LENGTH // 6)
    assert find_return_path(fits_until_quoted) is not None
    assert find_return_path(fits_until_quoted + "ä") is None


ADDRESSES = st.text(st.sampled_from("/\\.%2fF5cC0dDaA9:@?#x \t\r\n\xa0ä"), max_size=12)


@given(ADDRESSES | st.text(max_size=12) | ADDRESSES.map(lambda text: "/" + text))
def test_whatever_may_be_returned_to_is_a_path_of_this_site(address):
    found = find_return_path(address)
    if found is None:
        return
    quoted, path = found
    assert re.fullmatch(r"/(?![/\\])[!-~]*", quoted)  # fit for a header, and no host for a browser
    assert urljoin(SITE, quoted).startswith(SITE + "/")
    assert unquote(urlsplit(quoted).path).lstrip("/") == path.lstrip("/")
    assert find_return_path(quoted) == found


def test_paths_and_queries_are_quoted_for_a_header():
    assert quote_path("/käse & brot/100%;x=1?#") == "/k%C3%A4se%20&%20brot/100%25;x=1%3F%23"
    assert quote_query("a=%C3%A4&b=[1|2]^`{}<>") == "a=%C3%A4&b=[1|2]^`{}<>"
    assert quote_query('a="\r\n\xff \u0101') == "a=%22%0D%0A%FF%20?"


@given(st.text(max_size=12))
def test_a_quoted_path_is_the_same_path(path):
    path = "/" + path.encode("utf-8", "replace").decode()
    assert unquote(quote_path(path)) == path
    assert re.fullmatch(r"[!-~]*", quote_path(path))
