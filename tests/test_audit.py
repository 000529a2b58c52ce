"""The audit tells who gets in where, what only the default covers, and what the router makes of odd spellings."""

from __future__ import annotations

import json

import pytest
from flask import Blueprint, Flask, current_app
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import BaseConverter, Map, Rule

from cognito_wsgi import CognitoGateway, ConfigurationError
from cognito_wsgi.audit import GATEWAY, UNKNOWN, Audit, audit, find_gateway, find_url_map, hostile_spellings


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


def test_a_rule_for_some_values_of_a_route_is_listed_with_it(pool):
    app = Flask(__name__)
    app.add_url_rule("/<name>", "page", lambda name: "")
    app.wsgi_app = CognitoGateway(app.wsgi_app, pool.config(), {"/boss": ["boss"]}, default="public")
    report = audit(app)
    assert rules_of(report, "/<name>") == {"default", "/boss"}
    assert report.unused_rules == ()


def test_what_the_gateway_lets_in_by_its_settings_is_told(pool):
    app = Flask(__name__)
    app.add_url_rule("/", "front", lambda: "")
    app.add_url_rule("/login", "login", lambda: "", methods=["GET", "POST"])
    config = pool.config(logout_url="http://localhost/")
    app.wsgi_app = CognitoGateway(app.wsgi_app, config, {"/login": "public"})
    report = audit(app)
    assert rules_of(report, "/") == {"AWS_COGNITO_LOGOUT_URL"}
    assert rules_of(report, "/login", "POST") == {GATEWAY}
    assert [(route.route, route.method) for route in report.public_routes] == [
        ("/", "GET"),
        ("/", "HEAD"),
        ("/", "OPTIONS"),
    ]
    assert "nobody" in next(route.access for route in report.routes if route.route == "/login")
    assert report.unused_rules == ("/login",)


@pytest.mark.parametrize(
    ("rules", "options", "public"),
    [
        pytest.param({"/admin": ["admin"]}, {"report_only": True}, True, id="gateway"),
        pytest.param({"/admin": {"groups": ["admin"], "report_only": True}}, {}, True, id="rule"),
        pytest.param({"/admin": ["admin"]}, {}, False, id="neither"),
    ],
)
def test_what_is_only_reported_is_public(pool, rules, options, public):
    report = audit(make_app(pool, rules, **options))
    (user,) = (found for found in report.routes if (found.endpoint, found.method) == ("pages.user", "GET"))
    assert user.is_public is public
    assert user.access == "authenticated, groups: admin" + ", reported only" * public


def test_a_gateway_that_is_disabled_makes_everything_public(pool):
    app = Flask(__name__)
    app.wsgi_app = CognitoGateway(app.wsgi_app, pool.config(disabled=True), {"/": "deny"})
    assert {(route.rule, route.is_public) for route in audit(app).routes} == {("AWS_COGNITO_DISABLED", True)}


def test_a_rule_that_covers_no_route_is_told(pool):
    no_route = {"/amdin": ["admin"], "PUT /admin/users": ["admin"], "/pick/<any(red,green):colour>/x": "deny"}
    report = audit(make_app(pool, {**RULES, **no_route, "/forgotten/a/b": "deny"}))
    assert report.unused_rules == tuple(no_route)


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
    assert max(len(path) for path, _ in found) < 2000  # nobody reads more


@pytest.mark.parametrize(
    ("rules", "found"),
    [
        pytest.param(
            {"/n/8": "deny", "/n": "public"},
            {"/n/08", "/n/\N{ARABIC-INDIC DIGIT EIGHT}"},
            id="one number is another's text",
        ),
        pytest.param({"/n/8": "deny", "/n": {"allow": "deny"}}, set(), id="the same access"),
        pytest.param({"/n/<int(max=9):n>": "deny", "/n": "public"}, set(), id="a converter"),
        pytest.param({"/n/<int:n>": "deny"}, set(), id="the route's own"),
    ],
)
def test_a_rule_that_another_spelling_of_its_value_gets_past_is_a_divergence(pool, rules, found):
    app = Flask(__name__)
    app.add_url_rule("/n/<int:number>", "number", lambda number: "", methods=["GET"])
    app.wsgi_app = CognitoGateway(app.wsgi_app, pool.config(), rules)
    divergences = [divergence for divergence in audit(app).divergences if divergence.method == "GET"]
    assert {divergence.path for divergence in divergences} == found
    assert {(divergence.rule, *divergence.rules_of_route) for divergence in divergences} <= {("/n", "/n/8")}


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


