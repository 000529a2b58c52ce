"""The route map: which access a method and a path need.

``RouteRules`` is built once from the rules dict and then only read. Keys are Werkzeug routing rules and are
parsed by Werkzeug; the order among them is Werkzeug's. What Werkzeug's matcher lacks is that a rule covers
everything beneath its path and gives way where its converter or method does not fit, so the walk is ours.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field, fields
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from werkzeug.routing import BaseConverter, Map, Rule, ValidationError

from .errors import BadRequestError, ConfigurationError
from .paths import parse_path

if TYPE_CHECKING:
    from werkzeug.routing.rules import RulePart, Weighting

log = logging.getLogger("cognito_wsgi")

Claims: TypeAlias = dict[str, Any]

WORDS = ("public", "authenticated", "deny")

_KEY = re.compile(r"(?:(?P<methods>[A-Za-z|,-]+)\s+)?(?P<path>/.*)", re.DOTALL)
_KNOWN_METHODS = frozenset(
    [
        "GET",
        "HEAD",
        "POST",
        "PUT",
        "PATCH",
        "DELETE",
        "OPTIONS",
        "TRACE",
        "CONNECT",
        "QUERY",
        "PURGE",
        "PROPFIND",
        "PROPPATCH",
        "MKCOL",
        "COPY",
        "MOVE",
        "LOCK",
        "UNLOCK",
        "REPORT",
        "SEARCH",
    ]
)


@dataclass(frozen=True)
class Access:
    """Who gets in. Conditions add up; ``exact`` limits the rule to its path alone, and with ``report_only``
    it lets everybody in and only reports whom it would refuse.

    groups: names of Cognito groups, all of them needed, or one of them with ``any_group``.
    scopes: scopes of the access token, all of them needed.
    max_auth_age: seconds since the user last signed in, at most.
    where: called with the claims; lets through by returning True itself, and nobody if it raises.
    """

    allow: str = "authenticated"
    _: KW_ONLY
    groups: tuple[str, ...] = ()
    any_group: bool = False
    scopes: tuple[str, ...] = ()
    max_auth_age: int | None = None
    where: Callable[[Claims], object] | None = None
    exact: bool = False
    report_only: bool = False
    _groups: frozenset[str] = field(init=False, repr=False, compare=False)
    _scopes: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("groups", "scopes"):  # a list is as good; what it is not is checked below
            if isinstance(value := getattr(self, name), list):
                object.__setattr__(self, name, tuple(value))
        if problems := list(self._find_problems()):
            raise ConfigurationError(problems)
        object.__setattr__(self, "_groups", frozenset(self.groups))
        object.__setattr__(self, "_scopes", frozenset(self.scopes))

    def _find_problems(self) -> Iterator[str]:
        if self.allow not in WORDS:
            yield _unknown_word("access", self.allow, WORDS)
        for name in ("groups", "scopes"):
            names = getattr(self, name)
            if not isinstance(names, tuple) or not all(isinstance(item, str) and item for item in names):
                yield f"{name} is {names!r}; write a list of names, such as ['admin']"
        for name in ("any_group", "exact", "report_only"):
            if not isinstance(getattr(self, name), bool):
                yield f"{name} is {getattr(self, name)!r}; write True or False"
        if self.any_group and not self.groups:
            yield "any_group without groups; name the groups"
        age = self.max_auth_age
        if age is not None and (isinstance(age, bool) or not isinstance(age, int) or age < 1):
            yield f"max_auth_age is {age!r}; write a whole number of seconds, 1 or more"
        if self.where is not None and not callable(self.where):
            yield f"where is {self.where!r}; write a function of the claims"
        if self.allow in ("public", "deny") and self.has_conditions:
            yield f"conditions beside {self.allow!r} have no effect; leave them out, or write 'authenticated'"

    @property
    def has_conditions(self) -> bool:
        return bool(self.groups or self.scopes or self.max_auth_age is not None or self.where is not None)

    @property
    def is_public(self) -> bool:
        return self.allow == "public"

    def find_missing(self, groups: Iterable[str], scopes: Iterable[str]) -> str | None:
        """What a signed-in user lacks in groups or scopes, as a phrase for the log; None if nothing."""
        if self.allow == "deny":
            return "nobody is let in here"
        if self._groups:
            if self.any_group:
                if self._groups.isdisjoint(groups):
                    return f"needs one of the groups {', '.join(self.groups)}"
            elif not self._groups.issubset(groups):
                return f"needs all the groups {', '.join(self.groups)}"
        if self._scopes and not self._scopes.issubset(scopes):
            return f"needs the scopes {' '.join(self.scopes)}"
        return None

    def accepts(self, claims: Claims) -> bool:
        """Whether ``where`` says True itself. Anything it raises is logged and means no."""
        if self.where is None:
            return True
        try:
            return self.where(claims) is True
        except Exception:
            log.exception("the where function of a rule raised; nobody is let in")
            return False

    def describe(self) -> str:
        """A short text for people: ``authenticated, groups: admin + editor``."""
        parts = [self.allow]
        if self.groups:
            parts.append("groups: " + (" | " if self.any_group else " + ").join(self.groups))
        if self.scopes:
            parts.append("scopes: " + " ".join(self.scopes))
        if self.max_auth_age is not None:
            parts.append(f"signed in at most {self.max_auth_age} s ago")
        if self.where is not None:
            parts.append(f"where {getattr(self.where, '__name__', 'a condition')}")
        return ", ".join(parts)


#: What the rules dict may hold as a value.
AccessLike: TypeAlias = str | list[str] | tuple[str, ...] | Mapping[str, Any] | Access

_DICT_KEYS = tuple(f.name for f in fields(Access) if f.init)


def parse_access(value: object) -> Access:
    """The access that a value of the rules dict stands for, or ConfigurationError."""
    if isinstance(value, Access):
        return value
    if isinstance(value, str):
        return Access(value)
    if isinstance(value, (list, tuple)):
        if not value:
            raise ConfigurationError(["an empty list of groups; write 'authenticated' or name the groups"])
        return Access(groups=tuple(value))
    if isinstance(value, Mapping):
        if unknown := [key for key in value if key not in _DICT_KEYS]:
            raise ConfigurationError([_unknown_word("key", key, _DICT_KEYS) for key in unknown])
        for name in ("groups", "scopes"):
            if name in value and not value[name]:
                raise ConfigurationError([f"an empty list of {name}; leave it out or name them"])
        if not value:
            raise ConfigurationError(["an empty dict; write 'authenticated'"])
        return Access(**value)
    raise ConfigurationError(
        [f"{value!r}; write 'public', 'authenticated', 'deny', a list of groups or a dict"]
    )


def _unknown_word(what: str, found: object, known: Iterable[str]) -> str:
    close = get_close_matches(str(found).lower(), known, n=1)
    advice = f"do you mean {close[0]!r}?" if close else f"known are {', '.join(map(repr, known))}"
    return f"unknown {what} {found!r}; {advice}"


class MatchedRule(NamedTuple):
    """What decides a request."""

    key: str  # as it stands in the rules dict, or "default"
    access: Access


class _Terms:
    """The rules of one path: by method, and the one without a method."""

    __slots__ = ("by_method", "otherwise")

    def __init__(self) -> None:
        self.by_method: dict[str, MatchedRule] = {}
        self.otherwise: MatchedRule | None = None

    def find(self, method: str) -> MatchedRule | None:
        if self.by_method:
            if found := self.by_method.get(method):
                return found
            if method == "HEAD" and (found := self.by_method.get("GET")):
                return found
        return self.otherwise


class _Edge(NamedTuple):
    """A part of a routing rule with converters in it, and where it leads."""

    part: RulePart
    pattern: re.Pattern[str]
    #: For a part that takes all the rest (``path``): the same with anything beneath. Else None.
    beneath: re.Pattern[str] | None
    converters: tuple[BaseConverter, ...]
    node: _Node

    @property
    def weight(self) -> Weighting:
        return self.part.weight

    def fits(self, match: re.Match[str] | None) -> bool:
        """Whether the text matched and each converter takes its value, as a view's would."""
        if match is None:
            return False
        for number, converter in enumerate(self.converters):
            try:
                converter.to_python(match[f"__werkzeug_{number}"])
            except ValidationError:
                return False
        return True


