"""What happened, as typed records: in the log, and for whoever counts or watches.

Each event is one line of the ``cognito_wsgi`` logger, its facts as extra fields ``cognito_…`` of the record,
and one call of the gateway's ``on_event``. That call is made aside: a slow or failing one delays and breaks
nothing, and when too many wait the newest are dropped.

Texts that came from outside are escaped where they are shown. No event holds a token, a code or a secret.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from .forks import run_in_forked_children

log = logging.getLogger("cognito_wsgi")

MAX_WAITING = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Something happened. ``str`` of it is the line for the log."""

    name: ClassVar[str]
    level: ClassVar[int] = logging.INFO

    def facts(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedIn(Event):
    """A user came back from Cognito and has a session. seconds: what the exchange of the code took."""

    name = "signed_in"
    sub: str
    seconds: float

    def __str__(self) -> str:
        return f"signed in: sub {self.sub!a}"


@dataclass(frozen=True, kw_only=True, slots=True)
class SignInFailed(Event):
    """A callback did not end in a session."""

    name = "sign_in_failed"
    level = logging.WARNING
    status: int
    reason: str
    reference: str

    def __str__(self) -> str:
        return f"sign-in failed, {self.status}: {shown(self.reason)} (reference {self.reference})"


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionRefreshed(Event):
    """A session got new tokens. seconds: what Cognito and the verification took."""

    name = "refreshed"
    sub: str
    seconds: float

    def __str__(self) -> str:
        return f"session refreshed: sub {self.sub!a}"


@dataclass(frozen=True, kw_only=True, slots=True)
class RefreshFailed(Event):
    """A session got no new tokens. is_final: whether it has ended, or may be tried again."""

    name = "refresh_failed"
    level = logging.WARNING
    is_final: bool
    reason: str

    def __str__(self) -> str:
        return f"session {'ended' if self.is_final else 'not refreshed'}: {shown(self.reason)}"


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedOut(Event):
    """A user signed out. is_revoked: whether his refresh token was revoked; None if he had none."""

    name = "signed_out"
    is_revoked: bool | None

    def __str__(self) -> str:
        revoked = {
            None: "no refresh token",
            True: "refresh token revoked",
            False: "refresh token NOT revoked",
        }
        return f"signed out: {revoked[self.is_revoked]}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Denied(Event):
    """A request was not let through, or would not have been (``is_report_only``).

    rule: the key in the rules dict that decided, "default" or "none". sub: the user's, if one is signed in.
    """

    name = "denied"
    status: int
    method: str
    path: str
    rule: str
    reason: str
    reference: str
    sub: str | None = None
    is_report_only: bool = False

    def __str__(self) -> str:
        only = "REPORT ONLY, let through: " if self.is_report_only else ""
        return (
            f"{only}{self.status} {shown(self.method)} {self.path[:256]!a} rule {self.rule!a}: "
            f"{shown(self.reason)} (reference {self.reference})"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class KeysFetched(Event):
    """The pool's keys were fetched."""

    name = "keys_fetched"
    keys: int
    seconds: float

    def __str__(self) -> str:
        return f"fetched {self.keys} keys of the user pool"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outage(Event):
    """An endpoint of Cognito could not be reached or answered with rubbish. endpoint: jwks, token or revoke."""

    name = "outage"
    level = logging.ERROR
    endpoint: str
    reason: str
    seconds: float

    def __str__(self) -> str:
        return f"Cognito's {self.endpoint} endpoint failed: {shown(self.reason)}"


def shown(text: str) -> str:
    """Text that may have come from outside, fit for one line of a log."""
    return text if text.isascii() and text.isprintable() else ascii(text)[1:-1]


OnEvent = Callable[[Event], object]


class Events:
    """Where the gateway's parts report to."""

    def __init__(self, on_event: OnEvent | None = None) -> None:
        self._on_event = on_event
        self._start_afresh()
        run_in_forked_children(self, type(self)._start_afresh)

    def _start_afresh(self) -> None:
        """A forked child has neither the parent's thread nor what waits for it."""
        self._waiting: queue.Queue[Event] = queue.Queue(MAX_WAITING)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def emit(self, event: Event, *, level: int | None = None) -> None:
        extra = {f"cognito_{name}": value for name, value in {"event": event.name, **event.facts()}.items()}
        log.log(event.level if level is None else level, "%s", event, extra=extra)
        if self._on_event is None:
            return
        try:
            self._waiting.put_nowait(event)
            self._start_thread(self._on_event)
        except queue.Full:
            log.debug("on_event is too slow: an event was dropped")
        except RuntimeError:  # no thread to be had: the system is at its limit, or shutting down
            log.debug("on_event cannot be called now: no thread")

    def flush(self) -> None:
        """Wait until ``on_event`` has had every event so far; for tests."""
        self._waiting.join()

    def _start_thread(self, on_event: OnEvent) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(
                    target=self._deliver, args=(on_event,), name="cognito_wsgi events", daemon=True
                )
                thread.start()
                self._thread = thread

    def _deliver(self, on_event: OnEvent) -> None:
        waiting = self._waiting
        while True:
            event = waiting.get()
            try:
                on_event(event)
            except Exception:  # it is the application's
                log.exception("on_event raised")
            finally:
                waiting.task_done()
