"""Who may sign in, and to which app clients: the records of the pool."""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

#: The scopes that stand for attributes of the user, and their claims (OpenID Connect Core §5.4).
ATTRIBUTES_OF_SCOPE: Mapping[str, frozenset[str]] = {
    "email": frozenset({"email", "email_verified"}),
    "phone": frozenset({"phone_number", "phone_number_verified"}),
    "profile": frozenset(
        {
            "name",
            "family_name",
            "given_name",
            "middle_name",
            "nickname",
            "preferred_username",
            "profile",
            "picture",
            "website",
            "gender",
            "birthdate",
            "zoneinfo",
            "locale",
            "updated_at",
        }
    ),
}

_SUBJECTS = uuid.UUID("5ad8f0c4-5f3c-4d1e-9a62-3a0c1f5a7e11")


@dataclass(frozen=True, kw_only=True)
class User:
    """A user of the pool.

    groups: in the order in which tokens name them.
    attributes: further claims of the ID token, standard (``name``) or ``custom:…``; texts.
    sub: the same for a user name in every run, so that data kept by an application fits.
    """

    username: str
    password: str = field(repr=False)
    groups: tuple[str, ...] = ()
    email: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def sub(self) -> str:
        return str(uuid.uuid5(_SUBJECTS, self.username))

    def has_password(self, password: str) -> bool:
        return secrets_match(self.password, password)

    def groups_in_short(self) -> str:
        """For people: their names, or how many they are."""
        return ", ".join(self.groups) or "none" if len(self.groups) < 4 else f"{len(self.groups)} groups"

    def claims(self, scope: str) -> dict[str, str | bool]:
        """The attributes that ``scope`` shows: ``openid`` alone shows all of them."""
        everything = self._attributes()
        wanted = [names for name, names in ATTRIBUTES_OF_SCOPE.items() if name in scope.split()]
        if not wanted:
            return everything
        return {name: value for name, value in everything.items() if any(name in names for names in wanted)}

    def _attributes(self) -> dict[str, str | bool]:
        claims: dict[str, str | bool] = dict(self.attributes)
        if self.email:
            claims |= {"email": self.email, "email_verified": True}
        if "phone_number" in claims:
            claims["phone_number_verified"] = True
        return claims


@dataclass(kw_only=True)
class Client:
    """An app client. The ``check_…`` and ``get_…`` methods are those that Authlib asks of a client.

    client_secret: None for a public client, which must then use PKCE.
    scopes: all that the client may ask for, and what it gets when it asks for none.
    callback_urls, logout_urls: compared character by character.
    """

    name: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    scopes: tuple[str, ...] = ("openid", "email", "phone", "profile", "aws.cognito.signin.user.admin")
    grants: tuple[str, ...] = ("authorization_code", "refresh_token")
    callback_urls: list[str] = field(default_factory=list)
    logout_urls: list[str] = field(default_factory=list)

    @property
    def is_public(self) -> bool:
        return self.client_secret is None

    def allow_urls(self, *, callback: str, logout: str) -> None:
        """Register both, as one would in Cognito's console."""
        if callback not in self.callback_urls:
            self.callback_urls.append(callback)
        if logout not in self.logout_urls:
            self.logout_urls.append(logout)

    def get_default_redirect_uri(self) -> str | None:
        return self.callback_urls[0] if len(self.callback_urls) == 1 else None

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """What is granted for a requested scope; None if the client may not have all of it."""
        requested = (scope or "").split() or self.scopes
        if not set(requested) <= set(self.scopes):
            return None
        return " ".join(requested)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri in self.callback_urls

    def check_client_secret(self, client_secret: str) -> bool:
        return self.client_secret is not None and secrets_match(self.client_secret, client_secret)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return (method == "none") == self.is_public

    def check_response_type(self, response_type: str | None) -> bool:
        return True  # refused in oauth.CognitoParameters, with Cognito's error codes

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.grants


def secrets_match(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
