"""The README says nothing that is not so: its code runs, its tables match the code, its commands exist."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import shlex
import subprocess
import sys
from typing import Any

import pytest

from cognito_wsgi import CognitoConfig, CognitoGateway
from cognito_wsgi.testing import TestPool

from .readme import BLOCKS, README
from .serving import ROOT


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
            patch.setenv(f"FLASK_{key}", json.dumps(value))
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

    site, pool = executed["site"], executed["pool"]
    client = Client(site)
    assert client.get("/metrics").status_code == 401
    site.events.flush()
    pool.sign_in(client, scopes=["ops/metrics"])
    assert 'cognito_denials_total{mode="enforced",status="401"} 1.0' in client.get("/metrics").text


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


def test_ci_runs_the_test_command_of_the_readme():
    commands = [block.code.strip() for block in BLOCKS if block.section == "top" and block.language == "sh"]
    demo, tests = commands
    assert demo.endswith(".venv/bin/python -m demo")
    assert tests in (ROOT / ".ci" / "run").read_text("utf-8")


PYTHON_COMMANDS = sorted(
    {
        match
        for block in BLOCKS
        if block.language == "sh"
        for match in re.findall(r"python -m (?:cognito_wsgi|demo)[\w.]*", block.code)
    }
)


@pytest.mark.parametrize("command", PYTHON_COMMANDS)
def test_every_module_that_the_readme_starts_can_be_started(command):
    arguments = [sys.executable, *shlex.split(command)[1:], "--help"]
    assert subprocess.run(arguments, cwd=ROOT, capture_output=True, timeout=60).returncode == 0


def test_every_block_says_what_it_is_so_that_it_is_tested():
    # py and servers' files run in tests/frameworks and tests/servers. The rest is read, not run: js needs a browser, aws an account.
    read = {"js", "aws", "ini", "nginx", "apache", "gunicorn"}
    assert {block.language for block in BLOCKS} == {"python", "py", "sh", *read}


@pytest.mark.parametrize("snippet", sorted(path.name for path in (ROOT / "tests/servers/snippets").iterdir()))
def test_the_servers_are_started_in_the_tests_as_the_readme_says(snippet):
    assert (ROOT / "tests/servers/snippets" / snippet).read_text("utf-8") in README


def test_examples_for_frameworks_are_quoted_from_those_that_are_tested():
    examples = [path.read_text("utf-8") for path in (ROOT / "tests/frameworks/examples").rglob("*.py")]
    quoted = [block.code for block in BLOCKS if block.language == "py"]
    assert quoted
    for code in quoted:
        assert any(code in example for example in examples), code


def test_nothing_is_left_to_be_filled_in():
    assert re.findall(r"^[A-Z]+-(?:SECTION|NUMBERS)|TODO|TBD", README, re.M) == []
