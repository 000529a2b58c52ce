from __future__ import annotations

from collections.abc import Iterator

import pytest

from cognito_wsgi.local import LocalUserPool

from .visitor import Visitor


@pytest.fixture
def pool() -> Iterator[LocalUserPool]:
    with LocalUserPool() as pool:
        yield pool


@pytest.fixture(scope="module")
def shared_pool() -> Iterator[LocalUserPool]:
    """For tests that change nothing in the pool."""
    with LocalUserPool() as pool:
        yield pool


@pytest.fixture
def visitor(pool: LocalUserPool) -> Iterator[Visitor]:
    with Visitor(pool) as visitor:
        yield visitor
