"""The route map: which access a method and a path need.

``RouteRules`` is built once from the rules dict and then only read. Keys are Werkzeug routing rules and are
parsed by Werkzeug; the order among them is Werkzeug's. What Werkzeug's matcher lacks is that a rule covers
everything beneath its path and gives way where its converter or method does not fit, so the walk is ours.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field, fields
from difflib import get_close_matches
from itertools import product
from typing import Any, NamedTuple, TypeAlias

from werkzeug.routing import BaseConverter, Map, PathConverter, ValidationError

from .errors import BadRequestError, ConfigurationError
from .rule_keys import ParsedKey, Part, Run, parse_key, regex_of

log = logging.getLogger("cognito_wsgi")

Claims: TypeAlias = dict[str, Any]

WORDS = ("public", "authenticated", "deny")


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
                if not value:  # () is the default and means none; a list has been meant to name some
                    raise ConfigurationError([f"an empty list of {name}; leave it out or name them"])
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
        except Exception:  # it is the application's
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
        if self.report_only:
            parts.append("reported only")
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

    def find(self, method: str) -> MatchedRule:
        """As ``_Terms`` do: a rule that names no method is its path's only one, mostly."""
        return self


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
        problems: list[str] = []
        self.default = _parse_default(default, problems)
        url_map = Map()  # knows the converters, never matches
        url_map.converters.update(_check_converters({} if converters is None else converters, problems))
        builder = _Builder()
        self._root = builder.root
        self._parsed: dict[str, ParsedKey] = {}
        turns: dict[str, list[_Turn]] = {}
        for key, value in rules.items():
            try:
                parsed = parse_key(key, url_map)
                turns[key] = builder.enter(parsed, key, parse_access(value))
            except ConfigurationError as error:
                problems += [f"rule {key!r}: {problem}" for problem in error.problems]
            else:
                self._parsed[key] = parsed
        _sort_edges(self._root, {key: number for number, key in enumerate(self._parsed)})
        if not problems:
            contested = [key for key in turns if any(turn.is_contested for turn in turns[key])]
            problems = list(self._find_unreachable(contested))
        if problems:
            raise ConfigurationError(problems)

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self._parsed)

    @property
    def parsed(self) -> Mapping[str, ParsedKey]:
        """The keys, taken apart."""
        return self._parsed

    def match(self, method: str, path: str) -> MatchedRule:
        """The rule for a method in capitals and a decoded path that begins with one slash.

        Raises BadRequestError where a converter of the application's own breaks on the path.
        """
        segments = path[1:].split("/")
        end = len(segments) - path.endswith("/")  # a trailing slash makes no other page
        return self._root.find(segments, end, method) or self.default

    def _find_unreachable(self, keys: Iterable[str]) -> Iterator[str]:
        mentioned = {method for parsed in self._parsed.values() for method in parsed.methods}
        for key in keys:
            methods = self._parsed[key].methods or (*mentioned, "X-NONE-OF-THEM")
            if (captor := self._find_captor(key, methods)) is not None:
                is_tie = self._parsed[key].ties_with(self._parsed[captor])
                advice = "write it above that one" if is_tie else "that one comes first in Werkzeug's order"
                yield (
                    f"rule {key!r}: no request can reach it, rule {captor!r} takes every path of it; "
                    f"{advice}, or leave it out"
                )

    def _find_captor(self, key: str, methods: Iterable[str]) -> str | None:
        """The one rule that takes all that this one fits, if there is one and it can be told.

        Each of Werkzeug's own converters takes an interval, or a few values, and samples are its ends: who takes
        all samples takes all between them.
        """
        paths = [path + beneath for path in self._parsed[key].sample_paths() for beneath in ("", "/q7")]
        captors: set[str] = set()
        for path, method in product(paths, methods):
            captors.add(self.match(method, path).key)
            if key in captors or len(captors) > 1:
                return None
        captor = captors.pop() if captors else self.default.key
        return captor if captor in self._parsed and self._parsed[captor].sample_paths() else None


def _parse_default(value: object, problems: list[str]) -> MatchedRule:
    try:
        access = parse_access(value)
        if access.exact:
            raise ConfigurationError(["exact has no meaning here; leave it out"])
    except ConfigurationError as error:
        problems += [f"default: {problem}" for problem in error.problems]
        access = Access("deny")
    return MatchedRule("default", access)


