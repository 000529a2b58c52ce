"""The session: verified tokens, remembered, and the cookies that carry them.

A session is nothing but its tokens. What is remembered of it is what verification found out, keyed by the
whole tokens, and it is worth nothing once they expire or their keys leave the pool; any other process finds
out the same from the same cookies.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from .cookies import MAX_TOTAL_SIZE, CookieSet, OwnCookies, drop_oldest, size_in_header
from .errors import CognitoError, CognitoWsgiError, TokenExpired, TokenVerifyError
from .forks import run_in_forked_children
from .seals import Seal, is_sealed, pack_refresh_token, unpack_refresh_token
from .tokens import Claims, TokenVerifier, VerifiedToken, group_names, scope_names

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from .config import CognitoConfig
    from .jwks import KeySet, KeyStore

log = logging.getLogger("cognito_wsgi")

#: Sessions that a process remembers.
MAX_REMEMBERED = 10_000
#: No store of keys has this one, nor is it None: a session that has it was not looked up in any.
_NO_KEYS: KeySet = {}
#: Seconds that browsers keep a cookie at most, whatever they are told (RFC 6265bis §5.5).
MAX_COOKIE_AGE = 400 * 24 * 3600


class SessionTooLarge(CognitoWsgiError):
    """The cookies of a session would not pass the servers on the way. Sizes in bytes."""

    def __init__(self, access: int, refresh: int) -> None:
        self.access = access
        self.refresh = refresh
        super().__init__(
            f"the access token takes {access:,} bytes of cookies and the refresh token {refresh:,}, together they may "
            f"take {MAX_TOTAL_SIZE:,}; fewer groups, groups with shorter names or fewer claims in the access token help"
        )


class Session:
    """What verification found out about a pair of tokens.

    user_info: the ID token's claims; None if there is none, or it was refused.
    is_id_token_spoilt: whether it can never become good.
    copiers, user_info_copiers: what copies the claims that the application could change otherwise.
    expires_at, user_info_expires_at: Unix seconds, leeway included.
    """

    __slots__ = (
        "_key",
        "_user_info_key",
        "access_token",
        "claims",
        "copiers",
        "expires_at",
        "group_set",
        "groups",
        "id_token",
        "is_id_token_spoilt",
        "is_machine",
        "keys",
        "remote_user",
        "scopes",
        "user_info",
        "user_info_copiers",
        "user_info_expires_at",
    )

    def __init__(
        self,
        access: VerifiedToken,
        access_token: str,
        *,
        leeway: int,
        id_token: str | None = None,
        user_info: VerifiedToken | None = None,
        is_id_token_spoilt: bool = False,
    ) -> None:
        claims = self.claims = access.claims
        self._key = access.key
        self.access_token = access_token
        self.expires_at = float(claims["exp"] + leeway)
        self.is_machine = "username" not in claims
        self.groups = () if self.is_machine else group_names(claims)  # they are users'
        self.group_set = _set_of(self.groups)
        self.scopes = scope_names(claims)
        # PEP 3333: text of the environ is bytes as latin-1.
        name: str = claims["client_id"] if self.is_machine else claims["username"]
        self.remote_user = name.encode().decode("latin-1")
        self.copiers = _copiers(claims)
        self.id_token = id_token
        self.is_id_token_spoilt = is_id_token_spoilt
        self.user_info = user_info.claims if user_info else None
        self.user_info_expires_at = float(user_info.claims["exp"] + leeway) if user_info else 0.0
        self._user_info_key = user_info.key if user_info else None
        self.user_info_copiers = _copiers(user_info.claims) if user_info else ()
        #: The set in which both keys were last found. The only thing here that ever changes.
        self.keys = _NO_KEYS

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    @property
    def sub(self) -> str:
        sub: str = self.claims["sub"]
        return sub

    def is_backed_by(self, keys: KeySet | None) -> bool:
        """Whether the keys that signed the tokens are still the pool's."""
        if keys is None:
            return False
        for key in (self._key, self._user_info_key):
            if key is not None and keys.get(key.kid) != key:
                return False
        self.keys = keys
        return True


def show(session: Session | None, environ: WSGIEnvironment, now: float) -> None:
    """Write the gateway's keys of the environ over whatever stood there (design.md §5).

    The claims are copies, which the application may change; those of the ID token are left out once expired.
    """
    if session is None:
        environ["cognito.claims"] = None
        environ["cognito.user_info"] = None
        environ["cognito.groups"] = ()
        environ["cognito.access_token"] = None
        environ.pop("REMOTE_USER", None)
        environ.pop("AUTH_TYPE", None)
        return
    claims = environ["cognito.claims"] = session.claims.copy()
    for name, copy in session.copiers:
        claims[name] = copy(claims[name])
    user_info = None
    if session.user_info is not None and now < session.user_info_expires_at:
        user_info = session.user_info.copy()
        for name, copy in session.user_info_copiers:
            user_info[name] = copy(user_info[name])
    environ["cognito.user_info"] = user_info
    environ["cognito.groups"] = session.groups
    environ["cognito.access_token"] = session.access_token
    environ["REMOTE_USER"] = session.remote_user
    environ["AUTH_TYPE"] = "Cognito"


