"""The command ``cognito-wsgi``: what it prints, what it asks for, and how it ends."""

from __future__ import annotations

import io
import json
import os
import secrets
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Any

import pytest

from cognito_wsgi import cli
from cognito_wsgi.audit import audit
from cognito_wsgi.cli_app import UsageError, load_app, load_gateway
from cognito_wsgi.cli_output import Paint
from cognito_wsgi.local import LocalUserPool
from cognito_wsgi.testing import TestPool

from .serving import ROOT

CALLBACK, SIGNED_OUT = "http://127.0.0.1:5000/callback", "http://127.0.0.1:5000/"

#: An application as people write it. Its rules: one public page, one for admins, the rest by default.
NEWSROOM = """
from flask import Flask
from cognito_wsgi import CognitoGateway
from cognito_wsgi.testing import TestPool

def create_app(name="newsroom", *, protected=True, **settings):
    app = Flask(name)
    app.add_url_rule("/", "front", lambda: "front")
    app.add_url_rule("/admin/users", "users", lambda: "users")
    app.add_url_rule("/drafts", "drafts", lambda: "drafts", methods=["GET", "POST"])
    app.config.update(TestPool().settings(AWS_COGNITO_BEARER_ENABLED=True, **settings))
    if protected:
        app.wsgi_app = CognitoGateway(app.wsgi_app, app.config, rules={"/": "public", "/admin": ["admin"]})
    return app

app = create_app()
bare = create_app(protected=False)
number = 7
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """A directory to stand in; gives a function that writes a module there."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)

    def write(name: str = "newsroom", source: str = NEWSROOM) -> None:
        tmp_path.joinpath(f"{name}.py").write_text(textwrap.dedent(source), "utf-8")

    yield write
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs the command; gives its exit status and what it wrote to standard output and standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        try:
            status = cli.main(arguments)
        except SystemExit as exit:  # argparse
            status = int(exit.code or 0)
        return status, *capsys.readouterr()

    return run


def command(*arguments: str, env: Mapping[str, str] | None = None, **options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "cognito_wsgi", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "", "TERM": "xterm", **(env or {})},
        stderr=subprocess.PIPE,
        **options,
    )


# the command as such


def test_the_console_script_is_main() -> None:
    (script,) = entry_points(group="console_scripts", name="cognito-wsgi")
    assert script.load() is cli.main


def test_python_m_tells_the_version() -> None:
    with command("--version", stdout=subprocess.PIPE) as process:
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out.decode(), err) == (0, f"cognito-wsgi {version('cognito-wsgi')}\n", b"")


def test_help_names_every_command(run: Any) -> None:
    status, out, _ = run("--help")
    assert status == 0
    for name in ("routes", "explain", "check", "local"):
        assert f"\n    {name} " in out
    assert "Exit status: 0 for fine, 1 if something was found, 2" in out


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("rout",),
        ("routes",),
        ("explain", "app:app", "GET"),
        ("check", "--env", "app:app"),
        ("check", "-x"),
    ],
)
def test_what_is_no_command_is_a_usage_error(run: Any, arguments: tuple[str, ...]) -> None:
    status, out, err = run(*arguments)
    assert status == 2
    assert out == ""
    assert err.startswith("usage: cognito-wsgi")


def test_importing_the_command_loads_nothing_heavy() -> None:
    code = "import sys, cognito_wsgi.cli; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"requests", "jose", "cryptography", "flask", "authlib", "importlib.metadata"}
    own = {
        f"cognito_wsgi.{name}" for name in ("audit", "check", "explain", "testing", "local", "cli_reports")
    }
    assert "cognito_wsgi.cli" in loaded
    assert (heavy | own).isdisjoint(loaded)


def test_an_interrupted_command_ends_as_shells_expect(run: Any, project: Any) -> None:
    project("slow", "raise KeyboardInterrupt")
    assert run("explain", "slow:app", "GET", "/") == (130, "", "")


def test_a_reader_who_has_seen_enough_is_not_bothered(project: Any, tmp_path: Path) -> None:
    project()
    reading, writing = os.pipe()
    os.close(reading)
    with command("explain", "newsroom:app", "GET", "/", cwd=tmp_path, stdout=writing) as process:
        os.close(writing)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, b"")