class _Node:
    """A place in the tree of segments."""

    __slots__ = ("beneath", "edges", "here", "static")

    def __init__(self) -> None:
        self.static: dict[str, _Node] = {}
        self.edges: list[_Edge] = []
        self.here: _Terms | None = None  # rules that end at this very path
        self.beneath: _Terms | None = None  # those of them that cover what lies beneath, too

    def find(self, segments: list[str], index: int, method: str) -> MatchedRule | None:
        """The most specific rule for the segments from ``index`` on, depth first as Werkzeug walks."""
        if index == len(segments):
            return self.here.find(method) if self.here is not None else None
        child = self.static.get(segments[index])
        if child is not None and (found := child.find(segments, index + 1, method)):
            return found
        for edge in self.edges:
            if edge.part.final:
                found = self._find_in_rest(edge, "/".join(segments[index:]), method)
            elif edge.fits(edge.pattern.match(segments[index])):
                found = edge.node.find(segments, index + 1, method)
            else:
                continue
            if found:
                return found
        return self.beneath.find(method) if self.beneath is not None else None

    @staticmethod
    def _find_in_rest(edge: _Edge, rest: str, method: str) -> MatchedRule | None:
        node = edge.node
        found = None
        if node.here is not None and edge.fits(edge.pattern.match(rest)):
            found = node.here.find(method)
        if found is not None:
            return found
        if node.beneath is not None and edge.beneath is not None and edge.fits(edge.beneath.match(rest)):
            return node.beneath.find(method)
        return None


