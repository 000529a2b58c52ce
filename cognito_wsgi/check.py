"""Is this configuration going to work? Everything that can be found out without a user's password.

``check_config`` asks the user pool what a gateway would ask, all at once, and judges the answers; the judges
are functions of values. What is asked changes nothing at the pool: the code is made up, nobody is signed in.
No finding holds a secret, a code or a token; what the pool says is shown escaped and in part.
"""

from __future__ import annotations

import base64
import re
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from urllib.parse import parse_qsl, urljoin, urlsplit

from .cli_output import shown
from .cli_users import imagine_session
from .cookies import MAX_COOKIE_SIZE, MAX_TOTAL_SIZE, CookieSet, size_in_header
from .endpoints import Answer, CognitoClient, call, parse_json_object
from .errors import CognitoError, ConfigurationError, TokenVerifyError
from .jwks import parse_key_set
from .login import Login
from .session import SessionCookies, SessionTooLarge
from .tokens import CLOCK_TOLERANCE

if TYPE_CHECKING:
    from .config import CognitoConfig


class Status(StrEnum):
    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


class Finding(NamedTuple):
    """One line of the report. ``advice`` says what to do, and is empty where nothing is to be done."""

    check: str
    status: Status
    text: str
    advice: str = ""


#: What the pool answered, or why it did not.
Reply: TypeAlias = Answer | CognitoError


class Replies(NamedTuple):
    #: Seconds by which Cognito's clock is ahead; None if it did not tell.
    clock_skew: float | None
    discovery: Reply
    keys: Reply
    #: The authorize endpoint, asked as the gateway asks; with a challenge that is not hashed; with none.
    sign_in: Reply
    plain_challenge: Reply
    no_challenge: Reply
    token: Reply
    sign_out: Reply


def check_config(config: CognitoConfig) -> list[Finding]:
    """All findings: those that the settings alone tell, then those that the user pool tells."""
    return [*check_settings(config), *judge(config, ask(config))]


def failed_settings(error: ConfigurationError) -> list[Finding]:
    """The findings where the settings are no configuration yet."""
    return [Finding("settings", Status.FAIL, problem, "correct this setting") for problem in error.problems]


# what the settings tell


def check_settings(config: CognitoConfig) -> Iterator[Finding]:
    yield Finding("settings", Status.OK, "complete, and none contradicts another")
    if config.disabled:
        yield Finding(
            "disabled",
            Status.WARN,
            "AWS_COGNITO_DISABLED lets everyone in, to every path",
            "remove it before anybody else can reach this site",
        )
    yield check_https(config)
    yield check_secret_key(config)
    for user in USERS:
        yield check_cookies(config, user)


def check_https(config: CognitoConfig) -> Finding:
    """Whether what has to be https is, and no cookie goes where it has no business."""
    if not config.is_secure:
        return Finding(
            "https",
            Status.WARN,
            f"redirect_url is {config.public_origin}: cookies go without Secure, good for this machine alone",
            "use an https redirect_url wherever others sign in",
        )
    if config.logout_url.startswith("http:"):
        return Finding(
            "https",
            Status.WARN,
            "redirect_url is https, logout_url is http",
            "make logout_url an https address of this site",
        )
    sign_in_host = urlsplit(config.domain).hostname or ""
    if config.cookie_domain and f".{sign_in_host}".endswith(f".{config.cookie_domain}"):
        return Finding(
            "https",
            Status.WARN,
            f"cookies for {config.cookie_domain} go to Cognito at {sign_in_host} too, and can break its pages",
            "leave AWS_COGNITO_COOKIE_DOMAIN out, or name a domain that does not contain the sign-in pages",
        )
    return Finding("https", Status.OK, f"cookies are Secure and named {config.cookie_prefix}…")


#: Bytes of a SECRET_KEY that nobody guesses, whatever it is made of.
GOOD_KEY_LENGTH = 32
MIN_DISTINCT_BYTES = 10
#: Six characters at least, seven where they are hexadecimal: chance does not write them into a random key.
_GUESSABLE = re.compile(
    rb"secret|change|passwo|example|default|test.?key|testing|1234567|qwerty", re.IGNORECASE
)


