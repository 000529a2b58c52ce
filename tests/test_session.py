"""Sessions: tokens verified once and remembered, and the cookies that carry them within what servers take."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cognito_wsgi import session as session_module
from cognito_wsgi.cookies import MAX_TOTAL_SIZE, CookieSet, OwnCookies, size_in_header
from cognito_wsgi.errors import CognitoError, InvalidClaim, TokenExpired
from cognito_wsgi.jwks import KeyStore
from cognito_wsgi.local import LocalUserPool
from cognito_wsgi.session import Session, SessionCookies, Sessions, SessionTooLarge, show
from cognito_wsgi.testing import TestPool
from cognito_wsgi.tokens import TokenVerifier

from .local.visitor import claims_of
from .visiting import FETCH, NAVIGATION, House, Page, local_config

NOTHING = {}
ACCESS, ID, REFRESH = "cognito_access_token", "cognito_id_token", "cognito_refresh_token"


@pytest.fixture
def user_pool() -> Iterator[LocalUserPool]:
    with LocalUserPool() as running:
        yield running


class Memory:
    """The sessions of a process, and tokens for them."""

    def __init__(self, **overrides: Any) -> None:
        self.pool = TestPool()
        self.config = self.pool.config(**overrides)
        keys = KeyStore(self.config)
        self.sessions = Sessions(self.config, keys, TokenVerifier(self.config, keys))
        self.now = int(time.time())

    def find(
        self, access_token: str, id_token: str | None = None, *, later: float = 0, **how: Any
    ) -> Session:
        return self.sessions.find(access_token, id_token, self.now + later, **how)


# remembering


def shown(session: Session, now: float) -> dict[str, Any]:
    """The environ that an application gets to see."""
    environ: dict[str, Any] = {}
    show(session, environ, now)
    return environ


def test_the_same_tokens_are_verified_once():
    memory = Memory()
    access_token = memory.pool.access_token()
    id_token = memory.pool.id_token(access_token=access_token)
    session = memory.find(access_token, id_token)
    assert memory.find(access_token, id_token) is session
    assert memory.find(access_token, memory.pool.id_token()) is not session
    assert memory.find(access_token, None).user_info is None


@pytest.mark.parametrize("leeway", [0, 30])
def test_a_remembered_session_ends_with_its_token(leeway):
    memory = Memory(leeway=leeway)
    token = memory.pool.access_token(claims={"exp": memory.now + 60})
    session = memory.find(token)
    assert session.expires_at == memory.now + 60 + leeway
    assert memory.find(token, later=59 + leeway) is session
    with pytest.raises(TokenExpired):
        memory.find(token, later=60 + leeway)


@pytest.mark.parametrize("leeway", [0, 30])
def test_user_info_ends_with_the_id_token(leeway):
    memory = Memory(leeway=leeway)
    access_token = memory.pool.access_token()
    id_token = memory.pool.id_token(claims={"exp": memory.now + 60})
    session = memory.find(access_token, id_token)
    assert shown(session, memory.now + 59 + leeway)["cognito.user_info"]["email"] == "alice@example.test"
    assert shown(session, memory.now + 60 + leeway)["cognito.user_info"] is None


def test_a_remembered_session_does_not_outlive_its_key(user_pool):
    user_pool.trouble.access_token_lifetime = user_pool.trouble.id_token_lifetime = 86400
    house = House(local_config(user_pool))
    house.sign_in("/x")
    assert house.ask("/x").status_code == 200
    user_pool.rotate_keys(keep_old=False)
    assert house.ask("/x").status_code == 200  # the gateway looks for new keys once an hour
    with time_machine.travel(time.time() + 3601, tick=True):
        fetched = user_pool.calls["jwks"]
        deadline = time.monotonic() + 10
        while house.ask("/x").status_code == 200 and time.monotonic() < deadline:
            time.sleep(0.01)  # the keys are fetched in the background
        assert user_pool.calls["jwks"] > fetched
        assert house.ask("/x", FETCH).status_code == 401


def test_a_remembered_session_is_not_taken_while_there_are_no_keys(user_pool):
    """After a day without its keys nobody can say that they are still the pool's."""
    user_pool.trouble.access_token_lifetime = 86400
    config = local_config(user_pool)
    keys = KeyStore(config)
    sessions = Sessions(config, keys, TokenVerifier(config, keys))
    sessions.find(user_pool.issue_tokens("alice", client="web")["access_token"], None, time.time())
    start = time.time()  # the keys are older
    user_pool.trouble.jwks = "503"
    with time_machine.travel(start + 43_200):
        token = user_pool.issue_tokens("alice", client="web")["access_token"]
        sessions.find(token, None, time.time())
    with time_machine.travel(start + 86_401), pytest.raises(CognitoError):
        sessions.find(token, None, time.time())


