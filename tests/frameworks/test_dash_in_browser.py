"""Dash in a real Chromium: its callbacks, and what becomes of the page when the session has ended."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from cognito_wsgi.local import LocalUserPool

from ..browser.conftest import chromium
from ..serving import served
from .conftest import Load, need

need("dash")

__all__ = ["chromium"]  # a fixture
pytestmark = pytest.mark.browser


def test_callbacks_work_and_a_session_that_has_ended_leads_through_the_sign_in_and_back(
    chromium: Browser, load: Load
) -> None:
    dash_app = load("dash_app")
    with (
        LocalUserPool() as pool,
        served(lambda origin: dash_app.create_app(settings(pool, origin))) as origin,
        chromium.new_context() as context,
    ):
        context.set_default_timeout(10_000)
        page = context.new_page()
        page.goto(origin)
        page.get_by_label("User name").fill("alice")
        page.get_by_label("Password").fill("alice-password")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading")).to_have_text("Sales of 2026, for alice")
        choose(page, "2025")
        expect(page.get_by_role("heading")).to_have_text("The archive is not open to you")
        context.clear_cookies(name="cognito_access_token")
        choose(page, "2026")
        expect(page.get_by_role("heading")).to_have_text("Sales of 2026, for alice")
        assert pool.calls["token:authorization_code"] == 2


def settings(pool: LocalUserPool, origin: str) -> dict[str, object]:
    registered = pool.settings("web", redirect_url=f"{origin}/callback", logout_url=f"{origin}/")
    return {**registered, "SECRET_KEY": "a secret key for the tests alone"}


def choose(page: Page, year: str) -> None:
    page.locator("#year").click()
    page.get_by_role("option", name=year).click()
