"""What stands in the pool's tokens; nothing here knows of HTTP.

https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-tokens-with-identity-providers.html
"""

from __future__ import annotations

import hashlib
import uuid
from typing import TypedDict

from .directory import Client, User
from .keys import KeyRing, base64url
from .store import SignIn
from .trouble import Trouble


class Tokens(TypedDict, total=False):
    """The answer of a token endpoint, Cognito's way: there is no ``scope`` in it."""

    access_token: str
    id_token: str
    refresh_token: str
    expires_in: int  # seconds
    token_type: str


class TokenIssuer:
    """Writes and signs tokens for one issuer."""

    def __init__(self, issuer: str, keys: KeyRing, trouble: Trouble) -> None:
        self._issuer = issuer
        self._keys = keys
        self._trouble = trouble

    def user_tokens(self, user: User, sign_in: SignIn, *, scope: str, now: int, with_nonce: bool) -> Tokens:
        """Access token, and ID token if ``scope`` holds ``openid``; no refresh token yet.

        with_nonce: put the sign-in's nonce into the ID token; at a refresh it stays away
            (OpenID Connect Core §12.2).
        """
        access_token = self.access_token(user, sign_in, scope=scope, now=now)
        tokens = self._answer(access_token)
        if "openid" in scope.split() and not self._trouble.omit_id_token:
            tokens["id_token"] = self._id_token(user, sign_in, scope, access_token, now, with_nonce)
        return tokens

    def machine_tokens(self, client: Client, *, scope: str, now: int) -> Tokens:
        """A client's own access token: it has no user, and so no ``username`` and no groups."""
        claims = self._access_claims(client.client_id, client.client_id, scope, now, auth_time=now)
        return self._answer(self._keys.current("access").sign(claims))

    def access_token(self, user: User, sign_in: SignIn, *, scope: str, now: int) -> str:
        claims = self._access_claims(user.sub, sign_in.client_id, scope, now, auth_time=sign_in.auth_time)
        claims |= _common_claims(sign_in) | {"username": user.username} | _groups(user)
        if sign_in.resource:
            claims["aud"] = sign_in.resource
        return self._keys.current("access").sign(claims)

    def _answer(self, access_token: str) -> Tokens:
        return {
            "access_token": access_token,
            "expires_in": self._trouble.access_token_lifetime,
            "token_type": "Bearer",
        }

    def _access_claims(
        self, sub: str, client_id: str, scope: str, now: int, *, auth_time: int
    ) -> dict[str, object]:
        return {
            "sub": sub,
            "iss": self._issuer,
            "client_id": client_id,
            "version": 2,
            "token_use": "access",
            "scope": scope,
            "auth_time": auth_time,
            "iat": now,
            "exp": now + self._trouble.access_token_lifetime,
            "jti": str(uuid.uuid4()),
        }

    def _id_token(
        self, user: User, sign_in: SignIn, scope: str, access_token: str, now: int, with_nonce: bool
    ) -> str:
        claims: dict[str, object] = {
            "sub": user.sub,
            "iss": self._issuer,
            "aud": sign_in.client_id,
            "token_use": "id",
            "at_hash": _half_hash(access_token),
            "auth_time": sign_in.auth_time,
            "iat": now,
            "exp": now + self._trouble.id_token_lifetime,
            "jti": str(uuid.uuid4()),
            "cognito:username": user.username,
        }
        claims |= _common_claims(sign_in) | _groups(user) | user.claims(scope)
        if with_nonce and sign_in.nonce and not self._trouble.omit_nonce:
            claims["nonce"] = sign_in.nonce
        return self._keys.current("id").sign(claims)


def _common_claims(sign_in: SignIn) -> dict[str, object]:
    return {"origin_jti": sign_in.origin_jti, "event_id": sign_in.event_id}


def _groups(user: User) -> dict[str, object]:
    return {"cognito:groups": list(user.groups)} if user.groups else {}


def _half_hash(access_token: str) -> str:
    """``at_hash`` of OpenID Connect Core §3.1.3.6."""
    return base64url(hashlib.sha256(access_token.encode()).digest()[:16])
