"""The tree of the route map, and the walk through it.

Werkzeug's matcher knows nothing of rules that cover all beneath their path and give way where their converter or
method does not fit, so the walk is ours. The order is Werkzeug's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import ConfigurationError
from .rule_patterns import Pattern, compile_part

if TYPE_CHECKING:
    from .rule_keys import ParsedKey, Part
    from .rules import Access


@dataclass(frozen=True, slots=True)
class MatchedRule:
    """What decides a request."""

    key: str  # as it stands in the rules dict, or "default"
    access: Access

    def find(self, method: str) -> MatchedRule:
        """As ``_Terms`` do: a rule that names no method is its path's only one, mostly."""
        return self

    def fitting(self, method: str) -> Sequence[MatchedRule]:
        return (self,)


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

    def fitting(self, method: str) -> Sequence[MatchedRule]:
        """All that ``find`` may choose from."""
        by_get = self.by_method.get("GET") if method == "HEAD" else None
        return [rule for rule in (self.by_method.get(method), by_get, self.otherwise) if rule is not None]


#: Shared by all places without any: they are most of them, and what is small is found in the processor's cache.
_NO_CHILDREN: dict[str, Node] = {}
_NO_EDGES: list[_Edge | _Twins | _Ends] = []


class Node:
    """A place in the tree."""

    __slots__ = ("beneath", "depth", "edges", "here", "parent", "static")

    def __init__(self, parent: Node | None = None) -> None:
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
        place: Node | None = node
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

    __slots__ = ("_patterns", "_step", "has_slash", "node", "origin", "place", "regex")

    def __init__(
        self, origin: Node, node: Node, patterns: list[Pattern], part: Part, number: int, has_slash: bool
    ) -> None:
        self.regex = part.regex
        #: Among its siblings: Werkzeug's order, and ties go to the earlier key.
        self.place = (part.weight, number)
        self.origin = origin
        self.node = node
        #: Whether it takes slashes, and its keys have one at the end.
        self.has_slash = has_slash
        self._patterns = patterns
        #: The pattern, if the part is always one segment.
        self._step = self._patterns[0] if type(self._patterns[0]) is Pattern else None

    @property
    def may_be_nothing(self) -> bool:
        return self._patterns[-1].may_be_nothing

    @property
    def is_step(self) -> bool:
        """Whether it is always one segment."""
        return self._step is not None

    def find_end(self, segments: list[str]) -> int:
        """How many segments it takes at the most; 0 if it takes none."""
        if self._step is not None:
            return int(self._step.takes(segments[0]))
        places = {0}
        for pattern in self._patterns:
            places = pattern.find_ends(segments, places)
        return max(places, default=0)

    def find(self, segments: list[str], end: int, method: str) -> MatchedRule | None:
        if self._step is not None:
            if self._step.takes(segments[0]):
                return self.node.find(segments[1:], end - 1, method)
            return None
        if last := self.find_end(segments):
            return self.node.find(segments[last:], end - last, method)  # all else lies beneath
        return None


class _Twins:
    """Edges of one regular expression, such as those of ``<int:a>`` and ``<int(min=5):b>``.

    Werkzeug takes them for one and looks behind it without asking for limits: what is most specific there comes
    first, behind whichever of them. So all whose converters take the path are walked side by side.
    """

    __slots__ = ("_state", "edges")

    def __init__(self, edges: list[_Edge], numbers: Mapping[str, int]) -> None:
        self.edges = edges
        self._state = _State([edge.node for edge in edges], numbers)

    def find(
        self, segments: list[str], end: int, method: str, origins: Collection[Node] | None = None
    ) -> MatchedRule | None:
        """``origins``: the places that the edges may lead away from; None for all."""
        ends = _find_ends(self.edges, segments, origins)
        return self._state.find(ends.keys(), segments[1:], end - 1, method)


class _Ends:
    """The same of edges that take slashes: behind them there is nothing more.

    Werkzeug tells those of keys with a slash at the end from those without. So either has its place in the order,
    where it stands for both if one of its own keys fits.
    """

    __slots__ = ("_all", "_first_numbers", "_numbers", "edges")

    def __init__(self, edges: list[_Edge], twins: list[_Edge], numbers: Mapping[str, int]) -> None:
        self.edges = edges
        self._all = twins  # with a slash at the end, and without
        self._numbers = numbers
        self._first_numbers = {edge.has_slash: edge.place[1] for edge in reversed(twins)}

    def find(
        self, segments: list[str], end: int, method: str, origins: Collection[Node] | None = None
    ) -> MatchedRule | None:
        """Same as ``_Twins.find``."""
        ends = _find_ends(self._all, segments, origins)
        here = [node.here for node, last in ends.items() if last >= end]
        beneath = [node.beneath for node, last in ends.items() if last < end]
        fitting = (rule for terms in here + beneath if terms is not None for rule in terms.fitting(method))
        if not any(rule.key.endswith("/") == self.edges[0].has_slash for rule in fitting):
            return None
        farthest = max(ends.values())

        def rank(rule: MatchedRule) -> tuple[object, ...]:
            has_slash = rule.key.endswith("/")
            leaves_slash = max(farthest, end + has_slash) < len(segments)
            return leaves_slash, self._first_numbers[has_slash], self._numbers[rule.key]

        return _first_of(here, method, rank) or _first_of(
            beneath, method, lambda rule: self._numbers[rule.key]
        )


def _find_ends(
    edges: Iterable[_Edge], segments: list[str], origins: Collection[Node] | None
) -> dict[Node, int]:
    return {
        edge.node: last
        for edge in edges
        if (origins is None or edge.origin in origins) and (last := edge.find_end(segments))
    }


