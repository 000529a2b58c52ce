"""The gateway's own cookies: exact names, whole values, sizes, and what the application is left with."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.http import parse_cookie

from cognito_wsgi.cookies import (
    MAX_COOKIE_SIZE,
    MAX_LOGIN_COOKIES_READ,
    MAX_PIECES,
    CookieSet,
    drop_oldest,
    size_in_header,
)
from cognito_wsgi.testing import TestPool

SECURE = {"redirect_url": "https://app.example.test/callback", "logout_url": "https://app.example.test/"}
NOTHING = {}
LOGIN = "__Host-cognito_login_0123456789abcdef"


def cookie_set(**overrides: object) -> CookieSet:
    return CookieSet(TestPool().config(**{**SECURE, **overrides}))


OURS = cookie_set()


def header_of(set_cookies: list[str]) -> str:
    """What a browser sends back."""
    return "; ".join(cookie.partition(";")[0] for cookie in set_cookies)


def attributes_of(set_cookie: str) -> dict[str, str]:
    parts = (part.strip().partition("=") for part in set_cookie.split(";")[1:])
    return {name: value for name, _, value in parts}


def names_of(set_cookies: list[str]) -> list[str]:
    return [cookie.partition("=")[0] for cookie in set_cookies]


# names and attributes


@pytest.mark.parametrize(
    ("overrides", "prefix"),
    [
        pytest.param({}, "__Host-", id="https"),
        pytest.param({"cookie_domain": "example.test"}, "__Secure-", id="https with a domain"),
        pytest.param({"redirect_url": "http://localhost/callback"}, "", id="http on loopback"),
    ],
)
def test_names_bear_the_prefix_that_browsers_enforce(overrides, prefix):
    ours = cookie_set(**overrides)
    assert ours.access == f"{prefix}cognito_access_token"
    assert ours.id == f"{prefix}cognito_id_token"
    assert ours.refresh == f"{prefix}cognito_refresh_token"
    assert ours.login_name("s" * 43).startswith(f"{prefix}cognito_login_")


@pytest.mark.parametrize(
    ("overrides", "others"),
    [
        pytest.param({}, {"SameSite": "Lax", "Secure": ""}, id="https"),
        pytest.param({"cookie_samesite": "Strict"}, {"SameSite": "Strict", "Secure": ""}, id="strict"),
        pytest.param({"cookie_samesite": "None"}, {"SameSite": "None", "Secure": ""}, id="none"),
        pytest.param(
            {"cookie_domain": "example.test"},
            {"SameSite": "Lax", "Secure": "", "Domain": "example.test"},
            id="domain",
        ),
        pytest.param({"redirect_url": "http://localhost/callback"}, {"SameSite": "Lax"}, id="http"),
    ],
)
def test_attributes_of_what_is_stored_and_deleted(overrides, others):
    ours = cookie_set(**overrides)
    expected = {"HttpOnly": "", "Path": "/", **others}
    stored = attributes_of(ours.store(ours.access, "value", max_age=60, cookies=NOTHING)[0])
    del stored["Expires"]  # for browsers of the last century
    assert stored == {**expected, "Max-Age": "60"}
    deleted = attributes_of(ours.delete([ours.access])[0])
    assert deleted == {**expected, "Max-Age": "0", "Expires": "Thu, 01 Jan 1970 00:00:00 GMT"}


@pytest.mark.parametrize("samesite", ["Strict", "None"])
def test_a_login_cookie_is_lax_since_cognito_comes_back_from_another_site(samesite):
    ours = cookie_set(cookie_samesite=samesite)
    assert attributes_of(ours.store_login(LOGIN, "value", max_age=60))["SameSite"] == "Lax"
    assert attributes_of(ours.delete([LOGIN])[0])["SameSite"] == "Lax"


# splitting and joining


@given(st.text("ABCxyz019-_.~+/=", max_size=30_000), st.sampled_from([OURS.access, OURS.id, OURS.refresh]))
def test_any_split_joins(value, base):
    stored = OURS.store(base, value, max_age=86400, cookies=NOTHING)
    assert all(len(cookie) <= MAX_COOKIE_SIZE for cookie in stored)
    came, others = OURS.read(header_of(stored))
    assert OURS.join(came, base) == (value or None)
    assert others == ""


@pytest.mark.parametrize("max_age", [1, 86400, 400 * 86400, 10 * 365 * 86400])
@pytest.mark.parametrize("overrides", [{}, {"cookie_domain": "example.test"}], ids=["host", "domain"])
def test_a_value_is_split_where_its_cookie_would_be_larger_than_4096_bytes(overrides, max_age):
    ours = cookie_set(**overrides)
    sizes = {}
    for length in range(3700, 4100):
        sizes[length] = [
            len(c) for c in ours.store(ours.refresh, "v" * length, max_age=max_age, cookies=NOTHING)
        ]
    whole = max(length for length, cookies in sizes.items() if len(cookies) == 1)
    assert [len(cookies) for cookies in sizes.values()] == [1] * (whole - 3699) + [2] * (4099 - whole)
    assert MAX_COOKIE_SIZE - 20 < sizes[whole][0] <= MAX_COOKIE_SIZE


def test_a_value_takes_ten_cookies_at_most():
    room = len(OURS.store(OURS.access, "v" * 5000, max_age=60, cookies=NOTHING)[0].partition(";")[0])
    room -= len(OURS.access) + 1
    assert len(OURS.store(OURS.access, "v" * room * MAX_PIECES, max_age=60, cookies=NOTHING)) == MAX_PIECES
    with pytest.raises(ValueError, match="too many cookies"):
        OURS.store(OURS.access, "v" * (room * MAX_PIECES + 1), max_age=60, cookies=NOTHING)


@pytest.mark.parametrize(
    ("length", "deleted"),
    [
        pytest.param(12_000, [], id="as long"),
        pytest.param(6_000, ["_2", "_3"], id="shorter"),
        pytest.param(60, ["_1", "_2", "_3"], id="one piece"),
        pytest.param(0, ["", "_1", "_2", "_3"], id="none"),
    ],
)
def test_leftovers_of_a_longer_value_are_deleted(length, deleted):
    longer, _ = OURS.read(header_of(OURS.store(OURS.id, "v" * 15_000, max_age=60, cookies=NOTHING)))
    stored = OURS.store(OURS.id, "w" * length or None, max_age=60, cookies=longer)
    gone = [cookie for cookie in stored if "Max-Age=0" in cookie]
    assert names_of(gone) == [OURS.id + piece for piece in deleted]
    assert gone == OURS.delete(names_of(gone))


@given(st.integers(0, 30_000))
def test_the_size_of_a_value_is_told_beforehand(length):
    header = header_of(OURS.store(OURS.id, "v" * length, max_age=86400, cookies=NOTHING))
    assert OURS.size(OURS.id, "v" * length) == (len(header) + len("; ") if header else 0)
    assert OURS.size_that_came(OURS.read(header)[0], OURS.id) == OURS.size(OURS.id, "v" * length)


# reading


A, I, R = OURS.access, OURS.id, OURS.refresh  # noqa: E741 - short, for the tables


@pytest.mark.parametrize(
    ("header", "values", "rest"),
    [
        pytest.param("", {}, "", id="empty"),
        pytest.param("theme=dark; lang=de", {}, "theme=dark; lang=de", id="none of ours"),
        pytest.param(f"{A}=1", {A: "1"}, "", id="ours alone"),
        pytest.param(f"a=1; {A}=2; b=3", {A: "2"}, "a=1; b=3", id="in the middle"),
        pytest.param(f"{A}=1; {I}=2; b=3", {A: "1", I: "2"}, "b=3", id="in front"),
        pytest.param(f"b=3; {A}=1; {I}=2", {A: "1", I: "2"}, "b=3", id="at the end"),
        pytest.param(f"a=1;{A}=2;b=3", {A: "2"}, "a=1;b=3", id="without spaces"),
        pytest.param(f" \t{A} =\t1 \t; b=3", {A: "1"}, "b=3", id="spaces and tabs"),
        pytest.param(f"{A}=1;; ;b=3", {A: "1"}, "b=3", id="empty cookies"),
        pytest.param(f"{A}=a=b=", {A: "a=b="}, "", id="value with ="),
        pytest.param(f"{A}", {A: ""}, "", id="without ="),
        pytest.param(f"{A}=", {A: ""}, "", id="without value"),
        pytest.param(f'{A}="1"', {A: '"1"'}, "", id="quoted"),
        pytest.param(f"{A}=1; {A}=1", {A: None}, "", id="twice"),
        pytest.param(f"{A}=1; {A}=2; {A}=3", {A: None}, "", id="three times"),
        pytest.param(f"{A}_9=1; {A}_10=2", {f"{A}_9": "1"}, f"{A}_10=2", id="tenth piece and eleventh"),
        pytest.param(f"{LOGIN}=1", {LOGIN: "1"}, "", id="login"),
        pytest.param(f"x={A}", {}, f"x={A}", id="name as a value"),
        pytest.param(f"{A}=1; x={A}=2", {A: "1"}, f"x={A}=2", id="name in a value"),
    ],
)
def test_reading_a_header(header, values, rest):
    assert OURS.read(header) == (values, rest)


@pytest.mark.parametrize(
    "name",
    [
        "cognito_access_token",
        "__Secure-cognito_access_token",
        f"{A}_0",
        f"{A}_01",
        f"{A}_1_1",
        f"{A}s",
        f"x{A}",
        A.upper(),
        "__host-cognito_access_token",
        "__Host-cognito_token",
        "__Host-cognito_login_",
        LOGIN + "0",
        LOGIN.upper(),
        LOGIN[:-1],
        LOGIN[:-1] + "g",
    ],
)
def test_only_the_exact_names_are_read(name):
    assert OURS.read(f"{name}=1") == ({}, f"{name}=1")


@pytest.mark.parametrize(
    "disguise",
    [
        pytest.param("\xa0{}", id="no-break space, a byte"),
        pytest.param("\xc2\xa0{}", id="no-break space, UTF-8"),
        pytest.param("\xe2\x80\x80{}", id="en quad, UTF-8"),
        pytest.param("\x85{}", id="next line"),
        pytest.param("\x0b{}", id="vertical tab"),
        pytest.param("\x1f{}", id="unit separator"),
        pytest.param("{}\xa0", id="behind the name"),
        pytest.param("a=1,{}", id="a second Cookie header, joined by a server"),
        pytest.param("a=1, {}", id="joined with a space"),
        pytest.param("a=1 {}", id="behind a space, where http.cookies ends a cookie"),
        pytest.param('a="1"\t{}', id="behind a tab"),
    ],
)
@pytest.mark.parametrize("name", [A, f"{A}_1", LOGIN])
def test_a_name_in_disguise_is_neither_read_nor_passed_on(name, disguise):
    """Any neighbour may set such a name, and browsers would not hold it to ``__Host-``."""
    came, others = OURS.read(f"theme=dark; {disguise.format(name)}=planted")
    assert came == {}
    assert "planted" not in others
    assert parse_cookie(others)["theme"] == "dark"


COOKIE_PARTS = [
    *(A, I, R, f"{A}_1", f"{A}_2", f"{R}_9", LOGIN, "cognito_", "theme", "a"),
    *("=", "=", ";", "; ", ",", " ", "\t", '"', "\\", "\x0b", "\xc2\xa0", "1", "value"),
]


@given(st.lists(st.sampled_from(COOKIE_PARTS)).map("".join))
def test_whatever_comes_the_application_gets_no_cookie_of_ours(header):
    _, left = OURS.read(header)
    assert OURS.read(left) == ({}, left)
    assert not any(name in (A, I, R, f"{A}_1", f"{A}_2", f"{R}_9", LOGIN) for name in parse_cookie(left))


@given(st.dictionaries(st.text("abcxyz_-", min_size=1), st.text("xyz019"), max_size=5), st.data())
def test_the_applications_own_cookies_stay_as_they_are(others, data):
    pairs = [*others.items(), (A, "1"), (LOGIN, "2")]
    header = "; ".join(f"{name}={value}" for name, value in data.draw(st.permutations(pairs)))
    assert parse_cookie(OURS.read(header)[1]).to_dict() == others


@pytest.mark.parametrize(
    ("header", "value"),
    [
        pytest.param(f"{A}=1", "1", id="whole"),
        pytest.param(f"{A}=1; {A}_1=2; {A}_2=3", "123", id="three pieces"),
        pytest.param(f"{A}_2=3; x=y; {A}=1; {A}_1=2", "123", id="in any order"),
        pytest.param(f"{A}=", None, id="empty"),
        pytest.param("x=y", None, id="absent"),
        pytest.param(f"{A}_1=2", None, id="first is missing"),
        pytest.param(f"{A}=1; {A}_2=3", None, id="second is missing"),
        pytest.param(f"{A}=1; {A}_9=3", None, id="a stray one"),
        pytest.param(f"{A}=1; {A}_1=", None, id="second is empty"),
        pytest.param(f"{A}=1; {A}=1", None, id="doubled"),
        pytest.param(f"{A}=1; {A}_1=2; {A}_1=2", None, id="second is doubled"),
        pytest.param(f"{A}=1; {A}=1; {A}_1=2", None, id="first is doubled"),
        pytest.param(f"{I}=1; {A}_1=2", None, id="of another token"),
    ],
)
def test_joining_pieces(header, value):
    assert OURS.join(OURS.read(header)[0], A) == value


# login cookies


def test_no_more_than_ten_login_cookies_are_looked_at():
    many = {f"{LOGIN[:-2]}{number:02}": str(number) for number in range(20)}
    came, others = OURS.read("; ".join(f"{name}={value}" for name, value in many.items()))
    assert others == ""
    assert list(OURS.login_cookies(came)) == list(many)[:MAX_LOGIN_COOKIES_READ]


def test_the_name_of_a_login_cookie_is_told_by_its_state_and_does_not_tell_it():
    assert OURS.login_name("s" * 43) == OURS.login_name("s" * 43) != OURS.login_name("t" * 43)
    assert OURS.read(f"{OURS.login_name('s' * 43)}=1")[0] == {OURS.login_name("s" * 43): "1"}
    assert "s" * 10 not in OURS.login_name("s" * 43)


# signing out and sizes


def test_everything_that_came_is_deleted_and_nothing_else():
    names = [A, f"{A}_1", f"{A}_7", I, f"{R}_2", LOGIN]
    came, _ = OURS.read("; ".join(f"{name}=1" for name in [*names, "theme", f"{A}_12", A]))
    assert OURS.delete_all(came) == OURS.delete(names)


@pytest.mark.parametrize(
    ("room", "left"),
    [
        pytest.param(30, ["a", "b", "c"], id="room for all"),
        pytest.param(29, ["b", "c"], id="a byte short"),
        pytest.param(10, ["c"], id="room for one"),
        pytest.param(9, [], id="room for none"),
        pytest.param(-1, [], id="no room at all"),
    ],
)
def test_the_oldest_go_where_room_is_short(room, left):
    values = {"a": "123456", "b": "123456", "c": "123456"}
    assert size_in_header(values) == 30
    drop_oldest(values, room)
    assert list(values) == left
