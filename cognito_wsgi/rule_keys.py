"""The keys of the route map: Werkzeug routing rules, parsed by Werkzeug and checked for what can only be a mistake."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from itertools import chain
from typing import Any, NamedTuple, TypeAlias

from werkzeug.routing import (
    AnyConverter,
    BaseConverter,
    FloatConverter,
    IntegerConverter,
    Map,
    PathConverter,
    Rule,
    UnicodeConverter,
    UUIDConverter,
    ValidationError,
)

from .errors import BadRequestError, ConfigurationError
from .paths import parse_decoded_path

#: What stands between two slashes of a rule: literal text and converters.
Run: TypeAlias = "tuple[str | BaseConverter, ...]"


def regex_of(run: Run) -> str:
    """What the run looks like; the converters' groups are called v and their place."""
    return "".join(
        re.escape(piece) if isinstance(piece, str) else f"(?P<v{number}>{piece.regex})"
        for number, piece in enumerate(run)
    )


def is_werkzeugs(converter: BaseConverter) -> bool:
    """Whether it is one of Werkzeug's own, whose regular expressions are known."""
    return type(converter).__module__ == BaseConverter.__module__


class Part(NamedTuple):
    """What Werkzeug compares in one go: a run, or all runs from the first on that may take slashes."""

    runs: tuple[Run, ...]
    weight: tuple[Any, ...]  # its place in Werkzeug's order; of no use for literal text, which comes first

    @property
    def literal(self) -> str | None:
        match self.runs:
            case ((str(text),),):
                return text
        return None

    @property
    def regex(self) -> str:
        return "/".join(map(regex_of, self.runs))

    @property
    def takes_slashes(self) -> bool:
        return not all(isinstance(piece, str) or piece.part_isolating for piece in chain(*self.runs))

    @property
    def look(self) -> tuple[object, ...]:
        """What parts that are the same have in common, and few others: to be hashed."""
        converters = (piece for piece in chain(*self.runs) if not isinstance(piece, str))
        limits = (
            (name, vars(converter)[name]) for converter in converters for name in sorted(vars(converter))
        )
        return self.regex, *((name, value) for name, value in limits if type(value) in (int, float, str))

    def takes_the_same_as(self, other: Part) -> bool:
        """Whether two parts that look the same are."""
        return all(map(_are_same, chain(*self.runs), chain(*other.runs)))


def _are_same(one: str | BaseConverter, other: str | BaseConverter) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    return type(one) is type(other) and {**vars(one), "map": None} == {**vars(other), "map": None}


class ParsedKey(NamedTuple):
    """A key of the rules dict, taken apart."""

    methods: tuple[str, ...]  # in capitals; () for all
    parts: tuple[Part, ...]  # () for the root page

    def ties_with(self, other: ParsedKey) -> bool:
        """Whether nothing but their order in the rules dict decides between two keys."""
        own_and_other = zip(self.parts, other.parts, strict=False)
        return all(own.weight == others.weight for own, others in own_and_other)

    def sample_paths(self, guesses: Sequence[str] = ()) -> list[str]:
        """Paths that it fits, at the limits of what its converters take.

        guesses: what other converters than Werkzeug's own may take; if one takes none of them, the answer is [].
        """
        runs = [run for part in self.parts for run in part.runs]
        pieces = [piece for run in runs for piece in run if not isinstance(piece, str)]
        values = [list(sample_values(piece, guesses)) for piece in pieces]
        paths = []
        for number in range(max(map(len, values), default=1) if all(values) else 0):
            chosen = iter(options[number % len(options)] for options in values)
            texts = ["".join(p if isinstance(p, str) else next(chosen) for p in run) for run in runs]
            paths.append("/" + "/".join(texts))
        return paths


_KEY = re.compile(r"(?:(?P<methods>[A-Za-z0-9_|-]+)\s+)?(?P<path>/.*)", re.DOTALL)

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY")


def parse_key(key: object, url_map: Map) -> ParsedKey:
    """Methods and path of a key of the rules dict, or ConfigurationError."""
    found = _KEY.fullmatch(key) if isinstance(key, str) else None
    if found is None:
        raise ConfigurationError(
            ["write a path that begins with a slash, such as '/admin', or methods before it, 'PUT|DELETE /a'"]
        )
    path = found["path"].removesuffix("/")
    parts = _parse_with_converters(path, url_map) if "<" in path else _parse_literal(path)
    return ParsedKey(_parse_methods(found["methods"]), parts)