def test_a_gateway_behind_layers_that_are_made_on_the_fly_is_found(pool):
    class Onion:
        def __init__(self, depth: int) -> None:
            self.depth = depth

        @property
        def app(self) -> object:
            return Onion(self.depth - 1) if self.depth else gateway

    gateway = CognitoGateway(Flask("inner").wsgi_app, pool.config())
    assert find_gateway(Onion(20)) is gateway


def test_layers_without_an_end_end_the_search():
    class Endless:
        count = 0

        @property
        def app(self) -> Endless:
            Endless.count += 1
            return Endless()

    assert find_gateway(Endless()) is None
    assert Endless.count == 100


def test_what_breaks_outside_of_a_request_does_not_end_the_search(pool):
    class Middleware:
        wsgi_app = current_app
        app = make_app(pool, RULES)

    assert find_gateway(Middleware()) is Middleware.app.wsgi_app


def test_an_application_of_werkzeugs_own_is_audited_by_its_map(pool):
    class Application:
        url_map = Map([Rule("/a", endpoint="a"), Rule("/b", endpoint="b", methods=["POST"])])

        def __call__(self, environ, start_response):
            raise NotImplementedError

    report = audit(CognitoGateway(Application(), pool.config(), {"/b": ["b"]}))
    assert [(route.route, route.method, route.rule) for route in report.routes] == [
        ("/a", "GET", "default"),
        ("/b", "POST", "/b"),
    ]


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


class Day(BaseConverter):
    regex = r"\d{4}-\d\d-\d\d"


class Licence(BaseConverter):
    regex = r"[A-Z]{2} \d{4} [A-Z]{3}"


class Stored(BaseConverter):
    def to_python(self, value: str) -> str:
        raise RuntimeError("no database")


CONVERTERS = {"day": Day, "licence": Licence, "stored": Stored}


@pytest.mark.parametrize(
    ("converter", "rule", "unused"),
    [
        pytest.param("day", "/x/<day:v>", (), id="one that a guess fits"),
        pytest.param("licence", UNKNOWN, (), id="one that no guess fits"),
        pytest.param("stored", UNKNOWN, (), id="one that breaks"),
    ],
)
def test_the_audit_guesses_what_other_converters_take_or_says_that_it_cannot(pool, converter, rule, unused):
    app = Flask(__name__)
    app.url_map.converters.update(CONVERTERS)
    app.add_url_rule(f"/x/<{converter}:v>", "x", lambda v: "")
    rules = {f"/x/<{converter}:v>": ["x"]}
    app.wsgi_app = CognitoGateway(app.wsgi_app, pool.config(), rules, converters=app.url_map.converters)
    report = audit(app)
    assert rules_of(report, f"/x/<{converter}:v>") == {rule}
    assert report.unused_rules == unused
    assert report.divergences == ()


def test_a_route_whose_text_may_not_stand_in_a_rule_is_audited_all_the_same(pool):
    app = Flask(__name__)
    app.add_url_rule("/a*/<name>", "star", lambda name: "")
    app.wsgi_app = CognitoGateway(app.wsgi_app, pool.config(), {"/a": "deny", "/<x>/q7": "public"})
    assert rules_of(audit(app), "/a*/<name>") == {"/<x>/q7"}


def test_a_rule_with_a_converter_that_breaks_is_nobodys(pool):
    app = Flask(__name__)
    app.add_url_rule("/x/<v>", "x", lambda v: "")
    app.wsgi_app = CognitoGateway(
        app.wsgi_app, pool.config(), {"/x/<stored:v>": "public"}, converters=CONVERTERS
    )
    report = audit(app)
    assert rules_of(report, "/x/<v>") == {UNKNOWN}
    assert report.public_routes == ()


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