def _check_converters(converters: object, problems: list[str]) -> dict[str, type[BaseConverter]]:
    if not isinstance(converters, Mapping):
        problems.append(f"converters is {type(converters).__name__}; write a dict of name to converter class")
        return {}
    good = {n: c for n, c in converters.items() if isinstance(c, type) and issubclass(c, BaseConverter)}
    problems += [
        f"converter {name!r} is {converters[name]!r}; write a subclass of werkzeug.routing.BaseConverter"
        for name in converters
        if name not in good
    ]
    return good


# the tree of segments


class _Terms:
    """The rules of one path: by method, and the one without a method."""

    __slots__ = ("by_method", "otherwise")

    def __init__(self, otherwise: MatchedRule | None) -> None:
        self.by_method: dict[str, MatchedRule] = {}
        self.otherwise = otherwise

    def add(self, methods: tuple[str, ...], rule: MatchedRule) -> None:
        if not methods:
            if self.otherwise is not None:
                raise ConfigurationError([f"says the same as rule {self.otherwise.key!r}; keep one of them"])
            self.otherwise = rule
        for method in methods:
            if method in self.by_method:
                raise ConfigurationError(
                    [f"{method} is in rule {self.by_method[method].key!r} already; keep one of them"]
                )
            self.by_method[method] = rule

    def find(self, method: str) -> MatchedRule | None:
        if found := self.by_method.get(method):
            return found
        if method == "HEAD" and (found := self.by_method.get("GET")):
            return found
        return self.otherwise


#: Shared by all places without any: they are most of them, and what is small is found in the processor's cache.
_NO_CHILDREN: dict[str, _Node] = {}
_NO_EDGES: list[_Edge | _Twins] = []


class _Node:
    """A place in the tree."""

    __slots__ = ("beneath", "depth", "edges", "here", "parent", "static")

    def __init__(self, parent: _Node | None = None) -> None:
        #: The place above, if literal text leads from there to here, and how many such places there are.
        self.parent = parent
        self.depth: int = parent.depth + 1 if parent else 0
        self.static = _NO_CHILDREN
        self.edges = _NO_EDGES
        self.here: _Terms | MatchedRule | None = None  # rules that end at this very path
        self.beneath: _Terms | MatchedRule | None = None  # those of them that cover what lies beneath, too

    def find(self, segments: list[str], end: int, method: str) -> MatchedRule | None:
        """The most specific rule for some segments, depth first as Werkzeug walks.

        ``end``: the number of segments, without the nothing behind a trailing slash.
        """
        node = self
        for segment in segments:
            child = node.static.get(segment)
            if child is None:
                break
            node = child
        place: _Node | None = node
        if node.depth >= end:
            if node.here is not None and (found := node.here.find(method)):
                return found
            place = node.parent
        while place is not None:  # and back up again, as long as nothing fits
            for edge in place.edges:
                if found := edge.find(segments[place.depth :], end - place.depth, method):
                    return found
            if place.beneath is not None and (found := place.beneath.find(method)):
                return found
            place = place.parent
        return None


class _Edge:
    """A part of a rule with converters in it, and where it leads."""

    __slots__ = ("_patterns", "_step", "node", "place", "regex")

    def __init__(self, patterns: list[_Pattern], part: Part, number: int) -> None:
        self.regex = part.regex
        #: Among its siblings: Werkzeug's order, and ties go to the earlier key.
        self.place = (part.weight, number)
        self.node = _Node()
        self._patterns = patterns
        #: The pattern, if the part is always one segment.
        self._step = self._patterns[0] if type(self._patterns[0]) is _Pattern else None

    @property
    def may_be_nothing(self) -> bool:
        """Whether a trailing slash could be read as this, with nothing for its value."""
        return self._patterns[-1].matches("")

    @property
    def is_step(self) -> bool:
        """Whether it is always one segment."""
        return self._step is not None

    def takes(self, segment: str) -> bool:
        return self._step is not None and self._step.takes(segment)

    def find(self, segments: list[str], end: int, method: str) -> MatchedRule | None:
        if self._step is not None:
            if self._step.takes(segments[0]):
                return self.node.find(segments[1:], end - 1, method)
            return None
        places = {0}
        for pattern in self._patterns:
            places = pattern.find_ends(segments, places)
            if not places:
                return None
        last = max(places)
        return self.node.find(segments[last:], end - last, method)  # all else lies beneath


