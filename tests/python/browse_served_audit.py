"""A served audit in headless Chromium, as a reviewer would use it:

    python browse_served_audit.py URL chromium overrides.toml [SCREENSHOTS]

shows pictures in full, decides by keyboard and lets the page write the file; then somebody else edits the file, and the page
sees that instead of writing over it. With a last argument pictures of the page are kept in that directory, to be looked at.
"""

import sys
import tomllib
from pathlib import Path

from playwright.sync_api import sync_playwright

url, chromium, file = sys.argv[1], sys.argv[2], Path(sys.argv[3])
kept = Path(sys.argv[4]) if len(sys.argv) > 4 else None
if kept:
    kept.mkdir(parents=True, exist_ok=True)


def look(page, name):
    if kept:
        page.screenshot(path=str(kept / f"{name}.png"))


def until(page, condition):
    """Waits for a condition from outside: the page's policy lets nothing that comes as text run in it."""
    for _ in range(200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never: {condition}")


def entries(text):
    return {table: entries for table, entries in tomllib.loads(text).items() if entries}


def answers(page):
    return {table: entries for table, entries in page.evaluate("state.answers.now").items() if entries}


with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    errors, requests = [], []
    page.on("console", lambda m: errors.append(m.text))
    page.on("pageerror", lambda e: errors.append(str(e)))
    page.on("request", lambda r: requests.append(r.url))
    page.goto(url)
    until(page, "document.querySelectorAll('.row').length > 0")
    assert page.evaluate("SERVED") and not file.exists()

    # Pictures in full: as large as the audit says they are, with their boxes over them.
    page.locator("#card .link").first.click()
    shown = 0
    for _ in range(3):
        until(page, "document.querySelector('#full-picture img')?.naturalWidth > 0")
        size = page.evaluate("""() => { const image = document.querySelector("#full-picture img"), of = AUDIT.pictures[showFull.at];
          const box = document.querySelector("#full-picture svg").getBoundingClientRect(), own = image.getBoundingClientRect();
          return [image.naturalWidth - of.width, image.naturalHeight - of.height, Math.round(box.width - own.width), Math.round(box.height - own.height),
            document.querySelectorAll("#full-picture rect").length - of.objects.length]; }""")
        assert size == [0, 0, 0, 0, 0], size
        look(page, f"full-{shown}")
        shown += 1
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    assert not page.locator("#full").is_visible()
    page.keyboard.press("f")
    assert page.locator("#full").is_visible()
    page.locator("#full-close").click()

    # Decided, and not written yet; written, and there.
    page.keyboard.press("a")
    page.keyboard.press("a")
    assert "not all written" in page.locator("#done").inner_text() and not file.exists()
    page.keyboard.press("s")
    until(page, "document.getElementById('told').textContent.startsWith('Written to')")
    look(page, "written")
    assert entries(file.read_text()) == answers(page) and len(answers(page)["accept"]) == 2
    assert "not all written" not in page.locator("#done").inner_text()
    assert errors == [], errors

    # Somebody else drops a folder by hand: the page writes nothing over it, and takes it over when told to.
    subject = page.evaluate("AUDIT.findings.find(f => f.kind === 'own_copies').subjects[0]")
    by_hand = file.read_text() + f'\n[[drop]]\npath = "{subject}"\nreason = "by hand"\n'
    file.write_text(by_hand)
    mine = answers(page)
    page.keyboard.press("q")
    page.keyboard.press("a")
    page.keyboard.press("s")
    page.locator("#told.wrong button").first.wait_for()
    look(page, "changed")
    assert file.read_text() == by_hand
    page.locator("#told button").first.click()
    assert answers(page) == entries(by_hand), "the file's"
    page.keyboard.press("u")
    assert len(answers(page)["accept"]) == 3 and "drop" not in answers(page), "and mine, undone"
    page.keyboard.press("s")
    until(page, "document.getElementById('told').textContent.startsWith('Written to')")
    assert entries(file.read_text()) == answers(page)
    earlier = [f for f in file.parent.glob("overrides-*.toml") if f.read_text() == by_hand]
    assert len(earlier) == 1, "what was edited by hand is kept"
    # The one message is the browser's own, of the answer 412.
    assert len(errors) == 1 and "412" in errors[0], errors

    # Another browser begins with what was written; this one says when it meets a file that it does not know.
    other = browser.new_context().new_page()
    other.goto(url)
    until(other, "state.answers.total > 0")
    assert answers(other) == answers(page)
    file.write_text(by_hand)
    page.reload()
    page.locator("#told.wrong").wait_for()
    assert len(answers(page)["accept"]) == 3 and file.read_text() == by_hand
    page.get_by_role("button", name="Mine;").click()
    until(page, "document.getElementById('told').textContent.startsWith('Written to')")
    assert entries(file.read_text()) == answers(page)

    # A phone's width, and dark.
    for scheme, width in [("dark", 1280), ("light", 390)]:
        narrow = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()
        narrow.goto(url)
        until(narrow, "state.answers.total > 0")
        narrow.locator("#card .link").first.click()
        until(narrow, "document.querySelector('#full-picture img')?.naturalWidth > 0")
        wide = narrow.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"the page is {wide} px wider than its window of {width}"
        look(narrow, f"served-{scheme}-{width}")
    foreign = [r for r in requests if not r.startswith((url, "data:", f"blob:{url.split('/', 3)[0]}"))]
    assert foreign == [], foreign
    browser.close()
print(f"{shown} pictures in full")
