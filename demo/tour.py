"""python -m demo --tour: the whole story of the newspaper, told over HTTP and checked step by step.

A chapter is a generator of steps: what happens, what is expected, what came.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

import requests

from cognito_wsgi.local import submit_sign_in

from .stage import ANY_PORT, Stage, listen, newspaper

TIMEOUT = 10  # seconds, for every answer
NAVIGATION = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}
SHORT_LIFE = 2  # seconds, of an access token in the chapter on renewal

ARTICLE = {
    "headline": "Swans return to the inner basin",
    "section": "harbour",
    "standfirst": "Eleven of them, and <b>one</b> in a bad mood.",
    "body": "They came with the tide, and the pilots waited.",
}


class Step(NamedTuple):
    what: str
    expected: str
    came: str


class Visitor:
    """A browser, as far as the gateway can tell: it keeps cookies and says what kind of request it makes."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.http = requests.Session()

    def open(self, path: str, **options) -> requests.Response:
        """A navigation: a link followed, an address typed."""
        return self.send("GET", path, headers=NAVIGATION, **options)

    def fetch(self, path: str, method: str = "GET") -> requests.Response:
        """What a script on a page does."""
        headers = {"Accept": "application/json", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}
        return self.send(method, path, headers=headers)

    def submit(self, path: str, form: dict[str, str], origin: str | None = None) -> requests.Response:
        """A form sent from a page of ``origin``, the newspaper's own unless told."""
        headers = NAVIGATION | {"Origin": origin or self.stage.url}
        return self.send("POST", path, headers=headers, data=form)

    def send(self, method: str, path: str, **options) -> requests.Response:
        return self.http.request(
            method, self.stage.url + path, allow_redirects=False, timeout=TIMEOUT, **options
        )

    def follow(self, response: requests.Response) -> requests.Response:
        url = urljoin(response.url, response.headers["Location"])
        return self.http.get(url, headers=NAVIGATION, allow_redirects=False, timeout=TIMEOUT)

    def sign_in(self, username: str, path: str = "/account") -> requests.Response:
        """Open a page without a session, fill in the pool's form, and stop at our callback's answer."""
        password = self.stage.pool.users[username].password
        return self.follow(submit_sign_in(self.http, self.open(path), username, password))

    def open_exactly(self, target: str) -> str:
        """The status for a path that is sent as it stands; requests would tidy it up."""
        address = urlsplit(self.stage.url)
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=TIMEOUT)
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.http.cookies)
        try:
            connection.request("GET", target, headers=NAVIGATION | {"Cookie": cookies})
            return str(connection.getresponse().status)
        finally:
            connection.close()

    def seen(self, response: requests.Response, *texts: str) -> str:
        """The answer in words, and whether these texts are in it."""
        words = [str(response.status_code)]
        if response.is_redirect:
            words.append(f"to {self.place(response.headers['Location'])}")
        elif kind := response.headers.get("Content-Type", "").partition(";")[0]:
            words.append({"text/html": "page", "application/json": "JSON"}.get(kind, kind))
        if "Retry-After" in response.headers:
            words.append("with Retry-After")
        if "insufficient_scope" in response.headers.get("WWW-Authenticate", ""):
            words.append("insufficient_scope")
        for text in texts:
            words.append(f"{'with' if text in response.text else 'without'} {text!r}")
        return " ".join(words)

    def place(self, url: str) -> str:
        if url.startswith(self.stage.config.domain + "/"):
            return "Cognito"
        return url.removeprefix(self.stage.url)


class Machine:
    """A program that has no cookies, only a token of its own."""

    def __init__(self, stage: Stage, scope: str) -> None:
        self.url = stage.url
        self.headers = {"Authorization": f"Bearer {stage.pool.machine_token(scope=scope)}"}

    def send(self, method: str, path: str, **options) -> requests.Response:
        return requests.request(
            method, self.url + path, headers=self.headers, allow_redirects=False, timeout=TIMEOUT, **options
        )


# ------------------------------------------------------------------ the story


