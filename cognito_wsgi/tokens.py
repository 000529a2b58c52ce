"""Token in, claims that may be trusted out; the only module that knows python-jose.

python-jose checks the signature, with a ready-made key and RS256. All else is decided here and before it,
since by itself it takes more than a Cognito token may be (design.md §8).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import math
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from .errors import InvalidClaim, InvalidSignature, MalformedToken, TokenExpired, TokenNotYetValid
from .jwks import MAX_KID_LENGTH, KeyStore, PublicKey

if TYPE_CHECKING:
    from .config import CognitoConfig

Claims: TypeAlias = dict[str, Any]

MAX_TOKEN_LENGTH = 32 * 1024
#: Seconds that ``iat`` and ``nbf`` may lie ahead: hosts with synchronised clocks still differ by one or two.
CLOCK_TOLERANCE = 10
ALGORITHM = "RS256"

#: Header members that name a key or change what is signed (RFC 7515 §4.1, RFC 7516 §4.1).
_FORBIDDEN_HEADERS = frozenset({"crit", "jku", "x5u", "x5c", "jwk", "b64", "zip", "enc"})
#: Prepared keys kept at most; a pool has two, and a few more while they rotate.
_MAX_PREPARED_KEYS = 32


class VerifiedToken(NamedTuple):
    """Claims that may be trusted as long as ``key`` is one of the pool's."""

    claims: Claims
    key: PublicKey


class _ParsedToken(NamedTuple):
    signing_input: bytes
    signature: bytes
    kid: str
    claims: Claims


class TokenVerifier:
    """Verifies the access and ID tokens of one user pool and app client.

    Times are Unix seconds. Whatever text comes in, a method returns claims or raises a TokenVerifyError;
    CognitoError means that the keys to tell are not to be had.
    """

    def __init__(self, config: CognitoConfig, keys: KeyStore) -> None:
        self._config = config
        self._keys = keys
        self._prepared: dict[PublicKey, Any] = {}
        self._client_ids = frozenset({config.client_id})
        self._bearer_client_ids = frozenset({config.client_id, *config.bearer_client_ids})

    def verify_access_token(
        self, token: str, *, now: float, bearer: bool = False, wait: bool = True
    ) -> VerifiedToken:
        """The claims of an access token.

        token: compact JWS (RFC 7515 §7.1).
        bearer: whether it came in the Authorization header, where machines and other app clients may be known.
        wait: whether keys that are missing are waited for.

        Raises TokenExpired for a genuine token past its time, and other TokenVerifyErrors.
        """
        parsed = _parse(token)
        claims = parsed.claims
        self._check_common(claims, "access")
        client_id = _text(claims, "client_id")
        if client_id not in (self._bearer_client_ids if bearer else self._client_ids):
            raise InvalidClaim("client_id", "is of another app client")
        self._check_audience(claims, client_id)
        if "username" in claims:
            _text(claims, "username")
        elif not bearer:
            raise InvalidClaim("username", "is missing: a machine has no session")
        if not isinstance(claims.get("scope", ""), str):
            raise InvalidClaim("scope", "is no text")
        groups = claims.get("cognito:groups", [])
        if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
            raise InvalidClaim("cognito:groups", "is no list of texts")
        key = self._check_signature(parsed, now, wait)
        self._check_times(claims, now)
        return VerifiedToken(claims, key)

    def verify_id_token(
        self,
        token: str,
        *,
        access_token: str,
        sub: str,
        now: float,
        nonce: str | None = None,
        wait: bool = True,
    ) -> VerifiedToken:
        """The claims of an ID token that belongs to a verified access token of ``sub``.

        nonce: the one sent when sign-in began (OpenID Connect Core §3.1.3.7, step 11); None after that.

        Raises as ``verify_access_token`` does.
        """
        parsed = _parse(token)
        claims = parsed.claims
        self._check_common(claims, "id")
        if _text(claims, "aud") != self._config.client_id:
            raise InvalidClaim("aud", "is another app client")
        if not _same(claims["sub"], sub):
            raise InvalidClaim("sub", "is not that of the access token")
        if nonce is not None and not _same(_text(claims, "nonce"), nonce):
            raise InvalidClaim("nonce", "is not the one sent")
        if "at_hash" in claims and not _same(_text(claims, "at_hash"), access_token_hash(access_token)):
            raise InvalidClaim("at_hash", "is not that of the access token")
        key = self._check_signature(parsed, now, wait)
        self._check_times(claims, now)
        return VerifiedToken(claims, key)

    def _check_common(self, claims: Claims, token_use: str) -> None:
        """What both kinds must bear, whenever they were made (Cognito: "Verifying JSON web tokens")."""
        if _text(claims, "iss") != self._config.issuer:
            raise InvalidClaim("iss", "is another issuer")
        if _text(claims, "token_use") != token_use:
            raise InvalidClaim("token_use", f"is not {token_use!r}")
        _text(claims, "sub")
        for name in ("exp", "iat"):
            _number(claims, name)
        if "nbf" in claims:
            _number(claims, "nbf")

    def _check_audience(self, claims: Claims, client_id: str) -> None:
        """An access token bound to a resource (RFC 8707) is for that one alone, and Cognito names no other."""
        if "aud" not in claims:
            return
        audience = _text(claims, "aud")
        if audience == client_id:
            return
        try:
            parts = urlsplit(audience)
        except ValueError:
            raise InvalidClaim("aud", "is no address") from None
        if f"{parts.scheme}://{parts.netloc}".lower() != self._config.public_origin:
            raise InvalidClaim("aud", "is another resource server")

    def _check_times(self, claims: Claims, now: float) -> None:
        """After the signature, so that TokenExpired speaks of a genuine token."""
        ahead = now + max(CLOCK_TOLERANCE, self._config.leeway)
        for name in ("iat", "nbf"):
            if claims.get(name, 0) > ahead:
                raise TokenNotYetValid(name, "lies in the future")
        if now >= claims["exp"] + self._config.leeway:  # RFC 7519 §4.1.4: "on or after"
            raise TokenExpired(claims)

    def _check_signature(self, parsed: _ParsedToken, now: float, wait: bool) -> PublicKey:
        key = self._keys.find(parsed.kid, now, wait=wait)
        if not self._prepare(key).verify(parsed.signing_input, parsed.signature):
            raise InvalidSignature("the signature does not fit")
        return key

    def _prepare(self, key: PublicKey) -> Any:
        prepared = self._prepared.get(key)
        if prepared is None:
            from jose import jwk  # a worker needs it for its first token, not to start

            if len(self._prepared) >= _MAX_PREPARED_KEYS:
                self._prepared.clear()
            # Built from the pool's numbers and for one algorithm: no text of the token takes part.
            prepared = self._prepared[key] = jwk.construct({"kty": "RSA", "n": key.n, "e": key.e}, ALGORITHM)
        return prepared


