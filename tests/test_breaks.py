"""The lists of breaks fit the code of today, and their runner tells what a test notices from what it does not."""

from __future__ import annotations

import math
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .breaks.lists import BreakList, find_modules
from .serving import ROOT

LISTS = [
    pytest.param(BreakList.read(ROOT, module), id=module.replace("/", " ")) for module in find_modules(ROOT)
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("copy")
    return shutil.copytree(ROOT, root / "tree", ignore=shutil.ignore_patterns(".*", "__pycache__"))


@pytest.mark.parametrize("breaks", LISTS)
def test_every_break_changes_one_place_and_leaves_code_that_compiles(breaks: BreakList, copy: Path) -> None:
    assert (copy / "tests" / f"{breaks.module}.py").is_file()
    for each in breaks.breaks:
        with each.applied(copy):
            for edit in each.edits:
                assert edit.was != edit.becomes
                if edit.file.endswith(".py"):
                    compile((copy / "cognito_wsgi" / edit.file).read_text("utf-8"), each.what, "exec")


@pytest.mark.parametrize("breaks", LISTS)
def test_every_break_is_told_apart_by_what_it_says(breaks: BreakList) -> None:
    said = [each.what for each in breaks.breaks]
    assert sorted(set(said)) == sorted(said)


# the runner, on a project made up for it

CODE = """
def double(number):
    return number + number

def is_ready():
    return True

def start():
    return "started"
"""
TESTS = """
import os, socket, subprocess
import pytest
from cognito_wsgi.thing import double, is_ready, start

@pytest.fixture
def ready():
    assert is_ready()

@pytest.mark.timeout(2)
@pytest.mark.parametrize("number", [0, 1, 3])
def test_double(number):
    assert double(number) == 2 * number

def test_start(ready):
    assert start() == "started"

def test_that_leaves_a_process():
    connection = socket.create_connection(("127.0.0.1", int(os.environ["PORT"])))
    subprocess.Popen(["sleep", "100"], pass_fds=[connection.detach()])

@pytest.mark.skip(reason="not here")
def test_skipped():
    pass
"""


def break_of(what: str, was: str, becomes: str, more: str = "") -> str:
    return f"[[break]]\nfile = 'thing.py'\nwhat = '{what}'\nwas = '{was}'\nbecomes = '{becomes}'\n{more}\n"


#: It starts in half the time without the others.
FEW_PLUGINS = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "pytest_timeout"}
SUM = "number + number"
ENDLESS = "next(n for n in iter(int, 1) if n) if number == 3 else 2 * number"
THRICE = break_of("thrice", SUM, "number * 3")


class MadeUp:
    """A project of its own, with our runner."""

    def __init__(self, root: Path, port: int) -> None:
        self.root = root
        self.environment = {**os.environ, **FEW_PLUGINS, "PYTHONPATH": str(root), "PORT": str(port)}
        no_lists = shutil.ignore_patterns("*.toml", "__pycache__")
        shutil.copytree(ROOT / "tests/breaks", root / "tests/breaks", ignore=no_lists)
        (root / "cognito_wsgi").mkdir()
        (root / "cognito_wsgi/__init__.py").touch()
        (root / "tests/__init__.py").touch()
        (root / "cognito_wsgi/thing.py").write_text(CODE)
        (root / "tests/test_thing.py").write_text(TESTS)

    def run(self, breaks: str, *arguments: str) -> tuple[int, list[str], list[str]]:
        """The runner's exit status, what it says of each break, and the problems at the end."""
        (self.root / "tests/breaks/test_thing.toml").write_text(breaks)
        command = [sys.executable, "-m", "tests.breaks", *arguments]
        ended = subprocess.run(
            command, cwd=self.root, env=self.environment, capture_output=True, text=True, timeout=100
        )
        assert ended.stderr == ""
        said, _, problems = ended.stdout.strip().partition("\n\n")
        return ended.returncode, said.splitlines(), problems.splitlines()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def made_up(tmp_path: Path, listener: socket.socket) -> MadeUp:
    return MadeUp(tmp_path, listener.getsockname()[1])


def test_the_runner_is_content_when_every_break_is_noticed_and_every_test_failed(made_up: MadeUp) -> None:
    status, said, problems = made_up.run(
        "never = {test_that_leaves_a_process = 'asserts nothing', 'test_double[0]' = '0 stays 0'}\n"
        + THRICE
        + break_of("slow", '"started"', '"starting"')
    )
    assert said[:3] == ["test_thing", "  thrice: test_double (2)", "  slow: test_start"]
    assert said[3].startswith("  2 breaks, 3 tests, 5 cases, ")
    assert (status, problems) == (0, ["Every break was noticed, and every test failed once."])
    assert (made_up.root / "cognito_wsgi/thing.py").read_text() == CODE


def test_the_runner_tells_of_what_nobody_noticed_and_what_never_failed(made_up: MadeUp) -> None:
    status, said, problems = made_up.run(
        "never = {test_double = 'cannot fail', test_gone = 'is no test'}\n"
        + THRICE
        + break_of("no harm", SUM, "number * 2")
        + break_of("never ready", "True", "False")
        + break_of("not asked", '"started"', '"starting"', "only = ['test_double[3]']")
        + break_of("another time", "number - number", "0")
        + break_of("no name", "def start", "def begin")
        + break_of("no end", SUM, ENDLESS)
    )
    of_breaks = [
        "no harm: nobody noticed (passed (5), skipped)",
        "never ready: nobody noticed (passed (4), not set up, skipped)",
        "not asked: nobody noticed (passed)",
        "another time: stands 0 times in thing.py: number - number",
        "no name: pytest ended with 2",
        "no end: timed out: test_double",
    ]
    of_tests = [
        "never failed: test_start",
        "never failed: test_that_leaves_a_process",
        "is said never to fail, and does: test_gone",
    ]
    assert said[1:-1] == ["  thrice: test_double (2)", *(f"  {problem}" for problem in of_breaks)]
    assert [line for line in problems if line.startswith("test_thing: ")] == [
        f"test_thing: {problem}" for problem in of_breaks + of_tests
    ]
    assert "ImportError: cannot import name 'start' from 'cognito_wsgi.thing'" in "".join(problems)
    assert status == 1


def test_a_break_may_be_noticed_by_a_test_that_does_not_end(made_up: MadeUp) -> None:
    status, said, _ = made_up.run(break_of("no end", SUM, ENDLESS, "hangs = true"), "--match", "end")
    assert (status, said[1]) == (0, "  no end: test_double")


def test_a_run_ends_by_itself(made_up: MadeUp) -> None:
    """Even one that no signal's handler can interrupt."""
    endless = break_of("no end", f"return {SUM}", "return max(iter(int, 1))", "hangs = true")
    began = time.monotonic()
    made_up.run(THRICE, "--match", "none of them")
    limit = math.ceil(5 * (time.monotonic() - began))  # of what a run takes here that ends
    status, _, problems = made_up.run(endless, "--match", "no end", "--limit", str(limit))
    assert (status, problems) == (1, [f"test_thing: no end: timed out after {limit} s"])


def test_the_processes_that_tests_leave_are_ended(made_up: MadeUp, listener: socket.socket) -> None:
    made_up.run(THRICE, "--match", "none of them")
    connection, _ = listener.accept()
    with connection:
        connection.settimeout(10)
        assert connection.recv(1) == b""  # who held it is gone


def test_the_breaks_can_be_listed(made_up: MadeUp) -> None:
    assert made_up.run(THRICE, "--list") == (0, ["test_thing: thrice (thing.py)"], [])
