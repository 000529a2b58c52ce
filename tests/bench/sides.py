"""What is compared: all sides protect the same application and get requests of the same making."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256

from .key_server import KeyServer
from .measuring import Side, fill
from .peers import make_peer
from .scene import (
    GROUP_PAGES,
    GROUPS,
    PUBLIC_PAGES,
    Requests,
    User,
    make_app,
    make_gateway,
    user_pool,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

BARE = "bare Flask application"
UNIT = "raw verification: the unit"
WARM = "gateway: signed in, group rule, 10 rules"
WARM_MANY_RULES = "gateway: the same, 10,000 rules"
PUBLIC = "gateway: public path, no cookies"
PUBLIC_SIGNED_IN = "gateway: public path, signed in"
COLD = "gateway: both tokens new to the process"
FULL = "gateway: the same, memory of sessions full"
PEER = "flask-cognito-lib"
PEER_NO_FETCH = "flask-cognito-lib, its key fetch removed"

USERS_TAKING_TURNS = 20
MANY_BRANCHES = 1000  # of ten rules each


def make_sides(users: Sequence[User], remembered: int, keys: KeyServer) -> Iterator[Side]:
    """All sides but the peers.

    users: twice as many as are remembered, so that a user who comes again has been forgotten.
    remembered: sessions with which the memory counts as full.
    """
    app = make_app().wsgi_app
    regulars = users[:USERS_TAKING_TURNS]
    pages = Requests(GROUP_PAGES, regulars)
    yield Side(BARE, app, pages.make)
    yield Side(UNIT, verifying(app, regulars[0].access_token), pages.make)

    warm = make_gateway(keys.url("warm"), app=app)
    yield Side(WARM, warm, pages.make)
    yield Side(
        WARM_MANY_RULES,
        make_gateway(keys.url("many-rules"), app=app, branches=MANY_BRANCHES),
        Requests(GROUP_PAGES, regulars, branches=MANY_BRANCHES).make,
    )
    yield Side(PUBLIC, warm, Requests(PUBLIC_PAGES, [None]).make)
    yield Side(PUBLIC_SIGNED_IN, warm, Requests(PUBLIC_PAGES, regulars).make)

    yield Side(COLD, make_gateway(keys.url("cold"), app=app), Requests(GROUP_PAGES, users).make)
    full = make_gateway(keys.url("full"), app=app)
    newcomers = Requests(GROUP_PAGES, users)
    fill(full, newcomers, remembered)
    yield Side(FULL, full, newcomers.make)

    refusing = make_gateway(keys.url("refusing"), app=app)
    for case, visitors in refused_visitors(regulars).items():
        fetch = Requests(GROUP_PAGES, visitors, is_fetch=True)
        yield Side(f"refused: {case} (fetch)", refusing, fetch.make, "401")
        yield Side(f"refused: {case} (navigation)", refusing, Requests(GROUP_PAGES, visitors).make, "302")


def make_peers(users: Sequence[User], keys: KeyServer) -> Iterator[Side]:
    regulars = users[:USERS_TAKING_TURNS]
    pages = Requests(GROUP_PAGES, regulars, prefix="")  # its cookies have no prefix
    for name, path, fetches in ((PEER, "peer", True), (PEER_NO_FETCH, "peer-once", False)):
        app = make_peer(make_app(), keys.url(path), fetches=fetches)
        yield Side(name, app, pages.make, requests=USERS_TAKING_TURNS)  # each takes its time


def verifying(app: WSGIApplication, token: str) -> WSGIApplication:
    """``app`` behind a middleware that verifies one RSA signature (PKCS#1 v1.5, SHA-256) and does nothing else."""
    key = user_pool().jwks["keys"][0]
    numbers = (int.from_bytes(_bytes_of(key[name]), "big") for name in ("e", "n"))
    verify = RSAPublicNumbers(*numbers).public_key().verify
    signing_input, _, signature_text = token.rpartition(".")
    arguments = (_bytes_of(signature_text), signing_input.encode(), padding.PKCS1v15(), SHA256())

    def middleware(environ, start_response):  # type: ignore[no-untyped-def]
        verify(*arguments)
        return app(environ, start_response)

    return middleware


def _bytes_of(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def refused_visitors(regulars: Sequence[User]) -> dict[str, list[User] | list[None]]:
    """Whom the gateway turns away, by what is wrong with their access tokens. Their ID tokens are good."""
    pool = user_pool()
    names = [f"user{number:06}" for number in range(len(regulars))]

    def bearing(tokens: Iterator[str]) -> list[User]:
        return [user._replace(access_token=token) for user, token in zip(regulars, tokens, strict=True)]

    return {
        "no cookie": [None],
        "expired": bearing(pool.expired_token(name, groups=GROUPS) for name in names),
        "garbage": bearing(".".join(secrets.token_urlsafe(n) for n in (60, 600, 256)) for _ in names),
        "forged signature": bearing(pool.other_pool_token(name, groups=GROUPS) for name in names),
        "unknown kid": bearing(
            pool.sign(pool.access_claims(name, groups=GROUPS), header={"kid": secrets.token_urlsafe(32)})
            for name in names
        ),
    }
