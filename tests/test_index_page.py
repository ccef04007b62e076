"""reports/index.html in a headless Chromium: it opens from a file, asks the network for nothing, its viewer reacts.

The page is made from fabricated predictions. The browser is the one that CHROMIUM names, one on the PATH, or
playwright's own; without any the tests are skipped.
"""

import os
import shutil
from contextlib import contextmanager

import nbformat
import pytest
from matplotlib.figure import Figure

from handvae.report import pages, style, viewer
from tests.test_viewer import small_grid

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
ARGUMENTS += ["--disable-background-networking", "--disable-component-update"]
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser():
    named = [os.environ.get("CHROMIUM"), *map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))]
    with sync_api.sync_playwright() as playwright:
        path = next(filter(None, named), None)
        if not (path or os.path.exists(playwright.chromium.executable_path)):
            pytest.skip("no Chromium: set CHROMIUM, or put chromium on the PATH, or run `playwright install chromium`")
        opened = playwright.chromium.launch(executable_path=path, headless=True, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    results, processed = small_grid(tmp_path_factory.mktemp("grid"))
    return results, viewer.viewer_data(results, processed)


ANSWER = [("Data", "Synthetic hands."), ("Claims", "6 hold, 2 do not hold.")]
PICTURE = style.Captioned(Figure(figsize=(4, 2)), "Figure 10b", "Six hands.", "hands in rows")


def write_page(folder, results, to_view):
    cells = {
        "tables": "# Tables\n\n## Table 1\n\n| a | b |\n| --- | --- |\n| 1 | 2 |",
        "lists": "# Lists\n\n<details><summary>All metrics</summary><p>epe_mean_mm</p></details>",
    }
    notebooks = {
        name: nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)]) for name, text in cells.items()
    }
    path = folder / "index.html"
    path.write_text(pages.index_page(notebooks, to_view, results, ANSWER, PICTURE))
    return path


@pytest.fixture(scope="module")
def index(tmp_path_factory, data):
    return write_page(tmp_path_factory.mktemp("page"), *data)


@contextmanager
def opened(browser, path, **context):
    """The page, and the list of what it complained of and asked for; the browser is offline."""
    context = browser.new_context(**{"viewport": DESKTOP, "offline": True} | context)
    page, complaints = context.new_page(), []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith("data:") else complaints.append(request.url))
    page.goto(path.as_uri())
    complaints.remove(path.as_uri())  # the one request that must be
    yield page, complaints
    context.close()


@pytest.fixture
def page(browser, index):
    with opened(browser, index) as (page, complaints):
        yield page
    assert complaints == []


def pixels(page, canvas):
    return page.eval_on_selector(canvas, "canvas => canvas.toDataURL()")


def middle(page, canvas):
    """Scrolls the canvas into view, and the scroll to its end: where its middle is."""
    page.locator(canvas).scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    box = page.locator(canvas).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page, canvas, right, down):
    x, y = middle(page, canvas)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + right, y + down, steps=3)
    page.mouse.up()


TRUTH, PREDICTION, DECODED = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00), (0x00, 0x9E, 0x73)  # in the light scheme


def drawn(page, canvas, colour):
    """Of the canvas's pixels of exactly that colour the mean x and y, and their number."""
    return page.eval_on_selector(
        canvas,
        """(canvas, colour) => {
          const { width, height } = canvas;
          const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
          let [x, y, n] = [0, 0, 0];
          for (let i = 0; i < data.length; i += 4)
            if (colour.every((value, channel) => data[i + channel] === value) && data[i + 3] === 255)
              [x, y, n] = [x + ((i / 4) % width), y + Math.floor(i / 4 / width), n + 1];
          return [x / n, y / n, n];
        }""",
        colour,
    )


@pytest.mark.parametrize(("viewport", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")])
def test_the_page_opens_without_complaint_or_request_and_fits_the_window(browser, index, viewport, scheme):
    with opened(browser, index, viewport=viewport, color_scheme=scheme) as (page, complaints):
        page.wait_for_timeout(100)
        assert complaints == []
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        assert page.locator("#view-predictions").is_visible() and page.locator("#view-walks").is_visible()
        contents = page.get_by_role("link", name="Table 1")  # shut on a phone
        assert contents.is_visible() == (viewport == DESKTOP) and not page.locator("#no-walks").is_visible()


def test_the_page_opens_with_the_answer_then_the_best_model_from_rgb_and_lists_are_folded(page, data):
    headings = page.locator("main h2").all_inner_texts()
    assert headings == ["Did it work?", "Words", "Look at the hands", "Tables", "Lists"]
    assert page.locator("#answer dt").all_inner_texts() == ["Data", "Claims"]
    assert page.locator("#answer img").bounding_box()["y"] < DESKTOP["height"]
    assert page.locator("#model option").first.inner_text() == "RGB->3D RHD, variant 1"
    assert page.locator("#hand-note").inner_text() == data[1]["predictions"][0]["note"]
    assert not page.get_by_text("epe_mean_mm").is_visible()
    page.get_by_text("All metrics").click()
    assert page.get_by_text("epe_mean_mm").is_visible()


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("const data = JSON.parse", "const data = nowhere || JSON.parse", "nowhere is not defined"),
        ('"use strict";', '"use strict"; console.error("out of order");', "out of order"),
        ("<h1>", '<img src="https://example.org/a.png" alt=""><h1>', "https://example.org/a.png"),
    ],
)
def test_a_broken_page_is_found_out(browser, index, tmp_path, old, new, complaint):
    text = index.read_text()
    assert text.count(old) == 1
    broken = tmp_path / "index.html"
    broken.write_text(text.replace(old, new))
    with opened(browser, broken) as (page, complaints):
        page.wait_for_timeout(100)
        assert any(complaint in found for found in complaints)


