"""What stands in the tokens, and in their headers."""

from __future__ import annotations

import base64
import hashlib
import re
from email.utils import formatdate

import pytest
import time_machine

from cognito_wsgi.local import LocalUserPool

from .visitor import Visitor, claims_of, header_of, parts

NOW = 1_790_000_000
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture
def tokens(pool: LocalUserPool) -> dict[str, str]:
    with time_machine.travel(NOW, tick=False):
        return pool.issue_tokens("alice", client="web", scope="openid email", nonce="nonce-1")


def test_access_token(pool: LocalUserPool, tokens: dict[str, str]) -> None:
    claims = claims_of(tokens["access_token"])
    for name in ("jti", "origin_jti", "event_id"):
        assert UUID.fullmatch(claims.pop(name)), name
    assert claims == {
        "sub": pool.users["alice"].sub,
        "iss": pool.issuer,
        "client_id": pool.client("web").client_id,
        "version": 2,
        "token_use": "access",
        "scope": "openid email",
        "auth_time": NOW,
        "iat": NOW,
        "exp": NOW + 3600,
        "username": "alice",
        "cognito:groups": ["admin", "editor"],
    }


def test_id_token(pool: LocalUserPool, tokens: dict[str, str]) -> None:
    claims = claims_of(tokens["id_token"])
    access = claims_of(tokens["access_token"])
    assert UUID.fullmatch(claims.pop("jti"))
    for name in ("origin_jti", "event_id"):
        assert claims.pop(name) == access[name]
    half = hashlib.sha256(tokens["access_token"].encode()).digest()[:16]
    assert claims == {
        "sub": pool.users["alice"].sub,
        "iss": pool.issuer,
        "aud": pool.client("web").client_id,
        "token_use": "id",
        "at_hash": base64.urlsafe_b64encode(half).decode().rstrip("="),
        "nonce": "nonce-1",
        "auth_time": NOW,
        "iat": NOW,
        "exp": NOW + 3600,
        "cognito:username": "alice",
        "cognito:groups": ["admin", "editor"],
        "email": "alice@example.test",
        "email_verified": True,
    }


def test_machine_token(pool: LocalUserPool) -> None:
    with time_machine.travel(NOW, tick=False):
        claims = claims_of(pool.machine_token(scope="newsroom/read"))
    client_id = pool.client("machine").client_id
    assert UUID.fullmatch(claims.pop("jti"))
    assert claims == {
        "sub": client_id,
        "iss": pool.issuer,
        "client_id": client_id,
        "version": 2,
        "token_use": "access",
        "scope": "newsroom/read",
        "auth_time": NOW,
        "iat": NOW,
        "exp": NOW + 3600,
    }


@pytest.mark.parametrize("kind", ["access_token", "id_token"])
def test_the_header_is_kid_and_alg_alone(tokens: dict[str, str], kind: str) -> None:
    header = header_of(tokens[kind])
    assert header.keys() == {"kid", "alg"}
    assert header["alg"] == "RS256"
    assert {"+", "/", "="} <= set(header["kid"])
    assert len(base64.b64decode(header["kid"], validate=True)) == 32


def test_the_two_tokens_bear_different_kids(tokens: dict[str, str]) -> None:
    assert header_of(tokens["access_token"])["kid"] != header_of(tokens["id_token"])["kid"]


@pytest.mark.parametrize("kind", ["access_token", "id_token"])
def test_slashes_are_escaped(tokens: dict[str, str], kind: str) -> None:
    for text in parts(tokens[kind]):
        assert re.search(r"\\/", text)
        assert not re.search(r"(?<!\\)/", text)


def test_the_refresh_token_looks_like_an_encrypted_jwt(tokens: dict[str, str]) -> None:
    token = tokens["refresh_token"]
    assert token.startswith("eyJjdHkiOiJKV1Qi")  # {"cty":"JWT"
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", token)
    assert token.count(".") == 4
    assert 1700 < len(token) < 1900


def test_a_user_without_groups_has_no_claim_for_them(pool: LocalUserPool) -> None:
    tokens = pool.issue_tokens("carol", client="web")
    assert "cognito:groups" not in claims_of(tokens["access_token"])
    assert "cognito:groups" not in claims_of(tokens["id_token"])