@lru_cache(maxsize=256)  # many users are in the same groups, and then share one set
def _set_of(groups: tuple[str, ...]) -> frozenset[str]:
    return frozenset(groups)


_CONTAINERS = frozenset({list, dict})  # JSON makes no others, nor subclasses of these
_Copiers: TypeAlias = tuple[tuple[str, Callable[[Any], Any]], ...]


def _copiers(claims: Claims) -> _Copiers:
    """The claims that hold a list or an object, and so could be changed from outside, with what copies them."""
    return _shared(
        tuple([(name, _copier(value)) for name, value in claims.items() if type(value) in _CONTAINERS])
    )


def _copier(value: Any) -> Callable[[Any], Any]:
    return list.copy if type(value) is list and _CONTAINERS.isdisjoint(map(type, value)) else copy_json


@lru_cache(maxsize=256)  # nearly all tokens have lists in the same claims
def _shared(copiers: _Copiers) -> _Copiers:
    return copiers


def copy_json(value: Any) -> Any:
    """A copy of what ``json.loads`` makes, all the way down."""
    if isinstance(value, list):
        return [copy_json(item) for item in value]
    if isinstance(value, dict):
        return {name: copy_json(item) for name, item in value.items()}
    return value


#: What a session is remembered by: the text of a cookie, or that of an Authorization header by itself in a tuple.
_Name: TypeAlias = str | tuple[str]


class Sessions:
    """Tokens in, sessions out; each pair of tokens is verified once in a process."""

    def __init__(self, config: CognitoConfig, keys: KeyStore, verifier: TokenVerifier) -> None:
        self._leeway = config.leeway
        self._keys = keys
        self._verifier = verifier
        self._remembered: OrderedDict[_Name, Session] = OrderedDict()
        self._recall = self._remembered.get
        self._start_afresh()
        run_in_forked_children(self, type(self)._start_afresh)

    def _start_afresh(self) -> None:
        self._lock = threading.Lock()  # held for a moment by a newcomer, never while anything is awaited

    def find(
        self, access_token: str, id_token: str | None, now: float, bearer: bool = False, wait: bool = True
    ) -> Session:
        """The session of these tokens.

        Raises TokenVerifyError if the access token is refused, CognitoError if that cannot be told. An ID
        token that is refused only leaves ``user_info`` empty.
        """
        # A token that was taken in the Authorization header need not do in a cookie, whatever text that holds.
        name = (access_token,) if bearer else access_token
        recall = self._recall  # a method to call at once is looked for in the class first
        session = recall(name)
        if session is not None and now < session.expires_at:
            keys = self._keys.current(now)
            if session.id_token == id_token and (session.keys is keys or session.is_backed_by(keys)):
                return session
        return self._verify(name, access_token, id_token, now, bearer=bearer, wait=wait)

    def _verify(
        self, name: _Name, access_token: str, id_token: str | None, now: float, *, bearer: bool, wait: bool
    ) -> Session:
        access = self._verifier.verify_access_token(access_token, now=now, bearer=bearer, wait=wait)
        user_info, error = self._verify_id_token(id_token, access_token, access, now, wait)
        is_spoilt = isinstance(error, TokenVerifyError) and error.hopeless
        session = Session(
            access,
            access_token,
            leeway=self._leeway,
            id_token=id_token,
            user_info=user_info,
            is_id_token_spoilt=is_spoilt,
        )
        if (
            error is None or is_spoilt or isinstance(error, TokenExpired)
        ):  # else the next try may end otherwise
            self._remember(name, session)
        return session

    def require_keys(self, now: float) -> None:
        """Raises CognitoError where no token could be verified."""
        self._verifier.require_keys(now)

    def make(
        self, access: VerifiedToken, access_token: str, id_token: str | None, user_info: VerifiedToken | None
    ) -> Session:
        return Session(access, access_token, leeway=self._leeway, id_token=id_token, user_info=user_info)

    def _verify_id_token(
        self, id_token: str | None, access_token: str, access: VerifiedToken, now: float, wait: bool
    ) -> tuple[VerifiedToken | None, TokenVerifyError | CognitoError | None]:
        """Its claims if it may be trusted, else why not."""
        if id_token is None:
            return None, None
        try:
            verified = self._verifier.verify_id_token(
                id_token,
                access_token=access_token,
                sub=access.claims["sub"],
                now=now,
                access_claims=access.claims,
                wait=wait,
            )
        except (TokenVerifyError, CognitoError) as error:
            log.debug("the ID token of a session is not taken: %s", error.reason)
            return None, error
        return verified, None

    def _remember(self, name: _Name, session: Session) -> None:
        with self._lock:
            self._remembered[name] = session
            if len(self._remembered) > MAX_REMEMBERED:
                self._remembered.popitem(last=False)