def access_token_hash(access_token: str) -> str:
    """``at_hash`` of an access token (OpenID Connect Core §3.1.3.6)."""
    digest = hashlib.sha256(access_token.encode()).digest()
    return base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()


def _parse(token: str) -> _ParsedToken:
    """The parts of a compact JWS made with RS256; nothing in it is believed yet."""
    if len(token) > MAX_TOKEN_LENGTH:
        raise MalformedToken("the token is too long")
    if not token.isascii():
        raise MalformedToken("the token has characters that no token has")
    parts = token.split(".")
    if len(parts) != 3:
        raise MalformedToken("the token has not three parts")
    header_data, payload, signature = map(_decode_base64url, parts)
    header = _parse_json(header_data, "header")
    if header.get("alg") != ALGORITHM:
        raise MalformedToken("alg is not RS256")
    if not _FORBIDDEN_HEADERS.isdisjoint(header):
        raise MalformedToken("the header names a key of its own or asks for an extension")
    kid = header.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID_LENGTH:
        raise MalformedToken("kid is no text of reasonable length")
    signing_input = token[: token.rindex(".")].encode()
    return _ParsedToken(signing_input, signature, kid, _parse_json(payload, "claims"))


def _decode_base64url(text: str) -> bytes:
    """Bytes of a canonical base64url text: no padding, no stray characters, no spare bits set (RFC 7515 §2)."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise MalformedToken("a part is not base64url") from None
    if not data or base64.urlsafe_b64encode(data).rstrip(b"=").decode() != text:
        raise MalformedToken("a part is not canonical base64url")
    return data


def _refuse_constant(name: str) -> object:
    raise ValueError(name)


#: One text for the claim names that nearly all tokens have, so that remembered tokens do not each keep theirs.
_SHARED_NAMES = {
    name: name
    for name in [
        "sub",
        "iss",
        "aud",
        "client_id",
        "token_use",
        "exp",
        "iat",
        "nbf",
        "auth_time",
        "jti",
        "origin_jti",
        "event_id",
        "version",
        "scope",
        "username",
        "cognito:username",
        "cognito:groups",
        "cognito:roles",
        "cognito:preferred_role",
        "nonce",
        "at_hash",
        "email",
        "email_verified",
        "phone_number",
        "phone_number_verified",
        "name",
        "given_name",
        "family_name",
        "identities",
    ]
}


def _unique_pairs(pairs: list[tuple[str, Any]]) -> Claims:
    shared = _SHARED_NAMES.get
    members = {shared(name, name): value for name, value in pairs}
    if len(members) != len(pairs):
        raise ValueError("a name stands twice")
    return members


_JSON = json.JSONDecoder(object_pairs_hook=_unique_pairs, parse_constant=_refuse_constant)


def _parse_json(data: bytes, what: str) -> Claims:
    try:
        text = data.decode()
        value = _JSON.decode(text)
        if "\\u" in text:  # an escaped half of a surrogate pair is no character, and cannot be passed on
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise MalformedToken(f"the {what} are no JSON object with unique names") from None
    if not isinstance(value, dict):
        raise MalformedToken(f"the {what} are no JSON object")
    return value


def _text(claims: Mapping[str, Any], name: str) -> str:
    """A claim that must be there and be text, and not empty."""
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidClaim(name, "is missing" if name not in claims else "is no text")
    return value


def _number(claims: Mapping[str, Any], name: str) -> float:
    """A NumericDate that must be there (RFC 7519 §2): true is no number, and neither is infinity."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidClaim(name, "is missing" if name not in claims else "is no number")
    if not (isinstance(value, int) or math.isfinite(value)) or not 0 <= value < 2**53:
        raise InvalidClaim(name, "is no time")
    return value


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def group_names(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """The user's groups in the order of the token; () for none, and for a machine."""
    return tuple(claims.get("cognito:groups", ()))


def scope_names(claims: Mapping[str, Any]) -> Collection[str]:
    return frozenset(claims.get("scope", "").split())
