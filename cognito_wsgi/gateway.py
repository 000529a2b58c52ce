"""The gateway: one request's way, top to bottom.

    environ ─► path ─► own endpoint? ──► login / callback / refresh / logout
                 └──► rule ─► cookies (or Bearer) ─► verified claims ─► [refresh] ─► decision
                                            ├─ no  ─► 302 to Cognito · 401 · 403 · 503
                                            └─ yes ─► environ gains cognito.* ─► application

``CognitoGateway._find_answer`` is that drawing in code. Whatever is refused is raised as a RefusalError and becomes
an answer in one place, ``_refuse``. The application is called outside of every ``try`` of ours.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

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
    MethodNotAllowedError,
    RefusalError,
)
from .events import Denied, Events, OnEvent, SignedIn, SignedOut, SignInFailed
from .jwks import KeyStore
from .login import SignIn, is_recent
from .paths import ends_of_path, parse_path
from .refresh import Refresher
from .request import Request
from .rule_tree import MatchedRule
from .rules import Access, RouteRules
from .session import SessionCookies, Sessions, copy_json, show
from .site import HANDED_ON, Site, parse_query
from .tokens import TokenVerifier
from .visitors import CHALLENGE, Visitors, not_signed_in

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from werkzeug.routing import BaseConverter

    from .rules import AccessLike

log = logging.getLogger("cognito_wsgi")

OnError = Callable[[RefusalError, "WSGIEnvironment"], "WSGIApplication | None"]

_DISABLED = MatchedRule("AWS_COGNITO_DISABLED", Access("public"))
_AFTER_SIGN_OUT = MatchedRule("AWS_COGNITO_LOGOUT_URL", Access("public"))


class CognitoGateway:
    """Lets requests through to ``app`` as the rules say.

    app: the WSGI application to protect.
    config: a CognitoConfig, or a mapping with the AWS_… keys, such as ``app.config``.
    rules: the route map: routing rule to access.
    default: the access of every path that no rule covers.
    on_error: called with a refusal and the environ; returns a WSGI application to answer in place of our
        page, or None.
    on_event: called with each ``cognito_wsgi.events.Event``, aside of the requests.
    report_only: decide and report, but let everything through; for trying a route map out.
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
        on_event: OnEvent | None = None,
        report_only: bool = False,
        converters: Mapping[str, type[BaseConverter]] | None = None,
    ) -> None:
        self.app = app
        self.config, self.rules = _check_together(config, {} if rules is None else rules, default, converters)
        self.report_only = report_only
        self.events = Events(on_event)
        self._is_disabled = self.config.disabled
        self._callback_path = self.config.callback_path
        self._on_error = on_error
        self._site = Site(self.config)
        self._cookies = CookieSet(self.config)
        keys = KeyStore(self.config, self.events)
        self.verifier = TokenVerifier(self.config, keys)
        self._client = CognitoClient(self.config, self.events)
        sessions = Sessions(self.config, keys, self.verifier)
        session_cookies = SessionCookies(self.config, self._cookies)
        self._refresher = Refresher(self._client, sessions, self.events, timeout=self.config.timeout)
        self._visitors = Visitors(
            self.config, self._site, self._cookies, sessions, session_cookies, self._refresher
        )
        self._sign_in = SignIn(
            self.config, self._client, self._cookies, self.verifier, sessions, session_cookies
        )
        self._endpoints: dict[str, Callable[[Request], WSGIApplication]] = {
            self.config.login_path: self._begin_sign_in,
            self.config.logout_path: self._sign_out,
        }
        if self.config.refresh_enabled:
            self._endpoints[self.config.refresh_path] = self._refresh_on_demand
        #: Paths that may be an endpoint's. The callback's may begin with where the application is mounted.
        self._own_paths = {"/", *self._endpoints, *ends_of_path(self._callback_path)}
        if self.config.disabled:
            log.warning("AWS_COGNITO_DISABLED is set: cognito_wsgi lets EVERYONE in, to every path")
        if report_only:
            log.warning(
                "report_only is set: cognito_wsgi lets EVERYONE in, and only reports whom it would refuse"
            )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.config.user_pool_id} client {self.config.client_id}>"

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        answer = self._find_answer(Request(environ, self._cookies))  # which is gone when the application runs
        return answer(environ, start_response)

    def _find_answer(self, request: Request) -> WSGIApplication:
        """The application, with its environ made ready, or an answer of our own."""
        try:
            path_info = request.environ.get("PATH_INFO", "")
            paths = parse_path(path_info)
            if path_info is not paths[0] and path_info.startswith("//"):
                # Flask passes over these; what stands before it, such as DispatcherMiddleware, would pass over a mount.
                request.environ["PATH_INFO"] = "/" + path_info.lstrip("/")
            if paths[0] in self._own_paths and (endpoint := self.find_endpoint(request, paths[0])):
                return endpoint(request)
            for path in paths:  # all that routers may see must be let in
                rule = self.find_rule(request, path)
                if rule is request.rule:
                    continue
                request.rule = rule
                try:
                    self.judge(request, rule.access)
                except RefusalError as refusal:
                    if not (self.report_only or rule.access.report_only):
                        raise
                    if isinstance(refusal, CrossSiteRequestError):
                        request.session = None  # let through, but not as anybody
                    request.set_cookies = [*request.set_cookies, *refusal.set_cookies]
                    self._note(request, refusal, is_report_only=True)
        except RefusalError as refusal:
            return self._refuse(request, refusal)
        show(request.session, request.environ, request.now)
        return _with_cookies(self.app, request.set_cookies) if request.set_cookies else self.app

    def find_endpoint(self, request: Request, path: str) -> Callable[[Request], WSGIApplication] | None:
        """Which of our own endpoints a path is, if any. The callback's path counts from the root of the site."""
        if request.is_for(path, self._callback_path):
            return self._finish_sign_in
        return self._endpoints.get(path)

    def find_rule(self, request: Request, path: str) -> MatchedRule:
        """What decides on a path."""
        if self._is_disabled:
            return _DISABLED
        rule = self.rules.match(request.method, path)
        if rule is self.rules.default and request.is_for(path, self.config.logout_return_path):
            return _AFTER_SIGN_OUT
        return rule

    # the decision

    def judge(self, request: Request, access: Access) -> None:
        """Return if the request is let in; ``request.session`` is the visitor's, if any. Raises RefusalError."""
        if (
            request.method == "OPTIONS"
            and access.allow != "deny"
            and self._site.is_trusted_preflight(request)
        ):
            return  # as nobody, on a public path too
        if access.allow == "public":
            request.session = request.session or self._visitors.find_aside(request)
            return
        session = request.session = request.session or self._visitors.find(request)
        missing = access.find_missing(session.group_set, session.scopes)
        if missing is not None:
            raise _not_allowed(request, access, missing)
        if access.where is not None and not access.accepts(copy_json(session.claims)):
            raise _not_allowed(request, access, "the rule's where function did not say True")
        if access.max_auth_age is not None and not is_recent(
            session, access.max_auth_age, self.config.leeway, request.now
        ):
            raise _not_recent(access.max_auth_age)

    # own endpoints

    def _begin_sign_in(self, request: Request) -> WSGIApplication:
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowedError("GET", "HEAD")
        if request.is_subresource:
            raise not_signed_in("only a navigation starts a sign-in")
        query = parse_query(request)
        handed_on = {name: query[name] for name in HANDED_ON if query.get(name)}
        if self._is_session_kept_back(request):
            return pages.hop(self._site.sign_in_address(request, query.get("next"), handed_on))
        is_signed_in = self._visitors.find_aside(request) is not None
        self._note_spoilt(request)
        return self._send_to_cognito(
            request,
            self._site.return_address(request, query.get("next")),
            handed_on,
            check_loop=not is_signed_in,
        )

    def _finish_sign_in(self, request: Request) -> WSGIApplication:
        """The callback: back from Cognito (RFC 6749 §4.1.2, OpenID Connect Core §3.1.2.5)."""
        if request.method != "GET":
            raise MethodNotAllowedError("GET")
        request.is_callback = True
        is_strict = self.config.cookie_samesite == "Strict"
        finished = self._sign_in.finish(parse_query(request), request.cookies, request.now)
        if finished.session is not None:
            self.events.emit(SignedIn(sub=finished.session.sub, seconds=time.time() - request.now))
        elif not is_strict:  # then the session's cookies stay at home here; the page we go on to will tell
            self._require_session(request, finished.return_to)
        set_cookies = [*finished.set_cookies, *request.set_cookies]
        if is_strict:
            return pages.hop(finished.return_to, set_cookies=set_cookies)
        return pages.redirect(finished.return_to, status=303, set_cookies=set_cookies)

    def _require_session(self, request: Request, return_to: str) -> None:
        """Raise AuthorisationRequiredError, leading to ``return_to``, where a sign-in has left no session."""
        try:
            self._visitors.find(request)
        except AuthorisationRequiredError as not_kept:
            not_kept.return_to = return_to
            raise

    def _refresh_on_demand(self, request: Request) -> WSGIApplication:
        if request.method != "POST":
            raise MethodNotAllowedError("POST")
        self._site.refuse_other_sites(request)
        cookie = self._visitors.find_refresh_token(request)
        if cookie is None:
            raise not_signed_in("no refresh token")
        session = self._visitors.refresh(request, cookie, sub=self._visitors.find_sub(request))
        return pages.json_answer({"expires_at": int(session.claims["exp"])}, set_cookies=request.set_cookies)

    def _sign_out(self, request: Request) -> WSGIApplication:
        """Cookies first, then the refresh token, then Cognito's own session (Cognito: "Logout endpoint")."""
        if request.method not in ("GET", "HEAD", "POST"):
            raise MethodNotAllowedError("GET", "HEAD", "POST")
        if request.is_prefetch:
            raise BadRequestError("Signing out cannot be prefetched.", reason="a prefetch changes nothing")
        self._site.refuse_other_sites(request)
        if request.is_cross_site and request.wants_page and not self._visitors.session_cookies_of(request):
            # With a trusted site's form the cookies stay at home, and for Cognito to know they have to come.
            return pages.hop(self._site.sign_out_address(request))
        set_cookies = self._cookies.delete_all(request.cookies)
        cookie = self._visitors.find_refresh_token(request)
        self.events.emit(SignedOut(is_revoked=self._revoke(cookie.token) if cookie else None))
        return pages.redirect(self._client.logout_url(), set_cookies=set_cookies, clear_cache=True)

    def _revoke(self, refresh_token: str) -> bool:
        """Whether that could be done. The browser has forgotten the token; Cognito will at its end."""
        try:
            self._client.revoke(self._refresher.sign_out(refresh_token))
        except CognitoError:
            return False
        return True

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
            spoilt=request.spoilt_cookies,
        )
        spoilt = self._cookies.delete(request.spoilt_cookies)
        return pages.redirect(begun.location, set_cookies=[*spoilt, *request.set_cookies, *begun.set_cookies])

    # refusals

    def _refuse(self, request: Request, refusal: RefusalError) -> WSGIApplication:
        """The one place where a refusal becomes an answer."""
        self._note_spoilt(request)
        show(request.session, request.environ, request.now)
        self._note(request, refusal)
        if isinstance(refusal, AuthorisationRequiredError) and not request.is_bearer:
            max_auth_age = refusal.max_auth_age
            if request.is_navigation:
                try:
                    return self._sign_in_for(request, refusal)
                except BadRequestError as instead:  # sign-ins do not stick
                    self._note(request, instead)
                    refusal = instead
            refusal.login_url = self._login_url(request, max_auth_age)
        elif isinstance(refusal, (BadRequestError, CognitoError)) and request.is_callback:
            refusal.login_url = self._site.sign_in_address(request, refusal.return_to)
        set_cookies = [
            *refusal.set_cookies,
            *self._cookies.delete(request.spoilt_cookies),
            *request.set_cookies,
        ]
        answer = self._ask_application(request, refusal) or self._own_answer(request, refusal)
        return _with_cookies(answer, set_cookies) if set_cookies else answer

    def _note_spoilt(self, request: Request) -> None:
        """Cookies that are worth nothing go with the next answer of ours."""
        if request.cookies and not self._visitors.is_by_bearer(request):
            self._visitors.note_spoilt(request)
            request.spoilt_cookies += self._sign_in.find_spoilt(request.cookies)

    def _login_url(self, request: Request, max_auth_age: int | None) -> str:
        parameters = {"prompt": "login"} if max_auth_age is not None else {}
        return self._site.sign_in_address(request, self._site.page_address(request), parameters)

    def _sign_in_for(self, request: Request, refusal: AuthorisationRequiredError) -> WSGIApplication:
        requested = self._site.requested_address(request)
        return_to = self._site.return_address(request, refusal.return_to or requested)
        if self._is_session_kept_back(request):
            return pages.hop(return_to)
        return self._send_to_cognito(
            request,
            return_to,
            {"prompt": "login"} if refusal.max_auth_age is not None else {},
            max_auth_age=refusal.max_auth_age,
            check_loop=request.session is None,
        )

    def _is_session_kept_back(self, request: Request) -> bool:
        """Whether the browser may have a session and not tell, since another site's link led here.

        Asked from a page of ours, it sends the cookies.
        """
        return (
            self.config.cookie_samesite == "Strict"
            and request.is_cross_site
            and not self._visitors.session_cookies_of(request)
        )

    def _ask_application(self, request: Request, refusal: RefusalError) -> WSGIApplication | None:
        """The application's own answer, if it has one; whatever goes wrong with that, there is still ours."""
        if self._on_error is None:
            return None
        try:
            answer = self._on_error(refusal, request.environ)
        except Exception:  # it is the application's
            log.exception("on_error raised; answering with our own page")
            return None
        if answer is not None and not callable(answer):
            log.error("on_error returned %s, which is no WSGI application", type(answer).__name__)
            return None
        return answer

    def _own_answer(self, request: Request, refusal: RefusalError) -> WSGIApplication:
        if not request.wants_page or request.is_bearer:
            return pages.refusal_problem(refusal)
        return pages.refusal_page(refusal, self._ways_on(request, refusal))

    def _ways_on(self, request: Request, refusal: RefusalError) -> list[pages.Link]:
        """What a person can do about a refusal, the likeliest first."""
        home = pages.Link("Go to the start page", self._site.home(request))
        sign_out = self._site.sign_out_address(request)
        if isinstance(refusal, CrossSiteRequestError):
            return [home, pages.Link("Sign out", sign_out)]
        if refusal.login_url is not None:
            label = "Sign in" if isinstance(refusal, AuthorisationRequiredError) else "Try again"
            ways = [pages.Link(label, refusal.login_url), home]
            needs_sign_out = request.is_callback and refusal.max_auth_age is not None
            return [pages.Link("Sign out", sign_out), *ways] if needs_sign_out else ways
        if isinstance(refusal, CognitoError) and request.is_navigation:
            again = self._site.requested_address(request)
            return [pages.Link("Try again", again), home] if not again.startswith("//") else [home]
        if request.session is not None:
            return [home, pages.Link("Sign in as somebody else", sign_out)]
        if self._visitors.session_cookies_of(request):
            return [home, pages.Link("Sign out", sign_out)]
        return [home]

    def _note(self, request: Request, refusal: RefusalError, *, is_report_only: bool = False) -> None:
        """Give the refusal its reference, and report it under that."""
        refusal.reference = secrets.token_hex(4)
        status = refusal.code or 500
        if request.is_callback and not isinstance(refusal, AuthorisationRequiredError):
            self.events.emit(SignInFailed(status=status, reason=refusal.reason, reference=refusal.reference))
            return
        denied = Denied(
            status=status,
            method=request.method,
            path=request.environ.get("PATH_INFO", ""),
            rule=request.rule.key if request.rule else "none",
            reason=refusal.reason,
            reference=refusal.reference,
            sub=request.session.sub if request.session else None,
            is_report_only=is_report_only,
        )
        self.events.emit(denied, level=logging.WARNING if is_report_only else _level_of(refusal))


def _not_allowed(request: Request, access: Access, missing: str) -> CognitoGroupRequiredError:
    challenge = None
    if request.is_bearer:  # RFC 6750 §3.1
        scope = f', scope="{" ".join(access.scopes)}"' if access.scopes else ""
        challenge = f'{CHALLENGE}, error="insufficient_scope"{scope}'
    return CognitoGroupRequiredError(
        "You are signed in, but this page is not open to you.", reason=missing, challenge=challenge
    )


def _not_recent(max_auth_age: int) -> AuthorisationRequiredError:
    return AuthorisationRequiredError(
        "This page wants you to have signed in more recently.",
        reason=f"needs a sign-in at most {max_auth_age} s ago",
        challenge=(  # RFC 9470 §3
            f'{CHALLENGE}, error="insufficient_user_authentication", '
            f'error_description="A more recent sign-in is required", max_age="{max_auth_age}"'
        ),
        max_auth_age=max_auth_age,
    )


def _level_of(refusal: RefusalError) -> int:
    if isinstance(refusal, CognitoError):
        return logging.ERROR
    if isinstance(refusal, AuthorisationRequiredError):
        return logging.INFO  # every visit begins so
    return logging.WARNING


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
