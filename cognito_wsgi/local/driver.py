"""A browser's part in a sign-in, played with requests: for tests and for tours without a browser."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import requests

from .errors import SignInRefused
from .loopback import origin_of

MAX_REDIRECTS = 10
TIMEOUT = 10  # seconds


def submit_sign_in(
    http: requests.Session, response: requests.Response, username: str, password: str
) -> requests.Response:
    """Sign in at the pool and return the redirect that leads away from it, not followed.

    response: a redirect that leads to the pool's authorize endpoint, or the sign-in page itself.
        A live hosted session in ``http`` skips the form.

    Raises SignInRefused with the page's alert if the pool shows a page instead: a wrong
    password, or its error page.
    """
    response = _walk_to_pool(http, response)
    pool = origin_of(response.url)
    response = _walk_inside(http, response, pool)
    if response.is_redirect:
        return response
    page = _read_page(response)
    if page.action is None:
        raise _refusal(response)
    target = urljoin(response.url, page.action)
    fields = page.fields | {"username": username, "password": password}
    response = http.post(target, data=fields, allow_redirects=False, timeout=TIMEOUT)
    response = _walk_inside(http, response, pool)
    if not response.is_redirect:
        raise _refusal(response)
    return response


def _refusal(response: requests.Response) -> SignInRefused:
    alert = _read_page(response).alert
    return SignInRefused(
        alert or f"neither a redirect nor a sign-in page: {response.status_code} {response.url}"
    )


def _walk_to_pool(http: requests.Session, response: requests.Response) -> requests.Response:
    """Follow the application's redirects until one has led to the pool."""
    for _ in range(MAX_REDIRECTS):
        if _is_pools(response) or not response.is_redirect:
            return response
        response = http.get(_target(response), allow_redirects=False, timeout=TIMEOUT)
    raise SignInRefused("no redirect led to an authorize endpoint")


def _is_pools(response: requests.Response) -> bool:
    parts = urlsplit(response.url)
    return parts.path in ("/oauth2/authorize", "/login") and "client_id=" in parts.query


def _walk_inside(http: requests.Session, response: requests.Response, pool: str) -> requests.Response:
    while response.is_redirect and origin_of(_target(response)) == pool:
        response = http.get(_target(response), allow_redirects=False, timeout=TIMEOUT)
    return response


def _target(response: requests.Response) -> str:
    return urljoin(response.url, response.headers["Location"])


def _read_page(response: requests.Response) -> _Page:
    page = _Page()
    page.feed(response.text)
    page.close()
    return page


class _Page(HTMLParser):
    """The form and the alert of a page of the pool."""

    def __init__(self) -> None:
        super().__init__()
        self.action: str | None = None
        self.fields: dict[str, str] = {}
        self.alert = ""
        self._alert_tag: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "form":
            self.action = values.get("action") or ""
        if tag == "input" and (name := values.get("name")):
            self.fields[name] = values.get("value") or ""
        if values.get("role") == "alert":
            self._alert_tag = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._alert_tag:
            self._alert_tag = None

    def handle_data(self, data: str) -> None:
        if self._alert_tag is not None:
            self.alert = f"{self.alert} {data.strip()}".strip()
