"""The page of `logodex serve` in headless Chromium, as a person would use it:

    python browse_serve.py ADDRESS chromium TOKEN PICTURE SAME STRANGER X0,Y0,X1,Y1 [SCREENSHOTS]

PICTURE and SAME show one brand that is not enrolled, STRANGER another; the box is the logo's in PICTURE. The picture is
dropped, the box drawn, the unknown enrolled; then it is known, SAME is pasted and known as well; by keyboard a box is moved and taken
away; the brand is renamed and the picture taken out again. With a last argument pictures of the page are kept in that directory.
"""

import base64
import json
import sys
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

address, chromium, token = sys.argv[1:4]
picture, same, stranger = map(Path, sys.argv[4:7])
logo = [int(x) for x in sys.argv[7].split(",")]
kept = Path(sys.argv[8]) if len(sys.argv) > 8 else None
if kept:
    kept.mkdir(parents=True, exist_ok=True)

TRANSFER = """({name, data}) => {
  const bytes = Uint8Array.from(atob(data), c => c.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, {type: "image/jpeg"}));
  return transfer;
}"""


def transfer(page, path, name=None):
    data = base64.b64encode(path.read_bytes()).decode()
    return page.evaluate_handle(TRANSFER, {"name": name or path.name, "data": data})


def drop(page, path):
    page.dispatch_event("body", "drop", {"dataTransfer": transfer(page, path)})
    expect(page.locator("#answer .verdict")).to_be_visible()
    settled(page)


def paste(page, path):
    page.evaluate("t => dispatchEvent(new ClipboardEvent('paste', {clipboardData: t, bubbles: true}))", transfer(page, path, "image.png"))
    settled(page)


def settled(page):
    """No question is on its way, nor about to be."""
    page.wait_for_timeout(260)
    expect(page.locator("#answer")).not_to_have_attribute("aria-busy", "true", timeout=20000)


def at(page, x, y):
    """Where a pixel of the picture lies in the window."""
    frame = page.locator("#shown").bounding_box()
    size = page.evaluate("[shown.naturalWidth, shown.naturalHeight]")
    return frame["x"] + x / size[0] * frame["width"], frame["y"] + y / size[1] * frame["height"]


def draw(page, area):
    page.locator("#shown").scroll_into_view_if_needed()
    page.mouse.move(*at(page, area[0], area[1]))
    page.mouse.down()
    page.mouse.move(*at(page, (area[0] + area[2]) / 2, area[3]), steps=3)
    page.mouse.move(*at(page, area[2], area[3]), steps=3)
    page.mouse.up()
    settled(page)


def where(page):
    return page.locator("#where").inner_text()


def verdict(page):
    return page.locator("#answer .verdict").inner_text()


def shot(page, name):
    if kept:
        page.wait_for_timeout(300)
        page.screenshot(path=str(kept / f"{name}.png"), full_page=True)


def no_wider(page, width):
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"the page is {wide} px wider than its window of {width}"


