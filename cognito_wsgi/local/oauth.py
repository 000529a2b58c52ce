"""The OAuth server: Authlib's, with Cognito's ways where the two differ.

Everything that decides over codes, challenges, secrets and grants is Authlib's. The classes
here tell it where the pool keeps things, and change what Cognito does otherwise:
https://docs.aws.amazon.com/cognito/latest/developerguide/authorization-endpoint.html
https://docs.aws.amazon.com/cognito/latest/developerguide/token-endpoint.html
https://docs.aws.amazon.com/cognito/latest/developerguide/revocation-endpoint.html

Authlib ships no types, so its classes are ``Any`` to mypy: hence the ignores, and hence the
``Any`` that its methods take.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from authlib.common.urls import add_params_to_uri
from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import (
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    UnauthorizedClientError,
    UnsupportedGrantTypeError,
    UnsupportedTokenTypeError,
    grants,
)
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core.errors import LoginRequiredError
from flask import Flask, Response, json, request

from .state import PoolState
from .store import CODE_LIFETIME, AuthorizationCode, HostedSession, RefreshToken, SignIn
from .tokens import Tokens

AUTH_METHODS = ("client_secret_basic", "client_secret_post", "none")


class RedirectMismatch(OAuth2Error):  # type: ignore[misc]
    """The redirect URI is not the client's. Shown on the pool's own error page, never redirected."""

    error = "redirect_mismatch"


class MissingParameters(OAuth2Error):  # type: ignore[misc]
    """No client to answer, or no address to answer at. Shown on the pool's own error page."""

    error = "Required parameters missing"


class CognitoServer(AuthorizationServer):  # type: ignore[misc]
    """The authorization server of one pool, for one Flask application."""

    def __init__(self, app: Flask, state: PoolState) -> None:
        super().__init__(app, query_client=state.find_client, save_token=_forget_token)
        self.state = state
        self.register_token_generator("default", self._generate_token)
        self.register_grant(CodeGrant, [S256Challenge(), CognitoParameters()])
        self.register_grant(RefreshGrant)
        self.register_grant(MachineGrant)
        self.register_endpoint(Revocation)

    def begin(self, session: HostedSession | None) -> CodeGrant:
        """Judge an authorize request; ``session`` is the visitor's hosted session.

        Raises OAuth2Error, with ``redirect_uri`` where the client is to hear of it.
        """
        grant: CodeGrant = self.get_consent_grant(end_user=session)
        if error := self.state.trouble.authorize_error:
            raise OAuth2Error(error=error, redirect_uri=grant.redirect_uri, state=grant.request.payload.state)
        return grant

    def finish(self, grant: CodeGrant, session: HostedSession) -> Response:
        """The redirect that takes a code to the client."""
        response: Response = self.create_authorization_response(grant_user=session, grant=grant)
        return response

    def refuse(self, error: OAuth2Error) -> Response:
        """The redirect that takes an error to the client, or to the pool's own error page."""
        if error.redirect_uri:
            if self.state.trouble.omit_state_in_errors:
                error.state = None
            status, body, headers = error()
            return Response(body, status, headers)
        query = [("error", error.error), ("client_id", request.values.get("client_id", ""))]
        return Response(status=302, headers={"Location": add_params_to_uri("/error", query)})

    def authenticate_client(self, request: Any, methods: Sequence[str], endpoint: str = "token") -> Any:
        try:
            client = super().authenticate_client(request, methods, endpoint)
        except ValueError:  # Basic credentials that are not UTF-8
            raise InvalidClientError from None
        if client.is_public and "Authorization" in request.headers:  # Authlib would not look at it
            raise InvalidClientError
        return client

    def handle_error_response(self, request: Any, error: OAuth2Error) -> Response:
        """JSON with the error's code and nothing else; 400, save for an unknown client at revoke."""
        code = error.error
        if isinstance(error, UnsupportedGrantTypeError) and not error.grant_type:
            code = InvalidRequestError.error
        is_revocation = request.uri.partition("?")[0].endswith("/revoke")
        status = 401 if is_revocation and isinstance(error, InvalidClientError) else 400
        return Response(json.dumps({"error": code}), status, mimetype="application/json")

    def _generate_token(
        self,
        grant_type: str,
        client: Any,
        user: Any = None,  # the SignIn that a grant's authenticate_user names; a machine has none
        scope: Any = None,
        expires_in: int | None = None,
        include_refresh_token: bool = True,
    ) -> Tokens:
        if grant_type == MachineGrant.GRANT_TYPE:
            return self.state.machine_tokens(client, scope=_granted_scope(client, scope))
        if grant_type == RefreshGrant.GRANT_TYPE:
            return self.state.refreshed_tokens(user, scope=scope)
        return self.state.first_tokens(user, with_refresh_token=include_refresh_token)


