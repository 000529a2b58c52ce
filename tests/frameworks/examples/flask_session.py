"""Flask's session, ``url_for`` and ``ProxyFix`` beside the gateway, under whatever prefix a proxy puts it."""

from flask import Flask, request, session, url_for
from werkzeug.middleware.proxy_fix import ProxyFix

from cognito_wsgi import CognitoGateway


def create_app(settings):
    app = Flask(__name__)
    app.config.from_mapping(settings, SESSION_COOKIE_SECURE=True, SESSION_COOKIE_SAMESITE="Lax")

    @app.before_request
    def keep_session_to_its_user():
        """Flask's session outlives a sign-out: what one user leaves in it the next must not find."""
        claims = request.environ["cognito.claims"]
        owner = claims["sub"] if claims else None
        if session.get("owner") != owner:
            session.clear()
            session["owner"] = owner

    @app.get("/basket")
    def basket():
        return {"things": session.get("things", []), "address": url_for("basket", _external=True)}

    @app.post("/basket")
    def put_in():
        session["things"] = [*session.get("things", []), request.form["thing"]]
        return "", 204

    app.wsgi_app = CognitoGateway(app.wsgi_app, app.config)
    # Outside of the gateway: it makes SCRIPT_NAME of the prefix, and the gateway has to know that.
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1, x_prefix=1)
    return app
