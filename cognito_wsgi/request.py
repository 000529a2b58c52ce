"""A request as the gateway sees it: the environ, read with distrust and made ready for the application."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from _typeshed.wsgi import WSGIEnvironment

    from .cookies import CookieSet
    from .rule_tree import MatchedRule
    from .session import Session

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})  # RFC 9110 §9.2.1
MAX_BEARER_LENGTH = 33 * 1024


class Request:
    """Made for each request: nothing in it outlives the answer."""

    #: Whether the Authorization header decides, and so no cookie does.
    is_bearer = False
    #: Names of cookies that are worth nothing; an answer of our own deletes them.
    spoilt_cookies: tuple[str, ...] = ()
    #: Whether it comes back from Cognito.
    is_callback = False

    def __init__(self, environ: WSGIEnvironment, cookie_set: CookieSet) -> None:
        self.environ = environ
        #: The visitor's session, once it is found.
        self.session: Session | None = None
        #: ``Set-Cookie`` values for the answer, whoever gives it.
        self.set_cookies: Sequence[str] = ()
        #: What decided, for the log.
        self.rule: MatchedRule | None = None
        self.now = time.time()
        method: str = environ.get("REQUEST_METHOD", "GET")
        if method not in SAFE_METHODS:
            method = method.upper()
        self.method = method
        #: Whether it may change something. An upgrade is a GET that opens a way to do so.
        self.is_unsafe = method not in SAFE_METHODS or "HTTP_UPGRADE" in environ
        header = environ.get("HTTP_COOKIE", "")
        self.cookies, others = cookie_set.read(header)
        if others is not header:  # the application gets its own cookies alone
            if others:
                environ["HTTP_COOKIE"] = others
            else:
                del environ["HTTP_COOKIE"]

    @property
    def script_name(self) -> str:
        """Where the application is mounted, decoded: "" for the root of the site, else begun by one slash."""
        script_name: str = self.environ.get("SCRIPT_NAME", "").strip("/")
        return (
            "/" + script_name.encode("latin-1", "replace").decode("utf-8", "replace") if script_name else ""
        )

    def is_for(self, path: str, address: str | None) -> bool:
        """Whether ``path``, made from the environ, is that of an address of the site, its mount included.

        Asked for by its mount's very name, an application has an empty path, which is judged as "/".
        """
        if address and address == self.script_name:
            return not self.environ.get("PATH_INFO")
        return self.script_name + path == address

    @property
    def is_cross_site(self) -> bool:
        site: str = self.environ.get("HTTP_SEC_FETCH_SITE", "")
        return site.strip().lower() == "cross-site"

    @property
    def wants_page(self) -> bool:
        """Whether a person's browser shows the answer (design.md §7)."""
        mode = self.environ.get("HTTP_SEC_FETCH_MODE")
        if mode is not None:
            return bool(mode.strip().lower() == "navigate")
        return "text/html" in self.environ.get("HTTP_ACCEPT", "").lower() and (
            "HTTP_X_REQUESTED_WITH" not in self.environ
        )

    @property
    def is_navigation(self) -> bool:
        return self.method in ("GET", "HEAD") and self.wants_page and not self.is_prefetch

    @property
    def is_subresource(self) -> bool:
        """Whether a browser says that this is no navigation; a plain client that says nothing may sign in."""
        mode = self.environ.get("HTTP_SEC_FETCH_MODE")
        if mode is not None and mode.strip().lower() != "navigate":
            return True
        return self.is_prefetch or "HTTP_X_REQUESTED_WITH" in self.environ

    @property
    def is_prefetch(self) -> bool:
        purpose = self.environ.get("HTTP_SEC_PURPOSE", "") + self.environ.get("HTTP_PURPOSE", "")
        return "prefetch" in purpose.lower()

    @property
    def has_bearer(self) -> bool:
        header: str = self.environ.get("HTTP_AUTHORIZATION", "")
        return header[:6].lower() == "bearer" and header[6:7] in ("", " ")

    def take_bearer_token(self) -> str:
        """The token of the Authorization header, "" if it has none (RFC 6750 §2.1). From now on it decides."""
        self.is_bearer = True
        token: str = self.environ["HTTP_AUTHORIZATION"][6:].strip(" ")
        if any(space in token for space in " \t,") or len(token) > MAX_BEARER_LENGTH:
            raise BadRequestError(
                "The Authorization header is malformed.",
                reason="Authorization header malformed",
                challenge='Bearer realm="cognito", error="invalid_request"',
            )
        return token

    def referer_origin(self) -> str | None:
        parts = self._referer()
        return f"{parts[0]}://{parts[1]}".lower() if parts else None

    def referer_path(self, origin: str) -> str | None:
        """Path and query of the page that made the request, if it is of ``origin``."""
        parts = self._referer()
        if parts is None or f"{parts[0]}://{parts[1]}".lower() != origin:
            return None
        return f"{parts[2] or '/'}?{parts[3]}" if parts[3] else parts[2] or "/"

    def _referer(self) -> tuple[str, str, str, str] | None:
        referer = self.environ.get("HTTP_REFERER", "")
        if not referer or len(referer) > 4096:
            return None
        try:
            parts = urlsplit(referer)
        except ValueError:
            return None
        return parts.scheme, parts.netloc, parts.path, parts.query
