"""A gateway in front of an application that notes what it is given, and requests to it without a network.

Both sides of the gateway are checked against PEP 3333 by ``wsgiref.validate`` at every request.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlsplit
from wsgiref.validate import validator

import pytest
import requests
from werkzeug.test import Client, TestResponse
from werkzeug.wrappers import Response

from cognito_wsgi import CognitoConfig, CognitoGateway
from cognito_wsgi.local import LocalUserPool, submit_sign_in
from cognito_wsgi.local.bad_answers import BAD_ANSWERS, Occasion

from .serving import wait_for

ORIGIN = "http://localhost"

#: What Chromium sends: for a link or the address bar, for ``fetch``, for a form.
NAVIGATION = {
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "same-origin",
}
FETCH = {
    "Accept": "*/*",
    "Sec-Fetch-Dest": "empty",
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Site": "same-origin",
}
FORM = {**NAVIGATION, "Origin": ORIGIN}


class Application:
    """Answers every request with 200 and keeps the environs."""

    def __init__(self, *headers: tuple[str, str]) -> None:
        self.headers = headers
        self.environs: list[dict[str, Any]] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self.environs.append(environ)
        start_response("200 OK", [("Content-Type", "text/plain"), *self.headers])
        return [b"inside"]


class House:
    """A gateway, the application behind it, and a browser's cookies before it."""

    def __init__(self, config: CognitoConfig, rules: Any = None, *, app: Any = None, **options: Any) -> None:
        self.config = config
        self.app = app or Application()
        self.gateway = CognitoGateway(validator(self.app), config, rules, **options)
        self.client = Client(validator(self.gateway))

    def ask(
        self,
        address: str,
        kind: Mapping[str, str] = NAVIGATION,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> TestResponse:
        """kind: the headers that tell what sort of request it is. options: as EnvironBuilder has them."""
        base_url = self.config.public_origin
        return self.client.open(
            address,
            method=method,
            headers={**kind, **(headers or {})},
            base_url=base_url,
            buffered=True,
            **options,
        )

    def environ_of(
        self, address: str, kind: Mapping[str, str] = NAVIGATION, **options: Any
    ) -> dict[str, Any]:
        """What the application is given for a request, which must reach it."""
        answer = self.ask(address, kind, **options)
        assert answer.data == b"inside", answer.text
        environ: dict[str, Any] = self.app.environs[-1]
        return environ

    @property
    def cookies(self) -> dict[str, str]:
        return {cookie.key: cookie.value for cookie in (self.client._cookies or {}).values()}

    @property
    def cookie_header(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    def set_cookie(self, name: str, value: str) -> None:
        self.client.set_cookie(name, value, domain=urlsplit(self.config.public_origin).hostname)

    # sign-in at a real pool

    def go_to_pool(self, http: requests.Session, pool_address: str, username: str) -> str:
        """Sign in at the pool that a redirect has led to; the address of the callback, path and query."""
        page = http.get(pool_address, allow_redirects=False, timeout=10)
        callback = submit_sign_in(http, page, username, f"{username}-password").headers["Location"]
        assert callback.startswith(self.config.redirect_url)
        return callback.removeprefix(self.config.public_origin)

    def sign_in(self, address: str = "/", username: str = "alice", **options: Any) -> TestResponse:
        """The whole way: redirect, the pool's form, callback. Returns the callback's answer."""
        answer = self.ask(address, **options)
        assert answer.status_code == 302, answer.text
        with requests.Session() as http:
            return self.ask(self.go_to_pool(http, answer.location, username))


def local_config(pool: LocalUserPool, client: str = "web", **overrides: Any) -> CognitoConfig:
    """A configuration for a real pool; ``overrides`` by key."""
    return CognitoConfig.from_mapping(
        {
            **pool.settings(client, redirect_url=f"{ORIGIN}/callback", logout_url=f"{ORIGIN}/"),
            "SECRET_KEY": "a secret key for the tests alone",
            **overrides,
        }
    )


@contextmanager
def holding(pool: LocalUserPool, endpoint: str, *, then: str | None = None) -> Iterator[None]:
    """Calls of an endpoint are answered when the block ends: well, or with the trouble that is named."""
    is_over = threading.Event()

    def answer_late(occasion: Occasion) -> Response | None:
        wait_for(lambda: is_over.is_set() or occasion.stopped.is_set(), 60)
        if occasion.stopped.is_set():
            return Response(status=503)
        return BAD_ANSWERS[then](occasion) if then else None

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BAD_ANSWERS, "slow", answer_late)  # type: ignore[arg-type]
        patch.setattr(pool.trouble, endpoint, "slow")
        try:
            yield
        finally:
            is_over.set()


def rows(table: Mapping[str, tuple[Any, ...]]) -> list[Any]:
    """A table for parametrize, each row under its name."""
    return [pytest.param(*row, id=name) for name, row in table.items()]


def query_of(address: str) -> dict[str, str]:
    """The parameters of an address, each of which must stand there once."""
    parameters = parse_qs(urlsplit(address).query, keep_blank_values=True, strict_parsing=True)
    assert all(len(values) == 1 for values in parameters.values()), address
    return {name: values[0] for name, values in parameters.items()}


class Page(HTMLParser):
    """The links, tags and text of a page, which must be well nested and free of scripts."""

    VOID = ("meta", "link")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: dict[str, str] = {}
        self.text = ""
        self.goes_on_to: str | None = None
        self._open: list[str] = []
        self._address: str | None = None
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "img", "iframe", "svg", "base", "form", "object"), tag
        assert not [name for name, _ in attrs if name.startswith("on")], attrs
        self.tags.append(tag)
        if tag not in self.VOID:
            self._open.append(tag)
        values = dict(attrs)
        if tag == "a":
            self._address = values["href"]
        if tag == "meta" and values.get("http-equiv") == "refresh":
            self.goes_on_to = (values["content"] or "").removeprefix("0;url=")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        if tag == "a":
            self._address = None

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._address is not None:
            self.links[data] = self._address