class _State:
    """Places that Werkzeug takes for one: those behind twins."""

    __slots__ = ("_edges", "_is_one", "_numbers", "_static")

    def __init__(self, nodes: Sequence[Node], numbers: Mapping[str, int]) -> None:
        self._numbers = numbers
        self._is_one = len(nodes) == 1 and nodes[0].parent is None
        if self._is_one:
            return
        names = dict.fromkeys(name for node in nodes for name in node.static)
        self._static = {
            name: _State([node.static[name] for node in nodes if name in node.static], numbers)
            for name in names
        }
        self._edges = [
            _together(*twins, numbers)
            for twins in _group_twins(edge for node in nodes for edge in _apart(node.edges))
        ]

    def find(self, nodes: Collection[Node], segments: list[str], end: int, method: str) -> MatchedRule | None:
        """What ``Node.find`` does, for those of the places that the path leads to."""
        if not nodes:
            return None
        if self._is_one:
            (node,) = nodes
            return node.find(segments, end, method)
        if end <= 0:
            has_slash = bool(segments)
            return _first_of(
                [node.here for node in nodes],
                method,
                lambda rule: (rule.key.endswith("/") != has_slash, self._numbers[rule.key]),
            )
        name = segments[0]
        if child := self._static.get(name):
            children = [node.static[name] for node in nodes if name in node.static]
            if found := child.find(children, segments[1:], end - 1, method):
                return found
        for twins in self._edges:  # in an order that counts those whose converters refuse, too
            if found := twins.find(segments, end, method, nodes):
                return found
        return _first_of([node.beneath for node in nodes], method, lambda rule: self._numbers[rule.key])


def _first_of(
    places: Iterable[_Terms | MatchedRule | None],
    method: str,
    rank: Callable[[MatchedRule], Any],
) -> MatchedRule | None:
    """Paths that are a tie: the first rule decides which it is, and then the path which of its rules."""
    ranked = [(rank(rule), terms) for terms in places if terms is not None for rule in terms.fitting(method)]
    if not ranked:
        return None
    _, first = min(ranked, key=lambda ranks_and_terms: ranks_and_terms[0])
    return first.find(method)


def _apart(edges: Iterable[_Edge | _Twins | _Ends]) -> Iterator[_Edge]:
    for edge in edges:
        yield from (edge,) if isinstance(edge, _Edge) else edge.edges


def _group_twins(edges: Iterable[_Edge]) -> Iterator[tuple[list[_Edge], list[_Edge]]]:
    """Edges in their order, those that Werkzeug takes for one put together; with all that look like them."""
    twins: dict[object, list[_Edge]] = {}
    groups: dict[tuple[object, bool], list[_Edge]] = {}
    for edge in sorted(edges, key=lambda edge: edge.place):
        look = (edge.regex, edge.place[0], edge.is_step)
        twins.setdefault(look, []).append(edge)
        groups.setdefault((look, edge.has_slash), []).append(edge)
    yield from ((group, twins[look]) for (look, _), group in groups.items())


def _together(edges: list[_Edge], twins: list[_Edge], numbers: Mapping[str, int]) -> _Twins | _Ends:
    return _Twins(edges, numbers) if edges[0].is_step else _Ends(edges, twins, numbers)


class Turn(NamedTuple):
    """Where a rule's way through the tree is not the only one."""

    node: Node
    edge: _Edge

    @property
    def is_contested(self) -> bool:
        edges = self.node.edges
        if edges[0] is self.edge or len(edges) > _MANY_EDGES:
            return False
        return sum(1 for _ in islice(_apart(edges), _MANY_EDGES + 1)) <= _MANY_EDGES


#: Among more siblings than these nobody looks for rules that are never reached: it takes the square of their number.
_MANY_EDGES = 100


class TreeBuilder:
    """Enters rules into a tree. What is equal in many rules is kept once, and so stays in the processor's cache."""

    def __init__(self) -> None:
        self.root = Node()
        self._edges: dict[tuple[Node, int, bool], _Edge] = {}
        self._patterns: dict[object, list[tuple[Part, list[Pattern]]]] = {}
        self._accesses: dict[Access, Access] = {}

    def enter(self, parsed: ParsedKey, key: str, access: Access) -> list[Turn]:
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
                edge = self._find_or_add_edge(node, part, key)
                turns.append(Turn(node, edge))
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

    def _find_or_add_edge(self, node: Node, part: Part, key: str) -> _Edge:
        patterns = self._find_or_compile(part)
        has_slash = part.takes_slashes and key.endswith("/")
        edge = self._edges.get((node, id(patterns), has_slash))
        if edge is None:
            other = self._edges.get((node, id(patterns), not has_slash))
            edge = _Edge(node, other.node if other else Node(), patterns, part, len(self._edges), has_slash)
            self._edges[node, id(patterns), has_slash] = edge
            node.edges = node.edges or []
            node.edges.append(edge)
        return edge

    def _find_or_compile(self, part: Part) -> list[Pattern]:
        alike = self._patterns.setdefault(part.look, [])
        for other, patterns in alike:
            if other.takes_the_same_as(part):
                return patterns
        patterns = compile_part(part)
        alike.append((part, patterns))
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


def _find_or_add_child(node: Node, name: str) -> Node:
    if node.static is _NO_CHILDREN:
        node.static = {}
    return node.static.setdefault(sys.intern(name), Node(node))


def sort_edges(node: Node, numbers: Mapping[str, int]) -> None:
    for child in [*node.static.values(), *(edge.node for edge in _apart(node.edges))]:
        sort_edges(child, numbers)
    if len(node.edges) > 1:
        node.edges = [
            edges[0] if len(twins) == 1 else _together(edges, twins, numbers)
            for edges, twins in _group_twins(_apart(node.edges))
        ]
