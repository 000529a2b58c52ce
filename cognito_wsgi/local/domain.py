"""The domain host: the OAuth endpoints, beside the pages that people see."""

from __future__ import annotations

from flask import Flask, Response, jsonify, redirect, request
from werkzeug import Response as AnyResponse

from .hosted_session import find_session
from .oauth import CognitoServer
from .pages import add_pages, authorize_query
from .state import PoolState
from .userinfo import UserInfoRefused, read_userinfo
from .web import create_app


def create_domain_app(state: PoolState) -> Flask:
    app = create_app("domain", state, elsewhere=f"{state.domain}/elsewhere")
    server = CognitoServer(app, state)
    _add_oauth(app, state, server)
    add_pages(app, state, server)
    return app


def _add_oauth(app: Flask, state: PoolState, server: CognitoServer) -> None:
    @app.get("/oauth2/authorize")
    def authorize() -> AnyResponse:
        session = find_session(state)
        grant = server.begin(session)
        if session is None or grant.prompt == "login":
            return redirect(f"/login?{authorize_query()}")
        return server.finish(grant, session)

    @app.post("/oauth2/token")
    def token() -> Response:
        return _for_any_origin(server.create_token_response())

    @app.post("/oauth2/revoke")
    def revoke() -> Response:
        return _for_any_origin(server.create_endpoint_response("revocation"))

    @app.route("/oauth2/userInfo", methods=["GET", "POST"])
    def userinfo() -> Response:
        try:
            response = jsonify(read_userinfo(state, request.headers.get("Authorization", "")))
        except UserInfoRefused as refusal:
            response = jsonify({"error": refusal.error, "error_description": str(refusal)})
            response.status_code = refusal.status
            response.headers["WWW-Authenticate"] = refusal.header
        response.headers["Cache-Control"] = "no-store"
        return _for_any_origin(response)

    @app.route("/elsewhere", methods=["GET", "POST"])
    def elsewhere() -> Response:
        """Where the trouble "redirect" leads; who follows it is counted."""
        return jsonify({})


def _for_any_origin(response: Response) -> Response:
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response
