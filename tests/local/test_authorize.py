"""The authorize endpoint, the hosted session behind it, and how either says no."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import time_machine

from cognito_wsgi.local import LocalUserPool, SignInRefused, submit_sign_in

from .visitor import CALLBACK, Visitor, answer, claims_of

NOW = 1_790_000_000


def test_a_newcomer_is_sent_to_the_sign_in_page_with_the_same_query(visitor: Visitor) -> None:
    response = visitor.authorize()
    assert response.status_code == 302
    path, _, query = response.headers["Location"].partition("?")
    assert path == "/login"
    assert parse_qs(query) == parse_qs(urlsplit(response.url).query)


def test_signing_in_leads_back_with_a_code_and_the_state(visitor: Visitor) -> None:
    back = answer(visitor.sign_in(state="a+b/c=d é"))
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", back["code"])
    assert back["state"] == "a+b/c=d é"


def test_no_state_comes_back_where_none_was_sent(visitor: Visitor) -> None:
    assert answer(visitor.sign_in(state=None)).keys() == {"code"}


def test_a_wrong_password_shows_the_page_again(visitor: Visitor) -> None:
    with pytest.raises(SignInRefused, match=r"^Incorrect username or password\.$"):
        submit_sign_in(visitor.http, visitor.authorize(), "alice", "bob-password")
    assert not visitor.http.cookies


def test_an_unknown_user_is_told_the_same_as_one_with_a_wrong_password(visitor: Visitor) -> None:
    with pytest.raises(SignInRefused, match=r"^Incorrect username or password\.$"):
        submit_sign_in(visitor.http, visitor.authorize(), "nobody", "alice-password")


class TestHostedSession:
    def test_its_cookie_is_hidden_from_scripts_and_lasts_an_hour(self, visitor: Visitor) -> None:
        cookie = visitor.sign_in().headers["Set-Cookie"]
        assert cookie.startswith("cognito=")
        assert {"HttpOnly", "Max-Age=3600", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))

    def test_it_skips_the_page(self, visitor: Visitor) -> None:
        visitor.sign_in()
        assert "code" in answer(visitor.authorize())

    def test_use_does_not_extend_it(self, visitor: Visitor) -> None:
        with time_machine.travel(NOW, tick=False) as clock:
            cookies = requests.utils.dict_from_cookiejar(_signed_in(visitor))
            clock.move_to(NOW + 3599)
            assert "code" in answer(_authorize_with(visitor, cookies))
            clock.move_to(NOW + 3600)
            assert _authorize_with(visitor, cookies).headers["Location"].startswith("/login?")

    def test_a_silent_sign_in_keeps_the_time_of_the_password(self, visitor: Visitor) -> None:
        with time_machine.travel(NOW, tick=False) as clock:
            _signed_in(visitor)
            clock.move_to(NOW + 600)
            claims = _claims(visitor, answer(visitor.authorize())["code"])
        assert claims == {"auth_time": NOW, "iat": NOW + 600}

    def test_entering_the_password_anew_renews_it(self, visitor: Visitor) -> None:
        with time_machine.travel(NOW, tick=False) as clock:
            _signed_in(visitor)
            clock.move_to(NOW + 600)
            claims = _claims(visitor, answer(visitor.sign_in(prompt="login"))["code"])
        assert claims == {"auth_time": NOW + 600, "iat": NOW + 600}

    def test_a_cookie_that_means_nothing_is_no_session(self, visitor: Visitor) -> None:
        assert _authorize_with(visitor, {"cognito": "made-up"}).headers["Location"].startswith("/login?")


def _signed_in(visitor: Visitor) -> requests.cookies.RequestsCookieJar:
    visitor.sign_in()
    return visitor.http.cookies


def _authorize_with(visitor: Visitor, cookies: dict[str, str]) -> requests.Response:
    url = f"{visitor.pool.domain}/oauth2/authorize"
    return requests.get(url, params=visitor.request(), cookies=cookies, allow_redirects=False, timeout=10)


def _claims(visitor: Visitor, code: str) -> dict[str, int]:
    claims = claims_of(visitor.redeem(code).json()["access_token"])
    return {name: claims[name] for name in ("auth_time", "iat")}


class TestPrompt:
    @pytest.mark.parametrize(
        ("prompt", "has_session", "outcome"),
        [
            pytest.param("none", False, "login_required", id="none, nobody signed in"),
            pytest.param("none", True, "code", id="none, somebody signed in"),
            pytest.param("login", True, "page", id="login, somebody signed in"),
            pytest.param("login consent", True, "page", id="login among others"),
            pytest.param("select_account", True, "code", id="select_account"),
            pytest.param("consent", True, "code", id="consent"),
            pytest.param("none login", True, "invalid_request", id="none contradicted"),
            pytest.param("", True, "code", id="empty"),
        ],
    )
    def test_decides_between_page_code_and_error(
        self, visitor: Visitor, prompt: str, has_session: bool, outcome: str
    ) -> None:
        if has_session:
            visitor.sign_in()
        assert _outcome(visitor.authorize(prompt=prompt)) == outcome

    def test_is_ignored_as_by_the_classic_pages(self, pool: LocalUserPool, visitor: Visitor) -> None:
        pool.trouble.ignore_prompt = True
        assert _outcome(visitor.authorize(prompt="none")) == "page"
        visitor.sign_in()
        assert _outcome(visitor.authorize(prompt="login")) == "code"

    def test_the_old_session_lives_on_while_login_is_prompted(self, visitor: Visitor) -> None:
        visitor.sign_in()
        visitor.authorize(prompt="login")
        assert _outcome(visitor.authorize()) == "code"


def _outcome(response: requests.Response) -> str:
    if response.headers["Location"].startswith("/login?"):
        return "page"
    told = answer(response)
    return told.get("error", "code")


class TestErrorsSentBack:
    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            pytest.param({"response_type": None}, "invalid_request", id="no response type"),
            pytest.param({"response_type": "token id_token"}, "invalid_request", id="two response types"),
            pytest.param({"response_type": '"é'}, "invalid_request", id="odd response type"),
            pytest.param({"response_type": "token"}, "unauthorized_client", id="implicit grant"),
            pytest.param({"scope": "openid newsroom/read"}, "invalid_scope", id="scope of another client"),
            pytest.param({"scope": "openid nothing"}, "invalid_scope", id="unknown scope"),
            pytest.param({"code_challenge_method": "plain"}, "invalid_request", id="plain challenge"),
            pytest.param({"code_challenge_method": None}, "invalid_request", id="challenge without method"),
            pytest.param({"code_challenge": None}, "invalid_request", id="method without challenge"),
            pytest.param({"code_challenge": "short"}, "invalid_request", id="malformed challenge"),
            pytest.param({"resource": "no-url"}, "invalid_request", id="malformed resource"),
        ],
    )
    def test_name_what_is_wrong_and_the_state(
        self, visitor: Visitor, changes: dict[str, str | None], error: str
    ) -> None:
        told = answer(visitor.authorize(**changes))
        assert (told["error"], told["state"]) == (error, "state-1")

    def test_come_without_state_if_told_so(self, pool: LocalUserPool, visitor: Visitor) -> None:
        pool.trouble.omit_state_in_errors = True
        assert answer(visitor.authorize(prompt="none")).keys() == {"error"}

    def test_can_be_had_for_every_request(self, pool: LocalUserPool, visitor: Visitor) -> None:
        pool.trouble.authorize_error = "server_error"
        assert answer(visitor.authorize()) == {"error": "server_error", "state": "state-1"}

    def test_a_public_client_needs_a_challenge(self, pool: LocalUserPool) -> None:
        with Visitor(pool, "public") as visitor:
            told = answer(visitor.authorize(code_challenge=None, code_challenge_method=None))
        assert told["error"] == "invalid_request"

    def test_a_machine_client_signs_nobody_in(self, pool: LocalUserPool) -> None:
        pool.client("machine").allow_urls(callback=CALLBACK, logout="http://localhost:5000/")
        with Visitor(pool, "machine") as visitor:
            assert answer(visitor.authorize())["error"] == "unauthorized_client"

    def test_the_sign_in_page_refuses_what_authorize_refuses(self, visitor: Visitor) -> None:
        assert answer(visitor.get("/login", **visitor.request(scope="nothing")))["error"] == "invalid_scope"


class TestErrorsOnThePoolsOwnPage:
    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            pytest.param({"redirect_uri": CALLBACK + "/"}, "redirect_mismatch", id="slash at the end"),
            pytest.param({"redirect_uri": CALLBACK + "?a=1"}, "redirect_mismatch", id="query"),
            pytest.param({"redirect_uri": "http://localhost:5000/Callback"}, "redirect_mismatch", id="case"),
            pytest.param({"redirect_uri": "http://évil.test/"}, "redirect_mismatch", id="not ASCII"),
            pytest.param({"redirect_uri": None}, "Required parameters missing", id="none, and two to choose"),
            pytest.param({"client_id": "unknown"}, "invalid_client", id="unknown client"),
            pytest.param({"client_id": None}, "invalid_client", id="no client"),
        ],
    )
    def test_never_reach_an_address_that_is_not_the_clients(
        self, visitor: Visitor, changes: dict[str, str | None], error: str
    ) -> None:
        response = visitor.authorize(**changes)
        assert response.status_code == 302
        path, _, query = response.headers["Location"].partition("?")
        assert path == "/error"
        assert parse_qs(query)["error"] == [error]

    def test_name_the_client(self, visitor: Visitor) -> None:
        location = visitor.authorize(redirect_uri="http://localhost:5000/").headers["Location"]
        assert location == f"/error?error=redirect_mismatch&client_id={visitor.client.client_id}"

    def test_a_doubled_parameter_is_refused(self, visitor: Visitor) -> None:
        response = visitor.get(f"{visitor.login_path('/oauth2/authorize')}&state=state-2")
        assert response.headers["Location"].startswith("/error?error=invalid_request")

    def test_the_page_has_status_400(self, visitor: Visitor) -> None:
        response = visitor.get("/error", error="redirect_mismatch", client_id="x")
        assert response.status_code == 400
        assert "An error was encountered with the requested page" in response.text


def test_the_only_callback_url_is_the_default(pool: LocalUserPool) -> None:
    pool.client("other").callback_urls[:] = [CALLBACK]
    with Visitor(pool, "other") as visitor:
        code = visitor.code(redirect_uri=None)
        assert visitor.redeem(code, redirect_uri=None).status_code == 200


@pytest.mark.parametrize(
    ("scope", "granted"),
    [
        pytest.param(None, "openid email phone profile aws.cognito.signin.user.admin", id="none: all"),
        pytest.param("", "openid email phone profile aws.cognito.signin.user.admin", id="empty: all"),
        pytest.param("openid email", "openid email", id="some"),
    ],
)
def test_the_scope_that_is_granted(visitor: Visitor, scope: str | None, granted: str) -> None:
    tokens = visitor.redeem(visitor.code(scope=scope)).json()
    assert claims_of(tokens["access_token"])["scope"] == granted