def check_secret_key(config: CognitoConfig) -> Finding:
    key = config.secret_keys[0]
    flaws = []
    if len(key) < GOOD_KEY_LENGTH:
        flaws.append(f"has {len(key)} bytes of the {GOOD_KEY_LENGTH} it should have")
    if len(set(key)) < MIN_DISTINCT_BYTES:
        flaws.append("repeats a few characters")
    if _GUESSABLE.search(key):
        flaws.append("holds a word that is easily guessed")
    if flaws:
        return Finding(
            "secret key",
            Status.WARN,
            f"SECRET_KEY {', '.join(flaws)}",
            "make one with: python -c 'import secrets; print(secrets.token_hex(32))'",
        )
    old = len(config.secret_keys) - 1
    fallbacks = f"; {old} older still accepted when reading" if old else ""
    return Finding("secret key", Status.OK, f"{len(key)} bytes{fallbacks}")


# cookies


class SampleUser(NamedTuple):
    """A user for whom the cookies are made and counted."""

    name: str
    #: Whether it is a fault if he cannot sign in.
    is_usual: bool
    groups: tuple[str, ...]
    user_info: dict[str, Any]


_PERSON = {
    "nonce": "4d1Fq0YwqU3kS6nE2xV8rT5bJ7mL9pC0aHgZiXyWvNo",
    "name": "Alexandra Featherstonehaugh",
    "given_name": "Alexandra",
    "family_name": "Featherstonehaugh",
    "phone_number": "+15555550123",
    "phone_number_verified": True,
    "locale": "en-GB",
}
_FEDERATED = {
    "identities": [
        {
            "userId": "alexandra.featherstonehaugh@example.test",
            "providerName": "CompanyDirectory",
            "providerType": "SAML",
            "issuer": "https://directory.example.test/saml/metadata",
            "primary": "true",
            "dateCreated": "1790000000000",
        }
    ],
    "custom:department": "Quality and safety",
    "custom:employee_number": "00123456",
}

USERS = (
    SampleUser("typical", True, ("editors", "reviewers", "staff"), _PERSON),
    SampleUser(
        "large", False, tuple(f"department-{number:03}-staff" for number in range(50)), _PERSON | _FEDERATED
    ),
)

ALL_SCOPES = ("openid", "email", "phone", "profile", "aws.cognito.signin.user.admin")

#: Bytes of what a refresh token's five parts encode; together they make the 1.8 kB of Cognito's.
_REFRESH_TOKEN_PARTS = (46, 256, 12, 1010, 16)
#: Bytes of headers that nginx (proxy_buffer_size, on many systems) and uWSGI (buffer-size) take as installed.
DEFAULT_SERVER_BUFFER = 4096


def check_cookies(config: CognitoConfig, user: SampleUser) -> Finding:
    """What a user's session takes in cookies, made by the code that makes real ones."""
    check = f"cookies, {user.name} user"
    groups = f"{len(user.groups)} groups"
    cookie_set = CookieSet(config)
    scopes = config.scopes or ALL_SCOPES
    has_id_token = "openid" in scopes
    try:
        session = imagine_session(
            config,
            "alexandra.featherstonehaugh",
            groups=user.groups,
            scopes=scopes,
            user_info=user.user_info if has_id_token else None,
        )
        set_cookies = SessionCookies(config, cookie_set).store(
            session, _made_up_refresh_token(), {}, time.time(), logins={}
        )
    except (SessionTooLarge, TokenVerifyError) as error:
        return Finding(
            check,
            Status.FAIL if user.is_usual else Status.WARN,
            f"{groups}: no sign-in, {error}",
            "fewer groups or shorter names, fewer scopes, fewer claims in the access token",
        )
    pairs = [header.partition(";")[0].partition("=") for header in set_cookies]
    values = {name: value for name, _, value in pairs}
    text = (
        f"{groups}: {len(values)} cookies, {size_in_header(values):,} of {MAX_TOTAL_SIZE:,} bytes; "
        f"the largest {max(map(len, set_cookies)):,} of {MAX_COOKIE_SIZE:,}"
    )
    if has_id_token and cookie_set.id not in values:
        return Finding(
            check,
            Status.WARN,
            f"{text}; no room for the ID token, so cognito.user_info is None",
            "fewer groups, or fewer scopes in AWS_COGNITO_SCOPES, if the application needs user_info",
        )
    if sum(len(f"Set-Cookie: {header}\r\n") for header in set_cookies) > DEFAULT_SERVER_BUFFER:
        advice = "raise what stops at 4 kB: nginx proxy_buffer_size 16k, uWSGI buffer-size 16384"
        return Finding(check, Status.OK, text, advice)
    return Finding(check, Status.OK, text)