def test_output_may_be_redirected_within_python(project: Any) -> None:
    project()
    with redirect_stdout(io.StringIO()) as stream:
        assert cli.main(["explain", "newsroom:app", "GET", "/"]) == 0
    assert "let in" in stream.getvalue()


def test_what_an_output_cannot_show_is_escaped(project: Any, tmp_path: Path) -> None:
    project()
    arguments = ("explain", "newsroom:app", "GET", "/ä")
    env = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    with command(*arguments, cwd=tmp_path, env=env, stdout=subprocess.PIPE) as process:
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (1, b"")
    assert rb"path      /\xe4" in out


# module:app


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("newsroom:app", "newsroom"),
        ("newsroom:create_app()", "newsroom"),
        ("newsroom:create_app('desk')", "desk"),
        ("newsroom:create_app(name='desk', protected=True)", "desk"),
    ],
)
def test_an_application_is_named_as_for_gunicorn(project: Any, target: str, name: str) -> None:
    project()
    assert load_app(target).name == name


def test_an_attribute_of_an_attribute_is_found(project: Any) -> None:
    project()
    assert load_gateway("newsroom:app.wsgi_app") is load_app("newsroom:app").wsgi_app


def test_modules_are_found_from_the_current_directory_and_below(project: Any, tmp_path: Path) -> None:
    tmp_path.joinpath("news").mkdir()
    project("news/wsgi")
    assert load_app("news.wsgi:app").name == "newsroom"
    assert sys.path[0] == str(tmp_path)
    load_app("news.wsgi:app")
    assert sys.path.count(str(tmp_path)) == 1


NO_TARGET = "names no application; write module:app or module:factory(), such as wsgi:app"

WRONG_TARGETS = [
    pytest.param("newsroom", NO_TARGET, id="no attribute"),
    pytest.param("newsroom:", NO_TARGET, id="empty attribute"),
    pytest.param(":app", NO_TARGET, id="empty module"),
    pytest.param("newsroom:app(", NO_TARGET, id="no Python"),
    pytest.param("newsroom:7", NO_TARGET, id="no name"),
    pytest.param("newsroom:create_app(app)", NO_TARGET, id="argument that is no literal"),
    pytest.param("newsroom:create_app(**{})", NO_TARGET, id="arguments unpacked"),
    pytest.param("newsroom:create_app()()", NO_TARGET, id="called twice"),
    pytest.param(
        "newsrom:app",
        "there is no module 'newsrom', looking from {here}. Run the command in",
        id="misspelt module",
    ),
    pytest.param("newsroom.sub:app", "there is no module 'newsroom.sub'", id="no such submodule"),
    pytest.param("newsroom:ap", "module newsroom has no 'ap'; do you mean newsroom:app?", id="misspelt"),
    pytest.param(
        "newsroom:zzz", "no 'zzz'; it has CognitoGateway, Flask, TestPool, app,", id="no such attribute"
    ),
    pytest.param(
        "empty:app", "module empty has no 'app'; nothing in it can be called", id="empty module file"
    ),
    pytest.param("newsroom:app.zzz", "module newsroom has no 'app.zzz'", id="no such attribute of app"),
    pytest.param("newsroom:number()", "number of newsroom is a int and cannot be called", id="not callable"),
    pytest.param(
        "newsroom:create_app(1, 2)",
        "newsroom:create_app(1, 2) failed: TypeError: create_app() takes",
        id="arguments",
    ),
    pytest.param(
        "newsroom:create_app",
        "If it makes the application, call it: 'newsroom:create_app()'",
        id="factory not called",
    ),
    pytest.param(
        "newsroom:bare",
        "there is no CognitoGateway in newsroom:bare (Flask). Wrap the application",
        id="not protected",
    ),
    pytest.param(
        "needy:app", "importing 'needy' failed: ModuleNotFoundError: No module named 'nowhere'", id="import"
    ),
    pytest.param(
        "broken:app", "importing 'broken' failed: ZeroDivisionError: division by zero (", id="exception"
    ),
    pytest.param("syntax:app", "importing 'syntax' failed: SyntaxError: ", id="syntax"),
    pytest.param("leaving:app", "importing 'leaving' failed: SystemExit: 3", id="sys.exit"),
]


