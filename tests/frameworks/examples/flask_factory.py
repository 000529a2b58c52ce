"""Flask with blueprints and an application factory: each blueprint says who gets in, beside its views."""

from flask import Blueprint, Flask, request

from cognito_wsgi import CognitoGateway

articles = Blueprint("articles", __name__, url_prefix="/articles")
articles_rules = {"/articles": "public", "POST /articles": ["editor"]}


@articles.get("/")
def list_articles():
    return {"reader": request.remote_user}


@articles.post("/")
def write_article():
    return {"author": request.remote_user}, 201


office = Blueprint("office", __name__, url_prefix="/office")
office_rules = {"/office": {"groups": ["admin", "editor"], "any_group": True}, "/office/salaries": ["admin"]}


@office.get("/")
def desk():
    return {"groups": request.environ["cognito.groups"]}


@office.get("/salaries/<int:year>")
def salaries(year):
    return {"year": year}


def create_app(settings=None):
    app = Flask(__name__)
    app.config.from_prefixed_env()  # FLASK_AWS_REGION=… and so on
    app.config.from_mapping(settings)
    app.register_blueprint(articles)
    app.register_blueprint(office)
    app.wsgi_app = CognitoGateway(app.wsgi_app, app.config, rules=articles_rules | office_rules)
    return app
