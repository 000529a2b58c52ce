"""Falcon."""

import falcon

from cognito_wsgi import CognitoConfig, CognitoGateway


class Account:
    def on_get(self, req, resp):
        resp.media = {"user": req.env["cognito.claims"]["username"]}


class Keys:
    def on_post(self, req, resp):
        resp.media = {"for": req.get_media()["purpose"]}


app = falcon.App()
app.add_route("/account", Account())
app.add_route("/keys", Keys())

application = CognitoGateway(app, CognitoConfig.from_env(), rules={"/keys": ["keepers"]})
