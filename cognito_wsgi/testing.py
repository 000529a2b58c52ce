"""For the tests of applications behind the gateway: users without a user pool, a network or a browser.

    pool = TestPool()
    app.config.update(pool.settings())
    …
    pool.sign_in(app.test_client(), username="alice", groups=["admin"])

A ``TestPool`` signs tokens with a key of its own, which the configuration it hands out carries inline. The
gateway verifies them as it does Cognito's: nothing is switched off. Not for production: whoever has the
``TestPool`` is whoever he says.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import secrets
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from .config import CognitoConfig
from .cookies import CookieSet
from .tokens import access_token_hash

if TYPE_CHECKING:
    from werkzeug.test import Client

_LIFETIME = 3600  # seconds
_NAMESPACE = uuid.UUID("2f0d3f0a-6b57-4d0e-9a53-6f6d0d3a4c11")


class TestPool:
    """A user pool that exists only as a signing key.

    client_id, client_secret: of the app client that the tokens are for.
    redirect_url, logout_url: as they will stand in the configuration; the default fits test clients. With
        another host the client has to ask that one: ``client.get(path, base_url="https://shop.example")``.
    """

    __test__ = False  # pytest: a tool, no test

    def __init__(
        self,
        *,
        client_id: str = "testclient0000000000000000",
        client_secret: str | None = "testsecret0000000000000000",  # noqa: S107 - opens nothing
        redirect_url: str = "http://localhost/callback",
        logout_url: str = "http://localhost/signed-out",
        region: str = "eu-central-1",
        user_pool_id: str = "eu-central-1_TestPool0",
    ) -> None:
        self.client_id = client_id
        self.region = region
        self.user_pool_id = user_pool_id
        self.issuer = f"https://cognito-idp.{region}.amazonaws.com/{user_pool_id}"
        self._settings: dict[str, Any] = {
            "AWS_REGION": region,
            "AWS_COGNITO_USER_POOL_ID": user_pool_id,
            "AWS_COGNITO_DOMAIN": "https://testpool.auth.eu-central-1.amazoncognito.com",
            "AWS_COGNITO_USER_POOL_CLIENT_ID": client_id,
            "AWS_COGNITO_USER_POOL_CLIENT_SECRET": client_secret,
            "AWS_COGNITO_REDIRECT_URL": redirect_url,
            "AWS_COGNITO_LOGOUT_URL": logout_url,
            "SECRET_KEY": secrets.token_hex(32),
        }
        self._key = _signing_key(user_pool_id)
        self._kid = _kid_of(self._key)
        self._config: CognitoConfig | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.user_pool_id!r})"

    @property
    def jwks(self) -> dict[str, Any]:
        """The pool's public key as a JWK set (RFC 7517 §5)."""
        numbers = self._key.public_key().public_numbers()
        key = {
            "kid": self._kid,
            "kty": "RSA",
            "alg": "RS256",
            "use": "sig",
            "n": _base64url(_to_bytes(numbers.n)),
            "e": _base64url(_to_bytes(numbers.e)),
        }
        return {"keys": [key]}

    def settings(self, **overrides: Any) -> dict[str, Any]:
        """The AWS_… keys and SECRET_KEY for an application's configuration; ``overrides`` by key."""
        settings = {**self._settings, "AWS_COGNITO_JWKS": self.jwks, **overrides}
        self._config = CognitoConfig.from_mapping(settings)
        return settings

    def config(self, **overrides: Any) -> CognitoConfig:
        """The same as a CognitoConfig; ``overrides`` by field."""
        base = CognitoConfig.from_mapping({**self._settings, "AWS_COGNITO_JWKS": self.jwks})
        values = {name: getattr(base, name) for name in base.__dataclass_fields__}
        self._config = CognitoConfig(**{**values, **overrides})
        return self._config

    def sign_in(
        self,
        client: Client,
        username: str = "alice",
        *,
        groups: Iterable[str] = (),
        scopes: Iterable[str] = ("openid",),
        claims: Mapping[str, Any] | None = None,
        user_info: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Give a Werkzeug or Flask test client the cookies of a signed-in user; returns the access token's claims.

        claims, user_info: further claims of the access and of the ID token, or others in place of the usual.
        """
        access_claims = self.access_claims(username, groups=groups, scopes=scopes, claims=claims)
        access_token = self.sign(access_claims)
        id_token = self.sign(
            self.id_claims(username, groups=groups, access_token=access_token, claims=user_info)
        )
        self.set_cookies(client, access_token, id_token)
        return access_claims

    def sign_out(self, client: Client) -> None:
        """Take the session's cookies away from a test client."""
        for cookie in list(client._cookies.values()) if client._cookies else []:
            if "cognito_" in cookie.key:
                client.delete_cookie(cookie.key, domain=cookie.domain, path=cookie.path)

    def set_cookies(self, client: Client, access_token: str, id_token: str | None = None) -> None:
        """Put tokens into a test client's cookies, split as the gateway splits them."""
        config = self._config or self.config()
        cookie_set = CookieSet(config)
        self.sign_out(client)
        host = config.cookie_domain or urlsplit(config.public_origin).hostname or "localhost"
        for base, token in ((cookie_set.access, access_token), (cookie_set.id, id_token)):
            if token is None:
                continue
            for header in cookie_set.store(base, token, max_age=_LIFETIME, cookies={}):
                name, _, rest = header.partition("=")
                client.set_cookie(name, rest.partition(";")[0], domain=host)

    # tokens

    def access_claims(
        self,
        username: str = "alice",
        *,
        groups: Iterable[str] = (),
        scopes: Iterable[str] = ("openid",),
        claims: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The claims of a user's access token, as Cognito writes them; a value of ... leaves a claim out."""
        now = int(time.time())
        return _merge(
            {
                "sub": subject_of(username),
                "iss": self.issuer,
                "client_id": self.client_id,
                "version": 2,
                "token_use": "access",
                "scope": " ".join(scopes),
                "auth_time": now,
                "iat": now,
                "exp": now + _LIFETIME,
                "jti": str(uuid.uuid4()),
                "origin_jti": str(uuid.uuid4()),
                "event_id": str(uuid.uuid4()),
                "username": username,
                **_groups(groups),
            },
            claims,
        )

    def id_claims(
        self,
        username: str = "alice",
        *,
        groups: Iterable[str] = (),
        access_token: str | None = None,
        claims: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The claims of a user's ID token; with ``at_hash`` if it is to go with an access token."""
        now = int(time.time())
        return _merge(
            {
                "sub": subject_of(username),
                "iss": self.issuer,
                "aud": self.client_id,
                "token_use": "id",
                "auth_time": now,
                "iat": now,
                "exp": now + _LIFETIME,
                "jti": str(uuid.uuid4()),
                "origin_jti": str(uuid.uuid4()),
                "event_id": str(uuid.uuid4()),
                "cognito:username": username,
                "email": f"{username}@example.test",
                "email_verified": True,
                **({"at_hash": access_token_hash(access_token)} if access_token else {}),
                **_groups(groups),
            },
            claims,
        )

    def access_token(self, username: str = "alice", **options: Any) -> str:
        """A signed access token; options as ``access_claims`` has them."""
        return self.sign(self.access_claims(username, **options))

    def id_token(self, username: str = "alice", **options: Any) -> str:
        """A signed ID token; options as ``id_claims`` has them. In place of an access token it must be refused."""
        return self.sign(self.id_claims(username, **options))

    def machine_token(
        self, *, scopes: Iterable[str] = (), client_id: str | None = None, **claims: Any
    ) -> str:
        """An access token of a machine (client credentials): it has a client, and no user."""
        client = client_id or self.client_id
        machine = {"username": ..., "sub": client, "client_id": client, "event_id": ..., "origin_jti": ...}
        return self.access_token(scopes=scopes, claims={**machine, **claims})

    def expired_token(self, username: str = "alice", **options: Any) -> str:
        """An access token whose time was over a minute ago."""
        now = int(time.time())
        past = {"iat": now - _LIFETIME - 60, "auth_time": now - _LIFETIME - 60, "exp": now - 60}
        return self.access_token(username, **{**options, "claims": {**past, **(options.get("claims") or {})}})

    def other_client_token(self, username: str = "alice", **options: Any) -> str:
        """An access token of the same pool and user for another app client."""
        other = {"client_id": "otherclient000000000000000"}
        return self.access_token(
            username, **{**options, "claims": {**other, **(options.get("claims") or {})}}
        )

    def other_pool_token(self, username: str = "alice", **options: Any) -> str:
        """The same access token signed by another pool's key under this pool's ``kid``."""
        return self.sign(self.access_claims(username, **options), key=_signing_key("another pool"))

    def sign(
        self,
        claims: Mapping[str, Any],
        *,
        header: Mapping[str, Any] | None = None,
        key: rsa.RSAPrivateKey | None = None,
    ) -> str:
        """Any claims as a compact JWS with RS256 (RFC 7515 §7.1); a header member of ... is left out."""
        head = _merge({"kid": self._kid, "alg": "RS256"}, header)
        signing_input = ".".join(_base64url(_json(part)) for part in (head, claims))
        signature = (key or self._key).sign(signing_input.encode(), padding.PKCS1v15(), SHA256())
        return f"{signing_input}.{_base64url(signature)}"


def subject_of(username: str) -> str:
    """The ``sub`` of a user: always the same for a name, and shaped like Cognito's."""
    return str(uuid.uuid5(_NAMESPACE, username))


@functools.cache
def _signing_key(name: str) -> rsa.RSAPrivateKey:
    """One key for each name and process: making one takes a tenth of a second."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _kid_of(key: rsa.RSAPrivateKey) -> str:
    """32 bytes in ordinary base64, as Cognito's are."""
    return base64.b64encode(hashlib.sha256(_to_bytes(key.public_key().public_numbers().n)).digest()).decode()


def _groups(groups: Iterable[str]) -> dict[str, list[str]]:
    names = list(groups)
    return {"cognito:groups": names} if names else {}  # Cognito leaves an empty list out


def _merge(claims: dict[str, Any], others: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in {**claims, **(others or {})}.items() if value is not ...}


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).replace("/", "\\/").encode()  # as Cognito writes it


def _to_bytes(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
