"""What a page in Chromium breaks of WCAG 2.2 AA, as far as a program can tell.

Names come from the browser's own accessibility tree. The rest is read from the document and its computed styles.
"""

from playwright.async_api import Page

_NAMED = {"button", "link", "textbox", "searchbox", "combobox", "radio", "checkbox", "heading", "img", "listbox"}

_DOCUMENT = r"""
() => {
  const found = [], say = (rule, element) => found.push(`${rule}: ${element.outerHTML.slice(0, 120)}`)
  const all = selector => [...document.querySelectorAll(selector)]
  const shown = element => element.checkVisibility({visibilityProperty: true})
  if (!document.documentElement.lang) found.push("3.1.1 the page has no language")
  if (!document.title.trim()) found.push("2.4.2 the page has no title")
  for (const selector of ["main", "h1"]) if (all(selector).length !== 1) found.push(`1.3.1 not one ${selector}`)
  let level = 0
  for (const heading of all("h1, h2, h3, h4")) {
    if (+heading.tagName[1] > level + 1) say("1.3.1 a level is left out", heading)
    level = +heading.tagName[1]
  }
  const ids = all("[id]").map(each => each.id)
  for (const id of ids.filter((id, at) => ids.indexOf(id) !== at)) found.push(`4.1.2 two elements have the id ${id}`)
  for (const name of ["aria-describedby", "aria-labelledby", "for"])
    for (const each of all(`[${name}]`))
      if (each.getAttribute(name).trim().split(/\s+/).some(id => !document.getElementById(id)))
        say(`1.3.1 ${name} leads nowhere`, each)
  for (const each of all("[aria-invalid]:not([aria-describedby])")) say("3.3.1 no error is linked", each)
  for (const each of all("input, select, textarea"))
    if (each.type !== "hidden" && !each.labels?.length) say("3.3.2 no label", each)
  for (const each of all("ul > *, ol > *")) if (each.tagName !== "LI") say("1.3.1 a list has another child", each)
  for (const each of all("[tabindex]")) if (each.tabIndex > 0) say("2.4.3 an order of its own", each)

  const parts = color => color.match(/[\d.]+/g).map(Number)
  const luminance = ([red, green, blue]) => {
    const linear = each => each <= .04045 ? each / 12.92 : ((each + .055) / 1.055) ** 2.4
    const [r, g, b] = [red, green, blue].map(each => linear(each / 255))
    return .2126 * r + .7152 * g + .0722 * b
  }
  const ground = element => {
    for (let each = element; each; each = each.parentElement) {
      const color = parts(getComputedStyle(each).backgroundColor)
      if (color.length === 3 || color[3] === 1) return color
    }
    return [255, 255, 255]
  }
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement
    if (!texts.currentNode.data.trim() || !shown(element) || ["SCRIPT", "OPTION"].includes(element.tagName)) continue
    const style = getComputedStyle(element), size = parseFloat(style.fontSize)
    const [light, dark] = [luminance(parts(style.color)), luminance(ground(element))].sort((a, b) => b - a)
    const needed = size >= 24 || size >= 18.66 && style.fontWeight >= 700 ? 3 : 4.5
    if ((light + .05) / (dark + .05) < needed) say("1.4.3 too little contrast", element)
  }
  return found
}
"""


async def violations(page: Page) -> list[str]:
    """In light and in dark."""
    found = set()
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found |= set(await page.evaluate(_DOCUMENT))
    session = await page.context.new_cdp_session(page)
    for node in (await session.send("Accessibility.getFullAXTree"))["nodes"]:
        role = node.get("role", {}).get("value")
        if not node["ignored"] and role in _NAMED and not str(node.get("name", {}).get("value", "")).strip():
            found.add(f"4.1.2 a {role} has no name")
    await session.detach()
    return sorted(found)
