"""Revocation, userInfo and sign-out."""

from __future__ import annotations

import pytest
import requests
import time_machine

from cognito_wsgi.local import LocalUserPool

from .visitor import CALLBACK, Visitor, answer, claims_of, post

NOW = 1_790_000_000
BYE = "http://localhost:5000/"


class TestRevoke:
    def test_ends_the_refresh_token_with_an_empty_200(self, pool: LocalUserPool, visitor: Visitor) -> None:
        token = pool.issue_tokens("alice", client="web")["refresh_token"]
        response = visitor.revoke(token)
        assert (response.status_code, response.content) == (200, b"")
        assert "json" not in response.headers["Content-Type"]
        assert visitor.refresh(token).json() == {"error": "invalid_grant"}

    def test_leaves_other_sign_ins_of_the_user_alone(self, pool: LocalUserPool, visitor: Visitor) -> None:
        one, other = (pool.issue_tokens("alice", client="web")["refresh_token"] for _ in range(2))
        visitor.revoke(one)
        assert visitor.refresh(other).status_code == 200

    @pytest.mark.parametrize("times", [1, 2])
    def test_says_the_same_to_unknown_and_to_dead_tokens(self, visitor: Visitor, times: int) -> None:
        for _ in range(times):
            response = visitor.revoke("unknown")
        assert (response.status_code, response.content) == (200, b"")

    def test_a_public_client_sends_its_id(self, pool: LocalUserPool) -> None:
        with Visitor(pool, "public") as visitor:
            token = pool.issue_tokens("alice", client="public")["refresh_token"]
            assert visitor.revoke(token).status_code == 200
            assert visitor.refresh(token).status_code == 400

    def test_a_public_client_that_sends_a_secret_is_refused(self, pool: LocalUserPool) -> None:
        with Visitor(pool, "public") as visitor:
            token = pool.issue_tokens("alice", client="public")["refresh_token"]
            body = {"token": token, "client_id": visitor.client.client_id}
            response = post(f"{pool.domain}/oauth2/revoke", body, auth=(visitor.client.client_id, "x" * 24))
            assert (response.status_code, response.json()) == (401, {"error": "invalid_client"})
            assert visitor.refresh(token).status_code == 200

    def test_leaves_a_token_of_another_client_alone(self, pool: LocalUserPool, visitor: Visitor) -> None:
        token = pool.issue_tokens("alice", client="web")["refresh_token"]
        with Visitor(pool, "other") as stranger:
            assert stranger.revoke(token).json() == {"error": "invalid_grant"}
        assert visitor.refresh(token).status_code == 200

    @pytest.mark.parametrize("kind", ["access_token", "id_token"])
    def test_takes_no_other_tokens(self, pool: LocalUserPool, visitor: Visitor, kind: str) -> None:
        response = visitor.revoke(pool.issue_tokens("alice", client="web")[kind])
        assert (response.status_code, response.json()) == (400, {"error": "unsupported_token_type"})

    def test_needs_a_token(self, visitor: Visitor) -> None:
        response = visitor.call("/oauth2/revoke", {})
        assert (response.status_code, response.json()) == (400, {"error": "invalid_request"})

    @pytest.mark.parametrize(
        "body",
        [
            pytest.param({"token": "x"}, id="no client"),
            pytest.param({"token": "x", "client_id": "unknown"}, id="unknown client"),
            pytest.param(
                {"token": "x", "client_id": "unknown", "client_secret": "x"}, id="unknown, with secret"
            ),
        ],
    )
    def test_needs_a_client(self, shared_pool: LocalUserPool, body: dict[str, str]) -> None:
        response = post(f"{shared_pool.domain}/oauth2/revoke", body)
        assert (response.status_code, response.json()) == (401, {"error": "invalid_client"})