@pytest.mark.parametrize(("target", "said"), WRONG_TARGETS)
@pytest.mark.parametrize(
    "arguments", [("explain", "GET", "/"), ("check",), ("routes",)], ids=lambda given: given[0]
)
def test_a_target_that_cannot_be_had_says_what_to_do(
    run: Any, project: Any, tmp_path: Path, target: str, said: str, arguments: tuple[str, ...]
) -> None:
    project()
    project("empty", "")
    project("needy", "import nowhere")
    project("broken", "1 / 0")
    project("syntax", "def")
    project("leaving", "import sys; sys.exit(3)")
    status, out, err = run(arguments[0], target, *arguments[1:])
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert said.format(here=tmp_path) in err


def test_a_failure_names_the_place_in_the_application(project: Any, tmp_path: Path) -> None:
    project("broken", "\n\n1 / 0")
    project("syntax", "\ndef")
    with pytest.raises(UsageError, match=rf"\({tmp_path}/broken.py, line 3\)"):
        load_app("broken:app")
    with pytest.raises(UsageError, match=rf"\({tmp_path}/syntax.py, line 2\)"):
        load_app("syntax:app")


def wrong_rules(source: str) -> str:
    return source.replace('"/": "public"', '"/": "pubic"')


@pytest.mark.parametrize(
    ("target", "source"),
    [
        pytest.param("newsroom:app", NEWSROOM, id="at import"),
        pytest.param(
            "newsroom:create_app()", NEWSROOM.partition("app = create_app()")[0], id="in the factory"
        ),
    ],
)
def test_an_application_whose_configuration_is_wrong_cannot_be_asked(
    run: Any, project: Any, target: str, source: str
) -> None:
    project("newsroom", wrong_rules(source))
    status, out, err = run("explain", target, "GET", "/")
    assert (status, out) == (2, "")
    assert err.splitlines() == [
        "error: the configuration of the application is wrong",
        "  rule '/': unknown access 'pubic'; do you mean 'public'?",
    ]


# routes


def test_routes_are_a_table(run: Any, project: Any) -> None:
    project()
    status, out, err = run("routes", "newsroom:app")
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "method                 route                    rule     who gets in",
        "GET|HEAD|OPTIONS       /static/<path:filename>  default  authenticated",
        "GET|HEAD|OPTIONS       /                        /        public",
        "GET|HEAD|OPTIONS       /admin/users             /admin   authenticated, groups: admin",
        "GET|HEAD|OPTIONS|POST  /drafts                  default  authenticated",
    ]


def test_routes_name_rules_that_cover_none(run: Any, project: Any) -> None:
    project("newsroom", NEWSROOM.replace('"/": "public"', '"/": "public", "/shop": "deny", "/ADMIN": "deny"'))
    status, out, _ = run("routes", "newsroom:app")
    assert status == 0
    assert out.endswith("\n\nrules that cover no route: /shop, /ADMIN\n")


MOUNTED = f"""{NEWSROOM}
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
behind_proxy = ProxyFix(app)
application = ProxyFix(DispatcherMiddleware(Flask("another", static_folder=None), {{"/news": app}}))
"""


@pytest.mark.parametrize(
    "target",
    [
        "newsroom:app.wsgi_app",
        "newsroom:behind_proxy",
        "newsroom:application",
    ],
)
def test_routes_and_explain_find_the_gateway_under_other_middleware(
    run: Any, project: Any, target: str
) -> None:
    project("newsroom", MOUNTED)
    assert run("explain", target, "GET", "/admin")[0] == 1
    status, out, _ = run("routes", target)
    assert status == 0
    assert "/admin/users             /admin   authenticated, groups: admin" in out


