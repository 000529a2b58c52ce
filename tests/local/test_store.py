"""What may happen once happens once, whoever comes in between."""

from __future__ import annotations

import pytest

from cognito_wsgi.local.store import RefreshToken, SignIn, Store

NOW = 1_790_000_000


@pytest.fixture
def record() -> RefreshToken:
    sign_in = SignIn(username="alice", client_id="web", scope="openid", auth_time=NOW, began_at=NOW)
    return RefreshToken(sign_in)


@pytest.mark.parametrize(
    ("grace", "later", "again"),
    [
        pytest.param(0, 0, False, id="no grace"),
        pytest.param(10, 9, True, id="within the grace"),
        pytest.param(10, 10, False, id="after the grace"),
    ],
)
def test_a_token_found_good_by_two_requests_is_rotated_out_by_the_first(
    record: RefreshToken, grace: int, later: int, again: bool
) -> None:
    store = Store()
    assert store.retire_refresh_token(record, NOW, grace)
    assert store.retire_refresh_token(record, NOW + later, grace) == again


def test_a_token_that_is_issued_while_its_sign_in_is_revoked_is_dead(record: RefreshToken) -> None:
    store = Store()
    store.revoke(record.sign_in)
    assert store.find_refresh_token(store.issue_refresh_token(record.sign_in)) is None
