"""Threads, greenlets and forked workers: the gateway's locks, futures and background threads among them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import requests

from cognito_wsgi.local import LocalUserPool

from ..serving import wait_for
from ..visiting import FETCH, holding
from .serve import serving
from .story import USER, Site, sign_in, tell_story

pytestmark = pytest.mark.server

PARALLEL = 30


@pytest.mark.parametrize(
    "name", ["gunicorn, gthread", "gunicorn, gevent", "gunicorn, gevent and preload_app"]
)
def test_parallel_requests_share_one_refresh_that_holds_up_nobody_else_under(name, user_pool, tmp_path):
    options = f"--workers 1 --threads {PARALLEL + 5}"
    with serving(name, user_pool, tmp_path, options=options, AWS_COGNITO_TIMEOUT_SECONDS="15") as site:
        sign_in(site)
        with site.one_refresh(), ThreadPoolExecutor(PARALLEL) as tabs:
            with holding(user_pool, "token"):
                answers = [tabs.submit(ask, site, site.browser.cookies.copy()) for _ in range(PARALLEL)]
                wait_for(lambda: user_pool.calls["token:refresh_token"] > 0)
                for _ in range(PARALLEL):  # the others have come by then
                    assert site.fetch("/health").text == "well"
                assert not any(answer.done() for answer in answers)
            assert [answer.result().json()["user"] for answer in answers] == [USER] * PARALLEL
            site.browser.cookies.update(answers[-1].result().cookies)
        with site.one_refresh():  # what the last of them has brought is the refresh token that lives
            assert site.fetch("/account").json()["user"] == USER


def ask(site: Site, cookies: requests.cookies.RequestsCookieJar) -> requests.Response:
    return requests.get(f"{site.server}/account", cookies=cookies, headers=FETCH, timeout=20)


def test_workers_have_the_keys_that_their_parent_has_fetched(user_pool, tmp_path):
    with preloaded(user_pool, tmp_path, first="/account") as site:
        assert user_pool.calls["jwks"] == 1
        tell_story(site)
        assert user_pool.calls["jwks"] == 1


@pytest.mark.parametrize("moment", ["has just begun", "waits for an answer"])
def test_workers_do_not_wait_for_a_fetch_of_their_parents_that_at_the_fork(moment, user_pool, tmp_path):
    user_pool.trouble.jwks, user_pool.trouble.delay = "slow", 60
    gate = tmp_path / "fork"
    if moment == "has just begun":
        gate.touch()
    with ThreadPoolExecutor() as pool_side:
        pool_side.submit(open_when_asked, user_pool, gate)
        with preloaded(user_pool, tmp_path, first="/", MYAPP_FORK_GATE=str(gate)) as site:
            wait_for(gate.exists)
            user_pool.trouble.jwks = None
            tell_story(site)


def open_when_asked(pool: LocalUserPool, gate: Path) -> None:
    wait_for(lambda: pool.calls["jwks"] > 0, seconds=20)
    gate.touch()


def preloaded(pool: LocalUserPool, folder: Path, *, first: str, **env: str) -> AbstractContextManager[Site]:
    """gunicorn, whose parent process has sent a token to the address ``first`` before it forks."""
    return serving(
        "gunicorn, gthread",
        pool,
        folder,
        app="warmed",
        options="--preload",
        AWS_COGNITO_BEARER_ENABLED="yes",
        MYAPP_FIRST=first,
        MYAPP_TOKEN=pool.issue_tokens("bob", client="web")["access_token"],
        **env,
    )
