import io
import itertools

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from handvae.base.joints import BONES21, HAND21, MIDDLE_MCP, SKELETONS
from handvae.report import figures


def open_hand(seed=0):
    """A rough hand (21, 3) in mm: the root at the origin, fingers up (y down), some noise."""
    joints_mm = np.zeros((21, 3))
    for finger in range(5):
        angle = np.deg2rad(-60 + 27 * finger)
        for joint in range(4):
            joints_mm[1 + 4 * finger + joint] = (40 + 22 * joint) * np.array(
                [np.sin(angle), -np.cos(angle), 0.2 * joint]
            )
    return joints_mm + np.random.default_rng(seed).normal(size=(21, 3)) * 3


def predicted_hand(seed=0, skeleton="HAND21"):
    joints = len(SKELETONS[skeleton])
    true_mm = open_hand(seed) if joints == 21 else np.random.default_rng(seed).normal(size=(joints, 3)) * 40
    pred_mm = true_mm + np.random.default_rng(seed + 100).normal(size=(joints, 3)) * 6
    image_u8 = np.random.default_rng(seed).integers(0, 255, (96, 96, 3), dtype=np.uint8)
    return figures.PredictedHand(
        image_u8, true_mm[:, :2] * 0.4 + 60, true_mm, pred_mm, 12.3 + seed, SKELETONS[skeleton]
    )


CURVES = [
    figures.Curve("ours", np.linspace(0, 80, 9), np.linspace(0, 0.9, 9), figures.RED),
    figures.Curve("mean pose", np.linspace(0, 50, 6), np.linspace(0, 0.4, 6), figures.GREY, ":"),
]


def pck_figure():
    return figures.pck_figure(CURVES, "Figure 4a", "Data: synthetic hands; profile small.")


def pcf_figure():
    return figures.pcf_figure(CURVES, "Figure 5a", "Data: synthetic hands; profile small. " + 20 * "words ")


SHARES_PERCENT = np.array([5.0, 10, 20, 50, 100])


def labels_figure(deviations_mm=((np.nan,) * 5, (np.nan,) * 5)):
    series = [
        figures.Series(
            f"variant {number}", SHARES_PERCENT, *(np.arange(30.0, 5, -5) + shifts), np.array(of_series), colour, "o"
        )
        for number, colour, shifts, of_series in (
            (1, figures.BLUE, np.array([[0], [-2], [3]]), deviations_mm[0]),
            (3, figures.RED, np.array([[-1], [-2], [1]]), deviations_mm[1]),
        )
    ]
    return figures.labels_figure(series, ("mean pose", 35.0), "Figure 3", "Data: synthetic hands; profile small.")


def predictions_figure(count=6):
    return figures.predictions_figure(
        {"": [predicted_hand(seed) for seed in range(count)]}, "Figure 10b", "Data: synthetic hands."
    )


def panels_of(figure):
    """The used panels, four a hand, in rows from the left."""
    return [axes for axes in figure.axes if axes.images or axes.collections]


@pytest.mark.parametrize("make", [pck_figure, pcf_figure, labels_figure, predictions_figure])
def test_the_same_figure_gives_the_same_bytes_whatever_the_users_settings(make):
    first = figures.png_bytes(make())
    with matplotlib.rc_context(
        {"font.size": 20, "axes.facecolor": "black", "savefig.bbox": "tight", "savefig.dpi": 30}
    ):
        assert figures.png_bytes(make()) == first
    assert "Software" not in Image.open(io.BytesIO(first)).info


def is_of(name):
    return lambda artist: isinstance(artist, matplotlib.text.Text) and name in artist.get_text().replace(r"\$", "$")


@pytest.mark.parametrize("name", ["_hidden", r"$\frac{$ $x^2$", "a <b>x & y|z_1_2 % `c`"])
def test_names_of_users_are_drawn_as_they_are(name):
    curves = [figures.Curve(name, np.arange(3.0), np.arange(3) / 3, figures.RED)]
    hands = {name: [predicted_hand()]}
    for figure in (figures.pcf_figure(curves, name, name), figures.predictions_figure(hands, name, name)):
        assert len(figures.png_bytes(figure)) > 5000
        assert [text._preprocess_math(text.get_text()) for text in figure.findobj(is_of(name))] == [(name, False)] * 3


