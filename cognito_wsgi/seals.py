"""Keys of our own: what the gateway keeps in a browser and nobody else may read or change.

Fernet under keys derived with HKDF from SECRET_KEY, one for each purpose, issuer and app client, so that a value
made for one is worthless for any other (RFC 9700 §4.4). Old keys open what they sealed (SECRET_KEY_FALLBACKS).
"""

from __future__ import annotations

import base64
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

    from .config import CognitoConfig

#: Longest sealed text that is tried at all; a login or refresh cookie in ten pieces has less.
MAX_SEALED_LENGTH = 40 * 1024
#: How a refresh token was packed.
_AS_TEXT, _AS_PARTS = b"\0", b"\1"


class Opened(NamedTuple):
    data: bytes
    sealed_at: int  # Unix seconds

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class Seal:
    """Seals and opens values for one purpose."""

    def __init__(self, config: CognitoConfig, purpose: str) -> None:
        self._secret_keys = config.secret_keys
        parts = ("cognito_wsgi/1", purpose, config.issuer, config.client_id)
        self._info = "\0".join(parts).encode()

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    @cached_property
    def _fernet(self) -> MultiFernet:
        # Imported when a first sign-in or refresh needs it: most workers start faster.
        from cryptography.fernet import Fernet, MultiFernet
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        def derive(secret: bytes) -> Fernet:
            key = HKDF(algorithm=SHA256(), length=32, salt=None, info=self._info).derive(secret)
            return Fernet(base64.urlsafe_b64encode(key))

        return MultiFernet([derive(secret) for secret in self._secret_keys])

    def seal(self, data: bytes, now: float) -> str:
        return self._fernet.encrypt_at_time(data, int(now)).rstrip(b"=").decode()

    def open(self, text: str, *, max_age: int, now: float) -> Opened | None:
        """What was sealed at most ``max_age`` seconds ago; None for anything else, whatever it is."""
        from cryptography.fernet import InvalidToken

        if not is_sealed(text):
            return None
        token = text.encode() + b"=" * (-len(text) % 4)
        try:
            data = self._fernet.decrypt_at_time(token, max_age, int(now))
            return Opened(data, self._fernet.extract_timestamp(token))
        except InvalidToken:
            return None


def is_sealed(text: str) -> bool:
    """Whether a text is the one spelling of what a seal may have made, of whatever key and purpose."""
    if len(text) > MAX_SEALED_LENGTH:
        return False
    try:
        data = base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4))
    except ValueError:
        return False
    # Fernet skips what base64 does not know and ignores spare bits.
    return data[:1] == b"\x80" and base64.urlsafe_b64encode(data).rstrip(b"=").decode() == text


def pack_refresh_token(token: str, sub: str) -> bytes:
    """A refresh token and its owner as bytes.

    Parts that are base64url, as those of Cognito's tokens are, are decoded: sealing encodes everything once more.
    """
    subject = sub.encode()
    packed = _pack_parts(token)
    packed = _AS_TEXT + token.encode() if packed is None else _AS_PARTS + packed
    return len(subject).to_bytes(2, "big") + subject + packed


def unpack_refresh_token(data: bytes) -> tuple[str, str]:
    """``(token, sub)`` out of what ``pack_refresh_token`` made."""
    end = 2 + int.from_bytes(data[:2], "big")
    sub, kind, packed = data[2:end].decode(), data[end : end + 1], data[end + 1 :]
    return (_unpack_parts(packed) if kind == _AS_PARTS else packed.decode()), sub


def _pack_parts(token: str) -> bytes | None:
    """The parts of a token between its dots as bytes; None if they would not come out of it as they are."""
    try:
        parts = [base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in token.split(".")]
        packed = b"".join(len(part).to_bytes(2, "big") + part for part in parts)
    except (ValueError, OverflowError):
        return None
    return packed if _unpack_parts(packed) == token else None


def _unpack_parts(packed: bytes) -> str:
    parts = []
    while packed:
        end = 2 + int.from_bytes(packed[:2], "big")
        parts.append(base64.urlsafe_b64encode(packed[2:end]).rstrip(b"=").decode())
        packed = packed[end:]
    return ".".join(parts)
