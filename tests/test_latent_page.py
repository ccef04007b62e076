"""The page of a latent space in a headless Chromium: its decoders are torch's, its views follow the sliders.

Of a small cross-trained model with made-up weights and BatchNorm statistics. The browser is that of test_index_page.
"""

import numpy as np
import pytest
import torch

from handvae.base.errors import InputError
from handvae.model.checkpoints import Trained
from handvae.model.vae import CrossModalVAE
from handvae.prediction import directions, latent_page
from tests.test_index_page import DESKTOP, PHONE, browser, drag, opened, pixels  # noqa: F401
from tests.test_training import settings

VIEWS = {"joints_3d": "joints_3d", "joints_2d": "joints_2d", "image": "rgb"}  # of the page, of the model


def made_up(name="stb-cross", **changes):
    """A model whose biases and BatchNorm, weights and statistics, are not those of the start."""
    chosen, random = settings(name, **changes), torch.Generator().manual_seed(0)
    model = CrossModalVAE(chosen.architecture, 0).eval()
    with torch.no_grad():
        for part in model.decoders.modules():
            if isinstance(part, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
                part.running_mean.normal_(0, 0.5, generator=random)
                part.running_var.uniform_(0.3, 3, generator=random)
                part.weight.uniform_(0.5, 1.5, generator=random)
            if getattr(part, "bias", None) is not None:
                part.bias.normal_(0, 0.1, generator=random)
    return Trained(model, chosen, "")


def along(still=()):
    """Directions; nothing varies along those that are `still`."""
    mu = np.random.default_rng(0).normal(size=(300, 30)) * np.linspace(2, 0.2, 30)
    found = directions.of_means(mu, "synthetic hands in STB's format (seed 0)", "")
    found.sd[list(still)] = 0
    return found


@pytest.fixture(scope="module")
def trained():
    return made_up()


@pytest.fixture(scope="module")
def path(tmp_path_factory, trained):
    path = tmp_path_factory.mktemp("page") / "latent.html"
    path.write_text(latent_page.page(trained, along(still=[7])))
    return path


@pytest.fixture
def page(browser, path):  # noqa: F811
    with opened(browser, path, color_scheme="light") as (page, complaints):
        settled(page)
        yield page
    assert complaints == []


def settled(page):
    """After the frame in which a move is shown."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def seen(page):
    settled(page)
    return [pixels(page, f"#{view}") for view in VIEWS]


def changed(before, after):
    return [a != b for a, b in zip(before, after, strict=True)]


def outputs(page):
    return page.locator("#sliders output").all_inner_texts()


def test_the_decoders_are_torchs(page, trained):
    z = torch.randn(4, 30, generator=torch.Generator().manual_seed(1))
    first = made_up()  # the same, but for BatchNorm as at the start
    for part in first.model.decoders.modules():
        if isinstance(part, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            part.reset_running_stats()
    for view, modality in VIEWS.items():
        script = "([view, z]) => z.map((one) => [...latent.decode(view, Float32Array.from(one))])"
        ours = torch.tensor(page.evaluate(script, [view, z.tolist()]))
        with torch.inference_mode():
            theirs, other = (
                model.decode(modality, z).movedim(1, -1).flatten(1) for model in (trained.model, first.model)
            )
        assert 0 < (ours - theirs).norm() / theirs.norm() < 2e-3, view
        assert ((ours - other).norm() / other.norm() > 0.1) == (view == "image")


def test_a_slider_changes_all_three_views_and_one_along_which_nothing_varies_none(page):
    before = seen(page)
    sliders = page.locator("#sliders input")
    sliders.nth(7).press("ArrowRight")
    assert not any(changed(before, seen(page))) and outputs(page)[7] == "+0.1 sd"
    sliders.first.press("End")
    after = seen(page)
    assert all(changed(before, after)) and outputs(page)[0] == "+3.0 sd"
    page.click("#mean")
    assert seen(page) == before and set(outputs(page)) == {"0.0 sd"}


def test_several_moves_within_a_frame_are_decoded_once_and_shown_where_they_end(page):
    move = "([input, value]) => { input.value = value; input.dispatchEvent(new Event('input')); }"
    first = page.locator("#sliders input").first.element_handle()
    page.evaluate(move, [first, 2])
    end = seen(page)
    page.click("#mean")
    settled(page)
    counted = page.evaluate(
        """async (input) => {
          let pictures = 0;
          const put = CanvasRenderingContext2D.prototype.putImageData;
          CanvasRenderingContext2D.prototype.putImageData = function (...all) { pictures++; put.apply(this, all); };
          for (let value = -3; value <= 2; value++) { input.value = value; input.dispatchEvent(new Event("input")); }
          await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
          return pictures;
        }""",
        first,
    )
    assert counted == 1 and seen(page) == end


def test_random_hands_are_the_same_ones_each_time_and_a_walk_plays_until_something_else_is_chosen(
    page,
    browser,  # noqa: F811
    path,
):
    drawn = []
    for _ in range(2):
        page.click("#random")
        drawn.append((seen(page), outputs(page)))
    assert all(changed(drawn[0][0], drawn[1][0])) and drawn[0][1] != drawn[1][1]
    page.click("#walk")
    walked = [seen(page)]
    page.wait_for_timeout(300)
    walked.append(seen(page))
    assert all(changed(*walked)) and page.locator("#walk").get_attribute("aria-pressed") == "true"
    page.click("#mean")
    before = seen(page)
    page.wait_for_timeout(100)
    assert seen(page) == before and page.locator("#walk").get_attribute("aria-pressed") == "false"
    with opened(browser, path, color_scheme="light") as (again, _):
        again.click("#random")
        assert (seen(again), outputs(again)) == drawn[0]


def test_drags_and_keys_turn_the_3d_hand_alone(page):
    views = [seen(page)]
    drag(page, "#joints_3d", 60, 20)
    views.append(seen(page))
    page.focus("#joints_3d")
    for key in ("ArrowLeft", "ArrowUp", "+"):
        page.keyboard.press(key)
        views.append(seen(page))
    assert len({view[0] for view in views}) == 5 and len({tuple(view[1:]) for view in views}) == 1
    page.keyboard.press("0")
    assert seen(page) == views[0]
    page.check("#over")
    assert changed(views[0], seen(page)) == [False, False, True]


@pytest.mark.parametrize(("viewport", "scheme"), [(DESKTOP, "dark"), (PHONE, "light")])
def test_the_page_fits_the_window_asks_for_nothing_and_says_what_it_is(browser, path, viewport, scheme):  # noqa: F811
    with opened(browser, path, viewport=viewport, color_scheme=scheme) as (page, complaints):
        settled(page)
        assert complaints == [] and page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        assert "synthetic hands only" in page.locator("#text").inner_text()
        shares = [text.partition(": ")[2] for text in page.locator("#sliders span").all_inner_texts()]
        assert shares == [f"{100 * share:.0f} %" for share in along().share] and len(shares) == 8
        page.locator("#sliders input").last.scroll_into_view_if_needed()
        assert all(page.locator(f"#{view}").bounding_box()["y"] >= 0 for view in VIEWS)  # still in sight


def test_a_page_with_a_broken_script_is_found_out(browser, path, tmp_path):  # noqa: F811
    text = path.read_text()
    assert text.count("const data = JSON.parse") == 1
    (tmp_path / "latent.html").write_text(text.replace("const data = JSON.parse", "const data = nowhere || JSON.parse"))
    with opened(browser, tmp_path / "latent.html") as (page, complaints):
        page.wait_for_timeout(100)
        assert any("nowhere is not defined" in found for found in complaints)


def test_a_model_without_2d_joints_shows_the_other_two(browser, tmp_path):  # noqa: F811
    (tmp_path / "latent.html").write_text(latent_page.page(made_up("rhd-rgb-v4"), along()))
    with opened(browser, tmp_path / "latent.html") as (page, complaints):
        settled(page)
        assert [page.locator(f"#{view}").is_visible() for view in VIEWS] == [True, False, True]
        assert not page.locator("#over").is_visible() and complaints == []


def test_weights_beyond_half_precision_are_refused():
    trained = made_up()
    with torch.no_grad():
        trained.model.decoders["joints_2d"][0].weight[0, 0] = 1e5
    with pytest.raises(InputError, match=r"stb-cross: expected weights of half precision, found 100000;"):
        latent_page.page(trained, along())
