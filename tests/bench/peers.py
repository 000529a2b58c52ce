"""The sides that need flask-cognito-lib. It is imported when they are made, and may be missing."""

from __future__ import annotations

from typing import Any

from .scene import user_pool

PEER_MODULE = "flask_cognito_lib"


def missing_peer() -> str | None:
    """Why its rows are left out; None if it is here."""
    try:
        import flask_cognito_lib  # noqa: F401 - only asked for
    except ImportError as error:
        return f"flask-cognito-lib is not installed here ({error})"
    return None


def make_peer(app: Any, jwks_url: str, *, fetches: bool) -> Any:
    """``app`` with each view behind ``auth_required``.

    fetches: as it is, it makes a new token service for each request, which fetches the key set anew. Without,
        all requests share one token service, which keeps its keys: the most that a patch could save.
    """
    from flask_cognito_lib import CognitoAuth
    from flask_cognito_lib.config import Config
    from flask_cognito_lib.decorators import auth_required
    from flask_cognito_lib.services import token_service_factory
    from flask_cognito_lib.services.token_svc import TokenService

    class LoopbackConfig(Config):
        jwk_endpoint = jwks_url  # type: ignore[assignment]
        #: Not in app.config: there it would make Flask open a session for each request, too.
        secret_key = b"opens nothing, seals nothing"  # type: ignore[assignment]

    shared: list[TokenService] = []

    def shared_token_service(cfg: Config) -> TokenService:
        if not shared:
            shared.append(TokenService(cfg))
        return shared[0]

    app.config.update({**user_pool().settings(), "SECRET_KEY": None})
    CognitoAuth(
        app,
        cfg=LoopbackConfig(),
        _token_service_factory=token_service_factory if fetches else shared_token_service,
    )
    for endpoint, view in app.view_functions.items():
        app.view_functions[endpoint] = auth_required(groups=["admin"])(view)
    return app.wsgi_app
