"""The cookie ``cognito``: who has entered his password need not do so again for an hour."""

from __future__ import annotations

from flask import request
from werkzeug import Response

from .state import PoolState
from .store import SESSION_LIFETIME, HostedSession

COOKIE = "cognito"


def find_session(state: PoolState) -> HostedSession | None:
    """The live session of this request's browser."""
    return state.store.find_session(request.cookies.get(COOKIE, ""), state.now())


def set_session_cookie(response: Response, session_id: str) -> None:
    response.set_cookie(COOKIE, session_id, max_age=SESSION_LIFETIME, httponly=True, samesite="Lax")


def end_session(state: PoolState, response: Response) -> Response:
    """Forget the session of this request's browser, and have ``response`` take its cookie away."""
    state.store.close_session(request.cookies.get(COOKIE, ""))
    response.delete_cookie(COOKIE, httponly=True, samesite="Lax")
    return response
