"""What the route map means for an application's own routes: a check at the user's desk, no part of a request.

    report = audit(app)

For each route and method it names the rule that covers it and who gets in, tells which routes only the default
covers and which rules cover no route, and asks the application's router what it makes of hostile spellings.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple
from urllib.parse import unquote

from werkzeug.routing import Map, Rule

from .cookies import CookieSet
from .errors import BadRequestError, ConfigurationError
from .gateway import CognitoGateway
from .paths import parse_decoded_path
from .request import Request
from .rule_keys import parse_key
from .rule_tree import MatchedRule
from .rules import Access

#: Applications and middleware that are looked through at most.
MAX_LAYERS = 100
#: Longer samples of paths are left out: they are there for limits, and show nothing more.
MAX_SAMPLE_LENGTH = 1000
_GUESSES = (
    "q7 a A ab abc Abcdefgh 7 12 123 2024 20241231 1234567890 -7 1.5 2024-12-31 2024-12 12:30 "
    "2024-12-31T12:30:00Z en en-GB de_DE true a-b a_b a.b 1.2.3 v1 a@b.test a,b a+b a/b a/ "
    "da39a3ee5e6b4b0d3255bfef95601890afd80709 x.txt 0b9d7c1e-5a3f-4e2d-8c6b-1f0a9e8d7c6b "
    "01HZY3V5W8Q4N6R7T9KXM2P0AB 507f1f77bcf86cd799439011"
)
#: What converters of an application's own may take: from them comes a path of a route that has one.
GUESSES = tuple(_GUESSES.split())
#: In place of a rule: the path is one of the gateway's own endpoints; or nobody can tell.
GATEWAY, UNKNOWN = "the gateway itself", "?"
#: Under these names a layer of WSGI keeps what it wraps; ``mounts`` is werkzeug's DispatcherMiddleware.
_INNER = ("wsgi_app", "app", "application", "_app", "mounts", "__self__", "__wrapped__")


@dataclass(frozen=True)
class AuditedRoute:
    """A route with one of its methods, and a rule that decides on it. A route may have several."""

    route: str
    method: str
    endpoint: str
    rule: str  # its key; "default"; the setting that makes it public; GATEWAY or UNKNOWN
    access: str  # in words
    is_public: bool  # everybody gets in, be it because the rule only reports

    @property
    def is_default(self) -> bool:
        return self.rule == "default"


@dataclass(frozen=True)
class Divergence:
    """A spelling that the application's router takes to a route which another rule covers."""

    method: str
    path: str
    route: str
    rule: str  # that the gateway goes by
    rules_of_route: tuple[str, ...]


@dataclass(frozen=True)
class Audit:
    routes: tuple[AuditedRoute, ...]
    unused_rules: tuple[str, ...]
    divergences: tuple[Divergence, ...]
    #: How many spellings the router was asked about.
    spellings: int

    @property
    def default_routes(self) -> tuple[AuditedRoute, ...]:
        return tuple(route for route in self.routes if route.is_default)

    @property
    def public_routes(self) -> tuple[AuditedRoute, ...]:
        return tuple(route for route in self.routes if route.is_public)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def find_gateway(app: object) -> CognitoGateway | None:
    """The outermost gateway in an application, under whatever middleware, or None."""
    return next((layer for layer in _layers(app) if isinstance(layer, CognitoGateway)), None)


def find_url_map(app: object) -> Map | None:
    """The router of the application inside, if it is Werkzeug's, as Flask's is; or None."""
    maps = (_find_attribute(layer, "url_map") for layer in _layers(app))
    return next((found for found in maps if isinstance(found, Map)), None)


