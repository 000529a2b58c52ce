"""The demo: its tour, its two ways to be started, and that its views know nothing of the gateway."""

from __future__ import annotations

import ast
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path

import pytest
import requests
from flask import Flask

from cognito_wsgi import CognitoConfig
from cognito_wsgi.local import LocalUserPool
from demo import newsroom, stage, tour
from demo.app import create_app
from demo.rules import RULES, in_words

ROOT = Path(__file__).parent.parent
DEMO = ROOT / "demo"

DRAFT = {
    "headline": "A headline",
    "standfirst": "",
    "body": "A text of twenty characters.",
    "section": "town",
}


@contextmanager
def started(*command: str, **options) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def stop(process: subprocess.Popen[str], number: signal.Signals) -> str:
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    return output


# ------------------------------------------------------------------ the tour


@pytest.fixture(scope="module")
def told_tour() -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "demo", "--tour"], cwd=ROOT, text=True, capture_output=True, timeout=100
    )


@pytest.mark.server
def test_the_tour_finds_every_step_as_expected(told_tour):
    lines = told_tour.stdout.splitlines()
    assert [line for line in lines if line.startswith("DIFFERS")] == []
    steps = [line for line in lines if line.startswith("ok ")]
    assert lines[-1] == f"{len(steps)} steps, {len(steps)} as expected"
    assert len(steps) > 60
    assert told_tour.returncode == 0


@pytest.mark.server
def test_the_tour_has_nothing_to_complain_about(told_tour):
    assert told_tour.stderr == ""


@pytest.mark.parametrize(
    ("came", "code", "summary"),
    [("200 page", 0, "1 steps, 1 as expected"), ("500 page", 1, "1 steps, 0 as expected")],
    ids=["as expected", "differs"],
)
def test_the_tours_exit_code_tells_whether_a_step_differs(monkeypatch, capsys, came, code, summary):
    monkeypatch.setattr(tour, "story", lambda stage: [("One", iter([tour.Step("a", "200 page", came)]))])
    assert tour.run_tour() == code
    assert capsys.readouterr().out.splitlines()[-1] == summary


def test_a_chapter_that_breaks_off_is_a_step_that_differs():
    def chapter():
        yield tour.Step("one", "1", "1")
        raise ConnectionError("gone")

    assert list(tour.told(chapter()))[1:] == [
        tour.Step("the chapter ends", "no error", "ConnectionError: gone")
    ]


# ------------------------------------------------------------------ starting and stopping


@pytest.mark.server
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_the_demo_starts_serves_and_stops_cleanly(number):
    with started(sys.executable, "-m", "demo", "--port", "0") as process:
        greeting = read_until(process, "Stop with Ctrl-C.")
        url = re.search(r"http://127\.0\.0\.1:\d+/", greeting)[0]
        page = requests.get(url, timeout=10)
        assert page.status_code == 200
        assert "The Harbour Ledger" in page.text
        for user in ("alice", "bob", "carol", "dave"):
            assert re.search(rf"^{user} +\S+", greeting, re.MULTILINE)
        output = stop(process, number)
    assert process.returncode == 0
    assert "Traceback" not in output
    assert output.endswith("Stopped.\n")


def read_until(process: subprocess.Popen[str], text: str) -> str:
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return "".join(lines)
    pytest.fail(f"the demo ended without {text!r}:\n{''.join(lines)}")


@pytest.mark.server
def test_a_taken_port_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        answer = subprocess.run(
            [sys.executable, "-m", "demo", "--port", port],
            cwd=ROOT,
            text=True,
            capture_output=True,
            timeout=60,
        )
    assert answer.returncode == 1
    assert answer.stderr == (
        f"Port {port}: Address already in use. Choose another with --port, or 0 for any free one.\n"
    )


def test_the_pool_goes_elsewhere_when_its_port_is_taken_and_says_so():
    said = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with stage.user_pool((0, port), say=said.append) as pool:
            assert requests.get(f"{pool.jwks_url}", timeout=10).json()["keys"]
            assert not pool.issuer.startswith(f"http://127.0.0.1:{port}/")
    assert said == [f"Port 0 or {port} is taken: the user pool uses two others."]


def test_visitors_of_localhost_are_sent_to_the_one_address():
    app = stage.at_one_address(Flask("inside"), "http://127.0.0.1:5000")
    client = Flask("outside")
    client.wsgi_app = app
    answer = client.test_client().get("/desk?section=town", base_url="http://localhost:5000")
    assert answer.status_code == 307
    assert answer.location == "http://127.0.0.1:5000/desk?section=town"
    assert client.test_client().get("/desk", base_url="http://127.0.0.1:5000").status_code == 404