@pytest.mark.parametrize("make", [pck_figure, pcf_figure])
def test_curves_hold_the_numbers_they_were_given(make):
    axes = make().axes[0]
    for line, curve in zip(axes.lines, CURVES, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), curve.thresholds_mm)
        np.testing.assert_array_equal(line.get_ydata(), curve.shares)
        assert (line.get_label(), line.get_color(), line.get_linestyle()) == (curve.label, curve.colour, curve.line)
    assert axes.get_xlabel().endswith("(mm)") and axes.get_xlim() == (0, 80) and axes.get_ylim() == (0, 1)


@pytest.mark.parametrize("make", [pck_figure, pcf_figure, labels_figure])
def test_the_legend_covers_no_part_of_the_axes(make):
    figure = make()
    figure.draw_without_rendering()
    axes = figure.axes[0]
    assert axes.get_legend().get_window_extent().y0 >= axes.get_window_extent().y1 - 1


@pytest.mark.parametrize("make", [pck_figure, pcf_figure, labels_figure, predictions_figure])
def test_every_figure_says_what_it_was_made_from(make):
    assert make().get_supxlabel().startswith("Data: synthetic hands")


def test_a_long_legend_takes_nothing_from_the_axes():
    few, many = (figures.pck_figure(CURVES[:1] * count, "", "") for count in (3, 9))
    heights = []
    for figure in (few, many):
        figure.draw_without_rendering()
        heights.append(figure.axes[0].get_window_extent().height)
    assert heights[1] == pytest.approx(heights[0], rel=0.03)


def test_figure_3_shows_intervals_at_the_shares_of_labels_on_a_logarithmic_axis():
    axes = labels_figure().axes[0]
    assert axes.get_xscale() == "log" and axes.get_ylim()[0] == 0
    assert [text.get_text() for text in axes.get_xticklabels()] == ["5", "10", "20", "50", "100"]
    assert "%" in axes.get_xlabel() and axes.get_ylabel().endswith("(mm)")
    places = []
    for container, ends in zip(axes.containers, ([-2, 3], [-1, 2]), strict=True):
        line, _, (bars,) = container
        places.append(line.get_xdata())
        np.testing.assert_allclose(np.array(bars.get_segments())[:, :, 1] - line.get_ydata()[:, None], [ends] * 5)
    np.testing.assert_allclose(places, [SHARES_PERCENT] * 2, rtol=0.05)
    assert (places[0] < places[1]).all()  # a hair apart
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["variant 1", "variant 3", "mean pose"]


def test_the_shares_of_labels_on_figure_3s_axis_do_not_touch():
    figure = labels_figure()
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].get_xticklabels()]
    assert all(left.x1 + 5 < right.x0 for left, right in itertools.pairwise(boxes))


def test_figure_3_shows_the_spread_over_seeds_where_there_are_several():
    deviations_mm = (0.5, np.nan, 0.7, np.nan, 0.9), (np.nan,) * 5
    axes = labels_figure(deviations_mm).axes[0]
    intervals, spread, other_intervals = axes.containers[1], axes.containers[0], axes.containers[2]
    (bars,), line = spread[2], intervals[0]
    drawn = [segment for segment in bars.get_segments() if len(segment)]
    reach_mm = [(segment[1, 1] - segment[0, 1]) / 2 for segment in drawn]
    np.testing.assert_allclose(reach_mm, [0.5, 0.7, 0.9])
    np.testing.assert_allclose([segment[0, 0] for segment in drawn], line.get_xdata()[[0, 2, 4]])
    np.testing.assert_allclose([segment[:, 1].mean() for segment in drawn], line.get_ydata()[[0, 2, 4]])
    assert len(axes.containers) == 3 and other_intervals.get_label() == "variant 3"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["variant 1", "variant 3", "mean pose"]


def test_truth_is_blue_and_prediction_red():
    truth, prediction = to_rgb(figures.TRUTH), to_rgb(figures.PREDICTION)
    assert truth[2] == max(truth) > truth[0] and prediction[0] == max(prediction) > prediction[2]
    image, true, pred, both = panels_of(predictions_figure(1))
    drawn = [[to_rgb(lines.get_color()[0][:3]) for lines in axes.collections] for axes in (image, true, pred, both)]
    assert drawn == [[], [truth], [prediction], [truth, prediction]]


