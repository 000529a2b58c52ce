"""The issuer host: discovery, the key set and, for tests, the control endpoint. Cognito's is never the domain."""

from __future__ import annotations

from flask import Flask, Response, jsonify

from .control import add_control
from .loopback import origin_of
from .state import PoolState
from .web import create_app


def create_issuer_app(state: PoolState) -> Flask:
    app = create_app("issuer", state, elsewhere=f"{origin_of(state.issuer)}/elsewhere")
    pool_id = state.issuer.rpartition("/")[2]

    @app.get(f"/{pool_id}/.well-known/openid-configuration")
    def discovery() -> Response:
        return jsonify(discovery_document(state))

    @app.get(f"/{pool_id}/.well-known/jwks.json")
    def jwks() -> Response:
        return jsonify(state.keys.key_set())

    @app.get("/elsewhere")
    def elsewhere() -> Response:
        """Where the trouble "redirect" leads; who follows it finds a good key set and is counted."""
        return jsonify(state.keys.key_set())

    add_control(app, state)
    return app


def discovery_document(state: PoolState) -> dict[str, object]:
    """What Cognito publishes; it is silent on PKCE there too."""
    return {
        "authorization_endpoint": f"{state.domain}/oauth2/authorize",
        "end_session_endpoint": f"{state.domain}/logout",
        "id_token_signing_alg_values_supported": ["RS256"],
        "issuer": state.issuer,
        "jwks_uri": jwks_url(state.issuer),
        "response_types_supported": ["code", "token"],
        "revocation_endpoint": f"{state.domain}/oauth2/revoke",
        "scopes_supported": ["openid", "email", "phone", "profile"],
        "subject_types_supported": ["public"],
        "token_endpoint": f"{state.domain}/oauth2/token",
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "userinfo_endpoint": f"{state.domain}/oauth2/userInfo",
    }


def jwks_url(issuer: str) -> str:
    return f"{issuer}/.well-known/jwks.json"