def a_stranger(stage: Stage) -> Iterator[Step]:
    stranger = Visitor(stage)
    seen = stranger.seen
    yield Step(
        "the front page is for everyone", "200 page with 'Sign in'", seen(stranger.open("/"), "Sign in")
    )
    yield Step("so are the articles", "200 page", seen(stranger.open("/articles?section=town")))
    yield Step("but not sending one", "401 page", seen(stranger.submit("/articles", ARTICLE)))
    yield Step("a page for readers leads to the sign-in", "302 to Cognito", seen(stranger.open("/account")))
    yield Step("so does a page no rule mentions", "302 to Cognito", seen(stranger.open("/forgotten")))
    answer = stranger.fetch("/api/headlines")
    yield Step("a script gets an answer it can read", "401 application/problem+json", seen(answer))
    came = answer.json().get("login_url", "nothing").partition("?")[0]
    yield Step("which says where to sign in", "/login", came)


def deep_link(bob: Visitor) -> Iterator[Step]:
    link = "/desk?section=town&headline=Caf%C3%A9+%26+bar"
    answer = bob.sign_in("bob", link)
    yield Step("a deep link survives the sign-in, query and all", f"303 to {link}", bob.seen(answer))
    expected = "200 page with 'value=\"Café &amp; bar\"'"
    yield Step(
        "and the form there is filled in", expected, bob.seen(bob.follow(answer), expected.split("'")[1])
    )


def claims(bob: Visitor) -> Iterator[Step]:
    page = bob.open("/claims")
    yield Step(
        "the claims page shows the access token's claims",
        "200 page with 'client_id'",
        bob.seen(page, "client_id"),
    )
    yield Step("and those of the ID token", "200 page with 'at_hash'", bob.seen(page, "at_hash"))
    tokens = [value for name, value in bob.http.cookies.items() if "token" in name]
    came = "found" if any(value in page.text for value in tokens) else "not found"
    yield Step(f"but none of the {len(tokens)} tokens", "not found", came)
    answer = bob.fetch("/api/me")
    yield Step("the API works with the session", "200 JSON", bob.seen(answer))
    yield Step("and knows the groups", "['editor']", str(answer.json()["groups"]))


def groups(alice: Visitor, bob: Visitor, carol: Visitor) -> Iterator[Step]:
    yield Step("alice signs in", "303 to /admin", alice.seen(alice.sign_in("alice", "/admin")))
    yield Step("carol signs in", "303 to /account", carol.seen(carol.sign_in("carol")))
    for path, rule, expected in (
        ("/desk", "admin or editor", {"alice": "200 page", "bob": "200 page", "carol": "403 page"}),
        ("/lead", "admin and editor", {"alice": "200 page", "bob": "403 page", "carol": "403 page"}),
        ("/admin", "admin", {"alice": "200 page", "bob": "403 page", "carol": "403 page"}),
        ("/admin/backup", "nobody", {"alice": "403 page", "bob": "403 page", "carol": "403 page"}),
    ):
        for name, visitor in (("alice", alice), ("bob", bob), ("carol", carol)):
            yield Step(f"{path} is for {rule}: {name}", expected[name], visitor.seen(visitor.open(path)))
    answer = Visitor(alice.stage).sign_in("dave")
    told = "too many groups"
    yield Step(
        "dave's 100 groups do not fit into cookies", f"400 page with {told!r}", alice.seen(answer, told)
    )
    script = "403 application/problem+json"
    yield Step("a script is refused in its own language", script, carol.seen(carol.fetch("/admin")))


def writing(anyone: Visitor, bob: Visitor, carol: Visitor) -> Iterator[Step]:
    answer = bob.submit("/articles", ARTICLE)
    yield Step("bob, an editor, publishes", "303 to /articles/6", bob.seen(answer))
    expected = "200 page with 'By bob' with '&lt;b&gt;one&lt;/b&gt;'"
    page = anyone.open("/articles/6")
    yield Step("and everyone reads it, as text", expected, bob.seen(page, "By bob", "&lt;b&gt;one&lt;/b&gt;"))
    answer = bob.submit("/articles", ARTICLE | {"headline": ""})
    yield Step(
        "a headline is needed", "422 page with 'This needs 4 to 110'", bob.seen(answer, "This needs 4 to 110")
    )
    yield Step("carol may not publish", "403 page", carol.seen(carol.submit("/articles", ARTICLE)))
    answer = bob.submit("/articles", ARTICLE, origin="https://elsewhere.example")
    yield Step("nor may another site in bob's name", "403 page", bob.seen(answer))


