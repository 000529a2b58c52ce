"""Which addresses only this machine can reach."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from .errors import NotLoopbackError


def is_loopback(host: str) -> bool:
    """Whether ``host`` is 127.0.0.0/8, ::1 or localhost. Other names are never looked up."""
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return address.is_loopback


def require_loopback(host: str) -> None:
    if not is_loopback(host):
        raise NotLoopbackError(host)


def origin(host: str, port: int) -> str:
    """The ``http`` origin of a host and port; IPv6 addresses gain their brackets."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