def _made_up_refresh_token() -> str:
    parts = (base64.urlsafe_b64encode(secrets.token_bytes(size)) for size in _REFRESH_TOKEN_PARTS)
    return b".".join(part.rstrip(b"=") for part in parts).decode()


# what the user pool tells


def ask(config: CognitoConfig) -> Replies:
    """Every question at once, so that a pool that is down costs one time-out and not seven."""
    client = CognitoClient(config)
    login = Login.fresh("/", None)
    common = {"state": login.state, "nonce": login.nonce}
    made_up_code = {
        "grant_type": "authorization_code",
        "code": secrets.token_urlsafe(32),
        "code_verifier": login.code_verifier,
        "redirect_uri": config.redirect_url,
    }

    def get(url: str) -> Callable[[], Answer]:
        return lambda: call("GET", url, timeout=config.timeout)

    def authorize(**challenge: str) -> Callable[[], Answer]:
        return get(client.authorize_url({**common, **challenge}))

    questions: list[Callable[[], Answer]] = [
        get(f"{config.issuer}/.well-known/openid-configuration"),
        get(config.jwks_url),
        authorize(code_challenge=login.code_challenge, code_challenge_method="S256"),
        authorize(code_challenge=login.code_verifier, code_challenge_method="plain"),
        authorize(),
        lambda: client._post(config.token_url, made_up_code),
        get(client.logout_url()),
    ]
    with ThreadPoolExecutor(len(questions)) as threads:
        replies = list(threads.map(_reply, questions))
    return Replies(client.clock_skew, *replies)


def _reply(question: Callable[[], Answer]) -> Reply:
    try:
        return question()
    except CognitoError as error:
        return error


def judge(config: CognitoConfig, replies: Replies) -> list[Finding]:
    return [
        judge_discovery(config, replies.discovery),
        judge_keys(config, replies.keys),
        judge_clock(config, replies.clock_skew),
        judge_sign_in(config, replies.sign_in),
        judge_pkce(config, replies),
        judge_client(config, replies.token),
        judge_sign_out(config, replies.sign_out),
    ]


def judge_discovery(config: CognitoConfig, reply: Reply) -> Finding:
    """The gateway does not read the document; it shows whether the issuer is one, and whose."""
    check = "discovery"
    advice = "compare AWS_REGION, AWS_COGNITO_USER_POOL_ID and AWS_COGNITO_ISSUER with the user pool"
    if isinstance(reply, CognitoError):
        return _unreachable(check, reply, is_needed=config.jwks is None)
    document = parse_json_object(reply.body) if reply.status == 200 else None
    if document is None:
        return Finding(check, Status.FAIL, f"no user pool at {config.issuer} (status {reply.status})", advice)
    if document.get("issuer") != config.issuer:
        found = shown(document.get("issuer"))
        text = (
            f"the pool calls itself {found}, and is configured as {config.issuer}: no token would be accepted"
        )
        return Finding(check, Status.FAIL, text, advice)
    if config.jwks is None and document.get("jwks_uri") != config.jwks_url:
        return Finding(
            check,
            Status.WARN,
            f"the pool names its keys at {shown(document.get('jwks_uri'))}, and not at {config.jwks_url}",
            "leave AWS_COGNITO_JWKS_URL out",
        )
    if document.get("authorization_endpoint") != config.authorize_url:
        return Finding(
            check,
            Status.WARN,
            f"the pool names {shown(document.get('authorization_endpoint'))} for signing in, "
            f"and not {config.authorize_url}",
            "set AWS_COGNITO_DOMAIN to that origin, unless the pool has this domain as well",
        )
    return Finding(check, Status.OK, f"issuer {config.issuer}")


