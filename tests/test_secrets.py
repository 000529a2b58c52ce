"""Nothing secret is shown: not in logs at DEBUG level, pages, errors, tracebacks or reprs.

One test goes through a whole session and everything that can fail in it, knows all its secrets, and looks for
them in all that was said.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
import requests
import time_machine
from werkzeug.test import TestResponse

from cognito_wsgi import CognitoConfig, CognitoGateway, ConfigurationError, endpoints
from cognito_wsgi.local import LocalUserPool
from cognito_wsgi.seals import Seal, unpack_refresh_token

from .visiting import FETCH, FORM, NAVIGATION, ORIGIN, House, local_config, query_of

SECRET_KEY = "the-secret-key-of-this-test-0123456789"
OLD_SECRET_KEY = b"an-older-secret-key-of-this-test-987"
RULES = {
    "/": "public",
    "/admin": ["nobody-is-in-it"],
    "/some": {"where": lambda claims: claims["no such claim"]},
}


class Secrets:
    """Every secret of a test by what it is, and where it was found though nobody may."""

    def __init__(self) -> None:
        self.known: dict[str, set[str]] = {}

    def add(self, what: str, value: str) -> None:
        assert len(value) > 15, what
        self.known.setdefault(what, set()).update(_fragments(value))

    def found_in(self, texts: set[str]) -> set[str]:
        """What is secret in the texts, each shown without its secrets."""
        return {
            f"{what} in {self._without_secrets(text)[:120]}"
            for what, values in self.known.items()
            for text in texts
            if any(value in text for value in values)
        }

    def _without_secrets(self, text: str) -> str:
        for value in sorted(
            (value for values in self.known.values() for value in values), key=len, reverse=True
        ):
            text = text.replace(value, "…")
        return text


def _fragments(value: str) -> set[str]:
    """The value, of a token its parts but for the header, and the ends of each: a part of a secret is one too."""
    parts = [part for part in value.split(".")[1:] if len(part) > 15] or [value]
    return {*parts, *(part[:24] for part in parts), *(part[-24:] for part in parts)}


class Watch(logging.Handler):
    """Keeps all that is said: log records of our threads, answers, errors, and how each object of ours looks."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.logged: set[str] = set()
        self.answered: set[str] = set()
        self.errors: set[str] = set()
        self.reprs: set[str] = set()
        self.loggers: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        if record.threadName != "MainThread" and not str(record.threadName).startswith("cognito_wsgi"):
            return  # the pool's threads: another program's
        self.loggers.add(record.name)
        self.logged.add(self.format(record))
        self.logged.add(repr(vars(record)))

    def keep_answer(self, answer: TestResponse) -> None:
        self.answered.add(answer.text)
        self.answered |= {
            f"{name}: {value}"
            for name, value in answer.headers
            if name != "Set-Cookie" and not value.startswith("http")  # the browser's way to Cognito
        }

    def keep_error(self, error: BaseException | None) -> None:
        """The error, and all that led to it."""
        if error is None:
            return
        self.errors |= {str(error), repr(error), repr(error.args), *traceback.format_exception(error)}
        self.keep_error(error.__cause__)
        self.keep_error(error.__context__)

    def keep_look(self, value: object) -> None:
        if not type(value).__module__.startswith("cognito_wsgi") or ".local" in type(value).__module__:
            return
        try:
            self.reprs |= {repr(value), str(value)}
        except AttributeError:
            return  # under construction

    def _at_return(self, frame: FrameType, event: str, result: object) -> None:
        """Look at what a function of ours was given, worked with and gave back."""
        if event != "return" or not frame.f_globals.get("__name__", "").startswith("cognito_wsgi"):
            return
        for value in (result, *frame.f_locals.values()):
            self.keep_look(value)

    @contextmanager
    def __call__(self) -> Iterator[None]:
        root = logging.getLogger()
        before = root.level
        root.addHandler(self)
        root.setLevel(logging.DEBUG)
        threading.setprofile(self._at_return)
        sys.setprofile(self._at_return)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)
            root.setLevel(before)
            root.removeHandler(self)