@pytest.mark.parametrize(("canvas", "colour"), [("#hand-space", TRUTH), ("#walk-space", DECODED)])
def test_drags_wheel_buttons_and_keys_turn_and_zoom_and_reset_brings_the_view_back(page, canvas, colour):
    def press(name):
        page.locator(f":has(> {canvas}) [data-view={name}]").click()

    seen, ink = [pixels(page, canvas)], drawn(page, canvas, colour)[2]
    for way in ((60, 0), (0, 40)):
        drag(page, canvas, *way)
        seen.append(pixels(page, canvas))
    page.mouse.move(5, 5)
    assert pixels(page, canvas) == seen[-1]  # a pointer that is not held turns nothing
    page.focus(canvas)
    for key in ("ArrowLeft", "ArrowUp", "+"):
        page.keyboard.press(key)
        seen.append(pixels(page, canvas))
    press("in")
    assert len({*seen, pixels(page, canvas)}) == 1 + 2 + 3 + 1
    press("reset")
    assert pixels(page, canvas) == seen[0]
    page.mouse.move(*middle(page, canvas))
    scrolled = page.evaluate("scrollY")
    page.mouse.wheel(0, -100)
    page.wait_for_function(f"first => document.querySelector('{canvas}').toDataURL() !== first", arg=seen[0])
    assert page.evaluate("scrollY") == scrolled and drawn(page, canvas, colour)[2] > ink
    page.focus(canvas)
    page.keyboard.press("0")
    assert pixels(page, canvas) == seen[0]


def test_what_is_near_follows_the_pointer_and_what_is_far_goes_the_other_way(browser, tmp_path, data):
    results, to_view = data
    near, far = ([[x, y, z] for x, y in ((0, 0), (5, 0), (0, 5))] for z in (-60, 60))
    model = to_view["predictions"][0]
    hand = model["hands"][0] | {"truth_mm": near, "prediction_mm": far}
    model = model | {"bones": [[0, 1], [1, 2]], "palm": [0, 1, 2], "hands": [hand]}
    path = write_page(tmp_path, results, {"predictions": [model], "walks": None})
    with opened(browser, path) as (page, _):

        def positions():
            """(x, y) of the near and of the far."""
            return [drawn(page, "#hand-space", colour)[:2] for colour in (TRUTH, PREDICTION)]

        (near_x, near_y), (far_x, far_y) = positions()
        assert near_x > far_x and near_y > far_y  # seen a little from the left and from above
        drag(page, "#hand-space", 20, 20)
        (near_right, near_down), (far_right, far_down) = positions()
        assert near_right > near_x + 5 and far_right < far_x - 5
        assert near_down > near_y + 5 and far_down < far_y - 5


def test_hands_and_models_are_chosen_and_named(page, data):
    first, second = data[1]["predictions"]
    seen = set()
    for number, hand in enumerate(first["hands"], 1):
        assert page.locator("#hand-number").inner_text() == f"{number} of {len(first['hands'])}"
        assert page.locator("#hand-error").inner_text() == f"{hand['error_mm']:.1f} mm"
        assert page.get_attribute("#hand-image", "src") == hand["image"]
        seen.add(pixels(page, "#hand-space"))
        page.focus("#hand")
        page.keyboard.press("ArrowRight")
    for name, checked in (("truth", False), ("prediction", False), ("truth", True)):
        page.set_checked(f"#show-{name}", checked)
        seen.add(pixels(page, "#hand-space"))
    assert len(seen) == len(first["hands"]) + 3
    assert page.locator("#model option").all_inner_texts() == [first["name"], second["name"]]
    page.select_option("#model", label=second["name"])
    assert page.get_attribute("#hand-image", "src") == second["hands"][0]["image"]
    assert second["data"] in page.locator("#view-predictions").inner_text()
    assert pixels(page, "#hand-space") not in seen


def test_a_step_of_the_walk_changes_image_and_hand(page, data):
    steps = data[1]["walks"]["walks"][0]["steps"]
    page.wait_for_timeout(100)  # for the pictures to be decoded
    images, hands = set(), set()
    for number in range(len(steps)):
        page.locator("#step").fill(str(number))
        assert page.locator("#step-number").inner_text() == f"{number + 1} of {len(steps)}"
        images.add(pixels(page, "#walk-image"))
        hands.add(pixels(page, "#walk-space"))
    assert len(images) == len(hands) == len(steps)
    page.uncheck("#show-flat")
    images.add(pixels(page, "#walk-image"))
    page.check("#show-projected")
    assert len({*images, pixels(page, "#walk-image")}) == len(steps) + 2
    first = page.get_attribute("#walk-from", "src")
    page.select_option("#walk", "1")
    assert page.get_attribute("#walk-from", "src") != first
    assert page.locator("#step-number").inner_text() == f"1 of {len(steps)}"


@pytest.mark.parametrize(("lacking", "said"), [({"walks": None}, "walks"), ({"predictions": []}, "predictions")])
def test_a_grid_without_walks_or_predictions_says_so(browser, tmp_path, data, lacking, said):
    results, to_view = data
    with opened(browser, write_page(tmp_path, results, to_view | lacking)) as (page, complaints):
        assert page.locator(f"#no-{said}").is_visible() and not page.locator(f"#view-{said}").is_visible()
        assert complaints == []
