"""``LocalUserPool``: the pool as Python code uses it, in tests and in the command line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from .directory import Client, User
from .domain import create_domain_app
from .errors import PortTakenError
from .issuer import create_issuer_app, jwks_url
from .keys import Use
from .server import LoopbackServer
from .settings import load_settings
from .state import PoolState
from .store import SignIn
from .tokens import Tokens
from .trouble import Trouble


class LocalUserPool:
    """A user pool on two loopback ports, as long as the ``with`` block lasts.

        with LocalUserPool() as pool:
            config = pool.settings("web", redirect_url=…, logout_url=…)

    issuer: the address that tokens name; discovery and the key set lie below it.
    domain: the origin of the sign-in pages and the OAuth endpoints. Never the issuer's.
    calls: how often each endpoint was asked: "discovery", "jwks", "authorize", "login",
        "signup", "token" ("token:refresh_token" and so on as well), "revoke", "userinfo", "logout".
        A sign-in by form counts for two at "login": the page, and what it sends.
    trouble: the switches, see ``Trouble``.
    """

    def __init__(
        self,
        users: str | Path | None = None,
        port: int = 0,
        issuer_port: int = 0,
        host: str = "127.0.0.1",
    ) -> None:
        """Take the ports; serving begins with ``start``, or at the ``with`` block.

        users: a TOML file of users and app clients; None for the built-in one.
        port, issuer_port: of the domain host and the issuer host; 0 for free ones.
        host: a loopback address.

        Raises SettingsError, NotLoopbackError, or PortTakenError.
        """
        settings = load_settings(users)
        self._domain_server = LoopbackServer(host, port)
        try:
            self._issuer_server = LoopbackServer(host, issuer_port)
        except PortTakenError:
            self._domain_server.stop()
            raise
        self.domain: str = self._domain_server.origin
        self.issuer: str = f"{self._issuer_server.origin}/{settings.pool_id}"
        self.jwks_url: str = jwks_url(self.issuer)
        self.pool_id: str = settings.pool_id
        self.region: str = settings.region
        self._state = PoolState(settings, issuer=self.issuer, domain=self.domain)

    def start(self) -> None:
        self._domain_server.start(create_domain_app(self._state), clock=self._state.now)
        self._issuer_server.start(create_issuer_app(self._state), clock=self._state.now)

    def stop(self) -> None:
        """Free the ports; answers that take their time are cut short."""
        if self._state.stopped.is_set():
            return
        self._state.stopped.set()
        self._domain_server.stop()
        self._issuer_server.stop()
        self._state.keys.give_back()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def users(self) -> Mapping[str, User]:
        return MappingProxyType(self._state.users)

    @property
    def clients(self) -> Mapping[str, Client]:
        return MappingProxyType(self._state.clients)

    @property
    def calls(self) -> Counter[str]:
        return self._state.calls

    @property
    def trouble(self) -> Trouble:
        return self._state.trouble

    def client(self, name: str) -> Client:
        """The app client of that name in the users' file. Raises KeyError."""
        return self._state.clients[name]

    def settings(self, client: str, *, redirect_url: str, logout_url: str) -> dict[str, object]:
        """The ``AWS_…`` settings of an application, whose two addresses are registered at the client."""
        app_client = self.client(client)
        app_client.allow_urls(callback=redirect_url, logout=logout_url)
        settings: dict[str, object] = {
            "AWS_REGION": self.region,
            "AWS_COGNITO_USER_POOL_ID": self.pool_id,
            "AWS_COGNITO_DOMAIN": self.domain,
            "AWS_COGNITO_USER_POOL_CLIENT_ID": app_client.client_id,
            "AWS_COGNITO_REDIRECT_URL": redirect_url,
            "AWS_COGNITO_LOGOUT_URL": logout_url,
            "AWS_COGNITO_ISSUER": self.issuer,
        }
        if app_client.client_secret is not None:
            settings["AWS_COGNITO_USER_POOL_CLIENT_SECRET"] = app_client.client_secret
        return settings

    def add_user(
        self,
        username: str,
        *,
        password: str,
        groups: Iterable[str] = (),
        email: str | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> User:
        """Raises ValueError if there is a user of this name."""
        user = User(
            username=username,
            password=password,
            groups=tuple(groups),
            email=f"{username}@example.test" if email is None else email,
            attributes=dict(attributes or {}),
        )
        self._state.add_user(user)
        return user

    def set_groups(self, username: str, groups: Iterable[str]) -> None:
        """Change a user's groups; tokens issued from now on, at a refresh too, show them."""
        self._state.set_groups(username, tuple(groups))

    def issue_tokens(
        self, username: str, *, client: str, scope: str | None = None, nonce: str | None = None
    ) -> Tokens:
        """The tokens of a sign-in at this moment, without a browser or a request.

        scope: separated by spaces; None for all that the client may have.

        Raises KeyError for an unknown user or client, ValueError for a scope the client may not have.
        """
        sign_in = SignIn(
            username=self.users[username].username,
            client_id=self.client(client).client_id,
            scope=self._granted_scope(client, scope),
            auth_time=self._state.now(),
            began_at=self._state.now(),
            nonce=nonce or "",
        )
        return self._state.first_tokens(sign_in, with_refresh_token=True)

    def machine_token(self, client: str = "machine", scope: str | None = None) -> str:
        """The access token that a client would get for itself."""
        granted = self._granted_scope(client, scope)
        return self._state.machine_tokens(self.client(client), scope=granted)["access_token"]

    def sign(self, claims: Mapping[str, object], use: Use = "access") -> str:
        """Any claims at all, signed with the pool's current key: for tests of odd tokens."""
        return self._state.keys.current(use).sign(dict(claims))

    def rotate_keys(self, keep_old: bool = True) -> None:
        """Sign with new keys from now on; the old ones stay in the key set unless told otherwise."""
        self._state.keys.rotate(keep_old=keep_old)

    def drop_keys(self) -> None:
        """Take all keys but the current ones out of the key set."""
        self._state.keys.drop_old()

    def revoke_all(self, username: str) -> None:
        """End every refresh token of a user."""
        self._state.store.revoke_user(self.users[username].username)

    def _granted_scope(self, client: str, scope: str | None) -> str:
        granted = self.client(client).get_allowed_scope(scope)
        if granted is None:
            raise ValueError(f"client {client!r} may not have all of the scope {scope!r}")
        return granted
