"""New tokens for a refresh token: once, however many requests ask for them.

All requests of a process that bear the same refresh token share one call to Cognito, and latecomers get its
result for a minute, since a rotated token is dead at once (Cognito: "Refresh token rotation"). What another
process did cannot be known here, so a refusal alone never takes a cookie away from the browser.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections import OrderedDict
from concurrent.futures import Future
from typing import TYPE_CHECKING, NamedTuple

from .endpoints import CognitoClient, GrantRefused, unavailable
from .errors import CognitoError, CognitoWsgiError, TokenVerifyError
from .events import Events, RefreshFailed, SessionRefreshed
from .forks import run_in_forked_children

if TYPE_CHECKING:
    from .session import Session, Sessions

log = logging.getLogger("cognito_wsgi")

SHARED_FOR = 60  # seconds that a result, or the death of a token, is remembered
MAX_SHARED = 4096  # refresh tokens that are remembered
#: Seconds after which a dead token can no longer be that of a request overtaken by another process's refresh.
OVERTAKEN_WITHIN = 5


class RefreshRefused(CognitoWsgiError):
    """The session has ended.

    is_settled: whether it has been over for so long that its cookies may go. A request that lost a race
        against another process looks the same at first, and must not delete what the winner has set.
    """

    def __init__(self, reason: str, *, is_settled: bool) -> None:
        self.is_settled = is_settled
        super().__init__(reason)


class Refreshed(NamedTuple):
    session: Session
    #: The refresh token to keep from now on: the new one, or the old one if it was not rotated.
    refresh_token: str


class _Entry:
    """What is known of one refresh token."""

    __slots__ = ("died_at", "future", "is_signed_out", "settled_at")

    def __init__(self) -> None:
        self.future: Future[Refreshed] = Future()
        self.settled_at: float | None = None  # when the result came
        self.died_at: float | None = None
        self.is_signed_out = False

    def is_stale(self, now: float) -> bool:
        since = self.died_at if self.died_at is not None else self.settled_at
        return since is not None and not 0 <= now - since < SHARED_FOR


class Refresher:
    def __init__(
        self, client: CognitoClient, sessions: Sessions, events: Events | None = None, *, timeout: float
    ) -> None:
        self._events = events or Events()
        self._client = client
        self._sessions = sessions
        self._timeout = timeout
        self._start_afresh()
        run_in_forked_children(self._start_afresh)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def _start_afresh(self) -> None:
        """Locks and calls of a parent process mean nothing in a forked child."""
        self._lock = threading.Lock()
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()

    def refresh(self, refresh_token: str, id_token: str | None, now: float) -> Refreshed:
        """A new session, by this request or by another that bears the same token.

        id_token: the old one, kept if Cognito sends none.

        Raises RefreshRefused if the session has ended, CognitoError if that cannot be told.
        """
        while True:
            name = _digest(refresh_token)
            with self._lock:
                entry, is_mine = self._entry(name, now)
            if entry.died_at is not None:
                raise RefreshRefused(
                    "the refresh token is dead", is_settled=now - entry.died_at > OVERTAKEN_WITHIN
                )
            if is_mine:
                self._run(name, entry, refresh_token, id_token, now)
            refreshed = self._result(entry)
            if entry.is_signed_out:
                raise RefreshRefused("the user has signed out", is_settled=False)
            if is_mine:
                return refreshed
            if refreshed.refresh_token != refresh_token and self._knows(refreshed.refresh_token):
                refresh_token = (
                    refreshed.refresh_token
                )  # refreshed again since: the newest is the one to keep
            elif now < refreshed.session.expires_at:
                return refreshed
            else:
                self._discard(name, entry)
                refresh_token = refreshed.refresh_token

    def sign_out(self, refresh_token: str) -> str:
        """Let no request have what was got with this token, nor what came before or after it.

        Returns the token to revoke: this one, or the newest that other requests have got for it meanwhile.
        """
        now = time.time()
        newest = refresh_token
        with self._lock:
            names = {_digest(refresh_token)}
            successors = [
                (name, result.refresh_token)
                for name, entry in self._entries.items()
                if (result := _peek(entry)) is not None
            ]
            for name, successor in successors:  # what came after it
                if name in names:
                    names.add(_digest(successor))
                    newest = successor
            for name, successor in reversed(successors):  # and before
                if _digest(successor) in names:
                    names.add(name)
            for name in names:
                entry, _ = self._entry(name, now)
                entry.is_signed_out = True
                entry.died_at = now
        return newest

    def _entry(self, name: bytes, now: float) -> tuple[_Entry, bool]:
        """What is known of a token, and whether it is for the caller to find out."""
        while self._entries and next(iter(self._entries.values())).is_stale(now):
            self._entries.popitem(last=False)
        entry = self._entries.get(name)
        if entry is not None and not entry.is_stale(now):
            return entry, False
        entry = self._entries[name] = _Entry()
        self._entries.move_to_end(name)
        if len(self._entries) > MAX_SHARED:
            self._entries.popitem(last=False)
        return entry, True

    def _knows(self, refresh_token: str) -> bool:
        with self._lock:
            return _digest(refresh_token) in self._entries

    def _discard(self, name: bytes, entry: _Entry) -> None:
        with self._lock:
            if self._entries.get(name) is entry:
                del self._entries[name]

    def _run(self, name: bytes, entry: _Entry, refresh_token: str, id_token: str | None, now: float) -> None:
        """Make the call that all who share the entry wait for."""
        started = time.time()
        try:
            refreshed = self._call(refresh_token, id_token, now)
        except RefreshRefused as error:
            entry.died_at = time.time()
            entry.future.set_exception(error)
            self._events.emit(RefreshFailed(is_final=True, reason=str(error)))
        except BaseException as error:
            self._discard(name, entry)  # those who wait now share the failure; the next request tries again
            entry.future.set_exception(error)
            self._events.emit(RefreshFailed(is_final=False, reason=getattr(error, "reason", type(error).__name__)))
        else:
            entry.settled_at = time.time()
            entry.future.set_result(refreshed)
            self._events.emit(SessionRefreshed(sub=refreshed.session.sub, seconds=entry.settled_at - started))
            if entry.is_signed_out and refreshed.refresh_token != refresh_token:
                self._revoke_quietly(refreshed.refresh_token)

    def _call(self, refresh_token: str, id_token: str | None, now: float) -> Refreshed:
        try:
            answer = self._client.refresh(refresh_token)
        except GrantRefused:
            raise RefreshRefused("Cognito refuses the refresh token", is_settled=False) from None
        try:
            session = self._sessions.find(answer.access_token, answer.id_token or id_token, time.time())
        except TokenVerifyError as error:
            log.error("the access token that Cognito sent at a refresh is refused: %s", error.reason)
            raise unavailable(f"the refreshed access token is refused: {error.reason}") from None
        return Refreshed(session, answer.refresh_token or refresh_token)

    def _result(self, entry: _Entry) -> Refreshed:
        try:
            # The call, and the fetch of the keys that may follow it, are each bounded by the timeout.
            return entry.future.result(timeout=4 * self._timeout)
        except TimeoutError:
            raise unavailable("a refresh did not end") from None

    def _revoke_quietly(self, refresh_token: str) -> None:
        try:
            self._client.revoke(refresh_token)
        except CognitoError as error:
            log.warning("a refresh token got during sign-out could not be revoked: %s", error.reason)


def _peek(entry: _Entry) -> Refreshed | None:
    """The result, if there is one already."""
    if entry.settled_at is None or not entry.future.done():
        return None
    return entry.future.result()


def _digest(refresh_token: str) -> bytes:
    return hashlib.sha256(refresh_token.encode()).digest()
