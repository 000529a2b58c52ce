"""The pages that people see: signing in, up and out, and what went wrong.

The model is the managed login of Amazon Cognito:
https://docs.aws.amazon.com/cognito/latest/developerguide/managed-login-endpoints.html
"""

from __future__ import annotations

from urllib.parse import urlencode

from authlib.oauth2 import OAuth2Error
from flask import Flask, Response, redirect, render_template, request
from werkzeug import Response as AnyResponse
from werkzeug.exceptions import BadRequest, HTTPException

from .directory import User
from .hosted_session import end_session, set_session_cookie
from .oauth import CodeGrant, CognitoServer, RedirectMismatch
from .state import PoolState

MIN_PASSWORD = 8  # characters, as in Cognito's default policy

Page = tuple[str, int]


def add_pages(app: Flask, state: PoolState, server: CognitoServer) -> None:
    _add_start(app, state)
    _add_sign_in(app, state, server)
    _add_sign_out(app, state)
    _add_error_pages(app, state, server)
    app.after_request(_protect_page)


def _add_start(app: Flask, state: PoolState) -> None:
    @app.get("/")
    def start() -> str:
        return render_template(
            "start.html", users=list(state.users.values()), clients=list(state.clients.values())
        )


def _add_sign_in(app: Flask, state: PoolState, server: CognitoServer) -> None:
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
        return render_template("forgot_password.html", query=authorize_query())


def _add_sign_out(app: Flask, state: PoolState) -> None:
    @app.get("/logout")
    def logout() -> AnyResponse:
        client = state.find_client(request.args.get("client_id"))
        if client is None:
            raise BadRequest("Required String parameter 'client_id' is not present or not known.")
        logout_uri = request.args.get("logout_uri")
        if logout_uri in client.logout_urls:
            return end_session(state, redirect(logout_uri))
        redirect_uri = request.args.get("redirect_uri")
        if not redirect_uri:
            raise BadRequest("Required String parameter 'redirect_uri' is not present")
        if not client.check_redirect_uri(redirect_uri):
            raise RedirectMismatch
        return end_session(state, redirect(f"/login?{authorize_query()}"))


def _add_error_pages(app: Flask, state: PoolState, server: CognitoServer) -> None:
    @app.get("/error")
    def error() -> Page:
        return _error_page(state, request.args.get("error", "unknown"), 400)

    app.register_error_handler(OAuth2Error, server.refuse)

    @app.errorhandler(HTTPException)
    def explain(problem: HTTPException) -> Page:
        return _error_page(state, problem.description or problem.name, problem.code or 500)


def _sign_in_page(state: PoolState, username: str, alert: str = "") -> str:
    return render_template(
        "sign_in.html",
        alert=alert,
        query=authorize_query(),
        username=username,
        users=list(state.users.values()),
        provider=request.args.get("identity_provider") or request.args.get("idp_identifier"),
    )


def _sign_up_page(alert: str = "") -> str:
    return render_template("sign_up.html", alert=alert, query=authorize_query(), form=request.form)


def authorize_query() -> str:
    """The authorize request's parameters, which every page hands on to the next."""
    return urlencode(list(request.args.items(multi=True)))


def _error_page(state: PoolState, problem: str, status: int) -> Page:
    client = state.find_client(request.args.get("client_id"))
    return render_template("error.html", problem=problem, client=client), status


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
    set_session_cookie(response, session_id)
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
