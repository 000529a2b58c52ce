"""New tokens for a refresh token: once, however many requests ask for them.

All requests of a process that bear the same refresh token share one call to Cognito, and latecomers get its
answer for a minute, since a rotated token is dead at once (Cognito: "Refresh token rotation"). What another
process did cannot be known here, so a refusal never takes a cookie away from the browser.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from concurrent.futures import Future
from typing import TYPE_CHECKING, NamedTuple, cast

from .endpoints import CognitoClient, GrantRefused, TokenAnswer, unavailable
from .errors import CognitoError, CognitoWsgiError, TokenExpired, TokenVerifyError
from .events import Events, RefreshFailed, SessionRefreshed
from .forks import run_in_forked_children

if TYPE_CHECKING:
    from .session import Session, Sessions

SHARED_FOR = 60  # seconds that an answer, or the death of a token, is remembered
MAX_SHARED = 4096  # refresh tokens that are remembered


class RefreshRefused(CognitoWsgiError):
    """The session has ended, or the token was rotated by another process a moment ago: it looks the same here.

    So the browser's cookies stay, as the winner of that race may have set them anew.
    """


class UnverifiedTokensError(CognitoError):
    """Cognito has answered with tokens that cannot be verified now. ``refresh_token``: the one it rotated to, if so.

    The browser has to have that one, since the one it has is dead.
    """

    refresh_token: str | None = None


class Refreshed(NamedTuple):
    session: Session
    #: The refresh token to keep from now on: the new one, or the old one if it was not rotated.
    refresh_token: str

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class _Entry:
    """What is known of one refresh token."""

    __slots__ = ("answer", "answered_at", "died_at", "successor")

    def __init__(self) -> None:
        self.answer: Future[TokenAnswer | None] = Future()  # None of a dead token
        self.answered_at: float | None = None
        #: The token it was rotated to.
        self.successor: str | None = None
        #: When Cognito refused it, or the user signed out.
        self.died_at: float | None = None

    def is_stale(self, now: float) -> bool:
        since = self.answered_at if self.died_at is None else self.died_at
        return since is not None and abs(now - since) >= SHARED_FOR


class Refresher:
    def __init__(
        self, client: CognitoClient, sessions: Sessions, events: Events | None = None, *, timeout: float
    ) -> None:
        self._client = client
        self._sessions = sessions
        self._events = events or Events()
        self._timeout = timeout
        self._start_afresh()
        run_in_forked_children(self, type(self)._start_afresh)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def _start_afresh(self) -> None:
        """Locks and calls of a parent process mean nothing in a forked child."""
        self._lock = threading.Lock()  # held for a moment, never during a call
        self._entries: OrderedDict[str, _Entry] = OrderedDict()  # by refresh token, oldest first

    def refresh(self, refresh_token: str, id_token: str | None) -> Refreshed:
        """A new session, by this request or by another that bears the same token.

        id_token: the old one, kept if Cognito sends none.

        Raises RefreshRefused if the session has ended, UnverifiedTokensError if what Cognito sent cannot be used,
        CognitoError if Cognito could not be asked.
        """
        started = time.time()
        while True:
            refresh_token, entry, is_mine = self._claim(refresh_token)
            if is_mine:
                self._call(refresh_token, entry)
            answer = self._wait(entry)
            try:
                session = self._sessions.find(answer.access_token, answer.id_token or id_token, time.time())
            except CognitoError as error:  # a key that cannot be had
                raise _unverified(error, answer) from None
            except TokenVerifyError as error:
                if is_mine or not isinstance(error, TokenExpired):
                    raise _unverified(self._useless(error), answer) from None
                self._forget(refresh_token, entry)  # tokens that live for less than a latecomer's minute
                refresh_token = entry.successor or refresh_token
            else:
                if is_mine:
                    self._events.emit(SessionRefreshed(sub=session.sub, seconds=time.time() - started))
                return Refreshed(session, answer.refresh_token or refresh_token)

    def sign_out(self, refresh_token: str) -> str:
        """Let no request have what was got with this token; what was got before it leads to it.

        Returns the token to revoke: this one, or the newest that other requests have got for it meanwhile.
        """
        now = time.time()
        newest = refresh_token
        with self._lock:
            while True:
                entry = self._find(newest, now) or self._add(newest, now)
                entry.died_at = now
                if entry.successor is None:
                    return newest
                newest = entry.successor

    # what is known of the tokens; under the lock

    def _claim(self, refresh_token: str) -> tuple[str, _Entry, bool]:
        """The token to refresh, its entry, and whether it is for the caller to ask Cognito.

        It is another token than that given where that one was rotated and the new one has been used as well.
        """
        now = time.time()
        with self._lock:
            entry = self._find(refresh_token, now)
            while entry is not None and entry.successor is not None:
                newer = self._find(entry.successor, now)
                if newer is None:
                    break
                refresh_token, entry = entry.successor, newer
            if entry is not None:
                return refresh_token, entry, False
            return refresh_token, self._add(refresh_token, now), True

    def _find(self, refresh_token: str, now: float) -> _Entry | None:
        entry = self._entries.get(refresh_token)
        return None if entry is None or entry.is_stale(now) else entry

    def _add(self, refresh_token: str, now: float) -> _Entry:
        while self._entries and next(iter(self._entries.values())).is_stale(now):
            self._entries.popitem(last=False)
        entry = self._entries[refresh_token] = _Entry()
        self._entries.move_to_end(refresh_token)
        if len(self._entries) > MAX_SHARED:
            self._entries.popitem(last=False)
        return entry

    def _forget(self, refresh_token: str, entry: _Entry) -> None:
        """Let the next request ask Cognito again, unless that would be with a token that was rotated."""
        with self._lock:
            is_over = entry.successor is not None or entry.died_at is not None
            if not is_over and self._entries.get(refresh_token) is entry:
                del self._entries[refresh_token]

    # Cognito

    def _call(self, refresh_token: str, entry: _Entry) -> None:
        """Ask, for all who share the entry."""
        try:
            self._sessions.require_keys(time.time())  # else a token that is rotated would be spent in vain
            answer = self._client.refresh(refresh_token)
        except GrantRefused:
            entry.died_at = time.time()
            entry.answer.set_result(None)
            self._events.emit(RefreshFailed(is_final=True, reason="Cognito refuses the refresh token"))
        except BaseException as error:
            # Those who wait share the failure; the next request tries again.
            self._forget(refresh_token, entry)
            if not isinstance(error, CognitoError):  # this worker is being stopped
                entry.answer.set_exception(unavailable("a refresh was broken off"))
                raise
            entry.answer.set_exception(error)
            self._events.emit(RefreshFailed(is_final=False, reason=error.reason))
        else:
            self._settle(entry, answer)

    def _settle(self, entry: _Entry, answer: TokenAnswer) -> None:
        with self._lock:
            entry.answered_at = time.time()
            # One that is known is the same as before; so no chain has a ring.
            if answer.refresh_token not in self._entries:
                entry.successor = answer.refresh_token
            is_signed_out = entry.died_at is not None
        entry.answer.set_result(answer)
        if is_signed_out and entry.successor is not None:
            self._revoke_quietly(entry.successor)

    def _wait(self, entry: _Entry) -> TokenAnswer:
        answer = None
        if entry.died_at is None:
            try:
                answer = entry.answer.result(timeout=2 * self._timeout)
            except TimeoutError:
                raise unavailable("a refresh did not end") from None
            except CognitoError as error:
                raise _for_one_request(error) from None
        if answer is None or entry.died_at is not None:
            raise RefreshRefused(
                "the refresh token is dead: Cognito has refused it, or the user has signed out"
            )
        return answer

    def _revoke_quietly(self, refresh_token: str) -> None:
        try:
            self._client.revoke(refresh_token)
        except CognitoError:
            return  # reported where it happened

    def _useless(self, error: TokenVerifyError) -> CognitoError:
        reason = f"the access token that Cognito sent is refused: {error.reason}"
        self._events.emit(RefreshFailed(is_final=False, reason=reason))
        return unavailable(reason)


def _unverified(error: CognitoError, answer: TokenAnswer) -> UnverifiedTokensError:
    retry_after = cast("int | None", error.retry_after)
    unverified = UnverifiedTokensError(error.description or "", reason=error.reason, retry_after=retry_after)
    unverified.refresh_token = answer.refresh_token
    return unverified


def _for_one_request(error: CognitoError) -> CognitoError:
    """The same again: the gateway writes into a refusal, and others share this one."""
    retry_after = cast("int | None", error.retry_after)
    return CognitoError(error.description or "", reason=error.reason, retry_after=retry_after)
