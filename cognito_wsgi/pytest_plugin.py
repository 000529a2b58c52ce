"""Fixtures for the tests of applications behind the gateway. pytest loads them where the package is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .testing import TestPool


@pytest.fixture
def cognito_pool() -> TestPool:
    """A user pool without a network: see ``cognito_wsgi.testing``."""
    from .testing import TestPool

    return TestPool()


@pytest.fixture
def cognito_settings(cognito_pool: TestPool) -> dict[str, Any]:
    """The AWS_… keys and SECRET_KEY of that pool, for an app factory."""
    return cognito_pool.settings()
