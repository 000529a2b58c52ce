"""The gateway as a WSGI citizen (PEP 3333): what the application says comes out as it was said."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from typing import Any
from wsgiref.util import FileWrapper

import flask
import pytest
from werkzeug.test import EnvironBuilder

from cognito_wsgi import AuthorisationRequiredError, CognitoGateway
from cognito_wsgi.local import LocalUserPool

from .serving import free_port
from .visiting import FETCH, FORM, NAVIGATION, ORIGIN, Application, House, local_config

PUBLIC = {"/": "public", "/public": "public"}


@pytest.fixture(scope="module")
def local_pool() -> Iterator[LocalUserPool]:
    with LocalUserPool() as pool:
        yield pool


@pytest.fixture
def refreshing(local_pool) -> House:
    """A browser whose access token is gone and whose refresh token is good: the next answer sets cookies."""
    house = House(local_config(local_pool, AWS_COGNITO_REFRESH_FLOW_ENABLED=True), PUBLIC)
    assert house.sign_in("/claims").status_code == 303
    house.client.delete_cookie("cognito_access_token")
    return house


class Server:
    """The server's side of one request: its environ, and what ``start_response`` was called with."""

    def __init__(self, path: str = "/public", **options: Any) -> None:
        self.environ = EnvironBuilder(path, **options).get_environ()
        self.environ["wsgi.file_wrapper"] = FileWrapper
        self.starts: list[tuple[Any, ...]] = []
        self.written: list[bytes] = []

    def start_response(self, *arguments: Any) -> Callable[[bytes], object]:
        self.starts.append(arguments)
        return self.written.append

    def call(self, app: Any) -> Any:
        return app(self.environ, self.start_response)


ROADS = pytest.mark.parametrize("path", ["/claims", "/public"], ids=["with cookies", "without cookies"])


def sets_cookies(headers: list[tuple[str, str]]) -> bool:
    return any(name == "Set-Cookie" and "cognito_" in value for name, value in headers)


@pytest.fixture
def behind(pool):
    """Puts an application behind a gateway whose rules let everyone in."""
    return lambda app: CognitoGateway(app, pool.config(), PUBLIC)


# Both sides are valid, whatever the answer. (House has a validator on either side.)


ANSWERS = [
    pytest.param("/public", {}, 200, id="the application's"),
    pytest.param("/x", {}, 302, id="to the sign-in"),
    pytest.param("/x", {"method": "HEAD"}, 302, id="to the sign-in, HEAD"),
    pytest.param("/x", {"kind": FETCH}, 401, id="401 for a program"),
    pytest.param("/x", {"kind": FETCH, "method": "HEAD"}, 401, id="401 for a program, HEAD"),
    pytest.param("/x", {"kind": FORM, "method": "POST"}, 401, id="401 page"),
    pytest.param("/x\\y", {}, 400, id="400 page"),
    pytest.param("/x\\y", {"method": "HEAD"}, 400, id="400 page, HEAD"),
    pytest.param("/x\\y", {"kind": FETCH}, 400, id="400 for a program"),
    pytest.param("/login?next=/x", {}, 302, id="login"),
    pytest.param("/login", {"method": "POST"}, 405, id="another method"),
    pytest.param("/logout", {}, 302, id="logout"),
    pytest.param("/logout", {"method": "POST"}, 302, id="logout by POST"),
    pytest.param("/callback?code=a&state=b", {}, 400, id="callback"),
    pytest.param("/refresh", {"method": "POST"}, 401, id="refresh"),
]


@pytest.mark.parametrize(("address", "options", "status"), ANSWERS)
def test_every_answer_is_valid_wsgi(pool, address, options, status):
    house = House(pool.config(refresh_enabled=True), PUBLIC)
    answer = house.ask(address, **options)
    assert answer.status_code == status
    if options.get("method") == "HEAD":
        assert answer.data == b""


@pytest.mark.parametrize("kind", [NAVIGATION, FETCH], ids=["page", "problem"])
@pytest.mark.parametrize("status", [403, 503])
def test_refusals_of_signed_in_users_are_valid_wsgi(pool, status, kind):
    config = pool.config(
        **({"jwks": None, "jwks_url": f"http://127.0.0.1:{free_port()}/"} if status == 503 else {})
    )
    house = House(config, default="deny")
    pool.sign_in(house.client)
    assert house.ask("/x", kind).status_code == status


def test_the_whole_way_through_sign_in_and_refresh_is_valid_wsgi(refreshing):
    assert refreshing.ask("/claims").data == b"inside"
    assert refreshing.ask("/refresh", FETCH, method="POST").status_code == 200