class TestUserInfo:
    def test_shows_attributes_with_booleans_as_texts(self, pool: LocalUserPool) -> None:
        token = pool.issue_tokens("alice", client="web", scope="openid email")["access_token"]
        response = self.ask(pool, f"Bearer {token}")
        assert response.status_code == 200
        assert response.json() == {
            "sub": pool.users["alice"].sub,
            "username": "alice",
            "email": "alice@example.test",
            "email_verified": "true",
        }
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Access-Control-Allow-Origin"] == "*"

    def test_takes_a_token_of_the_keys_before(self, pool: LocalUserPool) -> None:
        token = pool.issue_tokens("alice", client="web")["access_token"]
        pool.rotate_keys()
        assert self.ask(pool, f"Bearer {token}").status_code == 200
        pool.drop_keys()
        assert self.ask(pool, f"Bearer {token}").status_code == 401

    @pytest.mark.parametrize("header", [None, "Basic x", "Bearer", "Bearer "])
    def test_needs_a_token(self, pool: LocalUserPool, header: str | None) -> None:
        response = self.ask(pool, header)
        assert response.status_code == 400
        assert response.headers["WWW-Authenticate"].startswith('error="invalid_request"')

    @pytest.mark.parametrize(
        ("change", "description"),
        [
            pytest.param({"exp": NOW}, "Access token has expired", id="exp: now"),
            pytest.param({"exp": None}, "Access token has expired", id="exp: missing"),
            pytest.param({"exp": "x"}, "Access token has expired", id="exp: text"),
            pytest.param({"iss": "https://elsewhere.test"}, "Access token is invalid", id="another issuer"),
            pytest.param({"token_use": "id"}, "Access token is invalid", id="no access token"),
            pytest.param({"username": "nobody"}, "Access token is invalid", id="unknown user"),
            pytest.param({"scope": "email"}, "Access token does not contain openid scope", id="no openid"),
        ],
    )
    def test_refuses(self, pool: LocalUserPool, change: dict[str, object], description: str) -> None:
        with time_machine.travel(NOW, tick=False):
            claims = claims_of(pool.issue_tokens("alice", client="web")["access_token"])
            changed = {name: value for name, value in (claims | change).items() if value is not None}
            self.assert_invalid(pool, pool.sign(changed), description)

    def test_refuses_a_revoked_sign_in(self, pool: LocalUserPool, visitor: Visitor) -> None:
        tokens = pool.issue_tokens("alice", client="web")
        visitor.revoke(tokens["refresh_token"])
        self.assert_invalid(pool, tokens["access_token"], "Access token has been revoked")

    def test_takes_a_token_with_a_claim_of_an_odd_type(self, pool: LocalUserPool) -> None:
        claims = claims_of(pool.issue_tokens("alice", client="web")["access_token"])
        assert self.ask(pool, f"Bearer {pool.sign(claims | {'origin_jti': ['x']})}").status_code == 200

    @pytest.mark.parametrize("token", ["x", "a.b", "a.b.c", "é.é.é", "....", "a.b.c="])
    def test_refuses_what_is_no_token(self, shared_pool: LocalUserPool, token: str) -> None:
        self.assert_invalid(shared_pool, token, "Access token is invalid")

    def test_refuses_a_token_of_another_pool(self, pool: LocalUserPool) -> None:
        with LocalUserPool() as other:
            claims = claims_of(pool.issue_tokens("alice", client="web")["access_token"])
            self.assert_invalid(pool, other.sign(claims), "Access token is invalid")

    def test_refuses_signed_claims_that_are_no_object(self, pool: LocalUserPool) -> None:
        key = pool._state.keys.current("access")
        self.assert_invalid(pool, key.sign(["no", "object"]), "Access token is invalid")  # type: ignore[arg-type]

    def assert_invalid(self, pool: LocalUserPool, token: str, description: str) -> None:
        response = self.ask(pool, f"Bearer {token}")
        header = f'error="invalid_token", error_description="{description}"'
        assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, header)

    @staticmethod
    def ask(pool: LocalUserPool, authorization: str | None) -> requests.Response:
        headers = {} if authorization is None else {"Authorization": authorization.encode()}
        return requests.get(f"{pool.domain}/oauth2/userInfo", headers=headers, timeout=10)


class TestLogout:
    @pytest.fixture(autouse=True)
    def signed_in(self, visitor: Visitor) -> None:
        visitor.sign_in()

    def test_leads_to_the_sign_out_url_and_ends_the_session(self, visitor: Visitor) -> None:
        cookies = visitor.http.cookies.copy()
        response = self.leave(visitor, logout_uri=BYE, redirect_uri=CALLBACK)
        assert (response.status_code, response.headers["Location"]) == (302, BYE)
        assert not visitor.http.cookies
        visitor.http.cookies.update(cookies)
        assert answer(visitor.authorize(prompt="none"))["error"] == "login_required"

    def test_can_lead_to_the_sign_in_page_instead(self, visitor: Visitor) -> None:
        parameters = visitor.request(state="next")
        response = self.leave(visitor, **parameters)
        assert response.headers["Location"].startswith("/login?")
        assert "state=next" in response.headers["Location"]
        assert not visitor.http.cookies
        assert visitor.get(response.headers["Location"]).status_code == 200

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            pytest.param({}, "Required String parameter &#39;redirect_uri&#39; is not present", id="nothing"),
            pytest.param(
                {"logout_uri": BYE + "x"},
                "Required String parameter &#39;redirect_uri&#39; is not present",
                id="unregistered sign-out URL",
            ),
            pytest.param({"post_logout_redirect_uri": BYE}, "redirect_uri", id="the standard's parameter"),
            pytest.param({"client_id": "unknown", "logout_uri": BYE}, "client_id", id="unknown client"),
        ],
    )
    def test_else_shows_a_page_and_signs_nobody_out(
        self, visitor: Visitor, parameters: dict[str, str], message: str
    ) -> None:
        response = self.leave(visitor, **parameters)
        assert response.status_code == 400
        assert message in response.text
        assert "code" in answer(visitor.authorize(prompt="none"))

    def test_an_unregistered_callback_url_is_a_mismatch(self, visitor: Visitor) -> None:
        response = self.leave(visitor, response_type="code", redirect_uri="http://elsewhere.test/")
        assert response.headers["Location"].startswith("/error?error=redirect_mismatch&")

    def test_without_a_session_works_the_same(self, visitor: Visitor) -> None:
        visitor.http.cookies.clear()
        assert self.leave(visitor, logout_uri=BYE).headers["Location"] == BYE

    @staticmethod
    def leave(visitor: Visitor, **parameters: str) -> requests.Response:
        return visitor.get("/logout", **{"client_id": visitor.client.client_id, **parameters})
