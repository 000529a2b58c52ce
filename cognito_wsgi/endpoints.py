"""The user pool's HTTP endpoints, as values in and values or errors out.

Every call is bounded in time as a whole, name resolution and a trickling answer included, and in size;
redirects are not followed; what comes back is checked before anybody uses it.
"""

from __future__ import annotations

import json
import logging
import queue
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.utils import mktime_tz, parsedate_tz
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import urlencode, urlsplit

from .errors import CognitoError, CognitoWsgiError
from .events import Events, Outage
from .forks import importing, run_in_forked_children

if TYPE_CHECKING:
    from requests import Session

    from .config import CognitoConfig

log = logging.getLogger("cognito_wsgi")

T = TypeVar("T")

#: Bytes of an answer that are read at most. A key set has about 1 KiB, a token answer up to 60 KiB.
MAX_ANSWER_SIZE = 256 * 1024

_UNREACHABLE = "The sign-in service cannot be reached at the moment. Nobody has been signed out."
_MISCONFIGURED = "Signing in does not work at the moment. The operator of this site has been told."

#: RFC 6749 §5.2. What else stands in ``error`` is not repeated in a log line.
_ERROR_CODES = frozenset(
    [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "unsupported_token_type",
    ]
)
#: A cookie may hold it and a form may send it: what Cognito's API allows, and URL-safe beside.
_TOKEN_TEXT = re.compile(r"[A-Za-z0-9._~+/=-]{1,32768}")


class GrantRefused(CognitoWsgiError):
    """The token endpoint refused a code or a refresh token. ``error`` is a code of RFC 6749 §5.2, or "other"."""

    def __init__(self, error: str) -> None:
        self.error = error
        super().__init__(error)


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"{type(self).__name__}(status={self.status})"


class TokenAnswer(NamedTuple):
    """What the token endpoint gave. Texts as they came, not verified."""

    access_token: str
    id_token: str | None
    refresh_token: str | None

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def retry_after() -> int:
    """Seconds for a ``Retry-After`` header; not the same for everybody, so that a crowd does not come back at once."""
    return random.randint(2, 8)  # noqa: S311 - spreads load, guards nothing


def unavailable(reason: str) -> CognitoError:
    return CognitoError(_UNREACHABLE, reason=reason, retry_after=retry_after())


def call(
    method: str,
    url: str,
    *,
    timeout: float,
    data: Mapping[str, str] | None = None,
    auth: tuple[str, str] | None = None,
) -> Answer:
    """One HTTP call, over in ``timeout`` seconds whatever the other side does.

    Raises CognitoError, its reason naming the host and the cause.
    """
    with importing:
        import requests  # at the first call, since most workers start faster; and not on the call's time

    session = requests.Session()
    try:
        return _within(timeout, lambda: _exchange(session, method, url, timeout, data, auth))
    except Exception as error:  # requests, urllib3, http.client and ssl have each a family of their own
        raise unavailable(f"{urlsplit(url).netloc} cannot be reached: {_root_cause(error)}") from None


class _LimitReached(Exception):
    """The other side takes too long, or sends too much."""


def _within(seconds: float, work: Callable[[], T]) -> T:
    """The result of ``work``, unless it takes too long. Threads are the only way to bound what blocks in C.

    One that is late ends by itself: at a time-out of its own, or when the other side hangs up.
    """
    outcome: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            outcome.put((work(), None))
        except BaseException as error:  # carried over to the caller's thread, whatever it is
            outcome.put((None, error))

    threading.Thread(target=run, name="cognito_wsgi call", daemon=True).start()
    try:
        result, error = outcome.get(timeout=seconds)
    except queue.Empty:
        raise _LimitReached(f"no complete answer in {seconds:g} s") from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value]  # no error, so there is a result


def _exchange(
    session: Session,
    method: str,
    url: str,
    timeout: float,
    data: Mapping[str, str] | None,
    auth: tuple[str, str] | None,
) -> Answer:
    deadline = time.monotonic() + timeout
    # Even one that it does not follow makes a Session read a redirect's body, however long that is.
    session.get_redirect_target = _no_redirect  # type: ignore[method-assign]
    with (
        session,
        session.request(
            method,
            url,
            data=data,
            auth=auth or _no_netrc,
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            timeout=timeout + 1,  # the caller's patience ends first; this ends the thread
            allow_redirects=False,
            stream=True,
        ) as response,
    ):
        return Answer(response.status_code, response.headers, _read_body(response.raw, deadline))


