from __future__ import annotations

from collections.abc import Iterator

import pytest

from cognito_wsgi.local import LocalUserPool

from .story import GROUPS, USER


@pytest.fixture
def user_pool() -> Iterator[LocalUserPool]:
    """Every refresh token of it works once, so that a ``Set-Cookie`` that got lost is noticed."""
    with LocalUserPool() as running:
        running.trouble.rotation = True
        running.set_groups(USER, running.users[USER].groups[:GROUPS])
        yield running
