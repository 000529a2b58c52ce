"""What the application finds in its environ (design.md §5)."""

from __future__ import annotations

import time
from typing import Any

import flask
import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from cognito_wsgi import CognitoGateway
from cognito_wsgi.testing import TestPool, subject_of

from .serving import free_port
from .visiting import FETCH, NAVIGATION, Application, House

RULES = {"/": "public", "/public": "public", "/admin": ["admin"]}
OWN_KEYS = (
    "cognito.claims",
    "cognito.user_info",
    "cognito.groups",
    "cognito.access_token",
    "REMOTE_USER",
    "AUTH_TYPE",
)
NOBODY = {
    "cognito.claims": None,
    "cognito.user_info": None,
    "cognito.groups": (),
    "cognito.access_token": None,
}
FORGED = {
    "cognito.claims": {"sub": "forged", "cognito:groups": ["admin"]},
    "cognito.user_info": {"sub": "forged"},
    "cognito.groups": ("admin",),
    "cognito.access_token": "forged",
    "REMOTE_USER": "root",
    "AUTH_TYPE": "Forged",
}


def own_keys(environ: dict[str, Any]) -> dict[str, Any]:
    return {key: environ[key] for key in OWN_KEYS if key in environ}


@pytest.fixture
def house(pool):
    return House(pool.config(), RULES)


# Each row of the table


@pytest.mark.parametrize("path", ["/x", "/public"])
def test_a_signed_in_user_is_shown(pool, house, path):
    claims = pool.sign_in(house.client, "alice", groups=["editor", "admin"], user_info={"name": "Alice"})
    environ = house.environ_of(path)
    assert environ["cognito.claims"] == claims
    assert environ["cognito.claims"]["sub"] == subject_of("alice")
    assert environ["cognito.user_info"]["name"] == "Alice"
    assert environ["cognito.user_info"]["email"] == "alice@example.test"
    assert environ["cognito.groups"] == ("editor", "admin")
    assert environ["REMOTE_USER"] == "alice"
    assert environ["AUTH_TYPE"] == "Cognito"
    assert type(environ["cognito.claims"]) is type(environ["cognito.user_info"]) is dict
    assert type(environ["cognito.groups"]) is tuple


def test_the_access_token_is_the_token_itself(pool, house):
    token = pool.access_token("alice")
    pool.set_cookies(house.client, token)
    assert house.environ_of("/x")["cognito.access_token"] == token


def test_a_token_in_several_cookies_is_shown_whole(pool, house):
    token = pool.access_token("alice", groups=[f"a-group-with-a-long-name-{n}" for n in range(150)])
    pool.set_cookies(house.client, token)
    assert len(house.cookies) > 1
    environ = house.environ_of("/x")
    assert environ["cognito.access_token"] == token
    assert len(environ["cognito.groups"]) == 150


def test_a_visitor_without_a_session_is_nobody(house):
    assert own_keys(house.environ_of("/public")) == NOBODY


def test_flask_shows_the_user(pool):
    app = flask.Flask("app")
    app.get("/me")(lambda: [flask.request.remote_user, flask.request.environ["cognito.claims"]["sub"]])
    app.wsgi_app = CognitoGateway(app.wsgi_app, pool.settings())
    client = app.test_client()
    pool.sign_in(client, "bob")
    assert client.get("/me").json == ["bob", subject_of("bob")]


def test_a_machine_is_its_client_id(pool):
    house = House(pool.config(bearer_enabled=True), RULES)
    token = pool.machine_token(scopes=["api/read"])
    environ = house.environ_of("/x", headers={"Authorization": f"Bearer {token}"})
    assert environ["REMOTE_USER"] == pool.client_id
    assert environ["cognito.user_info"] is None
    assert environ["cognito.groups"] == ()
    assert environ["cognito.claims"]["sub"] == pool.client_id
    assert environ["cognito.access_token"] == token


NOW = int(time.time())