def test_a_session_by_its_id_token_does_not_outlive_the_key_of_that(user_pool):
    """Access and ID tokens are signed with keys of their own."""
    house = House(local_config(user_pool))
    house.sign_in("/x")
    session = house.gateway._visitors._sessions.find(house.cookies[ACCESS], house.cookies[ID], time.time())
    keys = {key.kid: key for key in (session._key, session._user_info_key)}
    assert len(keys) == 2
    assert session.is_backed_by(keys)
    assert not session.is_backed_by({session._key.kid: session._key})
    changed = session._user_info_key._replace(n=session._key.n)
    assert not session.is_backed_by({**keys, changed.kid: changed})


def test_a_machine_that_was_taken_as_bearer_is_not_taken_in_a_cookie():
    memory = Memory(bearer_enabled=True)
    token = memory.pool.machine_token()
    session = memory.find(token, bearer=True)
    assert session.is_machine
    assert memory.find(token, bearer=True) is session
    with pytest.raises(InvalidClaim, match="username is missing"):
        memory.find(token)


def test_no_more_than_so_many_sessions_are_remembered_and_the_oldest_go(monkeypatch):
    monkeypatch.setattr(session_module, "MAX_REMEMBERED", 3)
    memory = Memory()
    tokens = [memory.pool.access_token(str(number)) for number in range(5)]
    sessions = [memory.find(token) for token in tokens]
    assert len(memory.sessions._remembered) == 3
    assert [
        memory.find(token) is session for token, session in zip(tokens[2:], sessions[2:], strict=True)
    ] == [True] * 3
    assert memory.find(tokens[0]) is not sessions[0]


ID_TOKENS = {
    "good": lambda pool, access, now: pool.id_token(access_token=access),
    "none": lambda pool, access, now: None,
    "rubbish": lambda pool, access, now: "rubbish",
    "expired": lambda pool, access, now: pool.id_token(claims={"exp": now}),
    "another user's": lambda pool, access, now: pool.id_token("bob"),
    "another client's": lambda pool, access, now: pool.id_token(claims={"aud": "another"}),
    "an access token": lambda pool, access, now: pool.access_token(),
    "of another access token": lambda pool, access, now: pool.id_token(access_token=pool.access_token()),
}


@pytest.mark.parametrize("kind", ID_TOKENS)
def test_a_refused_id_token_leaves_user_info_empty_and_the_session_be(kind):
    memory = Memory()
    access_token = memory.pool.access_token()
    id_token = ID_TOKENS[kind](memory.pool, access_token, memory.now)
    session = memory.find(access_token, id_token)
    environ = shown(session, memory.now)
    assert (environ["cognito.user_info"] is not None) is (kind == "good")
    assert environ["cognito.claims"]["username"] == "alice"
    assert memory.find(access_token, id_token) is session  # not verified again at every request


def test_an_id_token_that_may_become_good_is_looked_at_again():
    memory = Memory()
    access_token = memory.pool.access_token()
    early = memory.pool.id_token(claims={"iat": memory.now + 60})
    assert memory.find(access_token, early).user_info is None
    assert memory.find(access_token, early, later=60).user_info is not None


def test_an_id_token_that_cannot_be_verified_now_is_looked_at_again(user_pool):
    config = local_config(user_pool)
    keys = KeyStore(config)
    sessions = Sessions(config, keys, TokenVerifier(config, keys))
    tokens = user_pool.issue_tokens("alice", client="web")
    sessions.find(tokens["access_token"], None, time.time())
    user_pool.rotate_keys()
    claims = claims_of(tokens["id_token"])
    id_token = user_pool.sign({name: claims[name] for name in claims if name != "at_hash"}, use="id")
    user_pool.trouble.jwks = "503"
    assert sessions.find(tokens["access_token"], id_token, time.time()).user_info is None
    user_pool.trouble.clear()
    later = time.time() + 31  # the next fetch for an unknown key
    assert sessions.find(tokens["access_token"], id_token, later).user_info["email"] == "alice@example.test"


NESTED = {
    "a": [1, {"b": [2, 3]}],
    "c": {"d": {"e": []}},
    "f": [[], {}],
    "g": "text",
    "h": None,
    "i": ["x", 1.5],
}


