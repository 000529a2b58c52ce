"""The README's tables of standards are complete and name tests that exist; and what no other test shows of them."""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
import requests
import time_machine

from cognito_wsgi.local import LocalUserPool

from .visiting import FETCH, FORM, NAVIGATION, House, Page, local_config, query_of

TESTS = Path(__file__).parent
README = TESTS.parent / "README.md"
#: How many items each list has, by how the title of its table begins.
STANDARDS = {"RFC 9700": 28, "OAuth 2.1": 24, "BFF": 20, "RFC 8725": 18, "ASVS 5.0": 52}
REFERENCE = re.compile(r"`((?:\w+/)*test_\w+)::(test_\w+)`")


class Row(NamedTuple):
    number: str
    asks: str
    shown_by: str


@cache
def read_tables() -> dict[str, list[Row]]:
    """The rows below each table's title."""
    text = README.read_text("utf-8")
    assert text.count("<!-- standards -->") == text.count("<!-- /standards -->") == 1
    block = text.partition("<!-- standards -->")[2].partition("<!-- /standards -->")[0]
    tables = {}
    for details in re.findall(r"<details>(.*?)</details>", block, re.DOTALL):
        title, _, table = details.removeprefix("<summary>").partition("</summary>\n\n")
        head, line, *rows = [
            [cell.strip() for cell in re.split(r"(?<!\\)\|", text)[1:-1]]
            for text in table.split("\n")
            if text
        ]
        assert head == ["number", "asks for", "shown by"]
        assert line == ["---"] * 3
        tables[title] = [Row(*row) for row in rows]
    return tables


def rows_of(standard: str) -> list[Row]:
    (rows,) = [rows for title, rows in read_tables().items() if title.startswith(standard)]
    return rows


@cache
def functions_of(module: str) -> set[str]:
    tree = ast.parse((TESTS / f"{module}.py").read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_there_is_a_table_for_each_standard_and_no_other():
    assert [title.partition(",")[0].partition(" (")[0] for title in read_tables()] == list(STANDARDS)


@pytest.mark.parametrize("standard", STANDARDS)
def test_every_item_has_one_row(standard):
    count = STANDARDS[standard]
    assert [row.number for row in rows_of(standard)] == [str(number + 1) for number in range(count)]
    assert all(row.asks for row in rows_of(standard))
    (title,) = [title for title in read_tables() if title.startswith(standard)]
    assert title.endswith(f": {count} items")


@pytest.mark.parametrize("standard", STANDARDS)
def test_every_item_names_a_test_or_says_why_not(standard):
    for row in rows_of(standard):
        reason = REFERENCE.sub("", row.shown_by)
        assert REFERENCE.search(row.shown_by) or len(re.findall(r"\w+", reason)) >= 4, row


@pytest.mark.parametrize("standard", STANDARDS)
def test_every_test_that_is_named_exists(standard):
    for row in rows_of(standard):
        assert "test_" not in REFERENCE.sub("", row.shown_by), row
        for module, name in REFERENCE.findall(row.shown_by):
            assert name in functions_of(module), f"{standard}, {row.number}: {module}::{name}"


# shown here


ACCESS, ID, REFRESH = TOKENS = ("cognito_access_token", "cognito_id_token", "cognito_refresh_token")
RULES = {"/public": "public"}


@pytest.fixture
def user_pool() -> Iterator[LocalUserPool]:
    with LocalUserPool() as running:
        yield running


@pytest.fixture
def house(user_pool) -> House:
    settings = {"AWS_COGNITO_REFRESH_FLOW_ENABLED": True, "AWS_COGNITO_REFRESH_COOKIE_ENCRYPTED": False}
    return House(local_config(user_pool, **settings), RULES)


def test_no_address_a_browser_is_sent_to_bears_a_token_or_a_code(house):
    """RFC 9700 §4.3.2: what stands in an address stands in histories and logs."""
    answers = [house.ask("/x")]
    with requests.Session() as http:
        callback = house.go_to_pool(http, answers[0].location, "alice")
    secrets = {query_of(callback)["code"]}
    answers += [house.ask(callback), house.ask(callback)]
    secrets |= {house.cookies[name] for name in TOKENS}
    house.client.delete_cookie(ACCESS)
    assert house.ask("/x").status_code == 200
    secrets |= {house.cookies[name] for name in TOKENS}
    answers += [house.ask("/login?next=/x"), house.ask("/logout", FORM, method="POST")]
    assert [answer.status_code for answer in answers] == [302, 303, 303, 302, 302]
    assert len(secrets) >= 6
    assert [secret for secret in secrets for answer in answers if secret in answer.location] == []


def test_another_try_after_an_error_uses_nothing_of_the_first(house):
    first = query_of(house.ask("/x").location)
    page = house.ask("/callback", query_string={"error": "server_error", "state": first["state"]})
    assert page.status_code == 400
    second = query_of(house.ask(Page(page.text).links["Try again"]).location)
    fresh = ("state", "nonce", "code_challenge")
    assert [name for name in fresh if first[name] == second[name]] == []
    assert {name for name in first if name not in fresh} == {name for name in second if name not in fresh}


@pytest.mark.parametrize("origin", ["https://evil.test", "null", "https://friend.test"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize("path", ["/public", "/x", "/x\\", "/login", "/callback", "/refresh", "/logout"])
def test_no_origin_is_given_leave_to_read_an_answer(pool, path, method, origin):
    """That is the application's affair, even for a trusted origin; which may send."""
    house = House(pool.config(refresh_enabled=True, trusted_origins=("https://friend.test",)), RULES)
    pool.sign_in(house.client)
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    for kind in (NAVIGATION, FETCH):
        answer = house.ask(path, kind, method=method, headers=headers)
        assert [name for name, _ in answer.headers if name.lower().startswith("access-control")] == []


def test_a_new_sign_in_replaces_every_token(house):
    """ASVS 7.2.4."""
    house.sign_in("/x")
    before = house.cookies
    house.sign_in("/login?next=/x")
    assert [name for name in TOKENS if house.cookies[name] == before[name]] == []


def test_a_copied_access_token_outlives_the_sign_out_but_not_its_time(house):
    """ASVS 7.4.1, which is not met: the README says so under Limits."""
    house.sign_in("/x")
    copied = house.cookies[ACCESS]
    assert house.ask("/logout").status_code == 302
    assert house.ask("/x", FETCH).status_code == 401
    house.set_cookie(ACCESS, copied)
    assert house.environ_of("/x", FETCH)["REMOTE_USER"] == "alice"
    with time_machine.travel(time.time() + 3601):
        assert house.ask("/x", FETCH).status_code == 401
