"""The gateway: one request's way, top to bottom.

    environ ─► path ─► own endpoint? ──► login / callback / refresh / logout
                 └──► rule ─► cookies (or Bearer) ─► verified claims ─► [refresh] ─► decision
                                            ├─ no  ─► 302 to Cognito · 401 · 403 · 503
                                            └─ yes ─► environ gains cognito.* ─► application

``CognitoGateway._decide`` is that drawing in code. Whatever is refused is raised as a RefusalError and becomes
an answer in one place, ``_refuse``. The application is called outside of every ``try`` of ours.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode

from . import pages
from .config import CognitoConfig
from .cookies import CookieSet
from .endpoints import CognitoClient
from .errors import (
    AuthorisationRequiredError,
    BadRequestError,
    CognitoError,
    CognitoGroupRequiredError,
    ConfigurationError,
    CrossSiteRequestError,
    MalformedToken,
    MissingToken,
    RefusalError,
    TokenExpired,
    TokenVerifyError,
    UnknownKey,
)
from .jwks import KeyStore
from .login import SignIn, is_recent
from .paths import decode_wsgi, find_return_path, parse_path, quote_path, quote_query
from .refresh import Refresher, RefreshRefused
from .request import Request
from .rules import Access, MatchedRule, RouteRules
from .session import Session, SessionCookies, Sessions, SessionTooLarge
from .tokens import TokenVerifier

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from werkzeug.routing import BaseConverter

    from .rules import AccessLike

log = logging.getLogger("cognito_wsgi")

#: What may be asked of the hosted sign-in page through ours (Cognito: "Authorize endpoint").
HANDED_ON = ("lang", "login_hint", "identity_provider", "idp_identifier", "prompt")
MAX_PARAMETER_LENGTH = 512
MAX_QUERY_LENGTH = 8192
REALM = 'Bearer realm="cognito"'

OnError = Callable[[RefusalError, "WSGIEnvironment"], "WSGIApplication | None"]


class CognitoGateway:
    """Lets requests through to ``app`` as the rules say.

    app: the WSGI application to protect.
    config: a CognitoConfig, or a mapping with the AWS_… keys, such as ``app.config``.
    rules: the route map: routing rule to access.
    default: the access of every path that no rule covers.
    on_error: called with a refusal and the environ; returns a WSGI application to answer in place of our
        page, or None.
    converters: further Werkzeug converters that the rules use, such as ``app.url_map.converters``.

    Raises ConfigurationError with all that is wrong in config and rules.
    """

    def __init__(
        self,
        app: WSGIApplication,
        config: CognitoConfig | Mapping[str, Any],
        rules: Mapping[str, AccessLike] | None = None,
        *,
        default: AccessLike = "authenticated",
        on_error: OnError | None = None,
        converters: Mapping[str, type[BaseConverter]] | None = None,
    ) -> None:
        self.app = app
        self.config, self.rules = _check_together(config, rules or {}, default, converters)
        self._on_error = on_error
        self._cookies = CookieSet(self.config)
        self._keys = KeyStore(self.config)
        self._verifier = TokenVerifier(self.config, self._keys)
        self._client = CognitoClient(self.config)
        self._sessions = Sessions(self.config, self._keys, self._verifier)
        self._session_cookies = SessionCookies(self.config, self._cookies)
        self._refresher = Refresher(self._client, self._sessions, timeout=self.config.timeout)
        self._sign_in = SignIn(
            self.config, self._client, self._cookies, self._verifier, self._sessions, self._session_cookies
        )
        self._endpoints: dict[str, Callable[[Request], WSGIApplication]] = {
            self.config.login_path: self._begin_sign_in,
            self.config.logout_path: self._sign_out,
        }
        if self.config.refresh_enabled:
            self._endpoints[self.config.refresh_path] = self._refresh_on_demand
        self._trusted_origins = frozenset({self.config.public_origin, *self.config.trusted_origins})
        if self.config.disabled:
            log.warning("AWS_COGNITO_DISABLED is set: cognito_wsgi lets EVERYONE in, to every path")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.config.user_pool_id} client {self.config.client_id}>"

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        return self._answer(environ)(environ, start_response)

    def _answer(self, environ: WSGIEnvironment) -> WSGIApplication:
        request = Request(environ, self._cookies)
        try:
            return self._decide(request)
        except RefusalError as refusal:
            return self._refuse(request, refusal)

    def _decide(self, request: Request) -> WSGIApplication:
        """The application, with its environ made ready, or an answer of our own. Raises RefusalError."""
        path, as_it_came = parse_path(request.environ.get("PATH_INFO", ""))
        endpoint = self._find_endpoint(request, path)
        if endpoint is not None:
            return endpoint(request)
        self._let_in(request, self._find_rule(request, path))
        if as_it_came != path:  # a <path:…> route sees the slashes unmerged: both spellings must be let in
            self._let_in(request, self._find_rule(request, as_it_came))
        return self._pass_on(request)

    def _find_endpoint(self, request: Request, path: str) -> Callable[[Request], WSGIApplication] | None:
        if request.script_name + path == self.config.callback_path:
            return self._finish_sign_in
        return self._endpoints.get(path)

    def _find_rule(self, request: Request, path: str) -> MatchedRule:
        if self.config.disabled:
            return _DISABLED
        rule = self.rules.match(request.method, path)
        if rule is self.rules.default and request.script_name + path == self.config.logout_return_path:
            return _AFTER_SIGN_OUT
        return rule

    # the decision

    def _let_in(self, request: Request, rule: MatchedRule) -> None:
        """Return if the rule lets the request in; ``request.session`` is the visitor's, if he has one."""
        access = rule.access
        request.rule = rule.key
        if access.is_public:
            request.session = request.session or self._find_session_aside(request)
            return
        if request.method == "OPTIONS" and self._is_trusted_preflight(request) and access.allow != "deny":
            return
        session = request.session = request.session or self._find_session(request)
        missing = access.find_missing(session.groups, session.scopes)
        if missing is not None:
            raise self._not_allowed(request, access, missing)
        if access.where is not None and not access.accepts(session.own_claims()):
            raise self._not_allowed(request, access, "the rule's where function did not say True")
        if access.max_auth_age is not None:
            self._require_recent_sign_in(request, session, access.max_auth_age)

    def _find_session_aside(self, request: Request) -> Session | None:
        """The visitor's session on a public path: nothing is waited for, and nothing is refused."""
        try:
            if self.config.bearer_enabled and request.has_bearer:
                return self._sessions.find(request.bearer_token(), None, request.now, bearer=True, wait=False)
            access_token = self._cookies.join(request.cookies, self._cookies.access)
            if access_token is None or (request.is_unsafe and self._is_from_elsewhere(request)):
                return None
            id_token = self._cookies.join(request.cookies, self._cookies.id)
            return self._sessions.find(access_token, id_token, request.now, wait=False)
        except (TokenVerifyError, RefusalError):
            return None

    def _find_session(self, request: Request) -> Session:
        """The visitor's session, refreshed if need be. Raises RefusalError if there is none."""
        if self.config.bearer_enabled and request.has_bearer:
            return self._find_bearer_session(request)
        access_token = self._cookies.join(request.cookies, self._cookies.access)
        try:
            if access_token is None:
                raise self._no_access_token(request)
            id_token = self._cookies.join(request.cookies, self._cookies.id)
            session = self._sessions.find(access_token, id_token, request.now)
        except TokenVerifyError as error:
            return self._refreshed(request, error)
        if request.is_unsafe and self._is_from_elsewhere(request):
            raise self._from_elsewhere(request)
        return session

    def _find_bearer_session(self, request: Request) -> Session:
        """The token of the Authorization header decides alone (RFC 6750 §3.1)."""
        token = request.bearer_token()
        if not token:
            raise AuthorisationRequiredError(
                "Send an access token.", reason="Bearer without a token", challenge=REALM
            )
        try:
            return self._sessions.find(token, None, request.now, bearer=True)
        except TokenVerifyError as error:
            raise AuthorisationRequiredError(
                "The access token is not accepted.",
                reason=f"Bearer token refused: {error.reason}",
                challenge=f'{REALM}, error="invalid_token", error_description="The access token is not accepted"',
            ) from None

    def _no_access_token(self, request: Request) -> TokenVerifyError:
        if self._cookies.came(request.cookies, self._cookies.access):
            return MalformedToken("the access token's cookie came twice or not whole")
        return MissingToken("no access token")

    def _refreshed(self, request: Request, error: TokenVerifyError) -> Session:
        """A new session in place of one that has expired, for the request to go on with."""
        if error.hopeless:
            request.spoilt_cookies += tuple(self._cookies.came(request.cookies, self._cookies.access))
            raise self._not_signed_in(request, error.reason)
        cookie = None
        if self.config.refresh_enabled and isinstance(error, (MissingToken, TokenExpired, UnknownKey)):
            cookie = self._session_cookies.find_refresh_token(request.cookies, request.now)
            if cookie is None:
                request.spoilt_cookies += tuple(self._cookies.came(request.cookies, self._cookies.refresh))
        if cookie is None:
            raise self._not_signed_in(request, error.reason)
        if request.is_unsafe and self._is_from_elsewhere(request):
            raise self._from_elsewhere(request)
        subs = {cookie.sub, error.claims["sub"] if isinstance(error, TokenExpired) else None} - {None}
        return self._refresh(request, cookie.token, subs)

    def _refresh(self, request: Request, refresh_token: str, subs: set[Any]) -> Session:
        """New tokens, of the same user, and their cookies in ``request.set_cookies``."""
        id_token = self._cookies.join(request.cookies, self._cookies.id)
        try:
            session, new_token = self._refresher.refresh(refresh_token, id_token, request.now)
        except RefreshRefused as error:
            if error.is_settled:
                request.spoilt_cookies += tuple(self._all_of_session(request))
            raise self._not_signed_in(request, str(error)) from None
        if subs - {session.sub}:
            request.spoilt_cookies += tuple(self._all_of_session(request))
            raise self._not_signed_in(request, "the refreshed tokens are another user's")
        logins = {
            name: value for name, value in self._cookies.login_cookies(request.cookies).items() if value
        }
        try:
            request.set_cookies = self._session_cookies.store(
                session, new_token, request.cookies, request.now, logins=logins
            )
        except SessionTooLarge as error:
            log.error("a refreshed session cannot be kept: %s", error)
            raise BadRequestError(
                "Your session has become too large for cookies.", reason=str(error)
            ) from None
        return session

    def _all_of_session(self, request: Request) -> list[str]:
        bases = (self._cookies.access, self._cookies.id, self._cookies.refresh)
        return [name for base in bases for name in self._cookies.came(request.cookies, base)]

    def _require_recent_sign_in(self, request: Request, session: Session, max_auth_age: int) -> None:
        if is_recent(session, max_auth_age, self.config.leeway, request.now):
            return
        raise AuthorisationRequiredError(
            "This page wants you to have signed in more recently.",
            reason=f"needs a sign-in at most {max_auth_age} s ago",
            login_url=self._login_url(request, {"prompt": "login"}),
            challenge=(  # RFC 9470 §3
                f'{REALM}, error="insufficient_user_authentication", '
                f'error_description="A more recent sign-in is required", max_age="{max_auth_age}"'
            ),
            max_auth_age=max_auth_age,
        )

    def _not_signed_in(self, request: Request, reason: str) -> AuthorisationRequiredError:
        return AuthorisationRequiredError(
            "You are not signed in, or your session has ended.",
            reason=reason,
            login_url=self._login_url(request),
            challenge=REALM,
        )

    def _not_allowed(self, request: Request, access: Access, missing: str) -> CognitoGroupRequiredError:
        challenge = None
        if request.is_bearer:  # RFC 6750 §3.1
            scope = f', scope="{" ".join(access.scopes)}"' if access.scopes else ""
            challenge = f'{REALM}, error="insufficient_scope"{scope}'
        return CognitoGroupRequiredError(
            "You are signed in, but this page is not open to you.", reason=missing, challenge=challenge
        )

    # other origins

    def _is_from_elsewhere(self, request: Request) -> bool:
        """Whether another origin's page made this request (Fetch Metadata, with Origin before it)."""
        origin = request.environ.get("HTTP_ORIGIN")
        if origin is not None:
            return origin.strip().lower() not in self._trusted_origins
        return request.is_cross_site

    def _is_trusted_preflight(self, request: Request) -> bool:
        """A CORS preflight bears no credentials; whether to allow what it asks is for the application to say."""
        return (
            "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in request.environ
            and "HTTP_ORIGIN" in request.environ
            and not self._is_from_elsewhere(request)
        )

    def _from_elsewhere(self, request: Request) -> CrossSiteRequestError:
        request.session = None
        return CrossSiteRequestError(
            "Another site made your browser send this. Nothing was done.",
            reason="unsafe method from another origin",
        )

    def _refuse_other_sites(self, request: Request) -> None:
        """For our own endpoints that change something, by whatever method they are called."""
        if self._is_from_elsewhere(request) and request.referer_origin() not in self.config.trusted_origins:
            raise self._from_elsewhere(request)

    # on to the application

    def _pass_on(self, request: Request) -> WSGIApplication:
        """The application, its environ made ready (design.md §5)."""
        request.show(request.session)
        if request.set_cookies:
            return _with_cookies(self.app, request.set_cookies)
        return self.app

    # own endpoints

    def _begin_sign_in(self, request: Request) -> WSGIApplication:
        if request.method not in ("GET", "HEAD"):
            return pages.method_not_allowed("GET, HEAD")
        if request.is_subresource:
            raise self._not_signed_in(request, "only a navigation starts a sign-in")
        query = self._query(request)
        parameters = {name: query[name] for name in HANDED_ON if query.get(name)}
        return self._send_to_cognito(
            request,
            self._return_address(request, query.get("next")),
            parameters,
            check_loop=self._find_session_aside(request) is None,
        )

    def _finish_sign_in(self, request: Request) -> WSGIApplication:
        """The callback: back from Cognito (RFC 6749 §4.1.2, OpenID Connect Core §3.1.2.5)."""
        if request.method != "GET":
            return pages.method_not_allowed("GET")
        is_strict = self.config.cookie_samesite == "Strict"
        query = self._query(request)
        try:
            finished = self._sign_in.finish(query, request.cookies, request.now)
        except BadRequestError as error:
            error.login_url = self._login_address(request, error.return_to)
            raise
        if finished.session is not None:
            log.info("signed in: sub %s", ascii(finished.session.sub))
        elif not is_strict and self._find_session_aside(request) is None:
            # (With SameSite=Strict the session's cookies stay at home here; the page we go on to will tell.)
            not_kept = self._not_signed_in(
                request, "the sign-in was completed before and has left no session"
            )
            not_kept.return_to = finished.return_to
            raise not_kept
        if is_strict:
            return pages.hop(finished.return_to, set_cookies=finished.set_cookies)
        return pages.redirect(finished.return_to, status=303, set_cookies=finished.set_cookies)

    def _refresh_on_demand(self, request: Request) -> WSGIApplication:
        if request.method != "POST":
            return pages.method_not_allowed("POST")
        self._refuse_other_sites(request)
        cookie = self._session_cookies.find_refresh_token(request.cookies, request.now)
        if cookie is None:
            request.spoilt_cookies += tuple(self._cookies.came(request.cookies, self._cookies.refresh))
            raise self._not_signed_in(request, "no refresh token")
        session = self._refresh(request, cookie.token, {cookie.sub} - {None})
        expires_at = int(session.access.claims["exp"])
        return pages.json_answer({"expires_at": expires_at}, set_cookies=request.set_cookies)

    def _sign_out(self, request: Request) -> WSGIApplication:
        """Cookies first, then the refresh token, then Cognito's own session (Cognito: "Logout endpoint")."""
        if request.method not in ("GET", "HEAD", "POST"):
            return pages.method_not_allowed("GET, HEAD, POST")
        self._refuse_other_sites(request)
        set_cookies = self._cookies.delete_all(request.cookies)
        cookie = self._session_cookies.find_refresh_token(request.cookies, request.now)
        if cookie is not None:
            self._revoke(cookie.token)
        return pages.redirect(self._client.logout_url(), set_cookies=set_cookies, clear_cache=True)

    def _revoke(self, refresh_token: str) -> None:
        try:
            self._client.revoke(self._refresher.sign_out(refresh_token))
        except CognitoError as error:  # the browser has forgotten it; Cognito will at its end
            log.warning("a refresh token could not be revoked at sign-out: %s", error.reason)

    def _send_to_cognito(
        self,
        request: Request,
        return_to: str,
        parameters: Mapping[str, str],
        *,
        max_auth_age: int | None = None,
        check_loop: bool = True,
    ) -> WSGIApplication:
        begun = self._sign_in.begin(
            request.cookies,
            request.now,
            return_to=return_to,
            parameters=parameters,
            max_auth_age=max_auth_age,
            check_loop=check_loop,
        )
        spoilt = self._cookies.delete(request.spoilt_cookies)
        return pages.redirect(begun.location, set_cookies=[*begun.set_cookies, *spoilt, *request.set_cookies])

    # addresses on this site

    def _query(self, request: Request) -> dict[str, str]:
        """The query's parameters, each once. Raises BadRequestError for what no honest client sends."""
        text = request.environ.get("QUERY_STRING", "")
        if len(text) > MAX_QUERY_LENGTH:
            raise BadRequestError("The address is too long.", reason="query too long")
        try:
            pairs = parse_qsl(decode_wsgi(text), keep_blank_values=True, max_num_fields=50, errors="strict")
        except ValueError:
            raise BadRequestError("The address is malformed.", reason="query malformed") from None
        query = dict(pairs)
        if len(query) != len(pairs):
            raise BadRequestError(
                "The address says something twice.", reason="a query parameter stands twice"
            )
        for name in HANDED_ON:
            value = query.get(name, "")
            if len(value) > MAX_PARAMETER_LENGTH or not value.isprintable():
                raise BadRequestError(
                    "The address is malformed.", reason=f"{name} is too long or unprintable"
                )
        return query

    def _return_address(self, request: Request, address: str | None) -> str:
        """``next`` if it is a path of this site and none of ours; else the root of the application."""
        found = find_return_path(address or "")
        if found is None or self._is_own_path(request, found[1]):
            return quote_path(request.script_name) + "/"
        return found[0]

    def _is_own_path(self, request: Request, path: str) -> bool:
        own = {request.script_name + endpoint for endpoint in self._endpoints}
        return path == self.config.callback_path or path in own

    def _own_address(self, request: Request) -> str:
        """The address that was asked for, to come back to; without its query if that makes it too long."""
        path = quote_path(request.script_name + decode_wsgi(request.environ.get("PATH_INFO", "")))
        query = quote_query(request.environ.get("QUERY_STRING", ""))
        whole = f"{path}?{query}" if query else path
        return whole if find_return_path(whole) else path

    def _login_url(self, request: Request, parameters: Mapping[str, str] | None = None) -> str:
        """Where a program can send its user to sign in, so that he comes back to the page he is on."""
        address = request.referer_path(self.config.public_origin)
        if address is None and not request.is_unsafe:
            address = self._own_address(request)
        return self._login_address(request, address, parameters)

    def _login_address(
        self, request: Request, return_to: str | None, parameters: Mapping[str, str] | None = None
    ) -> str:
        found = find_return_path(return_to or "")
        query = dict(parameters or {})
        if found is not None and not self._is_own_path(request, found[1]):
            query = {"next": found[0], **query}
        address = quote_path(request.script_name + self.config.login_path)
        return f"{address}?{urlencode(query, quote_via=quote)}" if query else address

    # refusals

    def _refuse(self, request: Request, refusal: RefusalError) -> WSGIApplication:
        """The one place where a refusal becomes an answer."""
        refusal.reference = secrets.token_hex(4)
        request.show(request.session)
        if (
            isinstance(refusal, AuthorisationRequiredError)
            and request.is_navigation
            and not request.is_bearer
        ):
            self._log(request, refusal)
            try:
                return self._sign_in_for(request, refusal)
            except RefusalError as instead:
                instead.reference = refusal.reference
                instead.login_url = refusal.login_url
                refusal = instead
        self._log(request, refusal)
        set_cookies = [
            *refusal.set_cookies,
            *self._cookies.delete(request.spoilt_cookies),
            *request.set_cookies,
        ]
        answer = self._ask_application(request, refusal) or self._own_answer(request, refusal)
        return _with_cookies(answer, set_cookies) if set_cookies else answer

    def _sign_in_for(self, request: Request, refusal: AuthorisationRequiredError) -> WSGIApplication:
        if self.config.cookie_samesite == "Strict" and request.is_cross_site and not request.cookies.values:
            # The browser kept the cookies back because another site's link led here. Asked from here, it sends them.
            return pages.hop(self._own_address(request))
        is_callback = refusal.return_to is not None
        return_to = refusal.return_to if is_callback else self._own_address(request)
        return self._send_to_cognito(
            request,
            self._return_address(request, return_to),
            {"prompt": "login"} if refusal.max_auth_age is not None else {},
            max_auth_age=refusal.max_auth_age,
            check_loop=request.session is None,
        )

    def _ask_application(self, request: Request, refusal: RefusalError) -> WSGIApplication | None:
        if self._on_error is None:
            return None
        try:
            answer = self._on_error(refusal, request.environ)
        except Exception:
            log.exception("on_error raised; answering with our own page")
            return None
        if answer is not None and not callable(answer):
            log.error("on_error returned %s, which is no WSGI application", type(answer).__name__)
            return None
        return answer

    def _own_answer(self, request: Request, refusal: RefusalError) -> WSGIApplication:
        if not request.wants_page or request.is_bearer:
            return pages.refusal_problem(refusal)
        home = quote_path(request.script_name) + "/"
        sign_out = pages.Link("Sign out", quote_path(request.script_name + self.config.logout_path))
        links = [pages.Link("Go to the start page", home)]
        if isinstance(refusal, CrossSiteRequestError):
            links.append(sign_out)
        elif request.session is not None:
            links.append(sign_out._replace(label="Sign in as somebody else"))
        elif refusal.login_url is not None:
            label = "Sign in" if isinstance(refusal, AuthorisationRequiredError) else "Try again"
            links.insert(0, pages.Link(label, refusal.login_url))
        return pages.refusal_page(refusal, links)

    def _log(self, request: Request, refusal: RefusalError) -> None:
        level = logging.ERROR if isinstance(refusal, CognitoError) else logging.INFO
        if isinstance(refusal, (CognitoGroupRequiredError, CrossSiteRequestError)):
            level = logging.WARNING
        log.log(
            level,
            "%d %s %s rule %s: %s (reference %s)",
            refusal.code,
            ascii(request.method),
            ascii(request.environ.get("PATH_INFO", "")[:256]),
            ascii(request.rule),
            ascii(refusal.reason)[1:-1],
            refusal.reference,
        )


