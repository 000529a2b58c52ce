"""Which rule covers a path, by the words of design.md §4 alone: slow, plain, and sharing nothing with our code.

Rules and routes are built here of pieces, and written as keys for the gateway and for Flask. So nothing has to
be parsed, and whether a rule fits a path is found by trying the ways to share the path out among its pieces.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from werkzeug.routing import BaseConverter, Map, PathConverter, Rule, ValidationError


@dataclass(frozen=True)
class Converter:
    """A converter of Werkzeug's, with arguments: as it is written, and what its documentation says it takes."""

    written: str
    weight: int  # Werkzeug's: numbers 50, others 100, path 200
    takes: Callable[[str], bool]
    examples: tuple[str, ...]
    regex_takes: Callable[[str], bool] | None = None  # where that is more: the value is refused afterwards

    def looks_like(self, text: str) -> bool:
        return (self.regex_takes or self.takes)(text)

    @property
    def takes_slashes(self) -> bool:
        return self.weight == 200

    @property
    def is_own(self) -> bool:
        """Whether it is the application's."""
        return self.written in OWN_CONVERTERS


def _is_text(shortest: int, longest: int = 10**6) -> Callable[[str], bool]:
    return lambda text: "/" not in text and shortest <= len(text) <= longest


def _is_number(pattern: str, low: float = float("-inf"), high: float = float("inf")) -> Callable[[str], bool]:
    return lambda text: re.fullmatch(pattern, text) is not None and low <= float(text) <= high


def _is_path(text: str) -> bool:
    return text != "" and not text.startswith("/")


def _is_maybe(pattern: str) -> Callable[[str], bool]:
    return lambda text: re.fullmatch(pattern, text) is not None


class Even(BaseConverter):
    """An application's own converter, which refuses values after its regular expression has taken them."""

    regex = r"\d+"

    def to_python(self, value: str) -> int:
        if int(value) % 2:
            raise ValidationError
        return int(value)


class Known(PathConverter):
    """The same with slashes."""

    def to_python(self, value: str) -> str:
        if value not in KNOWN_PATHS:
            raise ValidationError
        return value


class Maybe(BaseConverter):
    """One that takes nothing as well."""

    regex = "[a-z]*"


class MaybePath(PathConverter):
    """The same with slashes."""

    regex = "[a-z/]*?"


KNOWN_PATHS = ("a/b", "x", "admin/7/x")
OWN_CONVERTERS: dict[str, type[BaseConverter]] = {
    "even": Even,
    "known": Known,
    "maybe": Maybe,
    "maybe_path": MaybePath,
}

_HEX = "[0-9a-fA-F]"
UUID = "0b9d7c1e-5a3f-4e2d-8c6b-1f0a9e8d7c6b"

_is_digits = _is_number(r"\d+")

STRING = Converter(
    "string", 100, _is_text(1), ("x", "käse", "a b", "7", "admin", "\N{FULLWIDTH FULL STOP}", "%2f")
)
INT = Converter("int", 50, _is_digits, ("7", "12", "007", "٣"))
FROM_FIVE = Converter("int(min=5)", 50, _is_number(r"\d+", 5), ("7", "5", "12"), _is_digits)
PATH = Converter("path", 200, _is_path, ("x", "a/b", "admin/7", "x//y", "7/"))
KNOWN = Converter("known", 200, lambda text: text in KNOWN_PATHS, KNOWN_PATHS, _is_path)
MAYBE = Converter("maybe", 100, _is_maybe("[a-z]*"), ("", "x", "ab"))
MAYBE_PATH = Converter("maybe_path", 200, _is_maybe("[a-z/]*"), ("", "x", "a/b"))