@pytest.mark.server
def test_help_shows_the_gunicorn_command_line():
    answer = subprocess.run(
        [sys.executable, "-m", "demo", "--help"], cwd=ROOT, text=True, capture_output=True, timeout=60
    )
    assert answer.returncode == 0
    assert "gunicorn --config demo/gunicorn.conf.py demo.wsgi:app" in answer.stdout


@pytest.mark.server
def test_gunicorn_serves_the_newspaper_with_settings_from_the_environment():
    with LocalUserPool() as pool, socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        environment = {key: as_text(value) for key, value in stage.settings(pool, url).items()}
        command = ["--config", "demo/gunicorn.conf.py", "demo.wsgi:app"]
        with started(
            *(sys.executable, "-m", "gunicorn", "--bind", f"fd://{listener.fileno()}", *command),
            env=os.environ | environment,
            pass_fds=[listener.fileno()],
        ) as process:
            bob = tour.Visitor(stage.Stage(url, pool, CognitoConfig.from_mapping(environment)))
            answer = bob.sign_in("bob", "/desk?section=town")
            assert bob.seen(answer) == "303 to /desk?section=town"
            assert bob.seen(bob.follow(answer)) == "200 page"
            assert tour.Machine(bob.stage, "newsroom/read").send("GET", "/api/wire").status_code == 200
            output = stop(process, signal.SIGTERM)
    assert process.returncode == 0
    assert "Traceback" not in output


def as_text(value: object) -> str:
    return " ".join(value) if isinstance(value, list) else str(value)


# ------------------------------------------------------------------ views and rules


def imported_by(module: Path) -> set[str]:
    """The top-level packages that a module of the demo imports."""
    names = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def test_no_view_imports_anything_of_the_gateway():
    knowing = {path.name for path in DEMO.glob("*.py") if "cognito_wsgi" in imported_by(path)}
    assert knowing == {"app.py", "stage.py", "tour.py", "wsgi.py"}


@pytest.fixture(scope="module")
def pool() -> Iterator[LocalUserPool]:
    with LocalUserPool() as running:
        yield running


@pytest.fixture
def app(pool) -> Flask:
    return create_app(CognitoConfig.from_mapping(stage.settings(pool, "http://127.0.0.1:5000")))


@pytest.fixture
def open_app(pool) -> Flask:
    """With the gateway switched off: everyone sees every page, and nobody has a name."""
    settings = stage.settings(pool, "http://127.0.0.1:5000") | {"AWS_COGNITO_DISABLED": True}
    return create_app(CognitoConfig.from_mapping(settings))


PUBLIC = {
    "GET /",
    "GET /articles",
    "GET /articles/<int:number>",
    "GET /favicon.ico",
    "GET /guide",
    "GET /health",
    "GET /static/<path:filename>",
}


def test_a_stranger_gets_into_the_public_routes_and_no_others(app):
    let_in = set()
    for rule in app.url_map.iter_rules():
        path = rule.rule.replace("<int:number>", "1").replace("<path:filename>", "icon.svg")
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            with app.test_client().open(path, method=method, base_url="http://127.0.0.1:5000") as answer:
                if answer.status_code != 401:
                    let_in.add(f"{method} {rule.rule}")
    assert let_in == PUBLIC


@pytest.mark.parametrize("key", RULES)
def test_the_guide_has_words_for_every_rule(key):
    assert in_words(RULES[key]) != repr(RULES[key])


def test_the_guide_shows_every_rule(app):
    page = app.test_client().get("/guide").text
    assert all(f"<code>{key}</code>" in page for key in RULES)


# ------------------------------------------------------------------ pages

PAGES = (
    "/",
    "/articles",
    "/articles?section=town",
    "/articles/1",
    "/account",
    "/claims",
    "/live",
    "/desk",
    "/lead",
    "/admin",
    "/guide",
    "/articles/99",
)


