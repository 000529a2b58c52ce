"""The token endpoint: what it grants, to whom, and how it refuses."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import time_machine

from cognito_wsgi.local import LocalUserPool

from .visitor import CALLBACK, VERIFIER, Visitor, claims_of, post

NOW = 1_790_000_000
REFRESH_LIFETIME = 30 * 86400


def assert_refused(response: requests.Response, error: str) -> None:
    assert (response.status_code, response.json()) == (400, {"error": error})


class TestCode:
    def test_brings_all_three_tokens_and_no_scope(self, visitor: Visitor) -> None:
        response = visitor.redeem(visitor.code())
        assert response.status_code == 200
        answer = response.json()
        assert answer.keys() == {"access_token", "id_token", "refresh_token", "expires_in", "token_type"}
        assert (answer["expires_in"], answer["token_type"]) == (3600, "Bearer")

    def test_brings_no_id_token_without_openid(self, visitor: Visitor) -> None:
        answer = visitor.redeem(visitor.code(scope="aws.cognito.signin.user.admin")).json()
        assert answer.keys() == {"access_token", "refresh_token", "expires_in", "token_type"}

    def test_answers_any_origin_and_is_not_stored(self, visitor: Visitor) -> None:
        headers = visitor.redeem(visitor.code()).headers
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert headers["Cache-Control"] == "no-store"
        assert headers["x-amz-cognito-request-id"]
        assert headers["Date"]

    def test_works_once(self, visitor: Visitor) -> None:
        code = visitor.code()
        assert visitor.redeem(code).status_code == 200
        assert_refused(visitor.redeem(code), "invalid_grant")

    def test_works_once_in_a_race(self, visitor: Visitor) -> None:
        code = visitor.code()
        with ThreadPoolExecutor(8) as threads:
            statuses = list(threads.map(lambda _: visitor.redeem(code).status_code, range(8)))
        assert sorted(statuses) == [200] + [400] * 7

    @pytest.mark.parametrize(("age", "status"), [(299, 200), (300, 400)])
    def test_lives_for_five_minutes(self, visitor: Visitor, age: int, status: int) -> None:
        with time_machine.travel(NOW, tick=False) as clock:
            code = visitor.code()
            clock.move_to(NOW + age)
            assert visitor.redeem(code).status_code == status

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            pytest.param({"code": "unknown"}, "invalid_grant", id="unknown code"),
            pytest.param({"code": None}, "invalid_request", id="no code"),
            pytest.param({"code_verifier": "w" * 43}, "invalid_grant", id="another verifier"),
            pytest.param({"code_verifier": None}, "invalid_request", id="no verifier"),
            pytest.param({"code_verifier": "short"}, "invalid_request", id="malformed verifier"),
            pytest.param({"redirect_uri": CALLBACK + "/"}, "invalid_grant", id="another redirect URI"),
            pytest.param({"redirect_uri": None}, "invalid_grant", id="no redirect URI"),
        ],
    )
    def test_is_refused(self, visitor: Visitor, changes: dict[str, str | None], error: str) -> None:
        assert_refused(visitor.redeem(visitor.code(), **changes), error)

    def test_is_only_for_the_client_that_asked(self, pool: LocalUserPool, visitor: Visitor) -> None:
        code = visitor.code()
        with Visitor(pool, "other") as stranger:
            assert_refused(stranger.redeem(code), "invalid_grant")
        assert visitor.redeem(code).status_code == 200

    def test_needs_no_verifier_where_there_was_no_challenge(self, visitor: Visitor) -> None:
        code = visitor.code(code_challenge=None, code_challenge_method=None)
        assert visitor.redeem(code, code_verifier=None).status_code == 200

    def test_refuses_a_verifier_where_there_was_no_challenge(self, visitor: Visitor) -> None:
        code = visitor.code(code_challenge=None, code_challenge_method=None)
        assert_refused(visitor.redeem(code), "invalid_request")


class TestClientAuthentication:
    @pytest.mark.parametrize("with_client_id", [True, False])
    def test_basic_with_or_without_client_id_in_the_body(
        self, visitor: Visitor, with_client_id: bool
    ) -> None:
        body = {"client_id": visitor.client.client_id} if with_client_id else {}
        assert visitor.redeem(visitor.code(), **body).status_code == 200

    def test_secret_in_the_body(self, pool: LocalUserPool, visitor: Visitor) -> None:
        secret = visitor.client.client_secret
        assert secret is not None
        assert "+" in secret
        response = self.post(pool, visitor, client_id=visitor.client.client_id, client_secret=secret)
        assert response.status_code == 200

    def test_a_public_client_sends_its_id_alone(self, pool: LocalUserPool) -> None:
        with Visitor(pool, "public") as visitor:
            tokens = visitor.redeem(visitor.code()).json()
            assert visitor.refresh(tokens["refresh_token"]).status_code == 200

    @pytest.mark.parametrize("place", ["body", "header", "header without client_id in the body"])
    def test_a_public_client_that_sends_a_secret_is_refused(self, pool: LocalUserPool, place: str) -> None:
        with Visitor(pool, "public") as visitor:
            client_id, secret = visitor.client.client_id, "x" * 24
            body = {"client_id": client_id} if place != "header without client_id in the body" else {}
            if place == "body":
                response = self.post(pool, visitor, **body, client_secret=secret)
            else:
                basic = b"Basic " + base64.b64encode(f"{client_id}:{secret}".encode())
                response = self.post(pool, visitor, {"Authorization": basic}, **body)
            assert_refused(response, "invalid_client")

    @pytest.mark.parametrize(
        "credentials",
        [
            pytest.param({}, id="nothing"),
            pytest.param({"client_id": "web"}, id="no secret"),
            pytest.param({"client_id": "web", "client_secret": "wrong"}, id="wrong secret"),
            pytest.param({"client_id": "web", "client_secret": "é"}, id="secret not ASCII"),
            pytest.param({"client_id": "unknown", "client_secret": "wrong"}, id="unknown client"),
        ],
    )
    def test_is_refused_in_the_body(
        self, pool: LocalUserPool, visitor: Visitor, credentials: dict[str, str]
    ) -> None:
        if credentials.get("client_id") == "web":
            credentials = credentials | {"client_id": visitor.client.client_id}
        assert_refused(self.post(pool, visitor, **credentials), "invalid_client")

    @pytest.mark.parametrize(
        "header",
        [
            pytest.param("Basic dW5rbm93bjp3cm9uZw==", id="unknown client"),
            pytest.param("Basic /////w==", id="not UTF-8"),
            pytest.param("Basic é", id="not ASCII"),
            pytest.param("Basic x", id="not base64"),
            pytest.param("Bearer x", id="another scheme"),
            pytest.param("Basic", id="nothing after the scheme"),
        ],
    )
    def test_is_refused_in_the_header(self, pool: LocalUserPool, visitor: Visitor, header: str) -> None:
        headers = {"Authorization": header.encode("latin-1")}
        assert_refused(self.post(pool, visitor, headers=headers), "invalid_client")

    @staticmethod
    def post(
        pool: LocalUserPool, visitor: Visitor, headers: dict[str, bytes] | None = None, **credentials: str
    ) -> requests.Response:
        body = {
            "grant_type": "authorization_code",
            "code": visitor.code(),
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
        }
        return post(f"{pool.domain}/oauth2/token", body | credentials, headers=headers)


class TestRefresh:
    def test_brings_no_refresh_token_without_rotation(self, visitor: Visitor) -> None:
        refresh_token = visitor.redeem(visitor.code()).json()["refresh_token"]
        answer = visitor.refresh(refresh_token).json()
        assert answer.keys() == {"access_token", "id_token", "expires_in", "token_type"}
        assert visitor.refresh(refresh_token).status_code == 200

    def test_keeps_the_sign_in_and_drops_the_nonce(self, visitor: Visitor) -> None:
        with time_machine.travel(NOW, tick=False) as clock:
            first = visitor.redeem(visitor.code()).json()
            clock.move_to(NOW + 900)
            second = visitor.refresh(first["refresh_token"]).json()
        old, new = claims_of(first["id_token"]), claims_of(second["id_token"])
        kept = ("sub", "iss", "aud", "auth_time", "origin_jti", "cognito:username")
        assert [old[name] for name in kept] == [new[name] for name in kept]
        assert old["nonce"] == "nonce-1"
        assert "nonce" not in new
        assert (new["iat"], new["jti"] != old["jti"]) == (NOW + 900, True)

    def test_shows_the_groups_of_today(self, pool: LocalUserPool, visitor: Visitor) -> None:
        refresh_token = visitor.redeem(visitor.code("bob")).json()["refresh_token"]
        pool.set_groups("bob", ["admin"])
        tokens = visitor.refresh(refresh_token).json()
        assert claims_of(tokens["access_token"])["cognito:groups"] == ["admin"]
        assert pool.users["bob"].groups == ("admin",)

    def test_can_narrow_the_scope(self, visitor: Visitor) -> None:
        refresh_token = visitor.redeem(visitor.code(scope="openid email")).json()["refresh_token"]
        tokens = visitor.refresh(refresh_token, scope="openid").json()
        assert claims_of(tokens["access_token"])["scope"] == "openid"
        assert_refused(visitor.refresh(refresh_token, scope="openid phone"), "invalid_scope")

    @pytest.mark.parametrize(("age", "status"), [(REFRESH_LIFETIME - 1, 200), (REFRESH_LIFETIME, 400)])
    def test_ends_thirty_days_after_the_sign_in(self, visitor: Visitor, age: int, status: int) -> None:
        with time_machine.travel(NOW, tick=False) as clock:
            refresh_token = visitor.redeem(visitor.code()).json()["refresh_token"]
            clock.move_to(NOW + age)
            assert visitor.refresh(refresh_token).status_code == status

    def test_is_only_for_the_client_that_signed_in(self, pool: LocalUserPool, visitor: Visitor) -> None:
        refresh_token = visitor.redeem(visitor.code()).json()["refresh_token"]
        with Visitor(pool, "other") as stranger:
            assert_refused(stranger.refresh(refresh_token), "invalid_grant")

    def test_needs_a_token(self, visitor: Visitor) -> None:
        assert_refused(visitor.token("refresh_token"), "invalid_request")
        assert_refused(visitor.refresh("unknown"), "invalid_grant")

    def test_ends_for_a_user_whose_tokens_are_all_revoked(
        self, pool: LocalUserPool, visitor: Visitor
    ) -> None:
        alice = pool.issue_tokens("alice", client="web")["refresh_token"]
        bob = pool.issue_tokens("bob", client="web")["refresh_token"]
        pool.revoke_all("alice")
        assert_refused(visitor.refresh(alice), "invalid_grant")
        assert visitor.refresh(bob).status_code == 200


class TestRotation:
    @pytest.fixture(autouse=True)
    def rotation(self, pool: LocalUserPool) -> None:
        pool.trouble.rotation = True

    def test_brings_a_new_token_and_ends_the_old_one(self, pool: LocalUserPool, visitor: Visitor) -> None:
        first = pool.issue_tokens("alice", client="web")["refresh_token"]
        second = visitor.refresh(first).json()["refresh_token"]
        assert second != first
        assert_refused(visitor.refresh(first), "invalid_grant")
        assert visitor.refresh(second).status_code == 200

    @pytest.mark.parametrize(("age", "status"), [(29, 200), (30, 400)])
    def test_leaves_the_old_one_its_grace(
        self, pool: LocalUserPool, visitor: Visitor, age: int, status: int
    ) -> None:
        pool.trouble.rotation_grace = 30
        with time_machine.travel(NOW, tick=False) as clock:
            first = pool.issue_tokens("alice", client="web")["refresh_token"]
            visitor.refresh(first)
            clock.move_to(NOW + age)
            assert visitor.refresh(first).status_code == status

    def test_use_within_the_grace_does_not_extend_it(self, pool: LocalUserPool, visitor: Visitor) -> None:
        pool.trouble.rotation_grace = 30
        with time_machine.travel(NOW, tick=False) as clock:
            first = pool.issue_tokens("alice", client="web")["refresh_token"]
            visitor.refresh(first)
            clock.move_to(NOW + 20)
            assert visitor.refresh(first).status_code == 200
            clock.move_to(NOW + 30)
            assert visitor.refresh(first).status_code == 400

    def test_lets_one_of_many_through(self, pool: LocalUserPool, visitor: Visitor) -> None:
        token = pool.issue_tokens("alice", client="web")["refresh_token"]
        with ThreadPoolExecutor(8) as threads:
            statuses = list(threads.map(lambda _: visitor.refresh(token).status_code, range(8)))
        assert sorted(statuses) == [200] + [400] * 7

    @pytest.mark.parametrize(("age", "status"), [(REFRESH_LIFETIME - 1, 200), (REFRESH_LIFETIME, 400)])
    def test_does_not_prolong_the_sign_in(
        self, pool: LocalUserPool, visitor: Visitor, age: int, status: int
    ) -> None:
        with time_machine.travel(NOW, tick=False) as clock:
            first = pool.issue_tokens("alice", client="web")["refresh_token"]
            clock.move_to(NOW + 86400)
            second = visitor.refresh(first).json()["refresh_token"]
            clock.move_to(NOW + age)
            assert visitor.refresh(second).status_code == status

    def test_a_refused_request_does_not_use_the_token_up(self, pool: LocalUserPool, visitor: Visitor) -> None:
        token = pool.issue_tokens("alice", client="web", scope="openid")["refresh_token"]
        assert_refused(visitor.refresh(token, scope="openid email"), "invalid_scope")
        assert visitor.refresh(token).status_code == 200

    def test_revocation_ends_the_successors_too(self, pool: LocalUserPool, visitor: Visitor) -> None:
        first = pool.issue_tokens("alice", client="web")["refresh_token"]
        second = visitor.refresh(first).json()["refresh_token"]
        visitor.revoke(second)
        assert_refused(visitor.refresh(second), "invalid_grant")


class TestMachine:
    @pytest.fixture
    def machine(self, pool: LocalUserPool) -> Visitor:
        return Visitor(pool, "machine")

    def test_gets_an_access_token_and_nothing_else(self, machine: Visitor) -> None:
        answer = machine.token("client_credentials").json()
        assert answer.keys() == {"access_token", "expires_in", "token_type"}
        assert claims_of(answer["access_token"])["scope"] == "newsroom/read newsroom/write"

    def test_gets_the_scope_it_asks_for(self, machine: Visitor) -> None:
        answer = machine.token("client_credentials", scope="newsroom/read").json()
        assert claims_of(answer["access_token"])["scope"] == "newsroom/read"
        assert_refused(machine.token("client_credentials", scope="openid"), "invalid_scope")

    def test_grant_is_not_for_other_clients(self, machine: Visitor, visitor: Visitor) -> None:
        assert_refused(visitor.token("client_credentials"), "unauthorized_client")
        assert_refused(machine.redeem("any"), "unauthorized_client")
        assert_refused(machine.refresh("any"), "unauthorized_client")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        pytest.param({}, "invalid_request", id="no grant type"),
        pytest.param({"grant_type": "password"}, "unsupported_grant_type", id="another grant type"),
        pytest.param({"grant_type": '"é'}, "unsupported_grant_type", id="odd grant type"),
    ],
)
def test_the_grant_type_must_be_known(visitor: Visitor, body: dict[str, str], error: str) -> None:
    assert_refused(visitor.call("/oauth2/token", body), error)
