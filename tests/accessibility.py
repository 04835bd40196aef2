"""What a page in Chromium breaks of WCAG 2.2 AA and of axe's best practices, by axe-core, and what does not fit."""

import json
from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Page

_ALL: dict[str, Any] = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
}
_COLORS: dict[str, Any] = {
    "runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]},
    "resultTypes": ["violations"],
}
"""The rules whose answer depends on the color scheme."""

_ALIKE = "option:nth-of-type(n+4):not(:checked), article:nth-of-type(n+8):not(:nth-last-of-type(-n+4))"
"""Each page lists 600 time zones, and the API's reference has hundreds of articles. For those, axe takes a minute."""

_SMALL = """
[...document.querySelectorAll('button, .button, nav a, select, input')]
    .filter(each => !['hidden', 'radio', 'checkbox'].includes(each.type))
    .filter(each => each.getClientRects().length && each.getBoundingClientRect().height < 44)
    .map(each => each.outerHTML)
"""


async def violations(page: Page) -> list[str]:
    """In light and in dark, as `rule: element`."""
    await page.evaluate(f"document.querySelectorAll('{_ALIKE}').forEach(each => each.remove()); {AXE_SCRIPT}")
    await page.emulate_media(color_scheme="light", reduced_motion="reduce")
    found = await _broken(page, _ALL)
    await page.emulate_media(color_scheme="dark")
    return sorted(found | await _broken(page, _COLORS))


async def _broken(page: Page, options: dict[str, Any]) -> set[str]:
    found = await page.evaluate(f"axe.run({json.dumps(options)}).then(results => results.violations)")
    return {f"{rule['id']}: {node['html'][:120]}" for rule in found for node in rule["nodes"]}


async def misfits(page: Page) -> list[str]:
    """What does not fit a phone of 320 pixels and a finger: a page that scrolls sideways, targets below 44 pixels."""
    await page.set_viewport_size({"width": 320, "height": 640})
    width = await page.evaluate("document.documentElement.scrollWidth")
    return [*([f"{width} pixels wide"] if width > 320 else []), *await page.evaluate(_SMALL)]