def judge_keys(config: CognitoConfig, reply: Reply) -> Finding:
    check = "keys"
    if config.jwks is not None:
        count = len(parse_key_set(config.jwks))
        if not count:
            advice = "put the pool's jwks.json there as it is"
            return Finding(check, Status.FAIL, "no usable key in AWS_COGNITO_JWKS", advice)
        advice = "follow the pool's key rotation by hand"
        return Finding(check, Status.WARN, f"{count} usable, fixed in AWS_COGNITO_JWKS", advice)
    if isinstance(reply, CognitoError):
        return _unreachable(check, reply)
    document = parse_json_object(reply.body) if reply.status == 200 else None
    keys = parse_key_set(document or {})
    if not keys:
        return Finding(
            check,
            Status.FAIL,
            f"no usable key at {config.jwks_url} (status {reply.status})",
            "compare AWS_COGNITO_USER_POOL_ID, AWS_COGNITO_ISSUER and AWS_COGNITO_JWKS_URL with the user pool",
        )
    return Finding(check, Status.OK, f"{len(keys)} usable at {config.jwks_url}")


#: Seconds by which clocks that are kept in step hardly ever differ.
NOTABLE_SKEW = 3
#: Seconds that the shortest access token lives (Cognito: "Quotas").
SHORTEST_LIFETIME = 300


def judge_clock(config: CognitoConfig, skew: float | None) -> Finding:
    check = "clock"
    if skew is None:
        return Finding(
            check, Status.WARN, "Cognito did not tell the time", "see why the token endpoint failed"
        )
    tolerance = max(CLOCK_TOLERANCE, config.leeway)
    # A Date header has whole seconds, so the clock behind it may be up to one further on.
    text = f"Cognito's is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} this machine's"
    advice = "set this machine's clock by NTP"
    if skew > tolerance:
        return Finding(check, Status.FAIL, f"{text}: its tokens seem to come from the future", advice)
    if skew < -SHORTEST_LIFETIME:
        return Finding(check, Status.FAIL, f"{text}: tokens seem to have expired when they come", advice)
    if abs(skew) > NOTABLE_SKEW:
        return Finding(check, Status.WARN, text, advice)
    return Finding(check, Status.OK, "in step with Cognito's")


def judge_sign_in(config: CognitoConfig, reply: Reply) -> Finding:
    """The authorize endpoint: a redirect to the sign-in page, or to an error (cognito.md §1)."""
    check = "sign-in"
    if isinstance(reply, CognitoError):
        return _unreachable(check, reply)
    error = _authorize_error(config, reply)
    if error is None:
        return Finding(check, Status.OK, f"{config.authorize_url} takes this client and redirect_url")
    return Finding(check, Status.FAIL, *_SIGN_IN_ERRORS.get(error, _other_sign_in_error)(config, error))


def _mismatch(config: CognitoConfig, error: str) -> tuple[str, str]:
    return (
        f"redirect_mismatch: the app client does not know {config.redirect_url}",
        "add exactly this text to the allowed callback URLs of the app client, or correct AWS_COGNITO_REDIRECT_URL "
        "or AWS_COGNITO_USER_POOL_CLIENT_ID",
    )


def _invalid_scope(config: CognitoConfig, error: str) -> tuple[str, str]:
    scopes = " ".join(config.scopes or ()) or "the client's own"
    return (
        f"invalid_scope: the app client may not have all of these: {scopes}",
        "allow them at the app client, or take them out of AWS_COGNITO_SCOPES",
    )


def _unauthorized_client(config: CognitoConfig, error: str) -> tuple[str, str]:
    return (
        "unauthorized_client: the app client may not sign people in",
        "allow it the authorization code grant (OAuth grant types)",
    )


def _forbidden(config: CognitoConfig, error: str) -> tuple[str, str]:
    return (
        f"{config.authorize_url} answers 403",
        "see whether a web ACL (AWS WAF) of the pool refuses it; common rules do for a localhost redirect_url",
    )


def _other_sign_in_error(config: CognitoConfig, error: str) -> tuple[str, str]:
    return (
        f"{config.authorize_url} answers: {error}",
        "compare AWS_COGNITO_DOMAIN and AWS_COGNITO_USER_POOL_CLIENT_ID with the user pool",
    )


_SIGN_IN_ERRORS = {
    "redirect_mismatch": _mismatch,
    "invalid_scope": _invalid_scope,
    "unauthorized_client": _unauthorized_client,
    "status 403": _forbidden,
}


