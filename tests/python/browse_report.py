"""A report in headless Chromium, as a reader would use it: it renders, its map turns and shows a picture on hover, nothing
is logged as an error and nothing is loaded from anywhere.

    python browse_report.py report.html chromium [SCREENSHOTS]

With a third argument pictures of the page are kept in that directory, to be looked at.
"""

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

page_path, chromium = Path(sys.argv[1]).resolve(), sys.argv[2]
kept = Path(sys.argv[3]) if len(sys.argv) > 3 else None
if kept:
    kept.mkdir(parents=True, exist_ok=True)


def pixels(page):
    return page.evaluate("document.getElementById('map-canvas').toDataURL()")


# Where on the canvas something is drawn.
DRAWN = """canvas => {
  const { width, height } = canvas;
  const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  const at = pixels.findIndex((value, i) => i % 4 === 3 && value > 100);
  return [Math.floor(at / 4) % width, Math.floor(at / 4 / width)].map(v => v / window.devicePixelRatio);
}"""


with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
    for scheme in ["light", "dark"]:
        page = browser.new_page(viewport={"width": 1200, "height": 900}, color_scheme=scheme)
        errors, requests = [], []
        page.on("console", lambda m: m.type in ("error", "warning") and errors.append(m.text))
        page.on("pageerror", lambda e: errors.append(str(e)))
        page.on("request", lambda r: requests.append(r.url))
        page.goto(page_path.as_uri())

        broken = page.evaluate("[...document.images].filter(i => i.src && !(i.complete && i.naturalWidth)).length")
        assert broken == 0, f"{broken} pictures do not show"
        assert page.locator("figure svg").count() > 0
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"the page is {wide} px wider than its window"
        if kept:
            page.evaluate("document.querySelectorAll('details.model').forEach(d => d.open = true)")
            page.screenshot(path=str(kept / f"page-{scheme}.png"), full_page=True)

        canvas = page.locator("#map-canvas")
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        points = int(canvas.get_attribute("data-points"))
        assert points > 0

        # It turns with the mouse, and back.
        before, yaw = pixels(page), canvas.get_attribute("data-yaw")
        page.mouse.move(box["x"] + 5, box["y"] + 5)
        page.mouse.down()
        page.mouse.move(box["x"] + 155, box["y"] + 5, steps=5)
        page.mouse.up()
        assert abs(float(canvas.get_attribute("data-yaw")) - float(yaw) - 1.0) < 1e-3
        assert pixels(page) != before, "the drawing turns"
        canvas.dblclick(position={"x": 3, "y": 3})
        assert canvas.get_attribute("data-yaw") == yaw

        # A point shows its picture and its brand, and hides them again.
        x, y = canvas.evaluate(DRAWN)
        page.mouse.move(box["x"] + x, box["y"] + y)
        assert page.locator("#map-tip").is_visible()
        shown = page.locator("#map-tip img")
        assert shown.evaluate("i => i.naturalWidth") > 0
        assert page.locator("#map-tip b").inner_text().strip()
        assert page.locator("#map-tip span").inner_text().startswith("row ")
        if kept:
            page.screenshot(path=str(kept / f"hover-{scheme}.png"))
        page.mouse.move(box["x"] + 2, box["y"] - 30)
        assert not page.locator("#map-tip").is_visible()

        # Points as pictures, one brand alone, another model.
        dots = pixels(page)
        page.locator("#map-pictures").check()
        pictures = pixels(page)
        assert pictures != dots
        if kept:
            canvas.screenshot(path=str(kept / f"pictures-{scheme}.png"))
        page.locator("#map-brands button").first.click()
        assert pixels(page) != pictures
        models = page.locator("#map-model option").count()
        if models > 1:
            page.locator("#map-model").select_option(index=models - 1)
            assert canvas.get_attribute("data-model") == page.locator("#map-model option").nth(models - 1).inner_text()
        canvas.press("ArrowRight")
        assert canvas.get_attribute("data-yaw") != yaw

        assert errors == [], errors
        foreign = [r for r in requests if not r.startswith(("file:", "data:"))]
        assert foreign == [] and len([r for r in requests if r.startswith("file:")]) == 1, requests
        page.close()
    narrow = browser.new_page(viewport={"width": 390, "height": 900})
    narrow.goto(page_path.as_uri())
    wide = narrow.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"the page is {wide} px wider than a phone"
    browser.close()
print(f"{points} points, {models} models")
