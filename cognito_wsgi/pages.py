"""What the visitor sees: redirects, a page for people, problem+json for programs.

Every answer here is the gateway's own and speaks of one visitor: not stored, no referrer, no script.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, NamedTuple

from werkzeug.datastructures import ResponseCacheControl
from werkzeug.http import HTTP_STATUS_CODES, parse_cache_control_header
from werkzeug.wrappers import Response

from .errors import (
    AuthorisationRequiredError,
    BadRequestError,
    CognitoError,
    CognitoGroupRequiredError,
    CrossSiteRequestError,
    MethodNotAllowedError,
    RefusalError,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_STYLE = Path(__file__).with_name("page.css").read_text("utf-8")
_PAGE = Template(Path(__file__).with_name("page.html").read_text("utf-8"))
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

_OWN_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; "  # the empty icon
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
}

_NO_CONTENT = (("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", "0"))

_TITLES: dict[type[RefusalError], str] = {
    BadRequestError: "That did not work",
    AuthorisationRequiredError: "Please sign in",
    CognitoGroupRequiredError: "No access",
    CrossSiteRequestError: "The request came from another site",
    MethodNotAllowedError: "That did not work",
    CognitoError: "Signing in is not possible at the moment",
}

_REFERENCE = "If you ask for help, name this reference: <code>{}</code>"


class Link(NamedTuple):
    label: str
    address: str


def redirect(
    location: str, *, status: int = 302, set_cookies: Iterable[str] = (), clear_cache: bool = False
) -> WSGIApplication:
    """Send the browser elsewhere. 303 or 302, never 307 (RFC 9700 §4.12).

    No werkzeug Response: every visit begins with a redirect, and a refusal must not cost more than an answer.
    """
    headers = [*_OWN_HEADERS.items(), *_NO_CONTENT, ("Location", location)]
    if clear_cache:
        headers.append(("Clear-Site-Data", '"cache"'))
    headers += [("Set-Cookie", cookie) for cookie in set_cookies]

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        start_response(f"{status} {_phrase(status)}", headers)
        return []

    return answer


def hop(address: str, *, set_cookies: Iterable[str] = ()) -> Response:
    """A page that goes on to ``address`` by itself, so that the browser asks for it from this site.

    A redirect on the way from Cognito would still count as coming from there, and SameSite=Strict cookies
    would stay at home (RFC 6265bis §5.2).
    """
    go_on = f'<meta http-equiv="refresh" content="0;url={escape(address)}">\n'
    html = _render(
        "One moment …", "You are on your way to the page.", links=[Link("Continue", address)], head=go_on
    )
    return _with_cookies(Response(html, mimetype="text/html", headers=_OWN_HEADERS), set_cookies)


def json_answer(fields: Mapping[str, Any], *, set_cookies: Iterable[str] = ()) -> Response:
    response = Response(json.dumps(fields), mimetype="application/json", headers=_OWN_HEADERS)
    return _with_cookies(response, set_cookies)


def refusal_page(error: RefusalError, links: Iterable[Link]) -> Response:
    """The refusal for people."""
    kind = next(known for known in _TITLES if isinstance(error, known))
    html = _render(
        _TITLES[kind],
        error.description or "",
        status=f"{error.code} {_phrase(error.code)}",
        links=links,
        reference=error.reference,
    )
    return Response(
        html, status=error.code, mimetype="text/html", headers={**_OWN_HEADERS, **_headers_of(error)}
    )


def refusal_problem(error: RefusalError) -> Response:
    """The refusal for programs (RFC 9457)."""
    facts = {"reference": error.reference}
    if error.login_url is not None:
        facts["login_url"] = error.login_url
    return _problem(error.code or 500, error.description or "", facts, _headers_of(error))


def private(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The headers of an answer that sets a session's cookies: no shared cache may keep it (RFC 9111 §7.3).

    What is said to some caches alone goes before that (RFC 9213), and so is left out.
    """
    others = [
        (name, value)
        for name, value in headers
        if not name.lower().endswith(("cache-control", "surrogate-control"))
    ]
    said = ", ".join(value for name, value in headers if name.lower() == "cache-control")
    control = parse_cache_control_header(said.lower(), cls=ResponseCacheControl)
    if not control.no_store:
        control.public = False
        del control.s_maxage
        control.private = True
    return [*others, ("Cache-Control", control.to_header())]


def _headers_of(error: RefusalError) -> dict[str, str]:
    return {name: value for name, value in error.get_headers() if name != "Content-Type"}


def _problem(status: int, detail: str, facts: Mapping[str, str], headers: Mapping[str, str]) -> Response:
    problem = {"type": "about:blank", "title": _phrase(status), "status": status, "detail": detail, **facts}
    return Response(
        json.dumps(problem),
        status=status,
        mimetype="application/problem+json",
        headers={**_OWN_HEADERS, **headers},
    )


def _phrase(status: int | None) -> str:
    return HTTP_STATUS_CODES.get(status or 0, "")


def _render(
    title: str, text: str, *, links: Iterable[Link], status: str = "", head: str = "", reference: str = ""
) -> str:
    items = "".join(f'<li><a href="{escape(link.address)}">{escape(link.label)}</a></li>\n' for link in links)
    return _PAGE.substitute(
        head=head,
        title=escape(title),
        style=_STYLE,
        status=_paragraph("status", escape(status)),
        text=escape(text),
        links=f'<ul class="links">\n{items}</ul>\n' if items else "",
        reference=_paragraph("reference", reference and _REFERENCE.format(escape(reference))),
    )


def _paragraph(name: str, html: str) -> str:
    return f'<p class="{name}">{html}</p>\n' if html else ""


def _with_cookies(response: Response, set_cookies: Iterable[str]) -> Response:
    for cookie in set_cookies:
        response.headers.add("Set-Cookie", cookie)
    return response
