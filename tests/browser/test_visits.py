"""People at work with a browser: signing in and out, pages that are not theirs, tabs, the back button."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Request

from ..serving import served

pytestmark = pytest.mark.browser


def fill_form(tab: Page, username: str) -> None:
    """The pool's sign-in form, which a redirect has led to."""
    tab.get_by_label("User name").fill(username)
    tab.get_by_label("Password").fill(f"{username}-password")
    tab.get_by_role("button", name="Sign in").click()


def sign_in(tab: Page, address: str, username: str = "alice") -> None:
    tab.goto(address)
    fill_form(tab, username)
    tab.wait_for_url(address)


def heading(tab: Page) -> str:
    return tab.get_by_role("heading", level=1).inner_text()


def test_a_deep_link_leads_through_the_sign_in_back_to_itself(tab, pool, site, shots):
    tab.goto(f"{site}/claims?b=2&a=%C3%A4")
    assert tab.url.startswith(f"{pool.domain}/login?")
    tab.screenshot(path=shots / "visit-1-sign-in.png")
    fill_form(tab, "alice")
    tab.wait_for_url(f"{site}/claims?b=2&a=%C3%A4")
    assert tab.locator("#username").inner_text() == "alice"
    assert tab.locator("#email").inner_text() == "alice@example.test"
    assert tab.locator("#query").inner_text() == "b=2&a=%C3%A4"
    tab.screenshot(path=shots / "visit-2-claims.png")


def test_scripts_and_the_address_bar_see_no_token(tab, context, site):
    addresses: list[str] = []
    context.on("request", lambda request: addresses.append(request.url))
    sign_in(tab, f"{site}/claims")
    assert tab.evaluate("document.cookie") == ""
    ours = [cookie for cookie in context.cookies(site) if "cognito_" in cookie["name"]]
    assert {cookie["name"] for cookie in ours} >= {
        "cognito_access_token",
        "cognito_id_token",
        "cognito_refresh_token",
    }
    assert all(cookie["httpOnly"] and cookie["sameSite"] == "Lax" for cookie in ours)
    for cookie in ours:
        assert not any(cookie["value"] in address for address in addresses)
        assert cookie["value"] not in tab.content()
    assert tab.evaluate("JSON.stringify({...localStorage, ...sessionStorage})") == "{}"


def test_a_public_page_greets_strangers_and_users(tab, site):
    tab.goto(site)
    assert heading(tab) == "Hello, stranger"
    sign_in(tab, f"{site}/claims", "bob")
    tab.get_by_role("link", name="Home").click()
    assert heading(tab) == "Hello, bob"


def test_a_page_for_others_says_so_and_offers_to_sign_in_as_somebody_else(tab, site, shots):
    sign_in(tab, f"{site}/claims", "carol")
    answer = tab.goto(f"{site}/admin")
    assert answer.status == 403
    assert heading(tab) == "No access"
    tab.screenshot(path=shots / "visit-3-forbidden.png")
    tab.get_by_role("link", name="Sign in as somebody else").click()
    tab.wait_for_url(f"{site}/")
    assert heading(tab) == "Hello, stranger"
    sign_in(tab, f"{site}/admin", "alice")
    assert heading(tab) == "Administration"


def test_who_signs_out_is_out(tab, context, site, pool):
    sign_in(tab, f"{site}/claims", "alice")
    tab.get_by_role("link", name="Sign out").click()
    tab.wait_for_url(f"{site}/")
    assert heading(tab) == "Hello, stranger"
    assert [cookie for cookie in context.cookies(site) if "cognito_" in cookie["name"]] == []
    sign_in(tab, f"{site}/claims", "bob")  # the form is asked for again
    assert tab.locator("#username").inner_text() == "bob"


def test_after_signing_out_the_back_button_shows_nothing_of_the_user(tab, site, pool):
    sign_in(tab, f"{site}/claims", "alice")
    tab.get_by_role("link", name="Sign out").click()
    tab.wait_for_url(f"{site}/")
    tab.go_back()
    tab.reload()
    assert tab.url.startswith(f"{pool.domain}/login?")


def test_two_tabs_sign_in_at_once(context, site):
    first, second = context.new_page(), context.new_page()
    first.goto(f"{site}/claims?tab=1")
    second.goto(f"{site}/claims?tab=2")
    fill_form(second, "alice")
    second.wait_for_url(f"{site}/claims?tab=2")
    fill_form(first, "alice")
    first.wait_for_url(f"{site}/claims?tab=1")
    assert first.locator("#query").inner_text() == "tab=1"


def callback_of(tab: Page, site: str, act: Callable[[], None]) -> str:
    """The address of the callback that a sign-in went through."""
    seen: list[str] = []

    def listen(request: Request) -> None:
        if request.url.startswith(f"{site}/callback?"):
            seen.append(request.url)

    tab.on("request", listen)
    act()
    (callback,) = seen
    return callback


def test_the_callback_once_more_leads_on_to_the_page(tab, site):
    callback = callback_of(tab, site, lambda: sign_in(tab, f"{site}/claims"))
    tab.goto(callback)
    assert tab.url == f"{site}/claims"
    tab.reload()
    assert tab.url == f"{site}/claims"


def test_the_back_button_after_the_sign_in_does_no_harm(tab, site, pool):
    sign_in(tab, f"{site}/claims")
    tab.go_back()
    assert tab.url.startswith(pool.domain)
    tab.go_forward()
    assert tab.url == f"{site}/claims"
    tab.go_back()
    fill_form(tab, "alice")  # the same form again, with the same state
    tab.wait_for_url(f"{site}/claims")
    assert tab.locator("#username").inner_text() == "alice"