class RouteRules:
    """The rules dict, checked and ready to be asked.

    rules: routing rule (optionally after methods) to access, as design.md §4 describes.
    default: the access of every path that no rule covers.
    converters: further Werkzeug converters by name, e.g. ``app.url_map.converters``.

    Raises ConfigurationError with a sentence for each rule that is wrong.
    """

    def __init__(
        self,
        rules: Mapping[str, AccessLike],
        *,
        default: AccessLike = "authenticated",
        converters: Mapping[str, type[BaseConverter]] | None = None,
    ) -> None:
        if not isinstance(rules, Mapping):
            raise ConfigurationError([f"rules is {type(rules).__name__}; write a dict of path to access"])
        self._map = Map()  # parses the routing rules, never matches
        self._map.converters.update(converters or {})
        self._root = _Node()
        problems: list[str] = []
        self.default = self._parse_default(default, problems)
        self._parsed: dict[str, _ParsedKey] = {}
        for key, value in rules.items():
            try:
                self._add(key, value)
            except ConfigurationError as error:
                problems += [f"rule {key!r}: {problem}" for problem in error.problems]
        _sort_edges(self._root)
        if not problems:
            problems = [
                f"rule {key!r}: no request can reach it; an earlier rule takes every path that it covers. "
                "Remove it, or put it first"
                for key, parsed in self._parsed.items()
                if not self._is_reachable(key, parsed)
            ]
        if problems:
            raise ConfigurationError(problems)

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self._parsed)

    def match(self, method: str, path: str) -> MatchedRule:
        """The rule for a method in capitals and a decoded path that begins with one slash."""
        segments = path[1:].split("/")
        if segments[-1] == "":
            segments.pop()  # a trailing slash makes no other page
        return self._root.find(segments, 0, method) or self.default

    @staticmethod
    def _parse_default(value: object, problems: list[str]) -> MatchedRule:
        try:
            access = parse_access(value)
            if access.exact:
                raise ConfigurationError(["exact has no meaning here; leave it out"])
        except ConfigurationError as error:
            problems += [f"default: {problem}" for problem in error.problems]
            access = Access("deny")
        return MatchedRule("default", access)

    def _add(self, key: object, value: object) -> None:
        parsed = _parse_key(key, self._map)
        access = parse_access(value)
        assert isinstance(key, str)  # noqa: S101 - _parse_key has refused anything else
        node = self._root
        for part, converters in parsed.parts:
            node = _child(node, part, converters)
        rule = MatchedRule(key, access)
        node.here = node.here or _Terms()
        _enter(node.here, parsed.methods, rule)
        if not access.exact and parsed.parts:  # "/" covers the root page alone
            node.beneath = node.beneath or _Terms()
            _enter(node.beneath, parsed.methods, rule)
        self._parsed[key] = parsed

    def _is_reachable(self, key: str, parsed: _ParsedKey) -> bool:
        """Whether some path that the rule fits is decided by it. Unknown converters get the doubt's benefit."""
        if not parsed.converters:
            return True  # literal text comes first in every order
        samples = list(_sample_paths(parsed))
        methods = parsed.methods or ("GET", "X-ANY")
        return not samples or any(
            self.match(method, path).key == key for path in samples for method in methods
        )


