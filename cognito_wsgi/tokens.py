"""Token in, claims that may be trusted out; the only module that knows python-jose.

python-jose checks the signature, with a ready-made key and RS256. All else is decided here and before it,
since by itself it takes more than a Cognito token may be (design.md §8).
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import hmac
import json
import string
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from .errors import InvalidClaim, InvalidSignature, MalformedToken, TokenExpired, TokenNotYetValid
from .forks import importing
from .jwks import MAX_KID_LENGTH, KeyStore, PublicKey

if TYPE_CHECKING:
    from .config import CognitoConfig

Claims: TypeAlias = dict[str, Any]

MAX_TOKEN_LENGTH = 32 * 1024
#: Seconds that a clock may be behind: hosts with synchronised clocks still differ by one or two.
CLOCK_TOLERANCE = 10
ALGORITHM = "RS256"

#: Header members that name a key or change what is signed (RFC 7515 §4.1, RFC 7516 §4.1).
_FORBIDDEN_HEADERS = frozenset({"crit", "jku", "x5u", "x5c", "jwk", "b64", "zip", "enc"})
#: Levels of lists and objects in the header or the claims: who copies them later goes down as deep.
MAX_NESTING = 32
_JSON_SPACE = " \t\r\n"  # RFC 8259 §2
_BASE64URL = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
_TEXTS = frozenset({str})
_TO_STANDARD_BASE64 = bytes.maketrans(b"-_", b"+/")
#: What a canonical text may end in, by how far its length is beyond fours: the spare bits are zero.
_LAST_CHARACTERS = (_BASE64URL, "", _BASE64URL[::16], _BASE64URL[::4])


class VerifiedToken(NamedTuple):
    """Claims that may be trusted as long as ``key`` is one of the pool's."""

    claims: Claims
    key: PublicKey

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class _ParsedToken(NamedTuple):
    signing_input: bytes
    signature: bytes
    kid: str
    claims: Claims

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class TokenVerifier:
    """Verifies the access and ID tokens of one user pool and app client.

    Times are Unix seconds. Whatever text comes in, a method returns claims or raises a TokenVerifyError;
    CognitoError means that the keys to tell are not to be had.
    """

    def __init__(self, config: CognitoConfig, keys: KeyStore) -> None:
        self._config = config
        self._keys = keys
        self._client_ids = frozenset({config.client_id})
        self._bearer_client_ids = frozenset({config.client_id, *config.bearer_client_ids})
        #: Seconds that ``iat`` and ``nbf`` may lie ahead.
        self._tolerance = max(CLOCK_TOLERANCE, config.leeway)

    def require_keys(self, now: float) -> None:
        """Raises CognitoError where no token could be verified."""
        self._keys.require(now)

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
        self._check_common(parsed.claims, "access")
        self._check_access(parsed.claims, self._bearer_client_ids if bearer else self._client_ids)
        if not bearer and "username" not in parsed.claims:
            raise InvalidClaim("username", "is missing: a machine has no session")
        return self._check_signature_and_times(parsed, now, wait)

    def verify_id_token(
        self,
        token: str,
        *,
        access_token: str,
        sub: str,
        now: float,
        nonce: str | None = None,
        access_claims: Claims | None = None,
        wait: bool = True,
    ) -> VerifiedToken:
        """The claims of an ID token that belongs to a verified access token of ``sub``.

        nonce: the one sent when sign-in began (OpenID Connect Core §3.1.3.7, step 11); None after that.
        access_claims: of a session under way, where the access token may have been refreshed alone; without
            them ``at_hash`` has to fit.

        Raises as ``verify_access_token`` does.
        """
        parsed = _parse(token)
        claims = parsed.claims
        self._check_common(claims, "id")
        if claims.get("aud") != self._config.client_id:
            raise _mismatch(claims, "aud", "is another app client")
        claims["aud"] = self._config.client_id
        if claims["sub"] != sub:
            raise InvalidClaim("sub", "is not that of the access token")
        if nonce is not None and not _same(_text(claims, "nonce"), nonce):
            raise InvalidClaim("nonce", "is not the one sent")
        if "at_hash" in claims:
            belongs = _same(_text(claims, "at_hash"), access_token_hash(access_token))
            if not belongs and not (access_claims and _is_older_of_same_sign_in(claims, access_claims)):
                raise InvalidClaim("at_hash", "is not that of the access token")
        return self._check_signature_and_times(parsed, now, wait)

    def _check_common(self, claims: Claims, token_use: str) -> None:
        """What both kinds must bear, whenever they were made (Cognito: "Verifying JSON web tokens").

        Texts that many tokens share are kept once: it makes remembered sessions smaller.
        """
        issuer = self._config.issuer
        if claims.get("iss") != issuer:
            raise _mismatch(claims, "iss", "is another issuer")
        if claims.get("token_use") != token_use:
            raise _mismatch(claims, "token_use", f"is not {token_use!r}")
        claims["iss"], claims["token_use"] = issuer, token_use
        _text(claims, "sub")
        for name in ("exp", "iat"):
            _number(claims, name)
        if "nbf" in claims:
            _number(claims, "nbf")

    def _check_access(self, claims: Claims, client_ids: Collection[str]) -> None:
        """What an access token alone bears. The optional claims are used as they are, so they must be fit for it."""
        client_id = _text(claims, "client_id")
        if client_id not in client_ids:
            raise InvalidClaim("client_id", "is of another app client")
        if "aud" in claims and _text(claims, "aud") != client_id:
            self._check_resource(claims["aud"])
        if "username" in claims:
            _text(claims, "username")
        if not isinstance(claims.get("scope", ""), str):
            raise InvalidClaim("scope", "is no text")
        groups = claims.get("cognito:groups", [])
        if not isinstance(groups, list) or not _TEXTS.issuperset(map(type, groups)):
            raise InvalidClaim("cognito:groups", "is no list of texts")

    def _check_resource(self, address: str) -> None:
        """A token bound to a resource (RFC 8707) is for that one alone, and Cognito names no other by an address."""
        try:
            parts = urlsplit(address)
        except ValueError:
            raise InvalidClaim("aud", "is no address") from None
        if f"{parts.scheme}://{parts.netloc}".lower() != self._config.public_origin:
            raise InvalidClaim("aud", "is another resource server")

    def _check_signature_and_times(self, parsed: _ParsedToken, now: float, wait: bool) -> VerifiedToken:
        """In this order, so that TokenExpired speaks of a genuine token."""
        claims = parsed.claims
        key = self._keys.find(parsed.kid, now, wait=wait)
        if not _prepare(key).verify(parsed.signing_input, parsed.signature):
            raise InvalidSignature("the signature does not fit")
        for name in ("iat", "nbf"):
            if claims.get(name, 0) > now + self._tolerance:
                raise TokenNotYetValid(name, "lies in the future")
        if now >= claims["exp"] + self._config.leeway:  # RFC 7519 §4.1.4: "on or after"
            raise TokenExpired(claims)
        return VerifiedToken(claims, key)


