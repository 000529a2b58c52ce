"""The tree of the route map, and the walk through it.

Werkzeug's matcher knows nothing of rules that cover all beneath their path and give way where their converter or
method does not fit, so the walk is ours. The order is Werkzeug's.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from .errors import ConfigurationError
from .rule_patterns import Pattern, compile_run

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
_NO_EDGES: list[_Edge | _Twins] = []


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

    __slots__ = ("_patterns", "_step", "node", "place", "regex")

    def __init__(self, patterns: list[Pattern], part: Part, number: int) -> None:
        self.regex = part.regex
        #: Among its siblings: Werkzeug's order, and ties go to the earlier key.
        self.place = (part.weight, number)
        self.node = Node()
        self._patterns = patterns
        #: The pattern, if the part is always one segment.
        self._step = self._patterns[0] if type(self._patterns[0]) is Pattern else None

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

    def _find_in(self, nodes: list[Node], segments: list[str], end: int, method: str) -> MatchedRule | None:
        """What ``Node.find`` does, for several places at once."""
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
        """These paths are a tie: the earlier key decides which it is, and then the path which of its rules."""
        fitting = [
            (terms, rules) for terms in places if terms is not None and (rules := terms.fitting(method))
        ]
        if not fitting:
            return None
        first, _ = min(fitting, key=lambda place: min(self._numbers[rule.key] for rule in place[1]))
        return first.find(method)


def _apart(edges: Iterable[_Edge | _Twins]) -> Iterator[_Edge]:
    for edge in edges:
        yield from edge.edges if isinstance(edge, _Twins) else (edge,)


def _join_twins(edges: Iterable[_Edge], numbers: Mapping[str, int]) -> list[_Edge | _Twins]:
    """Edges in their order, those that Werkzeug takes for one put together."""
    groups: dict[object, list[_Edge]] = {}
    for edge in sorted(edges, key=lambda edge: edge.place):
        groups.setdefault((edge.regex, repr(edge.place[0])) if edge.is_step else edge, []).append(edge)
    return [group[0] if len(group) == 1 else _Twins(group, numbers) for group in groups.values()]


class Turn(NamedTuple):
    """Where a rule's way through the tree is not the only one."""

    node: Node
    edge: _Edge

    @property
    def is_contested(self) -> bool:
        return self.node.edges[0] is not self.edge and len(self.node.edges) <= _MANY_EDGES


#: Among more siblings than these nobody looks for rules that are never reached: it takes the square of their number.
_MANY_EDGES = 100


class TreeBuilder:
    """Enters rules into a tree. What is equal in many rules is kept once, and so stays in the processor's cache."""

    def __init__(self) -> None:
        self.root = Node()
        self._edges: dict[tuple[Node, int], _Edge] = {}
        self._patterns: dict[str, list[tuple[Part, list[Pattern]]]] = {}
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
                edge = self._find_or_add_edge(node, part)
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

    def _find_or_add_edge(self, node: Node, part: Part) -> _Edge:
        patterns = self._find_or_compile(part)
        edge = self._edges.get((node, id(patterns)))
        if edge is None:
            edge = self._edges[node, id(patterns)] = _Edge(patterns, part, len(self._edges))
            node.edges = node.edges or []
            node.edges.append(edge)
        return edge

    def _find_or_compile(self, part: Part) -> list[Pattern]:
        same_text = self._patterns.setdefault(part.regex, [])
        for other, patterns in same_text:
            if other.takes_the_same_as(part):
                return patterns
        patterns = [compile_run(run) for run in part.runs]
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


def _find_or_add_child(node: Node, name: str) -> Node:
    if node.static is _NO_CHILDREN:
        node.static = {}
    return node.static.setdefault(sys.intern(name), Node(node))


def sort_edges(node: Node, numbers: Mapping[str, int]) -> None:
    for child in [*node.static.values(), *(edge.node for edge in _apart(node.edges))]:
        sort_edges(child, numbers)
    if len(node.edges) > 1:
        node.edges = _join_twins(_apart(node.edges), numbers)
