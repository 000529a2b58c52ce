"""Tokens that no pool would make: any header and any claims, signed with a pool's key or with anything else."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPublicNumbers,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256

from cognito_wsgi.jwks import KeyStore
from cognito_wsgi.testing import TestPool
from cognito_wsgi.tokens import TokenVerifier

NOW = 1_790_000_000
NONCE = "n" * 43

#: One pool for all tables: its key is made once in a process.
POOL = TestPool()
SIGNING_KEY: RSAPrivateKey = POOL._key
KID: str = POOL.jwks["keys"][0]["kid"]
HEADER = {"kid": KID, "alg": "RS256"}


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def to_bytes(part: bytes | Mapping[str, Any]) -> bytes:
    return part if isinstance(part, bytes) else json.dumps(part).encode()


def compact(
    header: bytes | Mapping[str, Any], claims: bytes | Mapping[str, Any], signature: bytes = b"none"
) -> str:
    """The three parts, signed with nothing that counts."""
    return ".".join(base64url(part) for part in (to_bytes(header), to_bytes(claims), signature))


def signed(
    header: bytes | Mapping[str, Any], claims: bytes | Mapping[str, Any], *, key: RSAPrivateKey = SIGNING_KEY
) -> str:
    """The same with a genuine RS256 signature of the pool's key, whatever the header says."""
    signing_input = compact(header, claims).rpartition(".")[0]
    return f"{signing_input}.{base64url(key.sign(signing_input.encode(), PKCS1v15(), SHA256()))}"


def changed(claims: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Claims with others in their place; a value of ... leaves one out."""
    return {name: value for name, value in {**claims, **changes}.items() if value is not ...}


_TIMES = {"iat": NOW, "auth_time": NOW, "exp": NOW + 3600}
_ACCESS_CLAIMS = changed(POOL.access_claims(groups=["admin", "editor"]), _TIMES)
_ID_CLAIMS = changed(POOL.id_claims(), {**_TIMES, "nonce": NONCE})


def access_claims(**changes: Any) -> dict[str, Any]:
    """Those of alice's access token, made ``NOW``."""
    return changed(_ACCESS_CLAIMS, changes)


def id_claims(**changes: Any) -> dict[str, Any]:
    return changed(_ID_CLAIMS, changes)


def verifier(**settings: Any) -> TokenVerifier:
    """Of the pool; ``settings`` by field of the configuration."""
    config = POOL.config(**settings)
    return TokenVerifier(config, KeyStore(config))


@contextmanager
def no_keys_to_be_had() -> Iterator[str]:
    """The address of a key set that refuses every connection, and so makes a CognitoError of any attempt."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and never listens
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/jwks.json"


def new_key(bits: int = 2048, *, exponent: int = 65537) -> RSAPrivateKey:
    return generate_private_key(public_exponent=exponent, key_size=bits)


def jwk(numbers: RSAPublicNumbers, kid: str) -> dict[str, Any]:
    """An entry of a key set (RFC 7517 §4) as Cognito writes it."""
    return {
        "kid": kid,
        "kty": "RSA",
        "alg": "RS256",
        "use": "sig",
        "n": uint(numbers.n),
        "e": uint(numbers.e),
    }


def uint(number: int) -> str:
    """A Base64urlUInt (RFC 7518 §2)."""
    return base64url(number.to_bytes(max(1, (number.bit_length() + 7) // 8), "big"))
