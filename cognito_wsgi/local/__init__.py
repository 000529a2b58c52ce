"""A Cognito user pool on this machine, for development and tests. Not for anything that others can reach."""

from __future__ import annotations

from .directory import Client, User
from .driver import submit_sign_in
from .errors import LocalPoolError, NotLoopbackError, PortTakenError, SettingsError, SignInRefused
from .pool import LocalUserPool
from .trouble import Trouble

__all__ = [
    "Client",
    "LocalPoolError",
    "LocalUserPool",
    "NotLoopbackError",
    "PortTakenError",
    "SettingsError",
    "SignInRefused",
    "Trouble",
    "User",
    "submit_sign_in",
]
