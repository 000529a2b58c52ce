"""How the gateway's own pages look, to be looked at: screenshots, and what can be measured."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page
from werkzeug.wrappers import Request, Response

from cognito_wsgi import (
    AuthorisationRequiredError,
    BadRequestError,
    CognitoError,
    CognitoGroupRequiredError,
    CrossSiteRequestError,
    RefusalError,
)
from cognito_wsgi.pages import Link, hop, refusal_page

from ..serving import served

pytestmark = pytest.mark.browser

HOME = Link("Go to the start page", "/")
OTHER_USER = Link("Sign in as somebody else", "/logout")
REFUSALS: dict[str, tuple[RefusalError, list[Link]]] = {
    "400": (BadRequestError("The path of the address has a backslash."), [HOME]),
    "400-long": (
        BadRequestError(
            "You have signed in 3 times within a minute, and it did not last. Likely cause: the browser does not "
            "keep this site's cookies. They may be blocked, be too large, or be meant for https while the site is "
            "visited over http."
        ),
        [Link("Try again", "/login?next=%2Fclaims"), HOME],
    ),
    "401": (
        AuthorisationRequiredError("You are not signed in, or your session has ended."),
        [Link("Sign in", "/login"), HOME],
    ),
    "403": (
        CognitoGroupRequiredError("You are signed in, but this page is not open to you."),
        [HOME, OTHER_USER],
    ),
    "403-cross-site": (
        CrossSiteRequestError("Another site made your browser send this. Nothing was done."),
        [HOME, Link("Sign out", "/logout")],
    ),
    "503": (
        CognitoError(
            "The sign-in service cannot be reached at the moment. Nobody has been signed out.", retry_after=5
        ),
        [HOME],
    ),
}
SIZES = {"desktop": (1280, 800), "phone": (360, 640)}


@Request.application
def gallery(request: Request) -> Response:
    """Each of our pages under its name."""
    name = request.path.lstrip("/")
    if name == "hop":
        answer = hop("/claims")
        answer.data = answer.data.replace(b'http-equiv="refresh"', b'name="not-refresh"')  # so that it stays
        return answer
    error, links = REFUSALS[name]
    error.reference = "0badcafe"
    return refusal_page(error, links)


@pytest.fixture(scope="module")
def gallery_at() -> Iterator[str]:
    with served(lambda origin: gallery) as origin:
        yield origin


@pytest.fixture(scope="module", params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def tab(chromium: Browser, scheme: str) -> Iterator[Page]:
    with chromium.new_context(color_scheme=scheme) as context:
        yield context.new_page()


@pytest.mark.parametrize("name", [*REFUSALS, "hop"])
def test_our_pages_fit_every_window_and_can_be_read(tab, gallery_at, shots, scheme, name):
    tab.goto(f"{gallery_at}/{name}")
    for size, (width, height) in SIZES.items():
        tab.set_viewport_size({"width": width, "height": height})
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        tab.screenshot(path=shots / f"{name}-{size}-{scheme}.png")
    assert tab.evaluate(LOW_CONTRASTS) == []


def test_our_pages_fit_the_narrowest_window(tab, gallery_at):
    """WCAG 2.2, 1.4.10: 320 CSS pixels without scrolling to the side."""
    tab.set_viewport_size({"width": 320, "height": 256})
    for name in REFUSALS:
        tab.goto(f"{gallery_at}/{name}")
        assert tab.evaluate("document.documentElement.scrollWidth") <= 320


def test_the_focus_is_visible(tab, gallery_at, shots, scheme):
    tab.goto(f"{gallery_at}/403")
    tab.set_viewport_size({"width": 1280, "height": 800})
    for label in (HOME.label, OTHER_USER.label):
        tab.keyboard.press("Tab")
        focused = tab.evaluate(FOCUSED)
        assert focused["text"] == label
        assert focused["style"] == "solid"
        assert focused["width"] >= 2
        assert focused["contrast"] >= 3  # WCAG 2.2, 1.4.11
    tab.screenshot(path=shots / f"focus-{scheme}.png")


def test_our_pages_can_be_read_without_styles(tab, gallery_at, shots, scheme):
    tab.goto(f"{gallery_at}/403")
    tab.evaluate("document.querySelector('style').remove()")
    lines = [line for line in tab.inner_text("body").splitlines() if line.strip()]
    assert lines == [
        "403 Forbidden",
        "No access",
        "You are signed in, but this page is not open to you.",
        HOME.label,
        OTHER_USER.label,
        "If you ask for help, name this reference: 0badcafe",
    ]
    tab.screenshot(path=shots / f"plain-{scheme}.png")


_CONTRAST = """
const channel = value => { value /= 255; return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4; };
const numbers = color => color.match(/[0-9.]+/g).map(Number);
const luminance = color => { const [r, g, b] = numbers(color).map(channel); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const ground = element => {
  for (; element; element = element.parentElement) {
    const color = getComputedStyle(element).backgroundColor;
    if ((numbers(color)[3] ?? 1) === 1) return color;
  }
  return matchMedia("(prefers-color-scheme: dark)").matches ? "rgb(18, 18, 18)" : "rgb(255, 255, 255)";
};
const contrast = (one, other) => {
  const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
};
"""
#: Texts whose contrast with what is behind them is below WCAG 2.2's AA (1.4.3).
LOW_CONTRASTS = f"""() => {{ {_CONTRAST}
  return [...document.querySelectorAll("body *")]
    .filter(element => [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim()))
    .map(element => [element.innerText, contrast(getComputedStyle(element).color, ground(element))])
    .filter(([text, value]) => value < 4.5);
}}"""
FOCUSED = f"""() => {{ {_CONTRAST}
  const element = document.activeElement, style = getComputedStyle(element);
  return {{
    text: element.innerText, style: style.outlineStyle, width: parseFloat(style.outlineWidth),
    contrast: contrast(style.outlineColor, ground(element.parentElement)),
  }};
}}"""
