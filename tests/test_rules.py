"""The route map: what may be written in it, which paths a rule covers, and which rule wins (design.md §4)."""

from __future__ import annotations

import functools
import logging
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter, Map, PathConverter, Rule

from cognito_wsgi import Access, ConfigurationError, RouteRules
from cognito_wsgi.errors import BadRequestError
from cognito_wsgi.rule_tree import MatchedRule
from cognito_wsgi.rules import parse_access

from .covering import (
    CONVERTERS,
    OWN_CONVERTERS,
    CoveringRule,
    Even,
    Segment,
    covers,
    find_covering,
    fits,
    look,
    split_parts,
)

# who gets in


def lets_in(access: Access, *, groups: Any = (), scopes: Any = (), claims: Any = None) -> bool:
    """Whether a signed-in user gets in."""
    return access.find_missing(groups, scopes) is None and access.accepts(claims or {})


ALL_OF = [
    pytest.param(["a", "b"], id="list"),
    pytest.param(("a", "b"), id="tuple"),
    pytest.param({"groups": ["a", "b"]}, id="dict"),
    pytest.param({"groups": ("a", "b"), "any_group": False}, id="dict with a tuple"),
    pytest.param(Access(groups=("a", "b")), id="Access"),
    pytest.param(Access(groups=["a", "b"]), id="Access of a list"),
]


@pytest.mark.parametrize("value", ALL_OF)
def test_several_groups_are_all_needed(value):
    access = parse_access(value)
    assert lets_in(access, groups=("b", "c", "a"))
    for groups in [(), ("a",), ("b",), ("A", "b"), ("a b",), ("ab",)]:
        assert not lets_in(access, groups=groups)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"groups": ["a", "b"], "any_group": True}, id="dict"),
        pytest.param(Access(groups=("a", "b"), any_group=True), id="Access"),
    ],
)
def test_any_group_of_several_is_enough(value):
    access = parse_access(value)
    for groups in [("a",), ("x", "b"), ("a", "b")]:
        assert lets_in(access, groups=groups)
    for groups in [(), ("x",), ("B",)]:
        assert not lets_in(access, groups=groups)


@pytest.mark.parametrize(
    "value", [{"scopes": ["r", "w"]}, Access(scopes=("r", "w")), Access(scopes=["r", "w"])], ids=repr
)
def test_several_scopes_are_all_needed(value):
    access = parse_access(value)
    assert lets_in(access, scopes=("w", "openid", "r"))
    for scopes in [(), ("r",), ("r w",), ("R", "w")]:
        assert not lets_in(access, scopes=scopes)


def test_words_let_in_whom_they_name():
    assert parse_access("public") == Access("public")
    assert lets_in(parse_access("authenticated"))
    assert not lets_in(parse_access("deny"), groups=("a",), scopes=("r",))
    assert parse_access({"allow": "deny", "exact": True}) == Access("deny", exact=True)


@pytest.mark.parametrize(
    ("where", "is_let_in"),
    [
        pytest.param(lambda claims: claims["plan"] == "gold", True, id="True"),
        pytest.param(lambda claims: claims["plan"] == "tin", False, id="False"),
        pytest.param(lambda claims: 1, False, id="1"),
        pytest.param(lambda claims: "yes", False, id="text"),
        pytest.param(lambda claims: claims, False, id="the claims"),
        pytest.param(lambda claims: None, False, id="None"),
        pytest.param(lambda claims: lambda: True, False, id="a function"),
    ],
)
def test_where_lets_in_by_true_itself(where, is_let_in):
    for access in (Access(where=where), parse_access({"where": where})):
        assert lets_in(access, claims={"plan": "gold"}) is is_let_in


def test_where_that_raises_lets_nobody_in_and_is_logged(caplog):
    access = Access(where=lambda claims: claims["missing"])
    assert not lets_in(access)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None


def test_conditions_add_up():
    access = parse_access({"groups": ["a"], "scopes": ["r"], "where": lambda claims: claims["ok"]})
    full: dict[str, Any] = {"groups": ("a",), "scopes": ("r",), "claims": {"ok": True}}
    assert lets_in(access, **full)
    for lacking in ({"groups": ()}, {"scopes": ()}, {"claims": {"ok": False}}):
        assert not lets_in(access, **{**full, **lacking})


@pytest.mark.parametrize(
    ("access", "text"),
    [
        pytest.param(Access("public"), "public", id="word"),
        pytest.param(Access(groups=("a", "b")), "authenticated, groups: a + b", id="all groups"),
        pytest.param(
            Access(groups=("a", "b"), any_group=True), "authenticated, groups: a | b", id="any group"
        ),
        pytest.param(
            Access(scopes=("r", "w"), max_auth_age=300, where=bool, report_only=True),
            "authenticated, scopes: r w, signed in at most 300 s ago, where bool, reported only",
            id="everything else",
        ),
        pytest.param(Access(where=print.__call__), "authenticated, where __call__", id="a method"),
    ],
)
def test_an_access_describes_itself(access, text):
    assert access.describe() == text


MISTAKEN_ACCESS = [
    pytest.param("Public", "'Public'; do you mean 'public'?", id="capital"),
    pytest.param("authorised", "unknown access 'authorised'", id="unknown word"),
    pytest.param("", "known are 'public', 'authenticated', 'deny'", id="empty word"),
    pytest.param("admin", "unknown access 'admin'", id="a group without a list"),
    pytest.param([], "an empty list of groups", id="empty list"),
    pytest.param((), "an empty list of groups", id="empty tuple"),
    pytest.param({}, "an empty dict; write 'authenticated'", id="empty dict"),
    pytest.param({"group": ["a"]}, "unknown key 'group'; do you mean 'groups'?", id="misspelt key"),
    pytest.param({"public": True}, "unknown key 'public'", id="unknown key"),
    pytest.param({1: 2}, "unknown key 1", id="key that is no text"),
    pytest.param({"groups": []}, "an empty list of groups", id="dict with no groups"),
    pytest.param({"groups": None}, "an empty list of groups", id="dict with None for groups"),
    pytest.param({"scopes": ()}, "an empty list of scopes", id="dict with no scopes"),
    pytest.param({"groups": "admin"}, "groups is 'admin'; write a list", id="groups as text"),
    pytest.param({"groups": {"a"}}, "groups is {'a'}; write a list", id="groups as a set"),
    pytest.param(["a", 1], "groups is ('a', 1); write a list of names", id="a number among groups"),
    pytest.param(["a", ""], "write a list of names", id="an empty name"),
    pytest.param({"scopes": "r w"}, "scopes is 'r w'; write a list", id="scopes as text"),
    pytest.param({"scopes": ["r w"]}, "write one scope an item", id="two scopes in one item"),
    pytest.param({"scopes": ["r", 'w"']}, "write one scope an item", id="scope with a quote"),
    pytest.param(
        {"scopes": ["r\u00a0w"]}, "write one scope an item", id="scope with a space of another kind"
    ),
    pytest.param({"any_group": True}, "any_group without groups", id="any_group alone"),
    pytest.param(
        {"groups": ["a"], "any_group": "yes"}, "any_group is 'yes'; write True or False", id="any_group text"
    ),
    pytest.param({"exact": 1}, "exact is 1; write True or False", id="exact as a number"),
    pytest.param({"report_only": None}, "report_only is None; write True", id="report_only None"),
    pytest.param({"max_auth_age": 0}, "max_auth_age is 0; write a whole number", id="age 0"),
    pytest.param({"max_auth_age": -1}, "max_auth_age is -1", id="age below 0"),
    pytest.param({"max_auth_age": 1.5}, "max_auth_age is 1.5", id="age with a fraction"),
    pytest.param({"max_auth_age": True}, "max_auth_age is True", id="age True"),
    pytest.param({"max_auth_age": "300"}, "max_auth_age is '300'", id="age as text"),
    pytest.param({"where": "admin"}, "where is 'admin'; write a function", id="where as text"),
    pytest.param({"allow": "public", "groups": ["a"]}, "conditions beside 'public'", id="public with groups"),
    pytest.param({"allow": "deny", "max_auth_age": 9}, "conditions beside 'deny'", id="deny with an age"),
    pytest.param({"allow": "everyone"}, "unknown access 'everyone'", id="dict with an unknown word"),
    pytest.param({"allow": ["a"]}, "unknown access ['a']", id="dict with a list for a word"),
    pytest.param(None, "None; write 'public'", id="None"),
    pytest.param(True, "True; write 'public'", id="True"),
    pytest.param(b"public", "b'public'; write", id="bytes"),
    pytest.param({"admin"}, "{'admin'}; write", id="a set"),
]