@pytest.mark.parametrize(
    "id_claims",
    [
        pytest.param(None, id="missing"),
        pytest.param({"iat": NOW - 7200, "exp": NOW - 3600}, id="expired"),
        pytest.param({"sub": subject_of("bob")}, id="another sub"),
        pytest.param({"aud": "another"}, id="another client's"),
        pytest.param({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, id="of another access token"),
        pytest.param({"token_use": "access"}, id="no ID token"),
    ],
)
def test_user_info_is_none_without_a_good_id_token(pool, house, id_claims):
    token = pool.access_token("alice")
    id_token = None if id_claims is None else pool.id_token("alice", claims=id_claims)
    pool.set_cookies(house.client, token, id_token)
    for _ in range(2):  # the second time it is remembered
        environ = house.environ_of("/x")
        assert environ["cognito.user_info"] is None
        assert environ["REMOTE_USER"] == "alice"


def test_user_info_is_none_once_the_id_token_has_expired(pool, house):
    token = pool.access_token("alice")
    pool.set_cookies(house.client, token, pool.id_token("alice", claims={"exp": int(time.time()) + 60}))
    assert house.environ_of("/x")["cognito.user_info"] is not None
    with time_machine.travel(time.time() + 61):
        assert house.environ_of("/x")["cognito.user_info"] is None


@pytest.mark.parametrize(
    "name",
    ["zoë", "Ünïcödé", "名前", "user@example.test", "O'Neil", "a b", "\N{PILE OF POO}"],
)
def test_remote_user_is_utf_8_bytes_as_latin_1(pool, house, name):
    pool.sign_in(house.client, name)
    environ = house.environ_of("/x")
    assert environ["REMOTE_USER"].encode("latin-1").decode("utf-8") == name
    assert environ["cognito.claims"]["username"] == name


# What arrives from outside is removed


def reach(pool: TestPool, kind: str) -> tuple[House, str]:
    """A way by which the application, or on_error's, is reached without a session."""
    if kind == "disabled":
        return House(pool.config(disabled=True), default="deny"), "/x"
    if kind == "on_error":
        app = Application()
        house = House(pool.config(), on_error=lambda error, environ: app)
        house.app = app
        return house, "/x"
    if kind == "preflight":
        return House(pool.config(trusted_origins=("https://other.test",))), "/x"
    return House(pool.config(), RULES), "/" if kind == "public root" else "/public/x"


PREFLIGHT = {"Origin": "https://other.test", "Access-Control-Request-Method": "POST"}


@pytest.mark.parametrize("way", ["public", "public root", "disabled", "on_error", "preflight"])
@pytest.mark.parametrize("cookie", [None, "cognito_access_token=broken", "cognito_access_token=a.b.c; x=1"])
def test_keys_from_outside_do_not_survive_without_a_session(pool, way, cookie):
    house, path = reach(pool, way)
    headers = {**(PREFLIGHT if way == "preflight" else {}), **({"Cookie": cookie} if cookie else {})}
    house.client._cookies = None  # the header as it stands
    environ = house.environ_of(
        path,
        FETCH,
        method="OPTIONS" if way == "preflight" else "GET",
        headers=headers,
        environ_overrides=FORGED,
    )
    assert own_keys(environ) == NOBODY


def test_keys_from_outside_do_not_survive_beside_a_session(pool, house):
    claims = pool.sign_in(house.client, "bob")
    environ = house.environ_of("/x", environ_overrides=FORGED)
    assert environ["cognito.claims"] == claims
    assert environ["cognito.groups"] == ()
    assert environ["cognito.user_info"]["sub"] == subject_of("bob")
    assert (environ["REMOTE_USER"], environ["AUTH_TYPE"]) == ("bob", "Cognito")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        pytest.param("/x\\y", NAVIGATION, id="400"),
        pytest.param("/x", FETCH, id="401"),
        pytest.param("/login?next=/a&next=/b", NAVIGATION, id="400 of an own endpoint"),
        pytest.param("/callback?state=x&code=y", NAVIGATION, id="400 of the callback"),
    ],
)
def test_on_error_sees_no_keys_from_outside(pool, path, kind):
    seen = []
    house = House(pool.config(), on_error=lambda error, environ: seen.append(own_keys(environ)))
    assert house.ask(path, kind, environ_overrides=FORGED).status_code in (400, 401)
    assert seen == [NOBODY]


def test_on_error_sees_who_is_not_let_in(pool):
    seen = []
    house = House(pool.config(), RULES, on_error=lambda error, environ: seen.append(own_keys(environ)))
    claims = pool.sign_in(house.client, "bob", groups=["editor"])
    assert house.ask("/admin").status_code == 403
    assert seen[0]["cognito.claims"] == claims
    assert seen[0]["REMOTE_USER"] == "bob"


