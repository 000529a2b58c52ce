"""The README's shell blocks, each run by bash as a reader would run it."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pytest
import requests
from werkzeug.wrappers import Request, Response

from cognito_wsgi import CognitoConfig
from cognito_wsgi.local import submit_sign_in

from .readme import block_of
from .servers.serve import PATH, need
from .serving import ROOT, free_port, served
from .visiting import NAVIGATION


@contextmanager
def running(script: str, folder: Path, until: str, **env: str) -> Iterator[str]:
    """Run a script until the block ends; gives what it has said up to ``until``."""
    with subprocess.Popen(
        ["bash", "-eu", "-c", script],
        cwd=folder,
        env={**os.environ, "PATH": PATH, **env},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            said = ""
            for line in process.stdout or ():
                said += line
                if until in line:
                    break
            else:
                pytest.fail(f"it ended without {until!r}:\n{said}")
            yield said
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.communicate(timeout=30)


# ------------------------------------------------------------------ the demo


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What a reader has cloned, as far as he installs it."""
    for name in ("cognito_wsgi", "demo", "pyproject.toml", "README.md"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.mark.reader
@pytest.mark.timeout(300)
def test_the_first_command_installs_and_starts_the_demo(clone):
    with running(block_of("sh", "python -m demo"), clone, until="Stop with Ctrl-C.") as said:
        address = re.search(r"^The Harbour Ledger +(\S+)", said, re.M)[1]
        assert "The Harbour Ledger" in requests.get(address, timeout=10).text


@pytest.mark.reader
@pytest.mark.timeout(300)
def test_the_clone_is_installed_into_an_environment_of_ones_own(clone):
    install = block_of("sh", "pip install '/path/to/the/clone[local]'").replace(
        "/path/to/the/clone", str(clone)
    )
    script = f"python3 -m venv own; . own/bin/activate; {install} which cognito-wsgi; cognito-wsgi --version"
    with running(script, clone, until="cognito-wsgi 0") as said:
        assert str(clone / "own/bin/cognito-wsgi") in said


# ------------------------------------------------------------------ an application against the local pool


class Visitor:
    """A browser in which one user signs in."""

    def __init__(self, address: str, username: str, password: str) -> None:
        self.address, self.username, self.password = address, username, password
        self.http = requests.Session()
        self.http.headers.update(NAVIGATION)

    def sign_in(self) -> requests.Response:
        sent_away = self.http.get(self.address, allow_redirects=False, timeout=10)
        back = submit_sign_in(self.http, sent_away, self.username, self.password)
        return self.http.get(back.headers["Location"], timeout=10)


@pytest.mark.server
def test_an_application_is_protected_against_the_local_pool_step_by_step(tmp_path):
    """Nothing is replaced but the ports, which have to be free ones here."""
    port = str(free_port())
    users = (ROOT / "cognito_wsgi/local/default.toml").read_text("utf-8").replace(":5000", f":{port}")
    (tmp_path / "users.toml").write_text(users, "utf-8")
    (tmp_path / "app.py").write_text(block_of("python", "def front()"), "utf-8")
    start_pool = block_of("sh", "cognito_wsgi.local").replace("8001", "0").rstrip() + " --users users.toml"
    with running(start_pool, tmp_path, until="Ctrl-C stops the pool.") as said:
        exports = re.findall(r"^export (\w+)=(.+)$", said, re.M)
        settings = {key: shlex.split(value)[0] for key, value in exports}
        (password,) = re.findall(r"^ +bob +(\S+)", said, re.M)
        start_app = block_of("sh", "cognito-wsgi check").replace("5000", port)
        with running(start_app, tmp_path, until="Running on", **settings) as said:
            assert "FAIL" not in said
            address = f"http://localhost:{port}/claims"
            bob = Visitor(address, "bob", password)
            assert bob.sign_in().json()["username"] == "bob"
            assert bob.http.get(address, timeout=10).json()["cognito:groups"] == ["editor"]
            assert "Sign out" in bob.http.get(f"http://localhost:{port}/logout", timeout=10).text
            assert bob.http.get(address, allow_redirects=False, timeout=10).status_code == 302
            assert Visitor(address, "carol", "carol-password").sign_in().status_code == 403


# ------------------------------------------------------------------ the user pool at AWS

POOL, CLIENT, SECRET = "eu-central-1_Abc123xyz", "1example23456789", "secret+0123456789012345678"


class Call(NamedTuple):
    operation: str
    parameters: dict[str, Any]


class Aws:
    """Takes Cognito's calls on loopback, and answers with as much as the commands read."""

    ANSWERS: ClassVar[dict[str, Any]] = {
        "CreateUserPool": {"UserPool": {"Id": POOL}},
        "CreateUserPoolClient": {"UserPoolClient": {"ClientId": CLIENT, "ClientSecret": SECRET}},
    }

    def __init__(self) -> None:
        self.calls: list[Call] = []

    @Request.application
    def __call__(self, request: Request) -> Response:
        service, _, operation = request.headers["X-Amz-Target"].partition(".")
        assert service == "AWSCognitoIdentityProviderService"
        self.calls.append(Call(operation, json.loads(request.data)))
        answer = json.dumps(self.ANSWERS.get(operation, {}))
        return Response(answer, mimetype="application/x-amz-json-1.1")


def faults_of(value: Any, shape: Any, name: str) -> Iterator[str]:
    """What Cognito would refuse in a request. The command line checks members and types, not what they hold."""
    limits = shape.metadata
    if shape.type_name == "structure":
        for member in value:
            yield from faults_of(value[member], shape.members[member], f"{name}.{member}")
    elif shape.type_name == "list":
        for item in value:
            yield from faults_of(item, shape.member, name)
    size = value if isinstance(value, int) else len(value)
    if not limits.get("min", size) <= size <= limits.get("max", size):
        yield f"{name} is to be from {limits.get('min')} to {limits.get('max')}: {value!r}"
    if limits.get("enum", [value]).count(value) == 0:
        yield f"{name} is to be one of {limits['enum']}: {value!r}"
    # Java's classes of characters are not Python's: any that can be printed will do.
    if not re.fullmatch(re.sub(r"\\p\{\w\}", r"\\S", limits.get("pattern", "(?s).*")), str(value)):
        yield f"{name} is to be like {limits['pattern']}: {value!r}"


#: Version 1, which pip installs, would fetch a value that is a URL, and reads no AWS_REGION.
AS_VERSION_2 = "[default]\ncli_follow_urlparam = false\nregion = eu-central-1\n"


@pytest.fixture(scope="module")
def set_up(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Call], CognitoConfig]:
    """What arrives at AWS when the README's commands run, and the configuration they export."""
    need("awscli", shutil.which("aws", path=PATH))
    need("botocore", importlib.util.find_spec("botocore"))
    home = tmp_path_factory.mktemp("home")
    (home / "config").write_text(AS_VERSION_2, "utf-8")
    aws = Aws()
    script = block_of("sh", "aws cognito-idp") + "export -p; echo That is all."
    with served(lambda origin: aws) as origin:
        env = {
            "HOME": str(home),
            "AWS_CONFIG_FILE": str(home / "config"),
            "AWS_ENDPOINT_URL": origin,
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
        }
        with running(script, home, until="That is all.", **env) as said:
            exported = dict(re.findall(r'^declare -x (\w+)="(.*)"$', said, re.M))
    return aws.calls, CognitoConfig.from_env(exported)