def _layers(app: object) -> Iterator[object]:
    """An application and all that it wraps, from the outside in."""
    waiting = deque([app])
    seen: dict[int, object] = {}  # the layers themselves, too, lest one made on the fly bears a dead one's id
    while waiting and len(seen) < MAX_LAYERS:
        layer = waiting.popleft()
        if id(layer) in seen:
            continue
        seen[id(layer)] = layer
        yield layer
        if isinstance(layer, Mapping):
            waiting.extend(layer.values())
        else:
            waiting.extend(inner for name in _INNER if (inner := _find_attribute(layer, name)) is not None)


def _find_attribute(layer: object, name: str) -> object:
    try:
        return getattr(layer, name, None)
    except Exception:  # such as flask.current_app outside of a request
        return None


def audit(app: object, gateway: CognitoGateway | None = None) -> Audit:
    """Compare the route map of the gateway in front of ``app`` with the application's own routes.

    app: a Flask application, or any that wraps one, or keeps a Werkzeug ``url_map``.
    gateway: found in ``app`` unless given.

    Raises ConfigurationError if there is no gateway or no router to ask.
    """
    gateway = gateway or find_gateway(app)
    if gateway is None:
        raise ConfigurationError(
            ["there is no CognitoGateway in this application; wrap app.wsgi_app with one"]
        )
    url_map = find_url_map(gateway) or find_url_map(app)
    if url_map is None:
        raise ConfigurationError(
            ["this application has no Werkzeug url_map; only Flask's and its like can be audited"]
        )
    return _Comparison(gateway, url_map).result()


class _Route(NamedTuple):
    rule: Rule
    samples: list[str]
    decided: dict[str, dict[str, Access]]  # by method, the rules that decide on its paths, and who gets in


class _Comparison:
    def __init__(self, gateway: CognitoGateway, url_map: Map) -> None:
        self._gateway = gateway
        self._rules = gateway.rules
        self._url_map = url_map
        self._adapter = url_map.bind("localhost")
        self._cookie_set = CookieSet(gateway.config)
        self._routes = [self._route(rule) for rule in url_map.iter_rules() if not rule.build_only]
        self._route_of = {id(route.rule): route for route in self._routes}
        self._used = {key for route in self._routes for decided in route.decided.values() for key in decided}
        self._samples = {k: _short(parsed.sample_paths(GUESSES)) for k, parsed in self._rules.parsed.items()}
        for key, parsed in self._rules.parsed.items():
            self._find_routes_of(key, parsed.methods)

    def result(self) -> Audit:
        routes = tuple(
            AuditedRoute(
                route.rule.rule,
                method,
                str(route.rule.endpoint),
                key,
                _NOT_ASKED.get(key) or access.describe(),
                access.allow == "public" or access.report_only,
            )
            for route in self._routes
            for method, decided in route.decided.items()
            for key, access in decided.items()
        )
        unused = tuple(key for key in self._rules.keys if key not in self._used)
        divergences, spellings = self._replay()
        return Audit(routes, unused, divergences, spellings)

    def _route(self, rule: Rule) -> _Route:
        samples = self._sample_route(rule)
        decided = {method: self._decide(method, samples) for method in sorted(rule.methods or ("GET",))}
        return _Route(rule, samples, decided)

    def _sample_route(self, rule: Rule) -> list[str]:
        """Paths of a route, at the limits of what its converters take."""
        try:
            return _short(parse_key(rule.rule, self._url_map).sample_paths(GUESSES))
        except ConfigurationError:  # what may not stand in a rule of ours may be a route all the same
            return [re.sub("<[^>]*>", "q7", rule.rule)]

    def _find_routes_of(self, key: str, methods: tuple[str, ...]) -> None:
        """Routes that a rule is about for some values only, as ``/posts/new`` is for ``/posts/<name>``."""
        samples = self._samples[key]
        if not samples:
            self._used.add(key)  # nobody can tell
        for path in samples:
            for method in methods or {method for route in self._routes for method in route.decided}:
                reached = self._reach(method, path)
                matched = self._ask(method, path)
                if reached is not None and matched.key == key:
                    self._used.add(key)
                    reached.route.decided.setdefault(method, {})[key] = self._who(matched)

    def _decide(self, method: str, paths: list[str]) -> dict[str, Access]:
        if not paths:
            return {UNKNOWN: _UNASKED.access}
        return {matched.key: self._who(matched) for matched in (self._ask(method, path) for path in paths)}

    def _who(self, matched: MatchedRule) -> Access:
        return replace(matched.access, report_only=True) if self._gateway.report_only else matched.access

    def _ask(self, method: str, path: str) -> MatchedRule:
        """What the gateway makes of a path that it does not refuse."""
        request = Request({"REQUEST_METHOD": method, "PATH_INFO": path}, self._cookie_set)
        if self._gateway.find_endpoint(request, path) is not None:
            return _OWN
        try:
            return self._gateway.find_rule(request, path)
        except BadRequestError:  # a converter that needs more than a path
            return _UNASKED

    def _reach(self, method: str, path: str) -> _Reached | None:
        """Where the application's router takes a path, and the path that this route means."""
        try:
            rule, values = self._adapter.match(path, method, return_rule=True)
            built = rule.build(values, append_unknown=False)
        except Exception:  # no route; or a converter that needs more than a path
            return None
        return None if built is None else _Reached(self._route_of[id(rule)], unquote(built[1]))

    def _replay(self) -> tuple[tuple[Divergence, ...], int]:
        """What the application's router makes of other spellings of its paths, against what the gateway judges."""
        samples = {path for route in self._routes for path in route.samples}
        samples.update(path for paths in self._samples.values() for path in paths)
        methods = {method for route in self._routes for method in route.decided}
        asked = {
            (method, spelling)
            for path in samples
            for spelling in hostile_spellings(path)
            for method in methods
        }
        found = (self._find_divergence(method, path) for method, path in sorted(asked))
        return tuple(divergence for divergence in found if divergence is not None), len(asked)

    def _find_divergence(self, method: str, path: str) -> Divergence | None:
        reached = self._reach(method, path)
        if reached is None:
            return None
        try:
            judged = [self._ask(method, spelling) for spelling in parse_decoded_path(path)]
        except BadRequestError:
            return None
        of_route = self._ask(method, reached.path)
        if any(matched.access == of_route.access for matched in judged):
            return None
        return Divergence(method, path, reached.route.rule.rule, judged[0].key, (of_route.key,))