@pytest.mark.parametrize(("value", "words"), MISTAKEN_ACCESS)
def test_a_mistaken_access_is_refused_with_the_rule_and_what_to_write(value, words):
    with pytest.raises(ConfigurationError) as caught:
        RouteRules({"/good": "public", "/here": value})
    assert all(problem.startswith("rule '/here': ") for problem in caught.value.problems)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param({"groups": []}, "an empty list of groups", id="empty list of groups"),
        pytest.param({"scopes": []}, "an empty list of scopes", id="empty list of scopes"),
        pytest.param({"groups": "admin"}, "groups is 'admin'", id="groups as text"),
        pytest.param({"allow": "publik"}, "do you mean 'public'?", id="misspelt word"),
    ],
)
def test_an_access_object_is_checked_as_well(options, words):
    with pytest.raises(ConfigurationError, match=words):
        Access(**options)


def test_all_mistakes_are_told_at_once():
    with pytest.raises(ConfigurationError) as caught:
        RouteRules({"a": "public", "/b": "pulbic", "/c": {"max_auth_age": 0, "exact": 0}}, default="dany")
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        *("default", "rule 'a'", "rule '/b'", "rule '/c'", "rule '/c'")
    ]


@pytest.mark.parametrize(
    ("default", "words"),
    [
        pytest.param("pubic", "default: unknown access 'pubic'; do you mean 'public'?", id="misspelt"),
        pytest.param([], "default: an empty list of groups", id="empty list"),
        pytest.param(None, "default: None; write", id="None"),
        pytest.param({"exact": True}, "default: exact has no meaning here", id="exact"),
    ],
)
def test_a_mistaken_default_is_refused(default, words):
    with pytest.raises(ConfigurationError, match=words.replace("?", r"\?")):
        RouteRules({}, default=default)


def test_the_default_decides_where_no_rule_does():
    assert RouteRules({}).match("GET", "/x") == MatchedRule("default", Access("authenticated"))
    rules = RouteRules({"/a": "public"}, default=["staff"])
    assert rules.match("GET", "/x") == MatchedRule("default", Access(groups=("staff",)))
    assert rules.default.key == "default"


@pytest.mark.parametrize("rules", [None, [], [("/a", "public")], "/a", {"/a"}], ids=repr)
def test_rules_that_are_no_dict_are_refused(rules):
    with pytest.raises(ConfigurationError, match="write a dict of path to access"):
        RouteRules(rules)


# what a key covers

UUID = "0b9d7c1e-5a3f-4e2d-8c6b-1f0a9e8d7c6b"
COVERED = [
    pytest.param(
        "/admin",
        "/admin /admin/ /admin/users /admin/users/7 /admin//x",
        "/ /administrator /Admin /x/admin /admin.html /admin;x /adm",
        id="path",
    ),
    pytest.param("/admin/", "/admin /admin/ /admin/x", "/ /administrator", id="path with a slash at its end"),
    pytest.param("/", "/", "/x /x/y", id="root page"),
    pytest.param("/a/b", "/a/b /a/b/c", "/a /a/ /a/c /b", id="two segments"),
    pytest.param("/käse", "/käse /käse/x", "/kase /k%C3%A4se", id="not ASCII"),
    pytest.param("/a.b+c(d)", "/a.b+c(d)", "/axb+c(d) /a.bc", id="what regular expressions read otherwise"),
    pytest.param("/u/<name>", "/u/7 /u/x-y /u/x/settings /u/a.b", "/u /u/", id="text"),
    pytest.param("/u/<string(length=2):x>", "/u/ab /u/ab/c", "/u/a /u/abc", id="text of a length"),
    pytest.param(
        "/u/<string(minlength=2, maxlength=3):x>", "/u/ab /u/abc", "/u/a /u/abcd", id="text between"
    ),
    pytest.param("/u/<int:n>", "/u/7 /u/007 /u/7/x /u/٣", "/u/-7 /u/7a /u/7.0 /u/x /u", id="number"),
    pytest.param("/u/<int(min=5, max=9):n>", "/u/5 /u/9 /u/07", "/u/4 /u/10", id="number between"),
    pytest.param("/u/<int(signed=True):n>", "/u/-7 /u/7", "/u/--7 /u/+7", id="number with a sign"),
    pytest.param("/u/<int(fixed_digits=3):n>", "/u/007 /u/123", "/u/7 /u/0007", id="number of digits"),
    pytest.param("/u/<float:n>", "/u/1.5", "/u/1 /u/.5 /u/1. /u/-1.5", id="fraction"),
    pytest.param("/u/<uuid:id>", f"/u/{UUID} /u/{UUID.upper()}/x", f"/u/{UUID[:-1]} /u/{UUID}0", id="uuid"),
    pytest.param('/u/<any(a, "b/c", "d e"):x>', "/u/a /u/a/x", "/u/b /u/b/c /u/A", id="any of several"),
    pytest.param("/f/<path:p>", "/f/x /f/x/y /f/x//y /f/x/", "/f /f/", id="path"),
    pytest.param("/<path:p>", "/x /x/y/z", "/", id="path from the root"),
    pytest.param(
        "/<path:p>/edit", "/x/edit /x/y/edit /x/edit/z /x/edit/", "/edit /x /x/editor", id="path, then text"
    ),
    pytest.param("/<path:a>/x/<path:b>", "/q/x/r /q/x/x/r /q/r/x/r/r", "/x/x /q/x /q/r", id="two paths"),
    pytest.param(
        "/<path:p>.pdf",
        "/a.pdf /a/b.pdf /a.pdf/x /a/.pdf",
        "/.pdf /a /a.pdfx /axpdf",
        id="path with an ending",
    ),
    pytest.param("/v<int:major>-<path:p>", "/v1-x /v1-x/y", "/v1- /vx-y /v1-/x", id="path with a beginning"),
    pytest.param(
        "/<path:a>-<path:b>/z", "/x-y/z /x/q-y/r/z", "/xy/z /-y/z /x-/z", id="two paths in one segment"
    ),
    pytest.param(
        "/<path:p><int(min=15):n>", "/q/17 /117", "/q/7 /17", id="path that leaves digits to a number"
    ),
    pytest.param("/<a>-<int:n>", "/x-7 /x-y-7 /x-y-7/z", "/x-y /-7", id="variable before a number"),
    pytest.param("/v.<int:n>", "/v.1", "/vx1 /v1", id="text before that is no expression"),
    pytest.param("/<path:p>-<a>-<b>", "/q/x-y-z /x-y-z/q", "/q/x-y /x-y/z", id="path, then two variables"),
    pytest.param("/<a>-<b>-<path:p>.pdf", "/x-y-z/q.pdf", "/x-y/z.pdf", id="two variables, then a path"),
    pytest.param("/<a>-<b>", "/x-y /x-y-z /x-y/z", "/x /-y /x-", id="two variables in a segment"),
    pytest.param("/t/<team>/bill", "/t/x/bill /t/x/bill/7", "/t/x /t/bill /t/x/y/bill", id="variable inside"),
]