@pytest.mark.parametrize(
    ("options", "findings"),
    [
        pytest.param(["--fail-on-public", "/admin*"], [], id="nothing public there"),
        pytest.param(
            ["--fail-on-public", "/static*", "--fail-on-public", "/?"], [], id="nothing public in either"
        ),
        pytest.param(
            ["--fail-on-public", "*"],
            ["GET|HEAD|OPTIONS / is public, by rule /"],
            id="public",
        ),
        pytest.param(
            ["--fail-on-public", "/admin*", "--fail-on-public", "/"],
            ["GET|HEAD|OPTIONS / is public, by rule /"],
            id="the second of two patterns",
        ),
        pytest.param(
            ["--fail-on-default"],
            [
                "GET|HEAD|OPTIONS /static/<path:filename> has no rule of its own",
                "GET|HEAD|OPTIONS|POST /drafts has no rule of its own",
            ],
            id="default",
        ),
    ],
)
def test_routes_find_on_demand(run: Any, project: Any, options: list[str], findings: list[str]) -> None:
    project()
    status, out, err = run("routes", "newsroom:app", *options)
    assert (status, err) == (int(bool(findings)), "")
    assert [line for line in out.splitlines() if line.startswith("found")] == [
        f"found  {one}" for one in findings
    ]
    status, out, _ = run("routes", "newsroom:app", "--json", *options)
    assert (status, json.loads(out)["findings"]) == (int(bool(findings)), findings)


#: An application whose router does not tell capitals from small letters.
ODD_ROUTER = """
from flask import Flask
from werkzeug.routing import Map, MapAdapter
from cognito_wsgi import CognitoGateway
from cognito_wsgi.testing import TestPool

class Lenient(MapAdapter):
    def match(self, path_info=None, *arguments, **options):
        return super().match(path_info and path_info.lower(), *arguments, **options)

class LenientMap(Map):
    def bind(self, *arguments, **options):
        adapter = super().bind(*arguments, **options)
        adapter.__class__ = Lenient
        return adapter

class Application(Flask):
    url_map_class = LenientMap

app = Application("odd")
app.add_url_rule("/admin", "admin", lambda: "", methods=["GET"])
app.wsgi_app = CognitoGateway(app.wsgi_app, TestPool().config(), rules={"/admin": ["admin"]})
"""


def test_a_router_that_disagrees_with_the_route_map_is_always_found(run: Any, project: Any) -> None:
    project("odd", ODD_ROUTER)
    status, out, _ = run("routes", "odd:app")
    assert status == 1
    assert (
        "found  GET '/ADMIN' is served by /admin (rules: /admin), and judged by rule default"
        in out.splitlines()
    )


def test_routes_as_json_are_the_audit(run: Any, project: Any) -> None:
    project()
    status, out, _ = run("routes", "newsroom:app", "--json")
    assert status == 0
    report = json.loads(out)
    assert report == json.loads(json.dumps({**audit(load_app("newsroom:app")).as_dict(), "findings": []}))
    assert {
        "route": "/admin/users",
        "method": "GET",
        "endpoint": "users",
        "rule": "/admin",
        "access": "authenticated, groups: admin",
        "is_public": False,
    } in report["routes"]


def test_routes_of_an_application_without_a_router_are_not_to_be_had(run: Any, project: Any) -> None:
    source = """
    from cognito_wsgi import CognitoGateway
    from cognito_wsgi.testing import TestPool
    app = CognitoGateway(lambda environ, start_response: [], TestPool().config())
    """
    project("plain", source)
    status, out, err = run("routes", "plain:app")
    assert (status, out) == (2, "")
    assert err.startswith("error: this application has no Werkzeug url_map")


# explain


def test_explain_tells_the_way_to_a_refusal(run: Any, project: Any) -> None:
    project()
    status, out, err = run("explain", "newsroom:app", "get", "//admin/users?x=1", "--groups", "staff, editor")
    assert (status, err) == (1, "")
    assert out.splitlines() == [
        "request   GET //admin/users?x=1",
        "visitor   an imagined user, signed in this moment; groups: staff, editor; scopes: openid",
        "path      /admin/users",
        "rule      /admin: authenticated, groups: admin",
        "decision  refused, 403: needs all the groups admin",
        "answer    a browser: a 403 page; a program: 403 and problem+json",
    ]