_DISABLED = MatchedRule("AWS_COGNITO_DISABLED", Access("public"))
_AFTER_SIGN_OUT = MatchedRule("AWS_COGNITO_LOGOUT_URL", Access("public"))


def _check_together(
    config: CognitoConfig | Mapping[str, Any],
    rules: Mapping[str, AccessLike],
    default: AccessLike,
    converters: Mapping[str, type[BaseConverter]] | None,
) -> tuple[CognitoConfig, RouteRules]:
    """Configuration and rules, or one ConfigurationError with the problems of both."""
    problems: list[str] = []
    checked_config: CognitoConfig | None = None
    checked_rules: RouteRules | None = None
    try:
        checked_config = config if isinstance(config, CognitoConfig) else CognitoConfig.from_mapping(config)
    except ConfigurationError as error:
        problems += error.problems
    try:
        checked_rules = RouteRules(rules, default=default, converters=converters)
    except ConfigurationError as error:
        problems += error.problems
    if checked_config is None or checked_rules is None:
        raise ConfigurationError(problems)
    return checked_config, checked_rules


def _with_cookies(app: WSGIApplication, set_cookies: Sequence[str]) -> WSGIApplication:
    """``app``, its answer setting cookies and therefore private. The body goes back as it came."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            headers = [*pages.private(headers), *(("Set-Cookie", cookie) for cookie in set_cookies)]
            return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

        return app(environ, start)

    return answer