class RefreshCookie(NamedTuple):
    token: str
    #: Whose it is; None where the cookie is not encrypted and cannot tell.
    sub: str | None

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class SessionCookies:
    """Puts sessions into cookies, and finds the refresh token in them."""

    def __init__(self, config: CognitoConfig, cookie_set: CookieSet) -> None:
        self._config = config
        self._set = cookie_set
        self._seal = Seal(config, "refresh")

    def find_refresh_token(self, cookies: OwnCookies, now: float) -> RefreshCookie | None:
        text = self._set.join(cookies, self._set.refresh)
        if text is None:
            return None
        if not self._config.refresh_cookie_encrypted:
            return RefreshCookie(text, None) if text.isascii() else None
        opened = self._seal.open(text, max_age=self._config.refresh_cookie_max_age, now=now)
        return RefreshCookie(*unpack_refresh_token(opened.data)) if opened else None

    def is_refresh_token_broken(self, cookies: OwnCookies) -> bool:
        """Whether the cookie came and nobody can use it, whatever keys another process may have."""
        text = self._set.join(cookies, self._set.refresh)
        if text is None:
            return bool(self._set.came(cookies, self._set.refresh))
        return not (is_sealed(text) if self._config.refresh_cookie_encrypted else text.isascii())

    def store(
        self,
        session: Session,
        refresh_token: str | None,
        cookies: OwnCookies,
        now: float,
        *,
        logins: dict[str, str],
    ) -> list[str]:
        """``Set-Cookie`` values for a session, within what servers take.

        logins: login cookies to be kept, by name, oldest first. Where room is short the ID token is left out, and
            then the oldest of these are taken out of the dict; those that came and are not in it are deleted.

        Raises SessionTooLarge if even that does not do.
        """
        access, refresh = session.access_token, self._refresh_text(refresh_token, session.sub, now)
        access_size = self._set.size(self._set.access, access)
        refresh_size = self._set.size(self._set.refresh, refresh)
        room = MAX_TOTAL_SIZE - access_size - refresh_size
        if room < 0:
            raise SessionTooLarge(access_size, refresh_size)
        id_token = self._id_token_within(room - size_in_header(logins), session)
        drop_oldest(logins, room - self._set.size(self._set.id, id_token))
        stored = [
            (self._set.access, access, self._max_age(session.expires_at, now)),
            (self._set.id, id_token, self._max_age(session.user_info_expires_at, now)),
            (self._set.refresh, refresh, self._config.refresh_cookie_max_age),
        ]
        changes = [
            change
            for base, value, max_age in stored
            for change in self._set.store(base, value, max_age=max_age, cookies=cookies)
        ]
        return changes + self._set.delete(
            name for name in self._set.login_cookies(cookies) if name not in logins
        )

    def _id_token_within(self, room: int, session: Session) -> str | None:
        """The ID token, if it is good for something and there is room for it."""
        if session.id_token is None or session.user_info is None:
            return None
        size = self._set.size(self._set.id, session.id_token)
        if size <= room:
            return session.id_token
        log.warning(
            "the ID token of a session is left out, and cognito.user_info will be None: it takes %d bytes of cookies, "
            "and beside the others %d are left of %d",
            size,
            max(0, room),
            MAX_TOTAL_SIZE,
        )
        return None

    def _max_age(self, expires_at: float, now: float) -> int:
        """Seconds that a token's cookie lives: as long as the token, or less if so configured."""
        remaining = max(1, int(expires_at - now))
        return min(remaining, self._config.cookie_max_age or remaining, MAX_COOKIE_AGE)

    def store_refresh_token(
        self, refresh_token: str | None, sub: str | None, cookies: OwnCookies, now: float
    ) -> list[str]:
        """``Set-Cookie`` values for a refresh token alone; [] for None.

        sub: whose it is, as the cookie of the one before it said.
        """
        if refresh_token is None:
            return []
        text = self._refresh_text(refresh_token, sub or "", now)
        max_age = self._config.refresh_cookie_max_age
        return self._set.store(self._set.refresh, text, max_age=max_age, cookies=cookies)

    def _refresh_text(self, refresh_token: str | None, sub: str, now: float) -> str | None:
        """What the refresh token's cookie holds; None for no cookie."""
        if refresh_token is None or not self._config.refresh_enabled:
            return None
        if not self._config.refresh_cookie_encrypted:
            return refresh_token
        return self._seal.seal(pack_refresh_token(refresh_token, sub), now)
