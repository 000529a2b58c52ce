"""What people see: sign-in, sign-up, the pages around them, and what the pages let nobody do."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
import requests

from cognito_wsgi.local import LocalUserPool

from .visitor import Visitor, answer, claims_of

CARRIED = {"state": "<&\"'é>", "login_hint": 'x"><script>'}


class Outline(HTMLParser):
    """What matters of a page to those who cannot see it."""

    def __init__(self, response: requests.Response) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(response.text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


PAGES = ["/", "/login", "/signup", "/forgotPassword", "/error", "/nowhere"]


@pytest.fixture(params=PAGES)
def page(request: pytest.FixtureRequest, shared_pool: LocalUserPool) -> Iterator[requests.Response]:
    with Visitor(shared_pool) as visitor:
        yield visitor.get(request.param, **visitor.request(**CARRIED))


class TestEveryPage:
    def test_has_language_title_heading_and_main_part(self, page: requests.Response) -> None:
        outline = Outline(page)
        assert outline.all("html")[0]["lang"] == "en"
        assert [len(outline.all(tag)) for tag in ("title", "h1", "main", "footer")] == [1, 1, 1, 1]

    def test_labels_every_field(self, page: requests.Response) -> None:
        outline = Outline(page)
        labels = {label["for"] for label in outline.all("label")}
        assert {field["id"] for field in outline.all("input")} <= labels

    def test_says_that_it_is_local(self, page: requests.Response) -> None:
        assert "This is a local user pool for development." in page.text

    def test_loads_nothing_from_elsewhere_and_no_script(self, page: requests.Response) -> None:
        outline = Outline(page)
        assert not outline.all("script")
        assert {link["href"] for link in outline.all("link")} == {"/static/pool.css", "data:,"}
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]

    def test_is_not_stored_and_tells_no_referrer(self, page: requests.Response) -> None:
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["Referrer-Policy"] == "no-referrer"


def test_the_style_sheet_is_there(visitor: Visitor) -> None:
    response = visitor.get("/static/pool.css")
    assert response.status_code == 200
    assert "prefers-color-scheme: dark" in response.text
    response.close()


def test_the_sign_in_page_lists_the_test_users(visitor: Visitor) -> None:
    text = visitor.get(visitor.login_path()).text
    for shown in ("alice-password", "admin, editor", "dave-password", "100 groups", "<td>none</td>"):
        assert shown in text


def test_a_login_hint_fills_in_the_user_name(visitor: Visitor) -> None:
    fields = Outline(visitor.get(visitor.login_path(login_hint="bob"))).all("input")
    assert [(field["name"], field.get("value"), "autofocus" in field) for field in fields] == [
        ("username", "bob", False),
        ("password", None, True),
    ]


def test_a_wrong_password_leaves_the_user_name_in_place(visitor: Visitor) -> None:
    response = visitor.post(visitor.login_path(), {"username": "bob", "password": "x"})
    assert response.status_code == 200
    assert Outline(response).all("input")[0]["value"] == "bob"
    assert '<p class="alert" role="alert">Incorrect username or password.</p>' in response.text


@pytest.mark.parametrize(
    ("provider", "noticed"),
    [({"identity_provider": "Google"}, True), ({"identity_provider": "COGNITO"}, False)],
)
def test_another_identity_provider_is_noticed(
    visitor: Visitor, provider: dict[str, str], noticed: bool
) -> None:
    text = visitor.get(visitor.login_path(**provider)).text
    assert ("identity provider <b>Google</b>" in text) == noticed


def test_the_pages_hand_the_request_on_to_each_other(visitor: Visitor) -> None:
    response = visitor.get(visitor.login_path(**CARRIED))
    for _ in ("sign-up", "back to sign-in"):
        links = [link["href"] or "" for link in Outline(response).all("a")]
        response = visitor.get(links[0])
    action = Outline(response).all("form")[0]["action"] or ""
    back = answer(visitor.post(action, {"username": "alice", "password": "alice-password"}))
    assert back["state"] == CARRIED["state"]


class TestSignUp:
    GOOD = {"username": "erin", "email": "erin@example.test", "password": "erin-password"}  # noqa: RUF012

    def test_creates_the_user_and_signs_him_in(self, pool: LocalUserPool, visitor: Visitor) -> None:
        code = answer(visitor.post(visitor.login_path("/signup"), self.GOOD))["code"]
        claims = claims_of(visitor.redeem(code).json()["id_token"])
        assert (claims["cognito:username"], claims["email"]) == ("erin", "erin@example.test")
        assert "code" in answer(visitor.authorize(prompt="none"))
        assert pool.users["erin"].password == "erin-password"

    @pytest.mark.parametrize(
        ("change", "alert"),
        [
            pytest.param({"username": "alice"}, "User already exists.", id="name taken"),
            pytest.param({"username": " "}, "Choose a user name without spaces.", id="no name"),
            pytest.param({"username": "e r"}, "Choose a user name without spaces.", id="name with a space"),
            pytest.param({"email": "erin"}, "Enter an email address.", id="no email"),
            pytest.param(
                {"password": "1234567"}, "A password needs 8 characters or more.", id="short password"
            ),
        ],
    )
    def test_says_what_is_wrong(
        self, pool: LocalUserPool, visitor: Visitor, change: dict[str, str], alert: str
    ) -> None:
        response = visitor.post(visitor.login_path("/signup"), self.GOOD | change)
        assert response.status_code == 200
        assert alert in response.text
        assert "erin" not in pool.users
        assert self.GOOD["password"] not in response.text

    def test_refuses_what_authorize_refuses(self, visitor: Visitor) -> None:
        response = visitor.post(visitor.login_path("/signup", scope="nothing"), self.GOOD)
        assert answer(response)["error"] == "invalid_scope"


@pytest.mark.parametrize(
    ("error", "explanation"),
    [
        ("redirect_mismatch", "They must fit character by character"),
        ("invalid_client", "The pool has no app client"),
        ("<b>", "&lt;b&gt;"),
    ],
)
def test_the_error_page_explains(visitor: Visitor, error: str, explanation: str) -> None:
    assert explanation in visitor.get("/error", error=error).text


@pytest.mark.parametrize(
    ("path", "parameters", "registered"),
    [
        pytest.param("/error", {"error": "redirect_mismatch"}, "callback_urls", id="callback"),
        pytest.param("/logout", {"logout_uri": "http://localhost:5000"}, "logout_urls", id="sign-out"),
    ],
)
def test_a_mismatch_is_shown_beside_the_registered_addresses(
    pool: LocalUserPool, visitor: Visitor, path: str, parameters: dict[str, str], registered: str
) -> None:
    client = pool.client("web")
    text = visitor.get(path, client_id=client.client_id, **parameters).text
    for address in getattr(client, registered):
        assert f"<li><code>{address}</code></li>" in text


def test_the_start_page_shows_users_and_clients(pool: LocalUserPool, visitor: Visitor) -> None:
    text = visitor.get("/").text
    for shown in ("alice-password", "100 groups", "<dt>web</dt>", pool.client("web").callback_urls[0]):
        assert shown in text


def test_a_wrong_password_opens_the_list_of_users(visitor: Visitor) -> None:
    assert "<details>" in visitor.get(visitor.login_path()).text
    refused = visitor.post(visitor.login_path(), {"username": "bob", "password": "x"})
    assert "<details open>" in refused.text


def test_a_wrong_method_gets_the_error_page(visitor: Visitor) -> None:
    response = visitor.get("/oauth2/token")
    assert response.status_code == 405
    assert "Something went wrong" in response.text
