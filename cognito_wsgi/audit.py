"""What the route map means for an application's own routes: a check at the user's desk, no part of a request.

    report = audit(app)

For each route and method it names the rule that covers it and who gets in, tells which routes only the default
covers and which rules cover no route, and asks the application's router what it makes of hostile spellings.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule

from .errors import BadRequestError, ConfigurationError
from .gateway import CognitoGateway
from .paths import parse_decoded_path
from .rule_keys import parse_key

if TYPE_CHECKING:
    from .rules import MatchedRule, RouteRules

#: Applications and middleware that are looked through at most.
MAX_LAYERS = 100
#: Longer samples of paths are left out: they are there for limits, and show nothing more.
MAX_SAMPLE_LENGTH = 1000
#: Under these names a layer of WSGI keeps what it wraps; ``mounts`` is werkzeug's DispatcherMiddleware.
_INNER = ("wsgi_app", "app", "application", "_app", "mounts", "__self__", "__wrapped__")


@dataclass(frozen=True)
class AuditedRoute:
    """A route with one of its methods, and a rule that decides on it. A route may have several."""

    route: str
    method: str
    endpoint: str
    rule: str  # its key, or "default"
    access: str  # in words
    is_public: bool

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
    maps = (getattr(layer, "url_map", None) for layer in _layers(app))
    return next((found for found in maps if isinstance(found, Map)), None)


def _layers(app: object) -> Iterator[object]:
    """An application and all that it wraps, from the outside in."""
    waiting, seen = deque([app]), set[int]()
    while waiting and len(seen) < MAX_LAYERS:
        layer = waiting.popleft()
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        yield layer
        if isinstance(layer, Mapping):
            waiting.extend(layer.values())
        else:
            waiting.extend(inner for name in _INNER if (inner := getattr(layer, name, None)) is not None)


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
    return _Comparison(gateway.rules, url_map).result()


class _Route(NamedTuple):
    rule: Rule
    samples: list[str]
    decided: dict[str, list[MatchedRule]]  # by method, the rules that decide on its paths


class _Comparison:
    def __init__(self, rules: RouteRules, url_map: Map) -> None:
        self._rules = rules
        self._url_map = url_map
        self._adapter = url_map.bind("localhost")
        self._routes = [self._route(rule) for rule in url_map.iter_rules() if not rule.build_only]

    def result(self) -> Audit:
        routes = tuple(
            AuditedRoute(
                route.rule.rule,
                method,
                str(route.rule.endpoint),
                matched.key,
                matched.access.describe(),
                matched.access.allow == "public",
            )
            for route in self._routes
            for method, decided in route.decided.items()
            for matched in decided
        )
        divergences, spellings = self._replay()
        used = {route.rule for route in routes}
        unused = tuple(key for key in self._rules.keys if key not in used and not self._reaches_a_route(key))
        return Audit(routes, unused, divergences, spellings)

    def _route(self, rule: Rule) -> _Route:
        samples = self._samples(rule)
        methods = sorted(rule.methods or ("GET",))
        return _Route(rule, samples, {method: self._decided_by(method, samples) for method in methods})

    def _samples(self, rule: Rule) -> list[str]:
        """Paths of a route, at the limits of what its converters take; a guess where these are not Werkzeug's own."""
        try:
            samples = parse_key(rule.rule, self._url_map).sample_paths()
        except ConfigurationError:
            samples = []
        guess = re.sub("<[^>]*>", "q7", rule.rule)
        return [path for path in samples if len(path) <= MAX_SAMPLE_LENGTH] or [guess]

    def _decided_by(self, method: str, paths: list[str]) -> list[MatchedRule]:
        """The rules that decide on these paths, each once."""
        return list(
            {matched.key: matched for matched in (self._rules.match(method, path) for path in paths)}.values()
        )

    def _reaches_a_route(self, key: str) -> bool:
        """Whether a path that the rule fits is one of the application's, for a rule in the middle of a route."""
        parsed = self._rules.parsed[key]
        methods = parsed.methods or tuple({method for route in self._routes for method in route.decided})
        return any(
            self._route_of(method, path) is not None for path in parsed.sample_paths() for method in methods
        )

    def _route_of(self, method: str, path: str) -> _Route | None:
        """The route to which the application's router takes a path."""
        try:
            rule = self._adapter.match(path, method, return_rule=True)[0]
        except HTTPException:
            return None
        return next((route for route in self._routes if route.rule is rule), None)

    def _replay(self) -> tuple[tuple[Divergence, ...], int]:
        """What the application's router makes of other spellings of its paths, against what the gateway judges."""
        asked = {
            (method, spelling)
            for route in self._routes
            for method in route.decided
            for sample in route.samples
            for spelling in hostile_spellings(sample)
        }
        found = [
            divergence
            for method, path in sorted(asked)
            if (divergence := self._find_divergence(method, path))
        ]
        return tuple(found), len(asked)

    def _find_divergence(self, method: str, path: str) -> Divergence | None:
        reached = self._route_of(method, path)
        judged = self._judged(method, path)
        if reached is None or not judged:
            return None
        keys = tuple(matched.key for matched in reached.decided.get(method, ()))
        if any(matched.key in keys for matched in judged):
            return None
        return Divergence(method, path, reached.rule.rule, judged[0].key, keys)

    def _judged(self, method: str, path: str) -> list[MatchedRule]:
        """The rules that the gateway would ask; none where it refuses the path."""
        try:
            merged, as_it_came = parse_decoded_path(path)
        except BadRequestError:
            return []
        return [self._rules.match(method, spelling) for spelling in (merged, as_it_came)]


def hostile_spellings(path: str) -> Iterator[str]:
    """A path as it might be written to get past a comparison of texts, decoded as servers hand it on."""
    yield path
    yield path.lstrip("/")
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