class _ParsedKey(NamedTuple):
    methods: tuple[str, ...]
    parts: tuple[tuple[RulePart, tuple[BaseConverter, ...]], ...]
    converters: tuple[BaseConverter, ...]
    trace: tuple[tuple[bool, str], ...]  # (is a variable, its text or converter number)


def _parse_key(key: object, url_map: Map) -> _ParsedKey:
    found = _KEY.fullmatch(key) if isinstance(key, str) else None
    if found is None:
        raise ConfigurationError(
            ["write a path that begins with a slash, such as '/admin' or 'POST /articles'"]
        )
    path = found["path"]
    if path != "/":
        path = path.rstrip("/")
    methods = _parse_methods(found["methods"] or "")
    _check_literal_text(path)
    # Not Werkzeug's public interface, and known to this function alone: Rule.bind() would parse the same, but
    # compiles URL builders too, at ten times the cost. Tests compare the order that comes of it with Map's.
    rule = Rule(path, endpoint=path)
    rule.map = url_map
    try:
        werkzeug_parts = list(rule._parse_rule(path))
    except (LookupError, ValueError, TypeError) as error:
        raise ConfigurationError([f"Werkzeug does not take this routing rule: {error}"]) from None
    converters = tuple(rule._converters.values())
    if len(converters) != sum(is_variable for is_variable, _ in rule._trace):
        raise ConfigurationError(["a variable's name stands in it twice; give each its own"])
    unassigned = iter(converters)
    parts = tuple(
        (part, tuple(next(unassigned) for _ in range(part.content.count("(?P<__werkzeug_"))))
        for part in werkzeug_parts
        if part.content  # all but the nothing before the first slash
    )
    return _ParsedKey(methods, parts, converters, tuple(rule._trace))


def _parse_methods(text: str) -> tuple[str, ...]:
    methods = tuple(name.upper() for name in re.split(r"[|,]", text)) if text else ()
    if len(set(methods)) != len(methods) or "" in methods:
        raise ConfigurationError([f"methods {text!r}; write each once, joined by |, such as PUT|DELETE"])
    for method in methods:
        if method not in _KNOWN_METHODS and (close := get_close_matches(method, _KNOWN_METHODS, n=1)):
            raise ConfigurationError([f"unknown method {method!r}; do you mean {close[0]!r}?"])
    return methods


def _check_literal_text(path: str) -> None:
    literal = re.sub(r"<[^>]*>", "x", path)
    if "//" in literal:
        raise ConfigurationError(["no request can reach it: runs of slashes are merged; write single ones"])
    if re.search(r"%[0-9A-Fa-f]{2}", literal):
        raise ConfigurationError(
            ["no request can reach it: paths are decoded; write the characters themselves"]
        )
    if "?" in literal or "#" in literal:
        raise ConfigurationError(["only the path is judged; leave out what begins with ? or #"])
    if "*" in literal:
        raise ConfigurationError(["a star stands for nothing; a rule covers all beneath it, so leave /* out"])
    try:
        parse_path(literal.encode().decode("latin-1"))
    except BadRequestError as error:
        raise ConfigurationError([f"no request can reach it: {error.description}"]) from None