class _Twins:
    """Edges of one regular expression, such as those of ``<int:a>`` and ``<int(min=5):b>``.

    Werkzeug takes them for one and looks behind it without asking for limits: what is most specific there comes
    first, behind whichever of them. So all whose converters take the segment are walked side by side.
    """

    __slots__ = ("_numbers", "edges")

    def __init__(self, edges: list[_Edge], numbers: Mapping[str, int]) -> None:
        self.edges = edges
        self._numbers = numbers

    def find(self, segments: list[str], end: int, method: str) -> MatchedRule | None:
        nodes = [edge.node for edge in self.edges if edge.takes(segments[0])]
        return self._find_in(nodes, segments[1:], end - 1, method)

    def _find_in(self, nodes: list[_Node], segments: list[str], end: int, method: str) -> MatchedRule | None:
        """What ``_Node.find`` does, for several places at once."""
        if not nodes:
            return None
        if len(nodes) == 1 and nodes[0].parent is None:
            return nodes[0].find(segments, end, method)
        if end <= 0:
            return self._first_of([node.here for node in nodes], method)
        children = [child for node in nodes if (child := node.static.get(segments[0])) is not None]
        if found := self._find_in(children, segments[1:], end - 1, method):
            return found
        for edge in _join_twins([edge for node in nodes for edge in _apart(node.edges)], self._numbers):
            if found := edge.find(segments, end, method):
                return found
        return self._first_of([node.beneath for node in nodes], method)

    def _first_of(self, places: list[_Terms | MatchedRule | None], method: str) -> MatchedRule | None:
        """A rule that names the method before one that does not, and then the earlier key."""
        found = [(terms, rule) for terms in places if terms is not None and (rule := terms.find(method))]
        ranked = [(_rank(terms, rule, method), self._numbers[rule.key], rule) for terms, rule in found]
        return min(ranked)[2] if ranked else None


def _rank(terms: _Terms | MatchedRule, rule: MatchedRule, method: str) -> int:
    if not isinstance(terms, _Terms) or rule is terms.otherwise:
        return 2
    return 0 if terms.by_method.get(method) is rule else 1


def _apart(edges: Iterable[_Edge | _Twins]) -> Iterator[_Edge]:
    for edge in edges:
        yield from edge.edges if isinstance(edge, _Twins) else (edge,)


def _join_twins(edges: Iterable[_Edge], numbers: Mapping[str, int]) -> list[_Edge | _Twins]:
    """Edges in their order, those that Werkzeug takes for one put together."""
    groups: dict[object, list[_Edge]] = {}
    for edge in sorted(edges, key=lambda edge: edge.place):
        groups.setdefault((edge.regex, repr(edge.place[0])) if edge.is_step else edge, []).append(edge)
    return [group[0] if len(group) == 1 else _Twins(group, numbers) for group in groups.values()]


class _Turn(NamedTuple):
    """Where a rule's way through the tree is not the only one."""

    node: _Node
    edge: _Edge

    @property
    def is_contested(self) -> bool:
        return self.node.edges[0] is not self.edge and len(self.node.edges) <= _MANY_EDGES


#: Among more siblings than these nobody looks for rules that are never reached: it takes the square of their number.
_MANY_EDGES = 100


class _Builder:
    """Enters rules into a tree. What is equal in many rules is kept once, and so stays in the processor's cache."""

    def __init__(self) -> None:
        self.root = _Node()
        self._edges: dict[tuple[_Node, int], _Edge] = {}
        self._patterns: dict[str, list[tuple[Part, list[_Pattern]]]] = {}
        self._accesses: dict[Access, Access] = {}

    def enter(self, parsed: ParsedKey, key: str, access: Access) -> list[_Turn]:
        if access.where is None:  # a function may be anything, and refuse to be looked up
            access = self._accesses.setdefault(access, access)
        rule = MatchedRule(key, access)
        node = self.root
        edge = None
        turns = []
        for part in parsed.parts:
            if part.literal is not None:
                edge = None
                node = _find_or_add_child(node, part.literal)
            else:
                edge = self._find_or_add_edge(node, part)
                turns.append(_Turn(node, edge))
                node = edge.node
        if edge is not None and edge.may_be_nothing:
            raise ConfigurationError(
                [
                    "its last converter takes the empty text, too, so that more than one rule could mean the path "
                    "without it; leave the converter out: a rule covers all beneath it"
                ]
            )
        node.here = _join(node.here, parsed.methods, rule)
        if not access.exact and parsed.parts:  # "/" covers the root page alone
            node.beneath = _join(node.beneath, parsed.methods, rule)
        return turns

    def _find_or_add_edge(self, node: _Node, part: Part) -> _Edge:
        patterns = self._find_or_compile(part)
        edge = self._edges.get((node, id(patterns)))
        if edge is None:
            edge = self._edges[node, id(patterns)] = _Edge(patterns, part, len(self._edges))
            node.edges = node.edges or []
            node.edges.append(edge)
        return edge

    def _find_or_compile(self, part: Part) -> list[_Pattern]:
        same_text = self._patterns.setdefault(part.regex, [])
        for other, patterns in same_text:
            if other.takes_the_same_as(part):
                return patterns
        patterns = [_compile(run) for run in part.runs]
        same_text.append((part, patterns))
        return patterns