def test_the_page_that_hops_to_next_is_valid_wsgi(local_pool):
    house = House(local_config(local_pool, AWS_COGNITO_COOKIE_SAMESITE="Strict"))
    answer = house.sign_in("/claims")
    assert answer.status_code == 200
    assert 'content="0;url=/claims"' in answer.text


def test_an_answer_of_on_error_is_valid_wsgi(pool):
    house = House(pool.config(), on_error=lambda error, environ: Application())
    assert house.ask("/x", FETCH).data == b"inside"


# What the application says comes out as it was said


def test_the_body_is_the_very_object_that_the_application_returned(behind):
    body = [b"one", b"two"]

    def app(environ, start_response):
        start_response("299 Odd Status", [("content-type", "text/plain"), ("X-A", "1"), ("X-A", "2")])
        return body

    server = Server()
    assert server.call(behind(app)) is body
    assert server.starts == [("299 Odd Status", [("content-type", "text/plain"), ("X-A", "1"), ("X-A", "2")])]


def test_start_response_is_the_servers_own_where_no_cookie_is_set(pool):
    given = []

    def app(environ, start_response):
        given.append(start_response)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return []

    gateway = CognitoGateway(app, pool.config(), PUBLIC)
    for path in ("/public", "/private"):
        server = Server(path, headers={"Cookie": f"cognito_access_token={pool.access_token()}"})
        server.call(gateway)
        assert given[-1] == server.start_response
    assert len(given) == 2


def test_the_gateway_reads_nothing_of_a_body_that_streams(behind):
    read = []

    def body():
        for number in range(3):
            read.append(number)
            yield b"x"

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return body()

    chunks = iter(Server().call(behind(app)))
    assert read == []
    next(chunks)
    assert read == [0]


def test_the_gateway_reads_nothing_of_a_body_that_streams_though_it_sets_cookies(refreshing):
    read = []

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"first"
        read.append("on")
        yield b"second"

    refreshing.gateway.app = app
    answer = refreshing.client.open("/claims", base_url=ORIGIN, buffered=False)
    assert answer.status_code == 200
    assert "cognito_access_token=" in answer.headers["Set-Cookie"]
    assert read == []
    chunks = iter(answer.response)
    assert next(chunks) == b"first"
    assert read == []
    assert list(chunks) == [b"second"]
    answer.close()


class Closing:
    """A body that counts how often it is closed."""

    def __init__(self) -> None:
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        yield b"inside"

    def close(self) -> None:
        self.closed += 1


@ROADS
def test_close_of_the_body_is_called_once_by_the_server(refreshing, path):
    body = Closing()

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return body

    refreshing.gateway.app = app
    answer = refreshing.ask(path)
    assert answer.data == b"inside"
    assert sets_cookies(list(answer.headers)) is (path == "/claims")
    assert body.closed == 1


def test_the_body_of_a_request_reaches_the_application_unread(behind):
    given = []

    def app(environ, start_response):
        given.append(environ["wsgi.input"])
        start_response("200 OK", [("Content-Type", "text/plain")])
        return []

    body = io.BytesIO(b"a body")
    server = Server(method="POST", input_stream=body, content_length=6)
    server.environ["wsgi.input"] = body
    server.call(behind(app))
    assert given == [body]
    assert body.tell() == 0


def test_the_body_of_a_request_that_needs_a_refresh_reaches_the_application(refreshing):
    refreshing.gateway.app = (app := flask.Flask("app"))
    app.post("/form")(lambda: flask.request.form["field"])
    answer = refreshing.ask("/form", FORM, method="POST", data={"field": "a value"})
    assert answer.text == "a value"
    assert "cognito_access_token=" in answer.headers["Set-Cookie"]


def test_the_servers_file_wrapper_is_used_and_passed_through(behind):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return environ["wsgi.file_wrapper"](io.BytesIO(b"a file"))

    body = Server().call(behind(app))
    assert type(body) is FileWrapper
    assert b"".join(body) == b"a file"


@ROADS
def test_what_the_application_writes_reaches_the_server(refreshing, path):
    def app(environ, start_response):
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        write(b"written")
        return [b"returned"]

    refreshing.gateway.app = app
    server = Server(path, base_url=ORIGIN, headers={"Cookie": refreshing.cookie_header})
    assert server.call(refreshing.gateway) == [b"returned"]
    assert server.written == [b"written"]
    ((_, headers),) = server.starts
    assert sets_cookies(headers) is (path == "/claims")


@ROADS
def test_an_answer_that_is_begun_anew_with_exc_info_goes_out_as_the_last(refreshing, path):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        try:
            raise LookupError("too late")
        except LookupError:
            start_response("500 Oh No", [("Content-Type", "text/html")], sys.exc_info())
        return [b"sorry"]

    refreshing.gateway.app = app
    server = Server(path, base_url=ORIGIN, headers={"Cookie": refreshing.cookie_header})
    assert server.call(refreshing.gateway) == [b"sorry"]
    (first, headers), (last, other_headers, exc_info) = server.starts
    assert (first, last) == ("200 OK", "500 Oh No")
    assert exc_info[0] is LookupError
    assert sets_cookies(headers) is sets_cookies(other_headers) is (path == "/claims")


