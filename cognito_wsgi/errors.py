"""What can go wrong.

    CognitoWsgiError
    ├─ ConfigurationError            the operator's mistake, raised at construction
    └─ TokenVerifyError              a token that may not be trusted; stays inside the gateway
       ├─ MissingToken
       ├─ MalformedToken             not a compact JWS of ours (RFC 7515 §7.1)
       ├─ UnknownKey                 the pool has no key of that ``kid``
       ├─ InvalidSignature
       └─ InvalidClaim               names the claim
          ├─ TokenNotYetValid        one of two clocks is wrong
          └─ TokenExpired            a genuine token whose time is over
    RefusalError                     what a visitor can receive; a werkzeug HTTPException
    ├─ BadRequestError               400
    ├─ AuthorisationRequiredError    401
    ├─ CognitoGroupRequiredError     403
    ├─ CrossSiteRequestError         403
    ├─ MethodNotAllowedError         405
    └─ CognitoError                  503

No message holds a token, a code, a secret or a cookie's value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Self

from werkzeug.exceptions import (
    BadRequest,
    Forbidden,
    HTTPException,
    MethodNotAllowed,
    ServiceUnavailable,
    Unauthorized,
)


class CognitoWsgiError(Exception):
    """Base of the errors that never reach a visitor."""


class ConfigurationError(CognitoWsgiError, ValueError):
    """One or more settings or rules are wrong; ``problems`` has a sentence for each."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class TokenVerifyError(CognitoWsgiError):
    """A token was refused. ``reason`` is a phrase of ours, never text from the token."""

    #: Whether the token can never become good, so that the cookie holding it may be deleted.
    #: False where the cause may be on our side: a clock, or keys not fetched yet.
    hopeless = True

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class MalformedToken(TokenVerifyError):
    """Not three canonical base64url parts with the header and claims of a Cognito token."""


class MissingToken(TokenVerifyError):
    """There is no token to verify."""

    hopeless = False


class UnknownKey(TokenVerifyError):
    """No key of the pool has the token's ``kid``."""

    hopeless = False


class InvalidSignature(TokenVerifyError):
    """The pool's key did not sign this token."""


class InvalidClaim(TokenVerifyError):
    """A claim is missing, has the wrong JSON type or the wrong value."""

    def __init__(self, claim: str, reason: str) -> None:
        self.claim = claim
        super().__init__(f"{claim} {reason}")


class TokenNotYetValid(InvalidClaim):
    """``iat`` or ``nbf`` lies in the future: one of the two clocks is wrong."""

    hopeless = False


class TokenExpired(InvalidClaim):
    """A genuine token of the right kind whose ``exp`` has passed; ``claims`` are those it bore."""

    hopeless = False

    def __init__(self, claims: Mapping[str, object]) -> None:
        self.claims = claims
        super().__init__("exp", "has passed")


class RefusalError(HTTPException):
    """What a visitor is told. Facts travel as attributes, for ``on_error`` and for our own pages.

    reference: short random text, on the page and in the log line.
    reason: a phrase for the log; the visitor reads ``description``.
    login_url: path of this site where a sign-in begins, or None where that would not help.
    challenge: value of ``WWW-Authenticate``, or None.
    retry_after: seconds, or None.
    set_cookies: values of ``Set-Cookie`` that go out with the answer.
    max_auth_age: seconds, where the user has to sign in anew because the last time is too long ago.
    """

    def __init__(
        self,
        description: str,
        *,
        reason: str | None = None,
        reference: str = "",
        login_url: str | None = None,
        challenge: str | None = None,
        retry_after: int | None = None,
        set_cookies: Sequence[str] = (),
        max_auth_age: int | None = None,
    ) -> None:
        super().__init__(description=description)
        self.reason = reason or description
        self.reference = reference
        self.login_url = login_url
        self.challenge = challenge
        self.retry_after: datetime | int | None = retry_after
        self.set_cookies = tuple(set_cookies)
        self.max_auth_age = max_auth_age
        #: Where a sign-in was to return to, if one was under way: another try leads there.
        self.return_to: str | None = None

    def __copy__(self) -> Self:
        """The same refusal for another request, which fills in its own reference."""
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    def get_headers(self, environ: Any = None, scope: Any = None) -> list[tuple[str, str]]:
        """Those of werkzeug and the facts that have a header: the error may be an ``on_error``'s answer itself."""
        headers = super().get_headers(environ, scope)
        if self.challenge is not None:
            headers.append(("WWW-Authenticate", self.challenge))
        return headers


class BadRequestError(RefusalError, BadRequest):
    """400: an ambiguous path, a callback that does not fit, oversized or malformed input."""


class AuthorisationRequiredError(RefusalError, Unauthorized):
    """401: not signed in, or not recently enough."""


class CognitoGroupRequiredError(RefusalError, Forbidden):
    """403: signed in, but the rule does not let this user through."""


class CrossSiteRequestError(RefusalError, Forbidden):
    """403: another origin sent a request that rides on the visitor's cookies."""


class MethodNotAllowedError(RefusalError, MethodNotAllowed):
    """405: an endpoint of the gateway answers other methods; ``valid_methods`` are those."""

    def __init__(self, *valid_methods: str) -> None:
        super().__init__("This address answers other methods.", reason="method not allowed on this endpoint")
        self.valid_methods = valid_methods


class CognitoError(RefusalError, ServiceUnavailable):
    """503: Cognito is needed and cannot be reached, or refuses this client."""
