"""A WSGI server on a loopback port, in a thread of its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from werkzeug.serving import WSGIRequestHandler, make_server

from .errors import PortTakenError
from .loopback import origin, require_loopback

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class LoopbackServer:
    """Holds its port from birth, so that addresses are known before there is anything to serve."""

    def __init__(self, host: str, port: int) -> None:
        """port: 0 for any free one.

        Raises NotLoopbackError for an address that others could reach, PortTakenError.
        """
        require_loopback(host)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._host = host
        try:
            self._socket = socket.create_server((host, port), family=family, backlog=128)
        except OSError as err:
            raise PortTakenError(host, port, err.strerror) from err
        self.origin = origin(host, self._socket.getsockname()[1])
        self._stop: Callable[[], None] = self._socket.close

    def start(self, app: WSGIApplication, *, clock: Callable[[], int]) -> None:
        """Serve ``app``; ``clock`` gives the Date header's Unix seconds."""
        server = make_server(
            self._host, 0, app, threaded=True, request_handler=_handler(clock), fd=self._socket.fileno()
        )
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), name=self.origin, daemon=True)
        thread.start()
        self._socket.close()  # the server has a copy of its own

        def stop() -> None:
            server.shutdown()
            thread.join()

        self._stop = stop

    def stop(self) -> None:
        """Free the port. Requests that are being answered go on in their threads."""
        self._stop()


def _handler(clock: Callable[[], int]) -> type[WSGIRequestHandler]:
    class Handler(WSGIRequestHandler):
        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string(clock() if timestamp is None else timestamp)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            pass  # the counters tell more

    return Handler