class CodeGrant(grants.AuthorizationCodeGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    @classmethod
    def check_authorization_endpoint(cls, request: Any) -> bool:
        return True  # so that other response types too are refused here, where redirects are checked first

    @staticmethod
    def validate_authorization_redirect_uri(request: Any, client: Any) -> str:
        redirect_uri = request.payload.redirect_uri or client.get_default_redirect_uri()
        if redirect_uri is None:
            raise MissingParameters
        if not client.check_redirect_uri(redirect_uri):
            raise RedirectMismatch
        return str(redirect_uri)

    def generate_authorization_code(self) -> str:
        return str(uuid.uuid4())

    def save_authorization_code(self, code: str, request: Any) -> None:
        session: HostedSession = request.user
        parameters = request.payload.data
        state: PoolState = self.server.state
        sign_in = SignIn(
            username=session.username,
            client_id=request.client.client_id,
            scope=_granted_scope(request.client, request.payload.scope),
            auth_time=session.auth_time,
            began_at=state.now(),
            nonce=parameters.get("nonce") or _nonce_of_federation(parameters),
            resource=parameters.get("resource", ""),
        )
        record = AuthorizationCode(
            sign_in=sign_in,
            redirect_uri=request.payload.redirect_uri,
            expires_at=state.now() + CODE_LIFETIME,
            code_challenge=parameters.get("code_challenge"),
            code_challenge_method=parameters.get("code_challenge_method"),
        )
        state.store.save_code(code, record)

    def query_authorization_code(self, code: str, client: Any) -> AuthorizationCode | None:
        state: PoolState = self.server.state
        return state.store.redeem_code(code, client.client_id, state.now())

    def delete_authorization_code(self, authorization_code: AuthorizationCode) -> None:
        pass  # gone since it was found: two requests at once cannot both have it

    def authenticate_user(self, authorization_code: AuthorizationCode) -> SignIn:
        return authorization_code.sign_in


class CognitoParameters:
    """What Cognito's authorize endpoint asks beyond RFC 6749: an extension of ``CodeGrant``."""

    def __call__(self, grant: CodeGrant) -> None:
        grant.register_hook("after_validate_authorization_request_payload", self.check)
        grant.register_hook("after_validate_consent_request", self.check_prompt)

    def check(self, grant: CodeGrant, redirect_uri: str) -> None:
        response_type = grant.request.payload.response_type
        if response_type not in ("code", "token"):
            raise InvalidRequestError("Missing or unknown 'response_type'")
        if response_type == "token" or not grant.request.client.check_grant_type(grant.GRANT_TYPE):
            raise UnauthorizedClientError
        resource = grant.request.payload.data.get("resource")
        if resource is not None and "://" not in resource:
            raise InvalidRequestError("Invalid 'resource'")

    def check_prompt(self, grant: CodeGrant, redirect_uri: str) -> None:
        if grant.server.state.trouble.ignore_prompt:
            return
        prompts = grant.request.payload.data.get("prompt", "").split()
        if "none" in prompts and len(prompts) > 1:
            raise InvalidRequestError("Invalid 'prompt'", redirect_uri=redirect_uri)
        if "none" in prompts and grant.request.user is None:
            raise LoginRequiredError(redirect_uri=redirect_uri)
        if "login" in prompts:
            grant.prompt = "login"


class S256Challenge(CodeChallenge):  # type: ignore[misc]
    """PKCE with S256 alone; a challenge needs its method, and a public client needs a challenge."""

    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)

    def validate_code_challenge(self, grant: CodeGrant, redirect_uri: str) -> None:
        parameters = grant.request.payload.data
        has_challenge = bool(parameters.get("code_challenge"))
        if has_challenge != bool(parameters.get("code_challenge_method")):
            raise InvalidRequestError("'code_challenge' and 'code_challenge_method' belong together")
        if not has_challenge and grant.request.client.is_public:
            raise InvalidRequestError("Missing 'code_challenge'")
        super().validate_code_challenge(grant, redirect_uri)


class RefreshGrant(grants.RefreshTokenGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    def authenticate_refresh_token(self, refresh_token: str) -> RefreshToken | None:
        state: PoolState = self.server.state
        record = state.store.find_refresh_token(refresh_token)
        return record if record and record.is_usable(state.now()) else None

    def authenticate_user(self, refresh_token: RefreshToken) -> SignIn:
        return refresh_token.sign_in

    def issue_token(self, user: SignIn, refresh_token: RefreshToken) -> Any:
        # Here, after every check, and not in revoke_old_credential, which comes too late to
        # refuse the second of two requests with the same token.
        state: PoolState = self.server.state
        if state.trouble.rotation:
            grace = state.trouble.rotation_grace
            if not state.store.retire_refresh_token(refresh_token, state.now(), grace):
                raise InvalidGrantError
        return super().issue_token(user, refresh_token)

    def revoke_old_credential(self, refresh_token: RefreshToken) -> None:
        pass  # issue_token has done it


class MachineGrant(grants.ClientCredentialsGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS


class Revocation(RevocationEndpoint):  # type: ignore[misc]
    CLIENT_AUTH_METHODS = AUTH_METHODS

    def query_token(self, token_string: str, token_type_hint: str | None) -> RefreshToken | None:
        if token_string.count(".") == 2:  # a JWT: access and ID tokens cannot be revoked here
            raise UnsupportedTokenTypeError
        state: PoolState = self.server.state
        return state.store.find_refresh_token(token_string)

    def revoke_token(self, token: RefreshToken, request: Any) -> None:
        state: PoolState = self.server.state
        state.store.revoke(token.sign_in)

    def create_endpoint_response(self, request: Any) -> tuple[int, str, list[tuple[str, str]]]:
        super().create_endpoint_response(request)
        return 200, "", []  # empty, and no JSON


def _granted_scope(client: Any, requested: str | None) -> str:
    granted: str | None = client.get_allowed_scope(requested)
    if granted is None:
        raise InvalidScopeError
    return granted


def _nonce_of_federation(parameters: Any) -> str:
    """Cognito makes up a nonce where a federated sign-in brought none; local ones stay without."""
    provider = parameters.get("identity_provider") or parameters.get("idp_identifier") or "COGNITO"
    return "" if provider == "COGNITO" else uuid.uuid4().hex


def _forget_token(token: Tokens, request: Any) -> None:
    """The store has the refresh tokens already, and nothing needs the others."""
