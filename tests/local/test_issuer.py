"""The issuer host: discovery, the key set, rotation, and who may ask at all."""

from __future__ import annotations

import base64
from urllib.parse import urlsplit

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256

from cognito_wsgi.local import LocalUserPool

from .visitor import decode, header_of


def get(url: str, **headers: str) -> requests.Response:
    return requests.get(url, headers=headers, timeout=10)


def key_set(pool: LocalUserPool) -> dict[str, dict[str, str]]:
    return {key["kid"]: key for key in get(pool.jwks_url).json()["keys"]}


def test_issuer_and_domain_are_separate_origins(pool: LocalUserPool) -> None:
    assert urlsplit(pool.issuer).netloc != urlsplit(pool.domain).netloc
    assert pool.issuer.endswith(f"/{pool.pool_id}")
    assert pool.pool_id.startswith(f"{pool.region}_")


def test_discovery_leads_to_both_hosts(pool: LocalUserPool) -> None:
    document = get(f"{pool.issuer}/.well-known/openid-configuration").json()
    assert document["issuer"] == pool.issuer
    assert document["jwks_uri"] == pool.jwks_url == f"{pool.issuer}/.well-known/jwks.json"
    for name, path in (
        ("authorization_endpoint", "/oauth2/authorize"),
        ("token_endpoint", "/oauth2/token"),
        ("revocation_endpoint", "/oauth2/revoke"),
        ("userinfo_endpoint", "/oauth2/userInfo"),
        ("end_session_endpoint", "/logout"),
    ):
        assert document[name] == pool.domain + path
    assert "code_challenge_methods_supported" not in document


def test_discovery_is_not_on_the_domain_host(pool: LocalUserPool) -> None:
    assert get(f"{pool.domain}/.well-known/openid-configuration").status_code == 404


def test_the_key_set_has_two_rsa_keys_of_2048_bits(pool: LocalUserPool) -> None:
    keys = get(pool.jwks_url).json()["keys"]
    assert len(keys) == 2
    for key in keys:
        assert {name: key[name] for name in ("alg", "kty", "use", "e")} == {
            "alg": "RS256",
            "kty": "RSA",
            "use": "sig",
            "e": "AQAB",
        }
        assert len(decode(key["n"])) == 256
        assert "=" not in key["n"]


@pytest.mark.parametrize("kind", ["access_token", "id_token"])
def test_the_key_set_verifies_the_tokens(pool: LocalUserPool, kind: str) -> None:
    token = pool.issue_tokens("alice", client="web")[kind]
    assert_signed_by(key_set(pool)[header_of(token)["kid"]], token)


def assert_signed_by(key: dict[str, str], token: str) -> None:
    signed, _, signature = token.rpartition(".")
    numbers = RSAPublicNumbers(*(int.from_bytes(decode(key[name])) for name in ("e", "n")))
    numbers.public_key().verify(decode(signature), signed.encode(), PKCS1v15(), SHA256())


@pytest.mark.parametrize("use", ["access", "id"])
def test_any_claims_can_be_signed(pool: LocalUserPool, use: str) -> None:
    token = pool.sign({"sub": None}, use=use)  # type: ignore[arg-type]
    assert_signed_by(key_set(pool)[header_of(token)["kid"]], token)


class TestRotation:
    def test_keeps_the_old_keys(self, pool: LocalUserPool) -> None:
        before = key_set(pool)
        pool.rotate_keys()
        after = key_set(pool)
        assert before.items() <= after.items()
        assert len(after) == 4
        assert header_of(pool.machine_token())["kid"] not in before

    def test_can_end_the_old_keys_at_once(self, pool: LocalUserPool) -> None:
        before = key_set(pool)
        pool.rotate_keys(keep_old=False)
        assert not before.keys() & key_set(pool).keys()

    def test_old_keys_can_be_dropped_later(self, pool: LocalUserPool) -> None:
        before = key_set(pool)
        pool.rotate_keys()
        pool.drop_keys()
        assert len(key_set(pool)) == 2
        assert not before.keys() & key_set(pool).keys()


def test_two_pools_never_share_a_key_while_they_live() -> None:
    with LocalUserPool() as one, LocalUserPool() as other:
        moduli = {key["n"] for pool in (one, other) for key in key_set(pool).values()}
    assert len(moduli) == 4


def test_kids_are_new_in_every_pool() -> None:
    kids: set[str] = set()
    for _ in range(2):
        with LocalUserPool() as pool:
            kids |= key_set(pool).keys()
    assert len(kids) == 4
    assert all(len(base64.b64decode(kid)) == 32 for kid in kids)


@pytest.mark.parametrize("host", ["evil.test", "evil.test:80", "127.0.0.1.evil.test", "[::1", "", "10.0.0.1"])
@pytest.mark.parametrize("path", ["/login", "/_control", "/oauth2/token"])
def test_a_foreign_host_header_is_refused(shared_pool: LocalUserPool, host: str, path: str) -> None:
    origin = shared_pool.issuer.rpartition("/")[0] if path == "/_control" else shared_pool.domain
    assert get(origin + path, Host=host).status_code in {400, 403}


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1", "127.9.9.9:1", "[::1]", "[::1]:1"])
def test_every_loopback_host_header_is_served(shared_pool: LocalUserPool, host: str) -> None:
    assert get(shared_pool.jwks_url, Host=host).status_code == 200