@pytest.mark.parametrize(("key", "covered", "others"), COVERED)
def test_a_rule_covers_its_path_and_all_beneath(key, covered, others):
    rules = RouteRules({key: "deny"})
    for path in covered.split():
        assert rules.match("GET", path).key == key, path
    for path in others.split():
        assert rules.match("GET", path).key == "default", path


@pytest.mark.parametrize(
    ("key", "covered", "others"),
    [
        pytest.param("/a", "/a /a/", "/a/b /a//b /", id="path"),
        pytest.param("/", "/", "/a", id="root page"),
        pytest.param("/u/<int:n>", "/u/7 /u/7/", "/u/7/x", id="number"),
        pytest.param("/f/<path:p>", "/f/x /f/x/y /f/x/y/", "/f", id="path"),
        pytest.param("/<path:p>/edit", "/x/edit /x/y/edit/", "/x/edit/y /x", id="path, then text"),
    ],
)
def test_an_exact_rule_covers_its_path_alone(key, covered, others):
    rules = RouteRules({key: {"allow": "public", "exact": True}})
    for path in covered.split():
        assert rules.match("GET", path).key == key, path
    for path in others.split():
        assert rules.match("GET", path).key == "default", path


@pytest.mark.parametrize("separator", ["\n", "\r", "\x0b", "\x1c", "\x85", "\N{LINE SEPARATOR}"], ids=ascii)
@pytest.mark.parametrize("key", ["/f/<path:p>", "/f/<path:p>/end", "/<path:p>.end", "/<a>/<b>", "/f"])
def test_what_ends_a_line_does_not_end_a_rule(key, separator):
    """The gateway refuses most of these before; a rule holds all the same."""
    path = f"/f/x{separator}y/z{separator}/end" if not key.endswith(".end") else f"/f/x{separator}y.end"
    assert RouteRules({key: "deny"}).match("GET", path).key == key


METHODS = [
    pytest.param("POST /a", "POST post", "GET HEAD PUT OPTIONS POSTS", id="one"),
    pytest.param("post /a", "POST", "GET", id="in small letters"),
    pytest.param("PUT|DELETE /a", "PUT DELETE", "GET POST PATCH", id="two"),
    pytest.param("GET /a", "GET HEAD", "POST OPTIONS", id="GET covers HEAD"),
    pytest.param("HEAD /a", "HEAD", "GET", id="HEAD alone"),
    pytest.param("PROPFIND|M-SEARCH|X_9 \t/a", "PROPFIND M-SEARCH X_9", "GET", id="unusual"),
    pytest.param("/a", "GET HEAD POST ANYTHING", "", id="none named"),
]


@pytest.mark.parametrize(("key", "covered", "others"), METHODS)
def test_a_rule_with_methods_covers_these_alone(key, covered, others):
    rules = RouteRules({key: "deny"})
    for method in covered.split():
        assert rules.match(method.upper(), "/a/x").key == key
    for method in others.split():
        assert rules.match(method, "/a/x").key == "default"


# which rule wins

PRECEDENCE = [
    pytest.param(["/", "/<path:p>", "/<x>/q", "/<int:n>", "/a"], "/a", "/a", id="text before all"),
    pytest.param(["/<int:n>", "/<path:p>/y"], "/7/y", "/<path:p>/y", id="text in it before a number"),
    pytest.param(["/<x>/y", "/<int:n>/y"], "/7/y", "/<int:n>/y", id="number before text"),
    pytest.param(["/<x>/y", "/<int:n>/y"], "/x/y", "/<x>/y", id="number that does not fit"),
    pytest.param(["/<path:p>", "/a/<x>"], "/a/b", "/a/<x>", id="converter before path"),
    pytest.param(["/<path:p>", "/a"], "/a/b/c", "/a", id="beneath text before a path"),
    pytest.param(
        ["/a", "/a/<path:p>", "/a/<x>/y"], "/a/b/c", "/a/<path:p>", id="path before what is beneath"
    ),
    pytest.param(["/<path:p>/edit", "/<path:p>"], "/a/edit", "/<path:p>/edit", id="longer path rule"),
    pytest.param(["/x-<a>", "/<a>-<b>"], "/x-y", "/x-<a>", id="as much text, fewer variables later"),
    pytest.param(["/long-<a>", "/l<a>"], "/long-x", "/long-<a>", id="longer text"),
    pytest.param(["/<any(a,b):x>", "/<y>"], "/b", "/<any(a,b):x>", id="tie: the earlier"),
    pytest.param(["/<y>/z", "/<any(a,b):x>"], "/b", "/<any(a,b):x>", id="tie: the earlier does not fit"),
    pytest.param(["/<x>/y", "/<int:n>"], "/7/y", "/<int:n>", id="segment by segment, not by length"),
    pytest.param(["/a/<x>/c", "/a/b"], "/a/b/c", "/a/b", id="segment by segment, beneath"),
    pytest.param(["/<x>", "/<int:n>/y"], "/7/z", "/<x>", id="way back from a deeper rule"),
    pytest.param(["/<x>/c", "/a/b"], "/a/c", "/<x>/c", id="way back from text"),
    pytest.param(
        ["/a", "/a/<int(min=5):n>"], "/a/4", "/a", id="converter that does not fit, to the one above"
    ),
    pytest.param(["/", "/a"], "/b", "default", id="root page is above nothing"),
]


@pytest.mark.parametrize(("keys", "path", "winner"), PRECEDENCE)
def test_the_most_specific_rule_wins(keys, path, winner):
    assert RouteRules(dict.fromkeys(keys, "deny")).match("GET", path).key == winner


