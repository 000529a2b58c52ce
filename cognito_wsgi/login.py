"""Sign-in: begin it, and finish it at the callback.

The state of one sign-in travels in a sealed cookie of its own, named after its ``state``, so that several tabs
can sign in at once and any process with the same SECRET_KEY can finish what another began. A finished one
stays for a reload of the callback, and to notice sign-ins that do not stick.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, NamedTuple

from .cookies import MAX_TOTAL_SIZE, CookieSet, OwnCookies, drop_oldest, size_in_header
from .endpoints import CognitoClient, GrantRefused, TokenAnswer
from .errors import BadRequestError, CognitoError, TokenExpired, TokenNotYetValid, TokenVerifyError
from .forks import run_in_forked_children
from .seals import Seal, is_sealed
from .session import Session, SessionCookies, Sessions, SessionTooLarge
from .tokens import CLOCK_TOLERANCE

if TYPE_CHECKING:
    from .config import CognitoConfig
    from .tokens import TokenVerifier

log = logging.getLogger("cognito_wsgi")

LOGIN_LIFETIME = 600  # seconds
MAX_LOGINS = 5
#: So many sign-ins completed within so many seconds without a session are a loop.
LOOP_COUNT, LOOP_WINDOW = 3, 60
MAX_USED_STATES = 4096
#: Seconds by which Cognito's clock may differ before a page blames it.
NOTABLE_SKEW = 30

_STATE = re.compile(r"[A-Za-z0-9_-]{43}")
_CODE = re.compile(r"[!-~]{1,2048}")
_to_json = json.JSONEncoder(separators=(",", ":")).encode


class Login(NamedTuple):
    """One sign-in under way, or a finished one, of which ``state`` and ``return_to`` remain."""

    state: str
    nonce: str
    code_verifier: str
    return_to: str
    #: Seconds, where the sign-in was asked for because the last one is too long ago for a rule.
    max_auth_age: int | None = None
    is_finished: bool = False

    @classmethod
    def fresh(cls, return_to: str, max_auth_age: int | None) -> Login:
        """256 bits of chance each, 43 characters that Cognito echoes unchanged (RFC 7636 §4.1)."""
        state, nonce, code_verifier = (secrets.token_urlsafe(32) for _ in range(3))
        return cls(state, nonce, code_verifier, return_to, max_auth_age)

    @property
    def code_challenge(self) -> str:
        """S256 (RFC 7636 §4.2)."""
        digest = hashlib.sha256(self.code_verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def finished(self) -> Login:
        return Login(self.state, "", "", self.return_to, None, True)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(is_finished={self.is_finished})"


class _KnownLogin(NamedTuple):
    name: str
    value: str
    began_at: int
    login: Login

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class Begun(NamedTuple):
    """Where to send the browser, and what to store there first."""

    location: str
    set_cookies: list[str]

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class Finished(NamedTuple):
    return_to: str
    set_cookies: list[str]
    #: None where the callback was only reloaded.
    session: Session | None

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class SignIn:
    def __init__(
        self,
        config: CognitoConfig,
        client: CognitoClient,
        cookie_set: CookieSet,
        verifier: TokenVerifier,
        sessions: Sessions,
        session_cookies: SessionCookies,
    ) -> None:
        self._config = config
        self._client = client
        self._set = cookie_set
        self._verifier = verifier
        self._sessions = sessions
        self._session_cookies = session_cookies
        self._seal = Seal(config, "login")
        self._used: OrderedDict[str, None] = OrderedDict()
        self._start_afresh()
        run_in_forked_children(self, type(self)._start_afresh)

    def _start_afresh(self) -> None:
        self._lock = threading.Lock()

    def begin(
        self,
        cookies: OwnCookies,
        now: float,
        *,
        return_to: str,
        parameters: Mapping[str, str],
        max_auth_age: int | None = None,
        check_loop: bool = True,
        spoilt: Collection[str] = (),
    ) -> Begun:
        """Start a sign-in that comes back to ``return_to``, an address on this site.

        parameters: what is handed on to the authorize endpoint.
        check_loop: whether earlier sign-ins should have left a session.
        spoilt: names of cookies that the answer deletes in any case.

        Raises BadRequestError where sign-ins do not stick.
        """
        known = self._known_logins(cookies, now)
        if check_loop:
            self._stop_loop(known, cookies, now)
        login = Login.fresh(return_to, max_auth_age)
        name = self._set.login_name(login.state)
        newest = {name: self._seal_login(login, now)}
        staying = {one: value for one, value in cookies.items() if one not in spoilt}
        room, given_up = self._make_room(size_in_header(newest), staying, is_signed_in=not check_loop)
        logins = self._latest(known) | newest
        drop_oldest(logins, room)
        if name not in logins:
            raise BadRequestError(
                "Beside the cookies of your session there is no room for an address as long as this one.",
                reason="the login cookie does not fit beside the session's cookies",
            )
        location = self._client.authorize_url(
            {
                **parameters,
                "state": login.state,
                "nonce": login.nonce,
                "code_challenge": login.code_challenge,
                "code_challenge_method": "S256",
            }
        )
        dropped = [old for old in self._set.login_cookies(cookies) if old not in logins and old not in spoilt]
        stored = self._set.store_login(name, logins[name], max_age=LOGIN_LIFETIME)
        return Begun(location, [stored, *self._set.delete([*dropped, *given_up])])

    def finish(self, parameters: Mapping[str, str], cookies: OwnCookies, now: float) -> Finished:
        """What the callback's parameters lead to.

        Raises BadRequestError for a callback that does not fit or was refused, CognitoError.
        """
        known = self._find_login(parameters.get("state", ""), cookies, now)
        if known is not None and known.login.is_finished:
            return Finished(known.login.return_to, [], None)
        if "error" in parameters:
            raise self._refused_by_cognito(parameters, known)
        if parameters.get("iss", self._config.issuer) != self._config.issuer:  # RFC 9207 §2.4
            raise self._refusal(
                "The answer came from another sign-in service.", "iss is another issuer", known
            )
        if known is None:
            raise BadRequestError(
                "This sign-in was not begun in this browser, or more than ten minutes ago, or the browser did not "
                "keep its cookie.",
                reason="no login cookie fits the state of the callback",
            )
        code = parameters.get("code", "")
        if not _CODE.fullmatch(code):
            raise self._refusal(
                "The sign-in service sent no usable code.", "code is missing or malformed", known
            )
        try:
            return self._redeem(code, known, cookies, now)
        except CognitoError as unavailable:  # the token endpoint, or the keys
            unavailable.return_to = known.login.return_to
            raise

    def _redeem(self, code: str, known: _KnownLogin, cookies: OwnCookies, now: float) -> Finished:
        login = known.login
        self._use_up(known)
        try:
            self._verifier.require_keys(now)  # without them the code would be spent in vain
            answer = self._client.exchange_code(code, login.code_verifier)
        except GrantRefused as refused:
            # Where another process was faster, the cookie is its by now, and for a reload: it stays.
            raise self._refusal(
                "The sign-in service did not accept the sign-in; it may have taken too long, or been used already.",
                f"the code was refused: {refused.error}",
                known,
                keep_cookie=True,
            ) from None
        except CognitoError:
            self._release(known)  # the code may still be good: a reload tries again
            raise
        session = self._verify(answer, known, now)
        self._check_recent(session, known, now)
        others = [other for other in self._known_logins(cookies, now) if other.name != known.name]
        logins = self._latest(others) | {known.name: self._seal_login(login.finished(), now)}
        if self._config.cookie_samesite == "Strict":  # the browser has kept them back
            cookies = self._set.with_leftovers(cookies)
        try:
            set_cookies = self._session_cookies.store(
                session, answer.refresh_token, cookies, now, logins=logins
            )
        except SessionTooLarge as error:
            raise self._refusal(
                f"Your sign-in does not fit into cookies; you may be in too many groups. In numbers: {error}.",
                f"a sign-in cannot be kept: {error}",
                known,
            ) from None
        if known.name in logins:
            value = logins[known.name]
            set_cookies.append(self._set.store_login(known.name, value, max_age=LOGIN_LIFETIME))
        return Finished(login.return_to, set_cookies, session)

    def _verify(self, answer: TokenAnswer, known: _KnownLogin, now: float) -> Session:
        """Both tokens, and nothing of either is used before both are verified (RFC 9700 §2.1.1)."""
        nonce = known.login.nonce
        try:
            access = self._verifier.verify_access_token(answer.access_token, now=now)
            user_info = None
            if answer.id_token is not None:
                user_info = self._verifier.verify_id_token(
                    answer.id_token,
                    access_token=answer.access_token,
                    sub=access.claims["sub"],
                    now=now,
                    nonce=nonce,
                )
        except TokenVerifyError as error:
            text = "The sign-in service sent tokens that cannot be trusted."
            if isinstance(error, (TokenNotYetValid, TokenExpired)):  # fresh as it is
                text = "The clock of this server or of the sign-in service is wrong; the operator has to correct it."
            raise self._refusal(text, f"a token was refused: {error.reason}", known) from None
        if user_info is None and self._config.wants_openid:
            raise self._refusal(
                "The sign-in service did not say who you are.",
                "no ID token, though openid was asked for",
                known,
            )
        return self._sessions.make(access, answer.access_token, answer.id_token, user_info)

    def _check_recent(self, session: Session, known: _KnownLogin, now: float) -> None:
        """A classic hosted UI ignores ``prompt=login``: coming back with the old time would go on for ever."""
        max_auth_age = known.login.max_auth_age
        if max_auth_age is None or is_recent(session, max_auth_age, self._config.leeway, now):
            return
        refusal = self._refusal(
            "This page wants you to sign in anew, and the sign-in service did not ask you to. Sign out first, then "
            "sign in again.",
            "auth_time is still too old after prompt=login; the classic hosted UI ignores prompt",
            known,
        )
        refusal.max_auth_age = max_auth_age
        raise refusal

    def _refused_by_cognito(
        self, parameters: Mapping[str, str], known: _KnownLogin | None
    ) -> BadRequestError:
        """What Cognito says in ``error_description`` is anybody's text, and stays out of page and log."""
        error = parameters["error"]
        if not re.fullmatch(r"[a-z_]{1,40}", error):
            error = "unknown"
        return self._refusal(
            f"The sign-in service refused the sign-in ({error}).", f"Cognito refused: {error}", known
        )

    def _refusal(
        self, text: str, reason: str, known: _KnownLogin | None, *, keep_cookie: bool = False
    ) -> BadRequestError:
        """The end of a sign-in. Its cookie goes, mostly; the page offers another try to the same place."""
        spent = [known.name] if known and not keep_cookie else []
        refusal = BadRequestError(text, reason=reason, set_cookies=self._set.delete(spent))
        refusal.return_to = known.login.return_to if known else None
        return refusal

    def _use_up(self, known: _KnownLogin) -> None:
        """A state is good once. The cookie is in the browser's hands; what this process has seen is in ours."""
        with self._lock:
            is_used = known.login.state in self._used
            self._used[known.login.state] = None
            if len(self._used) > MAX_USED_STATES:
                self._used.popitem(last=False)
        if is_used:
            # A request sent twice looks the same: the cookie that the other one has set for a reload must stay.
            raise self._refusal(
                "This sign-in has been completed already.",
                "the state was used before",
                known,
                keep_cookie=True,
            )

    def _release(self, known: _KnownLogin) -> None:
        with self._lock:
            self._used.pop(known.login.state, None)

    # login cookies

    def find_spoilt(self, cookies: OwnCookies) -> tuple[str, ...]:
        """The names of login cookies that nobody can open, whatever keys another process may have."""
        logins = self._set.login_cookies(cookies).items()
        return tuple(name for name, value in logins if value is None or not is_sealed(value))

    def _seal_login(self, login: Login, now: float) -> str:
        return self._seal.seal(_to_json(login).encode(), now)

    def _find_login(self, state: str, cookies: OwnCookies, now: float) -> _KnownLogin | None:
        if not _STATE.fullmatch(state):
            return None
        name = self._set.login_name(state)
        known = self._open_login(name, cookies.get(name), now)
        if known is None or not hmac.compare_digest(known.login.state, state):
            return None
        return known

    def _known_logins(self, cookies: OwnCookies, now: float) -> list[_KnownLogin]:
        """The sign-ins that a request's cookies speak of, oldest first."""
        opened = [
            self._open_login(name, value, now) for name, value in self._set.login_cookies(cookies).items()
        ]
        return sorted((known for known in opened if known is not None), key=lambda known: known.began_at)

    def _open_login(self, name: str, value: str | None, now: float) -> _KnownLogin | None:
        opened = self._seal.open(value, max_age=LOGIN_LIFETIME, now=now) if value else None
        if value is None or opened is None:
            return None
        try:
            login = Login(*json.loads(opened.data))
        except (ValueError, TypeError):  # sealed by another version, while a fleet is being renewed
            return None
        return _KnownLogin(name, value, opened.sealed_at, login)

    @staticmethod
    def _latest(known: list[_KnownLogin]) -> dict[str, str]:
        """The login cookies to be kept beside one more, by name, oldest first."""
        return {login.name: login.value for login in known[-(MAX_LOGINS - 1) :]}

    def _make_room(self, needed: int, cookies: OwnCookies, *, is_signed_in: bool) -> tuple[int, list[str]]:
        """Bytes for login cookies beside the session's, and the names of those to give up for that.

        The ID token's go first. The access token's are kept if it is known to be good.
        """
        bases = (self._set.access, self._set.id, self._set.refresh)
        room = MAX_TOTAL_SIZE - sum(self._set.size_that_came(cookies, base) for base in bases)
        given_up: list[str] = []
        for base in (self._set.id,) if is_signed_in else (self._set.id, self._set.access):
            if room < needed:
                room += self._set.size_that_came(cookies, base)
                given_up += self._set.came(cookies, base)
        return room if is_signed_in else max(room, needed), given_up

    def _stop_loop(self, known: list[_KnownLogin], cookies: OwnCookies, now: float) -> None:
        recent = [one for one in known if one.login.is_finished and 0 <= now - one.began_at < LOOP_WINDOW]
        if len(recent) < LOOP_COUNT:
            return
        cause, text = self._likely_cause(cookies)
        log.error("%d sign-ins within a minute did not stick; likely cause: %s", len(recent), cause)
        raise BadRequestError(
            f"You have signed in {len(recent)} times within a minute, and it did not last. {text}",
            reason=f"sign-ins do not stick; likely cause: {cause}",
            set_cookies=self._set.delete(one.name for one in recent),
        )

    def _likely_cause(self, cookies: OwnCookies) -> tuple[str, str]:
        skew = self._client.clock_skew
        if skew is not None and abs(skew) > NOTABLE_SKEW:
            return (
                f"clock, {skew:+.0f} s between Cognito's and this server's",
                f"Likely cause: the clock of this server differs from the sign-in service's by {abs(skew):.0f} seconds.",
            )
        came = self._set.came(cookies, self._set.access)
        if came and self._set.join(cookies, self._set.access) is None:
            return (
                "size, a part of the session's cookies is missing",
                "Likely cause: the size of the cookies.",
            )
        if came:
            return (
                "clock, the token had expired when it came back",
                "Likely cause: a wrong clock, or very short tokens.",
            )
        return (
            "cookies not kept, Secure over http, blocked, or too large",
            "Likely cause: the browser does not keep this site's cookies. They may be blocked, be too large, or be "
            "meant for https while the site is visited over http.",
        )


def is_recent(session: Session, max_auth_age: int, leeway: int, now: float) -> bool:
    """Whether a person signed in at most so many seconds ago. A token that does not tell, or a machine's, did not."""
    auth_time = session.claims.get("auth_time")
    if session.is_machine or isinstance(auth_time, bool) or not isinstance(auth_time, (int, float)):
        return False
    # Cognito counts in whole seconds, and its clock may be a little ahead.
    return -max(CLOCK_TOLERANCE, leeway) <= int(now) - auth_time <= max_auth_age + leeway
