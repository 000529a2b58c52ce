"""``python -m cognito_wsgi.local``: the local user pool as a command."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .directory import Client
from .errors import LocalPoolError
from .pool import LocalUserPool


def main(argv: Sequence[str] | None = None) -> int:
    """Serve a pool until Ctrl-C or SIGTERM; the exit status is 0 then, and 2 if it cannot be served."""
    options = _parser().parse_args(argv)
    issuer_port = options.issuer_port
    if issuer_port is None:
        issuer_port = options.port and options.port + 1  # port 0 is any free one, for both
    try:
        with (
            _stop_signal() as stopped,
            LocalUserPool(options.users, options.port, issuer_port, options.host) as pool,
        ):
            print("\n".join(_introduction(pool, _client_to_show(pool, options.client))), flush=True)
            stopped.wait()
    except LocalPoolError as err:
        print(f"error: {err}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cognito_wsgi.local",
        description="A Cognito user pool on this machine, for development and tests.",
    )
    parser.add_argument(
        "--port", type=int, default=8001, help="of the domain host, which signs in (default 8001)"
    )
    parser.add_argument(
        "--issuer-port", type=int, help="of the issuer host, which has the keys (default: the next)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address (default 127.0.0.1)")
    parser.add_argument("--users", type=Path, metavar="FILE", help="TOML file of users and app clients")
    parser.add_argument(
        "--client", help="app client whose settings are printed (default: the first with a callback URL)"
    )
    return parser


def _client_to_show(pool: LocalUserPool, name: str | None) -> Client:
    """The client of that name, or the first that can sign people in."""
    usable = [client for client in pool.clients.values() if client.callback_urls and client.logout_urls]
    for client in usable:
        if name in (None, client.name):
            return client
    names = ", ".join(client.name for client in usable) or "none"
    raise LocalPoolError(
        f"there is no client {name or ''!r} with callback and sign-out URLs; there is {names}"
    )


def _introduction(pool: LocalUserPool, client: Client) -> Iterator[str]:
    yield "Local user pool, for this machine only"
    yield ""
    yield f"  domain   {pool.domain}   (sign-in pages, OAuth endpoints)"
    yield f"  issuer   {pool.issuer}   (keys)"
    yield ""
    yield from _table(
        ("user", "password", "groups"),
        [(user.username, user.password, user.groups_in_short()) for user in pool.users.values()],
    )
    yield ""
    yield from _table(
        ("client", "client_id", "client_secret"),
        [(client.name, client.client_id, client.client_secret or "none") for client in pool.clients.values()],
    )
    yield ""
    yield f"Settings of an application that uses the client {client.name!r}:"
    yield ""
    yield from _exports(pool, client)
    yield ""
    yield "Ctrl-C stops the pool."


def _exports(pool: LocalUserPool, client: Client) -> Iterator[str]:
    settings = pool.settings(
        client.name, redirect_url=client.callback_urls[0], logout_url=client.logout_urls[0]
    )
    for key, value in settings.items():
        yield f"export {key}={shlex.quote(str(value))}"


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"  {'   '.join(cells)}".rstrip()


@contextmanager
def _stop_signal() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set, in place of what they did before."""
    stopped = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: stopped.set()) for number in numbers]
    try:
        yield stopped
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


if __name__ == "__main__":
    sys.exit(main())
