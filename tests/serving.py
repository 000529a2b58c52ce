"""Real HTTP servers for tests: on free loopback ports, ended when the block ends."""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server

ROOT = Path(__file__).resolve().parent.parent


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        pass


#: Sockets that keep the ports given away from everybody who asks for any free one, until this process ends.
_kept: list[socket.socket] = []


def free_port() -> int:
    """A port that nobody listens on, and that is given to nobody else; a server may be told to take it.

    Linux gives no port away that somebody is bound to, and lets one listen on it all the same where both have
    SO_REUSEADDR, as every server has.
    """
    keeper = socket.socket()
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeper.bind(("127.0.0.1", 0))
    _kept.append(keeper)
    return int(keeper.getsockname()[1])


@atexit.register
def _close_kept() -> None:
    for keeper in _kept:
        keeper.close()


@contextmanager
def served(make_app: Callable[[str], Any]) -> Iterator[str]:
    """Serve the application that ``make_app(origin)`` returns; gives ``http://127.0.0.1:PORT``."""
    holder: list[Any] = []

    def app(environ: Any, start_response: Any) -> Any:
        return holder[0](environ, start_response)

    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    origin = f"http://127.0.0.1:{server.port}"
    holder.append(make_app(origin))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield origin
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def process(
    command: list[str], *, port: int, env: Mapping[str, str] | None = None, seconds: float = 30
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server as a process until it takes connections on ``port``; ends it by its id."""
    running = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        wait_for(lambda: _listens(port) or running.poll() is not None, seconds)
        if running.poll() is not None:
            raise AssertionError(f"{command[0]} ended: {running.communicate()[0].decode(errors='replace')}")
        yield running
    finally:
        running.terminate()
        try:
            running.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            running.kill()
            running.communicate()


def gunicorn(target: str, port: int, *options: str) -> list[str]:
    """The command line of a gunicorn with two workers."""
    return [
        *(sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}"),
        *("--workers", "2", "--graceful-timeout", "5", "--log-level", "warning", *options, target),
    ]


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Return as soon as the condition holds; fail if it does not within so many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("did not come true in time")
        time.sleep(0.02)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