class _Reached(NamedTuple):
    route: _Route
    path: str


_OWN = MatchedRule(GATEWAY, Access("deny"))
_UNASKED = MatchedRule(UNKNOWN, Access("deny"))
_NOT_ASKED = {
    GATEWAY: "nobody: the gateway answers this path",
    UNKNOWN: "cannot be told: its converter takes nothing that was tried",
}


def _short(paths: list[str]) -> list[str]:
    return [path for path in paths if len(path) <= MAX_SAMPLE_LENGTH]


def hostile_spellings(path: str) -> Iterator[str]:
    """A path as it might be written to get past a comparison of texts, decoded as servers hand it on."""
    yield path
    yield path.lstrip("/")
    yield "http:" + path.lstrip("/")
    yield "/" + path
    yield "//" + path
    yield path + "/"
    yield path + "//"
    yield path.replace("/", "//")
    yield path.replace("/", "/./")
    yield "/x/.." + path
    yield path.replace("/", "\\")
    yield path.upper()
    yield path.title()
    for ending in (";x", "%2f", "#x", "?x", ".", " ", "\0", "\n", "\x85", "\N{LINE SEPARATOR}"):
        yield path + ending
    yield path.replace("/", "\N{FULLWIDTH SOLIDUS}")
    yield path.replace("/", "/\N{ZERO WIDTH SPACE}", 1)
    yield re.sub(r"/(?=\d)", "/0", path)  # to a converter the same number, to a rule another text
    yield path.translate(_ARABIC_DIGITS)


_ARABIC_DIGITS = {ord("0") + digit: 0x660 + digit for digit in range(10)}
