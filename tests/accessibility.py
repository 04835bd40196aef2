"""What a page in Chromium breaks of WCAG 2.2 AA and of axe's best practices, by axe-core."""

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

_OPTIONS = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
}


async def violations(page: Page) -> list[str]:
    """In light and in dark, as `rule: element`."""
    found = set()
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        results = await Axe().run(page, options=_OPTIONS)
        for broken in results.response["violations"]:
            found |= {f"{broken['id']}: {node['html'][:120]}" for node in broken["nodes"]}
    return sorted(found)
