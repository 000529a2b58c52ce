"""Bottle."""

from bottle import Bottle, request

from cognito_wsgi import CognitoConfig, CognitoGateway

app = Bottle()


@app.get("/account")
def account():
    return {"user": request.environ["cognito.claims"]["username"]}


@app.post("/keys")
def make_key():
    return {"for": request.json["purpose"]}


application = CognitoGateway(app, CognitoConfig.from_env(), rules={"/keys": ["keepers"]})