@pytest.mark.parametrize(
    ("arguments", "status", "decision"),
    [
        pytest.param(["/"], 0, "let in", id="public"),
        pytest.param(["/drafts"], 1, "refused, 401: no access token", id="nobody"),
        pytest.param(["/drafts", "--groups", ""], 0, "let in", id="signed in"),
        pytest.param(["/drafts", "--scopes", ""], 0, "let in", id="signed in, no scopes"),
        pytest.param(["/drafts", "--claims", '{"age": 9}'], 0, "let in", id="signed in, claims"),
        pytest.param(["/admin", "--groups", "admin,staff"], 0, "let in", id="member"),
        pytest.param(["https://app.example.test/admin?x", "--groups", "admin"], 0, "let in", id="address"),
        pytest.param(["/%61dmin#x"], 1, "refused, 401: no access token", id="encoded"),
        pytest.param(["/login"], 0, "the gateway answers: it begins a sign-in", id="own endpoint"),
        pytest.param(
            ["/back", "--script-name", "/call"], 1, "refused, 401: no access token", id="another prefix"
        ),
        pytest.param(
            ["/a/../admin"], 1, "refused, 400: The path of the address has a segment", id="ambiguous"
        ),
    ],
)
def test_explain_ends_with_the_decision(
    run: Any, project: Any, arguments: list[str], status: int, decision: str
) -> None:
    project()
    found, out, _ = run("explain", "newsroom:app", "GET", *arguments)
    assert found == status
    assert f"decision  {decision}" in out


def test_explain_has_the_same_as_json(run: Any, project: Any) -> None:
    project()
    status, out, _ = run("explain", "newsroom:app", "GET", "/admin", "--groups", "staff", "--json")
    assert status == 1
    assert json.loads(out) == {
        "method": "GET",
        "path": "/admin",
        "visitor": "an imagined user, signed in this moment; groups: staff; scopes: openid",
        "token": [],
        "rules": [
            {
                "path": "/admin",
                "rule": "/admin",
                "access": "authenticated, groups: admin",
                "is_report_only": False,
                "refusal": "needs all the groups admin",
            }
        ],
        "endpoint": None,
        "is_let_in": False,
        "status": 403,
        "reason": "needs all the groups admin",
    }


def test_explain_shows_a_rule_that_only_reports(run: Any, project: Any) -> None:
    project("newsroom", NEWSROOM.replace('["admin"]', '{"groups": ["admin"], "report_only": True}'))
    status, out, _ = run("explain", "newsroom:app", "GET", "/admin", "--groups", "")
    assert status == 0
    assert "          reports only; else refused, 403: needs all the groups admin\ndecision  let in" in out


