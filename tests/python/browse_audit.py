"""An audit in headless Chromium, as a reviewer would use it, with the keyboard alone:

    python browse_audit.py audit.html chromium overrides.toml FAMILY RENAMED DROPPED [SCREENSHOTS]

keeps the folders of FAMILY apart, gives the brand RENAMED the name "Renamed by hand", drops every folder of DROPPED, takes
one more answer back with `u`, saves the file, and opens the page again to find the answers there. With a last argument
pictures of the page are kept in that directory, to be looked at.
"""

import json
import sys
import tomllib
from pathlib import Path

from playwright.sync_api import sync_playwright

page_path, chromium, saved = Path(sys.argv[1]).resolve(), sys.argv[2], Path(sys.argv[3])
family, renamed, dropped = sys.argv[4:7]
kept = Path(sys.argv[7]) if len(sys.argv) > 7 else None
if kept:
    kept.mkdir(parents=True, exist_ok=True)


def choose(page, brand):
    """Selects a family of the queue by searching for it."""
    page.keyboard.press("q")
    page.keyboard.press("/")
    page.keyboard.press("Control+A")
    page.keyboard.type(brand)
    page.keyboard.press("Enter")
    for _ in range(page.locator(".row").count()):
        heading = page.locator("#card h2").first.evaluate("e => e.firstChild.textContent")
        if heading == brand and page.locator("#card [data-key=r]").count():
            return
        page.keyboard.press("j")
    raise AssertionError(f"no finding for {brand}")


def answers(page):
    page.keyboard.press("e")
    return tomllib.loads(page.locator("#toml").input_value())


with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
    for scheme, width in [("dark", 1280), ("light", 390), ("light", 1280)]:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, accept_downloads=True)
        page = context.new_page()
        errors, requests = [], []
        page.on("console", lambda m: errors.append(m.text))
        page.on("pageerror", lambda e: errors.append(str(e)))
        page.on("request", lambda r: requests.append(r.url))
        page.goto(page_path.as_uri())
        findings = page.evaluate("AUDIT.findings.length")
        assert findings > 0 and page.locator(".row").count() > 0
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"the page is {wide} px wider than its window of {width}"
        for tab in page.locator("#tabs button").all():
            tab.click()
            if kept:
                page.screenshot(path=str(kept / f"{tab.get_attribute('data-tab')}-{scheme}-{width}.png"))
        # Every contact sheet is a picture.
        sizes = page.evaluate("""Promise.all(SHEETS.map((_, i) => new Promise((ok, no) => {
          const image = new Image();
          image.onload = () => ok(image.naturalWidth);
          image.onerror = no;
          image.src = sheetUrl(i);
        })))""")
        assert sizes and set(sizes) == {768}, sizes
        if width == 390 or scheme == "dark":
            assert errors == [], errors
            context.close()
            continue

        choose(page, family)
        page.keyboard.press("p")
        choose(page, renamed)
        page.keyboard.press("r")
        page.keyboard.type("Renamed by hand")
        page.keyboard.press("Enter")
        choose(page, dropped)
        page.keyboard.press("d")
        boxes = page.locator("#ask-fields input[type=checkbox]")
        for i in range(boxes.count()):
            page.keyboard.press("Space")
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        decided = answers(page)
        assert len(decided.get("keep_apart", [])) == 1 and len(decided["keep_apart"][0]["folders"]) > 1, decided
        assert decided["rename"][0]["to"] == "Renamed by hand", decided
        assert len(decided["drop"]) == boxes.count() > 0, decided
        # A key typed in the frame in which a dialog closes is the page's.
        page.keyboard.press("q")
        page.keyboard.press("c")
        closed = page.evaluate("""() => { document.getElementById("ask-cancel").click();
          document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key: "e", bubbles: true}));
          return state.tab; }""")
        assert closed == "decisions", closed
        # One more answer, taken back.
        page.keyboard.press("q")
        page.keyboard.press("/")
        page.keyboard.press("Control+A")
        page.keyboard.press("Backspace")
        page.keyboard.press("Enter")
        page.keyboard.press("a")
        assert len(answers(page)["accept"]) == 1
        page.keyboard.press("u")
        page.keyboard.press("q")
        assert answers(page) == decided
        # A search is answered at once: a timed loop in the page, no waiting.
        slow = page.evaluate("""() => { go("all"); const from = performance.now();
          for (const word of ["a", "no", "1"]) { state.search = word; refresh(); } state.search = ""; refresh();
          return (performance.now() - from) / 4; }""")
        page.keyboard.press("e")
        with page.expect_download() as download:
            page.locator("#save").click()
        assert download.value.suggested_filename == "overrides.toml"
        download.value.save_as(saved)
        assert tomllib.loads(saved.read_text()) == decided
        # The page opened again has the answers; so has another browser that opens the file.
        page.reload()
        assert answers(page) == decided
        other = browser.new_context()
        fresh = other.new_page()
        fresh.goto(page_path.as_uri())
        assert answers(fresh) == {}, "another browser knows nothing yet"
        fresh.locator("#open").set_input_files(saved)
        fresh.wait_for_function("state.answers.total > 0")
        assert answers(fresh) == decided
        fresh.locator("#open").set_input_files({"name": "bad.toml", "mimeType": "text/plain", "buffer": b'[[merge]]\nbrand = nonsense\n'})
        fresh.wait_for_function("document.getElementById('open-error').textContent.includes('line 2')")
        assert answers(fresh) == decided, "a file that does not parse changes nothing"
        assert errors == [], errors
        foreign = [r for r in requests if not r.startswith(("file:", "data:", "blob:"))]
        assert foreign == [] and len({r for r in requests if r.startswith("file:")}) == 1, requests
        context.close()
    browser.close()
print(json.dumps({"findings": findings, "search_ms": round(slow, 1)}))
