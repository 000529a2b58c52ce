"""Sessions of users who do not exist: their tokens are signed with a key made for them, and verified as any other."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .jwks import KeyStore
from .session import Session, Sessions
from .testing import TestPool
from .tokens import TokenVerifier

if TYPE_CHECKING:
    from .config import CognitoConfig


def imagine_session(
    config: CognitoConfig,
    username: str,
    *,
    groups: Iterable[str],
    scopes: Iterable[str],
    claims: Mapping[str, Any] | None = None,
    user_info: Mapping[str, Any] | None = None,
) -> Session:
    """The session of a user of the configured pool and client who has signed in this moment.

    claims: further claims of the access token, or others in place of the usual.
    user_info: the same for the ID token; None for a session without one.

    Raises TokenVerifyError for claims that no access token has.
    """
    pool = TestPool(client_id=config.client_id, region=config.region, user_pool_id=config.user_pool_id)
    keys = KeyStore(replace(config, jwks=pool.jwks))
    issuer = {"iss": config.issuer}
    access_token = pool.access_token(
        username, groups=groups, scopes=scopes, claims=issuer | dict(claims or {})
    )
    id_token = None
    if user_info is not None:
        id_token = pool.id_token(
            username, groups=groups, access_token=access_token, claims=issuer | dict(user_info)
        )
    return Sessions(config, keys, TokenVerifier(config, keys)).find(access_token, id_token, time.time())
