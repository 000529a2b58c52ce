"""python -m demo: the newspaper and its user pool on this machine."""

from __future__ import annotations

import argparse
import ast
import logging
import signal
import sys
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

    from .stage import Stage

DEFAULT_PORT = 5000

say = partial(print, flush=True)


def main() -> int:
    arguments = parse_arguments()
    try:
        if arguments.tour:
            return tour()
        return serve(arguments.port)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT  # the tour was cut short
    except ModuleNotFoundError as error:
        sys.exit(f"The demo needs {error.name}, which is not installed: pip install -e '.[demo]'")


def parse_arguments() -> argparse.Namespace:
    wsgi_file = Path(__file__).with_name("wsgi.py").read_text(encoding="utf-8")
    parser = argparse.ArgumentParser(
        prog="python -m demo",
        description="Start a user pool and a small newspaper behind the gateway, on this machine alone.",
        epilog=ast.get_docstring(ast.parse(wsgi_file)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--port",
        type=port_number,
        help=f"of the newspaper; 0 for any free one (default: {DEFAULT_PORT}, or a free one if that is taken)",
    )
    parser.add_argument(
        "--tour",
        action="store_true",
        help="no browser: tell the whole story over HTTP on free ports and check every step",
    )
    return parser.parse_args()


def port_number(text: str) -> int:
    if not 0 <= (port := int(text)) <= 65535:
        raise argparse.ArgumentTypeError(f"{port} is not a port: choose one from 0 to 65535")
    return port


def tour() -> int:
    from .tour import run_tour

    # Refusals and outages are part of the story; the log would only repeat them.
    logging.disable(logging.CRITICAL)
    return run_tour()


def serve(port: int | None) -> int:
    """Run until Ctrl-C (SIGINT) or SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", datefmt="%H:%M:%S")

    from .stage import POOL_PORTS, newspaper

    with listen_on(port) as listener, newspaper(listener, POOL_PORTS, say=say) as stage:
        welcome(stage)
        stop.wait()
    say("\nStopped.")
    return 0


def listen_on(port: int | None) -> socket.socket:
    """A port that was asked for must be free; in place of the default another will do."""
    from .stage import ANY_PORT, PortUnavailable, listen

    try:
        return listen(DEFAULT_PORT if port is None else port)
    except PortUnavailable as error:
        if port is not None:
            sys.exit(f"Port {port}: {error.reason}. Choose another with --port, or 0 for any free one.")
        say(f"Port {error.port} is taken: the newspaper uses another.")
        return listen(ANY_PORT)


def welcome(stage: Stage) -> None:
    say(f"The Harbour Ledger  {stage.url}/")
    say(f"Its user pool       {stage.config.domain}/  (issuer {stage.config.issuer})\n")
    say(f"{'Sign in as':<12}{'password':<20}groups")
    for user in stage.pool.users.values():
        groups = ", ".join(user.groups) if len(user.groups) < 6 else f"{len(user.groups)} of them"
        say(f"{user.username:<12}{user.password:<20}{groups or 'none'}")
    say("\nStop with Ctrl-C.\n")


if __name__ == "__main__":
    sys.exit(main())