METHOD_PRECEDENCE = [
    pytest.param(["/a", "POST /a"], "POST", "/a/x", "POST /a", id="with the method"),
    pytest.param(["/a", "POST /a"], "GET", "/a/x", "/a", id="without it"),
    pytest.param(["/a", "POST /a/b"], "GET", "/a/b", "/a", id="gives way to the one above"),
    pytest.param(["/a", "POST /a/b", "/<x>/b"], "GET", "/a/b", "/a", id="above, not aside"),
    pytest.param(["/a", "POST /a/b", "/a/<x>"], "GET", "/a/b", "/a/<x>", id="aside, if it is above too"),
    pytest.param(["POST /a", "/<x>"], "GET", "/a/b", "/<x>", id="to another that fits"),
    pytest.param(["POST /a/b", "/"], "GET", "/a/b", "default", id="to the default in the end"),
    pytest.param(["/a", "POST /a/b"], "POST", "/a", "/a", id="method of a deeper rule"),
    pytest.param(["POST /a", "/a/b"], "POST", "/a/b", "/a/b", id="deeper before method"),
    pytest.param(["GET /a", "/a"], "HEAD", "/a", "GET /a", id="HEAD as GET"),
    pytest.param(["GET /a", "HEAD /a", "/a"], "HEAD", "/a", "HEAD /a", id="HEAD itself"),
    pytest.param(["POST /<x>", "GET /<y>"], "POST", "/q", "POST /<x>", id="variables' names do not matter"),
    pytest.param(["/<x>", "POST /<y>"], "POST", "/q", "POST /<y>", id="nor does their order"),
    pytest.param(["GET /<path:x>", "POST /<path:y>"], "POST", "/q/r", "POST /<path:y>", id="paths"),
    pytest.param(["/<path:x>/", "POST /<path:y>"], "POST", "/q", "POST /<path:y>", id="path with a slash"),
    pytest.param(["/<path:x>", "POST /<path:y>/"], "POST", "/q", "POST /<path:y>/", id="path without one"),
]


@pytest.mark.parametrize(("keys", "method", "path", "winner"), METHOD_PRECEDENCE)
def test_on_the_same_path_the_method_wins(keys, method, path, winner):
    assert RouteRules(dict.fromkeys(keys, "deny")).match(method, path).key == winner


def test_an_exact_rule_leaves_what_is_beneath_to_the_rule_above():
    rules = RouteRules({"/a": "public", "/a/b": {"exact": True, "allow": "deny"}})
    assert [rules.match("GET", path).key for path in ("/a/b", "/a/b/", "/a/b/c")] == ["/a/b", "/a/b", "/a"]


def test_a_converter_must_fit_the_reading_that_a_longer_route_gives_it():
    """Werkzeug reads q/3/7/z in '/<path:a>/<int(min=5):n>/z' as a=q/3, n=7: a first reading, n=3, is not the last."""
    rules = RouteRules({"/<path:a>/<int(min=5):n>": "deny"}, default="public")
    assert rules.match("GET", "/q/3/7/z").access.allow == "deny"


SEGMENTS: list[Segment] = [
    *(("a",), ("b",), ("7",)),
    *((converter,) for converter in CONVERTERS),
    *(("a", converter) for converter in CONVERTERS),
    *((converter, "7") for converter in CONVERTERS),
]
PATHS = st.lists(
    st.sampled_from(["a", "b", "7", "07", "-7", "ab", "1.5", UUID, "a7", "x", ""]), max_size=5
).map(lambda segments: "/" + "/".join(segments).lstrip("/"))
METHOD_NAMES = ("GET", "HEAD", "POST", "DELETE")


@functools.cache
def fitting(text: str) -> list[Segment]:
    return [(text,)] * 5 + [segment for segment in SEGMENTS if fits(segment, text)]


@functools.cache
def twins_of(segment: Segment) -> list[Segment]:
    """Those that look the same to Werkzeug, and itself."""
    return [segment, *(other for other in SEGMENTS if look((other,)) == look((segment,)))]


@st.composite
def maps_with_a_path(draw: st.DrawFn) -> tuple[list[CoveringRule], str]:
    """A path, and rules many of which cover it and begin alike, so that the order among them matters."""
    path = draw(PATHS)
    texts = [text for text in path.split("/") if text]
    few = [
        draw(st.lists(st.sampled_from(fitting(text) * 2 + SEGMENTS), min_size=2, max_size=5))
        for text in texts
    ]
    segments = [
        st.sampled_from(some).flatmap(lambda segment: st.sampled_from(twins_of(segment))) for some in few
    ] or [st.sampled_from(SEGMENTS)]
    rules = st.builds(
        CoveringRule,
        st.integers(0, 3).flatmap(lambda size: st.tuples(*segments[:size])),
        st.sampled_from([(), (), ("GET",), ("POST", "PUT"), ("HEAD",)]),
        exact=st.sampled_from([False, False, True]),
        has_slash=st.booleans(),
    )
    return draw(st.lists(rules, min_size=2, max_size=8)), path


def accepted(candidates: list[CoveringRule]) -> tuple[list[CoveringRule], RouteRules]:
    """Those rules that may stand together in a map."""
    kept: list[CoveringRule] = []
    rules = RouteRules({})
    for candidate in candidates:
        together = {rule.key: rule.value for rule in [*kept, candidate]}
        if len(together) == len(kept):
            continue
        try:
            rules = RouteRules(together, converters=OWN_CONVERTERS)
        except ConfigurationError:
            continue
        kept.append(candidate)
    return kept, rules


@given(maps_with_a_path())
def test_the_rule_found_is_the_one_that_trying_everything_finds(candidates_and_path):
    candidates, path = candidates_and_path
    kept, rules = accepted(candidates)
    for method, asked in product(METHOD_NAMES, (path, path + "/", path + "/x")):
        covering = find_covering(kept, method, asked)
        assert rules.match(method, asked).key == (covering.key if covering else "default")


@given(maps_with_a_path())
def test_the_order_is_that_of_werkzeugs_own_map(candidates_and_path):
    """Where Werkzeug finds a route among the same rules, that is ours."""
    candidates, path = candidates_and_path
    path = path.rstrip("/") or "/"
    kept, rules = accepted([rule for rule in candidates if not rule.exact])
    url_map = Map(strict_slashes=False, merge_slashes=False, converters=OWN_CONVERTERS)

    def place(rule: CoveringRule) -> object:
        return rule.segments, rule.has_slash and rule.takes_slashes

    first = {place(rule): number for number, rule in reversed([*enumerate(kept)])}
    # On the same path Werkzeug takes the first, we one with the method.
    for rule in sorted(kept, key=lambda rule: (first[place(rule)], not rule.methods)):
        methods = [*rule.methods, "GET-IS-NO-HEAD"] if rule.methods == ("HEAD",) else rule.methods or None
        url_map.add(Rule(rule.written, endpoint=rule.key, methods=methods))
    exact = {rule.key for rule in kept if covers(rule.segments, path[1:].split("/"), True)}
    for method in METHOD_NAMES:
        try:
            endpoint, _ = url_map.bind("localhost").match(path, method)
        except HTTPException:
            continue
        ours = rules.match(method, path).key
        if ours in exact:  # else one that covers it from above goes before, which Werkzeug knows nothing of
            assert split_parts_of(kept, ours) == split_parts_of(kept, endpoint)


