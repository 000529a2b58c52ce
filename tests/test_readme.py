"""The README says nothing that is not so: its code runs, its tables match the code, its commands exist."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import pytest
from prometheus_client import CollectorRegistry

from cognito_wsgi import CognitoConfig, CognitoGateway
from cognito_wsgi.cli_users import imagine_session
from cognito_wsgi.cookies import CookieSet
from cognito_wsgi.events import Event
from cognito_wsgi.local import LocalUserPool
from cognito_wsgi.metrics import Metrics
from cognito_wsgi.session import SessionCookies, SessionTooLarge
from cognito_wsgi.testing import TestPool

from .readme import BLOCKS, README, block_of
from .serving import ROOT
from .visiting import local_config


def table_rows(section: str) -> list[list[str]]:
    """Rows of all tables of a section, without their heads."""
    text = README.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    return [
        [cell.strip() for cell in row.strip("|").split("|")]
        for row, after in zip(rows, [*rows[1:], ""], strict=True)
        if not row.startswith("| ---") and not after.startswith("| ---")
    ]


def is_key(cell: str) -> bool:
    return cell.startswith(("`AWS_", "`SECRET_"))


@pytest.fixture(scope="module")
def executed() -> dict[str, Any]:
    """All Python blocks, run top to bottom as one program; what they have defined, by name.

    Names that a later block takes over are kept as ``name@section``.
    """
    pool = TestPool()
    names: dict[str, Any] = {"__name__": __name__}
    with pytest.MonkeyPatch.context() as patch:
        for key, value in pool.settings().items():
            patch.setenv(key, value if isinstance(value, str) else json.dumps(value))
        for block in BLOCKS:
            if block.language == "python":
                exec(compile(block.code, f"README.md, {block.section}", "exec"), names)
                names |= {
                    f"{name}@{block.section}": value for name, value in names.items() if "@" not in name
                }
    return {**names, "settings pool": pool}


@pytest.mark.filterwarnings(
    "ignore:Setup method"
)  # Flask: later blocks give the same name to another application
def test_the_first_example_protects_what_it_says(executed):
    app, pool = executed["app@top"], executed["settings pool"]
    client = app.test_client()
    assert client.get("/claims").status_code == 401
    assert client.get("/claims", headers={"Accept": "text/html"}).status_code == 302
    pool.sign_in(client, "ada", groups=["editor"])
    assert client.get("/claims").json["username"] == "ada"
    assert client.get("/admin").status_code == 403
    assert client.get("/edit").status_code == 404  # let in; the example has no such view
    assert client.get("/").status_code == 404


def test_the_audit_of_the_example_lists_its_routes(executed):
    assert executed["report"].routes


def test_the_own_page_for_a_refusal_is_shown(executed):
    shop, pool = executed["shop"], executed["settings pool"]
    client = shop.test_client()
    pool.sign_in(client, "ada")
    assert "Not for you, sorry. Reference" in client.get("/", headers={"Accept": "text/html"}).text


def test_the_metrics_example_shows_denials(executed):
    from werkzeug.test import Client

    site, pool = executed["site"], executed["settings pool"]
    client = Client(site)
    assert client.get("/metrics").status_code == 401
    site.events.flush()
    pool.sign_in(client, scopes=["ops/metrics"])
    assert 'cognito_denials_total{mode="enforced",status="401"} 1.0' in client.get("/metrics").text


def test_the_test_of_the_example_passes(executed, cognito_pool, cognito_settings):
    executed["test_reports_are_for_analysts"](cognito_pool, cognito_settings)


def test_the_table_of_events_is_that_of_the_code():
    registry = CollectorRegistry()
    Metrics(registry)
    rows = [row for row in table_rows("Operations") if len(row) == 3]
    assert {row[0].strip("`") for row in rows} == {event.name for event in Event.__subclasses__()}
    families = {family.name + "_total" * (family.type == "counter") for family in registry.collect()}
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row[2])} == families


def test_the_table_of_settings_is_that_of_the_code():
    rows = {row[0].strip("`"): row for row in table_rows("Settings") if is_key(row[1])}
    fields = {field.name: field for field in dataclasses.fields(CognitoConfig)}
    assert list(rows) == list(fields)
    for name, (_, key, default) in rows.items():
        field = fields[name]
        assert key.strip("`") == field.metadata["key"]
        if field.default is dataclasses.MISSING:
            assert default.startswith("required"), name
        elif name not in ("issuer", "jwks_url"):  # derived
            assert default.startswith(str(field.default).removesuffix(".0")), name


def test_the_table_of_arguments_is_that_of_the_code():
    named = {row[0].strip("`") for row in table_rows("Settings") if not is_key(row[1])}
    parameters = set(inspect.signature(CognitoGateway).parameters) - {"app", "config"}
    assert named == parameters


def test_the_contents_lead_to_every_section():
    sections = re.findall(r"^## (.+)$", README, re.M)
    links = re.findall(r"\[([^\]]+)\]\(#([^)]+)\)", README.partition("## Contents")[2].partition("\n## ")[0])
    assert [name for name, _ in links] == [name for name in sections if name != "Contents"]
    for name, anchor in links:
        assert anchor == name.lower().replace(" ", "-")


TESTS = ROOT / "tests"
SNIPPETS = {path.name: path.read_text("utf-8") for path in (TESTS / "servers/snippets").iterdir()}
EXAMPLES = [path.read_text("utf-8") for path in (TESTS / "frameworks/examples").rglob("*.py")]


def asked_for() -> set[str]:
    """The code that tests ask ``block_of`` for, to run it."""
    return {
        block_of(*map(ast.literal_eval, call.args))
        for path in set(TESTS.rglob("*.py")) - {Path(__file__)}
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "block_of"
    }


def test_every_block_is_run():
    """Here, by a test that asks for it, by the servers' and the frameworks' tests; the one with tox by CI."""
    run = {*asked_for(), *SNIPPETS.values()}
    run |= {block.code for block in BLOCKS if block.language == "python"}
    run |= {block.code for block in BLOCKS if any(block.code in example for example in EXAMPLES)}
    assert [block.code for block in BLOCKS if block.code not in run] == [block_of("sh", "tox")]
    assert block_of("sh", "tox").strip() in (ROOT / ".ci/run").read_text("utf-8")


@pytest.mark.parametrize("snippet", sorted(SNIPPETS))
def test_the_servers_are_started_in_the_tests_as_the_readme_says(snippet):
    assert SNIPPETS[snippet] in [block.code for block in BLOCKS]


class Fit(NamedTuple):
    """Whether a session's cookies have room for the ID token, and whether there can be a session at all."""

    with_id_token: bool
    signed_in: bool


