"""The gateway's own answers as HTTP and HTML: headers, escaping, and pages that need no script."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Response

from cognito_wsgi import (
    AuthorisationRequiredError,
    BadRequestError,
    CognitoError,
    CognitoGroupRequiredError,
    CrossSiteRequestError,
    RefusalError,
)
from cognito_wsgi.errors import MethodNotAllowedError
from cognito_wsgi.pages import (
    Link,
    hop,
    json_answer,
    private,
    redirect,
    refusal_page,
    refusal_problem,
)

from .visiting import Page

KINDS = [
    BadRequestError,
    AuthorisationRequiredError,
    CognitoGroupRequiredError,
    CrossSiteRequestError,
    CognitoError,
]
EVIL = "<script>alert('x')</script> & \"quotes\" ${text} $text"


def refusal(
    kind: type[RefusalError] = BadRequestError, text: str = "A text.", **facts: object
) -> RefusalError:
    return kind(text, **{"reference": "0badcafe", **facts})  # type: ignore[arg-type]


def redirected(location: str, **options: Any) -> Response:
    return Response.from_app(redirect(location, **options), EnvironBuilder("/").get_environ(), buffered=True)


ANSWERS = {
    **{f"page {kind.__name__}": refusal_page(refusal(kind), [Link("Home", "/")]) for kind in KINDS},
    **{f"problem {kind.__name__}": refusal_problem(refusal(kind)) for kind in KINDS},
    "hop": hop("/x"),
    "redirect": redirected("/x"),
    "json": json_answer({"a": 1}),
    "405": refusal_problem(MethodNotAllowedError("GET")),
}


@pytest.fixture(params=ANSWERS)
def answer(request) -> Response:
    return ANSWERS[request.param]


def directives(answer: Response) -> dict[str, list[str]]:
    policy = answer.headers["Content-Security-Policy"]
    return {name: values for name, *values in (part.split() for part in policy.split(";"))}


def test_every_answer_is_kept_by_nobody_and_says_nothing_of_where_it_came_from(answer):
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"


def test_every_answer_allows_no_script_no_frame_and_nothing_from_elsewhere(answer):
    policy = directives(answer)
    assert policy["default-src"] == ["'none'"]
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == ["'none'"]
    assert "script-src" not in policy and "script-src-elem" not in policy
    assert policy["img-src"] == ["data:"]
    allowed = {value for values in policy.values() for value in values}
    assert not {value for value in allowed if value.startswith(("http", "*", "'unsafe", "'self"))}


def test_the_policy_allows_the_one_style_there_is():
    html = html_of(ANSWERS["page BadRequestError"])
    (style,) = re.findall("<style>(.*?)</style>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert directives(ANSWERS["page BadRequestError"])["style-src"] == [f"'sha256-{digest}'"]
    assert "style=" not in html


# Pages


def html_of(answer: Response) -> str:
    return answer.get_data(as_text=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_says_what_happened_in_the_order_of_its_html(kind):
    answer = refusal_page(refusal(kind, "What happened."), [Link("Home", "/"), Link("Other", "/other")])
    html = html_of(answer)
    assert answer.status_code == kind.code
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    page = Page(html)
    assert page.tags.count("h1") == page.tags.count("title") == page.tags.count("main") == 1
    places = [
        html.index(text)
        for text in ("<title>", f"{kind.code} ", "<h1>", "What happened.", ">Home<", ">Other<")
    ]
    assert places == sorted(places)
    assert html.index("0badcafe") > places[-1]
    assert 'lang="en"' in html
    assert 'name="viewport" content="width=device-width' in html


def test_a_page_of_a_kind_that_is_derived_has_the_title_of_its_family():
    class Special(CognitoGroupRequiredError):
        pass

    ours, derived = (refusal_page(refusal(kind), []) for kind in (CognitoGroupRequiredError, Special))
    assert ours.data == derived.data


def test_a_page_without_links_has_no_list():
    assert "ul" not in Page(html_of(refusal_page(refusal(), []))).tags


def test_texts_and_addresses_are_escaped():
    error = refusal(text=EVIL, reference=EVIL)
    page = Page(html_of(refusal_page(error, [Link(EVIL, f'/"onclick="{EVIL}')])))
    assert page.text.count(EVIL) == 3
    assert page.links == {EVIL: f'/"onclick="{EVIL}'}


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"])))
def test_any_text_comes_out_as_text(text):
    page = Page(html_of(refusal_page(refusal(text=text), [Link("a", text)])))
    assert text in page.text
    assert page.links == {"a": text}


def test_a_page_carries_challenge_and_retry_after():
    error = refusal(CognitoError, challenge='Bearer realm="cognito"', retry_after=7)
    for answer in (refusal_page(error, []), refusal_problem(error)):
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="cognito"'
        assert answer.headers["Retry-After"] == "7"
    bare = refusal_page(refusal(), [])
    assert "WWW-Authenticate" not in bare.headers
    assert "Retry-After" not in bare.headers


# Problems (RFC 9457)


@pytest.mark.parametrize("kind", KINDS)
def test_a_problem_has_the_members_of_rfc_9457(kind):
    answer = refusal_problem(refusal(kind, "What happened.", login_url="/login"))
    assert answer.status_code == kind.code
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert json.loads(answer.data) == {
        "type": "about:blank",
        "title": answer.status.partition(" ")[2].title(),
        "status": kind.code,
        "detail": "What happened.",
        "reference": "0badcafe",
        "login_url": "/login",
    }


def test_a_problem_that_no_sign_in_solves_names_none():
    assert "login_url" not in json.loads(refusal_problem(refusal()).data)


def test_another_method_is_told_the_methods():
    answer = refusal_problem(MethodNotAllowedError("GET", "HEAD"))
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")
    problem = json.loads(answer.data)
    assert (problem["title"], problem["detail"]) == (
        "Method Not Allowed",
        "This address answers other methods.",
    )


# Redirects


@pytest.mark.parametrize("status", [302, 303])
def test_a_redirect_names_the_address_as_it_is(status):
    answer = redirected("/caf%C3%A9?a=1", status=status)
    assert answer.status_code == status
    assert answer.headers["Location"] == "/caf%C3%A9?a=1"
    assert answer.data == b""


def test_a_redirect_sets_cookies_and_clears_the_cache_if_told_so():
    answer = redirected("/x", set_cookies=["a=1", "b=2"], clear_cache=True)
    assert answer.headers.getlist("Set-Cookie") == ["a=1", "b=2"]
    assert answer.headers["Clear-Site-Data"] == '"cache"'
    assert "Clear-Site-Data" not in redirected("/x").headers


def test_a_hop_goes_on_by_itself_and_has_a_link_for_those_whose_browser_does_not():
    answer = hop("/x?a=1&b=%22", set_cookies=["a=1"])
    html = html_of(answer)
    assert answer.status_code == 200
    assert '<meta http-equiv="refresh" content="0;url=/x?a=1&amp;b=%22">' in html
    assert Page(html).links == {"Continue": "/x?a=1&b=%22"}
    assert answer.headers.getlist("Set-Cookie") == ["a=1"]


def test_a_hop_cannot_be_left_by_the_address():
    address = '/"><script>x</script>'
    assert Page(html_of(hop(address))).links == {"Continue": address}


# Cache-Control of answers that set cookies (more of it in test_wsgi.py)


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        pytest.param("public, s-maxage=9", "private", id="public"),
        pytest.param("no-store, public", "no-store, public", id="no-store is stricter than anything"),
        pytest.param('no-cache="x"', "no-cache=x, private", id="no-cache for one header"),
        pytest.param("max-age=rubbish", "max-age=rubbish, private", id="rubbish"),
    ],
)
def test_private_leaves_what_is_no_weaker(said, heard):
    headers = [("Cache-Control", said), ("X-Other", "1")]
    assert private(headers) == [("X-Other", "1"), ("Cache-Control", heard)]
    assert headers == [("Cache-Control", said), ("X-Other", "1")]