def give(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


@pytest.mark.parametrize(
    ("options", "visitor"),
    [
        ([], "who has the token in the session's cookie, and no refresh token"),
        (["--bearer"], "who sends the token in the Authorization header"),
    ],
)
def test_explain_reads_a_token_and_shows_its_checks(
    run: Any, project: Any, monkeypatch: pytest.MonkeyPatch, options: list[str], visitor: str
) -> None:
    project()
    token = TestPool().expired_token("ann", groups=["admin"])
    give(monkeypatch, f"  {token}\n")
    status, out, err = run("explain", "newsroom:app", "GET", "/admin", "--token-stdin", *options)
    assert (status, err) == (1, "")
    lines = out.splitlines()
    assert lines[1] == f"visitor   {visitor}"
    assert lines[2].startswith("token     ok    form")
    assert lines[3].startswith("          ok    iss")
    assert "          FAIL  not expired                      exp has passed" in lines
    assert not any(part in out for part in token.split("."))


def test_explain_of_a_bad_token_says_what_was_not_looked_at(
    run: Any, project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    project()
    give(monkeypatch, "rubbish")
    status, out, _ = run("explain", "newsroom:app", "GET", "/admin", "--token-stdin")
    assert status == 1
    assert "token     FAIL  form                             the token has not three parts" in out
    assert "          -     not expired                      not looked at" in out
    assert "rubbish" not in out


class NotUtf8(io.StringIO):
    def read(self, *_: object) -> str:
        return b"\xff".decode()


@pytest.mark.parametrize(
    "stdin",
    [
        pytest.param(io.StringIO(""), id="nothing"),
        pytest.param(io.StringIO("Bearer topsecret"), id="with the scheme"),
        pytest.param(io.StringIO("topsecret;x=y"), id="a semicolon"),
        pytest.param(io.StringIO("topsecr\xe9t"), id="no ASCII"),
        pytest.param(NotUtf8(), id="no UTF-8"),
    ],
)
def test_what_is_no_token_is_refused_and_not_repeated(
    run: Any, project: Any, monkeypatch: pytest.MonkeyPatch, stdin: io.StringIO
) -> None:
    project()
    monkeypatch.setattr(sys, "stdin", stdin)
    status, out, err = run("explain", "newsroom:app", "GET", "/admin", "--token-stdin")
    assert (status, out) == (2, "")
    assert err == "error: standard input has to hold an access token and nothing else, not even 'Bearer'\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["/admin", "GET"], "'/admin' is no method; write the method first, then the path"),
        (["GET", "/", "--bearer"], "--bearer says how a token comes; give one with --token-stdin"),
        (["GET", "/", "--token-stdin", "--scopes", "a"], "a token has its own groups, scopes and claims"),
        (["GET", "/", "--token-stdin", "--claims", "{}"], "a token has its own groups, scopes and claims"),
        (["GET", "/", "--token-stdin", "--groups", "a"], "not allowed with argument"),
        (["GET", "/", "--claims", "[1]"], "--claims takes a JSON object"),
        (["GET", "/", "--claims", "{"], "--claims takes a JSON object"),
        (["GET", "/", "--claims", '{"exp": "x"}'], "no token of this pool has such claims: exp is no number"),
    ],
)
def test_what_explain_cannot_make_sense_of(
    run: Any, project: Any, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    project()
    give(monkeypatch, "topsecret")
    status, out, err = run("explain", "newsroom:app", *arguments)
    assert (status, out) == (2, "")
    assert said in err


# check


@pytest.fixture(scope="module")
def local_pool() -> Iterator[LocalUserPool]:
    with LocalUserPool() as pool:
        yield pool


def settings_of(pool: LocalUserPool, **overrides: str) -> dict[str, str]:
    settings = pool.settings("web", redirect_url=CALLBACK, logout_url=SIGNED_OUT)
    return {
        **{key: str(value) for key, value in settings.items()},
        "SECRET_KEY": secrets.token_hex(32),
        **overrides,
    }


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> Callable[[Mapping[str, str]], None]:
    """Sets the settings in the process environment, and no others."""

    def set_all(settings: Mapping[str, str]) -> None:
        for key in list(os.environ):
            if key.startswith("AWS_"):
                monkeypatch.delenv(key)
        for key, value in settings.items():
            monkeypatch.setenv(key, value)

    return set_all


@pytest.mark.parametrize("arguments", [(), ("--env",)])
def test_check_takes_the_environment(
    run: Any, env: Any, local_pool: LocalUserPool, arguments: tuple[str, ...]
) -> None:
    env(settings_of(local_pool))
    status, out, err = run("check", *arguments)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "OK    settings               complete, and none contradicts another"
    assert lines[1].startswith("WARN  https                  ")
    assert lines[1].endswith(" → use an https redirect_url wherever others sign in")
    assert [line[:4] for line in lines[2:]] == ["OK  "] * 10


def test_check_is_strict_on_demand(run: Any, env: Any, local_pool: LocalUserPool) -> None:
    env(settings_of(local_pool))
    status, out, _ = run("check", "--strict")
    assert status == 1
    assert "FAIL" not in out


def test_check_finds_a_mistake(run: Any, env: Any, local_pool: LocalUserPool) -> None:
    env(settings_of(local_pool, AWS_COGNITO_USER_POOL_CLIENT_SECRET="topsecret" * 4))
    status, out, err = run("check")
    assert (status, err) == (1, "")
    (line,) = (line for line in out.splitlines() if line.startswith("FAIL"))
    assert line.startswith("FAIL  client secret  ")
    assert "topsecret" not in out


def test_check_says_what_is_wrong_with_the_settings(run: Any, env: Any) -> None:
    env({"AWS_COGNITO_DOMAIN": "auth.example.test"})
    status, out, _ = run("check", "--json")
    report = json.loads(out)
    assert (status, report["status"]) == (1, "FAIL")
    assert report["checks"][1] == {
        "check": "settings",
        "status": "FAIL",
        "text": "AWS_COGNITO_USER_POOL_ID (user_pool_id): missing, expected the id of a user pool, its region, '_' "
        "and letters or digits as in 'eu-west-1_AbCdEf123', in 55 characters at most",
        "advice": "correct this setting",
    }


def test_check_takes_the_settings_of_an_application(
    run: Any, project: Any, local_pool: LocalUserPool
) -> None:
    settings = settings_of(local_pool, AWS_COGNITO_REFRESH_FLOW_ENABLED="yes")
    project(
        "newsroom",
        f"{NEWSROOM}\nsettings = {settings!r}\nlocal = create_app(AWS_COGNITO_JWKS=None, **settings)",
    )
    status, out, err = run("check", "newsroom:local")
    assert (status, err) == (0, "")
    assert f"OK    discovery              issuer {local_pool.issuer}" in out
    assert "no room for the ID token" in out


def test_check_of_an_application_that_refuses_its_settings(run: Any, project: Any) -> None:
    project("newsroom", wrong_rules(NEWSROOM))
    status, out, _ = run("check", "newsroom:app")
    assert status == 1
    assert out.startswith("FAIL  settings  rule '/': unknown access 'pubic'; do you mean 'public'?")


# colour


@pytest.mark.parametrize(
    ("environ", "is_coloured"),
    [
        ({}, True),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, True),  # no-color.org: "when present and not an empty string"
        ({"TERM": "dumb"}, False),
    ],
)
def test_a_terminal_gets_colour_unless_told_otherwise(environ: dict[str, str], is_coloured: bool) -> None:
    terminal, writing = os.openpty()
    try:
        with os.fdopen(writing, "w") as stream:
            assert Paint(stream, environ)("red", "x") == ("\x1b[31mx\x1b[0m" if is_coloured else "x")
    finally:
        os.close(terminal)


