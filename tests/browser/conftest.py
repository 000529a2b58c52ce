"""A real Chromium, a user pool on another site, and an application behind the gateway."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from cognito_wsgi import CognitoConfig
from cognito_wsgi.local import LocalUserPool
from demo import stage
from demo.app import create_app as create_newspaper

from ..serving import served
from .app import create_app

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
#: What Chromium itself says of an answer that is none of 200, which is what the test asked for.
EXPECTED_STATUS = "Failed to load resource: the server responded with a status of 4"


def find_chromium() -> str:
    """The path of the system's browser; without it the tests are skipped, or fail where they have to run."""
    path = shutil.which("chromium")
    if path is not None:
        return path
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail("there is no chromium, and in CI the browser tests have to run")
    pytest.skip("there is no chromium on this machine")


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    path = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def pool() -> Iterator[LocalUserPool]:
    with LocalUserPool() as pool:
        yield pool


@pytest.fixture(autouse=True)
def untroubled(pool: LocalUserPool) -> Iterator[None]:
    yield
    pool.trouble.clear()


@pytest.fixture(scope="package")
def serve(pool: LocalUserPool) -> Iterator[Callable[..., str]]:
    """Serves an application with these settings; returns its origin.

    "localhost" is another site than the pool's 127.0.0.1, as an application's is another than Cognito's.
    """
    with ExitStack() as stack:

        def start(**overrides: Any) -> str:
            def make(origin: str) -> Any:
                site = on_localhost(origin)
                settings = pool.settings("web", redirect_url=f"{site}/callback", logout_url=f"{site}/")
                return create_app({**settings, "SECRET_KEY": "a secret key for the browser", **overrides})

            return on_localhost(stack.enter_context(served(make)))

        yield start


def on_localhost(origin: str) -> str:
    return origin.replace("127.0.0.1", "localhost")


@pytest.fixture(scope="package")
def site(serve: Callable[..., str]) -> str:
    return serve(AWS_COGNITO_REFRESH_FLOW_ENABLED=True)


@pytest.fixture(scope="package")
def newspaper(pool: LocalUserPool) -> Iterator[str]:
    """The demo."""

    def make(origin: str) -> Flask:
        app = create_newspaper(CognitoConfig.from_mapping(stage.settings(pool, on_localhost(origin))))
        app.config.update(LIVE_SECONDS=1, QUIET_SECONDS=0.1)
        return app

    with served(make) as origin:
        yield on_localhost(origin)


@pytest.fixture(scope="package")
def strict_site(serve: Callable[..., str]) -> str:
    return serve(AWS_COGNITO_COOKIE_SAMESITE="Strict")


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A browser that nobody has used, in which no page may complain."""
    context = chromium.new_context()
    context.set_default_timeout(10_000)
    complaints: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(EXPECTED_STATUS):
            complaints.append(f"{message.text} ({message.location['url']})")

    context.on("console", listen)
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    yield context
    context.close()
    assert complaints == []


@pytest.fixture
def tab(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture(scope="package")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go, to be looked at: the folder in the environment variable SCREENSHOTS, if there is one."""
    base = Path(os.environ.get("TOX_ENV_DIR") or tmp_path_factory.getbasetemp())
    folder = Path(os.environ.get("SCREENSHOTS") or base / "screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