def _read_body(raw: Any, deadline: float) -> bytes:
    # What has arrived, so that a trickle meets the deadline; urllib3 before 2.2 can only wait for a whole piece.
    read = getattr(raw, "read1", raw.read)
    body = b""
    while chunk := read(16 * 1024):
        body += chunk
        if len(body) > MAX_ANSWER_SIZE:
            raise _LimitReached(f"an answer of more than {MAX_ANSWER_SIZE} bytes")
        if time.monotonic() > deadline:
            raise _LimitReached("a trickling answer")
    return body


def _no_redirect(resp: Any) -> None:
    return None


def _no_netrc(request: Any) -> Any:
    """An ``auth`` that adds nothing, and so keeps requests from looking for a ``.netrc``."""
    return request


def _root_cause(error: BaseException) -> str:
    """What went wrong: our own messages and the system's whole, others by class, since they repeat the URL."""
    while not isinstance(error, _LimitReached) and (inner := _inner(error)) is not None:
        error = inner
    if isinstance(error, _LimitReached):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{type(error).__name__}: {error.strerror}"
    return type(error).__name__


def _inner(error: BaseException) -> BaseException | None:
    for candidate in (error.__cause__, getattr(error, "reason", None), *error.args, error.__context__):
        if isinstance(candidate, BaseException):
            return candidate
    return None


def parse_json_object(body: bytes) -> dict[str, Any] | None:
    """The object that the bytes hold, or None: whatever else they are is garbage."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


class CognitoClient:
    """The pool's authorize, token, revocation and logout endpoints for one app client."""

    def __init__(self, config: CognitoConfig, events: Events | None = None) -> None:
        self._events = events or Events()
        self._config = config
        query = {
            "response_type": "code",
            "client_id": config.client_id,
            "redirect_uri": config.redirect_url,
            **({"scope": " ".join(config.scopes)} if config.scopes else {}),
        }
        self._authorize_url = f"{config.authorize_url}?{urlencode(query)}"
        self._token_health = Health()
        #: Seconds that Cognito's clock was ahead of ours in its last answer, or None before the first.
        self.clock_skew: float | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._config.domain!r})"

    def authorize_url(self, parameters: Mapping[str, str]) -> str:
        """Address of the hosted sign-in page (Cognito developer guide, "Authorize endpoint")."""
        return f"{self._authorize_url}&{urlencode(parameters)}"

    def logout_url(self) -> str:
        """Address that ends the hosted session and comes back to ``logout_url``."""
        query = urlencode({"client_id": self._config.client_id, "logout_uri": self._config.logout_url})
        return f"{self._config.cognito_logout_url}?{query}"

    def exchange_code(self, code: str, code_verifier: str) -> TokenAnswer:
        """Tokens for an authorization code (RFC 6749 §4.1.3, RFC 7636 §4.5).

        Raises GrantRefused for any OAuth error but ``invalid_client``, CognitoError for the rest.
        """
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": code_verifier,
            "redirect_uri": self._config.redirect_url,
        }
        try:
            return self._grant(form)
        except GrantRefused as refused:
            if refused.error == "invalid_client":
                raise _operator_mistake(refused.error) from None
            raise

    def refresh(self, refresh_token: str) -> TokenAnswer:
        """New tokens for a refresh token (RFC 6749 §6).

        Raises GrantRefused for ``invalid_grant`` alone: nothing else ends a session. CognitoError for the rest.
        """
        try:
            return self._grant({"grant_type": "refresh_token", "refresh_token": refresh_token})
        except GrantRefused as refused:
            if refused.error != "invalid_grant":
                raise _operator_mistake(refused.error) from None
            raise

    def revoke(self, refresh_token: str) -> None:
        """Make a refresh token worthless (RFC 7009). Raises CognitoError if that could not be done."""
        with self._reporting_outages("revoke"):
            answer = self._post(self._config.revoke_url, {"token": refresh_token})
            if answer.status != 200:
                raise unavailable(f"revocation refused: {_describe(answer)}")

    @contextmanager
    def _reporting_outages(self, endpoint: str) -> Iterator[None]:
        started = time.time()
        try:
            yield
        except CognitoError as error:
            self._events.emit(Outage(endpoint=endpoint, reason=error.reason, seconds=time.time() - started))
            raise

    def _grant(self, form: dict[str, str]) -> TokenAnswer:
        with self._token_health.waiting(), self._reporting_outages("token"):
            return self._ask_for_tokens(form)

    def _ask_for_tokens(self, form: dict[str, str]) -> TokenAnswer:
        try:
            answer = self._post(self._config.token_url, form)
        except CognitoError as outage:
            self._token_health.failure = outage.reason
            raise
        # Any other status is about this one call, and a visitor may have brought it about.
        is_failure = answer.status == 429 or answer.status >= 500
        self._token_health.failure = f"status {answer.status}" if is_failure else None
        if answer.status == 200:
            return _parse_tokens(answer)
        host = urlsplit(self._config.domain).netloc
        is_refusal = 400 <= answer.status < 500 and answer.status != 429
        if is_refusal and (error := _error_code(answer)) is not None:
            log.warning("%s refused the %s grant: %s", host, form["grant_type"], _describe(answer))
            raise GrantRefused(error)
        hint = "; is AWS_COGNITO_DOMAIN right, and is there nothing in between?" if is_refusal else ""
        raise unavailable(f"{host} answered the token call with {_describe(answer)}{hint}")

    def _post(self, url: str, form: dict[str, str]) -> Answer:
        secret = self._config.client_secret
        answer = call(
            "POST",
            url,
            timeout=self._config.timeout,
            data={**form, "client_id": self._config.client_id},
            auth=(self._config.client_id, secret) if secret is not None else None,
        )
        self._note_clock(answer.headers.get("Date", ""))
        return answer

    def _note_clock(self, date: str) -> None:
        try:
            if (parsed := parsedate_tz(date)) is not None:
                self.clock_skew = mktime_tz(parsed) - time.time()
        except (ValueError, OverflowError):
            return  # no time that there is


