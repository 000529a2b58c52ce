"""Who sent a request: the session of its cookies, refreshed if need be, or of its Authorization header."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from .errors import (
    AuthorisationRequiredError,
    BadRequestError,
    CognitoError,
    MissingToken,
    RefusalError,
    TokenExpired,
    TokenVerifyError,
    UnknownKey,
)
from .refresh import RefreshRefused, UnverifiedTokensError
from .session import SessionTooLarge
from .tokens import is_malformed

if TYPE_CHECKING:
    from .config import CognitoConfig
    from .cookies import CookieSet
    from .refresh import Refresher
    from .request import Request
    from .session import RefreshCookie, Session, SessionCookies, Sessions
    from .site import Site

log = logging.getLogger("cognito_wsgi")

#: RFC 6750 §3. Cookies have no scheme of their own, and a 401 has to name one (RFC 9110 §15.5.2).
CHALLENGE = 'Bearer realm="cognito"'


class Visitors:
    def __init__(
        self,
        config: CognitoConfig,
        site: Site,
        cookie_set: CookieSet,
        sessions: Sessions,
        session_cookies: SessionCookies,
        refresher: Refresher,
    ) -> None:
        self._bearer_enabled = config.bearer_enabled
        self._refresh_enabled = config.refresh_enabled
        self._site = site
        self._set = cookie_set
        self._sessions = sessions
        self._session_cookies = session_cookies
        self._refresher = refresher

    def is_by_bearer(self, request: Request) -> bool:
        """Whether the Authorization header says who sent a request, and cookies do not count."""
        return self._bearer_enabled and request.has_bearer

    def find(self, request: Request) -> Session:
        """The visitor's session. Raises RefusalError if there is none, or it may not be used for this request."""
        if self._bearer_enabled and request.has_bearer:
            return self._find_by_bearer(request)
        try:
            access_token, id_token = self._set.tokens(request.cookies)
            session = self._sessions.find(access_token, id_token, request.now)
        except TokenVerifyError as error:
            return self._refreshed(request, error)
        if session.is_id_token_spoilt:
            self._note_spoilt(request, self._set.id)
        if request.is_unsafe:
            self._site.refuse_other_origins(request)
        return session

    def find_aside(self, request: Request) -> Session | None:
        """The visitor's session where none is needed: nothing is waited for, and nothing is refused."""
        try:
            if self._bearer_enabled and request.has_bearer:
                return self._sessions.find(
                    request.take_bearer_token(), None, request.now, bearer=True, wait=False
                )
            if not request.cookies:
                return None
            if request.is_unsafe:
                self._site.refuse_other_origins(request)
            access_token, id_token = self._set.tokens(request.cookies)
            session = self._sessions.find(access_token, id_token, request.now, wait=False)
            if session.is_id_token_spoilt:
                self._note_spoilt(request, self._set.id)
            return session
        except TokenVerifyError as error:
            if error.hopeless and not request.is_bearer:
                self._note_spoilt(request, self._set.access)
        except RefusalError as error:
            log.debug("no session on this public path: %s", error.reason)
        return None

    def find_sub(self, request: Request) -> str | None:
        """Whose access token came, live or expired, where that can be told without waiting."""
        try:
            access_token, id_token = self._set.tokens(request.cookies)
            return self._sessions.find(access_token, id_token, request.now, wait=False).sub
        except TokenExpired as expired:
            return str(expired.claims["sub"])
        except (TokenVerifyError, CognitoError):
            return None

    def find_refresh_token(self, request: Request) -> RefreshCookie | None:
        """The refresh token, if the cookie holds one that may be used."""
        found = self._session_cookies.find_refresh_token(request.cookies, request.now)
        if found is None:
            self._note_spoilt(request, self._set.refresh)
        return found

    def refresh(self, request: Request, cookie: RefreshCookie, *, sub: str | None = None) -> Session:
        """A session with new tokens, their cookies in ``request.set_cookies``.

        sub: whose session it was, where that is known beside the cookie.

        Raises AuthorisationRequiredError if it has ended, CognitoError if that cannot be told.
        """
        id_token = self._set.join(request.cookies, self._set.id)
        try:
            session, refresh_token = self._refresher.refresh(cookie.token, id_token)
        except RefreshRefused as error:
            raise not_signed_in(str(error)) from None
        except UnverifiedTokensError as error:
            error.set_cookies = self._rotated(request, error.refresh_token, cookie.sub)
            raise
        if {sub, cookie.sub} - {None, session.sub}:
            request.spoilt_cookies += self.session_cookies_of(request)
            raise not_signed_in("the refreshed tokens are another user's")
        logins = {name: value for name, value in self._set.login_cookies(request.cookies).items() if value}
        try:
            request.set_cookies = self._session_cookies.store(
                session, refresh_token, request.cookies, request.now, logins=logins
            )
            request.cookies = self._set.after(request.cookies, request.set_cookies)
            request.spoilt_cookies = ()
        except SessionTooLarge as error:
            log.error("a refreshed session cannot be kept: %s", error)
            raise BadRequestError(
                "Your session has become too large for cookies.",
                reason=str(error),
                set_cookies=self._rotated(request, refresh_token, session.sub),
            ) from None
        return session

    def _rotated(self, request: Request, refresh_token: str | None, sub: str | None) -> tuple[str, ...]:
        """What keeps a refresh token that has come where nothing else can be kept: the one before it may be dead."""
        return tuple(
            self._session_cookies.store_refresh_token(refresh_token, sub, request.cookies, request.now)
        )

    def note_spoilt(self, request: Request) -> None:
        """Each cookie of a session that can be seen to be broken, whether or not it was needed (design.md §7)."""
        for base in (self._set.access, self._set.id):
            token = self._set.join(request.cookies, base)
            if token is None or is_malformed(token):
                self._note_spoilt(request, base)
        if self._refresh_enabled and self._session_cookies.is_refresh_token_broken(request.cookies):
            self._note_spoilt(request, self._set.refresh)

    def session_cookies_of(self, request: Request) -> tuple[str, ...]:
        """The names of all cookies of a session that came."""
        bases = (self._set.access, self._set.id, self._set.refresh)
        return tuple(name for base in bases for name in self._set.came(request.cookies, base))

    def _note_spoilt(self, request: Request, base: str) -> None:
        """A cookie that is worth nothing: the next answer of ours takes it away."""
        request.spoilt_cookies += tuple(self._set.came(request.cookies, base))

    def _refreshed(self, request: Request, error: TokenVerifyError) -> Session:
        """A new session in place of one that has expired or is gone, for the request to go on with."""
        if error.hopeless:
            self._note_spoilt(request, self._set.access)
        if not self._refresh_enabled or not isinstance(error, (MissingToken, TokenExpired, UnknownKey)):
            raise not_signed_in(error.reason)
        cookie = self.find_refresh_token(request)
        if cookie is None:
            raise not_signed_in(error.reason)
        if request.is_unsafe:
            self._site.refuse_other_origins(request)
        sub = str(error.claims["sub"]) if isinstance(error, TokenExpired) else None
        return self.refresh(request, cookie, sub=sub)

    def _find_by_bearer(self, request: Request) -> Session:
        """The token of the Authorization header decides alone (RFC 6750 §3.1)."""
        token = request.take_bearer_token()
        if not token:
            raise AuthorisationRequiredError(
                "Send an access token.", reason="Bearer without a token", challenge=CHALLENGE
            )
        try:
            return self._sessions.find(token, None, request.now, bearer=True)
        except TokenVerifyError as error:
            raise AuthorisationRequiredError(
                "The access token is not accepted.",
                reason=f"Bearer token refused: {error.reason}",
                challenge=f'{CHALLENGE}, error="invalid_token", error_description="The access token is not accepted"',
            ) from None


def not_signed_in(reason: str) -> AuthorisationRequiredError:
    return AuthorisationRequiredError(
        "You are not signed in, or your session has ended.", reason=reason, challenge=CHALLENGE
    )