CONVERTERS = (
    STRING,
    Converter("string(length=2)", 100, _is_text(2, 2), ("ab", "77")),
    Converter("string(maxlength=1)", 100, _is_text(1, 1), ("x", "7")),
    INT,
    FROM_FIVE,
    Converter("int(max=9)", 50, _is_number(r"\d+", high=9), ("7", "07"), _is_digits),
    Converter("int(signed=True)", 50, _is_number(r"-?\d+"), ("-7", "7")),
    Converter("int(fixed_digits=2)", 50, _is_number(r"\d\d"), ("07", "12"), _is_digits),
    Converter("float", 50, _is_number(r"\d+\.\d+"), ("1.5", "7.0")),
    Converter(
        "uuid",
        100,
        re.compile(rf"{_HEX}{{8}}(-{_HEX}{{4}}){{3}}-{_HEX}{{12}}").fullmatch,
        (UUID, UUID.upper()),
    ),
    Converter('any(a,admin,"a b")', 100, lambda text: text in ("a", "admin", "a b"), ("a", "admin", "a b")),
    PATH,
    Converter("even", 100, lambda text: _is_digits(text) and float(text) % 2 == 0, ("12", "10"), _is_digits),
    KNOWN,
    MAYBE,
    MAYBE_PATH,
)

#: What stands between two slashes: texts and converters.
Segment = tuple["str | Converter", ...]


def write(segments: Sequence[Segment]) -> str:
    """As a Werkzeug routing rule, without a trailing slash."""
    names = iter("abcdefghijklmnopqrstuvwxyz")
    return "".join(
        "/" + "".join(p if isinstance(p, str) else f"<{p.written}:{next(names)}>" for p in segment)
        for segment in segments
    )


def fits(pieces: Segment, text: str) -> bool:
    """Whether a text is taken: a regular expression shares it out among the pieces, and each may refuse its share."""
    shares = next(_share_out(pieces, text), None)
    return shares is not None and all(converter.takes(share) for converter, share in shares)


def _share_out(pieces: Segment, text: str) -> Iterator[list[tuple[Converter, str]]]:
    """The ways to do so, in the order of a regular expression: paths are as short as can be, all else as long."""
    if not pieces:
        if text == "":
            yield []
        return
    first, *rest = pieces
    if isinstance(first, str):
        if text.startswith(first):
            yield from _share_out(tuple(rest), text[len(first) :])
        return
    sizes = range(len(text) + 1)
    for size in sizes if first.takes_slashes else reversed(sizes):
        if first.looks_like(text[:size]):
            for others in _share_out(tuple(rest), text[size:]):
                yield [(first, text[:size]), *others]


def covers(segments: Sequence[Segment], path: Sequence[str], exact: bool, *, whole: bool = False) -> bool:
    """Whether a rule covers a path: by its first segments, or with ``exact`` by all of them.

    whole: a slash at the end must be taken as well.
    """
    if not segments:
        return path in ([], [""])[: 1 if whole else 2] or not exact
    first, *rest = segments
    if _takes_slashes(first) and any(isinstance(p, Converter) and p.is_own for s in segments for p in s):
        first, rest = _join(segments), []
    sizes = range(1, len(path) + 1) if _takes_slashes(first) else range(1, min(len(path), 1) + 1)
    return any(
        fits(first, "/".join(path[:size])) and covers(rest, path[size:], exact, whole=whole) for size in sizes
    )


def _join(segments: Sequence[Segment]) -> Segment:
    """All in one: Werkzeug compares it so, and it matters where a converter refuses its share."""
    return tuple(piece for segment in segments for piece in ("/", *segment))[1:]


def _takes_slashes(segment: Segment) -> bool:
    return any(isinstance(piece, Converter) and piece.takes_slashes for piece in segment)


@dataclass(frozen=True)
class CoveringRule:
    """A rule of the rules dict."""

    segments: tuple[Segment, ...]
    methods: tuple[str, ...] = ()
    access: object = "deny"
    exact: bool = False
    has_slash: bool = False  # at its end

    @property
    def written(self) -> str:
        return (write(self.segments) + "/" * self.has_slash) or "/"

    @property
    def takes_slashes(self) -> bool:
        return any(map(_takes_slashes, self.segments))

    @property
    def key(self) -> str:
        return ("|".join(self.methods) + " " if self.methods else "") + self.written

    @property
    def value(self) -> object:
        if not self.exact:
            return self.access
        return {
            "exact": True,
            **({"allow": self.access} if isinstance(self.access, str) else {"groups": self.access}),
        }

    def covers(self, method: str, path: str) -> bool:
        if self.methods and method not in self.methods and (method != "HEAD" or "GET" not in self.methods):
            return False
        return covers(self.segments, path[1:].split("/"), self.exact or not self.segments)


