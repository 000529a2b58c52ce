"""What a browser does at a site, told once for all servers: sign-in, refresh, streaming, upload, sign-out."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from cognito_wsgi.local import LocalUserPool, submit_sign_in

from ..serving import wait_for
from ..visiting import FETCH, NAVIGATION

#: A member of so many groups that his cookies nearly fill the room there is.
USER = "dave"
GROUPS = 75
UPLOAD = random.Random(7).randbytes(5_000_000)


@dataclass
class Site:
    """A served application, its pool, and a browser to visit it with.

    server, origin: its address on this machine, and as its visitors know it.
    gate: the file that lets its stream go on. visitor: the address that its visitors come from.
    log: what the server has said, once it has ended.
    """

    server: str
    origin: str
    pool: LocalUserPool
    gate: Path
    visitor: str = "127.0.0.1"
    log: str = ""
    browser: requests.Session = field(default_factory=requests.Session)

    @property
    def is_https(self) -> bool:
        return self.origin.startswith("https:")

    @property
    def prefix(self) -> str:
        return "__Host-" if self.is_https else ""

    def visit(self, address: str) -> requests.Response:
        return self.browser.get(self._url(address), headers=NAVIGATION, allow_redirects=False, timeout=20)

    def fetch(
        self, address: str, method: str = "GET", *, bearer: str | None = None, **options: Any
    ) -> requests.Response:
        headers = dict(FETCH)
        if method != "GET":
            headers["Origin"] = self.origin
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"
        return self.browser.request(method, self._url(address), headers=headers, timeout=20, **options)

    def _url(self, address: str) -> str:
        return address if address.startswith("http") else self.origin + address

    def lose_access_token(self) -> None:
        """What a browser does when the cookie's time is up."""
        for cookie in list(self.browser.cookies):
            if cookie.name.startswith(f"{self.prefix}cognito_access_token"):
                self.browser.cookies.clear(cookie.domain, cookie.path, cookie.name)

    def own_cookies(self) -> dict[str, str | None]:
        return {cookie.name: cookie.value for cookie in self.browser.cookies if "cognito_" in cookie.name}

    @contextmanager
    def one_refresh(self) -> Iterator[None]:
        """The access token is lost before, and by the end there is another, for one call to the pool."""
        self.lose_access_token()
        before = self.pool.calls["token:refresh_token"]
        yield
        assert self.pool.calls["token:refresh_token"] == before + 1
        assert f"{self.prefix}cognito_access_token" in self.own_cookies()


def tell_story(site: Site) -> None:
    assert site.fetch("/health").text == "well"
    assert site.fetch("/account").status_code == 401
    sign_in(site)
    # A public page waits for nothing: a worker that has no keys yet takes him for a stranger, and fetches them.
    wait_for(lambda: site.visit("/").text == f"Hello {USER}")
    with site.one_refresh():
        assert_is_in(site)
    read_stream(site)
    with site.one_refresh():
        read_stream(site)
    send_upload(site)
    with site.one_refresh():
        send_upload(site)
    assert site.fetch("/refresh", "POST").json()["expires_at"] > 0
    sign_out(site)


def sign_in(site: Site) -> None:
    away = site.visit("/account")
    assert away.headers["Location"].startswith(f"{site.pool.domain}/oauth2/authorize?"), away.text
    callback = submit_sign_in(site.browser, away, USER, f"{USER}-password").headers["Location"]
    assert callback.startswith(f"{site.origin}/callback?")
    back = site.visit(callback)
    assert (back.status_code, back.headers.get("Location")) == (303, "/account"), back.text
    for cookie in back.raw.headers.getlist("Set-Cookie"):
        assert_is_well_set(site, cookie)
    assert 7000 < sum(len(f"{name}={value}; ") for name, value in site.own_cookies().items()) <= 7500
    assert_is_in(site)


def assert_is_well_set(site: Site, set_cookie: str) -> None:
    pair, *attributes = set_cookie.split("; ")
    names = {attribute.partition("=")[0] for attribute in attributes}
    assert pair.startswith(f"{site.prefix}cognito_")
    assert {"Path=/", "HttpOnly", "SameSite=Lax"} <= set(attributes)
    assert ("Secure" in names, "Domain" in names) == (site.is_https, False)


def assert_is_in(site: Site) -> None:
    answer = site.visit("/account")
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "user": USER,
        "groups": GROUPS,
        "address": f"{site.origin}/account",
        "visitor": site.visitor,
    }


def read_stream(site: Site) -> None:
    """The second line is written when the first has been read: a server that gathers lines sends none."""
    site.gate.unlink(missing_ok=True)
    with site.fetch("/stream", stream=True) as answer:
        lines = answer.iter_lines(chunk_size=1)
        assert next(lines) == b"first"
        site.gate.touch()
        assert list(lines) == [b"second"]


def send_upload(site: Site) -> None:
    answer = site.fetch("/upload", "POST", data=UPLOAD)
    assert answer.json() == {"sha256": hashlib.sha256(UPLOAD).hexdigest()}


def sign_out(site: Site) -> None:
    revoked = site.pool.calls["revoke"]
    answer = site.visit("/logout")
    assert answer.headers["Location"].startswith(f"{site.pool.domain}/logout?")
    assert site.own_cookies() == {}
    assert site.pool.calls["revoke"] == revoked + 1
    home = site.visit(site.visit(answer.headers["Location"]).headers["Location"])
    assert (urlsplit(home.url).path, home.text) == ("/", "Hello stranger")
    assert site.fetch("/account").status_code == 401
