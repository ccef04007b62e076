"""What all figures have in common, whatever they show."""

import io

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from handvae.report import curves, hands, style
from tests.fabricated import hands_mm, predicted_hand, result

CURVES = [
    curves.Curve("ours", np.linspace(0, 80, 9), np.linspace(0, 0.9, 9), style.VERMILION),
    curves.Curve("mean pose", np.linspace(0, 50, 6), np.linspace(0, 0.4, 6), style.GREY, ":"),
]
MODELS = [[result("a"), result("b")]]


def curves_figure():
    figure = curves.curves_figure(CURVES, ("error threshold (mm)", "PCK"))
    return style.titled(figure, "fig04a", MODELS, set="RHD", rival="")


def predictions_figure():
    figure = hands.predictions_figure({"": [predicted_hand(seed) for seed in range(2)]})
    words = {"set": "RHD", "direction": "RGB->3D", "model": "a", "rule": 20 * "words "}
    return style.titled(figure, "fig10b", MODELS, **words)


@pytest.mark.parametrize("make", [curves_figure, predictions_figure])
def test_the_same_figure_gives_the_same_bytes_whatever_the_users_settings_and_says_what_it_is_made_from(make):
    captioned = make()
    data = "Data: RHD: synthetic hands, 2,000 training images; profile small; 2,728 test frames."
    assert captioned.caption.split("\n")[-1] == data and captioned.alt
    assert captioned.figure.get_suptitle() == captioned.title and captioned.figure.get_supxlabel() == ""
    first = style.png_bytes(captioned.figure)
    users = {"font.size": 20, "axes.facecolor": "black", "savefig.bbox": "tight", "savefig.dpi": 30}
    with matplotlib.rc_context(users):
        assert style.png_bytes(make().figure) == first
    picture = Image.open(io.BytesIO(first))
    assert picture.mode == "P" and not picture.info.keys() & {"Software", "dpi"}


@pytest.mark.parametrize("name", ["_hidden", r"$\frac{$ $x^2$", "a <b>x & y|z_1_2 % `c`"])
def test_names_of_users_are_drawn_as_they_are(name):
    def is_of_name(artist):
        return isinstance(artist, matplotlib.text.Text) and name in artist.get_text().replace(r"\$", "$")

    drawn = [curves.Curve(name, np.arange(3.0), np.arange(3) / 3, style.VERMILION)]
    for figure in (curves.curves_figure(drawn, ("", "")), hands.predictions_figure({name: [predicted_hand()]})):
        captioned = style.titled(figure, "fig10a", MODELS, set="", direction="", model=name, rule=name)
        assert len(style.png_bytes(figure)) > 3000 and captioned.caption.startswith(name)
        drawn_as = [text._preprocess_math(text.get_text()) for text in figure.findobj(is_of_name)]
        assert drawn_as == [(name, False), (captioned.title, False)]


def test_a_view_turned_by_a_right_angle_shows_depth_and_keeps_height():
    joints_mm = hands_mm("rhd")
    np.testing.assert_allclose(style.seen_from(joints_mm, 0), joints_mm[..., :2])
    np.testing.assert_allclose(style.seen_from(joints_mm, 90), joints_mm[..., [2, 1]], atol=1e-12)


@pytest.mark.parametrize(
    ("epe_mean_mm", "word"), [(27.4, ""), (27.6, "Weak: RGB->3D RHD, variant 1"), (39.3, "Collapsed: RGB->3D RHD")]
)
def test_a_caption_says_where_a_model_has_learned_little_or_nothing(epe_mean_mm, word):
    model = result("a", epe_mean_mm=epe_mean_mm)  # the mean pose has 41.25 mm
    caption = style.titled(Figure(), "fig04a", [[model]], set="RHD", rival="").caption
    assert caption.startswith(word or "Data: ")
    assert (f"{100 * epe_mean_mm / 41.25:.0f} % of the mean pose's" in caption) == bool(word)


def test_every_name_of_the_palette_is_a_colour_of_its_own_and_predictions_are_vermilion():
    names = ("BLUE", "VERMILION", "GREEN", "GREY", "BLACK", "ORANGE", "SKY", "PURPLE")
    assert len({getattr(style, name) for name in names}) == len(names)
    assert (style.TRUTH, style.PREDICTION) == ("#0072B2", "#D55E00")
    assert style.PREDICTION not in {colour for colour, _ in curves.OTHERS}
