"""A search for requests that reach a view past the rule that covers it (design.md §4).

Flask applications, route maps and paths are made up, and a real gateway is put before the real application. What
Flask runs is the judge: the route, filled with the values that its view was given, must be covered by a rule that
lets this visitor in, and who that is is found by ``tests/covering.py``, which tries everything.

    HYPOTHESIS_PROFILE=thorough pytest tests/test_paths_search.py --hypothesis-seed=1
"""

from __future__ import annotations

import functools
import re
import time
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

import pytest
from flask import Blueprint, Flask
from hypothesis import given, note, settings
from hypothesis import strategies as st
from werkzeug.routing import BaseConverter
from werkzeug.test import EnvironBuilder, run_wsgi_app

from cognito_wsgi import CognitoConfig, CognitoGateway, ConfigurationError
from cognito_wsgi.testing import TestPool

from .covering import (
    CONVERTERS,
    INT,
    KNOWN,
    MAYBE,
    OWN_CONVERTERS,
    PATH,
    STRING,
    Converter,
    CoveringRule,
    Segment,
    find_covering,
    look,
    write,
)

EXAMPLES = max(8 * min(settings().max_examples, 100), settings().max_examples)
REQUESTS = 20  # of each example

# visitors

VISITORS = ("nobody", "other", "staff")


@functools.cache
def house() -> tuple[CognitoConfig, dict[str, str]]:
    """A configuration whose own paths are out of the way, and the cookies of each visitor."""
    pool = TestPool(redirect_url="http://localhost/own/callback", logout_url="http://localhost/own/bye")
    config = pool.config(login_path="/own/login", logout_path="/own/logout")
    cookie = "cognito_access_token="
    long = {"exp": int(time.time()) + 7 * 86400}  # the thorough search takes hours
    other = cookie + pool.access_token("olaf", groups=["other"], claims=long)
    staff = cookie + pool.access_token("sam", groups=["other", "staff"], claims=long)
    return config, dict(zip(VISITORS, ("", other, staff), strict=True))


def admits(access: object, visitor: str) -> bool:
    if access == ["staff"]:
        return visitor == "staff"
    return access == "public" or (access == "authenticated" and visitor != "nobody")


# applications


@dataclass(frozen=True)
class Route:
    segments: tuple[Segment, ...]
    has_slash: bool = False
    is_strict: bool = True
    methods: tuple[str, ...] = ("GET",)
    prefix_length: int = 0  # so many segments come from a blueprint's url_prefix

    @property
    def written(self) -> str:
        return (write(self.segments) + "/" * self.has_slash) or "/"

    def fill(self, values: dict[str, str]) -> str:
        """The path that this route means with these values."""
        texts = iter(values[name] for name in sorted(values))
        return (
            "".join(
                "/" + "".join(p if isinstance(p, str) else next(texts) for p in segment)
                for segment in self.segments
            )
            or "/"
        )


@dataclass(frozen=True)
class Site:
    routes: tuple[Route, ...]
    merge_slashes: bool
    static_path: str | None

    def make_app(self, ran: list[str]) -> Flask:
        """The application; its views write down the paths that their routes mean with what they are given."""
        app = Flask(
            __name__, static_folder="." if self.static_path else None, static_url_path=self.static_path
        )
        app.url_map.merge_slashes = self.merge_slashes
        for name, converter in {**app.url_map.converters, **OWN_CONVERTERS}.items():
            app.url_map.converters[name] = _keeping_text(converter)
        for number, route in enumerate(self.routes):
            rules = {"strict_slashes": route.is_strict, "methods": route.methods}
            if route.prefix_length:
                prefix = write(route.segments[: route.prefix_length])
                blueprint = Blueprint(f"blueprint{number}", __name__, url_prefix=prefix)
                blueprint.add_url_rule(
                    route.written[len(prefix) :] or "/", "view", _view(route, ran), **rules
                )
                app.register_blueprint(blueprint)
            else:
                app.add_url_rule(route.written, f"view{number}", _view(route, ran), **rules)
        if self.static_path is not None:
            segments = tuple((text,) for text in self.static_path[1:].split("/"))
            app.view_functions["static"] = _view(Route((*segments, (PATH,))), ran)
        return app


