// All that the pages' scripts do. Everything works without them.

// Whether somebody is at work in it: what they type would be lost.
const isTouched = part => part.contains(document.activeElement) ||
  [...part.querySelectorAll("input:not([type=hidden]), textarea")].some(
    field => field.value !== field.defaultValue || field.checked !== field.defaultChecked)

// A part of the page that a stream keeps up to date: each event loads the page again and takes the part from it.
const waiting = new Set()
const refresh = part => {
  if (waiting.has(part.id)) return
  waiting.add(part.id)
  setTimeout(async () => {
    waiting.delete(part.id)
    const response = await fetch(location.href, {headers: {Accept: "text/html"}}).catch(() => null)
    // What the page was about is gone: the page says why.
    if (response?.status === 410) location.reload()
    if (!response?.ok || response.redirected) return
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html").getElementById(part.id)
    if (fresh && !isTouched(part)) part.replaceChildren(...fresh.childNodes)
    refreshInTime(part)
  }, 300)
}
// What changes by the clock alone, such as a meeting that opens. A timer lasts 24 days at most.
const refreshInTime = part => {
  const at = part.querySelector("[data-changes-at]")?.dataset.changesAt
  if (at) setTimeout(() => refresh(part), Math.min(Math.max(Date.parse(at) - Date.now() + 500, 5000), 2 ** 31 - 1))
}
const streams = {}
for (const part of document.querySelectorAll("[data-live]")) {
  const stream = streams[part.dataset.live] ??= new EventSource(part.dataset.live)
  stream.addEventListener("message", () => refresh(part))
  refreshInTime(part)
}

// A mailed token is in the link's fragment, which browsers do not send: it goes into the form.
for (const field of document.querySelectorAll("[data-fragment]")) {
  const token = location.hash.slice(1)
  if (!token || token === "main") continue
  field.value = token
  field.closest(".field").hidden = true
  history.replaceState(null, "", location.pathname + location.search)
}

// The browser's time zone, where none was chosen.
for (const list of document.querySelectorAll("[data-detect-zone]")) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone
  if (list.value === "UTC" && [...list.options].some(option => option.value === zone)) list.value = zone
}

// What was wrong with a form is read first.
document.querySelector("[data-focus]")?.focus()

// A second click sends nothing.
addEventListener("submit", event => {
  if (event.target.dataset.sent) event.preventDefault()
  event.target.dataset.sent = "yes"
})
addEventListener("pageshow", () => document.querySelectorAll("form").forEach(form => delete form.dataset.sent))
