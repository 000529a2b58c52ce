"""The scene of the benchmark: one Flask application, its route map, signed-in users and what their browsers send."""

from __future__ import annotations

import functools
import io
import itertools
import multiprocessing
import os
import random
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from wsgiref.util import FileWrapper

from flask import Flask

from cognito_wsgi import CognitoGateway
from cognito_wsgi.testing import TestPool

Environ = dict[str, Any]

#: Ten rules beneath each branch, so that one branch makes 10 rules and a thousand make 10,000 of the same depth.
BRANCH_RULES: dict[str, Any] = {
    "/branch-{}": {"allow": "public", "exact": True},
    "/branch-{}/static": "public",
    "/branch-{}/news": "public",
    "/branch-{}/claims": "authenticated",
    "/branch-{}/admin": ["admin"],
    "/branch-{}/edit": {"groups": ["owner", "editor"], "any_group": True},
    "POST /branch-{}/articles": ["editor"],
    "/branch-{}/teams/<team>/billing": ["finance", "admin"],
    "/branch-{}/drafts/<int:number>": ["editor"],
    "/branch-{}/api": {"scopes": ["openid", "email"]},
}
#: Pages beneath the rules that need a group. The number is a new one each time.
GROUP_PAGES = (
    "/branch-{}/admin/users/{}/profile",
    "/branch-{}/edit/articles/{}",
    "/branch-{}/teams/team-{}/billing/invoices",
)
PUBLIC_PAGES = ("/branch-{}/news/2026/{}", "/branch-{}/static/js/{}.js")

GROUPS = ("admin", "editor", "finance", "eu-central-1_TestPool0_Google")
SCOPES = ("openid", "email", "profile", "aws.cognito.signin.user.admin")

#: The environ of a page's request as gunicorn makes it, from Chrome behind an AWS load balancer.
BROWSER = {
    "wsgi.errors": sys.stderr,
    "wsgi.version": (1, 0),
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
    "wsgi.file_wrapper": FileWrapper,
    "wsgi.input_terminated": True,
    "wsgi.early_hints": lambda headers: None,
    "wsgi.url_scheme": "https",
    "gunicorn.socket": object(),
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "QUERY_STRING": "",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "SERVER_SOFTWARE": "gunicorn/27.0.1",
    "SERVER_NAME": "127.0.0.1",
    "SERVER_PORT": "8000",
    "REMOTE_ADDR": "127.0.0.1",
    "REMOTE_PORT": "50514",
    "HTTP_HOST": "app.example.com",
    "HTTP_X_FORWARDED_FOR": "198.51.100.23",
    "HTTP_X_FORWARDED_PROTO": "https",
    "HTTP_X_FORWARDED_PORT": "443",
    "HTTP_X_AMZN_TRACE_ID": "Root=1-67891233-abcdef012345678912345678",
    "HTTP_SEC_CH_UA": '"Chromium";v="136", "Not.A/Brand";v="99"',
    "HTTP_SEC_CH_UA_MOBILE": "?0",
    "HTTP_SEC_CH_UA_PLATFORM": '"Linux"',
    "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/136.0.0.0 Safari/537.36",
    "HTTP_ACCEPT_ENCODING": "gzip, deflate, br, zstd",
    "HTTP_ACCEPT_LANGUAGE": "en-GB,en;q=0.9,de;q=0.8",
    "HTTP_REFERER": "https://app.example.com/branch-0/admin",
}
NAVIGATION = {
    "HTTP_ACCEPT": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "HTTP_SEC_FETCH_SITE": "same-origin",
    "HTTP_SEC_FETCH_MODE": "navigate",
    "HTTP_SEC_FETCH_USER": "?1",
    "HTTP_SEC_FETCH_DEST": "document",
    "HTTP_UPGRADE_INSECURE_REQUESTS": "1",
    "HTTP_PRIORITY": "u=0, i",
}
FETCH = {
    "HTTP_ACCEPT": "application/json",
    "HTTP_SEC_FETCH_SITE": "same-origin",
    "HTTP_SEC_FETCH_MODE": "cors",
    "HTTP_SEC_FETCH_DEST": "empty",
    "HTTP_PRIORITY": "u=1, i",
}


