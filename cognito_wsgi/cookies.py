"""The gateway's own cookies: their names, how they come in and how they go out.

No cookie is larger than 4,096 bytes, name and attributes included (RFC 6265 §6.1), so a longer value is split:
``name``, ``name_1``, ``name_2`` … Only these exact names are read.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from werkzeug.http import dump_cookie

from .errors import MalformedToken, MissingToken

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
#: What may stand around a cookie (RFC 6265 §5.2). ``str.strip`` by itself takes off more, and so would make
#: ``__Host-…`` out of a name that any neighbour may set.
_SPACE = " \t"


#: Our cookies of one request, by exact name. A value of None stands for one that came twice.
OwnCookies: TypeAlias = dict[str, str | None]


class CookieSet:
    """Names and attributes as the configuration gives them."""

    def __init__(self, config: CognitoConfig) -> None:
        self._domain = config.cookie_domain
        self._secure = config.is_secure
        self._samesite = config.cookie_samesite
        self.access, self.id, self.refresh = (config.cookie_prefix + name for name in BASE_NAMES)
        self._pieces = {
            base: (base, *(f"{base}_{number}" for number in range(1, MAX_PIECES)))
            for base in (self.access, self.id, self.refresh)
        }
        self._later_pieces = {base: frozenset(names[1:]) for base, names in self._pieces.items()}
        self._any_later_piece = frozenset().union(*self._later_pieces.values())
        self._known = frozenset(name for names in self._pieces.values() for name in names)
        self._login = config.cookie_prefix + _LOGIN_NAME
        self._is_login = re.compile(re.escape(self._login) + "[0-9a-f]{16}").fullmatch
        longest = self._pieces[self.refresh][-1]
        #: Characters of a value that go into one cookie, whatever its name and its age.
        self._room = MAX_COOKIE_SIZE - len(self._dump(longest, "", max_age=10**9))
        #: What deletes a cookie, by its name. A forged token is refused with one, and a refusal must stay cheap.
        self._deletions = {name: self._dump_deletion(name) for name in self._known}

    # in

    def read(self, header: str) -> tuple[OwnCookies, str]:
        """Our cookies out of a Cookie header (RFC 6265 §5.4), and the header without them, for the application."""
        cookies: OwnCookies = {}
        if _MARK not in header:
            return cookies, header
        others: list[str] = []
        others_have_mark = False
        for cookie in header.split(";"):
            if _MARK not in cookie:
                others.append(cookie)
                continue
            name, _, value = cookie.partition("=")
            name = name.strip(_SPACE)
            if name in self._known or self._is_login(name):
                cookies[name] = None if name in cookies else value.strip(_SPACE)
            else:
                others.append(cookie)
                others_have_mark = True
        if cookies:
            header = ";".join(others).strip(" \t;")
        if others_have_mark:
            header = self._without_lookalikes(header)
        return cookies, header

    def _is_own(self, name: str) -> bool:
        return name in self._known or self._is_login(name) is not None

    def _without_lookalikes(self, header: str) -> str:
        """The header less what the application might take for a cookie of ours, and we do not.

        Servers join a second Cookie header with a comma, and parsers of cookies take more for space than is, or
        any space for the end of a cookie.
        """
        cookies = []
        for cookie in header.split(";"):
            others = [
                part
                for part in cookie.split(",")
                if not self._looks_own(part) and not any(map(self._looks_own, part.split()))
            ]
            if others:
                cookies.append(",".join(others))
        return ";".join(cookies)

    def _looks_own(self, cookie: str) -> bool:
        name = cookie.partition("=")[0]
        return self._is_own(name.encode("latin-1", "replace").decode("utf-8", "replace").strip())

    def join(self, cookies: OwnCookies, base: str) -> str | None:
        """The value of a cookie, its pieces put together. None unless it came whole and once."""
        if self._later_pieces[base].isdisjoint(cookies):
            return cookies.get(base) or None
        names = self.came(cookies, base)
        pieces = [cookies[name] or "" for name in names]
        if not all(pieces) or names != list(self._pieces[base][: len(names)]):
            return None
        return "".join(pieces)

    def tokens(self, cookies: OwnCookies) -> tuple[str, str | None]:
        """The values of the access and ID cookies, joined. Raises TokenVerifyError if there is no access token."""
        if self._any_later_piece.isdisjoint(cookies):
            access_token, id_token = cookies.get(self.access), cookies.get(self.id)
        else:
            access_token, id_token = self.join(cookies, self.access), self.join(cookies, self.id)
        if not access_token:
            if self.came(cookies, self.access):
                raise MalformedToken("the access token's cookie came twice or not whole")
            raise MissingToken("no access token")
        return access_token, id_token or None

    def came(self, cookies: OwnCookies, base: str) -> list[str]:
        """The names that came of a cookie and its pieces."""
        return [name for name in self._pieces[base] if name in cookies]

    def with_leftovers(self, cookies: OwnCookies) -> OwnCookies:
        """These cookies, and the second piece of each value: no two of ours are longer (``MAX_TOTAL_SIZE``)."""
        return dict.fromkeys(second for _, second, *_ in self._pieces.values()) | cookies

    def login_cookies(self, cookies: OwnCookies) -> dict[str, str | None]:
        """The login cookies of a request by name, so many at most as we set ourselves and a few more."""
        names = [name for name in cookies if name.startswith(self._login)]
        return {name: cookies[name] for name in names[:MAX_LOGIN_COOKIES_READ]}

    def login_name(self, state: str) -> str:
        """The name of the cookie for one sign-in. Told by the state, so that the callback finds it."""
        return self._login + hashlib.sha256(state.encode()).hexdigest()[:16]

    # out

    def store(self, base: str, value: str | None, *, max_age: int, cookies: OwnCookies) -> list[str]:
        """``Set-Cookie`` values that store a value, in pieces if need be, and delete what is left of a longer one.

        Of None all is deleted. Raises ValueError if the value takes more than ten pieces.
        """
        value = value or ""
        pieces = [value[start : start + self._room] for start in range(0, len(value), self._room)]
        if len(pieces) > MAX_PIECES:
            raise ValueError("the value takes too many cookies")
        names = self._pieces[base]
        stored = [
            self._dump(name, piece, max_age=max_age) for name, piece in zip(names, pieces, strict=False)
        ]
        return stored + self.delete(name for name in names[len(pieces) :] if name in cookies)

    def store_login(self, name: str, value: str, *, max_age: int) -> str:
        return self._dump(name, value, max_age=max_age)

    def delete(self, names: Iterable[str]) -> list[str]:
        """``Set-Cookie`` values that delete cookies, with the attributes they were set with."""
        return [self._deletions.get(name) or self._dump_deletion(name) for name in dict.fromkeys(names)]

    @staticmethod
    def after(cookies: OwnCookies, set_cookies: Iterable[str]) -> OwnCookies:
        """What the browser has instead of ``cookies`` once it got these ``Set-Cookie`` values of ours."""
        pairs = (text.partition(";")[0].partition("=") for text in set_cookies)
        new = {name: value for name, _, value in pairs}
        return {name: value for name, value in {**cookies, **new}.items() if value != ""}

    def delete_all(self, cookies: OwnCookies) -> list[str]:
        """Delete each of our cookies that came."""
        bases = [name for base in self._pieces for name in self.came(cookies, base)]
        return self.delete([*bases, *self.login_cookies(cookies)])

    def size(self, base: str, value: str | None) -> int:
        """Bytes that a value takes in the Cookie header of a request, split as it will be."""
        value = value or ""
        count = -(-len(value) // self._room)
        return size_in_header(dict.fromkeys(self._pieces[base][:count])) + len(value)

    def size_that_came(self, cookies: OwnCookies, base: str) -> int:
        return size_in_header({name: cookies[name] for name in self.came(cookies, base)})

    def _dump_deletion(self, name: str) -> str:
        return self._dump(name, "", max_age=0)

    def _dump(self, name: str, value: str, *, max_age: int) -> str:
        return dump_cookie(
            name,
            value,
            max_age=max_age,
            expires=0 if max_age == 0 else None,
            path="/",
            domain=self._domain,
            secure=self._secure,
            httponly=True,
            # Cognito comes back from another site, and the callback needs the login cookie.
            samesite="Lax" if name.startswith(self._login) else self._samesite,
            max_size=0,
        )


def size_in_header(values: Mapping[str, str | None]) -> int:
    """Bytes that cookies take in the Cookie header of a request."""
    return sum(len(name) + len("=; ") + len(value or "") for name, value in values.items())


def drop_oldest(values: dict[str, str], room: int) -> None:
    """Take cookies out, the first first, until the others fit into so many bytes."""
    for name in list(values):
        if size_in_header(values) <= room:
            return
        del values[name]
