"""Starts servers with the README's snippets, in which nothing but ports, paths and host names is replaced."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from cognito_wsgi.local import LocalUserPool

from ..serving import free_port, process
from .story import Site

HERE = Path(__file__).parent
APPS = HERE / "apps"
SNIPPETS = HERE / "snippets"
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"], "/usr/sbin"])


def _commands() -> Iterator[tuple[str, str]]:
    lines = (SNIPPETS / "commands.sh").read_text("utf-8").splitlines()
    for name, command in zip(lines[::2], lines[1::2], strict=True):
        yield name.removeprefix("# "), command


#: The command lines of the snippets by the comments above them.
COMMANDS = dict(_commands())


def need(what: str, is_there: object) -> None:
    """Skip the test if something is not installed. In the project's CI everything has to be."""
    if not is_there:
        stop = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        stop(f"{what} is not installed")


def need_program(name: str) -> None:
    need(name, shutil.which(name, path=PATH))


def place(snippet: str, folder: Path, changes: Mapping[str, object]) -> Path:
    """Write a snippet to a folder, what only holds on the reader's machine replaced."""
    placed = folder / snippet
    placed.write_text(replace((SNIPPETS / snippet).read_text("utf-8"), changes), "utf-8")
    return placed


def replace(text: str, changes: Mapping[str, object]) -> str:
    for old, new in changes.items():
        text = text.replace(old, str(new))
    return text


@contextmanager
def serving(
    name: str,
    pool: LocalUserPool,
    folder: Path,
    *,
    app: str = "myapp",
    options: str = "",
    origin: str | None = None,
    **env: str,
) -> Iterator[Site]:
    """Run a command of the snippets.

    app: the module to serve. options: put at the end. origin: of the proxy in front, if there is one.
    """
    port = free_port()
    changes = {"8000": port, "/srv/myapp": APPS, "myapp:app": f"{app}:app"}
    words = shlex.split(replace(COMMANDS[name], changes) + " " + options)
    need_program(words[0])
    if "gevent" in name:
        need("gevent", importlib.util.find_spec("gevent"))
    command = [str(place(word, folder, changes)) if (SNIPPETS / word).is_file() else word for word in words]
    with running(command, pool, folder, port=port, origin=origin, **env) as site:
        yield site


@contextmanager
def running(
    command: Sequence[str],
    pool: LocalUserPool,
    folder: Path,
    *,
    port: int,
    origin: str | None = None,
    **env: str,
) -> Iterator[Site]:
    """Run a server until the block ends; ``site.log`` is then what it has said."""
    address = f"http://127.0.0.1:{port}"
    site = Site(address, origin or address, pool, folder / "gate")
    settings = pool.settings("web", redirect_url=f"{site.origin}/callback", logout_url=f"{site.origin}/")
    environ = {
        **{key: str(value) for key, value in settings.items()},
        "SECRET_KEY": "a secret key for the tests alone",
        "AWS_COGNITO_REFRESH_FLOW_ENABLED": "yes",
        "MYAPP_GATE": str(site.gate),
        "PYTHONPATH": str(APPS),
        "PATH": PATH,
        "HOME": str(folder),  # gunicorn makes a folder there
        **env,
    }
    with process(list(command), port=port, env=environ) as started:
        try:
            with site.browser:
                yield site
        finally:
            started.terminate()
            site.log = started.communicate(timeout=15)[0].decode(errors="replace")
            print(site.log)  # pytest shows it beside a failure
    assert "Traceback" not in site.log