#: Seconds that a request which finds out whether an endpoint is well again is waited for. Cognito answers in less.
PATIENCE = 1.0


class Health:
    """What the last call to an endpoint came to, and so who may wait for the next.

    failure: why it failed; None if it did not, or there was none yet.
    """

    def __init__(self) -> None:
        self.failure: str | None = None
        self._start_afresh()
        run_in_forked_children(self, type(self)._start_afresh)

    def _start_afresh(self) -> None:
        """Who waits in a parent process never leaves off in a forked child."""
        self._turn = threading.Lock()
        self._began = 0.0  # when it was last taken, by the monotonic clock

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Everybody may wait for an endpoint that is well, and one at a time for one that has failed.

        That one finds out whether it is well again; the others wait a moment for what it finds. So no crowd is held
        by what is slow, and who comes in a crowd after an outage is served.

        Raises CognitoError for who may not.
        """
        turn = self._turn
        if self.failure is not None and turn.acquire(blocking=False):
            self._began = time.monotonic()
            try:
                yield
            finally:
                turn.release()
            return
        if self.failure is not None and turn.acquire(timeout=self._patience()):
            turn.release()
        if (failure := self.failure) is not None:
            raise unavailable(f"not asked, as another request finds out whether this is over: {failure}")
        yield

    def _patience(self) -> float:
        """What is left of the moment for which anybody waits: it begins with the request that finds out."""
        return max(0.0, self._began + PATIENCE - time.monotonic())


def _operator_mistake(error: str) -> CognitoError:
    log.error(
        "Cognito refuses this app client (%s): compare AWS_COGNITO_USER_POOL_CLIENT_ID and "
        "AWS_COGNITO_USER_POOL_CLIENT_SECRET, and the grants the client may use, with the user pool",
        error,
    )
    return CognitoError(_MISCONFIGURED, reason=f"Cognito refuses this app client: {error}", retry_after=60)


def _parse_tokens(answer: Answer) -> TokenAnswer:
    fields = parse_json_object(answer.body)
    if fields is None:
        raise unavailable("the token endpoint answered 200 with something else than a JSON object")
    tokens = [fields.get(name) for name in ("access_token", "id_token", "refresh_token")]
    for token in tokens:
        if token is not None and not (isinstance(token, str) and _TOKEN_TEXT.fullmatch(token)):
            raise unavailable("the token endpoint answered with a token that is none")
    access_token, id_token, refresh_token = tokens
    if access_token is None:
        raise unavailable("the token endpoint answered without an access token")
    return TokenAnswer(access_token, id_token, refresh_token)


def _error_code(answer: Answer) -> str | None:
    """The OAuth error code of a refusal, "other" for one unknown to us, None if it is no OAuth answer."""
    fields = parse_json_object(answer.body)
    if fields is None or not isinstance(fields.get("error"), str):
        return None
    return fields["error"] if fields["error"] in _ERROR_CODES else "other"


def _describe(answer: Answer) -> str:
    request_id = re.sub(r"[^A-Za-z0-9-]", "", answer.headers.get("x-amz-cognito-request-id", ""))[:64]
    return f"status {answer.status}, error {_error_code(answer)}, request id {request_id or 'none'}"
