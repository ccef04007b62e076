"""What all figures have in common, whatever they show."""

import io

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from handvae.base.joints import SKELETONS
from handvae.report import curves, hands, style
from tests.test_tables import result


def open_hand(seed=0):
    """A rough hand (21, 3) in mm: the root at the origin, fingers up (y down), some noise."""
    joints_mm = np.zeros((21, 3))
    for finger in range(5):
        angle = np.deg2rad(-60 + 27 * finger)
        for joint in range(4):
            along = np.array([np.sin(angle), -np.cos(angle), 0.2 * joint])
            joints_mm[1 + 4 * finger + joint] = (40 + 22 * joint) * along
    return joints_mm + np.random.default_rng(seed).normal(size=(21, 3)) * 3


def predicted_hand(seed=0, skeleton="HAND21"):
    joints = len(SKELETONS[skeleton])
    true_mm = open_hand(seed) if joints == 21 else np.random.default_rng(seed).normal(size=(joints, 3)) * 40
    pred_mm = true_mm + np.random.default_rng(seed + 100).normal(size=(joints, 3)) * 6
    image_u8 = np.random.default_rng(seed).integers(0, 255, (96, 96, 3), dtype=np.uint8)
    return hands.PredictedHand(image_u8, true_mm[:, :2] * 0.4 + 60, true_mm, pred_mm, 12.3 + seed, SKELETONS[skeleton])


CURVES = [
    curves.Curve("ours", np.linspace(0, 80, 9), np.linspace(0, 0.9, 9), style.RED),
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
    with matplotlib.rc_context(
        {"font.size": 20, "axes.facecolor": "black", "savefig.bbox": "tight", "savefig.dpi": 30}
    ):
        assert style.png_bytes(make().figure) == first
    picture = Image.open(io.BytesIO(first))
    assert picture.mode == "P" and not picture.info.keys() & {"Software", "dpi"}


@pytest.mark.parametrize("name", ["_hidden", r"$\frac{$ $x^2$", "a <b>x & y|z_1_2 % `c`"])
def test_names_of_users_are_drawn_as_they_are(name):
    def is_of_name(artist):
        return isinstance(artist, matplotlib.text.Text) and name in artist.get_text().replace(r"\$", "$")

    drawn = [curves.Curve(name, np.arange(3.0), np.arange(3) / 3, style.RED)]
    for figure in (curves.curves_figure(drawn, ("", "")), hands.predictions_figure({name: [predicted_hand()]})):
        captioned = style.titled(figure, "fig10a", MODELS, set="", direction="", model=name, rule=name)
        assert len(style.png_bytes(figure)) > 3000 and captioned.caption.startswith(name)
        assert [text._preprocess_math(text.get_text()) for text in figure.findobj(is_of_name)] == [
            (name, False),
            (captioned.title, False),
        ]


def test_a_view_turned_by_a_right_angle_shows_depth_and_keeps_height():
    joints_mm = open_hand()
    np.testing.assert_allclose(style.seen_from(joints_mm, 0), joints_mm[:, :2])
    np.testing.assert_allclose(style.seen_from(joints_mm, 90), joints_mm[:, [2, 1]], atol=1e-12)


@pytest.mark.parametrize(
    ("epe_mean_mm", "word"),
    [
        (27.4, None),
        (27.6, "Weak: RGB->3D RHD, variant 1 has learned little"),
        (39.3, "Collapsed: RGB->3D RHD, variant 1 has learned nothing"),
    ],
)
def test_a_caption_says_where_a_model_has_learned_little_or_nothing(epe_mean_mm, word):
    model = result("a", epe_mean_mm=epe_mean_mm)  # the mean pose has 41.25 mm
    caption = style.titled(Figure(), "fig04a", [[model]], set="RHD", rival="").caption
    assert (word in caption) if word else caption.startswith("Data: ")
    assert (f"{100 * epe_mean_mm / 41.25:.0f} % of the mean pose's" in caption) == bool(word)


def test_a_picture_of_few_colours_looks_like_the_drawing():
    figure = predictions_figure().figure
    drawn = io.BytesIO()
    reduced = np.asarray(Image.open(io.BytesIO(style.png_bytes(figure))).convert("RGB"), float)
    figure.savefig(drawn, format="png", dpi=style.PIXELS_PER_INCH)
    whole = np.asarray(Image.open(drawn).convert("RGB"), float)
    assert reduced.shape == whole.shape and np.abs(reduced - whole).mean() < 3
