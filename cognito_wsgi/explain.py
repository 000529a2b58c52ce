"""Why a request is let in or refused: the gateway's own judgement of it, step by step.

Nothing is decided here. The gateway finds the rule and judges, its verifier reads the token; this module hands
them a request that nobody sent and writes down what they say. The application is not called, and nothing is
reported as if it had happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from urllib.parse import unquote_to_bytes

from .cli_output import shown
from .cli_users import imagine_session
from .cookies import CookieSet
from .errors import (
    AuthorisationRequiredError,
    BadRequestError,
    CognitoError,
    InvalidClaim,
    InvalidSignature,
    MalformedToken,
    RefusalError,
    TokenExpired,
    TokenNotYetValid,
    TokenVerifyError,
    UnknownKey,
)
from .paths import parse_path
from .request import Request
from .tokens import _parse as parse_token

if TYPE_CHECKING:
    from .config import CognitoConfig
    from .gateway import CognitoGateway
    from .rule_tree import MatchedRule


class Imagined(NamedTuple):
    """A user who has signed in this moment; see ``imagine_session``."""

    groups: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ("openid",)
    claims: Mapping[str, Any] | None = None


class Bearer(NamedTuple):
    """Whoever sends an access token in the Authorization header."""

    access_token: str


class Cookie(NamedTuple):
    """Whoever sends an access token in the session's cookie."""

    access_token: str


Visitor: TypeAlias = Imagined | Bearer | Cookie | None


class TokenCheck(NamedTuple):
    """One thing that a token has to be. ``is_good`` is None for what was not looked at any more."""

    name: str
    is_good: bool | None
    detail: str


