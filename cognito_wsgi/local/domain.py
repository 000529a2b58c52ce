"""The domain host: the OAuth endpoints and the pages that people see.

The model is the managed login of Amazon Cognito:
https://docs.aws.amazon.com/cognito/latest/developerguide/managed-login-endpoints.html
"""

from __future__ import annotations

from urllib.parse import urlencode

from authlib.oauth2 import OAuth2Error
from flask import Flask, Response, jsonify, redirect, render_template, request
from werkzeug import Response as AnyResponse
from werkzeug.exceptions import BadRequest, HTTPException

from .directory import User
from .oauth import CodeGrant, CognitoServer, RedirectMismatch
from .state import PoolState
from .store import SESSION_LIFETIME, HostedSession
from .userinfo import UserInfoRefused, read_userinfo
from .web import create_app

SESSION_COOKIE = "cognito"
MIN_PASSWORD = 8  # characters, as in Cognito's default policy

Page = tuple[str, int]


def create_domain_app(state: PoolState) -> Flask:
    app = create_app("domain", state, elsewhere=f"{state.domain}/elsewhere")
    server = CognitoServer(app, state)
    _add_oauth(app, state, server)
    _add_pages(app, state, server)
    _add_sign_out(app, state)
    _add_error_pages(app, server)
    app.after_request(_protect_page)
    return app


def _add_oauth(app: Flask, state: PoolState, server: CognitoServer) -> None:
    @app.get("/oauth2/authorize")
    def authorize() -> AnyResponse:
        session = _find_session(state)
        grant = server.begin(session)
        if session is None or grant.prompt == "login":
            return redirect(f"/login?{_query()}")
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


def _add_pages(app: Flask, state: PoolState, server: CognitoServer) -> None:
    @app.route("/login", methods=["GET", "POST"])
    def login() -> AnyResponse | str:
        grant = server.begin(None)
        username = request.form.get("username", request.args.get("login_hint", ""))
        if request.method == "GET":
            return _sign_in_page(state, username)
        user = state.find_user(username, request.form.get("password", ""))
        if user is None:
            return _sign_in_page(state, username, alert="Incorrect username or password.")
        return _complete(state, server, grant, user)

    @app.route("/signup", methods=["GET", "POST"])
    def signup() -> AnyResponse | str:
        grant = server.begin(None)
        if request.method == "GET":
            return _sign_up_page()
        user = User(
            username=request.form.get("username", "").strip(),
            password=request.form.get("password", ""),
            email=request.form.get("email", "").strip(),
        )
        if alert := _sign_up_problem(state, user):
            return _sign_up_page(alert)
        state.add_user(user)
        return _complete(state, server, grant, user)

    @app.get("/forgotPassword")
    def forgot_password() -> str:
        return render_template("forgot_password.html", query=_query())


def _add_sign_out(app: Flask, state: PoolState) -> None:
    @app.get("/logout")
    def logout() -> AnyResponse:
        client = state.find_client(request.args.get("client_id"))
        if client is None:
            raise BadRequest("Required String parameter 'client_id' is not present or not known.")
        logout_uri = request.args.get("logout_uri")
        if logout_uri in client.logout_urls:
            return _end_session(state, redirect(logout_uri))
        redirect_uri = request.args.get("redirect_uri")
        if not redirect_uri:
            raise BadRequest("Required String parameter 'redirect_uri' is not present")
        if not client.check_redirect_uri(redirect_uri):
            raise RedirectMismatch
        return _end_session(state, redirect(f"/login?{_query()}"))


def _add_error_pages(app: Flask, server: CognitoServer) -> None:
    @app.get("/error")
    def error() -> Page:
        return _error_page(request.args.get("error", "unknown"), 400)

    app.register_error_handler(OAuth2Error, server.refuse)

    @app.errorhandler(HTTPException)
    def explain(problem: HTTPException) -> Page:
        return _error_page(problem.description or problem.name, problem.code or 500)


def _sign_in_page(state: PoolState, username: str, alert: str = "") -> str:
    return render_template(
        "sign_in.html",
        alert=alert,
        query=_query(),
        username=username,
        users=list(state.users.values()),
        provider=request.args.get("identity_provider") or request.args.get("idp_identifier"),
    )


def _sign_up_page(alert: str = "") -> str:
    return render_template("sign_up.html", alert=alert, query=_query(), form=request.form)


def _query() -> str:
    """The authorize request's parameters, which every page hands on to the next."""
    return urlencode(list(request.args.items(multi=True)))


def _error_page(problem: str, status: int) -> Page:
    return render_template("error.html", problem=problem), status


def _sign_up_problem(state: PoolState, user: User) -> str:
    if user.username in state.users:
        return "User already exists."
    if not user.username or any(character.isspace() for character in user.username):
        return "Choose a user name without spaces."
    if "@" not in user.email:
        return "Enter an email address."
    if len(user.password) < MIN_PASSWORD:
        return f"A password needs {MIN_PASSWORD} characters or more."
    return ""


def _complete(state: PoolState, server: CognitoServer, grant: CodeGrant, user: User) -> AnyResponse:
    """The user has proved who he is: open the hosted session and send him back to the client."""
    session_id, session = state.store.open_session(user.username, state.now())
    response = server.finish(grant, session)
    response.set_cookie(SESSION_COOKIE, session_id, max_age=SESSION_LIFETIME, httponly=True, samesite="Lax")
    return response


def _find_session(state: PoolState) -> HostedSession | None:
    return state.store.find_session(request.cookies.get(SESSION_COOKIE, ""), state.now())


def _end_session(state: PoolState, response: AnyResponse) -> AnyResponse:
    state.store.close_session(request.cookies.get(SESSION_COOKIE, ""))
    response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="Lax")
    return response


def _protect_page(response: Response) -> Response:
    if response.mimetype == "text/html":
        # No form-action: Chromium would hold it against the redirect that follows a form, too.
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'"
        )
        response.headers["Cache-Control"] = "no-store"
        response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _for_any_origin(response: Response) -> Response:
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response