@pytest.mark.parametrize(
    ("rules", "path", "key"),
    [
        pytest.param(
            ["/<int(min=5):a>/<b>", "/<int:a>/secret"], "/7/secret", "/<int:a>/secret", id="literal behind"
        ),
        pytest.param(
            ["/<int(min=5):a>/<b>", "/<int:a>/secret"], "/7/x", "/<int(min=5):a>/<b>", id="variable behind"
        ),
        pytest.param(["/<int(min=5):a>/<b>", "/<int:a>/secret"], "/3/x", None, id="beyond the limit"),
        pytest.param(
            ["/<int(min=5):a>", "/<int:a>/secret"], "/7/secret", "/<int:a>/secret", id="deeper behind"
        ),
        pytest.param(["/<int(min=5):a>", "/<int:a>/secret"], "/7/x", "/<int(min=5):a>", id="beneath"),
        pytest.param(["/<int(min=5):a>", "/<int:a>"], "/7", "/<int(min=5):a>", id="tie, the earlier key"),
        pytest.param(
            ["/<int:a>/x", "/<int(min=5):a>", "/<int:b>"],
            "/7",
            "/<int(min=5):a>",
            id="tie of keys, not edges",
        ),
        pytest.param(
            ["/<int(min=5):a>", "GET /<int:a>"],
            "/7",
            "/<int(min=5):a>",
            id="tie, though one names the method",
        ),
        pytest.param(
            ["PUT /<int(min=5):a>", "GET /<int:a>"], "/7", "GET /<int:a>", id="the one that has the method"
        ),
        pytest.param(
            ["PUT /<int:a>", "/<int(min=5):a>", "/<int:b>"],
            "/7",
            "/<int(min=5):a>",
            id="tie of those that fit",
        ),
        pytest.param(
            ["/<int:a>", "/<int(min=5):a>", "GET /<int:b>"],
            "/7",
            "GET /<int:b>",
            id="tie of paths, then methods",
        ),
        pytest.param(
            ["/<path:p>/<int(min=5):a>/", "/<path:p>/<int(max=9):b>"],
            "/x/7",
            "/<path:p>/<int(min=5):a>/",
            id="tie behind a path, the earlier key has a slash at the end",
        ),
        pytest.param(
            [
                "POST /<path:p>/<int(min=5):a>/",
                "GET /<path:p>/<int(max=9):b>",
                "GET /<path:p>/<int(min=6):c>/",
            ],
            "/x/7",
            "GET /<path:p>/<int(min=6):c>/",
            id="tie behind a path, the earliest key with a slash is of another method",
        ),
        pytest.param(
            ["/<int(min=5):a>", "GET /<int:a>/b/"], "/7/b/", "GET /<int:a>/b/", id="with a slash at the end"
        ),
        pytest.param(
            ["/<int(min=5):a>/<int(min=5):b>/x", "/<int:a>/<int:b>/<int:c>", "/<int:a>/<int(max=9):b>/y"],
            "/7/8/y",
            "/<int:a>/<int(max=9):b>/y",
            id="twice",
        ),
        pytest.param(
            ["/<int:a>/b", "/<int(min=5):a>/b/c"], "/7/b/c/d", "/<int(min=5):a>/b/c", id="beneath the deeper"
        ),
        pytest.param(
            ["/<int:a>/b", "/<int(min=5):a>/b/c"], "/7/b//c", "/<int:a>/b", id="beneath the shallower"
        ),
    ],
)
def test_converters_that_werkzeug_takes_for_one_are_looked_behind_together(rules, path, key):
    """Else the first would hide what is more specific behind the second, and Flask runs that."""
    found = RouteRules(dict.fromkeys(rules, "public")).match("GET", path).key
    assert found == (key or "default")


def test_an_exact_rule_behind_like_converters_covers_nothing_beneath():
    rules = {"/<int:a>/b": "authenticated", "/<int(min=5):a>/b/c": {"allow": "public", "exact": True}}
    assert RouteRules(rules).match("GET", "/7/b/c/d").key == "/<int:a>/b"


TIES = [
    pytest.param(
        "POST /<path:p>/<int(max=9):a>, GET /<path:p>/<int(min=5):b>, GET /<path:p>/<int(max=9):a>",
        "/x/7",
        1,
        id="behind a path",
    ),
    pytest.param(
        "POST /<int(max=9):a>/<path:p>, GET /<int(min=5):b>/<path:p>, GET /<int(max=9):a>/<path:p>",
        "/7/x",
        1,
        id="before a path",
    ),
    pytest.param(
        "POST /<known:p>, GET /<path:p>, GET /<known:q>", "/x", 1, id="a path and one that inherits"
    ),
    pytest.param(
        "POST /<int(min=5):a>/<string:x>, GET /<int:b>/<slug:y>, GET|PUT /<int:b>/<string:z>",
        "/3/p",
        2,
        id="placed by one whose converter refuses",
    ),
    pytest.param(
        "POST /<int(min=5):a>/x/<string:x>, GET /<int:b>/x/<slug:y>, GET|PUT /<int:b>/x/<string:z>",
        "/3/x/p",
        2,
        id="placed by one whose converter refuses, behind text",
    ),
    pytest.param(
        "POST /<int(min=5):a>/<path:x>, GET /<int:b>/<lettered:y>, GET|PUT /<int:b>/<path:z>",
        "/3/p",
        2,
        id="path placed by one whose converter refuses",
    ),
    pytest.param(
        "POST /<path:p>/<any(a,b):x>/, GET /<path:p>/<any(b,c):y>, GET /<path:p>/<any(a,b):x>",
        "/q/b",
        1,
        id="behind a path, with a slash at the end of another method's",
    ),
    pytest.param(
        "POST /<path:p>/<any(a,b):x>/, GET /<path:p>/<any(b,c):y>, GET /<path:p>/<any(a,b):x>",
        "/q/a",
        2,
        id="behind a path, and last in the order",
    ),
    pytest.param(
        "POST /<lower:p>/, GET /<slug:s>, GET /<lower:q>",
        "/x",
        1,
        id="the same about one that takes no slashes",
    ),
    pytest.param(
        "GET /<path:p>/<any(a,b):x>/, GET /<path:p>/<any(b,c):y>, POST /<path:p>/<any(a,b):x>",
        "/q/b/",
        0,
        id="behind a path, with a slash at the end of its own",
    ),
    pytest.param("/<int(min=5):a>/, /<int(max=9):b>", "/7", 1, id="without the slash"),
    pytest.param("/<int(min=5):a>/, /<int(max=9):b>", "/7/", 0, id="with the slash"),
    pytest.param("/<int(min=5):a>, /<int(max=9):b>/", "/7/", 1, id="with the slash of the later"),
    pytest.param("/<path:p>/<int(min=5):a>, /<path:p>/<int(max=9):b>/", "/x/7", 0, id="path, no slash"),
    pytest.param("/<path:p>/<int(min=5):a>, /<path:p>/<int(max=9):b>/", "/x/7/", 1, id="path, slash"),
    pytest.param("/<path:p>, /<known:q>/", "/x/", 0, id="path that takes the slash for itself"),
    pytest.param(
        "POST /<path:p>/<int(min=5):a>, /<path:p>/<int(max=9):b>/, /<path:p>/<int(min=5):c>",
        "/x/7",
        2,
        id="path, no slash, placed by another method",
    ),
]


@pytest.mark.parametrize("is_strict", [True, False], ids=["strict", "lax"])
@pytest.mark.parametrize(("keys", "path", "number"), TIES)
def test_among_twins_that_rule_decides_whose_route_werkzeug_finds(keys, path, number, is_strict):
    written = keys.split(", ")
    assert (
        RouteRules(dict.fromkeys(written, "deny"), converters=OWN).match("GET", path).key == written[number]
    )
    assert find_route(written, path, is_strict) == written[number]


def find_route(keys: list[str], path: str, is_strict: bool = True) -> str | None:
    """Which of these keys, made to routes, Werkzeug finds for GET."""
    url_map = Map(strict_slashes=is_strict, converters=OWN)
    for key in keys:
        methods, _, route = key.rpartition(" ")
        url_map.add(Rule(route, endpoint=key, methods=methods.split("|") if methods else None))
    try:
        endpoint, _ = url_map.bind("localhost").match(path)
    except HTTPException:
        return None
    return str(endpoint)


