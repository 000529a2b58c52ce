"""The route map: which access a method and a path need.

``RouteRules`` is built once from the rules dict and then only read. Keys are Werkzeug routing rules and are
parsed by Werkzeug; the walk through them is ``rule_tree``'s.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field, fields
from difflib import get_close_matches
from itertools import product
from typing import Any, TypeAlias

from werkzeug.routing import BaseConverter, Map

from .errors import BadRequestError, ConfigurationError
from .rule_keys import ParsedKey, parse_key
from .rule_tree import MatchedRule, TreeBuilder, Turn, sort_edges

log = logging.getLogger("cognito_wsgi")

Claims: TypeAlias = dict[str, Any]

WORDS = ("public", "authenticated", "deny")
#: A scope-token (RFC 6749 §3.3): no token's ``scope`` has any other.
_SCOPE = re.compile(r"[!#-\[\]-~]+")


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
        if any(isinstance(scope, str) and scope and not _SCOPE.fullmatch(scope) for scope in self.scopes):
            yield f"scopes is {self.scopes!r}; write one scope an item, without spaces, quotes and backslashes"
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
        builder = TreeBuilder()
        self._root = builder.root
        parsed: dict[str, tuple[ParsedKey, Access]] = {}
        for key, value in rules.items():
            with _naming(key, problems):
                parsed[key] = parse_key(key, url_map), parse_access(value)
        turns: dict[str, list[Turn]] = {}
        # All in one go: what is walked then lies close together in memory.
        for key, (parsed_key, access) in parsed.items():
            with _naming(key, problems):
                turns[key] = builder.enter(parsed_key, key, access)
        self._parsed = {key: parsed[key][0] for key in turns}
        sort_edges(self._root, {key: number for number, key in enumerate(self._parsed)})
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

        Raises BadRequestError where a converter of the application's own breaks on the path, or where those of one
        segment could share it out in too many ways.
        """
        segments = path[1:].split("/")
        end = len(segments) if segments[-1] else len(segments) - 1  # a trailing slash makes no other page
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
            try:
                captors.add(self.match(method, path).key)
            except BadRequestError:  # by a converter of the application's own: nobody can tell
                return None
            if key in captors or len(captors) > 1:
                return None
        captor = captors.pop() if captors else self.default.key
        return captor if captor in self._parsed and self._parsed[captor].sample_paths() else None


@contextmanager
def _naming(key: str, problems: list[str]) -> Iterator[None]:
    """What is wrong with a rule becomes one of the problems, named by its key."""
    try:
        yield
    except ConfigurationError as error:
        problems += [f"rule {key!r}: {problem}" for problem in error.problems]


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