def machines(stage: Stage) -> Iterator[Step]:
    seen = Visitor(stage).seen
    reader, writer = Machine(stage, "newsroom/read"), Machine(stage, "newsroom/read newsroom/write")
    line = {"text": "Lock 2 closes at nine tonight"}
    yield Step("a machine reads the wire", "200 JSON", seen(reader.send("GET", "/api/wire")))
    answer = reader.send("POST", "/api/wire", json=line)
    expected = "403 application/problem+json insufficient_scope"
    yield Step("but may not write with a token for reading", expected, seen(answer))
    yield Step(
        "with the scope to write it does", "201 JSON", seen(writer.send("POST", "/api/wire", json=line))
    )
    expected = f"200 JSON with '{line['text']}'"
    yield Step("and the line is there", expected, seen(reader.send("GET", "/api/wire"), line["text"]))
    answer = writer.send("GET", "/admin")
    yield Step(
        "no scope opens the admin page",
        "403 application/problem+json",
        seen(answer).removesuffix(" insufficient_scope"),
    )
    reader.headers["Authorization"] += "x"
    yield Step(
        "a token that was tampered with",
        "401 application/problem+json",
        seen(reader.send("GET", "/api/wire")),
    )


def streaming(alice: Visitor, carol: Visitor) -> Iterator[Step]:
    headline = "Bridge stays open for the regatta"
    with carol.open("/live", stream=True) as response:
        pieces = response.iter_content(chunk_size=1)
        begun = read_until(pieces, "Agency")
        yield Step(
            "the live page begins at once",
            "the first lines",
            "the first lines" if "Agency" in begun else "nothing",
        )
        alice.submit("/articles", ARTICLE | {"headline": headline})
        # The page ends only half a minute later: what comes now came in a piece of its own.
        text = read_until(pieces, headline)
        came = (
            "the new headline, before the end of the page"
            if headline in text and "</html>" not in text
            else "the page"
        )
        yield Step(
            "and brings an article while alice publishes it",
            "the new headline, before the end of the page",
            came,
        )


def read_until(pieces: Iterator[bytes], text: str) -> str:
    read = bytearray()
    for piece in pieces:
        read += piece
        if read.endswith(text.encode()):
            break
    return read.decode(errors="replace")


def spellings(alice: Visitor, bob: Visitor) -> Iterator[Step]:
    for target, expected in (
        ("//admin", "403"),
        ("/%61dmin", "403"),
        ("/admin/", "403"),
        ("/admin//", "403"),
        ("/admin/../admin", "400"),
        ("/articles/../admin", "400"),
        ("/articles/%2e%2e/admin", "400"),
        ("/./admin", "400"),
        ("/\\admin", "400"),
        ("/admin%00", "400"),
        ("/static/../admin", "400"),
        ("/administrator", "404"),  # another page, which does not exist
    ):
        yield Step(f"bob tries {target}", expected, bob.open_exactly(target))
    yield Step("alice needs no tricks", "200", alice.open_exactly("/admin"))


def renewal(stage: Stage) -> Iterator[Step]:
    pool, carol = stage.pool, Visitor(stage)
    pool.trouble.access_token_lifetime = SHORT_LIFE
    carol.sign_in("carol")
    expires_at = carol.fetch("/api/me").json()["expires_at"]
    wait_until(expires_at)
    refreshes = pool.calls["token"]
    answer = carol.fetch("/api/me")
    yield Step(
        f"carol comes back after {SHORT_LIFE} seconds, her token has expired", "200 JSON", carol.seen(answer)
    )
    came = "a later expiry" if answer.json()["expires_at"] > expires_at else "the same expiry"
    yield Step("her session was renewed on the way", "a later expiry", came)
    yield Step("with one call to Cognito", "1", str(pool.calls["token"] - refreshes))
    wait_until(answer.json()["expires_at"])
    pool.trouble.token = "503"
    expected = "503 page with Retry-After"
    yield Step("it expires again, and Cognito is down", expected, carol.seen(carol.open("/account")))
    yield Step("the public pages do not notice", "200 page", carol.seen(carol.open("/")))
    pool.trouble.clear()
    yield Step(
        "Cognito is back, and carol still signed in",
        "200 page with 'carol'",
        carol.seen(carol.open("/account"), "carol"),
    )
    answer = carol.fetch("/refresh", "POST")
    yield Step(
        "a page may also ask for new tokens", "200 JSON with 'expires_at'", carol.seen(answer, "expires_at")
    )


