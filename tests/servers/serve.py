"""Starts the servers that the snippets are for, with the snippets, their ports and paths apart."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from cognito_wsgi.local import LocalUserPool

from ..serving import free_port, process
from .story import Site

HERE = Path(__file__).parent
APPS = HERE / "apps"
SNIPPETS = HERE / "snippets"


def snippet(name: str, changes: Mapping[str, object]) -> str:
    """The text of a snippet, what only holds on the reader's machine replaced."""
    text = (SNIPPETS / name).read_text("utf-8")
    for old, new in changes.items():
        assert old in text, f"{name} does not name {old}"
        text = text.replace(old, str(new))
    return text


def commands() -> Iterator[tuple[str, str]]:
    """The command lines of the snippets: comment and command."""
    for line in (SNIPPETS / "commands.sh").read_text("utf-8").splitlines():
        command, _, comment = line.partition("#")
        yield comment.strip(), command.strip()


def need(is_there: bool, what: str) -> None:
    """Skip the test if something is not installed; where the project's CI runs, it has to be."""
    if not is_there:
        message = f"{what} is not installed"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(message)


@contextmanager
def serving(
    command: str, pool: LocalUserPool, folder: Path, *, port: int, origin: str | None = None, **env: str
) -> Iterator[Site]:
    """Run a server until the block ends, then look through what it has logged."""
    origin = origin or f"http://127.0.0.1:{port}"
    site = Site(origin, pool, folder / "gate")
    settings = pool.settings("web", redirect_url=f"{origin}/callback", logout_url=f"{origin}/")
    environ = {
        **{key: str(value) for key, value in settings.items()},
        "SECRET_KEY": "a secret key for the tests alone",
        "AWS_COGNITO_REFRESH_FLOW_ENABLED": "yes",
        "MYAPP_GATE": str(site.gate),
        "PYTHONPATH": str(APPS),
        "PYTHONUNBUFFERED": "1",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        **env,
    }
    with site.browser, process(shlex.split(command), port=port, env=environ) as running:
        try:
            yield site
        finally:
            running.terminate()
            log = running.communicate(timeout=15)[0].decode(errors="replace")
            print(log)
    assert "Traceback" not in log