def make_app() -> Flask:
    """The application that all sides protect. It takes every path, and does next to nothing."""
    app = Flask("bench")

    @app.get("/<path:page>")
    def page(page: str) -> str:
        return "Hello."

    return app


def route_map(branches: int) -> dict[str, Any]:
    return {key.format(number): access for number in range(branches) for key, access in BRANCH_RULES.items()}


# users


@functools.cache
def user_pool() -> TestPool:
    return TestPool(redirect_url="https://app.example.com/callback", logout_url="https://app.example.com/bye")


class User(NamedTuple):
    access_token: str
    id_token: str


def make_user(number: int) -> User:
    pool = user_pool()
    name = f"user{number:06}"
    access_token = pool.access_token(name, groups=GROUPS, scopes=SCOPES)
    id_claims = {
        "given_name": "Jo",
        "family_name": f"Miller-{number}",
        "name": f"Jo Miller-{number}",
        "phone_number": f"+4930{number:07}",
        "phone_number_verified": True,
        "custom:department": "research and development",
    }
    return User(
        access_token,
        pool.id_token(name, groups=GROUPS, access_token=access_token, claims=id_claims),
    )


def make_users(count: int) -> list[User]:
    """So many users, each with tokens of his own. A signature takes half a millisecond: all cores sign."""
    numbers = range(count)
    if count < 2000:
        return [make_user(number) for number in numbers]
    user_pool()  # made before the fork, so that every process signs with the same key
    with multiprocessing.get_context("fork").Pool(os.cpu_count()) as signers:
        return signers.map(make_user, numbers, chunksize=200)


# requests

_serial = itertools.count(1_000_000)
_random = random.Random(9)


def make_environ(
    page: str, user: User | None = None, *, branches: int = 1, prefix: str = "__Host-"
) -> Environ:
    """A navigation to a page that nobody has seen before, with an analytics cookie that has a new value.

    page: a template for the branch and the new number.
    prefix: of the names of the cookies that hold the tokens.
    """
    serial = next(_serial)
    cookies = [
        "_ga=GA1.1.1187433127.1764000000",
        f"_ga_8XQ2W1T9KD=GS2.1.s{serial}$o12$g1$t{serial + 17}$j60$l0$h0",
        "theme=dark",
    ]
    if user is not None:
        cookies.insert(2, f"{prefix}cognito_access_token={user.access_token}")
        cookies.append(f"{prefix}cognito_id_token={user.id_token}")
    path = page.format(_random.randrange(branches), serial)
    return {
        **BROWSER,
        **NAVIGATION,
        "PATH_INFO": path,
        "RAW_URI": path,
        "HTTP_COOKIE": "; ".join(cookies),
        "wsgi.input": io.BytesIO(),
    }


class Requests:
    """Makes the requests of one side: its users and its pages take turns, for ever."""

    def __init__(
        self,
        pages: Sequence[str],
        users: Sequence[User] | Sequence[None],
        *,
        branches: int = 1,
        prefix: str = "__Host-",
        is_fetch: bool = False,
    ) -> None:
        self._pages: Iterator[str] = itertools.cycle(pages)
        self._users: Iterator[User | None] = itertools.cycle(users)
        self._branches = branches
        self._prefix = prefix
        self._is_fetch = is_fetch

    def make(self, count: int) -> list[Environ]:
        environs = [
            make_environ(page, user, branches=self._branches, prefix=self._prefix)
            for _, page, user in zip(range(count), self._pages, self._users, strict=False)
        ]
        if self._is_fetch:
            for environ in environs:
                for name in NAVIGATION:
                    environ.pop(name)
                environ.update(FETCH)
        return environs


def make_gateway(jwks_url: str, *, branches: int = 1, app: Any = None) -> CognitoGateway:
    """A gateway as it is in production: keys are fetched, here from loopback."""
    settings = user_pool().settings(AWS_COGNITO_JWKS=None, AWS_COGNITO_JWKS_URL=jwks_url)
    return CognitoGateway(app or make_app().wsgi_app, settings, route_map(branches))
