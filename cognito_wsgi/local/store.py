"""What the pool remembers of its sign-ins: hosted sessions, authorization codes, refresh tokens.

All in memory; a pool that ends forgets them. Times are Unix seconds, given by the caller.
"""

from __future__ import annotations

import secrets
import threading
import uuid
from dataclasses import dataclass, field

from .keys import base64url

SESSION_LIFETIME = 3600  # seconds; not extended by use
CODE_LIFETIME = 300  # seconds
REFRESH_TOKEN_LIFETIME = 30 * 86400  # seconds; Cognito's default


@dataclass(frozen=True)
class HostedSession:
    """What the cookie ``cognito`` stands for: who entered his password here, and when."""

    username: str
    auth_time: int
    expires_at: int


@dataclass(frozen=True, kw_only=True)
class SignIn:
    """One sign-in of a user to a client: all that its tokens have in common.

    auth_time: when the user entered his password; a silent sign-in keeps the older time.
    began_at: when this client asked.
    nonce: of the authorize request; "" without. resource: the access token's ``aud`` (RFC 8707).
    """

    username: str
    client_id: str
    scope: str
    auth_time: int
    began_at: int
    nonce: str = ""
    resource: str = ""
    origin_jti: str = field(default_factory=lambda: str(uuid.uuid4()))
    event_id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(frozen=True, kw_only=True)
class AuthorizationCode:
    """A code on its way through the browser. Authlib's ``CodeChallenge`` reads the two fields of that name."""

    sign_in: SignIn
    redirect_uri: str | None
    expires_at: int
    code_challenge: str | None = None
    code_challenge_method: str | None = None

    def get_redirect_uri(self) -> str | None:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.sign_in.scope


@dataclass
class RefreshToken:
    """A refresh token that was issued. Rotated out, it still works until ``usable_until``.

    A successor ends when the first one would have: rotation never prolongs a sign-in.
    """

    sign_in: SignIn
    usable_until: int | None = None

    def check_client(self, client: object) -> bool:
        return getattr(client, "client_id", None) == self.sign_in.client_id

    def get_scope(self) -> str:
        return self.sign_in.scope

    def is_usable(self, now: int) -> bool:
        if self.usable_until is not None and now >= self.usable_until:
            return False
        return now < self.sign_in.began_at + REFRESH_TOKEN_LIFETIME


class Store:
    """The records of one pool. Thread-safe; what may be done once is done under the lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: dict[str, HostedSession] = {}
        self._codes: dict[str, AuthorizationCode] = {}
        self._refresh_tokens: dict[str, RefreshToken] = {}
        self._revoked_origins: set[str] = set()

    def open_session(self, username: str, now: int) -> tuple[str, HostedSession]:
        """Begin a hosted session; the first of the two is the cookie's value."""
        session_id = secrets.token_urlsafe(32)
        session = HostedSession(username, auth_time=now, expires_at=now + SESSION_LIFETIME)
        self._sessions[session_id] = session
        return session_id, session

    def find_session(self, session_id: str, now: int) -> HostedSession | None:
        session = self._sessions.get(session_id)
        return session if session and now < session.expires_at else None

    def close_session(self, session_id: str) -> None:
        self._sessions.pop(session_id, None)

    def save_code(self, code: str, record: AuthorizationCode) -> None:
        self._codes[code] = record

    def redeem_code(self, code: str, client_id: str, now: int) -> AuthorizationCode | None:
        """The record of a live code of this client, which is gone afterwards, whatever comes of it."""
        with self._lock:
            record = self._codes.get(code)
            if record is None or record.sign_in.client_id != client_id:
                return None
            del self._codes[code]
        return record if now < record.expires_at else None

    def issue_refresh_token(self, sign_in: SignIn) -> str:
        token = _new_refresh_token()
        with self._lock:
            self._refresh_tokens[token] = RefreshToken(sign_in)
        return token

    def find_refresh_token(self, token: str) -> RefreshToken | None:
        """The record of a refresh token that was issued and not revoked, usable or not."""
        record = self._refresh_tokens.get(token)
        return None if record is None or self.is_revoked(record.sign_in.origin_jti) else record

    def retire_refresh_token(self, record: RefreshToken, now: int, grace: int) -> bool:
        """Rotate a token out; False if another request did so before and its grace is over."""
        with self._lock:
            if not record.is_usable(now):
                return False
            if record.usable_until is None:
                record.usable_until = now + grace
            return True

    def revoke(self, sign_in: SignIn) -> None:
        """End every refresh token born from this sign-in, and at userInfo its access tokens."""
        self._revoked_origins.add(sign_in.origin_jti)

    def revoke_user(self, username: str) -> None:
        with self._lock:
            records = list(self._refresh_tokens.values())
        for record in records:
            if record.sign_in.username == username:
                self.revoke(record.sign_in)

    def is_revoked(self, origin_jti: str) -> bool:
        return origin_jti in self._revoked_origins


def _new_refresh_token() -> str:
    """Five parts, some 1800 characters, looking like the compact JWE that Cognito sends (RFC 7516 §7.1)."""
    header = b'{"cty":"JWT","enc":"A256GCM","alg":"RSA-OAEP"}'
    sizes = {"encrypted key": 256, "initialisation vector": 12, "ciphertext": 1010, "tag": 16}  # bytes
    return ".".join(base64url(part) for part in (header, *map(secrets.token_bytes, sizes.values())))