def fit(config: CognitoConfig, groups: int, refresh_token: str) -> Fit:
    session = imagine_session(
        config,
        "ada",
        groups=[f"{number:020}" for number in range(groups)],
        scopes=["openid", "email"],
        user_info={"nonce": "n" * 43},
    )
    cookie_set = CookieSet(config)
    try:
        stored = SessionCookies(config, cookie_set).store(session, refresh_token, {}, time.time(), logins={})
    except SessionTooLarge:
        return Fit(False, False)
    return Fit(any(cookie.startswith(cookie_set.id) for cookie in stored), True)


@pytest.fixture(scope="module")
def local_pool() -> Iterator[LocalUserPool]:
    with LocalUserPool() as running:
        yield running


@pytest.mark.parametrize("refresh", [False, True], ids=["without refresh", "with refresh"])
def test_so_many_groups_fit_and_no_more(refresh, local_pool):
    refresh_token = local_pool.issue_tokens("bob", client="web")["refresh_token"]
    pool = TestPool(redirect_url="https://shop.example/callback", logout_url="https://shop.example/")
    config = pool.config(refresh_enabled=refresh)
    said = {row[0]: int(row[1 + refresh].removesuffix(" groups")) for row in table_rows("Sessions")[-2:]}
    for what, is_so in [
        ("ID token kept up to", lambda fit: fit.with_id_token),
        ("sign-in possible up to", lambda fit: fit.signed_in),
    ]:
        assert is_so(fit(config, said[what], refresh_token)), what
        assert not is_so(fit(config, said[what] + 1, refresh_token)), what


def test_daves_groups_and_his_token_are_as_large_as_the_readme_says(local_pool):
    count, length, size = re.search(
        r"dave is in (\d+) with names of (\d+) characters on average:\shis access token takes ([\d.]+) kB",
        README,
    ).groups()
    names = local_pool.users["dave"].groups
    token = local_pool.issue_tokens("dave", client="web")["access_token"]
    cookies = CookieSet(local_config(local_pool))
    assert (len(names), round(mean(map(len, names)))) == (int(count), int(length))
    assert round(cookies.size(cookies.access, token) / 1000, 1) == float(size)


def test_nothing_is_left_to_be_filled_in():
    assert re.findall(r"^[A-Z]+-(?:SECTION|NUMBERS)|TODO|TBD", README, re.M) == []