class Outline(HTMLParser):
    """What a screen reader and a Content-Security-Policy would look at."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.labelled: set[str | None] = set()
        self.controls: set[str | None] = set()
        self.inline: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append(tag)
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "label" and "for" in values:
            self.labelled.add(values["for"])
        if tag in ("input", "select", "textarea") and values.get("type") != "radio":
            self.controls.add(values.get("id"))
        if tag == "style" or (tag == "script" and "src" not in values):
            self.inline.append(tag)
        self.inline += [name for name in values if name == "style" or name.startswith("on")]
        if tag == "img":
            assert "alt" in values


@pytest.mark.parametrize("path", PAGES)
def test_pages_have_landmarks_labels_and_nothing_inline(open_app, path):
    open_app.config.update(LIVE_SECONDS=0.01)
    answer = open_app.test_client().get(path)
    outline = Outline(answer.text)
    assert [outline.tags.count(tag) for tag in ("h1", "main", "header", "footer")] == [1, 1, 1, 1]
    assert '<html lang="en">' in answer.text
    assert len(outline.ids) == len(set(outline.ids))
    assert outline.controls <= outline.labelled
    assert outline.inline == []


@pytest.mark.parametrize("path", PAGES)
def test_pages_forbid_foreign_content_and_are_not_stored(open_app, pool, path):
    open_app.config.update(LIVE_SECONDS=0.01)
    headers = open_app.test_client().get(path).headers
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert f"form-action 'self' {pool.domain}" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"


def test_pages_name_no_other_site():
    for file in [*DEMO.glob("templates/*"), *DEMO.glob("static/*")]:
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|//cdn|url\(", text), file.name


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("POST", "/articles", {"data": DRAFT}, 303),
        ("POST", "/articles", {"data": {}}, 422),
        ("POST", "/articles", {"data": DRAFT | {"body": "x" * 70_000}}, 413),
        ("POST", "/articles/1", {"data": DRAFT}, 405),
        ("POST", "/lead", {"data": {"number": "1"}}, 303),
        ("POST", "/lead", {"data": {"number": "99"}}, 404),
        ("POST", "/lead", {"data": {"number": "one"}}, 404),
        ("POST", "/admin/articles/1/withdraw", {}, 303),
        ("POST", "/admin/articles/99/withdraw", {}, 404),
        ("POST", "/api/wire", {"json": {"text": "Hello"}}, 201),
        ("POST", "/api/wire", {"json": {"text": ["Hello"]}}, 422),
        ("POST", "/api/wire", {"data": "{", "content_type": "application/json"}, 400),
        ("POST", "/api/wire", {"data": "text"}, 415),
        ("GET", "/api/none", {}, 404),
    ],
)
def test_what_is_sent_is_checked(open_app, method, path, options, status):
    answer = open_app.test_client().open(path, method=method, **options)
    assert answer.status_code == status
    assert answer.is_json == path.startswith("/api/")


# ------------------------------------------------------------------ the newsroom


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({}, set()),
        ({"headline": "abcd"}, set()),
        ({"headline": "abc"}, {"headline"}),
        ({"headline": "a" * 110}, set()),
        ({"headline": "a" * 111}, {"headline"}),
        ({"headline": "   a   "}, {"headline"}),
        ({"headline": "one\ntwo"}, {"headline"}),
        ({"headline": "null\0byte"}, {"headline"}),
        ({"standfirst": "a" * 241}, {"standfirst"}),
        ({"body": "one paragraph\r\n\r\nand another"}, set()),
        ({"body": "bell\a" * 5}, {"body"}),
        ({"body": "", "headline": ""}, {"headline", "body"}),
        ({"section": "sport"}, {"section"}),
    ],
)
def test_drafts(change, fields):
    try:
        newsroom.parse_draft(DRAFT | change)
    except newsroom.InvalidText as fault:
        assert set(fault.problems) == fields
    else:
        assert fields == set()


@pytest.mark.parametrize(
    "message", [None, [], "text", {}, {"text": ""}, {"text": 5}, {"text": "a" * 141}, {"text": "a\nb"}]
)
def test_wire_messages_that_are_refused(message):
    with pytest.raises(newsroom.InvalidText):
        newsroom.parse_wire_line(message)


def test_the_front_page_falls_back_to_the_newest_when_its_lead_is_withdrawn():
    room = newsroom.Newsroom()
    newest = room.articles()[0]
    assert room.choose_lead(1)
    assert room.find_lead().number == 1
    assert room.withdraw(1)
    assert room.find_lead() == newest


def test_a_newsroom_without_articles_has_no_lead():
    room = newsroom.Newsroom()
    for article in room.articles():
        room.withdraw(article.number)
    assert room.find_lead() is None


def test_the_oldest_article_goes_when_there_are_too_many():
    room = newsroom.Newsroom()
    for _ in range(newsroom.ARTICLES_KEPT):
        room.publish(newsroom.parse_draft(DRAFT), "bob")
    assert len(room.articles()) == newsroom.ARTICLES_KEPT
    assert room.find_article(1) is None


def test_who_follows_the_wire_gets_every_line_once():
    room = newsroom.Newsroom()
    lines = room.follow_wire(seconds=60, quiet=60)
    old = [next(lines).number for _ in range(3)]
    new = room.send("Hello", "bob")
    assert old == [1, 2, 3]
    assert next(lines) == new


def test_the_agency_fills_a_silence():
    room = newsroom.Newsroom()
    lines = room.follow_wire(seconds=60, quiet=0.001)
    assert [next(lines).source for _ in range(5)] == ["Agency"] * 5