def find_covering(rules: Iterable[CoveringRule], method: str, path: str) -> CoveringRule | None:
    """The most specific rule that covers a path beginning with a slash; None if there is none."""
    rules = list(rules)
    fitting = [rule for rule in rules if rule.covers(method, path)]
    return min(fitting, key=lambda rule: _rank(rules, fitting, rule, method, path), default=None)


def _rank(
    rules: Sequence[CoveringRule], fitting: Sequence[CoveringRule], rule: CoveringRule, method: str, path: str
) -> list[tuple[object, ...]]:
    """A rule's place in the order among those that fit: lower is more specific.

    Part by part, as Werkzeug compares: literal text, then what has most and longest text in it, then what has most
    variables, numbers before others. Ties go to whoever wrote such a part first. A rule that goes on is more
    specific than one that ends; one that ends at this very path than one that covers it from above; then one whose
    slash at the end is the path's; then the path that was written first; on the same path, one with the method.

    Among rules that take slashes, those with a slash at the end have been written where the first such was.
    """
    parts = split_parts(rule.segments)
    places = []
    for size, part in enumerate(parts, 1):
        alike = [n for n, other in enumerate(rules) if _looks(other, size) == _looks(rule, size)]
        places.append((*_weigh(part), alike[0]))
    twins = [other for other in rules if _looks(other) == _looks(rule)]

    def first_of_its_like(one: CoveringRule) -> int:
        return next(n for n, o in enumerate(rules) if o in twins and o.has_slash == one.has_slash)

    if rule.takes_slashes:
        first = min(first_of_its_like(other) for other in fitting if other in twins)
        places[-1] = (*_weigh(parts[-1]), first)

    texts = path[1:].split("/")
    is_taken = rule.takes_slashes and any(covers(twin.segments, texts, True, whole=True) for twin in twins)

    def rank_slash(one: CoveringRule) -> tuple[object, ...]:
        if rule.takes_slashes:
            return path.endswith("/") and not one.has_slash and not is_taken, first_of_its_like(one)
        return one.has_slash != path.endswith("/"), 0

    is_above = not covers(rule.segments, texts, True)
    same_path = [(n, other) for n, other in enumerate(fitting) if other.segments == rule.segments]
    written = min((*((0, 0) if is_above else rank_slash(other)), n) for n, other in same_path)
    named = method in rule.methods
    by_get = method == "HEAD" and "GET" in rule.methods
    return [*places, (9, is_above, written, 0 if named else 1 if by_get else 2)]


def _looks(rule: CoveringRule, size: int | None = None) -> list[object]:
    """The first parts of a rule, or all, as Werkzeug tells them apart: by regular expressions and weights."""
    return [look(part) for part in split_parts(rule.segments)[:size]]


@functools.cache
def look(part: tuple[Segment, ...]) -> object:
    rule = Rule(write(part), endpoint="any")
    Map([rule], converters=OWN_CONVERTERS)
    return [(found.content, found.static, found.weight) for found in rule._parts]


def split_parts(segments: tuple[Segment, ...]) -> list[tuple[Segment, ...]]:
    """The segments one by one, but from the first that takes slashes all together."""
    for number, segment in enumerate(segments):
        if _takes_slashes(segment):
            return [*((s,) for s in segments[:number]), segments[number:]]
    return [(segment,) for segment in segments]


def _weigh(part: tuple[Segment, ...]) -> tuple[object, ...]:
    pieces = [piece for segment in part for piece in segment]
    texts = [piece for piece in pieces if isinstance(piece, str)]
    variables = [piece for piece in pieces if isinstance(piece, Converter)]
    if not variables:
        return (0,)
    return (
        *(1, -len(texts), [(n, -len(text)) for n, text in enumerate(texts)]),
        *(-len(variables), [variable.weight for variable in variables]),
    )