@functools.lru_cache(maxsize=32)  # a pool has two keys, and a few more while they rotate
def _prepare(key: PublicKey) -> Any:
    """python-jose's key: of the pool's numbers and for one algorithm, so that no text of a token takes part."""
    with importing:
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
        from jose import jwk  # a worker needs both for its first token, not to start

    return jwk.construct(RSAPublicNumbers(key.e, key.n).public_key(), ALGORITHM)


def _is_older_of_same_sign_in(id_claims: Claims, access_claims: Claims) -> bool:
    """Whether the access token has been refreshed alone since the ID token was made."""
    if "origin_jti" in id_claims and "origin_jti" in access_claims:
        is_same = id_claims["origin_jti"] == access_claims["origin_jti"]
        return is_same and bool(id_claims["iat"] <= access_claims["iat"])
    same_time = "auth_time" in id_claims and id_claims["auth_time"] == access_claims.get("auth_time")
    return same_time and bool(id_claims["iat"] < access_claims["iat"])


def access_token_hash(access_token: str) -> str:
    """``at_hash`` of an access token (OpenID Connect Core §3.1.3.6)."""
    digest = hashlib.sha256(access_token.encode()).digest()
    return base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()


def is_malformed(token: str) -> bool:
    """Whether a text can be seen at a glance to be no token."""
    try:
        _split(token)
    except MalformedToken:
        return True
    return False


def _parse(token: str) -> _ParsedToken:
    """The parts of a compact JWS made with RS256; nothing in it is believed yet."""
    kid, signing_input, payload, signature = _split(token)
    claims = _parse_json(_decode_base64url(payload), "claims")
    return _ParsedToken(signing_input.encode(), _decode_base64url(signature), kid, claims)


def _split(token: str) -> tuple[str, str, str, str]:
    """The ``kid``, the text that is signed, the payload in it, and the signature."""
    if len(token) > MAX_TOKEN_LENGTH:
        raise MalformedToken("the token is too long")
    if not token.isascii():
        raise MalformedToken("the token has characters that no token has")
    signing_input, _, signature = token.rpartition(".")  # unlike str.split it does not look at each character
    header, dot, payload = signing_input.partition(".")
    if not dot or "." in payload:
        raise MalformedToken("the token has not three parts")
    return _parse_header(header), signing_input, payload, signature


