"""The calls to Cognito: what is sent, what each answer means, and that none lasts or grows without end."""

from __future__ import annotations

import base64
import gzip
import json
import logging
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from werkzeug.wrappers import Request, Response

from cognito_wsgi import CognitoError, endpoints
from cognito_wsgi.endpoints import (
    MAX_ANSWER_SIZE,
    Answer,
    CognitoClient,
    GrantRefused,
    Health,
    TokenAnswer,
    call,
    parse_json_object,
)

from .forging import NOW, POOL, new_key
from .serving import ROOT, free_port, served, wait_for

SECRET = "secret+with/odd=characters0"
CODE = "0c0de000-0000-4000-8000-000000000000"
VERIFIER = "v" * 43
REFRESH_TOKEN = "refresh.token.of.the.user"
TOKENS = {"access_token": "access.token.x", "id_token": "id.token.x", "refresh_token": "new.refresh.token"}


class Cognito:
    """The domain host, answering as the test wants it at the moment."""

    origin = ""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.requests: list[Request] = []
        self.answer: Callable[[], Response] = lambda: json_answer(TOKENS)

    def __call__(self, environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        request.get_data()  # read it while it is there
        request.form  # noqa: B018 - and parse it
        self.requests.append(request)
        return self.answer()(environ, start_response)


def json_answer(content: Any, status: int = 200, **headers: str) -> Response:
    return Response(json.dumps(content), status, headers, mimetype="application/json")


@pytest.fixture(scope="module")
def host() -> Iterator[Cognito]:
    cognito = Cognito()
    with served(lambda origin: cognito) as cognito.origin:
        yield cognito


@pytest.fixture
def cognito(host: Cognito) -> Cognito:
    host.reset()
    return host


def client_of(cognito: Cognito, **settings: Any) -> CognitoClient:
    return CognitoClient(POOL.config(**{"domain": cognito.origin, "client_secret": SECRET, **settings}))


@pytest.fixture
def client(cognito: Cognito) -> CognitoClient:
    return client_of(cognito)


def exchange(client: CognitoClient) -> TokenAnswer:
    return client.exchange_code(CODE, VERIFIER)


def refresh(client: CognitoClient) -> TokenAnswer:
    return client.refresh(REFRESH_TOKEN)


def revoke(client: CognitoClient) -> None:
    client.revoke(REFRESH_TOKEN)


EVERY_CALL = pytest.mark.parametrize("ask", [exchange, refresh, revoke])
EVERY_GRANT = pytest.mark.parametrize("ask", [exchange, refresh])


def test_start_of_a_worker_loads_neither_an_http_client_nor_cryptography() -> None:
    """They wait for the first call and the first token: beside Flask, no other package is loaded, and little else."""
    code = "import sys, flask; before = {*sys.modules}; import cognito_wsgi; print(*{*sys.modules} - before)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    packages = {name.partition(".")[0] for name in loaded}
    assert packages - sys.stdlib_module_names == {"cognito_wsgi"}
    assert packages - {"cognito_wsgi"} <= {"queue", "_queue", "concurrent"}


# what is sent

FORMS: list[tuple[Callable[[CognitoClient], object], str, dict[str, str]]] = [
    (
        exchange,
        "/oauth2/token",
        {
            "grant_type": "authorization_code",
            "code": CODE,
            "code_verifier": VERIFIER,
            "redirect_uri": "http://localhost/callback",
        },
    ),
    (refresh, "/oauth2/token", {"grant_type": "refresh_token", "refresh_token": REFRESH_TOKEN}),
    (revoke, "/oauth2/revoke", {"token": REFRESH_TOKEN}),
]


@pytest.mark.parametrize(("ask", "path", "form"), FORMS)
def test_secret_client_sends_a_form_and_its_secret_in_the_header(
    cognito: Cognito, client: CognitoClient, ask: Any, path: str, form: dict[str, str]
) -> None:
    ask(client)
    [request] = cognito.requests
    assert (request.method, request.path, request.query_string) == ("POST", path, b"")
    assert request.mimetype == "application/x-www-form-urlencoded"
    assert request.form.to_dict() == {**form, "client_id": POOL.client_id}
    kind, _, credentials = request.headers["Authorization"].partition(" ")
    assert kind == "Basic"
    assert base64.b64decode(credentials).decode() == f"{POOL.client_id}:{SECRET}"
    assert "Cookie" not in request.headers
    assert request.headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize(("ask", "path", "form"), FORMS)
def test_public_client_sends_its_name_alone(
    cognito: Cognito,
    ask: Any,
    path: str,
    form: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    netrc = tmp_path / "netrc"  # a file of passwords on the server is none of our business
    netrc.write_text("machine 127.0.0.1 login operator password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    ask(client_of(cognito, client_secret=None))
    [request] = cognito.requests
    assert request.form.to_dict() == {**form, "client_id": POOL.client_id}
    assert "Authorization" not in request.headers


def test_authorize_url_says_what_is_wanted_and_where_to_come_back(cognito: Cognito) -> None:
    own = {"response_type": "code", "client_id": POOL.client_id, "redirect_uri": "http://localhost/callback"}
    others = {"state": "s", "lang": "de&x=1", "login_hint": "a b+c@ü"}
    for scopes, more in ((None, {}), (("openid", "api/read"), {"scope": "openid api/read"})):
        url = urlsplit(client_of(cognito, scopes=scopes).authorize_url(others))
        assert f"{url.scheme}://{url.netloc}{url.path}" == f"{cognito.origin}/oauth2/authorize"
        query = parse_qs(url.query, strict_parsing=True)
        assert query == {name: [value] for name, value in {**own, **others, **more}.items()}


def test_logout_url_names_the_client_and_where_to_go(cognito: Cognito) -> None:
    url = urlsplit(client_of(cognito, logout_url="http://localhost/bye?x=1&y").logout_url())
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{cognito.origin}/logout"
    assert parse_qs(url.query) == {
        "client_id": [POOL.client_id],
        "logout_uri": ["http://localhost/bye?x=1&y"],
    }


# what the answers mean


@EVERY_GRANT
@pytest.mark.parametrize(
    "left_out", [(), ("id_token",), ("refresh_token",), ("id_token", "refresh_token")], ids=" ".join
)
def test_tokens_are_handed_on_as_they_came(
    cognito: Cognito, client: CognitoClient, ask: Any, left_out: tuple[str, ...]
) -> None:
    tokens = {name: None if name in left_out else token for name, token in TOKENS.items()}
    for given in (tokens, {name: token for name, token in tokens.items() if token}):
        cognito.answer = lambda given=given: json_answer(
            {**given, "token_type": "Bearer", "expires_in": 3600, "x": [1]}
        )
        assert ask(client)._asdict() == tokens


WORTHLESS: dict[str, bytes] = {
    "nothing": b"",
    "a page": b"<!doctype html><title>Hello</title>",
    "bytes": b"\x00\xff{\xfe",
    "null": b"null",
    "a text": b'"access_token"',
    "a list": b"[]",
    "an empty object": b"{}",
    "nested without end": b"[" * 100_000,
    "half an object": b'{"access_token": "a',
    "an object and more": b'{"access_token": "a"}{}',
    "no access token": json.dumps({**TOKENS, "access_token": None}).encode(),
    "an access token of another name": json.dumps({"accessToken": "a"}).encode(),
    **{
        f"{name} {fault}": json.dumps({**TOKENS, name: value}).encode()
        for name in TOKENS
        for fault, value in {
            "a number": 1,
            "a list": ["a"],
            "empty": "",
            "with a blank": "a b",
            "with a line": "a\r\nSet-Cookie: x=y",
            "with a semicolon": "a;b",
            "with quotes": '"a"',
            "not of ASCII": "ä",
            "half a character": "\ud800",
            "too long by a character": "a" * 32769,
        }.items()
    },
}


@EVERY_GRANT
@pytest.mark.parametrize("body", [pytest.param(body, id=name) for name, body in WORTHLESS.items()])
def test_answer_without_usable_tokens_ends_nothing(
    cognito: Cognito, client: CognitoClient, ask: Any, body: bytes
) -> None:
    cognito.answer = lambda: Response(body, mimetype="application/json")
    with pytest.raises(CognitoError) as caught:
        ask(client)
    assert caught.value.retry_after in range(2, 9)


def test_longest_token_is_handed_on(cognito: Cognito, client: CognitoClient) -> None:
    cognito.answer = lambda: json_answer({**TOKENS, "access_token": "a" * 32768})
    assert len(exchange(client).access_token) == 32768


OAUTH_ERRORS = [
    "invalid_request",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
]


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize("error", [*OAUTH_ERRORS, "<script>", "", "invalid_grant "])
def test_refused_code_is_told_with_the_error_of_the_standard(
    cognito: Cognito, client: CognitoClient, status: int, error: str
) -> None:
    cognito.answer = lambda: json_answer({"error": error, "error_description": "of anybody"}, status)
    with pytest.raises(GrantRefused) as caught:
        exchange(client)
    assert caught.value.error == (error if error in OAUTH_ERRORS else "other")


@pytest.mark.parametrize("status", [400, 401])
def test_invalid_grant_alone_ends_a_session(cognito: Cognito, client: CognitoClient, status: int) -> None:
    cognito.answer = lambda: json_answer({"error": "invalid_grant"}, status)
    with pytest.raises(GrantRefused) as caught:
        refresh(client)
    assert caught.value.error == "invalid_grant"


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        pytest.param(exchange, "invalid_client", id="exchange"),
        *(
            pytest.param(refresh, error, id=f"refresh {error}")
            for error in ["invalid_client", *OAUTH_ERRORS, "something new"]
            if error != "invalid_grant"
        ),
    ],
)
def test_refused_client_is_the_operators_mistake(
    cognito: Cognito, client: CognitoClient, ask: Any, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    cognito.answer = lambda: json_answer({"error": error}, 400)
    with pytest.raises(CognitoError) as caught:
        ask(client)
    assert caught.value.retry_after == 60
    assert "operator" in (caught.value.description or "")
    [line] = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert "AWS_COGNITO_USER_POOL_CLIENT_SECRET" in line
    assert (error if error != "something new" else "other") in line


UNREADABLE = {
    "400 and a page": (400, "text/html", "<p>Bad"),
    "400 of the SDK": (400, "application/json", '{"__type": "TooManyRequestsException"}'),
    "400 with a number for an error": (400, "application/json", '{"error": 1}'),
    "403 of a firewall": (403, "text/html", "<h1>403 Forbidden"),
    "404": (404, "text/html", "<p>Not found"),
    "429": (429, "application/json", '{"error": "invalid_grant"}'),
    "500": (500, "application/json", '{"error": "invalid_grant"}'),
    "502": (502, "text/html", "<p>Bad gateway"),
    "503": (503, "text/plain", "Slow down"),
    "504": (504, "text/html", ""),
    "201": (201, "application/json", json.dumps(TOKENS)),
    "204": (204, "application/json", ""),
    "302": (302, "text/html", ""),
    "307": (307, "application/json", json.dumps(TOKENS)),
    "600": (600, "application/json", '{"error": "invalid_grant"}'),
}


@EVERY_CALL
@pytest.mark.parametrize("kind", UNREADABLE)
def test_any_other_answer_means_try_again_later(
    cognito: Cognito, client: CognitoClient, ask: Any, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    status, mimetype, body = UNREADABLE[kind]
    cognito.answer = lambda: Response(
        body, status, {"Location": f"{cognito.origin}/elsewhere"}, mimetype=mimetype
    )
    with pytest.raises(CognitoError) as caught:
        ask(client)
    assert str(status) in caught.value.reason
    assert caught.value.retry_after in range(2, 9)
    [line] = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert str(status) in line
    may_be_a_mistake = 400 <= status < 500 and status != 429 and ask is not revoke
    assert ("AWS_COGNITO_DOMAIN" in line) == may_be_a_mistake
    assert [request.path for request in cognito.requests if request.path == "/elsewhere"] == []


@pytest.mark.parametrize("body", ["", "OK", "{}"])
def test_any_200_means_revoked(cognito: Cognito, client: CognitoClient, body: str) -> None:
    cognito.answer = lambda: Response(body)
    client.revoke(REFRESH_TOKEN)
    assert len(cognito.requests) == 1


def test_request_id_is_logged_and_nothing_else_of_the_answer(
    cognito: Cognito, client: CognitoClient, caplog: pytest.LogCaptureFixture
) -> None:
    cognito.answer = lambda: json_answer(
        {"error": "invalid_grant", "error_description": "a\nb"},
        400,
        **{"x-amz-cognito-request-id": "1a-2b;<c> d"},
    )
    with pytest.raises(GrantRefused):
        refresh(client)
    [line] = [record.getMessage() for record in caplog.records if record.name == "cognito_wsgi"]
    assert "1a-2bcd" in line and "\n" not in line and "<" not in line


# secrets


def test_no_answer_brings_a_secret_into_a_log_or_an_error(
    cognito: Cognito, client: CognitoClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = [
        SECRET,
        CODE,
        VERIFIER,
        REFRESH_TOKEN,
        *TOKENS.values(),
        base64.b64encode(SECRET.encode()).decode()[4:-4],
    ]
    echo = " ".join(secrets)
    shown = []
    for status in (200, 302, 400, 401, 403, 404, 429, 500, 503):
        for body in (
            echo,
            json.dumps({"error": echo}),
            json.dumps({"error": "invalid_client", "x": echo}),
            json.dumps(TOKENS),
        ):
            cognito.answer = lambda status=status, body=body: Response(
                body, status, {"Date": echo, "X": echo}
            )
            for ask in (exchange, refresh, revoke):
                try:
                    shown += [repr(ask(client))]
                except (CognitoError, GrantRefused) as error:
                    shown += [repr(error), str(error), getattr(error, "reason", "")]
    assert len(shown) > 200 and len(caplog.records) > 100
    shown += [repr(client), repr(Answer(200, {"x": echo}, echo.encode())), caplog.text]
    assert [secret for secret in secrets if secret in "\n".join(shown)] == []


def test_connection_that_fails_names_the_host_and_the_cause_alone(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    for url in (f"http://127.0.0.1:{port}/path?secret=1", f"https://127.0.0.1:{port}/path?secret=1"):
        with pytest.raises(CognitoError) as caught:
            call("GET", url, timeout=5)
        assert (
            caught.value.reason
            == f"127.0.0.1:{port} cannot be reached: ConnectionRefusedError: Connection refused"
        )


# clocks


def skew_after(date: bytes) -> float | None:
    """What a client thinks of Cognito's clock after a refusal with that Date."""
    head = b"HTTP/1.1 400 Bad Request\r\nDate: " + date + b"\r\nContent-Length: 25\r\n\r\n"
    with raw_server(say(head + b'{"error":"invalid_grant"}')) as url:
        client = CognitoClient(POOL.config(domain=url.rstrip("/")))
        assert client.clock_skew is None
        with pytest.raises(GrantRefused):
            exchange(client)
    return client.clock_skew


@pytest.mark.parametrize("skew", [-7200, -1, 0, 90])
def test_clock_skew_is_that_of_the_last_answer(skew: int) -> None:
    with time_machine.travel(NOW, tick=False):
        date = format_datetime(datetime.fromtimestamp(NOW + skew, UTC), usegmt=True)
        assert skew_after(date.encode()) == skew


@pytest.mark.parametrize(
    "date",
    [
        b"",
        b"now",
        b"Mon, 01 Jan",
        b"Jan 99999999999999999999 99999999999999999999 12:3 2024",
        b"Feb 1 999999999:1:1 Jan- -9999999",
        b"Mon, 01 Jan 99999 00:00:00 GMT",
        b"\xff\xfe",
    ],
)
def test_date_that_is_none_tells_nothing(date: bytes) -> None:
    assert skew_after(date) is None


# an endpoint that fails

FAILURES: dict[str, Callable[[], Response]] = {
    "429": lambda: Response(status=429),
    "500": lambda: Response(status=500),
    "503": lambda: Response(status=503),
    "600": lambda: Response(status=600),
    "no whole answer": lambda: Response(b" " * (MAX_ANSWER_SIZE + 1)),
}
#: Whatever else an endpoint says is about the one call. (Visitors could bring it about, to the harm of others.)
NO_FAILURES: dict[str, Callable[[], Response]] = {
    "tokens": lambda: json_answer(TOKENS),
    "a dead token": lambda: json_answer({"error": "invalid_grant"}, 400),
    "a refused client": lambda: json_answer({"error": "invalid_client"}, 401),
    "a firewall's page": lambda: Response("<h1>403 Forbidden", 403),
    "404": lambda: Response(status=404),
    "499": lambda: Response(status=499),
    "a redirect": lambda: Response(status=302, headers={"Location": "/elsewhere"}),
    "garbage": lambda: Response("{"),
}


def fail(cognito: Cognito, client: CognitoClient, kind: str = "503") -> None:
    cognito.answer = FAILURES[kind]
    with pytest.raises(CognitoError):
        refresh(client)
    cognito.requests.clear()


@contextmanager
def held_up(cognito: Cognito, client: CognitoClient) -> Iterator[Future[TokenAnswer]]:
    """A refresh that waits at Cognito as long as the block lasts, and then gets its tokens."""
    go_on = threading.Event()
    before = len(cognito.requests)
    cognito.answer = lambda: json_answer(TOKENS) if go_on.wait(10) else Response(status=504)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(refresh, client)
        try:
            wait_for(lambda: len(cognito.requests) > before)
            yield waiting
        finally:
            go_on.set()


@EVERY_GRANT
@pytest.mark.parametrize("kind", FAILURES)
def test_one_call_at_a_time_waits_for_an_endpoint_that_has_failed(
    cognito: Cognito,
    client: CognitoClient,
    ask: Any,
    kind: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endpoints, "PATIENCE", 0.01)
    fail(cognito, client, kind)
    caplog.clear()
    with held_up(cognito, client) as first:
        for _ in range(10):
            with pytest.raises(CognitoError) as caught:
                ask(client)
            assert "another request finds out" in caught.value.reason
            assert caught.value.retry_after in range(2, 9)
        assert not first.done()
    assert first.result().access_token == TOKENS["access_token"]
    assert len(cognito.requests) == 1
    assert caplog.records == []  # no outage is told of for a call that was not made


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> list[Health]:
    """One entry for each that waits for another's call. They wait as long as a slow machine may need."""
    waiting: list[Health] = []

    def patience(health: Health) -> float:
        waiting.append(health)
        return 20

    monkeypatch.setattr(Health, "_patience", patience)
    return waiting


@EVERY_GRANT
def test_crowd_that_comes_after_an_outage_waits_for_what_the_first_finds(
    cognito: Cognito, client: CognitoClient, ask: Any, waiting: list[Health]
) -> None:
    fail(cognito, client)
    with ThreadPoolExecutor(8) as threads:
        with held_up(cognito, client) as first:
            crowd = [threads.submit(ask, client) for _ in range(8)]
            wait_for(lambda: len(waiting) == 8)
            assert not any(one.done() for one in crowd)
            assert len(cognito.requests) == 1
        assert {one.result() for one in [first, *crowd]} == {first.result()}
    assert len(cognito.requests) == 9


def test_nobody_waits_for_a_call_that_has_taken_long(cognito: Cognito, client: CognitoClient) -> None:
    """Each that did would hold a thread of the server."""
    fail(cognito, client)
    with held_up(cognito, client) as first:
        began = time.monotonic()
        for _ in range(50):
            with pytest.raises(CognitoError):
                refresh(client)
            assert time.monotonic() - began < 10 * endpoints.PATIENCE
        assert not first.done()


def test_crowd_does_not_wait_for_an_endpoint_that_is_found_to_fail_still(
    cognito: Cognito, client: CognitoClient, waiting: list[Health]
) -> None:
    fail(cognito, client)
    go_on = threading.Event()
    cognito.answer = lambda: Response(status=503 if go_on.wait(10) else 504)
    with ThreadPoolExecutor(8) as threads:
        crowd = [threads.submit(refresh, client) for _ in range(8)]
        try:
            wait_for(lambda: len(waiting) == 7)
            assert not any(one.done() for one in crowd)
        finally:
            go_on.set()
        assert all(isinstance(one.exception(), CognitoError) for one in crowd)
    assert len(cognito.requests) == 1


@EVERY_GRANT
def test_first_call_after_an_outage_is_made_however_long_that_was(
    cognito: Cognito, client: CognitoClient, ask: Any
) -> None:
    with time_machine.travel(NOW, tick=False):
        for _ in range(20):
            fail(cognito, client)
        cognito.answer = lambda: json_answer(TOKENS)
        assert ask(client).access_token == TOKENS["access_token"]


@pytest.mark.parametrize("kind", NO_FAILURES)
def test_endpoint_that_answers_may_be_asked_by_all(
    cognito: Cognito, client: CognitoClient, kind: str
) -> None:
    fail(cognito, client)
    cognito.answer = NO_FAILURES[kind]
    with suppress(CognitoError, GrantRefused):
        exchange(client)
    with held_up(cognito, client) as first:
        cognito.answer = lambda: json_answer(TOKENS)
        assert refresh(client).access_token == TOKENS["access_token"]
        assert not first.done()


def test_endpoint_that_has_not_been_asked_yet_may_be_asked_by_all(
    cognito: Cognito, client: CognitoClient
) -> None:
    with held_up(cognito, client) as first:
        cognito.answer = lambda: json_answer(TOKENS)
        assert exchange(client).access_token == TOKENS["access_token"]
        assert not first.done()


def test_call_that_finds_out_nothing_until_its_time_is_up_leaves_that_to_the_next(cognito: Cognito) -> None:
    client = client_of(cognito, timeout=1)
    fail(cognito, client)
    with held_up(cognito, client) as first:
        with pytest.raises(CognitoError, match="cannot be reached"):
            refresh(client)
        assert len(cognito.requests) == 1
        with pytest.raises(CognitoError):
            first.result()
        cognito.answer = lambda: json_answer(TOKENS)
        assert refresh(client).access_token == TOKENS["access_token"]


def test_revocation_is_tried_whatever_the_token_endpoint_does(
    cognito: Cognito, client: CognitoClient
) -> None:
    fail(cognito, client)
    with held_up(cognito, client) as first:
        cognito.answer = Response
        revoke(client)
        assert not first.done()


@pytest.mark.parametrize("error", [RuntimeError, SystemExit])
def test_turn_is_over_however_the_call_ends(
    error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SystemExit is what a worker meets that is being stopped."""
    monkeypatch.setattr(endpoints, "PATIENCE", 0.01)
    health = Health()
    health.failure = "status 503"
    for _ in range(2):
        with pytest.raises(error), health.waiting():
            with pytest.raises(CognitoError), health.waiting():
                raise AssertionError("two at a time")
            raise error
    assert health.failure == "status 503"


# bounds


@contextmanager
def raw_server(
    talk: Callable[[socket.socket], object], *, context: ssl.SSLContext | None = None
) -> Iterator[str]:
    """A server that reads a request and then does as it likes with each connection, until the block ends."""
    connections: list[socket.socket] = []

    def serve(listener: socket.socket) -> None:
        with suppress(OSError):  # when the listener is shut down
            while True:
                connections.append(listener.accept()[0])
                threading.Thread(target=converse, args=(connections[-1],), daemon=True).start()

    def converse(connection: socket.socket) -> None:
        with suppress(OSError), connection:  # when the other side has had enough
            if context is not None:
                connection = context.wrap_socket(connection, server_side=True)
            connection.recv(65536)
            talk(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        try:
            yield f"{'https' if context else 'http'}://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            for connection in connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


def say(*pieces: bytes, every: float = 0, again: bool = False) -> Callable[[socket.socket], int]:
    """Send the pieces, the last one again and again if need be."""

    def talk(connection: socket.socket) -> int:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(every)
        while again:
            connection.sendall(pieces[-1])
            time.sleep(every)
        return 0

    return talk


OK = b"HTTP/1.1 200 OK\r\n"
BAD_MANNERS: dict[str, tuple[Callable[[socket.socket], object], str]] = {
    "says nothing": (lambda connection: connection.recv(1), "no complete answer"),
    "hangs up": (lambda connection: None, "RemoteDisconnected"),
    "speaks another tongue": (say(b"SSH-2.0-OpenSSH_9.6\r\n"), "BadStatusLine"),
    "speaks in bytes": (say(b"\x00\xff\xfe\r\n\r\n"), "BadStatusLine"),
    "drips headers": (say(OK, b"a", every=0.05, again=True), "no complete answer"),
    "sends headers without end": (say(OK, b"a: b\r\n", again=True), "HTTPException"),
    "sends a header without end": (say(OK, b"a: " + b"b" * 65536, again=True), "LineTooLong"),
    "says wait without end": (
        say(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, again=True, every=0.01),
        "no complete answer",
    ),
    "drips a body": (say(OK + b"\r\n", b"{", every=0.05, again=True), "no complete answer|trickling"),
    "drips a body in chunks": (
        say(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", every=0.05, again=True),
        "no complete answer|trickling",
    ),
    "sends a body without end": (say(OK + b"\r\n", b" " * 65536, again=True), "more than 262144"),
    "sends chunks without end": (
        say(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"ffff\r\n" + b" " * 0xFFFF + b"\r\n", again=True),
        "more than 262144",
    ),
    "redirects with a body without end": (
        say(b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", b" " * 65536, again=True),
        "more than 262144",
    ),
    "announces more than it sends": (say(OK + b"Content-Length: 100\r\n\r\n{}"), "IncompleteRead"),
    "breaks off a chunk": (say(OK + b"Transfer-Encoding: chunked\r\n\r\n10\r\n{}"), "IncompleteRead"),
    "counts chunks in words": (say(OK + b"Transfer-Encoding: chunked\r\n\r\nten\r\n{}"), "ValueError"),
    "contradicts itself": (say(OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} "), "InvalidHeader"),
}


@pytest.mark.parametrize(
    ("talk", "cause"), [pytest.param(*row, id=name) for name, row in BAD_MANNERS.items()]
)
def test_server_without_manners_is_an_outage_in_time(talk: Any, cause: str) -> None:
    """At once where it can be told at once; and such a call has time for that on any machine."""
    with raw_server(talk) as url:
        began = time.monotonic()
        with pytest.raises(CognitoError) as caught:
            call("GET", url, timeout=0.3 if "no complete answer" in cause else 10)
        assert time.monotonic() - began < 5
    assert any(part in caught.value.reason for part in cause.split("|")), caught.value.reason
    assert caught.value.reason.startswith(urlsplit(url).netloc)


@pytest.mark.parametrize(
    "head",
    [
        OK,
        b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n",
        b"HTTP/1.1 500 Oh\r\n",
        b"HTTP/1.1 400 No\r\nContent-Length: 99999999999\r\n",
    ],
    ids=["200", "302", "500", "400 of 100 GB"],
)
def test_answer_without_end_is_given_up_at_its_limit(head: bytes) -> None:
    with raw_server(say(head + b"\r\n", b" " * 65536, again=True)) as url:
        with pytest.raises(CognitoError) as caught:
            call("GET", url, timeout=5)
        wait_for(lambda: not call_threads())
    assert "more than 262144 bytes" in caught.value.reason


def call_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "cognito_wsgi call"]


@pytest.mark.parametrize("name", ["drips a body", "drips a body in chunks", "sends a body without end"])
def test_call_that_is_over_leaves_no_thread_behind(name: str) -> None:
    with raw_server(BAD_MANNERS[name][0]) as url:
        with pytest.raises(CognitoError):
            call("GET", url, timeout=0.3)
        wait_for(lambda: not call_threads())


@pytest.mark.parametrize("size", [0, 1, 70_000, MAX_ANSWER_SIZE])
def test_answer_within_bounds_is_read_whole(cognito: Cognito, size: int) -> None:
    cognito.answer = lambda: Response(b"x" * size, 418, {"X-Odd": "1"})
    answer = call("GET", cognito.origin, timeout=5)
    assert (answer.status, answer.headers["x-odd"], answer.body) == (418, "1", b"x" * size)


def test_answer_beyond_bounds_is_none(cognito: Cognito) -> None:
    cognito.answer = lambda: Response(b"x" * (MAX_ANSWER_SIZE + 1))
    with pytest.raises(CognitoError) as caught:
        call("GET", cognito.origin, timeout=5)
    assert "more than 262144 bytes" in caught.value.reason


def test_answer_is_not_unpacked(cognito: Cognito) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    assert len(bomb) < MAX_ANSWER_SIZE
    cognito.answer = lambda: Response(bomb, headers={"Content-Encoding": "gzip"})
    assert call("GET", cognito.origin, timeout=5).body == bomb


@pytest.mark.parametrize(
    "location", ["/elsewhere", "http://[", "http://\xff\xfe", "//evil.test", "javascript:alert(1)", ""]
)
def test_redirect_is_an_answer_and_not_followed(location: str) -> None:
    head = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 2\r\n\r\n{{}}".encode("latin-1")
    connections = []
    with raw_server(lambda connection: (connections.append(1), connection.sendall(head))) as url:
        answer = call("GET", url, timeout=5)
    assert (answer.status, answer.body, len(connections)) == (302, b"{}", 1)


def test_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    key = new_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    today = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), 1, today - timedelta(1), today + timedelta(1)
    )
    certificate = builder.sign(key, SHA256())
    pem = tmp_path / "server.pem"
    pem.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    heard = []
    with raw_server(heard.append, context=context) as url, pytest.raises(CognitoError) as caught:
        call("POST", url, timeout=5, data={"code": CODE})
    assert "certificate" in caught.value.reason
    assert heard == []


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b'\n{"a": "\xc3\xbc"}', {"a": "ü"}),
        (b"{}", {}),
        (b"[]", None),
        (b"null", None),
        (b"", None),
        (b"\xff", None),
        (b'{"a"', None),
        (b'{"a":' * 100_000, None),
        (b"1" * 5000, None),
    ],
)
def test_json_object_is_that_or_nothing(body: bytes, value: Any) -> None:
    assert parse_json_object(body) == value


def test_system_without_threads_is_an_outage(cognito: Cognito) -> None:
    size = threading.stack_size(1 << 46)  # more than there is
    try:
        with pytest.raises(CognitoError, match="cannot be reached"):
            call("GET", cognito.origin, timeout=5)
    finally:
        threading.stack_size(size)
    assert cognito.requests == []