def _view(route: Route, ran: list[str]) -> Any:
    def view(**values: str) -> str:
        ran.append(route.fill(values))
        return "ran"

    return view


def _keeping_text(converter: type[BaseConverter]) -> type[BaseConverter]:
    class KeepingText(converter):  # type: ignore[misc, valid-type]
        """Takes what its base takes, and hands the view the text as it stands in the path."""

        def to_python(self, value: str) -> Any:
            super().to_python(value)
            return value

    return KeepingText


# what is made up

TEXTS = st.sampled_from(["admin", "x", "a", "b", "7", "07", "käse", "a b", "A", "q.pdf", "..."])
SEGMENTS: st.SearchStrategy[Segment] = st.one_of(
    TEXTS.map(lambda text: (text,)),
    TEXTS.map(lambda text: (text,)),
    st.sampled_from(CONVERTERS).map(lambda converter: (converter,)),
    st.sampled_from(
        [
            *((STRING,), (INT,), (PATH,), (KNOWN,)),
            *(("x-", STRING), ("v", INT), (PATH, ".pdf"), (INT, "-", STRING), (PATH, "-", PATH)),
            *((INT, MAYBE), ("x", MAYBE), (MAYBE, "-", MAYBE), (MAYBE, INT, MAYBE), (INT, STRING)),
        ]
    ),
)
PATHS = st.lists(SEGMENTS, max_size=4).map(tuple)
METHODS = ("GET", "GET", "GET", "HEAD", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "get", "pOsT", "ODD")


@st.composite
def routes(draw: st.DrawFn, merge_slashes: bool) -> Route:
    segments = draw(PATHS)
    if not merge_slashes and len(segments) > 1 and draw(st.booleans()):
        segments = (segments[0], ("",), *segments[1:])  # Flask takes a route with // then
    return Route(
        segments,
        has_slash=bool(segments) and segments[-1] != ("",) and draw(st.booleans()),
        is_strict=draw(st.booleans()),
        methods=draw(
            st.sampled_from([("GET",), ("POST",), ("GET", "POST"), ("PUT", "DELETE"), ("GET", "ODD")])
        ),
        prefix_length=draw(st.integers(0, 1)) if len(segments) > 1 and segments[1] != ("",) else 0,
    )


@st.composite
def sites(draw: st.DrawFn) -> Site:
    merge_slashes = draw(st.booleans())
    return Site(
        tuple(draw(st.lists(routes(merge_slashes), min_size=1, max_size=4))),
        merge_slashes,
        draw(st.sampled_from([None, None, "/x", "/admin/static"])),
    )


@st.composite
def rules_for(draw: st.DrawFn, site: Site) -> CoveringRule:
    """A rule that has to do with the site, and so with the other rules: a route's beginning, more or less."""
    segments: list[Segment] = []
    for segment in draw(st.sampled_from(site.routes)).segments:
        change = draw(
            st.sampled_from(["none", "none", "none", "twin", "twin", "akin", "other", "one value", "stop"])
        )
        if change == "stop":
            break
        if change == "other":
            segment = draw(SEGMENTS)
        elif change == "twin":
            segment = tuple(p if isinstance(p, str) else draw(st.sampled_from(twins_of(p))) for p in segment)
        elif change == "akin":
            segment = tuple(p if isinstance(p, str) else draw(st.sampled_from(akin_to(p))) for p in segment)
        elif change == "one value":
            segment = (draw(texts_of(segment)).split("/")[0],)
        if segment not in [("",), (".",), ("..",)]:
            segments.append(segment)
    if draw(st.integers(0, 3)) == 0:
        segments.append(draw(SEGMENTS))
    return CoveringRule(
        tuple(segments),
        draw(
            st.sampled_from(
                [(), (), ("GET",), ("GET",), ("POST",), ("GET", "POST"), ("HEAD", "PUT"), ("OPTIONS",)]
            )
        ),
        draw(st.sampled_from(["public", "authenticated", "deny", ["staff"]])),
        draw(st.sampled_from([False, False, True])),
        draw(st.booleans()) if segments else False,
    )