def test_a_callback_of_another_browser_is_refused(chromium, tab, site):
    callback = callback_of(tab, site, lambda: sign_in(tab, f"{site}/claims"))
    with chromium.new_context() as other:
        stranger = other.new_page()
        answer = stranger.goto(callback)
        assert answer.status == 400
        assert other.cookies(site) == []


def test_the_readmes_script_leads_to_the_sign_in_and_back_once_the_session_is_over(tab, context, site, pool):
    orders, load = f"{site}/api/orders", tab.get_by_role("button", name="Load")
    with tab.expect_response(orders) as on_arrival:
        sign_in(tab, f"{site}/orders?page=2")
    with tab.expect_response(orders) as signed_in:
        load.click()
    assert (on_arrival.value.status, signed_in.value.status) == (200, 200)
    assert tab.url == f"{site}/orders?page=2"
    context.clear_cookies()
    with tab.expect_response(orders) as signed_out:
        load.click()
    assert signed_out.value.status == 401
    tab.wait_for_url(f"{pool.domain}/login?**")
    with tab.expect_response(orders) as back_again:
        fill_form(tab, "alice")
    assert back_again.value.status == 200
    assert tab.url == f"{site}/orders?page=2"


def test_the_readmes_script_on_a_public_page_asks_a_stranger_to_sign_in(tab, site, pool):
    orders = f"{site}/api/orders"
    with tab.expect_response(orders) as stranger:
        tab.goto(f"{site}/shop?item=7")
    assert stranger.value.status == 401
    tab.wait_for_url(f"{pool.domain}/login?**")
    with tab.expect_response(orders) as user:
        fill_form(tab, "bob")
    assert user.value.status == 200
    assert tab.url == f"{site}/shop?item=7"


def test_an_expired_session_is_renewed_without_the_user_noticing(tab, context, site, pool):
    sign_in(tab, f"{site}/notes")
    context.clear_cookies(name="cognito_access_token")
    refreshes = pool.calls["token:refresh_token"]
    tab.get_by_role("textbox").fill("kept")
    tab.get_by_role("button", name="Save").click()
    assert tab.locator("#note").inner_text() == "kept"
    assert pool.calls["token:refresh_token"] == refreshes + 1


def test_a_form_with_a_dead_session_gets_a_page_that_leads_back_to_the_form(tab, context, site):
    sign_in(tab, f"{site}/notes")
    context.clear_cookies()
    tab.get_by_role("textbox").fill("lost")
    tab.get_by_role("button", name="Save").click()
    assert heading(tab) == "Please sign in"
    tab.get_by_role("link", name="Sign in").click()
    fill_form(tab, "alice")
    tab.wait_for_url(f"{site}/notes")
    assert heading(tab) == "Notes"


def test_a_page_that_wants_a_recent_sign_in_asks_for_the_password_again(tab, site, pool):
    pool.trouble.clock_ahead = -120
    sign_in(tab, f"{site}/claims")
    pool.trouble.clock_ahead = 0
    tab.goto(f"{site}/vault")
    assert tab.url.startswith(f"{pool.domain}/login?")
    fill_form(tab, "alice")
    tab.wait_for_url(f"{site}/vault")
    assert heading(tab) == "The vault"


def test_with_strict_cookies_a_sign_in_sticks(tab, strict_site):
    sign_in(tab, f"{strict_site}/claims")
    assert tab.locator("#username").inner_text() == "alice"
    tab.goto(f"{strict_site}/claims?again")
    assert tab.locator("#query").inner_text() == "again"


def linking_page(address: str) -> Callable[[str], object]:
    """Another site's application: one page with a link and a form that lead to an address."""

    def make(origin: str) -> object:
        def app(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/html")])
            html = f"""<link rel=icon href=data:,><a href="{address}">a link</a>
                <form method=post action="{address}"><input name=note value=forged><button>a form</button></form>"""
            return [html.encode()]

        return app

    return make


def test_with_strict_cookies_a_link_on_another_site_finds_the_session(tab, strict_site, pool):
    sign_in(tab, f"{strict_site}/claims")
    signed_in_before = pool.calls["authorize"]
    with served(linking_page(f"{strict_site}/claims?linked")) as elsewhere:
        tab.goto(elsewhere)
        tab.get_by_role("link", name="a link").click()
        tab.wait_for_url(f"{strict_site}/claims?linked")
    assert tab.locator("#username").inner_text() == "alice"
    assert pool.calls["authorize"] == signed_in_before


def test_a_form_on_another_origin_of_the_same_site_changes_nothing(tab, site):
    """SameSite does not help here: the cookies come."""
    sign_in(tab, f"{site}/claims")
    with served(linking_page(f"{site}/notes")) as elsewhere:
        tab.goto(elsewhere.replace("127.0.0.1", "localhost"))
        tab.get_by_role("button", name="a form").click()
        tab.wait_for_url(f"{site}/notes")
    assert heading(tab) == "The request came from another site"


def test_another_site_signs_nobody_out(tab, site):
    sign_in(tab, f"{site}/claims")
    with served(linking_page(f"{site}/logout")) as elsewhere:
        tab.goto(elsewhere)
        tab.get_by_role("link", name="a link").click()
        tab.wait_for_url(f"{site}/logout")
    assert heading(tab) == "The request came from another site"
    tab.goto(f"{site}/claims")
    assert tab.locator("#username").inner_text() == "alice"
