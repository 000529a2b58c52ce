"""The Python interface, the ports, and the command."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
import requests

from cognito_wsgi import local
from cognito_wsgi.local import Client, LocalUserPool, NotLoopbackError, PortTakenError
from cognito_wsgi.local.__main__ import main
from cognito_wsgi.local.loopback import is_loopback

from .visitor import Visitor, answer

REDIRECT = "http://127.0.0.1:5050/signed-in"
LOGOUT = "http://127.0.0.1:5050/bye"


def test_the_public_names_are_these() -> None:
    assert sorted(local.__all__) == [
        "Client",
        "LocalPoolError",
        "LocalUserPool",
        "NotLoopbackError",
        "PortTakenError",
        "SettingsError",
        "SignInRefused",
        "Trouble",
        "User",
        "submit_sign_in",
    ]


class TestSettings:
    def test_are_what_an_application_needs(self, pool: LocalUserPool) -> None:
        assert pool.settings("web", redirect_url=REDIRECT, logout_url=LOGOUT) == {
            "AWS_REGION": pool.region,
            "AWS_COGNITO_USER_POOL_ID": pool.pool_id,
            "AWS_COGNITO_DOMAIN": pool.domain,
            "AWS_COGNITO_USER_POOL_CLIENT_ID": pool.client("web").client_id,
            "AWS_COGNITO_USER_POOL_CLIENT_SECRET": pool.client("web").client_secret,
            "AWS_COGNITO_REDIRECT_URL": REDIRECT,
            "AWS_COGNITO_LOGOUT_URL": LOGOUT,
            "AWS_COGNITO_ISSUER": pool.issuer,
        }

    def test_have_no_secret_for_a_public_client(self, pool: LocalUserPool) -> None:
        settings = pool.settings("public", redirect_url=REDIRECT, logout_url=LOGOUT)
        assert "AWS_COGNITO_USER_POOL_CLIENT_SECRET" not in settings

    def test_register_both_urls(self, pool: LocalUserPool, visitor: Visitor) -> None:
        assert "error=redirect_mismatch" in visitor.authorize(redirect_uri=REDIRECT).headers["Location"]
        for _ in range(2):
            pool.settings("web", redirect_url=REDIRECT, logout_url=LOGOUT)
        assert visitor.sign_in(redirect_uri=REDIRECT).headers["Location"].startswith(f"{REDIRECT}?code=")
        response = visitor.get("/logout", client_id=visitor.client.client_id, logout_uri=LOGOUT)
        assert response.headers["Location"] == LOGOUT
        assert visitor.client.callback_urls.count(REDIRECT) == 1
        assert visitor.client.logout_urls.count(LOGOUT) == 1


class TestUsers:
    def test_can_be_added(self, pool: LocalUserPool, visitor: Visitor) -> None:
        erin = pool.add_user("erin", password="erin-password", groups=["editor"], attributes={"name": "Erin"})
        assert pool.users["erin"] is erin
        assert (erin.groups, erin.email) == (("editor",), "erin@example.test")
        assert "code" in answer(visitor.sign_in("erin"))

    def test_cannot_be_added_twice(self, pool: LocalUserPool) -> None:
        with pytest.raises(ValueError, match="there is a user 'alice' already"):
            pool.add_user("alice", password="x")
        assert pool.users["alice"].password == "alice-password"

    @pytest.mark.parametrize(
        "call",
        [
            pytest.param(lambda pool: pool.set_groups("nobody", []), id="set_groups"),
            pytest.param(lambda pool: pool.revoke_all("nobody"), id="revoke_all"),
            pytest.param(lambda pool: pool.issue_tokens("nobody", client="web"), id="issue_tokens"),
            pytest.param(lambda pool: pool.issue_tokens("alice", client="nothing"), id="unknown client"),
            pytest.param(lambda pool: pool.client("nothing"), id="client"),
        ],
    )
    def test_must_be_there(self, pool: LocalUserPool, call: object) -> None:
        with pytest.raises(KeyError):
            call(pool)  # type: ignore[operator]

    def test_do_not_show_their_passwords_by_accident(self, pool: LocalUserPool) -> None:
        assert "alice-password" not in repr(pool.users["alice"])
        assert str(pool.client("web").client_secret) not in repr(pool.client("web"))


def test_tokens_for_a_scope_the_client_may_not_have_are_refused(pool: LocalUserPool) -> None:
    with pytest.raises(ValueError, match="client 'web' may not have all of the scope 'newsroom/read'"):
        pool.issue_tokens("alice", client="web", scope="newsroom/read")
    with pytest.raises(ValueError, match="client 'machine'"):
        pool.machine_token(scope="openid")


def test_tokens_straight_from_the_pool_can_be_refreshed(pool: LocalUserPool, visitor: Visitor) -> None:
    tokens = pool.issue_tokens("alice", client="web")
    assert tokens.keys() == {"access_token", "id_token", "refresh_token", "expires_in", "token_type"}
    assert visitor.refresh(tokens["refresh_token"]).status_code == 200


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("127.0.0.1", True),
        ("127.255.255.254", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("LOCALHOST", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("10.0.0.1", False),
        ("192.168.1.1", False),
        ("127.1", False),
        ("localhost.example.test", False),
        ("example.test", False),
    ],
)
def test_which_hosts_are_this_machine_alone(host: str, answer: bool) -> None:
    assert is_loopback(host) == answer


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "example.test", "192.168.1.1"])
def test_anything_that_others_can_reach_is_refused(host: str) -> None:
    with pytest.raises(NotLoopbackError, match=f"loopback addresses only .*, not '{re.escape(host)}'"):
        LocalUserPool(host=host)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_every_loopback_address_is_served(host: str) -> None:
    with LocalUserPool(host=host) as pool, Visitor(pool) as visitor:
        assert urlsplit(pool.issuer).hostname == host
        assert visitor.redeem(visitor.code()).status_code == 200
        assert requests.get(pool.jwks_url, timeout=10).status_code == 200


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("which", ["port", "issuer_port"])
def test_a_port_that_is_taken_is_named(taken_port: int, which: str) -> None:
    with pytest.raises(PortTakenError, match=f"cannot serve port {taken_port} of 127.0.0.1: .*in use"):
        LocalUserPool(**{which: taken_port})  # type: ignore[arg-type]


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command in a process of its own, and what it has printed when it is ready."""
    command = [sys.executable, "-m", "cognito_wsgi.local", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        text = ""
        while not text.endswith("Ctrl-C stops the pool.\n"):
            line = process.stdout.readline()
            assert line, f"ended early: {text}"
            text += line
        try:
            yield process, text
        finally:
            process.kill()


class TestCommand:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_ends_well_on_a_signal(self, number: signal.Signals) -> None:
        with running() as (process, _):
            process.send_signal(number)
            assert process.wait(10) == 0

    def test_prints_users_clients_and_settings_that_work(self) -> None:
        with running("--client", "public") as (_, text):
            exports = dict(re.findall(r"^export (\w+)=(.*)$", text, re.MULTILINE))
            issuer = exports["AWS_COGNITO_ISSUER"]
            document = requests.get(f"{issuer}/.well-known/openid-configuration", timeout=10).json()
            assert document["issuer"] == issuer
            assert document["token_endpoint"] == f"{exports['AWS_COGNITO_DOMAIN']}/oauth2/token"
            assert "AWS_COGNITO_USER_POOL_CLIENT_SECRET" not in exports
            for shown in (
                "alice-password",
                "admin, editor",
                "100 groups",
                exports["AWS_COGNITO_USER_POOL_CLIENT_ID"],
            ):
                assert shown in text

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            pytest.param(["--host", "0.0.0.0"], "error: the local user pool serves loopback", id="host"),
            pytest.param(["--users", "nowhere.toml"], "error: nowhere.toml: cannot be read", id="users"),
            pytest.param(["--client", "nothing"], "error: there is no client 'nothing' with", id="client"),
            pytest.param(
                ["--client", "machine"], "error: there is no client 'machine' with", id="machine client"
            ),
        ],
    )
    def test_a_mistake_ends_it_with_2(
        self, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
    ) -> None:
        assert main(["--port", "0", *arguments]) == 2
        assert capsys.readouterr().err.startswith(message)

    def test_the_issuer_takes_the_port_after_the_domains(self, capsys: pytest.CaptureFixture[str]) -> None:
        host = "127.0.0.77"  # where nothing else takes the port before this one
        with socket.create_server((host, 0)) as server:
            port = server.getsockname()[1]
            assert main(["--host", host, "--port", str(port - 1)]) == 2
        assert f"cannot serve port {port} of {host}" in capsys.readouterr().err

    def test_runs_in_a_process_that_has_handlers_of_its_own(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupted(pool: LocalUserPool, client: Client) -> Iterator[str]:
            yield f"serves {client.name}"
            signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr("cognito_wsgi.local.__main__._introduction", interrupted)
        before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        assert main(["--port", "0", "--issuer-port", "0"]) == 0
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
        assert capsys.readouterr().out == "serves web\n"
