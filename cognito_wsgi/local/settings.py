"""The users' file: TOML in, users and app clients out, or every mistake in it at once."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from .directory import Client, User
from .errors import SettingsError
from .loopback import is_loopback

DEFAULT_FILE = Path(__file__).with_name("default.toml")

GRANTS = ("authorization_code", "refresh_token", "client_credentials")


@dataclass(frozen=True, kw_only=True)
class PoolSettings:
    """What a users' file says.

    region: of AWS, "eu-central-1".
    pool_id: region, underscore, letters and digits: "eu-central-1_LocalPool".
    """

    region: str
    pool_id: str
    users: tuple[User, ...]
    clients: tuple[Client, ...]


def load_settings(path: str | Path | None = None) -> PoolSettings:
    """Read a users' file; a table that it leaves out (pool, users, clients) is the built-in file's.

    path: of the TOML file; None for the built-in one.

    Raises SettingsError naming the file and every key in it that is wrong.
    """
    defaults = _read_toml(DEFAULT_FILE)
    if path is None:
        return _parse(defaults, DEFAULT_FILE)
    return _parse(defaults | _read_toml(Path(path)), Path(path))


def _read_toml(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as err:
        raise SettingsError([f"{path}: cannot be read: {err.strerror}"]) from err
    except ValueError as err:  # not TOML, or not UTF-8
        raise SettingsError([f"{path}: not a TOML file: {err}"]) from err


def _parse(document: Mapping[str, object], path: Path) -> PoolSettings:
    top = _Table(document, str(path), "", [])
    pool = top.table("pool")
    region = pool.text("region", pattern=r"[a-z]{2}(-[a-z]+)+-\d")
    pool_id = pool.text("id", pattern=re.escape(region) + r"_[0-9A-Za-z]{1,55}")
    pool.refuse_other_keys()
    users = tuple(_parse_user(name, table) for name, table in top.table("users").tables())
    clients = tuple(_parse_client(name, table) for name, table in top.table("clients").tables())
    top.refuse_other_keys()
    _refuse_twins(clients, top)
    if top.problems:
        raise SettingsError(top.problems)
    return PoolSettings(region=region, pool_id=pool_id, users=users, clients=clients)


def _parse_user(name: str, table: _Table) -> User:
    user = User(
        username=name,
        password=table.text("password"),
        groups=table.texts("groups", (), pattern=r"\S{1,128}"),
        email=table.text("email", "", pattern=r"[^@\s]+@[^@\s]+"),
        attributes=table.table("attributes", {}).all_texts(),
    )
    table.refuse_other_keys()
    return user


def _parse_client(name: str, table: _Table) -> Client:
    client = Client(
        name=name,
        client_id=table.text("client_id", _made_up_client_id(name), pattern=r"[\w+]{1,128}"),
        client_secret=table.text("client_secret", "", pattern=r"[\w+]{24,64}") or None,
        scopes=table.texts("scopes", Client.scopes, pattern=r"[\x21\x23-\x5b\x5d-\x7e]+"),
        grants=table.texts("grants", Client.grants, pattern="|".join(GRANTS)),
        callback_urls=list(table.urls("callback_urls")),
        logout_urls=list(table.urls("logout_urls")),
    )
    if client.is_public and client.check_grant_type("client_credentials"):
        table.complain("grants", "client_credentials needs a client_secret")
    table.refuse_other_keys()
    return client


def _made_up_client_id(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:26]


def _refuse_twins(clients: tuple[Client, ...], top: _Table) -> None:
    owners: dict[str, str] = {}
    for client in clients:
        other = owners.setdefault(client.client_id, client.name)
        if other != client.name:
            top.complain(f"clients.{client.name}.client_id", f"is that of clients.{other} too")


def url_problem(url: str) -> str | None:
    """Why a callback or sign-out URL could not be registered at Cognito, or None if it could."""
    if len(url) > 1024:
        return "longer than 1024 characters"
    try:
        parts = urlsplit(url)
    except ValueError:
        return "not a URL"
    if not parts.scheme or not (parts.netloc or parts.path):
        return "not an absolute URL"
    if parts.fragment:
        return "has a fragment"
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        return "http is for loopback hosts only"
    return None


class _Table:
    """One table of the file while it is read: hands out checked values and notes what is wrong.

    A wrong value is noted in ``problems``, which all tables of a file share, and replaced by
    one of the right type so that the reading can go on.
    """

    def __init__(self, values: Mapping[str, object], file: str, path: str, problems: list[str]) -> None:
        self._values = dict(values)
        self._file = file
        self._path = path
        self.problems = problems

    def complain(self, key: str, problem: str) -> None:
        self.problems.append(f"{self._file}: {self._path}{key}: {problem}")

    def text(self, key: str, default: str | None = None, *, pattern: str = r"(?s).*") -> str:
        value = self._values.pop(key, default)
        if value is None:
            self.complain(key, "is missing; a text is expected")
        elif not isinstance(value, str):
            self.complain(key, f"a text is expected, not {_kind(value)}")
        elif value == "" != default:
            self.complain(key, "must not be empty")
        elif value != default and not re.fullmatch(pattern, value):
            self.complain(key, f"does not have the form {pattern}")
        else:
            return value
        return ""

    def texts(self, key: str, default: tuple[str, ...], *, pattern: str) -> tuple[str, ...]:
        value = self._values.pop(key, list(default))
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.complain(key, f"a list of texts is expected, not {_kind(value)}")
            return ()
        for item in value:
            if not re.fullmatch(pattern, item):
                self.complain(key, f"{item!r} does not have the form {pattern}")
        return tuple(value)

    def urls(self, key: str) -> tuple[str, ...]:
        urls = self.texts(key, (), pattern=r"\S+")
        for url in urls:
            if problem := url_problem(url):
                self.complain(key, f"{url!r}: {problem}")
        return urls

    def all_texts(self) -> dict[str, str]:
        return {key: self.text(key) for key in list(self._values)}

    def table(self, key: str, default: Mapping[str, object] | None = None) -> _Table:
        value = self._values.pop(key, default)
        if not isinstance(value, Mapping):
            self.complain(key, f"a table is expected, not {_kind(value)}")
            value = {}
        return _Table(value, self._file, f"{self._path}{key}.", self.problems)

    def tables(self) -> Iterator[tuple[str, _Table]]:
        for key in list(self._values):
            yield key, self.table(key)

    def refuse_other_keys(self) -> None:
        for key in self._values:
            self.complain(key, "is not a key known here")


def _kind(value: object) -> str:
    names = {str: "a text", bool: "true or false", int: "a number", list: "a list", dict: "a table"}
    return names.get(type(value), f"a {type(value).__name__}")
