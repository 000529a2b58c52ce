"""Two applications on one site, each behind a gateway of its own with its own route map.

They share the app client and SECRET_KEY, and so the cookies: who signs in at one is signed in at the other.
"""

from flask import Flask, request
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.wrappers import Response

from cognito_wsgi import CognitoGateway

shop = Flask("shop")
office = Flask("office")


@shop.get("/")
@office.get("/")
def front_page():
    return {"user": request.remote_user, "at": request.script_root}


@shop.get("/basket")
def basket():
    return {"of": request.remote_user}


def create_site(settings, origin):
    def protected(app, prefix, rules):
        app.config.from_mapping(
            settings,
            AWS_COGNITO_REDIRECT_URL=f"{origin}{prefix}/callback",
            AWS_COGNITO_LOGOUT_URL=f"{origin}{prefix}/",
        )
        return CognitoGateway(app.wsgi_app, app.config, rules)

    return DispatcherMiddleware(
        Response("Choose /shop or /office", status=404),
        {
            "/shop": protected(shop, "/shop", {"/": "public", "/basket": "authenticated"}),
            "/office": protected(office, "/office", {"/": ["admin"]}),
        },
    )
