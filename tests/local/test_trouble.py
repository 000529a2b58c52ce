"""Trouble on demand, by Python and by the control endpoint, and the counters."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
import requests

from cognito_wsgi.local import LocalUserPool, Trouble
from cognito_wsgi.local.bad_answers import BAD_ANSWERS
from cognito_wsgi.local.trouble import KINDS

from .visitor import Visitor

ENDPOINTS = ["jwks", "token", "revoke"]
Ask = Callable[..., requests.Response]


@pytest.fixture
def ask(pool: LocalUserPool) -> Ask:
    """Call an endpoint that has a trouble switch."""
    web = pool.client("web")
    auth = (web.client_id, str(web.client_secret))
    refresh_token = pool.issue_tokens("alice", client="web")["refresh_token"]

    def ask(endpoint: str, **options: object) -> requests.Response:
        settings: dict[str, object] = {"timeout": 10, "allow_redirects": False, **options}
        if endpoint == "jwks":
            return requests.get(pool.jwks_url, **settings)
        body = {"grant_type": "refresh_token", "refresh_token": refresh_token, "token": "unknown"}
        return requests.post(f"{pool.domain}/oauth2/{endpoint}", data=body, auth=auth, **settings)

    return ask


@pytest.mark.parametrize("endpoint", ENDPOINTS)
class TestEveryEndpoint:
    @pytest.mark.parametrize("status", [429, 500, 503])
    def test_answers_with_a_bad_status(
        self, pool: LocalUserPool, ask: Ask, endpoint: str, status: int
    ) -> None:
        setattr(pool.trouble, endpoint, str(status))
        response = ask(endpoint)
        assert response.status_code == status
        assert ("Retry-After" in response.headers) == (status == 429)

    def test_answers_with_html(self, pool: LocalUserPool, ask: Ask, endpoint: str) -> None:
        setattr(pool.trouble, endpoint, "html")
        response = ask(endpoint)
        assert (response.status_code, response.headers["Content-Type"]) == (200, "text/html; charset=utf-8")

    def test_answers_with_garbage(self, pool: LocalUserPool, ask: Ask, endpoint: str) -> None:
        setattr(pool.trouble, endpoint, "garbage")
        response = ask(endpoint)
        assert response.status_code == 200
        with pytest.raises(ValueError):
            response.json()

    def test_answers_with_nothing_in_it(self, pool: LocalUserPool, ask: Ask, endpoint: str) -> None:
        setattr(pool.trouble, endpoint, "empty")
        response = ask(endpoint)
        assert (response.status_code, response.json()) == (200, {"keys": []} if endpoint == "jwks" else {})

    def test_answers_with_a_redirect_that_can_be_followed(
        self, pool: LocalUserPool, ask: Ask, endpoint: str
    ) -> None:
        setattr(pool.trouble, endpoint, "redirect")
        assert ask(endpoint).status_code == 302
        assert pool.calls["elsewhere"] == 0
        assert ask(endpoint, allow_redirects=True).status_code == 200
        assert pool.calls["elsewhere"] == 1

    def test_hangs_up(self, pool: LocalUserPool, ask: Ask, endpoint: str) -> None:
        setattr(pool.trouble, endpoint, "close")
        with pytest.raises(requests.ConnectionError):
            ask(endpoint)

    def test_answers_late_but_well(self, pool: LocalUserPool, ask: Ask, endpoint: str) -> None:
        setattr(pool.trouble, endpoint, "slow")
        pool.trouble.delay = 0.05
        begun = time.monotonic()
        assert ask(endpoint).status_code == 200
        assert time.monotonic() - begun >= 0.05

    def test_is_counted_in_trouble_too(self, pool: LocalUserPool, ask: Ask, endpoint: str) -> None:
        setattr(pool.trouble, endpoint, "503")
        ask(endpoint)
        assert pool.calls[endpoint] == 1

    def test_is_well_again_after_clear(self, pool: LocalUserPool, ask: Ask, endpoint: str) -> None:
        setattr(pool.trouble, endpoint, "503")
        pool.trouble.clear()
        assert ask(endpoint).status_code == 200
        assert pool.trouble == Trouble()


def test_a_huge_body_has_64_mib(pool: LocalUserPool, ask: Ask) -> None:
    pool.trouble.jwks = "huge"
    with ask("jwks", stream=True) as response:
        assert sum(map(len, response.iter_content(1 << 20))) == 64 << 20


def test_a_huge_body_may_be_cut_off_by_the_reader(pool: LocalUserPool, ask: Ask) -> None:
    pool.trouble.jwks = "huge"
    with ask("jwks", stream=True) as response:
        assert len(next(response.iter_content(1024))) == 1024
    pool.trouble.clear()
    assert ask("jwks").status_code == 200


class TestTheEndOfThePool:
    """Whatever takes its time ends with the pool, and at once."""

    @pytest.fixture
    def pool(self) -> LocalUserPool:
        pool = LocalUserPool()
        pool.start()
        return pool

    def test_cuts_a_slow_answer_short(self, pool: LocalUserPool, ask: Ask) -> None:
        pool.trouble.jwks = "slow"
        pool.trouble.delay = 600
        statuses: list[int] = []
        reader = threading.Thread(target=lambda: statuses.append(ask("jwks").status_code))
        reader.start()
        while not pool.calls["jwks"]:
            time.sleep(0.001)
        pool.stop()
        reader.join(5)
        assert statuses == [503]

    @pytest.mark.parametrize("kind", ["drip", "huge"])
    def test_ends_a_body_without_end(self, pool: LocalUserPool, ask: Ask, kind: str) -> None:
        pool.trouble.jwks = kind
        with ask("jwks", stream=True) as response:
            body = response.iter_content(65536)
            assert all(next(body) for _ in range(2))
            pool.stop()
            assert sum(map(len, body)) < 64 << 20

    def test_can_come_twice(self, pool: LocalUserPool) -> None:
        pool.stop()
        pool.stop()

    def test_frees_the_ports(self, pool: LocalUserPool) -> None:
        port = int(pool.domain.rpartition(":")[2])
        pool.stop()
        with LocalUserPool(port=port) as again:
            assert again.domain == pool.domain


class TestSwitches:
    def test_have_an_answer_for_every_kind(self) -> None:
        assert set(BAD_ANSWERS) == set(KINDS)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            pytest.param("jwks", "fire", id="unknown kind"),
            pytest.param("jwks", 503, id="number for a kind"),
            pytest.param("rotation", 1, id="number for a truth"),
            pytest.param("rotation_grace", True, id="truth for a number"),
            pytest.param("rotation_grace", 1.5, id="fraction for whole seconds"),
            pytest.param("delay", "10", id="text for a number"),
            pytest.param("authorize_error", 5, id="number for a text"),
        ],
    )
    def test_refuse_what_they_cannot_be(self, name: str, value: object) -> None:
        with pytest.raises(ValueError, match=f"^{name} cannot be"):
            setattr(Trouble(), name, value)

    def test_refuse_names_that_do_not_exist(self) -> None:
        with pytest.raises(AttributeError, match="no switch 'jkws'; there are jwks"):
            Trouble().jkws = "503"  # type: ignore[attr-defined]

    def test_whole_seconds_will_do_for_a_delay(self) -> None:
        assert Trouble(delay=3).delay == 3


def test_every_endpoint_is_counted(pool: LocalUserPool, visitor: Visitor) -> None:
    tokens = visitor.redeem(visitor.code()).json()
    visitor.refresh(tokens["refresh_token"])
    visitor.revoke(tokens["refresh_token"])
    Visitor(pool, "machine").token("client_credentials")
    visitor.get("/oauth2/userInfo")
    visitor.get("/logout")
    visitor.get("/unknown")
    requests.get(pool.jwks_url, timeout=10)
    requests.get(f"{pool.issuer}/.well-known/openid-configuration", timeout=10)
    assert pool.calls == {
        "authorize": 1,
        "login": 2,
        "token": 3,
        "token:authorization_code": 1,
        "token:refresh_token": 1,
        "token:client_credentials": 1,
        "revoke": 1,
        "userinfo": 1,
        "logout": 1,
        "jwks": 1,
        "discovery": 1,
    }


class TestControlEndpoint:
    @staticmethod
    def url(pool: LocalUserPool) -> str:
        return f"{pool.issuer.rpartition('/')[0]}/_control"

    def order(self, pool: LocalUserPool, order: object) -> requests.Response:
        return requests.post(self.url(pool), json=order, timeout=10)

    def test_shows_switches_and_counters(self, pool: LocalUserPool) -> None:
        pool.trouble.jwks = "503"
        requests.get(pool.jwks_url, timeout=10)
        shown = requests.get(self.url(pool), timeout=10).json()
        assert shown["switches"] == Trouble(jwks="503").as_dict()
        assert shown["calls"]["jwks"] == 1

    def test_sets_switches(self, pool: LocalUserPool) -> None:
        response = self.order(pool, {"token": "slow", "delay": 2.5, "rotation": True})
        assert response.json()["switches"] == pool.trouble.as_dict()
        assert pool.trouble == Trouble(token="slow", delay=2.5, rotation=True)

    def test_clears_switches_and_counters(self, pool: LocalUserPool) -> None:
        pool.trouble.jwks = "503"
        pool.calls["jwks"] = 7
        self.order(pool, {"action": "clear"})
        self.order(pool, {"action": "reset_calls"})
        assert pool.trouble == Trouble()
        assert "jwks" not in pool.calls

    @pytest.mark.parametrize(
        ("orders", "count", "kept"),
        [
            pytest.param([{"action": "rotate_keys"}], 4, True, id="rotate"),
            pytest.param([{"action": "rotate_keys", "keep_old": False}], 2, False, id="rotate and drop"),
            pytest.param([{"action": "rotate_keys"}, {"action": "drop_keys"}], 2, False, id="drop later"),
        ],
    )
    def test_rotates_keys(
        self, pool: LocalUserPool, orders: list[dict[str, object]], count: int, kept: bool
    ) -> None:
        before = self.kids(pool)
        for order in orders:
            assert self.order(pool, order).status_code == 200
        assert len(self.kids(pool)) == count
        assert (before <= self.kids(pool)) == kept

    @staticmethod
    def kids(pool: LocalUserPool) -> set[str]:
        return {key["kid"] for key in requests.get(pool.jwks_url, timeout=10).json()["keys"]}

    def test_changes_users(self, pool: LocalUserPool, visitor: Visitor) -> None:
        self.order(pool, {"action": "add_user", "username": "erin", "password": "erin-password"})
        self.order(pool, {"action": "set_groups", "username": "erin", "groups": ["editor"]})
        assert pool.users["erin"].groups == ("editor",)
        refresh_token = visitor.redeem(visitor.code("erin")).json()["refresh_token"]
        self.order(pool, {"action": "revoke_all", "username": "erin"})
        assert visitor.refresh(refresh_token).status_code == 400

    @pytest.mark.parametrize(
        ("order", "message"),
        [
            pytest.param({"jwks": "fire"}, "jwks cannot be 'fire'", id="impossible value"),
            pytest.param({"delay": 1, "jkws": "503"}, "jkws", id="unknown switch"),
            pytest.param({"action": "explode"}, "explode", id="unknown action"),
            pytest.param({"action": ["x"]}, "x", id="action is no text"),
            pytest.param({"action": "revoke_all"}, "username", id="argument missing"),
            pytest.param(
                {"action": "revoke_all", "username": 5}, "username must be", id="argument of wrong type"
            ),
            pytest.param(
                {"action": "set_groups", "username": "bob", "groups": "admin"}, "groups", id="no list"
            ),
            pytest.param({"action": "set_groups", "username": "bob", "groups": [1]}, "groups", id="no texts"),
            pytest.param({"action": "set_groups", "username": "nobody"}, "nobody", id="unknown user"),
            pytest.param({"action": "add_user", "username": "bob", "password": "x"}, "bob", id="user twice"),
            pytest.param(["jwks"], "JSON object", id="no object"),
        ],
    )
    def test_refuses_a_wrong_order_and_changes_nothing(
        self, pool: LocalUserPool, order: object, message: str
    ) -> None:
        users = dict(pool.users)
        response = self.order(pool, order)
        assert response.status_code == 400
        assert message in response.json()["error"]
        assert pool.trouble == Trouble()
        assert pool.users == users

    @pytest.mark.parametrize(
        ("content_type", "body", "status"),
        [
            pytest.param("text/plain", '{"jwks": "503"}', 415, id="text: a page elsewhere can send it"),
            pytest.param("application/x-www-form-urlencoded", "jwks=503", 415, id="form"),
            pytest.param("application/json", "{", 400, id="no JSON"),
        ],
    )
    def test_takes_json_alone(self, pool: LocalUserPool, content_type: str, body: str, status: int) -> None:
        headers = {"Content-Type": content_type}
        response = requests.post(self.url(pool), data=body, headers=headers, timeout=10)
        assert response.status_code == status
        assert pool.trouble == Trouble()

    def test_is_not_on_the_domain_host(self, pool: LocalUserPool) -> None:
        assert requests.get(f"{pool.domain}/_control", timeout=10).status_code == 404