def test_an_error_of_the_application_is_its_own_affair(behind):
    def app(environ, start_response):
        raise KeyError("cognito.claims")

    with pytest.raises(KeyError):
        Server().call(behind(app))


def test_a_refusal_that_the_application_raises_itself_is_its_own_affair(behind):
    def app(environ, start_response):
        raise AuthorisationRequiredError("of the application")

    with pytest.raises(AuthorisationRequiredError):
        Server().call(behind(app))


# Cookies on the way out


def cache_control(refreshing: House, *headers: tuple[str, str]) -> list[str]:
    """The Cache-Control lines of an answer that sets cookies, where the application said ``headers``."""
    refreshing.app.headers = headers
    answer = refreshing.ask("/claims")
    assert "cognito_access_token=" in answer.headers["Set-Cookie"]
    return answer.headers.getlist("Cache-Control")


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        pytest.param([], {"private"}, id="nothing"),
        pytest.param(["public, max-age=60"], {"private", "max-age=60"}, id="public"),
        pytest.param(["max-age=60, s-maxage=99"], {"private", "max-age=60"}, id="for shared caches"),
        pytest.param(["no-cache"], {"private", "no-cache"}, id="no-cache"),
        pytest.param(["private"], {"private"}, id="private"),
        pytest.param(['private="x-name"'], {"private"}, id="private for one header alone"),
        pytest.param(["PUBLIC, S-MaxAge=9"], {"private"}, id="in capitals"),
        pytest.param(["no-store"], {"no-store"}, id="no-store"),
        pytest.param(["no-store, max-age=0"], {"no-store", "max-age=0"}, id="no-store and more"),
        pytest.param(["public", "max-age=60"], {"private", "max-age=60"}, id="in two lines"),
        pytest.param(
            ["immutable, must-revalidate"], {"private", "immutable", "must-revalidate"}, id="others"
        ),
    ],
)
def test_an_answer_that_sets_cookies_is_private_or_stricter(refreshing, said, heard):
    lines = cache_control(refreshing, *(("cache-control", value) for value in said))
    assert len(lines) == 1
    assert {directive.strip() for directive in lines[0].split(",")} == heard


@pytest.mark.parametrize("name", ["CDN-Cache-Control", "Vercel-CDN-Cache-Control", "Surrogate-Control"])
def test_what_is_said_to_some_caches_alone_does_not_go_before_that(refreshing, name):
    """RFC 9213 §2.1: such a cache ignores Cache-Control."""
    refreshing.app.headers = ((name, "public, max-age=600"),)
    answer = refreshing.ask("/claims")
    assert answer.headers["Cache-Control"] == "private"
    assert name not in answer.headers
    assert name in refreshing.ask("/claims").headers  # which sets no cookies


def test_cookies_are_added_to_those_of_the_application(refreshing):
    refreshing.app.headers = (("Set-Cookie", "theirs=1; Path=/"), ("X-Other", "kept"))
    answer = refreshing.ask("/claims")
    assert answer.headers["X-Other"] == "kept"
    names = [line.partition("=")[0] for line in answer.headers.getlist("Set-Cookie")]
    assert names == ["theirs", "cognito_access_token", "cognito_id_token", "cognito_refresh_token"]


def test_the_headers_list_of_the_application_is_not_changed(refreshing):
    headers = [("Content-Type", "text/plain"), ("Cache-Control", "public")]

    def app(environ, start_response):
        start_response("200 OK", headers)
        return [b""]

    refreshing.gateway.app = app
    assert refreshing.ask("/claims").headers["Cache-Control"] == "private"
    assert headers == [("Content-Type", "text/plain"), ("Cache-Control", "public")]


def test_an_answer_without_cookies_keeps_its_cache_control(pool):
    house = House(pool.config(), app=Application(("Cache-Control", "public, max-age=60")))
    pool.sign_in(house.client)
    assert house.ask("/x").headers.getlist("Cache-Control") == ["public, max-age=60"]


def test_flask_behind_the_gateway_answers_as_before(pool):
    app = flask.Flask("app")
    app.get("/hello")(lambda: flask.Response("hi", headers={"X-A": "1"}))
    bare = app.test_client().get("/hello")
    app.wsgi_app = CognitoGateway(app.wsgi_app, pool.config(), {"/hello": "public"})
    assert list(app.test_client().get("/hello").headers) == list(bare.headers)
    assert app.test_client().get("/other").status_code == 401