@pytest.mark.reader
def test_the_aws_commands_set_up_a_pool_that_the_exported_settings_fit(set_up):
    calls, config = set_up
    assert calls == [
        ("CreateUserPool", {"PoolName": "shop"}),
        (
            "CreateUserPoolDomain",
            {"UserPoolId": POOL, "Domain": "shop-example", "ManagedLoginVersion": 2},
        ),
        (
            "CreateUserPoolClient",
            {
                "UserPoolId": POOL,
                "ClientName": "web",
                "GenerateSecret": True,
                "AllowedOAuthFlowsUserPoolClient": True,
                "AllowedOAuthFlows": ["code"],
                "AllowedOAuthScopes": ["openid", "email"],
                "SupportedIdentityProviders": ["COGNITO"],
                "EnableTokenRevocation": True,
                "CallbackURLs": [config.redirect_url],
                "LogoutURLs": [config.logout_url],
            },
        ),
        (
            "CreateManagedLoginBranding",
            {"UserPoolId": POOL, "ClientId": CLIENT, "UseCognitoProvidedValues": True},
        ),
        ("CreateGroup", {"UserPoolId": POOL, "GroupName": "admin"}),
        (
            "AdminCreateUser",
            {
                "UserPoolId": POOL,
                "Username": "ada",
                "UserAttributes": [
                    {"Name": "email", "Value": "ada@shop.example"},
                    {"Name": "email_verified", "Value": "true"},
                ],
                "DesiredDeliveryMediums": ["EMAIL"],
            },
        ),
        ("AdminAddUserToGroup", {"UserPoolId": POOL, "Username": "ada", "GroupName": "admin"}),
    ]
    assert (config.user_pool_id, config.client_id, config.client_secret) == (POOL, CLIENT, SECRET)
    assert config.domain == "https://shop-example.auth.eu-central-1.amazoncognito.com"
    assert config.issuer == f"https://cognito-idp.eu-central-1.amazonaws.com/{POOL}"
    assert (config.redirect_url, config.logout_url) == (
        "https://shop.example/callback",
        "https://shop.example/",
    )


@pytest.mark.reader
def test_what_the_aws_commands_send_is_within_the_bounds_of_cognitos_interface(set_up):
    from botocore.session import Session

    calls, _ = set_up
    model = Session().get_service_model("cognito-idp")
    shapes = [model.operation_model(call.operation).input_shape for call in calls]
    faults = [
        fault
        for call, shape in zip(calls, shapes, strict=True)
        for fault in faults_of(call.parameters, shape, call.operation)
    ]
    assert faults == []
