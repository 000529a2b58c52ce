"""The gateway's own cookies: their names, how they come in and how they go out.

No cookie is larger than 4,096 bytes, name and attributes included (RFC 6265 §6.1), so a longer value is split:
``name``, ``name_1``, ``name_2`` … Only these exact names are read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from werkzeug.http import dump_cookie

if TYPE_CHECKING:
    from .config import CognitoConfig

MAX_COOKIE_SIZE = 4096  # bytes, name and attributes included
MAX_PIECES = 10
#: Bytes of all our cookies together in a request: servers stop at about 8,000 for the whole header.
MAX_TOTAL_SIZE = 7500
#: Login cookies that are looked at or deleted in one request, whatever a client sends.
MAX_LOGIN_COOKIES_READ = 10

BASE_NAMES = ("cognito_access_token", "cognito_id_token", "cognito_refresh_token")
_LOGIN_NAME = "cognito_login_"
_MARK = "cognito_"


class OwnCookies(NamedTuple):
    """Our cookies of one request, by exact name. A value of None stands for one that came twice."""

    values: Mapping[str, str | None]
    #: The Cookie header without them, for the application; None if nothing is left of it.
    rest: str | None

    def find(self, name: str) -> str | None:
        return self.values.get(name)


class CookieSet:
    """Names and attributes as the configuration gives them."""

    def __init__(self, config: CognitoConfig) -> None:
        self._domain = config.cookie_domain
        self._secure = config.is_secure
        self._samesite = config.cookie_samesite
        self.access, self.id, self.refresh = (config.cookie_prefix + name for name in BASE_NAMES)
        self._login = config.cookie_prefix + _LOGIN_NAME
        self._pieces = {
            base: (base, *(f"{base}_{number}" for number in range(1, MAX_PIECES)))
            for base in (self.access, self.id, self.refresh)
        }
        self._known = frozenset(name for names in self._pieces.values() for name in names)

    # in

    def read(self, header: str) -> OwnCookies:
        """Our cookies out of a Cookie header (RFC 6265 §5.4), and the header without them."""
        if _MARK not in header:
            return OwnCookies({}, header)
        values: dict[str, str | None] = {}
        others: list[str] = []
        for cookie in header.split(";"):
            if _MARK not in cookie:
                others.append(cookie)
                continue
            name, _, value = cookie.strip().partition("=")
            name = name.rstrip()
            if self._is_own(name):
                values[name] = None if name in values else value.lstrip()
            else:
                others.append(self._without_joined(cookie))
        rest = ";".join(others)
        return OwnCookies(values, header if rest == header else rest.strip(" \t;") or None)

    def _is_own(self, name: str) -> bool:
        return name in self._known or name.startswith(self._login)

    def _without_joined(self, cookie: str) -> str:
        """A cookie of the application, less what a server joined to it with a comma out of a second header."""
        parts = cookie.split(",")
        return ",".join(part for part in parts if not self._is_own(part.partition("=")[0].strip()))

    def join(self, cookies: OwnCookies, base: str) -> str | None:
        """The value of a cookie, its pieces put together. None unless it came whole and once."""
        values = cookies.values
        value = values.get(base)
        names = self._pieces[base]
        if value is None or not any(name in values for name in names[1:]):
            return value or None
        pieces = [values[name] for name in names if name in values]
        if any(piece is None for piece in pieces) or any(name not in values for name in names[: len(pieces)]):
            return None
        return "".join(piece for piece in pieces if piece is not None)

    def came(self, cookies: OwnCookies, base: str) -> list[str]:
        """The names that came of a cookie and its pieces."""
        return [name for name in self._pieces[base] if name in cookies.values]

    def login_cookies(self, cookies: OwnCookies) -> dict[str, str | None]:
        """The login cookies of a request by name, so many at most as we set ourselves and a few more."""
        names = [name for name in cookies.values if name.startswith(self._login)]
        return {name: cookies.values[name] for name in names[:MAX_LOGIN_COOKIES_READ]}

    def login_name(self, state: str) -> str:
        """The name of the cookie for one sign-in. Told by the state, so that the callback finds it."""
        return self._login + hashlib.sha256(state.encode()).hexdigest()[:16]

    # out

    def store(self, base: str, value: str, *, max_age: int, cookies: OwnCookies) -> list[str]:
        """``Set-Cookie`` values that store a value, in pieces if need be, and delete what is left of a longer one.

        Raises ValueError if it takes more than ten pieces.
        """
        names = self._pieces[base]
        room = MAX_COOKIE_SIZE - len(self._dump(names[-1], "", max_age))
        pieces = [value[start : start + room] for start in range(0, len(value), room)]
        if len(pieces) > MAX_PIECES:
            raise ValueError("the value takes too many cookies")
        stored = [self._dump(name, piece, max_age) for name, piece in zip(names, pieces, strict=False)]
        return stored + self.delete(name for name in names[len(pieces) :] if name in cookies.values)

    def store_login(self, name: str, value: str, *, max_age: int) -> str:
        return self._dump(name, value, max_age, samesite="Lax")  # Cognito comes back from another site

    def delete(self, names: Iterable[str]) -> list[str]:
        """``Set-Cookie`` values that delete cookies, with the attributes they were set with."""
        return [
            self._dump(name, "", 0, samesite="Lax" if name.startswith(self._login) else None)
            for name in names
        ]

    def delete_all(self, cookies: OwnCookies) -> list[str]:
        """Delete each of our cookies that came."""
        bases = [name for base in self._pieces for name in self.came(cookies, base)]
        return self.delete([*bases, *self.login_cookies(cookies)])

    def pieces_size(self, base: str, value: str) -> int:
        """Bytes that a value takes in the Cookie header of a request."""
        room = MAX_COOKIE_SIZE - len(self._dump(self._pieces[base][-1], "", 10**9))
        count = max(1, -(-len(value) // room))
        return sum(len(name) + len("=; ") for name in self._pieces[base][:count]) + len(value)

    def _dump(self, name: str, value: str, max_age: int, *, samesite: str | None = None) -> str:
        return dump_cookie(
            name,
            value,
            max_age=max_age,
            expires=0 if max_age == 0 else None,
            path="/",
            domain=self._domain,
            secure=self._secure,
            httponly=True,
            samesite=samesite or self._samesite,
            max_size=0,
        )


def size_in_header(values: Mapping[str, str | None]) -> int:
    """Bytes that cookies take in the Cookie header of a request."""
    return sum(len(name) + len("=; ") + len(value or "") for name, value in values.items())
