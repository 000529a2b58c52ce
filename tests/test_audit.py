"""The audit tells who gets in where, what only the default covers, and what the router makes of odd spellings."""

from __future__ import annotations

import json

import pytest
from flask import Blueprint, Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import BaseConverter, Rule

from cognito_wsgi import CognitoGateway, ConfigurationError
from cognito_wsgi.audit import Audit, audit, find_gateway, find_url_map, hostile_spellings


def make_app(pool, rules, **options) -> Flask:
    app = Flask(__name__)
    pages = Blueprint("pages", __name__, url_prefix="/admin")
    pages.add_url_rule("/users/<int:number>", "user", lambda number: "", methods=["GET", "DELETE"])
    app.register_blueprint(pages)
    app.add_url_rule("/", "front", lambda: "")
    app.add_url_rule("/forgotten/<path:name>", "forgotten", lambda name: "")
    app.add_url_rule("/pick/<any(red,blue):colour>", "pick", lambda colour: "")
    app.wsgi_app = CognitoGateway(app.wsgi_app, pool.config(), rules=rules, **options)
    return app


RULES = {
    "/": "public",
    "/static": "public",
    "/admin": ["admin"],
    "DELETE /admin/users/<int:number>": ["owner"],
    "/pick/blue": "deny",
    "/pick": "public",
}


@pytest.fixture
def report(pool) -> Audit:
    return audit(make_app(pool, RULES))


def rules_of(report: Audit, route: str, method: str = "GET") -> set[str]:
    return {found.rule for found in report.routes if (found.route, found.method) == (route, method)}


def test_each_route_and_method_has_the_rule_that_covers_it(report):
    assert rules_of(report, "/") == {"/"}
    assert rules_of(report, "/static/<path:filename>") == {"/static"}
    assert rules_of(report, "/admin/users/<int:number>") == {"/admin"}
    assert rules_of(report, "/admin/users/<int:number>", "DELETE") == {"DELETE /admin/users/<int:number>"}


def test_a_route_that_two_rules_share_is_listed_with_both(report):
    assert rules_of(report, "/pick/<any(red,blue):colour>") == {"/pick", "/pick/blue"}


def test_routes_that_only_the_default_covers_are_told(report):
    assert {route.route for route in report.default_routes} == {"/forgotten/<path:name>"}


def test_public_routes_are_told(report):
    assert {route.route for route in report.public_routes} == {
        "/",
        "/static/<path:filename>",
        "/pick/<any(red,blue):colour>",
    }


def test_who_gets_in_is_said_in_words(report):
    (owner,) = (found for found in report.routes if found.method == "DELETE")
    assert "owner" in owner.access


def test_a_rule_that_covers_no_route_is_told(pool):
    report = audit(make_app(pool, {**RULES, "/amdin": ["admin"], "/forgotten/a/b": "deny"}))
    assert report.unused_rules == ("/amdin",)


def test_no_spelling_of_a_path_gets_past_its_rule(report):
    assert report.spellings > 100
    assert report.divergences == ()


def test_a_spelling_that_the_router_takes_elsewhere_is_a_divergence(pool, monkeypatch):
    """A router that folds case: the gateway judges /ADMIN by the default, the router serves /admin."""
    app = make_app(pool, RULES)
    match = app.url_map._matcher.match
    monkeypatch.setattr(
        app.url_map._matcher, "match", lambda domain, path, *rest: match(domain, path.lower(), *rest)
    )
    found = {(divergence.path, divergence.rule) for divergence in audit(app).divergences}
    assert ("/ADMIN/USERS/7", "default") in found


def test_the_report_is_fit_for_json(report):
    assert json.loads(json.dumps(report.as_dict()))["unused_rules"] == []


WRAPPINGS = [
    pytest.param(lambda app: app, id="Flask application"),
    pytest.param(lambda app: app.wsgi_app, id="gateway itself"),
    pytest.param(lambda app: ProxyFix(app), id="under ProxyFix"),
    pytest.param(lambda app: DispatcherMiddleware(Flask("other"), {"/site": app}), id="under a dispatcher"),
    pytest.param(
        lambda app: ProxyFix(DispatcherMiddleware(ProxyFix(app.wsgi_app))), id="under several layers"
    ),
]


@pytest.mark.parametrize("wrap", WRAPPINGS)
def test_the_gateway_is_found_under_other_middleware(pool, wrap):
    app = make_app(pool, RULES)
    assert find_gateway(wrap(app)) is app.wsgi_app


def test_the_application_is_found_under_middleware_inside_the_gateway(pool):
    app = make_app(pool, RULES)
    gateway = CognitoGateway(ProxyFix(Flask("inner").wsgi_app), pool.config())
    assert find_url_map(gateway) is not None
    assert find_url_map(app) is app.url_map


def test_middleware_that_wraps_itself_ends_the_search():
    class Loop:
        def __init__(self) -> None:
            self.app = self

    assert find_gateway(Loop()) is None


def test_without_a_gateway_or_a_router_the_audit_says_so(pool):
    with pytest.raises(ConfigurationError, match="no CognitoGateway"):
        audit(Flask("bare"))
    with pytest.raises(ConfigurationError, match="no Werkzeug url_map"):
        audit(CognitoGateway(lambda environ, start_response: [], pool.config()))


def test_a_route_with_a_converter_of_the_application_is_covered(pool):
    class Slug(BaseConverter):
        regex = "[a-z0-9]+"

    app = Flask(__name__)
    app.url_map.converters["slug"] = Slug
    app.add_url_rule("/news/<slug:name>", "news", lambda name: "")
    app.url_map.add(Rule("/built/<slug:name>", build_only=True, endpoint="built"))
    app.wsgi_app = CognitoGateway(
        app.wsgi_app, pool.config(), rules={"/news/<slug:name>": "public"}, converters={"slug": Slug}
    )
    report = audit(app)
    assert rules_of(report, "/news/<slug:name>") == {"/news/<slug:name>"}
    assert rules_of(report, "/built/<slug:name>") == set()
    assert report.unused_rules == ()


def test_spellings_are_hostile():
    spellings = set(hostile_spellings("/admin"))
    assert {
        "/admin",
        "admin",
        "//admin",
        "/admin/",
        "\\admin",
        "/ADMIN",
        "/admin\n",
        "/x/../admin",
    } <= spellings