def _parse_methods(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    methods = tuple(text.upper().split("|"))
    if "" in methods or len(set(methods)) != len(methods):
        raise ConfigurationError([f"methods {text!r}; write each once, joined by |, such as PUT|DELETE"])
    for method in methods:
        if method in ("ANY", "ALL"):
            raise ConfigurationError(
                [f"{method} is no method; a rule without one is for all, so leave it out"]
            )
        close = get_close_matches(method, _METHODS, n=1, cutoff=0.75)  # finds nothing in IANA's registry
        if close and method not in _METHODS:
            raise ConfigurationError([f"unknown method {method!r}; do you mean {close[0]!r}?"])
    return methods


def _parse_literal(path: str) -> tuple[Part, ...]:
    _check_literal_text(path)
    return tuple(Part(((name,),), ()) for name in path.split("/")[1:])


def _parse_with_converters(path: str, url_map: Map) -> tuple[Part, ...]:
    # Not Werkzeug's public interface, and known to this function alone: Rule.bind() would parse the same, but
    # compiles URL builders too, at ten times the cost. Tests compare the order that comes of it with Map's.
    rule = Rule(path)
    rule.map = url_map
    try:
        _, *werkzeug_parts = rule._parse_rule(path)  # the first is the nothing before the first slash
        is_hopeless = any(map(_takes_nothing, rule._converters.values()))
    except Exception as error:  # converters may be anybody's
        raise ConfigurationError([f"Werkzeug does not take this routing rule: {error}"]) from None
    if len(rule._converters) != sum(is_variable for is_variable, _ in rule._trace):
        raise ConfigurationError(["a variable's name stands in it twice; give each its own"])
    _check_literal_text("".join("x" if is_variable else text for is_variable, text in rule._trace))
    if is_hopeless:
        raise ConfigurationError(["no request can reach it: no value is in the limits of its converter"])
    runs: list[Run] = []
    for is_variable, text in rule._trace:
        if is_variable:
            runs[-1] += (rule._converters[text],)
        elif text == "/":
            runs.append(())
        else:
            runs[-1] += (text,)
    remaining = iter(runs)
    return tuple(
        Part(
            tuple(remaining) if part.final else (next(remaining),),
            tuple(tuple(each) if isinstance(each, list) else each for each in part.weight),
        )
        for part in werkzeug_parts
    )


def _check_literal_text(path: str) -> None:
    """``path``: a rule's, with something harmless in place of its variables."""
    if "//" in path + "/":
        raise ConfigurationError(["no request can reach it: runs of slashes are merged; write single ones"])
    if re.search(r"%[0-9A-Fa-f]{2}", path):
        raise ConfigurationError(["paths are compared decoded; write the character itself in place of %XX"])
    if "?" in path or "#" in path:
        raise ConfigurationError(["only the path is judged; leave out what begins with ? or #"])
    if "*" in path:
        raise ConfigurationError(["a star stands for nothing; a rule covers all beneath it, so leave /* out"])
    try:
        parse_decoded_path(path)
    except BadRequestError as error:
        raise ConfigurationError([f"no request can reach it: {error.description}"]) from None
    if path != path.rstrip():
        raise ConfigurationError(["it ends with a space; leave that out"])


# samples

#: Longer than what a rule may limit, and shorter than what would take time.
_LONG, _MANY_DIGITS = 10_000, 40


def sample_values(converter: BaseConverter, guesses: Sequence[str] = ()) -> Iterable[str]:
    """Texts at the limits of what one of Werkzeug's own converters takes; those guesses that another takes."""
    kind = type(converter)
    if kind is UnicodeConverter:
        shortest, comma, longest = converter.regex.removeprefix("[^/]{").removesuffix("}").partition(",")
        length = max(int(shortest), 1)
        return ["q" * length, "z" * length, "z" * int(longest or (_LONG if comma else shortest))]
    if kind is PathConverter:
        return ["q", "z/m", "z" * _LONG]
    if kind is UUIDConverter:
        return ["0b9d7c1e-5a3f-4e2d-8c6b-1f0a9e8d7c6b", "F1c2a3b4-0d8e-b19c-6E7A-8a9b7c6d5e4f"]
    if isinstance(converter, AnyConverter) and kind is AnyConverter:
        return sorted(item for item in converter.items if "/" not in item)
    if isinstance(converter, IntegerConverter | FloatConverter) and kind in (
        IntegerConverter,
        FloatConverter,
    ):
        return (text for text in _sample_numbers(converter) if _takes(converter, text))
    return (text for text in guesses if _may_take(converter, text))


def _takes_nothing(converter: BaseConverter) -> bool:
    return is_werkzeugs(converter) and not any(True for _ in sample_values(converter))


def _sample_numbers(converter: IntegerConverter | FloatConverter) -> Iterator[str]:
    digits = converter.fixed_digits or _MANY_DIGITS
    fraction = ".5" if isinstance(converter, FloatConverter) else ""
    for bound in (converter.min, converter.max):
        if bound is not None:
            text = format(bound, "f" if fraction else "d")
            yield text.zfill(converter.fixed_digits)
            yield text.zfill(_MANY_DIGITS)
    for text in ("1" * digits, "9" * digits, "0" * digits, "7", "0", "-1", "-" + "9" * digits):
        yield text + fraction


def _may_take(converter: BaseConverter, text: str) -> bool:
    try:
        return _takes(converter, text)
    except Exception:  # it may be anybody's, and need more than a text
        return False


def _takes(converter: BaseConverter, text: str) -> bool:
    if not re.fullmatch(converter.regex, text):
        return False
    try:
        converter.to_python(text)
    except ValidationError:
        return False
    return True
