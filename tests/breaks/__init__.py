"""The code broken on purpose, and which tests notice: ``python -m tests.breaks``.

``<test module>.toml`` beside this file lists breaks of the code for that module's tests:

    [[break]]
    what = "the signature is not checked"  # in plain words
    file = "tokens.py"                     # in cognito_wsgi/
    was = "…"                              # a text that occurs once in the file
    becomes = "…"

and where need be, in the same table,

    only = ["test_a"]  # the tests to run, where the module is slow
    hangs = true       # a test that does not end is how it is noticed
    also = [{file = "…", was = "…", becomes = "…"}]  # one mistake that takes more places than one

and, above all breaks, ``never = {"test_a[case]" = "why no break of ours can make it fail"}``.

This module is a plugin of pytest's, too: it writes down what became of each test.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest


def pytest_configure() -> None:
    import cognito_wsgi

    where = Path(cognito_wsgi.__file__)
    assert where.is_relative_to(Path.cwd()), f"the tests would test {where}"


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.passed and report.when != "call":
        return
    outcome: str = "not set up" if report.failed and report.when == "setup" else report.outcome
    if "from pytest-timeout" in report.longreprtext:
        outcome = "hung"
    with Path(os.environ["BREAKS_REPORT"]).open("a", encoding="utf-8") as file:
        print(json.dumps([report.nodeid.partition("::")[2], outcome]), file=file)
