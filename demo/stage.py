"""Starts the whole play on this machine: the local user pool, and the newspaper on werkzeug's server."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.utils import redirect
from werkzeug.wrappers import Request

from cognito_wsgi import CognitoConfig
from cognito_wsgi.local import LocalUserPool

from .app import create_app

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

log = logging.getLogger("newspaper")

HOST = "127.0.0.1"
POOL_PORTS = (8001, 8002)  # sign-in pages and tokens; issuer and keys
ANY_PORT = 0


class PortUnavailable(Exception):
    """The port that was asked for cannot be had; ``reason`` is the system's."""

    def __init__(self, port: int, reason: str) -> None:
        self.port = port
        self.reason = reason
        super().__init__(f"port {port}: {reason}")


@dataclass(frozen=True)
class Stage:
    """What runs: the newspaper's address, no slash at its end, and the pool."""

    url: str
    pool: LocalUserPool
    config: CognitoConfig


@contextmanager
def newspaper(
    listener: socket.socket, pool_ports: tuple[int, int], *, say: Callable[[str], None] = print
) -> Iterator[Stage]:
    """Run both until the block ends."""
    host, port = listener.getsockname()
    url = f"http://{host}:{port}"
    with user_pool(pool_ports, say=say) as pool:
        config = CognitoConfig.from_mapping(settings(pool, url))
        with serving(listener, at_one_address(create_app(config), url)):
            yield Stage(url, pool, config)


def settings(pool: LocalUserPool, url: str) -> dict[str, object]:
    return {
        **pool.settings("web", redirect_url=f"{url}/callback", logout_url=f"{url}/"),
        "SECRET_KEY": secrets.token_hex(32),  # a real site keeps one: with a new key everybody signs in anew
        "AWS_COGNITO_REFRESH_FLOW_ENABLED": True,
        "AWS_COGNITO_BEARER_ENABLED": True,
        "AWS_COGNITO_BEARER_CLIENT_IDS": [pool.client("machine").client_id],
    }


def listen(port: int) -> socket.socket:
    """Take a port, from 0 (any free one) to 65535. Raises PortUnavailable."""
    try:
        return socket.create_server((HOST, port), backlog=128)
    except OSError as error:
        raise PortUnavailable(port, os.strerror(error.errno or 0)) from None


def user_pool(ports: tuple[int, int], *, say: Callable[[str], None]) -> LocalUserPool:
    try:
        return LocalUserPool(port=ports[0], issuer_port=ports[1])
    except OSError:
        say(f"Port {ports[0]} or {ports[1]} is taken: the user pool uses two others.")
        return LocalUserPool()


class RequestHandler(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        # Without the query: the callback's holds the code of a sign-in.
        path = getattr(self, "path", "").partition("?")[0]  # none where the request line is garbage
        log.info("%s %r %s", self.command, path, code)


@contextmanager
def serving(listener: socket.socket, app: WSGIApplication) -> Iterator[None]:
    host, port = listener.getsockname()
    server = make_server(host, port, app, threaded=True, request_handler=RequestHandler, fd=listener.fileno())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def at_one_address(app: WSGIApplication, url: str) -> WSGIApplication:
    """Send whoever comes to ``localhost`` to ``url``: cookies and the callback belong to one host name."""
    host = url.removeprefix("http://")

    def application(environ, start_response):
        if environ.get("HTTP_HOST") in (host, None) or environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return app(environ, start_response)
        here = Request(environ).full_path.removesuffix("?")
        return redirect(url + here, code=307)(environ, start_response)

    return application