class Story:
    """A browser, a gateway and a pool, watched: each request notes its secrets and what was said about it."""

    def __init__(self, pool: LocalUserPool, **overrides: Any) -> None:
        self.pool = pool
        self.watch = Watch()
        self.secrets = Secrets()
        self.statuses: set[int] = set()
        config = local_config(
            pool,
            SECRET_KEY=SECRET_KEY,
            SECRET_KEY_FALLBACKS=[OLD_SECRET_KEY],
            AWS_COGNITO_REFRESH_FLOW_ENABLED=True,
            AWS_COGNITO_BEARER_ENABLED=True,
            **overrides,
        )
        with self.watch():
            self.house = House(config, RULES, on_error=self._keep_refusal, on_event=self._keep_event)
        self.secrets.add("client secret", config.client_secret or "")
        self.secrets.add("SECRET_KEY", SECRET_KEY)
        self.secrets.add("SECRET_KEY_FALLBACKS", OLD_SECRET_KEY.decode())
        self.http = requests.Session()

    def _keep_refusal(self, error: Any, environ: Any) -> None:
        self.watch.keep_error(error)

    def _keep_event(self, event: Any) -> None:
        self.watch.logged |= {str(event), repr(event), repr(event.facts())}

    def ask(self, address: str, kind: Mapping[str, str] = NAVIGATION, **options: Any) -> TestResponse:
        """A request, watched."""
        self._know_cookies()
        with self.watch():
            answer = self.house.ask(address, kind, **options)
            self.house.gateway.events.flush()
        self.watch.keep_answer(answer)
        self.statuses.add(answer.status_code)
        self._know_cookies()
        if answer.status_code == 302 and "state=" in answer.location:
            query = query_of(answer.location)
            self.secrets.add("state", query["state"])
            self.secrets.add("nonce", query["nonce"])
        return answer

    def _know_cookies(self) -> None:
        """The cookies' values, and what is sealed in them."""
        config = self.house.config
        for value in self.house.cookies.values():
            self.secrets.add("cookie", value)
            if opened := Seal(config, "login").open(value, max_age=10**9, now=time.time()):
                for what, text in zip(
                    ("state", "nonce", "verifier"), json.loads(opened.data)[:3], strict=True
                ):
                    if text:  # a finished sign-in has its state alone
                        self.secrets.add(what, text)
            if opened := Seal(config, "refresh").open(value, max_age=10**9, now=time.time()):
                self.secrets.add("refresh token", unpack_refresh_token(opened.data)[0])

    def begin(self, username: str = "alice") -> str:
        """A sign-in up to the callback; its address."""
        begun = self.ask("/login?next=/claims")
        callback = self.house.go_to_pool(self.http, begun.location, username)
        self.secrets.add("code", query_of(callback)["code"])
        return callback

    def sign_in(self, username: str = "alice") -> TestResponse:
        return self.ask(self.begin(username))

    def lose_access_token(self) -> None:
        for name in list(self.house.cookies):
            if name.startswith("cognito_access_token"):
                self.house.client.delete_cookie(name)

    def set_access_token(self, token: str) -> None:
        self.lose_access_token()
        self.secrets.add("token", token)
        self.house.set_cookie("cognito_access_token", token)

    def found(self) -> dict[str, set[str]]:
        """Where secrets were shown."""
        watch = self.watch
        sinks = {
            "logs": watch.logged,
            "answers": watch.answered,
            "errors": watch.errors,
            "reprs": watch.reprs,
        }
        return {name: found for name, texts in sinks.items() if (found := self.secrets.found_in(texts))}


TROUBLES = ("429", "503", "500", "html", "garbage", "redirect", "empty", "close", "slow")


