"""A Flask application whose own error handlers answer those whom the gateway refuses."""

from flask import Flask, render_template_string

from cognito_wsgi import CognitoGateway


def create_app(settings):
    app = Flask(__name__)
    app.config.from_mapping(settings)

    @app.get("/")
    def front_page():
        return "Hello"

    @app.errorhandler(401)
    def please_sign_in(error):
        page = '<h1>Please <a href="{{ error.login_url }}">sign in</a></h1>'
        return render_template_string(page, error=error), 401, {"WWW-Authenticate": error.challenge}

    @app.errorhandler(403)
    def not_for_you(error):
        page = (
            "<h1>Not for you, {{ request.remote_user }}</h1>"
            '<p>Ask for a key to {{ url_for("front_page") }} and name {{ error.reference }}.</p>'
        )
        return render_template_string(page, error=error), 403

    def answer_with_own_page(error, environ):
        if "text/html" not in environ.get("HTTP_ACCEPT", ""):
            return None  # for programs: the gateway's own answer, application/problem+json
        with app.request_context(environ):
            answer = app.handle_http_exception(error)
            return None if answer is error else app.make_response(answer)

    rules = {"/": "public", "/vault": ["keepers"]}
    app.wsgi_app = CognitoGateway(app.wsgi_app, app.config, rules, on_error=answer_with_own_page)
    return app
