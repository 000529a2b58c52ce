"""The pool's signing keys: one pair for access tokens, one for ID tokens, and those before them."""

from __future__ import annotations

import base64
import json
import secrets
import threading
from dataclasses import dataclass
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

Use = Literal["access", "id"]


@dataclass(frozen=True)
class SigningKey:
    """An RSA key and the name under which the key set shows it."""

    kid: str
    private: RSAPrivateKey

    def public(self) -> dict[str, str]:
        """The key's entry in the key set (RFC 7517 §4, RFC 7518 §6.3.1)."""
        numbers = self.private.public_key().public_numbers()
        return {
            "alg": "RS256",
            "e": _base64url_uint(numbers.e),
            "kid": self.kid,
            "kty": "RSA",
            "n": _base64url_uint(numbers.n),
            "use": "sig",
        }

    def sign(self, claims: dict[str, object]) -> str:
        """A compact JWS of the claims, with ``kid`` and ``alg`` for a header, as Cognito writes it."""
        signed = f"{_segment({'kid': self.kid, 'alg': 'RS256'})}.{_segment(claims)}"
        signature = self.private.sign(signed.encode(), PKCS1v15(), SHA256())
        return f"{signed}.{base64url(signature)}"

    def has_signed(self, token: str) -> bool:
        """Raises ValueError for what is no compact JWS."""
        signed, _, signature = token.rpartition(".")
        try:
            self.private.public_key().verify(_decode(signature), signed.encode(), PKCS1v15(), SHA256())
        except InvalidSignature:
            return False
        return True


class KeyRing:
    """The keys of one pool. Thread-safe: a change replaces the tuple that readers hold."""

    def __init__(self) -> None:
        self._current = _new_pair()
        self._old: tuple[SigningKey, ...] = ()
        self._dropped: tuple[SigningKey, ...] = ()

    def current(self, use: Use) -> SigningKey:
        return self._current[use]

    def published(self) -> tuple[SigningKey, ...]:
        return (self._current["id"], self._current["access"], *self._old)

    def rotate(self, *, keep_old: bool = True) -> None:
        """Sign with two new keys from now on; the old ones stay in the key set unless told otherwise."""
        retired = tuple(self._current.values())
        self._current = _new_pair()
        self._old += retired
        if not keep_old:
            self.drop_old()

    def drop_old(self) -> None:
        """Take all but the current keys out of the key set."""
        self._dropped += self._old
        self._old = ()

    def key_set(self) -> dict[str, object]:
        return {"keys": [key.public() for key in self.published()]}

    def find_claims(self, token: str) -> dict[str, object] | None:
        """The claims of a token that one of the published keys signed, else None."""
        try:
            is_ours = any(key.has_signed(token) for key in self.published())
            claims = json.loads(_decode(token.split(".")[1])) if is_ours else None
        except ValueError:
            return None
        return claims if isinstance(claims, dict) else None

    def give_back(self) -> None:
        """Let pools to come use the RSA keys, under new ``kid``s. Nothing may be signed afterwards."""
        _spare_keys.give_back([key.private for key in (*self.published(), *self._dropped)])


class _SpareKeys:
    """RSA keys of pools that have ended: making one takes about 50 ms, and a test run makes many."""

    def __init__(self) -> None:
        self._keys: list[RSAPrivateKey] = []
        self._lock = threading.Lock()

    def take(self) -> RSAPrivateKey:
        with self._lock:
            if self._keys:
                return self._keys.pop()
        return generate_private_key(public_exponent=65537, key_size=2048)

    def give_back(self, keys: list[RSAPrivateKey]) -> None:
        with self._lock:
            self._keys += keys


_spare_keys = _SpareKeys()


def _new_pair() -> dict[Use, SigningKey]:
    return {
        "access": SigningKey(_new_kid(), _spare_keys.take()),
        "id": SigningKey(_new_kid(), _spare_keys.take()),
    }


def _new_kid() -> str:
    """Ordinary base64 of 32 bytes, with all three characters that trip clients: ``+``, ``/`` and ``=``."""
    while True:
        kid = base64.b64encode(secrets.token_bytes(32)).decode()
        if "+" in kid and "/" in kid:
            return kid


def _segment(value: dict[str, object] | dict[str, str]) -> str:
    # No slash stands in JSON outside a text, so this escapes those inside, as Cognito does.
    text = json.dumps(value, separators=(",", ":")).replace("/", "\\/")
    return base64url(text.encode())


def base64url(data: bytes) -> str:
    """RFC 7515 §2: URL-safe, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)


def _base64url_uint(number: int) -> str:
    return base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))