def test_a_user_may_have_a_hundred_groups(pool: LocalUserPool) -> None:
    token = pool.issue_tokens("dave", client="web")["access_token"]
    assert len(claims_of(token)["cognito:groups"]) == 100
    assert len(token) > 4096


@pytest.mark.parametrize(
    ("scope", "attributes"),
    [
        pytest.param(
            "openid",
            {"email", "email_verified", "phone_number", "phone_number_verified", "name", "custom:desk"},
            id="openid alone shows all",
        ),
        pytest.param("openid email", {"email", "email_verified"}, id="email"),
        pytest.param("openid phone", {"phone_number", "phone_number_verified"}, id="phone"),
        pytest.param("openid profile", {"name"}, id="profile"),
        pytest.param("openid email profile", {"email", "email_verified", "name"}, id="two"),
    ],
)
def test_the_scope_decides_which_attributes_show(
    pool: LocalUserPool, scope: str, attributes: set[str]
) -> None:
    claims = claims_of(pool.issue_tokens("alice", client="web", scope=scope)["id_token"])
    known = {"email", "email_verified", "phone_number", "phone_number_verified", "name", "custom:desk"}
    assert claims.keys() & known == attributes


def test_a_user_without_email_has_no_claim_for_it(pool: LocalUserPool) -> None:
    pool.add_user("erin", password="erin-password", email="")
    claims = claims_of(pool.issue_tokens("erin", client="web")["id_token"])
    assert not {"email", "email_verified"} & claims.keys()


def test_sub_is_the_same_in_every_run(pool: LocalUserPool) -> None:
    with LocalUserPool() as another:
        assert another.users["alice"].sub == pool.users["alice"].sub
    assert len({user.sub for user in pool.users.values()}) == len(pool.users)


def test_a_resource_becomes_the_audience_of_the_access_token(visitor: Visitor) -> None:
    tokens = visitor.redeem(visitor.code(resource="https://api.example.test")).json()
    assert claims_of(tokens["access_token"])["aud"] == "https://api.example.test"
    tokens = visitor.refresh(tokens["refresh_token"]).json()
    assert claims_of(tokens["access_token"])["aud"] == "https://api.example.test"


@pytest.mark.parametrize(
    ("changes", "has_nonce"),
    [
        pytest.param({}, False, id="local user"),
        pytest.param({"identity_provider": "COGNITO"}, False, id="local user, by name"),
        pytest.param({"identity_provider": "Google"}, True, id="provider"),
        pytest.param({"idp_identifier": "example.test"}, True, id="provider, by identifier"),
    ],
)
def test_a_nonce_is_made_up_for_federated_sign_ins_alone(
    visitor: Visitor, changes: dict[str, str], has_nonce: bool
) -> None:
    tokens = visitor.redeem(visitor.code(nonce=None, **changes)).json()
    assert ("nonce" in claims_of(tokens["id_token"])) == has_nonce


class TestSwitches:
    def test_lifetimes(self, pool: LocalUserPool, visitor: Visitor) -> None:
        pool.trouble.access_token_lifetime = 5
        pool.trouble.id_token_lifetime = 7
        answer = visitor.redeem(visitor.code()).json()
        access, id_ = claims_of(answer["access_token"]), claims_of(answer["id_token"])
        assert answer["expires_in"] == access["exp"] - access["iat"] == 5
        assert id_["exp"] - id_["iat"] == 7

    def test_clock_ahead(self, pool: LocalUserPool, visitor: Visitor) -> None:
        with time_machine.travel(NOW, tick=False):
            pool.trouble.clock_ahead = 120
            response = visitor.redeem(visitor.code())
        claims = claims_of(response.json()["id_token"])
        assert (claims["iat"], claims["auth_time"]) == (NOW + 120, NOW + 120)
        assert response.headers["Date"] == formatdate(NOW + 120, usegmt=True)

    def test_omit_id_token(self, pool: LocalUserPool, visitor: Visitor) -> None:
        pool.trouble.omit_id_token = True
        assert "id_token" not in visitor.redeem(visitor.code()).json()

    def test_omit_nonce(self, pool: LocalUserPool, visitor: Visitor) -> None:
        pool.trouble.omit_nonce = True
        assert "nonce" not in claims_of(visitor.redeem(visitor.code()).json()["id_token"])
