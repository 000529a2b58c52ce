"""Raw request lines over real sockets: what servers make of them gets no further than the rules say (threats.md §1).

The process that a server runs is this module's ``application``: the same Flask application bare and guarded, by
Host header. It answers with what was made of the request: ``PATH_INFO``, the gateway's status, the view that ran.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from werkzeug.test import run_wsgi_app

from cognito_wsgi import CognitoConfig, CognitoGateway
from cognito_wsgi.testing import TestPool

from .covering import INT, PATH, STRING, CoveringRule, find_covering
from .serving import free_port, process
from .test_paths_search import Route, Site, admits, decode, spellings

SETTINGS = "TEST_PATHS_SETTINGS"

SITE = Site(
    (
        Route(()),
        Route((("public",),)),
        Route((("admin",),), methods=("GET", "POST")),
        Route((("admin",), ("users",)), has_slash=True),
        Route((("admin",), (INT,))),
        Route((("files",), (PATH,))),
        Route((("vault",), (PATH,))),
        Route((("kä se",),), is_strict=False, has_slash=True),
        Route(((STRING,), ("open",))),
    ),
    merge_slashes=False,
    static_path="/static",
)
RULES = [
    CoveringRule((), access="public"),
    CoveringRule((("public",),), access="public"),
    CoveringRule((("static",),), access="public"),
    CoveringRule((("admin",),), access=["staff"]),
    CoveringRule((("admin",),), methods=("POST",)),
    CoveringRule((("admin",), ("7",))),
    CoveringRule((("files",),), access="public"),
    CoveringRule((("files",), ("secret",)), access=["staff"]),
    CoveringRule((("files",), (PATH,), ("secret",)), access=["staff"]),
    CoveringRule((("vault",),), access=["staff"]),
    CoveringRule((("vault",), (STRING,), ("shown",)), access="public"),
    CoveringRule(((STRING,), ("open",)), access="public"),
]

_ran: list[str] = []
_apps: dict[str, Any] = {}


def application(environ: Any, start_response: Any) -> list[bytes]:
    if not _apps:
        logging.getLogger("cognito_wsgi").setLevel(logging.CRITICAL)  # nobody reads the pipe it would fill
        app = SITE.make_app(_ran)
        config = CognitoConfig.from_mapping(json.loads(os.environ[SETTINGS]))
        rules = {rule.key: rule.value for rule in RULES}
        _apps.update(bare=app.wsgi_app, guarded=CognitoGateway(app.wsgi_app, config, rules))
    path_info = environ["PATH_INFO"]
    _ran.clear()
    _, status, _ = run_wsgi_app(_apps[environ["HTTP_HOST"]], environ)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps([path_info, int(status[:3]), _ran]).encode()]


class Outcome(NamedTuple):
    path_info: str
    status: int
    ran: list[str]


class Server(NamedTuple):
    name: str
    port: int
    cookies: dict[str, str]

    def ask(self, method: str, target: str, host: str, cookie: str = "") -> Outcome | None:
        """What became of a request; None if the server refused it itself."""
        head = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 0\r\n"
        if cookie:
            head += f"Cookie: {cookie}\r\n"
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(f"{head}\r\n".encode("latin-1"))
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        head_of_answer, _, body = answer.partition(b"\r\n\r\n")
        if b" 200 " not in head_of_answer.partition(b"\r\n")[0]:
            return None
        if b"chunked" in head_of_answer.lower():
            body = body.partition(b"\r\n")[2].partition(b"\r\n0\r\n")[0]
        return Outcome(*json.loads(body))


COMMANDS = {
    "gunicorn": ["gunicorn", "--log-level", "warning", "--bind", "127.0.0.1:{port}"],
    "waitress": ["waitress", "--threads", "1", "--listen", "127.0.0.1:{port}"],
}


@pytest.fixture(scope="module", params=COMMANDS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    pool = TestPool(redirect_url="http://localhost/own/callback", logout_url="http://localhost/own/bye")
    settings = pool.settings(AWS_COGNITO_LOGIN_PATH="/own/login", AWS_COGNITO_LOGOUT_PATH="/own/logout")
    port = free_port()
    options = [option.format(port=port) for option in COMMANDS[request.param]]
    command = [sys.executable, "-m", *options, "tests.test_paths_on_servers:application"]
    cookies = {
        "nobody": "",
        "other": "cognito_access_token=" + pool.access_token("olaf", groups=["other"]),
        "staff": "cognito_access_token=" + pool.access_token("sam", groups=["staff"]),
    }
    with process(command, port=port, env={SETTINGS: json.dumps(settings)}):
        yield Server(request.param, port, cookies)


PLAIN = [
    "/",
    "/public",
    "/admin",
    "/admin/users/",
    "/admin/7",
    "/admin/8",
    "/files/a/b",
    "/files/a/secret",
    "/x/open",
]
TARGETS = [
    *PLAIN,
    *("//admin", "///admin", "/%2fadmin", "/%2f%2Fadmin", "admin", "http:admin", "x:/admin", "x:admin", "*", "?x"),
    *("/admin#/public", "/admin%23/public", "/admin%3f/public", "/admin?/public", "/admin;x", "/admin%3bx"),
    *("/admin%2fusers/", "/admin//users/", "/admin/%2fusers/", "//admin//users//", "/%61dmin", "/%2561dmin"),
    *("http://evil/admin", "http://evil", "http://evil//admin", "http://guarded/public/../admin", "//evil/admin"),
    *("/public/../admin", "/public/%2e%2e/admin", "/./admin", "/public%2f..%2fadmin", "/files/../admin", "/admin/.."),
    *("/ADMIN", "/admin/", "/admin%00", "/admin%0a", "/admin%0d%0a", "/admin%c2%85", "/admin%85", "/admin%7f"),
    *("\\admin", "/\\admin", "/%5cadmin", "/public%5c..%5cadmin", "/%c0%afadmin", "/%ef%bc%8fadmin", "/admin%e2%80%a8"),
    *("/admin/007", "/admin/%D9%A7", "/admin/7/", "/admin/7%2f", "/admin/-7", "/admin/%37", "/admin/7//"),
    *("/files//secret", "/files/a//secret", "/files/a%2f%2fsecret", "/files/a/b%0a/secret", "/files/secret%2fx"),
    *("/files/a%e2%80%a8b/secret", "/files/./secret", "/files/a%2fsecret", "/k%C3%A4%20se", "/k%C3%A4%20se//", "/kä%20se"),
    *("/admin/open", "/admin%2fopen", "/public/open", "//open", "/%2fopen", "/admin//open", "/.%2fopen", "/static/x"),
    *("/vault/a", "/vault/a/shown", "/vault/a//shown", "/vault//a/shown", "/vault/a%2f%2fshown", "//vault/a/shown/"),
]  # fmt: skip


def is_let_in(method: str, path: str, visitor: str) -> bool:
    rule = find_covering(RULES, method, path)
    return admits(rule.access if rule else "authenticated", visitor)


@pytest.mark.server
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_no_request_line_reaches_a_view_past_the_rule_that_covers_it(server, method):
    for target in TARGETS:
        bare = server.ask(method, target, "bare")
        for visitor, cookie in server.cookies.items():
            guarded = server.ask(method, target, "guarded", cookie)
            case = f"{method} {target} of {visitor}: bare {bare}, guarded {guarded}"
            if guarded is None:
                assert bare is None, case
                continue
            assert all(is_let_in(method, path, visitor) for path in guarded.ran), case
            path = decode(guarded.path_info)
            if path is None:
                assert (guarded.status, guarded.ran) == (400, []), case
            elif all(is_let_in(method, spelling, visitor) for spelling in spellings(path)):
                assert guarded == bare, case
            else:
                assert (guarded.status in (401, 403), guarded.ran) == (True, []), case


TRAPS = {
    "gunicorn": ["//admin", "///admin", "/%2fadmin", "/admin#/public", "http://evil/admin"],
    "waitress": ["//admin", "///admin", "/%2fadmin", "admin", "http:admin", "x:/admin", "http://evil/admin"],
}


@pytest.mark.server
def test_without_the_gateway_many_spellings_reach_the_view(server):
    """What the test above is worth: these would get past a comparison of PATH_INFO with /admin, or of the line."""
    for target in [*TRAPS[server.name], "/%61dmin", "/admin?/public"]:
        assert server.ask("GET", target, "bare").ran == ["/admin"], target
        guarded = server.ask("GET", target, "guarded")
        assert (guarded.status in (400, 401), guarded.ran) == (True, []), target


@pytest.mark.server
def test_the_rules_let_in_whom_they_say_over_the_wire(server):
    for target, visitor, ran in [
        ("/public", "nobody", ["/public"]),
        ("//public", "nobody", ["/public"]),
        ("/k%C3%A4%20se/", "other", ["/kä se"]),
        ("/admin", "staff", ["/admin"]),
        ("/admin/8", "staff", ["/admin/8"]),
        ("/files/a//b", "nobody", ["/files/a//b"]),
    ]:
        assert server.ask("GET", target, "guarded", server.cookies[visitor]).ran == ran, target