def _authorize_error(config: CognitoConfig, answer: Answer) -> str | None:
    """What the authorize endpoint objects to, as a short text; None for nothing."""
    if answer.status in (302, 303):
        location = _location(config, answer)
        error = dict(parse_qsl(location.partition("?")[2])).get("error")
        if error is None:
            return None if location else "a redirect to nowhere"
        return error if re.fullmatch(r"[A-Za-z_]{1,40}", error) else shown(error)
    if answer.status == 400 and b"redirect_mismatch" in answer.body:
        return "redirect_mismatch"
    return f"status {answer.status}"


def judge_pkce(config: CognitoConfig, replies: Replies) -> Finding:
    """Cognito's discovery document is silent on PKCE, so its authorize endpoint is tried."""
    check = "PKCE"
    errors = [
        "" if isinstance(reply, CognitoError) else _authorize_error(config, reply)
        for reply in (replies.sign_in, replies.plain_challenge, replies.no_challenge)
    ]
    hashed, plain, none = errors
    if hashed is None and plain is None:
        return Finding(
            check,
            Status.WARN,
            "any challenge is accepted, even one that Cognito would refuse",
            "see that AWS_COGNITO_DOMAIN names Cognito itself: codes may not be bound to the browser",
        )
    if hashed is None:
        return Finding(check, Status.OK, "an S256 challenge is accepted, a plain one is not")
    if none is None:
        return Finding(
            check,
            Status.FAIL,
            "a sign-in with an S256 challenge is refused, one without is not",
            "see that AWS_COGNITO_DOMAIN names Cognito itself; the gateway does not sign in without PKCE",
        )
    return Finding(check, Status.WARN, "not tried", "correct the sign-in first")


def judge_client(config: CognitoConfig, reply: Reply) -> Finding:
    """A made-up code must be refused as a code, by an endpoint that knows the client (RFC 6749 §5.2)."""
    check = "client secret"
    if isinstance(reply, CognitoError):
        return _unreachable(check, reply)
    error = (parse_json_object(reply.body) or {}).get("error")
    has_secret = config.client_secret is not None
    if error == "invalid_grant":
        return Finding(check, Status.OK, "right" if has_secret else "none, and the app client has none")
    if error == "invalid_client":
        advice = (
            "copy both from the user pool anew; leave the secret out if the app client has none"
            if has_secret
            else "set AWS_COGNITO_USER_POOL_CLIENT_SECRET if the app client has a secret"
        )
        text = "Cognito knows no app client of this id and secret"
        if not has_secret:
            text = "Cognito knows no app client of this id without a secret"
        return Finding(check, Status.FAIL, text, advice)
    if error == "unauthorized_client":
        return Finding(
            check,
            Status.FAIL,
            "the app client may not redeem codes, or not for this redirect_url",
            "allow it the authorization code grant, and compare AWS_COGNITO_REDIRECT_URL with its callback URLs",
        )
    if reply.status == 429:
        return Finding(check, Status.WARN, "Cognito is asked too often just now", "try again in a minute")
    return Finding(
        check,
        Status.FAIL,
        f"{config.token_url} answers status {reply.status}, error {shown(error)}",
        "compare AWS_COGNITO_DOMAIN with the user pool; try again later if it is right",
    )


def judge_sign_out(config: CognitoConfig, reply: Reply) -> Finding:
    """A registered logout_url is gone to at once; another ends on an error page (cognito.md §5)."""
    check = "sign-out"
    if isinstance(reply, CognitoError):
        return _unreachable(check, reply)
    if reply.status in (302, 303) and _location(config, reply) == config.logout_url:
        return Finding(check, Status.OK, f"Cognito returns to {config.logout_url}")
    return Finding(
        check,
        Status.FAIL,
        f"Cognito does not return to {config.logout_url} (status {reply.status})",
        "add exactly this text to the allowed sign-out URLs of the app client, or correct AWS_COGNITO_LOGOUT_URL",
    )


def _unreachable(check: str, error: CognitoError, *, is_needed: bool = True) -> Finding:
    return Finding(
        check,
        Status.FAIL if is_needed else Status.WARN,
        shown(error.reason)[1:-1],
        "see name, network, proxy and AWS_COGNITO_TIMEOUT_SECONDS",
    )


def _location(config: CognitoConfig, answer: Answer) -> str:
    """Where a redirect leads, as an absolute address; "" for nowhere."""
    try:
        return (
            urljoin(f"{config.domain}/", answer.headers.get("Location", ""))
            if "Location" in answer.headers
            else ""
        )
    except ValueError:
        return ""
