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


def made_up(name="stb-cross"):
    """A model whose decoders' biases and BatchNorm, weights and statistics, are not those of the start."""
    chosen, random = settings(name), torch.Generator().manual_seed(0)
    model = CrossModalVAE(chosen.architecture, 0).eval()
    for key, values in model.decoders.state_dict().items():
        if key.endswith(("bias", "running_mean")):
            values.normal_(0, 0.3, generator=random)
        elif values.dim() == 1:  # running_var, or a BatchNorm's weight
            values.uniform_(0.3, 3, generator=random)
    return Trained(model, chosen, "")


def along():
    """Directions; nothing varies along the last."""
    mu = np.random.default_rng(0).normal(size=(300, 30)) * np.linspace(2, 0.2, 30)
    result = directions.of_means(mu, "synthetic hands in STB's format (seed 0)", "")
    result.sd[-1] = 0
    return result


@pytest.fixture(scope="module")
def trained():
    return made_up()


@pytest.fixture(scope="module")
def path(tmp_path_factory, trained):
    path = tmp_path_factory.mktemp("page") / "latent.html"
    path.write_text(latent_page.page(trained, along()))
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


def all_differ(views, others):
    return all(view != other for view, other in zip(views, others, strict=True))


def outputs(page):
    return page.locator("#sliders output").all_inner_texts()


def test_the_decoders_are_torchs(page, trained):
    z = torch.randn(4, 30, generator=torch.Generator().manual_seed(1))
    script = "([view, z]) => z.map((point) => [...latent.decode(view, Float32Array.from(point))])"
    other = CrossModalVAE(trained.settings.architecture, 0).eval()  # as at the start: negative control
    for view, modality in VIEWS.items():
        decoded = torch.tensor(page.evaluate(script, [view, z.tolist()]))
        with torch.inference_mode():
            by_torch, by_other = (
                model.decode(modality, z).movedim(1, -1).flatten(1) for model in (trained.model, other)
            )
        assert 0 < (decoded - by_torch).norm() / by_torch.norm() < 2e-3, view
        assert (decoded - by_other).norm() / by_other.norm() > 0.1, view


def test_a_slider_changes_all_three_views_and_one_along_which_nothing_varies_none(page):
    before = seen(page)
    sliders = page.locator("#sliders input")
    sliders.last.press("ArrowRight")
    assert seen(page) == before and outputs(page)[-1] == "+0.1 sd"
    sliders.first.press("End")
    assert all_differ(before, seen(page)) and outputs(page)[0] == "+3.0 sd"
    page.click("#mean")
    assert seen(page) == before and set(outputs(page)) == {"0.0 sd"}


def test_several_moves_within_a_frame_are_decoded_once_and_shown_where_they_end(page):
    script = """async (values) => {
      let pictures = 0;
      const [input, put] = [document.querySelector("#sliders input"), CanvasRenderingContext2D.prototype.putImageData];
      CanvasRenderingContext2D.prototype.putImageData = function (...all) { pictures++; put.apply(this, all); };
      for (const value of values) { input.value = value; input.dispatchEvent(new Event("input")); }
      await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
      CanvasRenderingContext2D.prototype.putImageData = put;
      return pictures;
    }"""
    assert page.evaluate(script, [2]) == 1
    end = seen(page)
    page.click("#mean")
    assert seen(page) != end
    assert page.evaluate(script, [-3, -1, 0, 2]) == 1 and seen(page) == end


def test_random_hands_are_the_same_ones_each_time(page, browser, path):  # noqa: F811
    drawn = []
    for _ in range(2):
        page.click("#random")
        drawn.append((seen(page), outputs(page)))
    assert all_differ(drawn[0][0], drawn[1][0]) and drawn[0][1] != drawn[1][1]
    with opened(browser, path, color_scheme="light") as (again, _):
        again.click("#random")
        assert (seen(again), outputs(again)) == drawn[0]


def test_a_walk_plays_until_something_else_is_chosen(page):
    page.click("#walk")
    start = seen(page)
    page.wait_for_timeout(300)
    assert all_differ(start, seen(page)) and page.locator("#walk").get_attribute("aria-pressed") == "true"
    page.click("#mean")
    stopped = seen(page)
    page.wait_for_timeout(100)
    assert seen(page) == stopped and page.locator("#walk").get_attribute("aria-pressed") == "false"


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
    over = seen(page)
    assert over[:2] == views[0][:2] and over[2] != views[0][2]


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