@pytest.mark.parametrize("name", SKELETONS)
def test_skeletons_are_the_bones_as_the_camera_sees_them(name):
    hand = predicted_hand(skeleton=name)
    _, true, pred, both = panels_of(figures.predictions_figure({"": [hand]}, "", ""))
    for axes, joints_mm in ((true, hand.joints_true_mm), (pred, hand.joints_pred_mm)):
        segments = np.array(axes.collections[0].get_segments())
        np.testing.assert_allclose(segments, joints_mm[np.array(SKELETONS[name].bones)][..., :2])
        left, right = axes.get_xlim()
        bottom, top = axes.get_ylim()
        assert left < right and bottom > top  # x right, y down
    for axes in (true, pred, both):
        points = np.concatenate([segment for lines in axes.collections for segment in lines.get_segments()])
        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        assert (points >= [left, top]).all() and (points <= [right, bottom]).all()
    spans = [np.ptp(axes.get_xlim()) for axes in (true, pred, both)]
    np.testing.assert_allclose(spans, spans[0])  # one scale: a too short prediction looks too short


def test_each_hand_keeps_its_image_its_skeletons_and_its_error_together():
    hands = [predicted_hand(seed) for seed in range(5)]  # odd: the last place of a row stays empty
    panels = panels_of(figures.predictions_figure({"": hands}, "", ""))
    assert len(panels) == 4 * 5
    for number in range(0, 20, 4):
        shown = panels[number].images[0].get_array()
        hand = next(hand for hand in hands if np.array_equal(hand.image_u8, shown))
        segments = np.array(panels[number + 1].collections[0].get_segments())
        np.testing.assert_allclose(segments, hand.joints_true_mm[np.array(BONES21)][..., :2])
        assert panels[number + 2].texts[0].get_text() == f"{hand.error_mm:.1f} mm"


def test_the_image_is_shown_round_the_hand_and_never_beyond_its_border():
    hand = predicted_hand()
    image = panels_of(figures.predictions_figure({"": [hand]}, "", ""))[0]
    (left, right), (bottom, top) = image.get_xlim(), image.get_ylim()
    inside = (hand.uv_px >= -0.5) & (hand.uv_px <= 95.5)
    assert inside.all()
    assert (hand.uv_px >= [left, top]).all() and (hand.uv_px <= [right, bottom]).all()
    assert -0.5 <= left < hand.uv_px[MIDDLE_MCP, 0] < right <= 95.5 and -0.5 <= top < bottom <= 95.5


def test_a_view_turned_by_a_right_angle_shows_depth_and_keeps_height():
    joints_mm = open_hand()
    np.testing.assert_allclose(figures.seen_from(joints_mm, 0), joints_mm[:, :2])
    np.testing.assert_allclose(figures.seen_from(joints_mm, 90), joints_mm[:, [2, 1]], atol=1e-12)
    assert len(joints_mm) == len(HAND21)


def test_a_long_caption_is_wrapped_and_stays_inside_the_figure():
    figure = pcf_figure()
    figure.draw_without_rendering()
    extent = figure._supxlabel.get_window_extent()
    assert extent.x1 <= figure.bbox.x1 and extent.y0 >= 0
    assert extent.y1 <= figure.axes[0].xaxis.label.get_window_extent().y0


def test_each_set_begins_a_row_that_bears_its_name():
    sets = {"ICVL": [predicted_hand(seed, "ICVL16") for seed in range(3)], "NYU": [predicted_hand(5, "NYU36")]}
    figure = figures.predictions_figure(sets, "", "")
    assert [[text.get_text() for text in axes.texts] for axes in figure.axes[::9]] == [["ICVL"], ["ICVL"], ["NYU"]]
    bones = [len(axes.collections[0].get_segments()) for axes in panels_of(figure) if axes.collections]
    assert bones == [15] * 9 + [35] * 3


def test_a_depth_picture_is_dark_near_and_white_where_nothing_is():
    depth = np.full((4, 4), 1, np.float16)
    assert (figures.depth_picture(depth) == 255).all()  # an empty cube
    depth[1, 1:3] = -0.2, 0.3
    picture = figures.depth_picture(depth)
    assert picture.shape == (4, 4, 3) and picture.dtype == np.uint8
    assert picture[1, 1, 0] < picture[1, 2, 0] < 220 and (picture[0] == 255).all()
    depth[1, 2] = -0.2  # a flat hand
    assert figures.depth_picture(depth)[1, 2, 0] < 100
