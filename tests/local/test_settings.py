"""The users' file, and every mistake that can be made in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cognito_wsgi.local import LocalUserPool, SettingsError
from cognito_wsgi.local.settings import load_settings, url_problem

GOOD = """
[pool]
region = "eu-west-1"
id = "eu-west-1_AbCdEf123"

[users.zoe]
password = "zoe-password"

[users."zoë.long+1@example.test"]
password = "x"
groups = ["Ärzte", "a,b:c"]
email = "zoe@example.test"
attributes = { name = "Zoë", "custom:plan" = "3" }

[clients.app]
client_secret = "0123456789+0123456789_012"
scopes = ["openid"]
grants = ["authorization_code"]
callback_urls = ["https://app.example.test/cb", "http://[::1]:5000/cb?x=1", "myapp://cb"]
logout_urls = ["http://127.0.0.1/"]

[clients.spa]
client_id = "spa"
"""


@pytest.fixture
def write(tmp_path: Path) -> Path:
    return tmp_path / "users.toml"


def test_a_good_file_says_who_and_what(write: Path) -> None:
    write.write_text(GOOD, "utf-8")
    settings = load_settings(write)
    assert (settings.region, settings.pool_id) == ("eu-west-1", "eu-west-1_AbCdEf123")
    plain, full = settings.users
    assert (plain.username, plain.groups, plain.email) == ("zoe", (), "")
    assert full.groups == ("Ärzte", "a,b:c")
    assert full.attributes == {"name": "Zoë", "custom:plan": "3"}
    app, spa = settings.clients
    assert (app.is_public, app.scopes, app.grants) == (False, ("openid",), ("authorization_code",))
    assert (spa.is_public, spa.client_id, spa.callback_urls) == (True, "spa", [])
    assert "refresh_token" in spa.grants


def test_a_client_id_that_is_left_out_is_made_from_the_name(write: Path) -> None:
    write.write_text(GOOD, "utf-8")
    first, second = (load_settings(write).clients[0].client_id for _ in range(2))
    assert first == second
    assert len(first) == 26


def test_the_built_in_file_has_the_promised_people_and_clients() -> None:
    settings = load_settings()
    groups = {user.username: user.groups for user in settings.users}
    assert groups["alice"] == ("admin", "editor")
    assert groups["bob"] == ("editor",)
    assert groups["carol"] == ()
    assert len(set(groups["dave"])) == 100
    assert [user.password for user in settings.users] == [f"{name}-password" for name in groups]
    kinds = {client.name: (client.is_public, client.grants) for client in settings.clients}
    people = ("authorization_code", "refresh_token")
    assert kinds == {
        "web": (False, people),
        "public": (True, people),
        "other": (False, people),
        "machine": (False, ("client_credentials",)),
    }


@pytest.mark.parametrize("table", ["pool", "users", "clients"])
def test_a_table_that_is_left_out_is_the_built_in_one(write: Path, table: str) -> None:
    tables = {
        "pool": '[pool]\nregion = "eu-west-1"\nid = "eu-west-1_x"\n',
        "users": '[users.zoe]\npassword = "x"\n',
        "clients": '[clients.spa]\nclient_id = "spa"\n',
    }
    write.write_text("".join(text for name, text in tables.items() if name != table))
    settings, default = load_settings(write), load_settings()
    assert (settings.pool_id == default.pool_id) == (table == "pool")
    assert (settings.users == default.users) == (table == "users")
    assert (settings.clients == default.clients) == (table == "clients")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("[users.zoe]", "users.zoe.password: is missing", id="password missing"),
        pytest.param(
            "[users.zoe]\npassword = ''", "users.zoe.password: must not be empty", id="password empty"
        ),
        pytest.param(
            "[users.zoe]\npassword = 5", "users.zoe.password: a text is expected, not a number", id="number"
        ),
        pytest.param(
            "[users]\nzoe = 'x'", "users.zoe: a table is expected, not a text", id="user is no table"
        ),
        pytest.param("users = []", "users: a table is expected, not a list", id="users are no table"),
        pytest.param(
            "[users.zoe]\npassword = 'x'\ngroups = 'admin'",
            "users.zoe.groups: a list of texts is expected, not a text",
            id="groups are no list",
        ),
        pytest.param(
            "[users.zoe]\npassword = 'x'\ngroups = [1]",
            "users.zoe.groups: a list of texts is expected",
            id="groups are no texts",
        ),
        pytest.param(
            "[users.zoe]\npassword = 'x'\ngroups = ['two words']",
            "users.zoe.groups: 'two words' does not have the form",
            id="group with a space",
        ),
        pytest.param(
            "[users.zoe]\npassword = 'x'\nemail = 'zoe'",
            "users.zoe.email: does not have the form",
            id="email",
        ),
        pytest.param(
            "[users.zoe]\npassword = 'x'\nattributes = { age = 5 }",
            "users.zoe.attributes.age: a text is expected, not a number",
            id="attribute is no text",
        ),
        pytest.param(
            "[users.zoe]\npasword = 'x'\npassword = 'x'",
            "users.zoe.pasword: is not a key known here",
            id="typo",
        ),
        pytest.param(
            "[clients.a]\nsecret = 'x'", "clients.a.secret: is not a key known here", id="client typo"
        ),
        pytest.param(
            "[clients.a]\nclient_secret = 'short'",
            "clients.a.client_secret: does not have the form",
            id="secret",
        ),
        pytest.param("[clients.a]\nclient_id = 'a b'", "clients.a.client_id: does not", id="client id"),
        pytest.param(
            "[clients.a]\ngrants = ['password']", "clients.a.grants: 'password' does not", id="grant"
        ),
        pytest.param(
            "[clients.a]\ngrants = ['client_credentials']",
            "clients.a.grants: client_credentials needs a client_secret",
            id="public machine",
        ),
        pytest.param(
            "[clients.a]\nclient_id = 'x'\n[clients.b]\nclient_id = 'x'",
            "clients.b.client_id: is that of clients.a too",
            id="client id twice",
        ),
        pytest.param(
            "[clients.a]\ncallback_urls = ['/callback']",
            "clients.a.callback_urls: '/callback': not an absolute URL",
            id="callback URL",
        ),
        pytest.param(
            "[clients.a]\nlogout_urls = ['http://app.example.test/']",
            "clients.a.logout_urls: 'http://app.example.test/': http is for loopback hosts only",
            id="sign-out URL",
        ),
        pytest.param("[pool]\nregion = 'Mars'\nid = 'x'", "pool.region: does not have the form", id="region"),
        pytest.param(
            "[pool]\nregion = 'eu-west-1'\nid = 'us-east-1_x'",
            "pool.id: does not have the form",
            id="another region",
        ),
        pytest.param("[people]", "people: is not a key known here", id="unknown table"),
        pytest.param("[users", "not a TOML file: ", id="no TOML"),
    ],
)
def test_a_mistake_is_reported_with_file_and_key(write: Path, text: str, problem: str) -> None:
    write.write_text(text, "utf-8")
    with pytest.raises(SettingsError) as caught:
        load_settings(write)
    assert any(found.startswith(f"{write}: {problem}") for found in caught.value.problems), (
        caught.value.problems
    )


def test_all_mistakes_are_reported_together(write: Path) -> None:
    write.write_text("[users.zoe]\n[users.yan]\npassword = 5\n[clients.a]\nnothing = 1\n")
    with pytest.raises(SettingsError) as caught:
        load_settings(write)
    assert len(caught.value.problems) == 3
    assert all(problem in str(caught.value) for problem in caught.value.problems)


def test_a_file_that_is_not_there_or_not_text_is_named(write: Path) -> None:
    with pytest.raises(SettingsError, match=r"users\.toml: cannot be read: No such file"):
        LocalUserPool(write)
    write.write_bytes(b"\xff")
    with pytest.raises(SettingsError, match=r"users\.toml: not a TOML file"):
        load_settings(str(write))


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://app.example.test/cb", None),
        ("http://localhost:5000/cb", None),
        ("http://127.0.0.1/cb", None),
        ("http://[::1]:5000/cb", None),
        ("myapp://cb", None),
        ("https://a.test/" + "x" * 1009, None),
        ("https://a.test/" + "x" * 1010, "longer than 1024 characters"),
        ("https://a.test/#x", "has a fragment"),
        ("//a.test/", "not an absolute URL"),
        ("https:", "not an absolute URL"),
        ("http://a.test/", "http is for loopback hosts only"),
        ("http:///x", "http is for loopback hosts only"),
        ("http://[x/", "not a URL"),
    ],
)
def test_which_urls_cognito_would_take(url: str, problem: str | None) -> None:
    assert url_problem(url) == problem