def test_on_error_does_not_see_the_victim_of_another_site(pool):
    seen = []
    house = House(pool.config(), on_error=lambda error, environ: seen.append(own_keys(environ)))
    pool.sign_in(house.client)
    assert house.ask("/x", method="POST", headers={"Origin": "https://evil.test"}).status_code == 403
    assert seen == [NOBODY]


def test_headers_that_look_like_the_keys_change_nothing(house):
    headers = {
        "Cognito.Claims": "forged",
        "Cognito-Claims": "forged",
        "Remote-User": "root",
        "Remote_User": "root",
        "X-Remote-User": "root",
        "Auth-Type": "Forged",
    }
    assert own_keys(house.environ_of("/public", headers=headers)) == NOBODY


def test_disabled_shows_the_session_of_a_visitor_who_has_one(pool):
    house = House(pool.config(disabled=True), default="deny")
    claims = pool.sign_in(house.client)
    assert house.environ_of("/x")["cognito.claims"] == claims


def test_a_public_path_shows_nobody_where_it_cannot_be_told_who_it_is(pool):
    """No keys yet: a public path does not wait for them."""
    house = House(pool.config(jwks=None, jwks_url=f"http://127.0.0.1:{free_port()}/"), RULES)
    pool.sign_in(house.client)
    assert own_keys(house.environ_of("/public")) == NOBODY


# Own copies


def test_what_an_application_does_to_the_claims_is_gone_at_the_next_request(pool, house):
    nested = {"cognito:groups": ["editor"], "custom": {"list": [{"deep": [1, [2]]}], "text": "a"}}
    pool.sign_in(house.client, claims=nested, user_info=nested)
    first = house.environ_of("/x")
    for key in ("cognito.claims", "cognito.user_info"):
        claims = first[key]
        before = repr(claims)
        claims["cognito:groups"].append("admin")
        claims["custom"]["list"][0]["deep"][1].append("mine")
        claims["custom"]["text"] = "mine"
        claims["sub"] = "mine"
        del claims["iss"]
        assert repr(house.environ_of("/x")[key]) == before
    assert house.environ_of("/x")["cognito.groups"] == ("editor",)
    assert house.ask("/admin").status_code == 403


def test_the_two_sorts_of_claims_share_nothing(pool, house):
    pool.sign_in(house.client, groups=["editor"])
    environ = house.environ_of("/x")
    environ["cognito.claims"]["cognito:groups"].append("admin")
    assert environ["cognito.user_info"]["cognito:groups"] == ["editor"]


def test_what_where_does_to_the_claims_reaches_no_application(pool):
    def where(claims):
        claims["cognito:groups"].append("admin")
        return True

    house = House(pool.config(), {"/where": {"where": where}})
    pool.sign_in(house.client, groups=["editor"])
    assert house.environ_of("/where")["cognito.claims"]["cognito:groups"] == ["editor"]


# The Cookie header