@contextmanager
def ailing(pool: LocalUserPool, endpoint: str, kind: str) -> Iterator[None]:
    """An endpoint has a trouble. Where that is to be slow, it is soon too slow; all else has its time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool.trouble, endpoint, kind)
        if kind == "slow":
            within = endpoints._within
            patch.setattr(endpoints, "_within", lambda seconds, work: within(0.3, work))
        yield


def tell(story: Story) -> None:
    """A whole session, and all that can fail in it."""
    pool, trouble = story.pool, story.pool.trouble
    # before and at sign-in
    story.ask("/claims")
    story.ask("/claims", FETCH)
    story.ask("/claims\\", FETCH)
    callback = story.begin()
    story.ask(callback.replace("state=", "state=x"))
    code, cookies = query_of(callback)["code"], story.house.cookies
    story.ask(callback.replace(code, "no-such-code"))  # which uses the state up
    story.ask(callback)
    for name, value in cookies.items():
        story.house.set_cookie(name, value)
    story.ask(callback)
    callback = story.begin()
    story.ask(callback.replace("code=", "code=%20"))
    story.ask("/callback?error=access_denied&error_description=a&state=b")
    for kind in TROUBLES:
        callback = story.begin()
        with ailing(pool, "token", kind):
            story.ask(callback)
    for switch in ("omit_nonce", "omit_id_token"):
        callback = story.begin()
        setattr(trouble, switch, True)
        story.ask(callback)
        setattr(trouble, switch, False)
    callback = story.begin()
    trouble.clock_ahead = 600
    story.ask(callback)
    trouble.clock_ahead = 0
    # signed in
    callback = story.begin()
    assert story.ask(callback).status_code == 303
    story.ask(callback)  # reloaded
    assert story.ask("/claims").status_code == 200
    story.ask("/admin")
    story.ask("/some", FETCH)
    story.ask("/claims", FORM, method="POST", headers={"Origin": "https://evil.test"})
    # refresh, with and without rotation, and its failures
    for rotation in (False, True):
        trouble.rotation = rotation
        story.lose_access_token()
        assert story.ask("/claims").status_code == 200
        assert story.ask("/refresh", FETCH, method="POST").status_code == 200
    with time_machine.travel(time.time(), tick=True) as clock:
        for kind in TROUBLES:
            clock.shift(61)  # until when a result is shared
            story.lose_access_token()
            with ailing(pool, "token", kind):
                assert story.ask("/claims").status_code == 503
        clock.shift(61)
        assert story.ask("/claims").status_code == 200
    # other tokens
    good = pool.issue_tokens("alice", client="web")
    for name, token in good.items():
        if name.endswith("_token"):
            story.secrets.add(name, str(token))
    forged = good["access_token"][:-8] + "AAAAAAAA"
    other = pool.issue_tokens("alice", client="other")["access_token"]
    for token in (
        forged,
        other,
        good["id_token"],
        "not-a-token-but.three-parts.which-are-long",
        good["access_token"] + ".",
    ):
        story.set_access_token(token)
        story.ask("/claims", FETCH)
        story.ask("/")
        story.ask("/claims", FETCH, headers={"Authorization": f"Bearer {token}"})
    assert (
        story.ask("/claims", FETCH, headers={"Authorization": f"Bearer {good['access_token']}"}).status_code
        == 200
    )
    story.house.set_cookie("cognito_refresh_token", "not-sealed-by-us-at-all")
    story.house.set_cookie("cognito_login_0123456789abcdef", "nor-is-this-sealed-by-us")
    story.lose_access_token()
    story.ask("/claims", FETCH)
    story.ask("/refresh", FETCH, method="POST")
    # keys that are gone, or cannot be fetched
    for kind in TROUBLES:
        pool.rotate_keys(keep_old=False)
        unknown = pool.issue_tokens("alice", client="web")["access_token"]
        story.set_access_token(unknown)
        with ailing(pool, "jwks", kind):
            story.ask("/claims", FETCH)
    # signing out, with a token that cannot be revoked, and one that is dead
    with time_machine.travel(time.time() + 100, tick=True):
        for kind in TROUBLES:
            assert story.sign_in().status_code == 303
            with ailing(pool, "revoke", kind):
                assert story.ask("/logout").status_code == 302
        story.sign_in()
        pool.revoke_all("alice")
        story.lose_access_token()
        assert story.ask("/claims", FETCH).status_code == 401


@pytest.fixture(scope="module")
def told() -> Iterator[Story]:
    with LocalUserPool() as pool:
        story = Story(pool)
        with story.http:
            tell(story)
        yield story


def test_the_story_is_about_everything(told):
    """Or the tests below would find nothing because nothing happened."""
    assert told.statuses == {200, 302, 303, 400, 401, 403, 503}
    assert set(told.secrets.known) == {
        "client secret",
        "SECRET_KEY",
        "SECRET_KEY_FALLBACKS",
        "state",
        "nonce",
        "verifier",
        "code",
        "cookie",
        "refresh token",
        "token",
        "access_token",
        "id_token",
        "refresh_token",
    }
    assert {"cognito_wsgi", "urllib3.connectionpool"} <= told.watch.loggers
    assert told.pool.calls["token:refresh_token"] > 10
    assert told.pool.calls["revoke"] > 8
    assert len(told.watch.errors) > 40
    assert len(told.watch.reprs) > 100


def test_a_secret_that_is_shown_is_found(told):
    (code, *_) = told.secrets.known["code"]
    assert told.secrets.found_in({f"GET /callback?code={code}"}) == {"code in GET /callback?code=…"}


@pytest.mark.parametrize(
    "sink",
    [
        "logs",
        "answers",
        "errors",
        "reprs",
    ],
)
def test_no_secret_is_shown(told, sink):
    assert told.found().get(sink, set()) == set()


def test_the_gateway_and_all_that_hangs_on_it_show_no_secret(told):
    watch = Watch()
    seen: set[int] = set()
    waiting: list[object] = [told.house.gateway]
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        watch.keep_look(value)
        if isinstance(value, Mapping):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, (list, tuple, set, frozenset)):
            waiting += value
        elif type(value).__module__.startswith("cognito_wsgi"):
            slots = [
                getattr(value, name) for name in getattr(type(value), "__slots__", ()) if hasattr(value, name)
            ]
            waiting += [*getattr(value, "__dict__", {}).values(), *slots]
    assert len(watch.reprs) > 20
    assert told.secrets.found_in(watch.reprs) == set()


# Configuration


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param("SECRET_KEY", "hush", id="short SECRET_KEY"),
        pytest.param("SECRET_KEY", ["hush-in-a-list-by-mistake"], id="SECRET_KEY of another type"),
        pytest.param("SECRET_KEY_FALLBACKS", ["hush"], id="short fallback"),
        pytest.param("AWS_COGNITO_USER_POOL_CLIENT_SECRET", "hush with spaces", id="client secret"),
        pytest.param("AWS_COGNITO_DOMAIN", "https://user:hush@a.test", id="password in a URL"),
        pytest.param("AWS_COGNITO_USER_POOL_CLIENT_SECRT", "hush-under-a-wrong-key", id="misspelt key"),
        pytest.param("AWS_COGNITO_JWKS", '{"keys": [{"d": "hush"}', id="broken private key"),
    ],
)
def test_a_configuration_error_shows_no_secret(pool, key, value):
    watch = Watch()
    with watch(), pytest.raises(ConfigurationError) as caught:
        CognitoGateway(None, {**pool.settings(), key: value})
    watch.keep_error(caught.value)
    assert any(key in text for text in watch.errors)
    for text in watch.errors | watch.logged:
        assert "hush" not in text


def test_a_configuration_shows_no_secret(pool):
    config: CognitoConfig = pool.config(secret_key_fallbacks=("an-older-secret-key",))
    for secret in (config.secret_key, config.client_secret, "an-older-secret-key"):
        assert str(secret) not in repr(config) + str(config)


# What came from outside, in the log


HOSTILE = "\x1b[31mred\r\n2026-01-01 CRITICAL forged line\x00\u2028\u202e\x85 \xe9"


@pytest.mark.parametrize(
    ("path", "query", "method", "headers"),
    [
        pytest.param(f"/x{HOSTILE}", "", "GET", {}, id="path"),
        pytest.param("/x", "", HOSTILE, {}, id="method"),
        pytest.param("/callback", f"error={HOSTILE}&state=x", "GET", {}, id="error"),
        pytest.param("/callback", f"code=x&state={HOSTILE}", "GET", {}, id="state"),
        pytest.param("/login", f"lang={HOSTILE}", "GET", {}, id="query"),
        pytest.param("/x", "", "GET", {"HTTP_COOKIE": f"cognito_access_token={HOSTILE}"}, id="cookie"),
        pytest.param("/x", "", "GET", {"HTTP_AUTHORIZATION": f"Bearer {HOSTILE}"}, id="token"),
        pytest.param("/x", "", "GET", {"HTTP_REFERER": f"{ORIGIN}/{HOSTILE}"}, id="referer"),
        pytest.param("/x", "", "POST", {"HTTP_ORIGIN": HOSTILE}, id="origin"),
    ],
)
def test_a_log_line_is_one_line_of_ascii_whatever_came_from_outside(
    pool, caplog, path, query, method, headers
):
    caplog.set_level(logging.DEBUG)
    gateway = CognitoGateway(None, pool.config(bearer_enabled=True), RULES)
    environ = {
        name: value.encode().decode("latin-1")
        for name, value in {
            **headers,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": method,
        }.items()
    }
    started: list[str] = []
    b"".join(gateway(environ, lambda status, headers, exc_info=None: started.append(status)))
    assert started[0][:3] in ("302", "400", "401")
    lines = [record.getMessage() for record in caplog.records if record.name == "cognito_wsgi"]
    assert lines
    for line in lines:
        assert line.isascii() and line.isprintable(), line


def test_a_long_path_is_cut_in_the_log(pool, caplog):
    caplog.set_level(logging.INFO)
    House(pool.config()).ask("/" + "x" * 5000, FETCH)
    assert max(len(record.getMessage()) for record in caplog.records) < 500