def test_what_ends_at_a_path_goes_before_a_twin_that_covers_it_from_above():
    rules = RouteRules({"/<known:p>": "deny", "/<path:q>": "public"}, converters=OWN)
    assert [rules.match("GET", path).key for path in ("/x", "/x/y")] == ["/<known:p>", "/<path:q>"]
    assert find_route(list(rules.keys), "/x/y") is None  # Known refuses, after it has been chosen


def split_parts_of(rules: list[CoveringRule], key: str) -> Any:
    (rule,) = (rule for rule in rules if rule.key == key)
    return split_parts(rule.segments)


# what may not stand in a key

MISTAKEN_KEYS = [
    pytest.param("admin", "begins with a slash", id="no slash"),
    pytest.param("", "begins with a slash", id="empty"),
    pytest.param(" /a", "begins with a slash", id="space before"),
    pytest.param(7, "begins with a slash", id="a number"),
    pytest.param(None, "begins with a slash", id="None"),
    pytest.param("https://x.test/a", "begins with a slash", id="URL"),
    pytest.param("GET, POST /a", "'PUT|DELETE /a'", id="methods with a comma"),
    pytest.param("GET|POST", "'PUT|DELETE /a'", id="methods without a path"),
    pytest.param("GETS /a", "unknown method 'GETS'; do you mean 'GET'?", id="misspelt method"),
    pytest.param("get|psot /a", "unknown method 'PSOT'; do you mean 'POST'?", id="misspelt second method"),
    pytest.param("GET|GET /a", "write each once", id="method twice"),
    pytest.param("GET| /a", "joined by |", id="bar at the end"),
    pytest.param("ANY /a", "leave it out", id="ANY"),
    pytest.param("ALL /a", "leave it out", id="ALL"),
    pytest.param("/a//b", "runs of slashes are merged", id="run of slashes"),
    pytest.param("//", "runs of slashes are merged", id="slashes alone"),
    pytest.param("/a//", "runs of slashes are merged", id="run at the end"),
    pytest.param("/<a>//b", "runs of slashes are merged", id="run beside a variable"),
    pytest.param("/a/../b", "one or two dots", id="dots"),
    pytest.param("/./a", "one or two dots", id="dot"),
    pytest.param("/<a>/..", "one or two dots", id="dots beside a variable"),
    pytest.param("/a\\b", "backslash", id="backslash"),
    pytest.param("/a\nb", "control characters", id="newline"),
    pytest.param("/a\x85", "control characters", id="C1"),
    pytest.param("/a%20b", "write the character itself", id="percent-encoded"),
    pytest.param("/a?b=1", "only the path is judged", id="query"),
    pytest.param("/a#b", "only the path is judged", id="fragment"),
    pytest.param("/a/*", "leave /* out", id="star"),
    pytest.param("/a ", "ends with a space", id="space at the end"),
    pytest.param("/<number:n>", "converter 'number' does not exist", id="unknown converter"),
    pytest.param("/<id:int>", "converter 'id' does not exist", id="converter and name exchanged"),
    pytest.param("/<int:n", "Werkzeug does not take this routing rule", id="not closed"),
    pytest.param("/<>", "Werkzeug does not take this routing rule", id="no name"),
    pytest.param("/<int(least=5):n>", "Werkzeug does not take this routing rule", id="unknown argument"),
    pytest.param(
        "/<int(min=five):n>", "Werkzeug does not take this routing rule", id="argument of a wrong type"
    ),
    pytest.param(
        "/<string(length=x):n>", "Werkzeug does not take this routing rule", id="length of a wrong type"
    ),
    pytest.param("/<a>/<a>", "stands in it twice", id="name twice"),
    pytest.param("/<int(min=9, max=5):n>", "no value is in the limits", id="no number between"),
    pytest.param("/<int(fixed_digits=2, min=100):n>", "no value is in the limits", id="too few digits"),
    pytest.param("/<int(max=0, min=1):n>/x", "no value is in the limits", id="no number at all"),
    pytest.param('/<any("a/b"):n>', "no value is in the limits", id="any with slashes alone"),
    pytest.param("/<string(minlength=5, maxlength=2):n>", "regular expression", id="no length between"),
    pytest.param("/a/<string(minlength=0):n>", "takes the empty text", id="empty text"),
]


@pytest.mark.parametrize(("key", "words"), MISTAKEN_KEYS)
def test_a_mistaken_key_is_refused_with_the_rule_and_what_to_write(key, words):
    with pytest.raises(ConfigurationError) as caught:
        RouteRules({"/good": "public", key: "public"})
    (problem,) = caught.value.problems
    assert problem.startswith(f"rule {key!r}: ")
    assert words in problem


DOUBLES = [
    pytest.param("/a", "/a/", id="slash at the end"),
    pytest.param("/<x>", "/<y>", id="other name"),
    pytest.param("/<x>", "/<string:x>", id="other name of the converter"),
    pytest.param("/<int(min=1):x>/b", "/<int( min = 1 ):x>/b", id="other spaces"),
    pytest.param("/<path:x>/b", "/<path:y>/b", id="paths"),
    pytest.param("/<path:x>/", "/<path:y>", id="path with a slash at the end"),
    pytest.param("GET /a", "GET|POST /a", id="method in both"),
    pytest.param("get /a", "GET /a", id="method in other letters"),
]


@pytest.mark.parametrize(("one", "other"), DOUBLES)
def test_two_rules_for_the_same_thing_are_refused(one, other):
    with pytest.raises(ConfigurationError) as caught:
        RouteRules({one: "public", other: "deny"})
    (problem,) = caught.value.problems
    assert problem.startswith(f"rule {other!r}: ")
    assert f"{one!r}" in problem
    assert "keep one" in problem


UNREACHABLE = [
    pytest.param(["/<a>", "/<uuid:b>"], id="uuid after text"),
    pytest.param(["/<a>", "/<string(length=2):b>"], id="length after text"),
    pytest.param(["/<a>", "/<any(x,y):b>"], id="any after text"),
    pytest.param(["/<a>", "/<any(x,y):b>/c"], id="deeper after text"),
    pytest.param(["/<a>", "/<path:b>"], id="path after all that begins as it does"),
    pytest.param(["/<int:a>/x", "/<int(min=5):b>/x"], id="limited number after a number"),
    pytest.param(["/<int(max=9):a>", "/<int(min=3, max=7):b>"], id="number within another's limits"),
    pytest.param(["/<int(signed=True):a>", "/<int:b>"], id="number after one with a sign"),
    pytest.param(["/<float:a>", "/<float(max=1.5):b>"], id="limited fraction after a fraction"),
    pytest.param(
        ["/<string(maxlength=5):a>", "/<string(minlength=2, maxlength=3):b>"], id="lengths within others"
    ),
    pytest.param(["/<path:a>/x", "/<path:b>/<any(x):c>"], id="path with text, then one without"),
    pytest.param(["/<path:a>/<b>", "/<path:c>/<any(x,y):d>"], id="paths"),
    pytest.param(["POST /<a>", "POST /<uuid:b>"], id="same method"),
    pytest.param(["/<a>", "POST /<uuid:b>"], id="method after all methods"),
    pytest.param(["/a/<b>/<c>", "/a/<b>/<uuid:c>"], id="last segment"),
]