def akin_to(converter: Converter) -> list[Converter]:
    """Those that take some of the same texts, and perhaps not all."""
    return [other for other in CONVERTERS if any(map(other.takes, converter.examples))]


@functools.cache
def twins_of(converter: Converter) -> list[Converter]:
    """Those that look the same to Werkzeug, and itself."""
    return [other for other in CONVERTERS if look(((other,),)) == look(((converter,),))]


@st.composite
def texts_of(draw: st.DrawFn, segment: Segment) -> str:
    """A text that fits the segment."""
    return "".join(p if isinstance(p, str) else draw(st.sampled_from(p.examples)) for p in segment)


#: What is put into paths: as servers hand it on, percent-decoded, bytes as latin-1.
SEPARATORS = ["/", "//", "///", "/./", "/../", ".", "\\", "%2f", "%2e", ";x", "?x", "#/x", "*", " "]
CONTROLS = ["\n", "\r\n", "\x00", "\x1f", "\x7f", "\xc2\x85"]
#: Overlong and broken UTF-8, a line separator, a fullwidth slash, a space that is none.
ODD_BYTES = ["\xc0\xaf", "\xff", "\x85", "\xe2\x80\xa8", "\xef\xbc\x8f", "\xc2\xa0"]
ODD = ["/", "//", *SEPARATORS, *CONTROLS, *ODD_BYTES]


class Asked(NamedTuple):
    method: str
    path_info: str
    visitor: str


def requests_to(site: Site, rules: list[CoveringRule], random: Random) -> Iterator[Asked]:
    """All of one seed: Hypothesis would spend more time on drawing letters than the gateway on judging them."""
    ways: list[tuple[Segment, ...]] = [route.segments for route in site.routes]
    if site.static_path:
        ways.append((*((text,) for text in site.static_path[1:].split("/")), (PATH,)))
    ways = [*ways, *ways, *(rule.segments for rule in rules)]
    for _ in range(REQUESTS):
        way = random.choice(ways)
        yield Asked(random.choice(METHODS), write_oddly(random, way), random.choice(VISITORS))


def write_oddly(random: Random, way: tuple[Segment, ...]) -> str:
    """A PATH_INFO, more or less on the way that a route or a rule goes."""
    texts = ["".join(p if isinstance(p, str) else random.choice(p.examples) for p in part) for part in way]
    path = "/" + "/".join(texts) + random.choice(["", "", "", "/", "/x", "//"])
    path_info = path.encode().decode("latin-1")
    match random.choice([*["as it is"] * 5, "begun", "without slash", "odd", "odd", "slashes"]):
        case "begun":
            return random.choice(["/", "//", "///", "x:", "http:", "\\/", "/.", "*"]) + path_info
        case "without slash":
            return path_info[1:]
        case "odd":
            place = random.randint(0, len(path_info))
            return path_info[:place] + random.choice(ODD) + path_info[place:]
        case "slashes":
            return path_info.replace("/", random.choice(["//", "///", "/./"]))
    return path_info


# the property


def is_crowded(rule: CoveringRule) -> bool:
    """Whether a rule has so many converters that the gateway may refuse to try all ways."""
    return sum(isinstance(piece, Converter) for segment in rule.segments for piece in segment) > 3


def decode(path_info: str) -> str | None:
    """The path that a router sees, or None where two could see two."""
    try:
        path = path_info.encode("latin-1").decode()
    except UnicodeDecodeError:
        return None
    is_ambiguous = (
        (path != "" and not path.startswith("/"))
        or "\\" in path
        or any(unicodedata.category(character) == "Cc" for character in path)
        or not {".", ".."}.isdisjoint(path.split("/"))
        or len(re.findall("//+", path.lstrip("/"))) > 5
    )
    return None if is_ambiguous else path


