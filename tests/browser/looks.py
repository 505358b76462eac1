"""What is looked at on a page, whichever it is: each look returns what is wrong, in words."""

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
MOST_STOPS = 8  # of one control: a date and a time have parts

# Controls that nobody can bring under a finger: outside of the screen though scrolled to, or below something else.
_OUT_OF_REACH = """() => {
  const found = [];
  for (const each of document.querySelectorAll("a, button, input, select, textarea, summary")) {
    if (each.type === "hidden" || each.matches(".skip") || !each.checkVisibility()) continue;
    each.scrollIntoView({block: "center", inline: "nearest"});
    const box = each.getClientRects()[0];
    const at = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    if (!at || !(each.contains(at) || at.contains(each) || at.closest("label")?.control === each))
      found.push(`${each.outerHTML.slice(0, 120)} at ${Math.round(box.left)}, ${Math.round(box.top)}`);
  }
  scrollTo(0, 0);
  return found;
}"""

# Parts whose words are cut off or run out of them; what scrolls does neither.
_CUT = """() => [...document.querySelectorAll("main *, header *")]
  .filter((each) => each.checkVisibility() && getComputedStyle(each).display !== "inline"
    && !each.closest(".wide, pre, textarea, select, input, progress, datalist")
    && each.clientWidth && each.scrollWidth > each.clientWidth + 1)
  .map((each) => `${each.outerHTML.slice(0, 120)} is ${each.scrollWidth} wide in ${each.clientWidth}`)"""

# Looked for anew at each stop: parts of a live page are replaced meanwhile, by others of the same order.
_TABBABLE = """() => {
  window.tabbable = () => [...document.querySelectorAll(
    "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']"
  )].filter((each) => each.checkVisibility() && !each.disabled);
  return window.tabbable().length;
}"""

_FOCUSED = """() => {
  const each = document.activeElement, style = getComputedStyle(each), box = each.getBoundingClientRect();
  return {
    place: window.tabbable().indexOf(each),
    marked: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    seen: box.width > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
    name: each.outerHTML.slice(0, 120),
  };
}"""


def violations(page: Page, *rules: str) -> list[str]:
    """Ask axe: some rules, or those of WCAG 2.2 AA and its best practices."""
    options = {"resultTypes": ["violations"], "runOnly": list(rules) or RULES}
    found: list[dict[str, Any]] = Axe().run(page, options=options).response["violations"]
    return [f"{each['id']}: {[node['html'] for node in each['nodes']]}" for each in found]


def misfits(page: Page) -> list[str]:
    """Look for what does not fit the width of the screen, and for controls out of reach."""
    width, screen = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    too_wide = [f"the page is {width} wide on a screen of {screen}"] if width > screen else []
    return too_wide + list(page.evaluate(_CUT)) + list(page.evaluate(_OUT_OF_REACH))


def keyboard_faults(page: Page) -> list[str]:
    """Go through all that can have the focus by Tab, and out again."""
    number = page.evaluate(_TABBABLE)
    faults = []
    before = -1
    for _ in range(number * MOST_STOPS):
        page.keyboard.press("Tab")
        focused = page.evaluate(_FOCUSED)
        if focused["place"] == before:
            continue
        if focused["place"] != before + 1 or before + 1 == number:
            break
        before = focused["place"]
        if not (focused["marked"] and focused["seen"]):
            faults.append(f"the focus cannot be seen: {focused['name']}")
    if before + 1 < number or focused["place"] > 0:
        faults.append(f"from stop {before} of {number} Tab leads to {focused['place']}: {focused['name']}")
    return faults