@pytest.mark.parametrize("keys", UNREACHABLE)
def test_a_rule_that_no_request_can_reach_is_refused(keys):
    with pytest.raises(ConfigurationError) as caught:
        RouteRules(dict.fromkeys(keys, "deny"))
    (problem,) = caught.value.problems
    assert problem.startswith(f"rule {keys[1]!r}: no request can reach it, rule {keys[0]!r} takes")
    if "write it above that one" in problem:
        assert RouteRules(dict.fromkeys(keys[::-1], "deny")).keys == tuple(keys[::-1])
    else:
        assert "that one comes first in Werkzeug's order" in problem


class Slug(BaseConverter):
    regex = "[a-z0-9-]+"


REACHABLE = [
    pytest.param(["/<uuid:b>", "/<a>"], id="text after uuid"),
    pytest.param(["/<string(maxlength=100):a>", "/<b>"], id="text longer than another"),
    pytest.param(["/<int(max=99999):a>", "/<int:b>"], id="number greater than another"),
    pytest.param(["/<int(fixed_digits=3):a>", "/<int(min=100, max=999):b>"], id="number with leading zeros"),
    pytest.param(["/<int(fixed_digits=3):a>", "/<int(max=999):b>"], id="number with fewer digits"),
    pytest.param(["/<int:a>", "/<int(signed=True):b>"], id="number with a sign"),
    pytest.param(["/<int:a>", "/<float:b>"], id="fraction"),
    pytest.param(["/<any(x,y):a>", "/<any(x,z):b>"], id="any with one more"),
    pytest.param(["/<slug:a>", "/<b>"], id="what a converter of one's own leaves"),
    pytest.param(["/<a>", "/<slug:b>"], id="a converter of one's own: nobody can tell"),
    pytest.param(["/<string(maxlength=5):a>", "/<path:b>"], id="path after short texts"),
    pytest.param(["POST /<a>", "/<uuid:b>"], id="other methods"),
    pytest.param(["POST /<a>", "GET|POST /<uuid:b>"], id="one other method"),
    pytest.param(["/<a>!", "/<b>"], id="text in it"),
    pytest.param(["/<string(length=2):a>/x", "/<string(length=2):a>/<b>"], id="same beginning"),
    pytest.param(
        ["/<string(maxlength=5):a>/<int:b>", "/<c>/<int(max=9):d>", "/<e>/<int:f>"],
        id="two that leave a corner",
    ),
]


@pytest.mark.parametrize("keys", REACHABLE)
def test_a_rule_that_some_request_can_reach_is_taken(keys):
    rules = RouteRules(dict.fromkeys(keys, "deny"), converters={"slug": Slug})
    assert rules.keys == tuple(keys)


def test_an_exact_rule_hides_nothing_beneath_its_path():
    rules = RouteRules({"/<a>": {"exact": True}, "/<uuid:b>": "deny"})
    assert rules.match("GET", f"/{UUID}/x").key == "/<uuid:b>"


# the application's own converters


class Day(BaseConverter):
    """Breaks as one in a hurry does: with ValueError in place of ValidationError."""

    def to_python(self, value: str) -> tuple[int, int]:
        month, day = map(int, value.split("-"))
        return month, day


class Lettered(PathConverter):
    regex = "[a-z].*?"


class Optional(BaseConverter):
    regex = r"(?:\.\d+)?"


class Folder(BaseConverter):
    regex = ".*/"


class Lower(BaseConverter):
    regex = "[a-z/]+"


class Anything(BaseConverter):
    regex = ".*"


class Broken(BaseConverter):
    regex = "(("


class Demanding(BaseConverter):
    def __init__(self, map: Map, *args: Any) -> None:
        raise AttributeError("no database")


OWN = {
    **OWN_CONVERTERS,
    "day": Day,
    "folder": Folder,
    "anything": Anything,
    "broken": Broken,
    "demanding": Demanding,
    "optional": Optional,
    "lettered": Lettered,
    "lower": Lower,
    "slug": Slug,
}


@pytest.mark.parametrize(
    ("key", "covered", "others"),
    [
        pytest.param("/<even:n>", "/2 /10/x", "/3 /x", id="one that refuses values"),
        pytest.param(
            "/<int:a><optional:b><optional:c><optional:d>",
            "/1 /1.2 /1.2.3.4/x",
            "/ /x /1.2.3.4.5",
            id="three that may be nothing, together",
        ),
        pytest.param(
            "/<optional:a><optional:b><optional:c><optional:d>x", "/x /.1x", "/1x /y", id="four before a text"
        ),
        pytest.param("/f/<folder:f>", "/f/a/ /f/a/b/ /f/a/b", "/f /f/ /f/a", id="one that ends with a slash"),
        pytest.param(
            "/w/<known:p>", "/w/a/b /w/a/b/edit /w/x/y /w/a/b/", "/w/a /w/b/a", id="one that knows paths"
        ),
        pytest.param(
            "/<path:p>/<slug:s>/edit/all", "/q/r/s/edit/all", "/q/s/edit", id="one before two texts"
        ),
        pytest.param(
            "/w/<known:p>/edit", "/w/a/b/edit /w/x/edit/z", "/w/a/edit /w/a/b", id="the same inside"
        ),
        pytest.param(
            "/<path:p>-<known:k>",
            "/q-a/b /q-a/b/edit /q/r-x/y",
            "/q-r-a/b",
            id="the same for its share of a text",
        ),
    ],
)
def test_converters_of_the_application_decide_what_their_rules_cover(key, covered, others):
    rules = RouteRules({key: "deny"}, converters=OWN)
    for path in covered.split():
        assert rules.match("GET", path).key == key, path
    for path in others.split():
        assert rules.match("GET", path).key == "default", path


def own(regex: str) -> type[BaseConverter]:
    return type("Own", (BaseConverter,), {"regex": regex})


WHOLE = [
    pytest.param(r"[a-z/]+(?=/edit)", "/<own:p>/edit", "/a/b/edit", "/a/b", id="looks ahead at text"),
    pytest.param(r"[a-z/]+(?=/)", "/<own:p>/edit", "/a/b/edit", "/a/b", id="looks ahead at a slash"),
    pytest.param(r"(?<=/)[a-z/]+", "/<path:q>/<own:p>", "/a/b", "/a", id="looks behind"),
    pytest.param(
        r"[a-z/]+(?<!/log)(?=/edit)", "/<own:p>/edit", "/a/b/edit", "/a/log/edit", id="looks at both"
    ),
    pytest.param(
        r"(?:(?!/edit)[a-z/])+(?!/?$)", "/<own:p>/edit", "/a/b/edit", "/a/b", id="looks for the end"
    ),
    pytest.param(r"(?!.*/edit$)[a-z/]+", "/x/<own:p>", "/x/a/b", "/y", id="looks through all"),
    pytest.param(
        r"(?!admin/)[a-z/]+", "/<own:p>/edit", "/a/b/edit", "/admin/edit", id="keeps out of a place"
    ),
    pytest.param(r"[^.]+", "/<own:a>-<path:p>", "/a/b-c", "/a/.b-c", id="crosses slashes before a path"),
    pytest.param(r"[^.]+", "/<path:p>-<own:a>/end", "/a-b/c/end", "/a-b.c/end", id="crosses them behind it"),
    pytest.param(r".+", "/<path:p>-<own:a>/end", "/a-b/c/end", "/a-b/c", id="crosses them, and takes all"),
    pytest.param(r"[a-z/]+(?=/)", "/<own:p>/", "/a/b/", "/7/", id="looks ahead at a slash at the end"),
]