class Judged(NamedTuple):
    """What a rule says. ``is_report_only``: a refusal is reported, and the request let in all the same."""

    path: str
    rule: MatchedRule
    refusal: RefusalError | None
    is_report_only: bool


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What the gateway makes of a request.

    token: the checks of the token in their order; () where there is none.
    endpoint: what the gateway itself does at this path; None if it is the application's.
    judged: the spellings of the path and what their rules say, up to the first refusal; () before any rule.
    refusal: what the request is refused with; None if it is let in.
    """

    token: tuple[TokenCheck, ...] = ()
    endpoint: str | None = None
    judged: tuple[Judged, ...] = ()
    refusal: RefusalError | None = None


def path_info_of(path: str | bytes) -> str:
    """``PATH_INFO`` as servers make it of the path in a request line: decoded once, bytes as latin-1."""
    return unquote_to_bytes(path).decode("latin-1")


def explain(
    gateway: CognitoGateway, method: str, path_info: str, visitor: Visitor = None, *, script_name: str = ""
) -> Explanation:
    """What ``gateway`` makes of a request without a body, from a program on no page.

    path_info, script_name: as WSGI has them, percent-decoded and bytes as latin-1 (PEP 3333).
    visitor: None for somebody who is not signed in.

    Raises TokenVerifyError if an imagined user's claims make no token.
    """
    environ = {"REQUEST_METHOD": method, "SCRIPT_NAME": script_name, "PATH_INFO": path_info}
    if isinstance(visitor, Bearer):
        environ["HTTP_AUTHORIZATION"] = f"Bearer {visitor.access_token}"
    elif isinstance(visitor, Cookie):
        environ["HTTP_COOKIE"] = f"{CookieSet(gateway.config).access}={visitor.access_token}"
    request = Request(environ, CookieSet(gateway.config))
    if isinstance(visitor, Imagined):
        request.session = imagine_session(gateway.config, "imagined-user", **visitor._asdict())
    token: tuple[TokenCheck, ...] = ()
    if isinstance(visitor, Bearer | Cookie):
        token = check_token(gateway, visitor, request.now)
    return replace(_judge(gateway, request), token=token)


def _judge(gateway: CognitoGateway, request: Request) -> Explanation:
    """The way of ``CognitoGateway._find_answer``, with its own steps, up to the door of the application."""
    try:
        paths = parse_path(request.environ["PATH_INFO"])
    except BadRequestError as ambiguous:
        return Explanation(refusal=ambiguous)
    if gateway.find_endpoint(request, paths[0]) is not None:
        return Explanation(endpoint=_describe_endpoint(gateway.config, paths[0]))
    judged: list[Judged] = []
    for path in paths:
        try:
            rule = gateway.find_rule(request, path)
        except BadRequestError as broken:  # a converter of the application's own is
            return Explanation(judged=tuple(judged), refusal=broken)
        is_report_only = gateway.report_only or rule.access.report_only
        refusal = _find_refusal(gateway, request, rule)
        judged.append(Judged(path, rule, refusal, is_report_only))
        if refusal is not None and not is_report_only:
            return Explanation(judged=tuple(judged), refusal=refusal)
    return Explanation(judged=tuple(judged))


def _find_refusal(gateway: CognitoGateway, request: Request, rule: MatchedRule) -> RefusalError | None:
    try:
        gateway.judge(request, rule.access)
    except RefusalError as refusal:
        return refusal
    return None


def _describe_endpoint(config: CognitoConfig, path: str) -> str:
    own = {
        config.login_path: "begins a sign-in",
        config.logout_path: "signs out",
        config.refresh_path: "renews the session",
    }
    return own.get(path, "finishes a sign-in")


def describe_answer(refusal: RefusalError, visitor: Visitor) -> str:
    """What a visitor receives, in a few words (design.md §7)."""
    program = f"{refusal.code} and problem+json"
    if isinstance(visitor, Bearer):
        return program
    browser = f"a {refusal.code} page"
    if isinstance(refusal, AuthorisationRequiredError):
        browser = "302 to Cognito" + (" to sign in anew" if refusal.max_auth_age is not None else "")
    return f"a browser: {browser}; a program: {program}"


# tokens


#: What TokenVerifier.verify_access_token looks at, in its order; claims that it looks at together in one line.
TOKEN_CHECKS = (
    "form",
    "iss",
    "token_use",
    "sub",
    "exp, iat, nbf",
    "client_id",
    "aud",
    "username, scope, cognito:groups",
    "signature",
    "not of the future",
    "not expired",
)
_CHECK_OF_CLAIM = {claim: check for check in TOKEN_CHECKS for claim in check.split(", ")}


def check_token(gateway: CognitoGateway, visitor: Bearer | Cookie, now: float) -> tuple[TokenCheck, ...]:
    token = visitor.access_token
    if isinstance(visitor, Bearer) and not gateway.config.bearer_enabled:
        ignored = "AWS_COGNITO_BEARER_ENABLED is off: the header is not looked at"
        return (TokenCheck("Authorization header", False, ignored),)
    found = _describe_token(token)
    try:
        verified = gateway.verifier.verify_access_token(token, now=now, bearer=isinstance(visitor, Bearer))
    except (TokenVerifyError, CognitoError) as error:
        return mark_checks(error, found, _expectations(gateway.config, visitor))
    found["not expired"] = f"for {verified.claims['exp'] - now:,.0f} s more"
    return tuple(TokenCheck(name, True, found.get(name, "")) for name in TOKEN_CHECKS)


def mark_checks(
    error: TokenVerifyError | CognitoError, found: Mapping[str, str], expected: Mapping[str, str]
) -> tuple[TokenCheck, ...]:
    """The checks as an error tells of them: good before it, bad where it happened, not looked at afterwards."""
    failed = _failed_check(error)
    # A check that this module does not know says nothing of the others.
    passed = TOKEN_CHECKS[: TOKEN_CHECKS.index(failed)] if failed in TOKEN_CHECKS else ()
    detail = error.reason
    if failed in expected:
        detail += f": found {found.get(failed) or 'none'}, expected {expected[failed]}"
    missed = [name for name in TOKEN_CHECKS if name not in passed and name != failed]
    return (
        *(TokenCheck(name, True, found.get(name, "")) for name in passed),
        TokenCheck(failed, False, detail),
        *(TokenCheck(name, None, "not looked at") for name in missed),
    )


def _failed_check(error: TokenVerifyError | CognitoError) -> str:
    match error:
        case TokenExpired():
            return "not expired"
        case TokenNotYetValid():
            return "not of the future"
        case InvalidClaim():
            return _CHECK_OF_CLAIM.get(error.claim, error.claim)
        case UnknownKey() | InvalidSignature() | CognitoError():
            return "signature"
        case _:
            return "form"


def _expectations(config: CognitoConfig, visitor: Bearer | Cookie) -> dict[str, str]:
    others = config.bearer_client_ids if isinstance(visitor, Bearer) else ()
    return {
        "iss": shown(config.issuer),
        "token_use": "'access'",
        "client_id": " or ".join(map(shown, (config.client_id, *others))),
        "aud": f"none, or an address at {config.public_origin}",
    }


def _describe_token(token: str) -> dict[str, str]:
    """What the token says of itself, by check; {} if it is not of the form to say anything."""
    try:
        parsed = parse_token(token)
    except MalformedToken:
        return {}
    found = {
        check: ", ".join(shown(parsed.claims[claim]) for claim in check.split(", ") if claim in parsed.claims)
        for check in TOKEN_CHECKS
    }
    found["form"] = f"compact JWS, RS256, {len(token):,} characters"
    found["signature"] = f"by the key {shown(parsed.kid)}"
    return found