def spellings(path: str) -> set[str]:
    """The ways in which routers read slashes. Flask's passes over those in front, wherever it is mounted.

    And to a route that takes its path without the slash at its end, two of them are no more than one.
    """
    texts = re.split("/+", "/" + path.lstrip("/"))
    runs = ["/", *re.findall("/+", path.lstrip("/"))]
    read = {
        "".join(
            text + ("/" if n < merged else run)
            for n, (text, run) in enumerate(zip(texts, [*runs, ""], strict=True))
        )
        for merged in range(len(runs) + 1)
    }
    return read | {re.sub("//+$", "/", each) for each in read}


def accepted(rules: list[CoveringRule], make: Any) -> tuple[list[CoveringRule], CognitoGateway]:
    """The rules without those that the gateway calls doubled or unreachable, and the gateway."""
    rules = list({rule.key: rule for rule in rules}.values())
    while True:
        try:
            return rules, make({rule.key: rule.value for rule in rules})
        except ConfigurationError as error:
            named = {
                rule.key for rule in rules for problem in error.problems if f"rule {rule.key!r}: " in problem
            }
            assert named, error
            rules = [rule for rule in rules if rule.key not in named]


@pytest.mark.timeout(EXAMPLES)  # most take a twentieth of a second, some on a slow machine far more
@settings(max_examples=EXAMPLES)
@given(st.data())
def test_no_view_is_reached_past_the_rule_that_covers_its_route(data: st.DataObject) -> None:
    config, cookies = house()
    site = data.draw(sites(), "site")
    ran: list[str] = []
    app = site.make_app(ran)
    default = data.draw(st.sampled_from(["public", "authenticated", "deny"]), "default")
    rules, gateway = accepted(
        data.draw(st.lists(rules_for(site), min_size=2, max_size=8), "rules"),
        lambda rules: CognitoGateway(app.wsgi_app, config, rules, default=default, converters=OWN_CONVERTERS),
    )
    note(f"rules: {[(rule.key, rule.value) for rule in rules]}, routes: {app.url_map}")

    def is_let_in(method: str, path: str, visitor: str) -> bool:
        rule = find_covering(rules, method.upper(), path)
        return admits(rule.access if rule else default, visitor)

    random = data.draw(st.randoms(use_true_random=True))
    for method, path_info, visitor in requests_to(site, rules, random):
        environ = environ_of(method, path_info, cookies[visitor])
        ran.clear()
        _, status, _ = run_wsgi_app(gateway, dict(environ))
        for path in ran:
            if path_info.endswith("/") and not path.endswith("/"):
                path += "/"  # the route takes both
            assert is_let_in(method, path, visitor), (
                f"reached {path} past {find_covering(rules, method, path)}"
            )
        path = decode(path_info)
        if path is None:
            assert ran == []
            assert status.startswith("400")
            continue
        if status.startswith("400"):  # there may be too many ways to share it out
            assert ran == []
            assert any(map(is_crowded, rules))
            continue
        if all(is_let_in(method, spelling, visitor) for spelling in spellings(path)):
            with_gateway = list(ran)
            ran.clear()
            run_wsgi_app(app.wsgi_app, environ)
            assert ran == with_gateway
        else:
            assert ran == []
            assert status[:3] in ("401", "403")


def environ_of(method: str, path_info: str, cookie: str) -> dict[str, Any]:
    environ = dict(_environ())
    environ.update(REQUEST_METHOD=method, PATH_INFO=path_info)
    if cookie:
        environ["HTTP_COOKIE"] = cookie
    return environ


@functools.cache
def _environ() -> dict[str, Any]:
    return EnvironBuilder(path="/", base_url="http://localhost").get_environ()