@pytest.mark.parametrize("whose", ["cognito.claims", "cognito.user_info"])
def test_what_a_request_does_to_its_claims_stays_with_it(whose):
    memory = Memory()
    access_token = memory.pool.access_token(groups=["admin"], claims={"nested": NESTED, "list": [[]]})
    id_token = memory.pool.id_token(groups=["admin"], claims={"nested": NESTED, "list": [[]]})
    session = memory.find(access_token, id_token)
    mine, others = shown(session, memory.now)[whose], shown(session, memory.now)[whose]
    assert mine == others
    assert mine["nested"] == NESTED
    mine["cognito:groups"].append("root")
    mine["nested"]["a"][1]["b"].append("root")
    mine["nested"]["c"]["d"]["e"].append("root")
    mine["nested"]["f"][0].append("root")
    mine["nested"]["i"].append("root")
    mine["list"][0].append("root")
    mine["sub"] = "root"
    assert "root" not in repr(others)
    assert "root" not in repr(shown(session, memory.now)[whose])
    assert session.groups == ("admin",)


def test_a_session_shows_nothing_of_itself():
    memory = Memory()
    assert repr(memory.find(memory.pool.access_token())) == "Session()"


# storing: what fits, and what goes where it does not


class Storing:
    """Stores sessions of chosen sizes. Sizes are bytes in the Cookie header."""

    def __init__(self, **overrides: Any) -> None:
        self.memory = Memory(**{"refresh_enabled": True, **overrides})
        self.set = CookieSet(self.memory.config)
        self.cookies = SessionCookies(self.memory.config, self.set)

    def session(self, *, access: int, id: int) -> Session:
        pool = self.memory.pool
        access_token = self._sized(
            self.set.access, access, lambda pad: pool.access_token(claims={"pad": pad})
        )
        id_token = self._sized(self.set.id, id, lambda pad: pool.id_token(claims={"pad": pad}))
        return self.memory.find(access_token, id_token)

    def _sized(self, base: str, size: int, make: Any) -> str:
        pad = max(0, (size - self.set.size(base, make(""))) * 3 // 4 - 30)
        while self.set.size(base, token := make("x" * pad)) < size:
            pad += 1
        return token

    def store(
        self,
        session: Session,
        refresh_token: str | None,
        logins: dict[str, str],
        cookies: OwnCookies = NOTHING,
    ) -> dict[str, str]:
        """The names and values that the browser keeps."""
        changes = self.cookies.store(session, refresh_token, cookies, self.memory.now, logins=logins)
        pairs = (change.partition(";")[0].partition("=") for change in changes)
        return {name: value for name, _, value in pairs if value}

    def sizes(self, kept: dict[str, str]) -> dict[str, int]:
        came = kept
        bases = {ACCESS: self.set.access, ID: self.set.id, REFRESH: self.set.refresh}
        return {name: self.set.size_that_came(came, base) for name, base in bases.items()}


LOGINS = {f"cognito_login_{number:016}": "v" * 500 for number in range(4)}


@pytest.mark.parametrize(
    ("access", "id", "refresh", "logins", "kept"),
    [
        pytest.param(1000, 1500, 1900, 4, "access id refresh 4", id="all fits"),
        pytest.param(1000, 4500, 1900, 0, "access id refresh 0", id="nearly too much"),
        pytest.param(1000, 5000, 1900, 0, "access refresh 0", id="ID token too large"),
        pytest.param(1000, 4500, 1900, 4, "access refresh 4", id="ID token goes before login cookies"),
        pytest.param(4000, 1500, 1900, 4, "access refresh 3", id="then the oldest login cookie"),
        pytest.param(5000, 1500, 1900, 4, "access refresh 1", id="then older ones"),
        pytest.param(5500, 1500, 1900, 4, "access refresh 0", id="then all"),
        pytest.param(6500, 500, 0, 0, "access 0", id="without a refresh token"),
    ],
)
def test_where_room_is_short_the_id_token_goes_first_then_the_oldest_login_cookies(
    access, id, refresh, logins, kept
):
    storing = Storing(refresh_cookie_encrypted=False)
    session = storing.session(access=access, id=id)
    left = dict(list(LOGINS.items())[:logins])
    refresh_token = "r" * (refresh - len(REFRESH) - 3) if refresh else None
    stored = storing.store(session, refresh_token, left)
    names = [
        name.removeprefix("cognito_").removesuffix("_token")
        for name in (ACCESS, ID, REFRESH)
        if name in stored
    ]
    assert " ".join([*names, str(len(left))]) == kept
    assert list(left) == list(LOGINS)[logins - len(left) : logins]
    assert size_in_header({**stored, **left}) <= MAX_TOTAL_SIZE


@pytest.mark.parametrize("refresh", [0, 1500], ids=["without refresh token", "with refresh token"])
def test_a_session_of_7500_bytes_fits_and_a_larger_one_is_refused_with_the_sizes(refresh):
    storing = Storing(refresh_cookie_encrypted=False)
    refresh_token = "r" * (refresh - len(REFRESH) - 3) if refresh else None
    largest = 0
    for size in range(MAX_TOTAL_SIZE - refresh - 4, MAX_TOTAL_SIZE - refresh + 5):
        session = storing.session(access=size, id=1200)
        real = storing.set.size(ACCESS, session.access_token)
        if real + refresh <= MAX_TOTAL_SIZE:
            assert sum(storing.sizes(storing.store(session, refresh_token, {})).values()) == real + refresh
            largest = max(largest, real + refresh)
        else:
            with pytest.raises(
                SessionTooLarge, match=f"{real:,} bytes .* {refresh:,}, .* {MAX_TOTAL_SIZE:,}"
            ):
                storing.store(session, refresh_token, {})
    assert MAX_TOTAL_SIZE - 3 <= largest <= MAX_TOTAL_SIZE


def test_an_id_token_that_is_left_out_is_said_in_the_log(caplog):
    storing = Storing()
    session = storing.session(access=4000, id=3000)
    with caplog.at_level(logging.WARNING, "cognito_wsgi"):
        storing.store(session, "r" * 1000, {})
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "cognito.user_info will be None" in caplog.text
    assert session.access_token not in caplog.text
    assert session.id_token not in caplog.text


def test_login_cookies_that_are_not_kept_are_deleted():
    storing = Storing()
    session = storing.session(access=1200, id=1200)
    came = {**LOGINS, "cognito_login_abcdefabcdefabcd": None}
    keep = dict(list(LOGINS.items())[2:])
    changes = storing.cookies.store(session, None, came, storing.memory.now, logins=keep)
    gone = [*list(LOGINS)[:2], "cognito_login_abcdefabcdefabcd"]
    assert [change for change in changes if "Max-Age=0" in change] == storing.set.delete(gone)


def test_an_id_token_that_is_good_for_nothing_is_not_stored():
    storing = Storing()
    access_token = storing.memory.pool.access_token()
    session = storing.memory.find(access_token, storing.memory.pool.id_token("bob"))
    came, _ = storing.set.read(f"{ID}={session.id_token}")
    changes = storing.cookies.store(session, None, came, storing.memory.now, logins={})
    assert storing.set.delete([ID])[0] in changes
    assert session.id_token not in str(changes)


@pytest.mark.parametrize(
    ("settings", "ages"),
    [
        pytest.param({}, (3600, 3000, 86400), id="the tokens' own"),
        pytest.param({"cookie_max_age": 600}, (600, 600, 86400), id="capped"),
        pytest.param({"cookie_max_age": 3300}, (3300, 3000, 86400), id="capped where longer"),
        pytest.param({"leeway": 60}, (3660, 3060, 86400), id="leeway"),
        pytest.param({"refresh_cookie_max_age": 7}, (3600, 3000, 7), id="refresh cookie"),
    ],
)
def test_how_long_cookies_live(settings, ages):
    storing = Storing(**settings)
    now, pool = storing.memory.now, storing.memory.pool
    session = storing.memory.find(
        pool.access_token(claims={"exp": now + 3600}), pool.id_token(claims={"exp": now + 3000})
    )
    changes = storing.cookies.store(session, "r" * 60, NOTHING, now, logins={})
    assert [f"Max-Age={age};" in change for age, change in zip(ages, changes, strict=True)] == [True] * 3


def test_a_token_for_ever_makes_a_cookie_that_browsers_take():
    storing = Storing()
    session = storing.memory.find(storing.memory.pool.access_token(claims={"exp": 2**52}))
    changes = storing.cookies.store(session, None, NOTHING, storing.memory.now, logins={})
    assert f"Max-Age={400 * 86400};" in changes[0]


# the refresh token's cookie


@pytest.mark.parametrize("encrypted", [True, False], ids=["encrypted", "bare"])
def test_the_refresh_cookie_holds_the_token(encrypted):
    storing = Storing(refresh_cookie_encrypted=encrypted)
    session = storing.session(access=1200, id=1200)
    stored = storing.store(session, "refresh.token-1", {})
    found = storing.cookies.find_refresh_token(stored, storing.memory.now)
    assert found == ("refresh.token-1", session.sub if encrypted else None)
    assert ("refresh.token-1" in str(stored)) is not encrypted


@pytest.mark.parametrize("encrypted", [True, False], ids=["encrypted", "bare"])
@pytest.mark.parametrize("value", ["", "\xe9", "a\x80b"], ids=["empty", "not UTF-8", "not ASCII"])
def test_what_no_token_can_be_is_no_refresh_token(encrypted, value):
    storing = Storing(refresh_cookie_encrypted=encrypted)
    assert storing.cookies.find_refresh_token({REFRESH: value}, storing.memory.now) is None


def test_an_encrypted_refresh_cookie_ends_by_its_own_timestamp():
    storing = Storing(refresh_cookie_max_age=100)
    stored = storing.store(storing.session(access=1200, id=1200), "token", {})
    assert storing.cookies.find_refresh_token(stored, storing.memory.now + 100) is not None
    assert storing.cookies.find_refresh_token(stored, storing.memory.now + 101) is None


def test_without_refresh_no_refresh_token_is_stored_and_an_old_one_goes():
    storing = Storing(refresh_enabled=False)
    came = {REFRESH: "r" * 60}
    session = storing.session(access=1200, id=1200)
    assert set(storing.store(session, "token", {}, came)) == {ACCESS, ID}
    changes = storing.cookies.store(session, "token", came, storing.memory.now, logins={})
    assert storing.set.delete([REFRESH])[0] in changes


# through the whole gateway


def grouped(pool: LocalUserPool, count: int, length: int = 20) -> None:
    """Make dave a member of so many groups with names of so many characters."""
    pool.set_groups("dave", [f"{number:0{length}}" for number in range(count)])


def test_a_token_too_large_for_one_cookie_is_split_and_works(user_pool):
    grouped(user_pool, 100)
    house = House(local_config(user_pool), {"/staff": ["0" * 18 + "99"]})
    answer = house.sign_in("/staff", "dave")
    assert answer.status_code == 303
    assert f"{ACCESS}_1" in house.cookies
    assert all(len(cookie) <= 4096 for cookie in answer.headers.getlist("Set-Cookie"))
    assert len(house.environ_of("/staff")["cognito.groups"]) == 100


def test_a_shorter_session_deletes_the_leftovers_of_a_longer_one(user_pool):
    grouped(user_pool, 100)
    house = House(local_config(user_pool))
    house.sign_in("/x", "dave")
    assert {ACCESS, f"{ACCESS}_1"} <= set(house.cookies)
    house.sign_in("/login?next=/x", "alice")
    assert not {f"{ACCESS}_1", f"{ID}_1"} & set(house.cookies)
    assert house.environ_of("/x")["REMOTE_USER"] == "alice"


def test_dave_of_a_hundred_long_groups_is_refused_with_the_numbers(user_pool, caplog):
    """His access token and a refresh token do not go into 7,500 bytes (README, section on sessions)."""
    house = House(local_config(user_pool, AWS_COGNITO_REFRESH_FLOW_ENABLED=True))
    answer = house.sign_in("/x", "dave")
    assert answer.status_code == 400
    text = Page(answer.text).text
    log = "".join(record.getMessage() for record in caplog.records)
    for told in (text, log):
        assert re.search(r"access token takes 6,\d{3} bytes .* refresh token 1,\d{3}, .* 7,500", told)
        assert "fewer groups" in told
    assert "too many groups" in text
    assert house.cookies == {}
    assert house.ask("/x").status_code == 302


@pytest.mark.parametrize(
    ("username", "refresh"),
    [
        pytest.param("dave", False, id="100 long names, no refresh"),
        pytest.param("erin", True, id="100 names of 20 characters, and refresh"),
    ],
)
def test_a_hundred_groups_fit_without_the_id_token(user_pool, username, refresh):
    user_pool.add_user("erin", password="erin-password", groups=[f"{number:020}" for number in range(100)])
    house = House(local_config(user_pool, AWS_COGNITO_REFRESH_FLOW_ENABLED=refresh))
    assert house.sign_in("/x", username).status_code == 303
    environ = house.environ_of("/x")
    assert environ["cognito.groups"] == user_pool.users[username].groups
    assert environ["cognito.user_info"] is None
    assert len(house.cookie_header) <= MAX_TOTAL_SIZE


# any mutation of a cookie set gives no session and no error


@pytest.fixture(scope="module")
def spoiling() -> tuple[House, dict[str, str], dict[str, str]]:
    """A gateway, alice's cookies in three pieces and more, and bob's."""
    pool = TestPool()
    house = House(pool.config(refresh_enabled=True), {"/": "public"})
    jars = []
    for username in ("alice", "bob"):
        pool.sign_in(house.client, username, claims={"pad": "p" * 7000}, user_info={"pad": "p" * 4000})
        jars.append(dict(house.cookies))
        house.client._cookies.clear()
    assert f"{ACCESS}_2" in jars[0]
    house.client._cookies = None  # from now on the header alone
    return house, *jars


def mutations(mine: dict[str, str], others: dict[str, str]) -> st.SearchStrategy[list[tuple[str, str]]]:
    """Cookies of which those of the access token are no longer as they were set."""
    names = [name for name in mine if name.startswith(ACCESS)]
    a_name, text = st.sampled_from(names), st.text("aZ9-_.,; =\x00\x7f\xe9\xff", max_size=9)
    place = st.integers(0, 4000)

    def replaced(name: str, value: str) -> list[tuple[str, str]]:
        return list({**mine, name: value}.items())

    return st.one_of(
        st.builds(lambda gone: [item for item in mine.items() if item[0] != gone], a_name),
        st.builds(lambda twice: [*mine.items(), (twice, mine[twice])], a_name),
        st.builds(lambda one: replaced(one, others[one]), a_name),
        st.builds(lambda one, at: replaced(one, mine[one][:at]), a_name, place),
        st.builds(
            lambda one, at, new: replaced(one, mine[one][:at] + new + mine[one][at:]), a_name, place, text
        ),
        st.builds(lambda one, new: replaced(one, new), a_name, text),
        st.builds(lambda at, new: replaced(f"{ACCESS}_{at}", new), st.integers(3, 9), text),
        st.permutations(names).map(
            lambda order: [(new, mine[old]) for new, old in zip(names, order, strict=True)]
        ),
        st.lists(
            st.tuples(st.sampled_from([*mine, f"{ACCESS}_9", f"{REFRESH}_1", LOGIN_NAME]), text), max_size=9
        ),
    ).filter(lambda cookies: access_of(cookies) != access_of(list(mine.items())))


def access_of(cookies: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """What the access token's cookies are to a reader of the header."""
    return sorted(
        (name, value.partition(";")[0].strip()) for name, value in cookies if name.startswith(ACCESS)
    )


LOGIN_NAME = "cognito_login_0123456789abcdef"


@given(st.data())
@settings(suppress_health_check=[HealthCheck.data_too_large, HealthCheck.too_slow])
def test_any_mutation_of_a_cookie_set_gives_no_session_and_no_error(spoiling, data):
    house, mine, others = spoiling
    cookies = data.draw(mutations(mine, others))
    header = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies)}
    assert house.ask("/x", NAVIGATION, headers=header).status_code == 302
    assert house.ask("/x", FETCH, headers=header).status_code == 401
    public = house.ask("/", FETCH, headers=header)
    assert public.data == b"inside"
    environ = house.app.environs.pop()
    assert environ["cognito.claims"] is None
    assert ACCESS not in environ.get("HTTP_COOKIE", "")


@given(st.data())
def test_the_order_of_the_pieces_does_not_matter(spoiling, data):
    house, mine, _ = spoiling
    header = "; ".join(f"{name}={value}" for name, value in data.draw(st.permutations(list(mine.items()))))
    assert house.environ_of("/x", headers={"Cookie": header})["REMOTE_USER"] == "alice"


# nobody gets what was remembered of another


def test_after_sign_out_and_expiry_nothing_of_the_former_user_is_shown(user_pool):
    house = House(local_config(user_pool), {"/": "public"})
    house.sign_in("/x", "alice")
    assert house.environ_of("/x")["REMOTE_USER"] == "alice"
    assert house.ask("/logout").status_code == 302
    assert house.ask("/x").status_code == 302
    assert house.environ_of("/")["cognito.claims"] is None
    house.sign_in("/x", "bob")
    assert house.environ_of("/x")["REMOTE_USER"] == "bob"
    with time_machine.travel(time.time() + 3601):
        assert house.ask("/x").status_code == 302
        assert house.environ_of("/")["cognito.claims"] is None
