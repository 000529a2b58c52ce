"""Dash. Its page, layout and callbacks are for those who are signed in; what it looks like is for everyone."""

import flask
from dash import Dash, Input, Output, dcc, html

from cognito_wsgi import CognitoGateway


def create_app(settings):
    dash = Dash(__name__)
    dash.layout = [dcc.Dropdown(["2025", "2026"], "2026", id="year"), html.H1(id="sales")]

    @dash.callback(Output("sales", "children"), Input("year", "value"))
    def show_sales(year):
        # Every callback arrives at the same address, so who may see what inside the application is decided here.
        environ = flask.request.environ
        if year == "2025" and "archive" not in environ["cognito.groups"]:
            return "The archive is not open to you"
        return f"Sales of {year}, for {environ['REMOTE_USER']}"

    app = dash.server
    app.config.from_mapping(settings)
    rules = {
        "/": "authenticated",  # said aloud, or it would be public where AWS_COGNITO_LOGOUT_URL leads to it
        "/assets": "public",
        "/_dash-component-suites": "public",  # Dash's own scripts
        "/_favicon.ico": "public",
    }
    app.wsgi_app = CognitoGateway(app.wsgi_app, app.config, rules)
    return app
