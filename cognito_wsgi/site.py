"""Which addresses and origins are this site's own: where a visitor may be sent, and who may send for him."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode

from .errors import BadRequestError, CrossSiteRequestError
from .paths import decode_wsgi, find_return_path, quote_path, quote_query

if TYPE_CHECKING:
    from .config import CognitoConfig
    from .request import Request

#: What may be asked of the hosted sign-in page through ours (Cognito: "Authorize endpoint").
HANDED_ON = ("lang", "login_hint", "identity_provider", "idp_identifier", "prompt")
MAX_PARAMETER_LENGTH = 512
MAX_QUERY_LENGTH = 8192
MAX_QUERY_FIELDS = 50


def parse_query(request: Request) -> dict[str, str]:
    """The query's parameters, each once. Raises BadRequestError for what no honest client sends."""
    text = request.environ.get("QUERY_STRING", "")
    if len(text) > MAX_QUERY_LENGTH:
        raise BadRequestError("The address is too long.", reason="query too long")
    try:
        pairs = parse_qsl(
            decode_wsgi(text), keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS, errors="strict"
        )
    except ValueError:
        raise BadRequestError("The address is malformed.", reason="query malformed") from None
    query = dict(pairs)
    if len(query) != len(pairs):
        raise BadRequestError("The address says something twice.", reason="a query parameter stands twice")
    for name in HANDED_ON:
        value = query.get(name, "")
        if len(value) > MAX_PARAMETER_LENGTH or not value.isprintable():
            raise BadRequestError("The address is malformed.", reason=f"{name} is too long or unprintable")
    return query


class Site:
    """Addresses are paths of the site, SCRIPT_NAME included, percent-encoded and ready for a header."""

    def __init__(self, config: CognitoConfig) -> None:
        self._config = config
        self._own_paths = {config.login_path, config.logout_path}
        if config.refresh_enabled:
            self._own_paths.add(config.refresh_path)
        self._trusted_origins = frozenset({config.public_origin, *config.trusted_origins})

    # addresses

    def home(self, request: Request) -> str:
        return quote_path(request.script_name) + "/"

    def sign_out_address(self, request: Request) -> str:
        return quote_path(request.script_name + self._config.logout_path)

    def sign_in_address(
        self, request: Request, return_to: str | None, parameters: Mapping[str, str] | None = None
    ) -> str:
        """Where a sign-in begins that comes back to ``return_to``, if that is an address to come back to."""
        query = dict(parameters or {})
        if (found := self._find_return_address(request, return_to)) is not None:
            query = {"next": found, **query}
        address = quote_path(request.script_name + self._config.login_path)
        return f"{address}?{urlencode(query, quote_via=quote)}" if query else address

    def return_address(self, request: Request, address: str | None) -> str:
        """``address`` if it is a path of this site and none of the gateway's; else the application's root."""
        return self._find_return_address(request, address) or self.home(request)

    def _find_return_address(self, request: Request, address: str | None) -> str | None:
        found = find_return_path(address or "")
        if found is None:
            return None
        quoted, path = found
        is_own = path == self._config.callback_path or any(
            path == request.script_name + own for own in self._own_paths
        )
        return None if is_own else quoted

    def requested_address(self, request: Request) -> str:
        """What was asked for, to come back to; without its query if that makes it too long for a cookie."""
        path = quote_path(request.script_name + decode_wsgi(request.environ.get("PATH_INFO", "")))
        query = quote_query(request.environ.get("QUERY_STRING", ""))
        whole = f"{path}?{query}" if query else path
        return whole if find_return_path(whole) else path

    def page_address(self, request: Request) -> str | None:
        """The page a program runs on, for its user to come back to: what its request names, else the request's own."""
        page = request.referer_path(self._config.public_origin)
        if page is None and not request.is_unsafe:
            return self.requested_address(request)
        return page

    # origins

    def is_from_elsewhere(self, request: Request) -> bool:
        """Whether another origin's page made this request: Origin says so, or Fetch Metadata where it is silent."""
        origin: str | None = request.environ.get("HTTP_ORIGIN")
        if origin is not None:
            return origin.strip().lower() not in self._trusted_origins
        return request.is_cross_site

    def is_trusted_preflight(self, request: Request) -> bool:
        """Whether an OPTIONS request is a trusted origin's CORS preflight.

        It bears no credentials; whether to allow what it asks is for the application to say.
        """
        return (
            "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in request.environ
            and request.environ.get("HTTP_ORIGIN", "").strip().lower() in self._config.trusted_origins
        )

    def refuse_other_origins(self, request: Request) -> None:
        """Raise CrossSiteRequestError where another origin rides on the visitor's cookies.

        For unsafe requests: tokens in cookies need a defence of their own (OAuth 2.1 for browser-based
        applications, §6.1.3.3).
        """
        if self.is_from_elsewhere(request):
            raise _from_elsewhere()

    def refuse_other_sites(self, request: Request) -> None:
        """The same for endpoints that change something by whatever method: a link from a trusted site may lead there."""
        if not self.is_from_elsewhere(request):
            return
        is_link = "HTTP_ORIGIN" not in request.environ
        if not (is_link and request.referer_origin() in self._config.trusted_origins):
            raise _from_elsewhere()


def _from_elsewhere() -> CrossSiteRequestError:
    return CrossSiteRequestError(
        "Another site made your browser send this. Nothing was done.",
        reason="unsafe request from another origin",
    )