@functools.lru_cache(maxsize=32)  # a pool's tokens have one of two headers
def _parse_header(text: str) -> str:
    """The ``kid`` of a header that asks for nothing but RS256."""
    header = _parse_json(_decode_base64url(text), "header")
    if header.get("alg") != ALGORITHM:
        raise MalformedToken("alg is not RS256")
    if not _FORBIDDEN_HEADERS.isdisjoint(header):
        raise MalformedToken("the header names a key of its own or asks for an extension")
    kid = header.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID_LENGTH:
        raise MalformedToken("kid is no text of reasonable length")
    return kid


def _decode_base64url(text: str) -> bytes:
    """Bytes of a canonical base64url text: no padding, no stray characters, no spare bits set (RFC 7515 §2)."""
    spare = len(text) % 4
    if not text or text[-1] not in _LAST_CHARACTERS[spare] or "+" in text or "/" in text:
        raise MalformedToken("a part is not canonical base64url")
    standard = text.encode().translate(_TO_STANDARD_BASE64) + b"=" * (-spare % 4)
    try:
        return binascii.a2b_base64(standard, strict_mode=True)
    except binascii.Error:
        raise MalformedToken("a part is not base64url") from None


def _parse_json(data: bytes, what: str) -> Claims:
    try:
        text = data.decode().strip(_JSON_SPACE)
        value, end = _JSON.raw_decode(text)
        if end != len(text):
            raise ValueError("something follows")
        if text.count("[") + text.count("{") > MAX_NESTING:
            _check_nesting(value, MAX_NESTING)
        if "\\u" in text:  # an escaped half of a surrogate pair is no character, and cannot be passed on
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise MalformedToken(f"the {what} are no JSON of this kind") from None
    if not isinstance(value, dict):
        raise MalformedToken(f"the {what} are no JSON object")
    return value


def _unique_pairs(pairs: list[tuple[str, Any]]) -> Claims:
    shared = _SHARED_NAMES.get
    members = {shared(name, name): value for name, value in pairs}
    if len(members) != len(pairs):
        raise ValueError("a name stands twice")
    return members


_COMMON_NAMES = (
    "sub iss aud client_id token_use exp iat nbf auth_time jti origin_jti event_id version scope username "
    "cognito:username cognito:groups cognito:roles cognito:preferred_role nonce at_hash email email_verified "
    "phone_number phone_number_verified name given_name family_name identities"
)
#: One text for each name that nearly all tokens have, so that remembered tokens do not each keep their own.
_SHARED_NAMES = {name: name for name in _COMMON_NAMES.split()}


def _parse_int(text: str) -> int:
    if len(text) > 300:  # digits; a float holds 308, and who computes with a claim mixes the two
        raise ValueError("a number is too large")
    return int(text)


def _parse_float(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError("a number is too large")
    return number


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


_JSON = json.JSONDecoder(
    object_pairs_hook=_unique_pairs,
    parse_int=_parse_int,
    parse_float=_parse_float,
    parse_constant=_refuse_constant,
)


def _check_nesting(value: Any, levels: int) -> None:
    if levels < 0:
        raise ValueError("nested too deeply")
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        if isinstance(item, (dict, list)):
            _check_nesting(item, levels - 1)


def _text(claims: Mapping[str, Any], name: str) -> str:
    """A claim that must be there and be text, and not empty."""
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidClaim(name, "is missing" if name not in claims else "is no text")
    return value


def _mismatch(claims: Mapping[str, Any], name: str, otherwise: str) -> InvalidClaim:
    """What is wrong with a claim that is not the one text that it must be."""
    try:
        _text(claims, name)
    except InvalidClaim as error:
        return error
    return InvalidClaim(name, otherwise)


def _number(claims: Mapping[str, Any], name: str) -> float:
    """A NumericDate that must be there (RFC 7519 §2); true is no number."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidClaim(name, "is missing" if name not in claims else "is no number")
    if not 0 <= value < 2**53:
        raise InvalidClaim(name, "is no time")
    return value


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def group_names(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """The groups in the order of the token; () for none."""
    return tuple(claims.get("cognito:groups", ()))


def scope_names(claims: Mapping[str, Any]) -> frozenset[str]:
    return _split_scope(claims.get("scope", ""))


@functools.lru_cache(maxsize=256)  # most users have the same, and then share one set
def _split_scope(scope: str) -> frozenset[str]:
    """Told apart by spaces, and by no other white space (RFC 6749 §3.3)."""
    return frozenset(filter(None, scope.split(" ")))
