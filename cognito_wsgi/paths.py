"""Which path a request asks for, and which paths may be returned to.

WSGI servers hand on ``PATH_INFO`` percent-decoded and otherwise as the client wrote it; no server removes
dot segments, and Werkzeug's router skips leading slashes and merges the others (design.md §4). The gateway
judges what the router will act on, and refuses what two readers could read in two ways.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote, unquote

from .errors import BadRequestError

#: C0 and C1 control characters and DEL. Line and paragraph separators are none, and no router splits at them.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_DOT_SEGMENT = re.compile(r"(?:\A|/)\.\.?(?:/|\Z)")
_SLASHES = re.compile(r"/{2,}")

#: Runs of slashes inside a path: each makes one more way to read it, and each way is judged.
MAX_RUNS = 5

#: Longest address, in characters, that a sign-in returns to. It travels in a cookie.
MAX_RETURN_LENGTH = 2000

#: Characters that stay as they are in the path of a URL (RFC 3986 §3.3), beside letters and digits.
_PATH_SAFE = "/!$&'()*+,;=:@-._~"


def decode_wsgi(text: str) -> str:
    """Text of the WSGI environ, decoded (PEP 3333: bytes as latin-1; in fact UTF-8).

    Raises BadRequestError for what is not UTF-8: Werkzeug replaces it, Bottle leaves it out, and so ``/admin`` and
    a stray byte are two paths to the one and the same path to the other.
    """
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        raise BadRequestError("The address is not UTF-8.") from None


def parse_path(path_info: str) -> tuple[str, ...]:
    """The path to judge, decoded and beginning with one slash, or BadRequestError where it could mean two things.

    In all spellings that routers may see: first with all runs of slashes merged, then with those merged that stand
    before some place, at last as it came. A router merges all or none, but for those in front, which it passes over;
    and where one application is mounted in another, these are in the midst of the path. Each also with the run at the
    end merged: a route of Werkzeug's that takes its path without the slash at its end takes it with two as well.
    """
    if (  # nearly every path: nothing to decode, merge or doubt
        path_info.isascii()
        and path_info.isprintable()
        and path_info[:1] == "/"
        and "//" not in path_info
        and "/." not in path_info
        and "\\" not in path_info
    ):
        return (path_info,)
    return parse_decoded_path(decode_wsgi(path_info))


def parse_decoded_path(path: str) -> tuple[str, ...]:
    """Same as ``parse_path``, for text that does not come from the environ."""
    if path == "":
        return ("/",)
    if not path.startswith("/"):
        raise BadRequestError("The path of the address does not begin with a slash.")
    if _CONTROL.search(path):
        raise BadRequestError("The path of the address has control characters.")
    if "\\" in path:
        raise BadRequestError("The path of the address has a backslash.")
    if _DOT_SEGMENT.search(path):
        raise BadRequestError("The path of the address has a segment of one or two dots.")
    as_it_came = "/" + path.lstrip("/")
    runs = len(_SLASHES.findall(as_it_came))
    if runs > MAX_RUNS:
        raise BadRequestError("The path of the address has too many runs of slashes.")
    spellings = [*(_SLASHES.sub("/", as_it_came, count=number) for number in range(runs, 0, -1)), as_it_came]
    if as_it_came.endswith("//"):  # the first two come to the same
        spellings[2:2] = [spelling.rstrip("/") + "/" for spelling in spellings[2:]]
    return tuple(spellings)


def ends_of_path(path: str) -> Iterator[str]:
    """A path less its first segments, none to all but one: ``/a/b``, ``/b``."""
    return (path[place:] for place, character in enumerate(path) if character == "/")


def quote_path(path: str) -> str:
    """A decoded path, percent-encoded for use in a URL."""
    return quote(path, safe=_PATH_SAFE)


def quote_query(query: str) -> str:
    """A query string as it came in the environ, with what may not stand in a header percent-encoded."""
    return quote(query.encode("latin-1", "replace"), safe=_PATH_SAFE + "?%[]|^`{}<>")


def find_return_path(address: str) -> tuple[str, str] | None:
    """``(address, path)`` if ``address`` is a path of this site, else None.

    The address comes back ready for a ``Location`` header, the path decoded for comparison. Nothing but a
    path with an optional query passes: no scheme, no host in any disguise, no fragment (RFC 9700 §4.11.1).
    """
    if not address.startswith("/") or address.startswith("//") or len(address) > MAX_RETURN_LENGTH:
        return None
    if "\\" in address or "#" in address or _CONTROL.search(address):
        return None
    raw_path, mark, query = address.partition("?")
    try:
        path, *with_runs = parse_decoded_path(unquote(raw_path, errors="strict"))
    except (BadRequestError, UnicodeDecodeError):
        return None
    if with_runs:
        return None
    quoted = quote(raw_path, safe=_PATH_SAFE + "%") + mark + quote(query, safe=_PATH_SAFE + "?%[]")
    if len(quoted) > MAX_RETURN_LENGTH:
        return None
    return quoted, path