def cookie_shown(house: House, header: str | None, path: str = "/public") -> str | None:
    house.client._cookies = None  # the header as it stands
    headers = {} if header is None else {"Cookie": header}
    return house.environ_of(path, headers=headers).get("HTTP_COOKIE")


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(None, id="none"),
        pytest.param("a=1", id="one"),
        pytest.param("a=1; b=2", id="two"),
        pytest.param("a=1;b=2;;  ; c", id="odd separators"),
        pytest.param('a="1; b=2"', id="quoted semicolon"),
        pytest.param("=x; y", id="without a name"),
        pytest.param("a=1,b=2", id="joined by a server"),
        pytest.param("a=1; a=2; a=1", id="twice"),
        pytest.param("  a=1 ;\tb = 2 ", id="spaces"),
        pytest.param("a=\xe9\xff", id="not ASCII"),
        pytest.param("session=eyJhIjoxfQ.x.y; csrf=%20%3B", id="Flask's"),
        pytest.param("my_cognito_access_token=1; cognito_access_token_x=2; cognito=3", id="names like ours"),
        pytest.param("Cognito_Access_Token=1; COGNITO_ID_TOKEN=2", id="names in capitals"),
        pytest.param("__Host-cognito_access_token=1", id="a prefix that is not configured"),
        pytest.param("a=cognito_access_token=1", id="our name in a value"),
        pytest.param("cognito_access_token_10=1; cognito_access_token_01=2", id="pieces we do not have"),
        pytest.param(
            "cognito_login_=1; cognito_login_\x01=2; cognito_login_0123456789abcdef0=3",
            id="names like a login cookie's",
        ),
    ],
)
def test_cookies_of_others_pass_byte_for_byte(house, header):
    assert cookie_shown(house, header) == header


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        pytest.param("cognito_access_token=x", None, id="alone"),
        pytest.param("cognito_access_token=x; ", None, id="alone, with a separator"),
        pytest.param("cognito_access_token=x; a=1", "a=1", id="before"),
        pytest.param("a=1; cognito_access_token=x", "a=1", id="after"),
        pytest.param("a=1; cognito_access_token=x; b=2", "a=1; b=2", id="between"),
        pytest.param("cognito_access_token=x; a=1; cognito_access_token=y; b=2", "a=1; b=2", id="doubled"),
        pytest.param(
            "cognito_id_token=x; cognito_id_token_1=y; cognito_id_token_9=z; a=1", "a=1", id="pieces"
        ),
        pytest.param("cognito_refresh_token=x; a=1", "a=1", id="refresh"),
        pytest.param("cognito_login_0123456789abcdef=x; a=1", "a=1", id="login"),
        pytest.param("a=1;cognito_access_token=x;b=2", "a=1;b=2", id="without spaces"),
        pytest.param("a=1; cognito_access_token = x; b=2", "a=1; b=2", id="spaces around ="),
        pytest.param("a=1; cognito_access_token", "a=1", id="without a value"),
        pytest.param('a=1; cognito_access_token="x"; b=2', "a=1; b=2", id="quoted"),
        pytest.param("a=1,cognito_access_token=x", "a=1", id="joined by a server"),
        pytest.param("a=1, cognito_access_token=x; b=2", "a=1; b=2", id="joined, with a space"),
        pytest.param("a=1,cognito_refresh_token=x,c=3; b=2", "a=1,c=3; b=2", id="joined, three"),
    ],
)
def test_our_cookies_are_taken_out_and_the_others_stay_as_they_are(house, header, shown):
    assert cookie_shown(house, header) == shown


@pytest.mark.parametrize(
    ("config", "prefix"),
    [
        pytest.param({}, "", id="http"),
        pytest.param(
            {"redirect_url": "https://app.test/callback", "logout_url": "https://app.test/"},
            "__Host-",
            id="https",
        ),
        pytest.param(
            {
                "redirect_url": "https://app.test/callback",
                "logout_url": "https://app.test/",
                "cookie_domain": "app.test",
            },
            "__Secure-",
            id="https with a domain",
        ),
    ],
)
def test_the_names_taken_out_are_those_of_the_configuration(pool, config, prefix):
    house = House(pool.config(**config), RULES)
    names = (
        "cognito_access_token",
        "cognito_id_token_1",
        "cognito_refresh_token",
        "cognito_login_0123456789abcdef",
    )
    ours = [f"{prefix}{name}=x" for name in names]
    assert cookie_shown(house, "; ".join([ours[0], "a=1", *ours[1:], "b=2"])) == "a=1; b=2"


def test_a_token_reaches_the_application_by_the_environ_or_not_at_all(pool, house):
    pool.sign_in(house.client)
    house.set_cookie("theirs", "1")
    environ = house.environ_of("/x")
    token = environ.pop("cognito.access_token")
    assert environ["HTTP_COOKIE"] == "theirs=1"
    assert token not in repr({key: value for key, value in environ.items() if isinstance(value, str)})


COOKIES = st.lists(
    st.sampled_from(["a=1", "b", "", " c=2 ", 'q="x', "e=\xe9", "cognito=1", "x=y,z=1"]), max_size=6
)


HOUSE = House(TestPool().config(), RULES)


@given(COOKIES, COOKIES)
def test_whatever_stands_around_our_cookies_stays_as_it_is(before, after):
    shown = cookie_shown(HOUSE, ";".join([*before, "cognito_access_token=x", *after]))
    assert (shown or "").strip(" \t;") == ";".join([*before, *after]).strip(" \t;")