def wait_until(epoch: int) -> None:
    while time.time() < epoch:
        time.sleep(epoch - time.time())


def an_outage_at_sign_in(stage: Stage) -> Iterator[Step]:
    stage.pool.trouble.token = "503"
    bob = Visitor(stage)
    yield Step(
        "Cognito fails in the middle of a sign-in", "503 page with Retry-After", bob.seen(bob.sign_in("bob"))
    )
    stage.pool.trouble.clear()
    # The pool remembers who he is, so that opening the page again is enough.
    answer = bob.follow(bob.follow(bob.open("/account")))
    yield Step("the next try succeeds", "303 to /account", bob.seen(answer))


def new_keys(stage: Stage) -> Iterator[Step]:
    fetches = stage.pool.calls["jwks"]
    stage.pool.rotate_keys()
    bob = Visitor(stage)
    yield Step("the pool changes its keys; bob signs in", "303 to /account", bob.seen(bob.sign_in("bob")))
    yield Step("the new ones were fetched once", "1", str(stage.pool.calls["jwks"] - fetches))
    yield Step("and his pages open", "200 page", bob.seen(bob.open("/account")))


def signing_out(alice: Visitor) -> Iterator[Step]:
    answer = alice.submit("/logout", {})
    yield Step("alice signs out", "302 to Cognito", alice.seen(answer))
    answer = alice.follow(answer)
    yield Step("Cognito forgets her and sends her home", "302 to /", alice.seen(answer))
    left = [cookie.name for cookie in alice.http.cookies if "token" in cookie.name]
    yield Step("none of her tokens is left", "[]", str(left))
    yield Step(
        "the front page knows nobody", "200 page with 'Sign in'", alice.seen(alice.follow(answer), "Sign in")
    )
    yield Step("the admin page asks again", "302 to Cognito", alice.seen(alice.open("/admin")))
    answer = alice.sign_in("bob", "/account")
    yield Step("bob signs in at the same browser", "303 to /account", alice.seen(answer))
    yield Step(
        "and is bob", "200 page with 'bob'", alice.seen(alice.follow(answer), ">bob<").replace(">bob<", "bob")
    )
    yield Step("without alice's groups", "403 page", alice.seen(alice.open("/admin")))


# ------------------------------------------------------------------ telling it


def run_tour() -> int:
    """Print a line per step; 0 if every one is as expected, else 1."""
    print(f"{'':8}{'step':<60} {'expected':<54} came")
    steps = good = 0
    with listen(ANY_PORT) as listener, newspaper(listener, (ANY_PORT, ANY_PORT)) as stage:
        for title, chapter in story(stage):
            print(f"\n{title}")
            for step in told(chapter):
                steps += 1
                good += step.came == step.expected
                verdict = "ok" if step.came == step.expected else "DIFFERS"
                print(f"{verdict:<8}{step.what:<60} {step.expected:<54} {step.came}", flush=True)
    print(f"\n{steps} steps, {good} as expected")
    return 0 if good == steps else 1


def story(stage: Stage) -> Iterator[tuple[str, Iterator[Step]]]:
    alice, bob, carol = Visitor(stage), Visitor(stage), Visitor(stage)
    yield "A stranger", a_stranger(stage)
    yield "Signing in", deep_link(bob)
    yield "What the application knows", claims(bob)
    yield "Groups", groups(alice, bob, carol)
    yield "Writing", writing(Visitor(stage), bob, carol)
    yield "Machines", machines(stage)
    yield "Streaming", streaming(alice, carol)
    yield "Spellings", spellings(alice, bob)
    yield "Sessions that last", renewal(stage)
    yield "Outages", an_outage_at_sign_in(stage)
    yield "New keys", new_keys(stage)
    yield "Signing out", signing_out(alice)


def told(chapter: Iterator[Step]) -> Iterator[Step]:
    """The steps of a chapter; one that breaks off ends with a step that says why."""
    try:
        yield from chapter
    except Exception as error:
        yield Step("the chapter ends", "no error", f"{type(error).__name__}: {error}")
