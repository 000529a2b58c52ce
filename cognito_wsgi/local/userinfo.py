"""userInfo: the attributes that an access token shows.

https://docs.aws.amazon.com/cognito/latest/developerguide/userinfo-endpoint.html
"""

from __future__ import annotations

from .errors import LocalPoolError
from .state import PoolState


class UserInfoRefused(LocalPoolError):
    """No attributes for this request. ``header`` is Cognito's WWW-Authenticate, which lacks the word Bearer."""

    status = 401
    error = "invalid_token"

    def __init__(self, description: str) -> None:
        super().__init__(description)
        self.header = f'error="{self.error}", error_description="{description}"'


class NoToken(UserInfoRefused):
    """The request bears no access token."""

    status = 400
    error = "invalid_request"


def read_userinfo(state: PoolState, authorization: str) -> dict[str, str]:
    """The attributes of the user whose access token an Authorization header bears.

    Raises UserInfoRefused if that token is missing, not the pool's, expired, revoked or without
    the scope ``openid``.
    """
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise NoToken("Bearer token is missing")
    claims = state.keys.find_claims(token.strip()) or {}
    expires_at = claims.get("exp")
    user = state.users.get(str(claims.get("username")))
    if claims.get("token_use") != "access" or claims.get("iss") != state.issuer or user is None:
        raise UserInfoRefused("Access token is invalid")
    if not isinstance(expires_at, int) or expires_at <= state.now():
        raise UserInfoRefused("Access token has expired")
    if state.store.is_revoked(str(claims.get("origin_jti"))):
        raise UserInfoRefused("Access token has been revoked")
    scope = str(claims.get("scope"))
    if "openid" not in scope.split():
        raise UserInfoRefused("Access token does not contain openid scope")
    attributes = {name: _as_text(value) for name, value in user.claims(scope).items()}
    return {"sub": user.sub, **attributes, "username": user.username}


def _as_text(value: str | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else value
