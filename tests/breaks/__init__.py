"""The code broken on purpose, and which tests notice: ``python -m tests.breaks``.

``<test module>.toml`` beside this file lists breaks of the code for that module's tests:

    [[break]]
    what = "the signature is not checked"  # in plain words
    file = "tokens.py"                     # in cognito_wsgi/
    was = "…"                              # a text that occurs once in the file
    becomes = "…"

    only = ["test_a"]  # where the module is slow: run these tests alone
    hangs = true       # where a test that does not end is how it is noticed
    also = [{file = "…", was = "…", becomes = "…"}]  # where one mistake takes more places than one

and, above all breaks, ``never = {"test_a[case]" = "why nothing of ours can make it fail"}``.

This module is also a plugin of pytest's: it writes down what became of each test.
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
    outcome = "hung" if "from pytest-timeout" in report.longreprtext else report.outcome
    with Path(os.environ["BREAKS_REPORT"]).open("a", encoding="utf-8") as file:
        print(json.dumps([report.nodeid.partition("::")[2], report.when, outcome]), file=file)