def _child(node: _Node, part: RulePart, converters: tuple[BaseConverter, ...]) -> _Node:
    if part.static:
        return node.static.setdefault(part.content, _Node())
    for edge in node.edges:
        if edge.part.content == part.content and _same_converters(edge.converters, converters):
            return edge.node
    pattern = re.compile(part.content, re.DOTALL)
    beneath = None
    if part.final:
        beneath = re.compile(part.content.removesuffix(r"\Z") + r"(?:/.*)?\Z", re.DOTALL)
    edge = _Edge(part, pattern, beneath, converters, _Node())
    node.edges.append(edge)
    return edge.node


def _same_converters(one: tuple[BaseConverter, ...], other: tuple[BaseConverter, ...]) -> bool:
    """Whether two lists of converters take the same values: the same classes with the same arguments."""
    return [(type(c), {**vars(c), "map": None}) for c in one] == [
        (type(c), {**vars(c), "map": None}) for c in other
    ]


def _enter(terms: _Terms, methods: tuple[str, ...], rule: MatchedRule) -> None:
    if not methods:
        if terms.otherwise is not None:
            raise ConfigurationError([f"says the same as rule {terms.otherwise.key!r}; keep one of them"])
        terms.otherwise = rule
    for method in methods:
        if method in terms.by_method:
            raise ConfigurationError(
                [f"{method} is in rule {terms.by_method[method].key!r} already; keep one"]
            )
        terms.by_method[method] = rule


def _sort_edges(node: _Node) -> None:
    """Werkzeug's order; the sort is stable, so ties go to the earlier key."""
    node.edges.sort(key=lambda edge: edge.weight)
    for child in [*node.static.values(), *(edge.node for edge in node.edges)]:
        _sort_edges(child)


def _sample_paths(parsed: _ParsedKey) -> Iterator[str]:
    """Paths that the rule fits and what lies beneath; none if a converter is not one of Werkzeug's own."""
    values = [_sample_values(converter) for converter in parsed.converters]
    for number in range(max(map(len, values), default=0)):
        if not all(values):
            return
        chosen = iter(options[number % len(options)] for options in values)
        path = "".join(next(chosen) if is_variable else text for is_variable, text in parsed.trace)
        yield path
        yield path + "/q7-beneath"


def _sample_values(converter: BaseConverter) -> list[str]:
    names = {
        cls.__name__ for cls in type(converter).__mro__ if cls.__module__ == "werkzeug.routing.converters"
    }
    if type(converter).__module__ != "werkzeug.routing.converters":
        return []
    if "AnyConverter" in names:
        return sorted(converter.items)  # type: ignore[attr-defined]
    if "UUIDConverter" in names:
        return ["0b9d7c1e-5a3f-4e2d-8c6b-1f0a9e8d7c6b"]
    candidates: list[Any] = ["q7-sample", "q", "q7", "q7s"] + ["q" * length for length in range(4, 65)]
    if "NumberConverter" in names:
        low, high = getattr(converter, "min", None), getattr(converter, "max", None)
        bounds = [bound for bound in (low, high) if bound is not None]
        numbers = [n + d for n in bounds or [7] for d in (0, 1, -1, 1000, -1000)]
        candidates = [converter.to_url(number) for number in numbers] + [
            "7" * length for length in range(1, 20)
        ]
    elif "PathConverter" in names:
        candidates = ["q7/sample", "q7"]
    return [text for text in candidates if _takes(converter, text)]


def _takes(converter: BaseConverter, text: str) -> bool:
    if not re.fullmatch(converter.regex, text, re.DOTALL):
        return False
    try:
        converter.to_python(text)
    except ValidationError:
        return False
    return True