@pytest.mark.parametrize("exact", [False, True], ids=["with all beneath", "exact"])
@pytest.mark.parametrize(("regex", "key", "path", "other"), WHOLE)
def test_an_own_converter_beside_slashes_sees_what_werkzeug_shows_it(regex, key, path, other, exact):
    url_map = Map([Rule(key, endpoint=key)], converters={"own": own(regex)})
    rules = RouteRules({key: {"allow": "deny", "exact": exact}}, converters=url_map.converters)
    for asked, expected in ((path, key), (other, "default")):
        assert rules.match("GET", asked).key == expected
        assert url_map.bind("localhost").test(asked) is (expected == key)


def test_what_an_own_converter_keeps_out_may_be_beneath_what_it_takes():
    converters = {"own": own(r"(?!admin/)[a-z/]+")}
    rules = {"/<path:q>": "public", "/<own:p>": "deny"}
    assert RouteRules(rules, converters=converters).match("GET", "/admin/x").key == "/<own:p>"
    rules["/<own:p>"] = {"allow": "deny", "exact": True}
    assert RouteRules(rules, converters=converters).match("GET", "/admin/x").key == "/<path:q>"


def test_rules_with_the_same_own_converter_are_on_the_same_path():
    rules = RouteRules({"/<even:n>": "public", "POST /<even:m>": "deny"}, converters=OWN)
    assert rules.match("POST", "/2").access.allow == "deny"


def test_a_converter_that_breaks_lets_nobody_in(caplog):
    rules = RouteRules({"/": "public", "/day/<day:d>": "public"}, converters=OWN, default="public")
    assert rules.match("GET", "/day/12-24").key == "/day/<day:d>"
    with pytest.raises(BadRequestError):
        rules.match("GET", "/day/tomorrow")
    assert "Day" in caplog.text


def test_a_converter_that_breaks_on_what_nobody_has_asked_for_is_no_mistake_of_the_rules():
    """Whether a rule can be reached is found with paths that are made up."""
    rules = RouteRules({"/<day:d>": "public", "/<name>": "deny"}, converters=OWN)
    assert rules.match("GET", "/12-24").key == "/<day:d>"


@pytest.mark.parametrize(
    ("key", "words"),
    [
        pytest.param("/x/<anything:a>", "leave the converter out", id="takes the empty text"),
        pytest.param("/<path:p>/<anything:a>", "leave the converter out", id="takes it behind a path"),
        pytest.param(
            "/<broken:a>", "regular expression of its converter is wrong", id="no regular expression"
        ),
        pytest.param("/<demanding:a>", "no database", id="cannot be made"),
    ],
)
def test_a_converter_that_cannot_serve_is_refused(key, words):
    with pytest.raises(ConfigurationError, match=words):
        RouteRules({key: "deny"}, converters=OWN)


@pytest.mark.parametrize(
    ("converters", "words"),
    [
        pytest.param({"slug": Slug(Map())}, "converter 'slug' is <", id="an instance"),
        pytest.param({"slug": str}, "write a subclass of werkzeug.routing.BaseConverter", id="another class"),
        pytest.param([Slug], "converters is list; write a dict", id="a list"),
    ],
)
def test_mistaken_converters_are_refused(converters, words):
    with pytest.raises(ConfigurationError, match=words):
        RouteRules({}, converters=converters)


def test_converters_of_an_application_may_replace_werkzeugs():
    url_map = Map(converters={"int": Even})
    assert RouteRules({"/<int:n>": "deny"}, converters=url_map.converters).match("GET", "/3").key == "default"


PIECES = [
    *(
        "-",
        "a",
        "1",
        ".",
        "-x",
        "<string:{}>",
        "<string:{}>",
        "<string(minlength=2):{}>",
        "<string(maxlength=2):{}>",
    ),
    *("<int:{}>", "<int(min=5):{}>", "<float(max=2.0):{}>", "<any(a,1-):{}>", "<path:{}>", "<even:{}>"),
]


@given(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=6),
    st.lists(st.text("-a15.x/", min_size=1, max_size=9), min_size=5, max_size=5),
)
def test_a_segment_is_shared_out_among_its_converters_as_werkzeug_does(pieces, texts):
    """A converter refuses its share alone, so it matters which one that is."""
    names = iter("abcdef")
    key = "/" + "".join(piece.format(next(names)) for piece in pieces)
    try:
        rules = RouteRules({key: {"allow": "deny", "exact": True}}, converters=OWN)
    except ConfigurationError:  # a segment of dots
        return
    url_map = Map([Rule(key, endpoint=key)], converters=OWN, merge_slashes=False)
    for path in ("/" + text.strip("/") for text in texts):
        assert (rules.match("GET", path).key == key) is url_map.bind("localhost").test(path), path


@pytest.mark.parametrize(
    ("key", "text", "is_refused"),
    [
        pytest.param("/<a>-<b>-<c>-<d>.html", "x-" * 5000, False, id="texts, however many ways"),
        pytest.param("/<a>-<int:y>-<int:m>-<b>", "some-long-name-of-" * 20 + "1-2-x", False, id="an article"),
        pytest.param("/<a>-<slug:b>-<c>.html", "x-" * 100, False, id="many ways"),
        pytest.param(
            "/<string(length=4):y>-<string(length=2):m>-<string(length=2):d>-<slug:s>",
            "2026-11-24" + "-words" * 300,
            False,
            id="a day and a name",
        ),
        pytest.param("/<a>-<slug:b>-<c>.html", "x-" * 3000, True, id="too many ways"),
        pytest.param(
            "/<a>-<slug:b>_<c>.html", "x-" * 3000, False, id="many ways, if something were not missing"
        ),
        pytest.param("/<path:a>-<path:b>", "x-y/" * 80, False, id="many ways beside slashes"),
        pytest.param("/<path:a>-<path:b>", "x-y/" * 1000, True, id="too many ways beside slashes"),
    ],
)
def test_what_could_be_shared_out_in_too_many_ways_is_refused(key, text, is_refused):
    rules = RouteRules({key: "deny"}, converters=OWN)
    if is_refused:
        with pytest.raises(BadRequestError):
            rules.match("GET", "/" + text)
    else:
        rules.match("GET", "/" + text)


def test_literal_texts_between_converters_that_take_nothing_may_touch():
    rules = RouteRules({"/<own:a>-<own:b>.<own:c>x": "deny"}, converters={"own": own("[a-z]*")})
    for path, key in (
        ("/-.x", "/<own:a>-<own:b>.<own:c>x"),
        ("/.-x", "default"),
        ("/q-r.sx", "/<own:a>-<own:b>.<own:c>x"),
    ):
        assert rules.match("GET", path).key == key, path


def test_a_path_begins_anywhere_behind_the_text_before_it():
    rules = RouteRules({"/<a>-<path:p>/end": "deny"})
    for path, key in (("/a-b/c/end", "/<a>-<path:p>/end"), ("/a-/end", "default"), ("/a/b-c/end", "default")):
        assert rules.match("GET", path).key == key, path