with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
    for scheme, width in [("light", 1280), ("dark", 1280), ("dark", 390)]:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, has_touch=width == 390)
        page = context.new_page()
        errors, requests = [], []
        page.on("console", lambda m: errors.append(m.text))
        page.on("pageerror", lambda e: errors.append(str(e)))
        page.on("request", lambda r: requests.append(r.url))
        page.goto(address)
        # Nobody has told this browser the token yet; the first refusal asks for it. Twice refused, it asks again.
        expect(page.locator("#ask")).to_be_visible()
        page.locator("#ask-value").fill("not the token of it")
        page.keyboard.press("Enter")
        expect(page.locator("#ask-value")).to_have_value("")
        page.locator("#ask-value").fill(token)
        page.keyboard.press("Enter")
        expect(page.locator("#lead")).to_contain_text("enrolled with")
        expect(page.locator("#ask")).not_to_be_visible()
        # The browser's own lines on those refusals, and on nothing else.
        assert all("401" in e for e in errors), errors
        errors.clear()
        shot(page, f"start-{scheme}-{width}")
        no_wider(page, width)

        drop(page, picture)
        assert verdict(page) == "Unknown", verdict(page)
        assert where(page).startswith("the whole picture"), where(page)
        draw(page, logo)
        drawn = [int(x) for x in where(page).replace("×", " ").replace(",", " ").replace("box", "").replace("at", " ").replace("of", " ").split() if x.isdigit()]
        found = [drawn[2], drawn[3], drawn[2] + drawn[0], drawn[3] + drawn[1]]
        assert all(abs(a - b) <= 4 for a, b in zip(found, logo)), (found, logo)
        assert verdict(page) == "Unknown", verdict(page)
        # The threshold is a line over the similarities, at its own place between them.
        if page.locator(".row").count():
            line = page.evaluate("""() => { const chart = document.querySelector(".chart");
              return [Number(chart.style.getPropertyValue("--t")), document.querySelectorAll(".row.above").length]; }""")
            assert 0 < line[0] <= 1 and line[1] == 0, line
        shot(page, f"unknown-{scheme}-{width}")
        no_wider(page, width)

        # One click: the file's name is the suggestion.
        suggested = page.locator("#brand").input_value()
        assert suggested == picture.stem.replace("_", " ").replace("-", " "), suggested
        brand = f"Brand of {scheme} {width}"
        page.locator("#brand").fill(brand)
        page.locator("#enrol-button").click()
        expect(page.locator("#enrolled")).to_contain_text(f"{brand} has 1 picture now")
        expect(page.locator("#answer .verdict")).to_have_text(brand)
        expect(page.locator("#brands")).to_contain_text(brand)
        settled(page)
        expect(page.locator(".row.above .thumb").first).to_have_js_property("complete", True)
        page.wait_for_function("[...document.querySelectorAll('#answer img.thumb')].every(i => i.naturalWidth > 0)")
        shot(page, f"known-{scheme}-{width}")
        no_wider(page, width)
        # The same picture again is refused, and says so.
        page.locator("#enrol-button").click()
        expect(page.locator("#problem")).to_contain_text("already")
        errors[:] = [e for e in errors if "409" not in e]

        # By keyboard alone: the box goes, another comes, grows, moves by one pixel, and is asked about.
        page.locator("#stage").focus()
        page.keyboard.press("Escape")
        assert where(page).startswith("the whole picture"), where(page)
        page.keyboard.press("ArrowRight")
        before = where(page)
        page.keyboard.press("Shift+ArrowRight")
        grown = where(page)
        assert grown != before
        page.keyboard.press("Alt+ArrowDown")
        assert where(page) != grown
        settled(page)
        page.keyboard.press("Escape")
        settled(page)

        # Another picture of the brand is pasted and known; a stranger is not.
        paste(page, same)
        assert verdict(page) in (brand, "Unknown")
        seen_same = verdict(page)
        drop(page, stranger)
        expect(page.locator("#answer .verdict")).to_have_text("Unknown")

        # A file that is no picture changes nothing and says so.
        page.locator("#file").set_input_files({"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no picture"})
        expect(page.locator("#problem")).to_contain_text("notes.txt is no picture")
        assert page.evaluate("shown.naturalWidth") > 0

        # Renamed, found by search, removed, as a person would.
        drop(page, picture)
        page.locator("#search").fill(brand)
        expect(page.locator("#found")).to_contain_text("1 brand with")
        page.get_by_role("button", name=f"Rename {brand}").click()
        page.locator("#ask-value").fill(brand + " anew")
        shot(page, f"rename-{scheme}-{width}")
        page.keyboard.press("Enter")
        expect(page.locator("#brands")).to_contain_text(brand + " anew")
        page.get_by_role("button", name=f"Remove {brand} anew").click()
        page.locator("#ask-ok").click()
        expect(page.locator("#found")).to_contain_text("0 brands with")
        # Enrolled and taken out again at once.
        settled(page)
        page.locator("#brand").fill(brand)
        page.locator("#enrol-button").click()
        page.get_by_role("button", name="Undo").click()
        expect(page.locator("#enrolled")).to_contain_text("Taken out")
        expect(page.locator("#found")).to_contain_text("0 brands with")
        settled(page)
        no_wider(page, width)
        assert errors == [], errors
        foreign = [r for r in requests if not r.startswith((address, "data:", "blob:"))]
        assert foreign == [], foreign
        assert not any(token in r for r in requests), "a token in an address"
        context.close()
    browser.close()
print(json.dumps({"drawn": found, "same": seen_same == brand}))
