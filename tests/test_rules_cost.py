"""What the route map costs: hostile paths take no time, many rules hardly any (design.md §9)."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import product
from typing import Any

import pytest
from werkzeug.routing import BaseConverter, Map, Rule

from cognito_wsgi import BadRequestError, RouteRules
from cognito_wsgi.paths import parse_path

HOSTILE = {
    "one text": "/x" * 4000,
    "numbers": "/1" * 4000,
    "endings": "/a.pdf" * 1300,
    "nearly endings": "/a.pd" * 1600,
    "dashes": "/" + "-" * 8000,
    "dashes with an ending": "/" + "-" * 8000 + "-x.pdf",
    "some dashes in each of many segments": "/" + ("-" * 200 + "-x.pdf/") * 40,
    "dashes and numbers": "/" + "1-" * 4000 + "x.pdf",
    "numbers with an ending": "/" + "9" * 8000 + ".pdf",
    "endings that nearly fit": "/" + "-.pdf/" * 1600,
    "slashes": "/x" + "/" * 8000,
    "a long number": "/" + "9" * 8000,
    "a long segment": "/" + "x" * 8000,
}


@pytest.mark.parametrize("path", [pytest.param(path, id=name) for name, path in HOSTILE.items()])
def test_a_hostile_path_takes_no_noticeable_time(path):
    """Each of these takes a backtracking regular expression seconds to minutes."""
    keys = [
        "/<path:a>/x/<path:b>",
        "/<path:a>/x/<path:b>/x/<path:c>/y",
        "/<path:a>/<int(min=5):n>/<path:b>/z",
    ]
    keys += ["/<path:a>.pdf", "/<path:a>-<int(min=5):n>", "/<a>-<b>-<c>/x", "/<int(max=9):n>", "/<float:f>/x"]
    keys += ["/<a>-<b>-<c>.pdf", "/<path:a>-<path:b>-<path:c>.pdf"]
    keys += ["/<path:a>-<b>-<c>.pdf", "/<a>-<b>-x<path:c>", "/<a>-<b>-<c>-x<d>.pdf", "/<a><float:b>-<int:c>x"]
    keys += ["/<string(length=2):a>-<string(maxlength=9):b>-<any(a,b):c>-<uuid:d>-<int(min=5):e>.pdf"]
    keys += ["/<a>-<int:b>-<int:c>-<d>-x<path:e>", "/<path:a>-<int:b>-<int:c>.pdf", "/<int:a><int:b><int:c>x"]
    maps = [RouteRules({key: "deny"}) for key in keys]
    start = time.process_time()
    for rules in maps:
        with suppress(BadRequestError):  # too many ways to share it out
            rules.match("GET", path)
    assert time.process_time() - start < (1 if sys.gettrace() is None else 5)


class Tail(BaseConverter):
    """As applications write them: it takes slashes, and much else."""

    regex = r"[\w./-]+"
    part_isolating = False


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/f" + "/a" * 3950, id="segments"),
        pytest.param("/f" + "//a" * 4 + "/a" * 3900, id="segments and runs"),
        pytest.param("/f/" + "a" * 7900, id="one long segment"),
    ],
)
def test_a_hostile_path_takes_no_noticeable_time_for_converters_of_ones_own(path):
    keys = ["/f/<tail:p>.pdf", "/f/<tail:p>/raw", "/f/<int:n>/<tail:p>/<tail:q>", "/f/<tail:p>-<int:n>"]
    maps = [RouteRules({key: "deny"}, converters={"tail": Tail}) for key in keys]
    start = time.process_time()
    for rules, spelling in product(maps, parse_path(path)):
        with suppress(BadRequestError):
            rules.match("GET", spelling)
    assert time.process_time() - start < (1 if sys.gettrace() is None else 5)


MANY = {
    "text": {f"/area{n}/page": ["staff"] for n in range(10_000)},
    "numbers": {f"/area{n}/<int:number>/edit": ["staff"] for n in range(10_000)},
    "methods": {
        f"{m} /area{n}/<name>": ["staff"] for n in range(2500) for m in ("GET", "POST", "PUT", "PATCH")
    },
    "below one variable, beside another": {
        "/<int:n>/x": "public",
        **{f"/<name>/page{n}": ["staff"] for n in range(9999)},
    },
    "numbers that look alike": {f"/x/<int(min={n}):number>": ["staff"] for n in range(10_000, 0, -1)},
    "prefixes": {f"/user{n}-<name>": ["staff"] for n in range(10_000)},
}


untraced = pytest.mark.skipif(
    sys.gettrace() is not None, reason="coverage or a debugger takes most of the time"
)


@untraced
@pytest.mark.parametrize("rules", [pytest.param(rules, id=name) for name, rules in MANY.items()])
def test_ten_thousand_rules_are_built_sooner_than_werkzeug_binds_them(rules):
    assert_built_soon(rules)


def assert_built_soon(rules: dict[str, Any]) -> None:
    """Werkzeug tells the machine's pace: it takes some three seconds to bind ten thousand, on any number in proportion."""

    def build() -> None:
        assert len(RouteRules(rules).keys) == len(rules)

    def bind() -> None:
        url_map = Map()
        for key in some:
            Rule(key.rpartition(" ")[2]).bind(url_map)

    some = list(rules)[:: len(rules) // 1000]
    assert any(seconds(build) < 0.75 * len(rules) / len(some) * seconds(bind) for _ in range(2))


def seconds(work: Callable[[], None]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


@untraced
def test_five_thousand_rules_that_begin_alike_for_werkzeug_are_built_as_soon():
    assert_built_soon({f"/<int(min={n}):number>/edit": "deny" for n in range(5000, 0, -1)})


@untraced
def test_the_last_of_ten_thousand_rules_is_found_as_fast_as_the_last_of_ten():
    def find_last(rules: RouteRules) -> None:
        last = rules.keys[-1]
        path = last.replace("<int:number>", "12") + "/more"
        for _ in range(2000):
            assert rules.match("GET", path).key == last

    many = MANY["numbers"]
    large, small = RouteRules(many), RouteRules(dict(list(many.items())[:10]))
    best = min((seconds(partial(find_last, large)), seconds(partial(find_last, small))) for _ in range(5))
    assert best[0] < 1.5 * best[1] + 0.005
