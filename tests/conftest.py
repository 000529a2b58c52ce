"""What all tests share: pools, and servers on loopback that end with the test."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, settings

from cognito_wsgi.testing import TestPool

# "quick" for the ordinary run; "thorough" for the long searches, e.g.
#   HYPOTHESIS_PROFILE=thorough tox -e py -- tests/test_paths_search.py
# How long it takes to draw an example is the machine's affair.
settings.register_profile(
    "quick",
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
# For counting what the tests reach: an example more reaches nothing new, and each takes twice as long.
settings.register_profile("few", settings.get_profile("quick"), max_examples=10)
settings.register_profile(
    "thorough", max_examples=200_000, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)
# For code that is broken on purpose (tests/breaks): that an example fails is all we want to know.
settings.register_profile(
    "breaks",
    settings.get_profile("quick"),
    phases=[Phase.explicit, Phase.generate],
    report_multiple_bugs=False,
    database=None,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture
def pool() -> TestPool:
    """A pool that is only a signing key: no network."""
    return TestPool()