def _join(
    terms: _Terms | MatchedRule | None, methods: tuple[str, ...], rule: MatchedRule
) -> _Terms | MatchedRule:
    """The rules of a path and one more."""
    if terms is None and not methods:
        return rule
    if not isinstance(terms, _Terms):
        terms = _Terms(otherwise=terms)
    terms.add(methods, rule)
    return terms


def _find_or_add_child(node: _Node, name: str) -> _Node:
    if node.static is _NO_CHILDREN:
        node.static = {}
    return node.static.setdefault(sys.intern(name), _Node(node))


def _sort_edges(node: _Node, numbers: Mapping[str, int]) -> None:
    for child in [*node.static.values(), *(edge.node for edge in _apart(node.edges))]:
        _sort_edges(child, numbers)
    if len(node.edges) > 1:
        node.edges = _join_twins(_apart(node.edges), numbers)


# patterns


class _Pattern:
    """What stands between two slashes of a rule, for comparison with a segment of a path."""

    def __init__(self, run: Run, *, before: str = "", after: str = "") -> None:
        try:
            self._fullmatch = re.compile(before + regex_of(run) + after, re.DOTALL).fullmatch
        except re.error as error:
            raise ConfigurationError([f"the regular expression of its converter is wrong: {error}"]) from None
        #: Converters that may refuse what their regular expression takes, each with the name of its group.
        self._checks = [
            (f"v{number}", piece)
            for number, piece in enumerate(run)
            if not isinstance(piece, str) and type(piece).to_python is not BaseConverter.to_python
        ]

    def matches(self, text: str) -> bool:
        """Whether the regular expressions of the converters fit."""
        return self._fullmatch(text) is not None

    def takes(self, text: str) -> bool:
        """Whether the text matches and each converter takes its value, as a view's would."""
        match = self._fullmatch(text)
        if match is None:
            return False
        return not self._checks or all(_is_valid(converter, match[name]) for name, converter in self._checks)

    def find_ends(self, segments: list[str], starts: set[int]) -> set[int]:
        """Where in the path one may be behind this, having been at one of ``starts`` before it."""
        return {start + 1 for start in starts if start < len(segments) and self.takes(segments[start])}


class _PathPattern(_Pattern):
    """The same with ``<path:…>`` in it: from a segment that it may begin in to any that it may end in.

    A regular expression with two of them would run back and forth over a hostile path for minutes.
    """

    def __init__(self, run: Run, number: int) -> None:
        super().__init__(run)
        self._first = _Pattern(run[:number], after="[^/].*")
        self._last = _Pattern(run[number + 1 :], before=".*?")

    def find_ends(self, segments: list[str], starts: set[int]) -> set[int]:
        second = min(self._first.find_ends(segments, starts), default=len(segments))
        later = range(second, len(segments))
        return super().find_ends(segments, starts) | self._last.find_ends(segments, set(later))


class _SlashPattern(_Pattern):
    """The same with anything else that takes slashes: a converter of the application's own, or two paths."""

    def find_ends(self, segments: list[str], starts: set[int]) -> set[int]:
        return {
            end
            for start in starts
            for end in range(start + 1, len(segments) + 1)
            if self.takes(text := "/".join(segments[start:end]))
            or (end < len(segments) and self.takes(text + "/"))  # it may want the slash for itself
        }


def _compile(run: Run) -> _Pattern:
    crossing = [n for n, piece in enumerate(run) if not isinstance(piece, str) and not piece.part_isolating]
    if not crossing:
        return _Pattern(run)
    if len(crossing) == 1 and type(run[crossing[0]]) is PathConverter:
        return _PathPattern(run, crossing[0])
    return _SlashPattern(run)


def _is_valid(converter: BaseConverter, text: str) -> bool:
    try:
        converter.to_python(text)
    except ValidationError:
        return False
    except Exception:  # it may be anybody's
        log.exception("the converter %s of a rule broke; nobody is let in", type(converter).__name__)
        raise BadRequestError("The address is malformed.", reason="a rule's converter broke on it") from None
    return True
