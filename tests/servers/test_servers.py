from __future__ import annotations
import pytest
from collections.abc import Iterator
from pathlib import Path
from cognito_wsgi.local import LocalUserPool
from ..serving import free_port
from .serve import commands, serving, snippet
from .story import tell_story

@pytest.fixture
def user_pool() -> Iterator[LocalUserPool]:
    with LocalUserPool() as running:
        yield running

@pytest.mark.server
@pytest.mark.parametrize("command", [pytest.param(command, id=name) for name, command in commands()])
def test_story(command, user_pool, tmp_path):
    port = free_port()
    command = command.replace("8000", str(port))
    if "uwsgi.ini" in command:
        ini = tmp_path / "uwsgi.ini"
        ini.write_text(snippet("uwsgi.ini", {"127.0.0.1:8000": f"127.0.0.1:{port}", "/srv/myapp": Path(__file__).parent / "apps"}))
        command = command.replace("uwsgi.ini", str(ini))
    with serving(command, user_pool, tmp_path, port=port) as site:
        tell_story(site)
