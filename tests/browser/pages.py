"""The way to each page that people may see: of the gateway, of the local pool, of the demo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlencode

from playwright.sync_api import Page

from cognito_wsgi.local import LocalUserPool


@dataclass
class Visit:
    """A fresh browser, and where it can go. The newspaper is the demo."""

    tab: Page
    pool: LocalUserPool
    site: str
    strict_site: str
    newspaper: str

    def sign_in(self, address: str, username: str = "alice") -> None:
        self.tab.goto(address)
        self.tab.get_by_label("User name").fill(username)
        self.tab.get_by_label("Password").fill(f"{username}-password")
        with self.tab.expect_navigation():
            self.tab.get_by_role("button", name="Sign in").click()

    def post(self, address: str) -> None:
        """Send a form from the page that is open."""
        with self.tab.expect_navigation():
            self.tab.evaluate(
                """address => document.body.appendChild(
                    Object.assign(document.createElement("form"), {method: "post", action: address})
                ).submit()""",
                address,
            )

    def authorize(self, **changes: str) -> None:
        client = self.pool.client("web")
        parameters = {"client_id": client.client_id, "redirect_uri": f"{self.site}/callback", **changes}
        self.tab.goto(f"{self.pool.domain}/oauth2/authorize?{urlencode(parameters)}&response_type=code")


class Way(NamedTuple):
    go: Callable[[Visit], None]
    heading: str


#: By name of the page.
WAYS: dict[str, Way] = {}


def way(heading: str) -> Callable[[Callable[[Visit], None]], Callable[[Visit], None]]:
    """Register the way to a page that has this heading."""

    def register(go: Callable[[Visit], None]) -> Callable[[Visit], None]:
        WAYS[go.__name__.replace("_", "-")] = Way(go, heading)
        return go

    return register


# the gateway


@way("That did not work")
def gateway_400_path(visit: Visit) -> None:
    visit.tab.goto(f"{visit.site}/admin%5Cusers")


@way("That did not work")
def gateway_400_callback(visit: Visit) -> None:
    visit.tab.goto(f"{visit.site}/callback?code=1&state=2")


@way("That did not work")
def gateway_400_refused_by_cognito(visit: Visit) -> None:
    visit.pool.trouble.authorize_error = "access_denied"
    visit.tab.goto(f"{visit.site}/claims")


@way("That did not work")
def gateway_400_too_large(visit: Visit) -> None:
    visit.sign_in(f"{visit.site}/claims", "dave")


@way("That did not work")
def gateway_400_does_not_stick(visit: Visit) -> None:
    visit.sign_in(f"{visit.site}/claims")
    for _ in range(3):
        for name in ("access", "refresh", "id"):
            visit.tab.context.clear_cookies(name=f"cognito_{name}_token")
        visit.tab.goto(f"{visit.site}/claims")


@way("Please sign in")
def gateway_401_form(visit: Visit) -> None:
    visit.sign_in(f"{visit.site}/notes")
    visit.tab.context.clear_cookies()
    visit.post(f"{visit.site}/notes")


@way("Please sign in")
def gateway_401_step_up(visit: Visit) -> None:
    visit.pool.trouble.clock_ahead = -120
    visit.sign_in(f"{visit.site}/claims")
    visit.post(f"{visit.site}/vault")


@way("No access")
def gateway_403_group(visit: Visit) -> None:
    visit.sign_in(f"{visit.site}/admin", "carol")


@way("The request came from another site")
def gateway_403_other_site(visit: Visit) -> None:
    visit.authorize()
    with visit.tab.expect_navigation():
        visit.tab.evaluate("address => location.assign(address)", f"{visit.site}/logout")


@way("That did not work")
def gateway_405(visit: Visit) -> None:
    visit.tab.goto(visit.site)
    visit.post(f"{visit.site}/login")


@way("Signing in is not possible at the moment")
def gateway_503(visit: Visit) -> None:
    visit.pool.trouble.token = "503"
    visit.sign_in(f"{visit.site}/claims")


@way("One moment …")
def gateway_hop(visit: Visit) -> None:
    """The page goes on by itself; with nothing to go on to it stays."""
    visit.tab.route(f"{visit.strict_site}/claims", lambda route: route.fulfill(status=204))
    visit.sign_in(f"{visit.strict_site}/login?next=/claims")
    visit.tab.get_by_role("heading", name="One moment").wait_for()


# the local pool


@way("Sign in")
def pool_sign_in(visit: Visit) -> None:
    visit.authorize()


@way("Sign in")
def pool_sign_in_with_users(visit: Visit) -> None:
    visit.authorize()
    visit.tab.get_by_text("Test users").click()


@way("Sign in")
def pool_sign_in_wrong_password(visit: Visit) -> None:
    visit.authorize()
    visit.tab.get_by_label("User name").fill("alice")
    visit.tab.get_by_label("Password").fill("wrong")
    visit.tab.get_by_role("button", name="Sign in").click()


@way("Sign in")
def pool_sign_in_of_a_provider(visit: Visit) -> None:
    visit.authorize(identity_provider="CompanyDirectory")


@way("Create an account")
def pool_sign_up(visit: Visit) -> None:
    visit.authorize()
    visit.tab.get_by_role("link", name="Create an account").click()


@way("Create an account")
def pool_sign_up_name_taken(visit: Visit) -> None:
    pool_sign_up(visit)
    visit.tab.get_by_label("User name").fill("alice")
    visit.tab.get_by_label("Email").fill("alice@example.test")
    visit.tab.get_by_label("Password").fill("alice-password")
    visit.tab.get_by_role("button", name="Create account").click()


@way("Forgot your password?")
def pool_forgot_password(visit: Visit) -> None:
    visit.authorize()
    visit.tab.get_by_role("link", name="Forgot your password?").click()


@way("Something went wrong")
def pool_redirect_mismatch(visit: Visit) -> None:
    visit.authorize(redirect_uri=f"{visit.site}/callback/")


@way("Something went wrong")
def pool_unknown_client(visit: Visit) -> None:
    visit.authorize(client_id="nobody")


@way("Something went wrong")
def pool_sign_out_nowhere(visit: Visit) -> None:
    client = visit.pool.client("web")
    visit.tab.goto(f"{visit.pool.domain}/logout?client_id={client.client_id}&logout_uri={visit.site}/bye")


@way("Something went wrong")
def pool_404(visit: Visit) -> None:
    visit.tab.goto(f"{visit.pool.domain}/no/such/page")


@way("Start at your application")
def pool_start(visit: Visit) -> None:
    visit.tab.goto(visit.pool.domain)


# the demo


@way("Front page")
def demo_front_of_a_stranger(visit: Visit) -> None:
    visit.tab.goto(visit.newspaper)


@way("Front page")
def demo_front_of_a_reader(visit: Visit) -> None:
    visit.sign_in(f"{visit.newspaper}/login?next=/", "carol")
    visit.tab.get_by_text("As of").wait_for()


@way("All articles")
def demo_articles(visit: Visit) -> None:
    visit.tab.goto(f"{visit.newspaper}/articles")


@way("Weather")
def demo_articles_of_a_section(visit: Visit) -> None:
    visit.tab.goto(f"{visit.newspaper}/articles?section=weather")


@way("Fog until noon, then a light wind from the west")
def demo_article(visit: Visit) -> None:
    visit.tab.goto(f"{visit.newspaper}/articles/1")


@way("Who gets in")
def demo_guide(visit: Visit) -> None:
    visit.tab.goto(f"{visit.newspaper}/guide")


@way("Good to see you, Alice Archer")
def demo_account(visit: Visit) -> None:
    visit.sign_in(f"{visit.newspaper}/account")
    visit.tab.get_by_role("button", name="Renew").click()
    visit.tab.get_by_text("Renewed:").wait_for()


@way("Good to see you, Alice Archer")
def demo_account_session_over(visit: Visit) -> None:
    visit.sign_in(f"{visit.newspaper}/account")
    visit.tab.context.clear_cookies()
    visit.tab.get_by_role("button", name="Renew").click()
    visit.tab.get_by_text("Your session has ended.").wait_for()


@way("What the newspaper knows about you")
def demo_claims(visit: Visit) -> None:
    visit.sign_in(f"{visit.newspaper}/claims")


@way("Live from the wire")
def demo_live(visit: Visit) -> None:
    visit.sign_in(f"{visit.newspaper}/live", "carol")


@way("Write an article")
def demo_desk(visit: Visit) -> None:
    visit.sign_in(f"{visit.newspaper}/desk?section=harbour&headline=Caf%C3%A9%20opens%20%26%20closes", "bob")


@way("Write an article")
def demo_desk_with_problems(visit: Visit) -> None:
    visit.sign_in(f"{visit.newspaper}/desk", "bob")
    visit.tab.get_by_role("button", name="Publish").click()


@way("Lead story")
def demo_lead(visit: Visit) -> None:
    visit.sign_in(f"{visit.newspaper}/lead")


@way("Admin")
def demo_admin(visit: Visit) -> None:
    visit.sign_in(f"{visit.newspaper}/admin")


@way("No access")
def demo_403(visit: Visit) -> None:
    visit.sign_in(f"{visit.newspaper}/admin", "carol")


@way("Not Found")
def demo_404(visit: Visit) -> None:
    visit.tab.goto(f"{visit.newspaper}/articles/99")


@way("Method Not Allowed")
def demo_405(visit: Visit) -> None:
    visit.sign_in(f"{visit.newspaper}/desk", "bob")
    visit.post(f"{visit.newspaper}/articles/1")
