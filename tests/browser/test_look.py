"""How every page looks, and what can be measured of it. For the screenshots, to be looked at:

SCREENSHOTS=folder tox -e browser -- tests/browser/test_look.py
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Page

from cognito_wsgi.local import LocalUserPool

from .pages import WAYS, Visit

pytestmark = pytest.mark.browser

#: By colour scheme, what axe-core is to look at: the dark one differs in colours alone.
SCHEMES: dict[str, dict[str, Any]] = {"light": {}, "dark": {"runOnly": ["color-contrast"]}}
SIZES = {"desktop": (1280, 800), "phone": (360, 640)}
NARROWEST = (320, 256)  # CSS pixels without scrolling to the side: WCAG 2.2, 1.4.10


@pytest.fixture
def visit(
    chromium: Browser, pool: LocalUserPool, site: str, strict_site: str, newspaper: str
) -> Iterator[Visit]:
    with chromium.new_context() as context:
        context.set_default_timeout(10_000)
        yield Visit(context.new_page(), pool, site, strict_site, newspaper)


@pytest.mark.parametrize("name", WAYS)
def test_a_page_fits_every_window_and_anybody_can_use_it(visit, shots, name):
    tab, way = visit.tab, WAYS[name]
    way.go(visit)
    tab.wait_for_load_state()
    assert tab.get_by_role("heading", level=1).inner_text() == way.heading
    tab.evaluate(AXE_SCRIPT)
    faults = []
    for scheme, rules in SCHEMES.items():
        tab.emulate_media(color_scheme=scheme)
        tab.evaluate(TO_THE_TOP)
        for size, window in SIZES.items():
            resize(tab, window)
            found = [*width_faults(tab), *axe_faults(tab, rules)]
            faults += [f"{scheme}, {size}: {fault}" for fault in found]
            tab.screenshot(path=shots / f"{name}-{size}-{scheme}.png", full_page=True)
        faults += [f"{scheme}: {fault}" for fault in focus_faults(tab)]
    resize(tab, NARROWEST)
    assert [*faults, *width_faults(tab)] == []


def resize(tab: Page, window: tuple[int, int]) -> None:
    tab.set_viewport_size({"width": window[0], "height": window[1]})


def width_faults(tab: Page) -> Iterator[str]:
    window, page = tab.evaluate("[innerWidth, document.documentElement.scrollWidth]")
    if page > window:
        yield f"scrolls to the side: {page} pixels in {window}"


def axe_faults(tab: Page, rules: dict[str, Any]) -> Iterator[str]:
    """What axe-core finds: labels, landmarks, headings, language, title, contrast and more, best practices too."""
    found = tab.evaluate("rules => axe.run({...rules, resultTypes: ['violations', 'incomplete']})", rules)
    # Texts that are partly scrolled out of sight leave axe undecided; a large window shows them all.
    undecided = found["incomplete"] if tab.evaluate("innerWidth") == SIZES["desktop"][0] else []
    for fault in [*found["violations"], *undecided]:
        for node in fault["nodes"]:
            yield f"{fault['id']}: {node['html']}: {node['failureSummary']}"


def focus_faults(tab: Page) -> Iterator[str]:
    """What the Tab key does not reach, and what does not show that it has the focus."""
    tab.evaluate(TO_THE_TOP)
    expected = tab.evaluate(FOCUSABLE)
    reached = []
    for _ in expected:
        tab.keyboard.press("Tab")
        focused: dict[str, Any] = tab.evaluate(FOCUSED)
        reached.append(focused["name"])
        if focused["style"] != "solid" or focused["width"] < 2 or focused["contrast"] < 3:  # WCAG 2.2, 1.4.11
            yield f"the focus is not to be seen: {focused}"
    if reached != expected:
        yield f"the Tab key reaches {reached} and not {expected}"


def test_our_pages_can_be_read_without_styles(visit):
    WAYS["gateway-403-group"].go(visit)
    visit.tab.evaluate("document.querySelector('style').remove()")
    *lines, reference = [line for line in visit.tab.inner_text("body").splitlines() if line.strip()]
    assert lines == [
        "403 Forbidden",
        "No access",
        "You are signed in, but this page is not open to you.",
        "Go to the start page",
        "Sign in as somebody else",
    ]
    assert reference.startswith("If you ask for help, name this reference: ")


_FUNCTIONS = """
const name = element => `${element.tagName} ${element.id || element.innerText || element.name}`;
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
#: What the Tab key is to reach, in the page's order. Of radio buttons it is the chosen one.
FOCUSABLE = f"""() => {{ {_FUNCTIONS}
  return [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")]
    .filter(element => element.checkVisibility() && !element.disabled && (element.type !== "radio" || element.checked))
    .map(name);
}}"""
#: Tab goes on from here.
TO_THE_TOP = """() => {
  document.body.tabIndex = -1;
  document.body.focus();
  document.body.removeAttribute("tabindex");
}"""
FOCUSED = f"""() => {{ {_FUNCTIONS}
  const element = document.activeElement, style = getComputedStyle(element);
  return {{
    name: name(element), style: style.outlineStyle, width: parseFloat(style.outlineWidth),
    contrast: contrast(style.outlineColor, ground(element.parentElement)),
  }};
}}"""