def test_nothing_else_than_a_terminal_gets_colour(tmp_path: Path) -> None:
    with tmp_path.joinpath("out").open("w") as stream:
        assert Paint(stream, {})("red", "x") == "x"


def test_the_command_colours_its_marks_on_a_terminal(project: Any, tmp_path: Path) -> None:
    project()
    terminal, writing = os.openpty()
    with command("explain", "newsroom:app", "GET", "/", cwd=tmp_path, stdout=writing) as process:
        os.close(writing)
        out = os.read(terminal, 65536)
        process.communicate(timeout=30)
    os.close(terminal)
    assert b"decision  \x1b[32mlet in\x1b[0m" in out


# local


def test_local_serves_a_pool_until_it_is_stopped() -> None:
    with command("local", "--port", "0", "--client", "public", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"Local user pool, for this machine only\n"
        process.send_signal(signal.SIGTERM)
        out = process.stdout.read()
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, b"")
    assert b"export AWS_COGNITO_USER_POOL_CLIENT_ID=5publicclient" in out


def test_local_hands_its_arguments_on(run: Any) -> None:
    status, out, _ = run("local", "--help")
    assert status == 0
    assert "--issuer-port" in out
    status, _, err = run("local", "--host", "192.0.2.1")
    assert status == 2
    assert "loopback addresses only" in err


@pytest.mark.parametrize("missing", ["flask", "authlib"])
def test_without_the_extra_local_says_what_to_install(missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; from cognito_wsgi.cli import main; sys.exit(main(['local']))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith(f"error: the local user pool needs {missing}")
    assert "pip install 'cognito-wsgi[local]'" in found.stderr
