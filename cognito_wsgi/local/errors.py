"""What the local user pool raises by itself."""

from __future__ import annotations

from collections.abc import Sequence


class LocalPoolError(Exception):
    """Base of everything below."""


class SettingsError(LocalPoolError, ValueError):
    """The users' file cannot be used; ``problems`` names every mistake, each with its file and key."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class NotLoopbackError(LocalPoolError, ValueError):
    """The pool was asked to serve an address that others could reach."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"the local user pool serves loopback addresses only (127.0.0.0/8, ::1, localhost), not {host!r}: "
            "its passwords are printed on its sign-in page"
        )
        self.host = host


class PortTakenError(LocalPoolError, OSError):
    """Another program serves the port, or the system does not give it."""

    def __init__(self, host: str, port: int, reason: str | None) -> None:
        super().__init__(f"cannot serve port {port} of {host}: {reason}")
        self.host = host
        self.port = port


class SignInRefused(LocalPoolError):
    """The driver was shown a page instead of being sent on; ``message`` is the page's alert."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
