"""One pool's state, shared by its two hosts and by the Python interface."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from .directory import Client, User
from .keys import KeyRing
from .settings import PoolSettings
from .store import SignIn, Store
from .tokens import TokenIssuer, Tokens
from .trouble import Trouble


class PoolState:
    """Users, clients, keys, tokens, switches and counters.

    issuer: ``http://127.0.0.1:PORT/{pool_id}``. domain: the origin of the sign-in pages.
    """

    def __init__(self, settings: PoolSettings, *, issuer: str, domain: str) -> None:
        self.issuer = issuer
        self.domain = domain
        self.users: dict[str, User] = {user.username: user for user in settings.users}
        self.clients: Mapping[str, Client] = {client.name: client for client in settings.clients}
        self.store = Store()
        self.keys = KeyRing()
        self.trouble = Trouble()
        self.calls: Counter[str] = Counter()
        self.stopped = threading.Event()
        self.tokens = TokenIssuer(issuer, self.keys, self.trouble)
        self._counting = threading.Lock()

    def now(self) -> int:
        """The pool's clock, in Unix seconds."""
        return int(time.time()) + self.trouble.clock_ahead

    def count(self, *names: str) -> None:
        with self._counting:
            self.calls.update(names)

    def find_client(self, client_id: str | None) -> Client | None:
        return next((client for client in self.clients.values() if client.client_id == client_id), None)

    def find_user(self, username: str, password: str) -> User | None:
        """The user of this name, if that is his password."""
        user = self.users.get(username)
        return user if user and user.has_password(password) else None

    def add_user(self, user: User) -> None:
        """Raises ValueError if there is a user of this name."""
        if self.users.setdefault(user.username, user) is not user:
            raise ValueError(f"there is a user {user.username!r} already")

    def set_groups(self, username: str, groups: tuple[str, ...]) -> None:
        self.users[username] = replace(self.users[username], groups=groups)

    def first_tokens(self, sign_in: SignIn, *, with_refresh_token: bool) -> Tokens:
        """The tokens of a sign-in that has just been completed."""
        return self._tokens(sign_in, sign_in.scope, with_nonce=True, with_refresh_token=with_refresh_token)

    def refreshed_tokens(self, sign_in: SignIn, *, scope: str) -> Tokens:
        """New tokens of an older sign-in; a new refresh token among them only with ``rotation``."""
        return self._tokens(sign_in, scope, with_nonce=False, with_refresh_token=self.trouble.rotation)

    def machine_tokens(self, client: Client, *, scope: str) -> Tokens:
        return self.tokens.machine_tokens(client, scope=scope, now=self.now())

    def _tokens(self, sign_in: SignIn, scope: str, *, with_nonce: bool, with_refresh_token: bool) -> Tokens:
        user = self.users[sign_in.username]
        tokens = self.tokens.user_tokens(user, sign_in, scope=scope, now=self.now(), with_nonce=with_nonce)
        if with_refresh_token:
            tokens["refresh_token"] = self.store.issue_refresh_token(sign_in)
        return tokens
