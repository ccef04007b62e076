"""Figures 10 to 12 from fabricated predictions and preprocessed sets: which hands, what of them, what is refused."""

import re

import h5py
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from handvae.base.errors import InputError
from handvae.base.joints import BONES21, MIDDLE_MCP, SKELETON_OF, SKELETONS
from handvae.evaluation import statistics
from handvae.report import hands, style
from handvae.report.predictions import read_arrays
from tests.fabricated import DEPTH, FRAMES, hands_mm, predicted, write_processed
from tests.test_style import predicted_hand


@pytest.fixture
def processed(tmp_path):
    return write_processed(tmp_path / "processed", "rhd", "stb", *DEPTH)


@pytest.fixture
def grid(tmp_path):
    return [
        *(predicted(tmp_path, "rhd", "rgb", 30 - 5 * variant, variant=variant) for variant in (1, 2)),
        predicted(tmp_path, "rhd", "joints_2d", 10, variant=3),
        predicted(tmp_path, "stb", "rgb", 9, variant=3),
        *(predicted(tmp_path, dataset, "depth", error, encoder=encoder) for dataset in ("icvl", "nyu")
          for encoder, error in (("resnet18", 12), ("resnet50", 9))),
        *(predicted(tmp_path, "msra", "depth", 10, subject=subject) for subject in ("P0", "P1")),
    ]  # fmt: skip


def of(grid, dataset, input_="depth"):
    return [result for result in grid if result.task == (dataset, input_)]


def figure_of(name, results, processed):
    """Figure 10 or 12 alone: no latent columns are there for Figure 11."""
    if name == "fig12":
        picked = {model[0].dataset.upper(): hands.picked_hands(model, hands.DEPTH_HANDS, processed)
                  for model in hands.best_of_depth_sets(results)}  # fmt: skip
        return hands.predictions_figure(picked)
    return hands.predictions_figure({"": hands.picked_hands(results[-1:], hands.COLOUR_HANDS, processed)})


def panels_of(figure):
    """The used panels, four a hand, in rows from the left."""
    return [axes for axes in figure.axes if axes.images or axes.collections]


def shown_hands(figure):
    """Picture, true and predicted bones (B, 2, 2), error in mm, of every hand drawn."""
    for place, axes in enumerate(figure.axes):
        if axes.images:
            true, pred = (np.array(figure.axes[place + step].collections[0].get_segments()) for step in (1, 2))
            yield axes.images[0].get_array(), true, pred, float(figure.axes[place + 2].texts[0].get_text().split()[0])


def frame_of(picture, path, key, picture_of=np.asarray):
    """Group and row of the preprocessed set that the picture shows."""
    with h5py.File(path) as file:
        return next(
            (group, frame)
            for group in file
            for frame in range(FRAMES)
            if np.array_equal(picture_of(file[group][key][frame]), picture)
        )


def test_samples_are_picked_by_rank_of_error_and_in_that_order():
    errors_mm = np.random.default_rng(0).permutation(101).astype(float)
    assert errors_mm[statistics.evenly_ranked(errors_mm, 5)].tolist() == [10, 30, 50, 70, 90]
    assert sorted(statistics.evenly_ranked(np.array([3.0, 1, 2]), 6)) == [0, 1, 2]  # fewer frames than places
    assert len(statistics.evenly_ranked(np.zeros(300), 6)) == 6  # ties


@pytest.mark.parametrize(("name", "dataset"), [("fig10a", "stb"), ("fig10b", "rhd")])
def test_figure_10_shows_the_images_that_were_predicted_from(grid, processed, name, dataset):
    drawn = list(shown_hands(figure_of(name, of(grid, dataset, "rgb"), processed)))
    assert len(drawn) == hands.COLOUR_HANDS
    for picture, true, _, error_mm in drawn:
        group, frame = frame_of(picture, processed / f"{dataset}.h5", "image_u8")
        np.testing.assert_allclose(true[0], hands_mm(dataset, group)[frame][[0, 1], :2], atol=1e-3)
        assert error_mm < 100  # hidden joints, 9,999 mm off, do not count


@pytest.mark.parametrize("dataset", DEPTH)
def test_figure_12_shows_hands_about_their_true_centre_without_aligning(grid, processed, dataset):
    skeleton = SKELETONS[SKELETON_OF[dataset]]
    results = {result.test_subject or "test": result for result in of(grid, dataset)}  # the last: ResNet-50, the best
    shown = list(shown_hands(figure_of("fig12", of(grid, dataset), processed)))
    assert len(shown) == hands.DEPTH_HANDS
    for picture, *drawn, error_mm in shown:
        group, frame = frame_of(picture, processed / f"{dataset}.h5", "depth_f16", hands.depth_picture)
        true_mm, pred_mm = (
            joints_mm[frame] for joints_mm in read_arrays(results[group], "joints_true_mm", "joints_pred_mm")
        )
        for bones, joints_mm in zip(drawn, (true_mm, pred_mm), strict=True):
            moved = joints_mm - true_mm.mean(axis=0)
            np.testing.assert_allclose(bones, moved[np.array(skeleton.bones)][..., :2], atol=1e-3)
        errors_mm = np.linalg.norm(pred_mm - true_mm, axis=1)
        assert error_mm == pytest.approx(errors_mm[list(skeleton.evaluated)].mean(), abs=0.051)


@pytest.mark.parametrize(("dataset", "input_"), [("stb", "rgb"), ("icvl", "depth"), ("msra", "depth")])
def test_predictions_of_other_images_are_refused(grid, processed, dataset, input_):
    for result in of(grid, dataset, input_):
        with h5py.File(result.predictions, "r+") as file:
            file["row"][:] = np.roll(np.arange(FRAMES), 1)
    with pytest.raises(InputError, match=rf"expected row \d+ of {re.escape(str(processed / dataset))}\.h5 to be "):
        hands.hands(of(grid, dataset, input_), processed)


def test_what_does_not_fit_is_named(grid, processed):
    first = of(grid, "nyu")[0].predictions
    with h5py.File(of(grid, "nyu")[1].predictions, "r+") as file:
        values = file["joints_pred_mm"][:, :14]
        del file["joints_pred_mm"]
        file["joints_pred_mm"] = values
    with pytest.raises(InputError, match=r"nyu-.*: expected joints \(21, 36, 3\), found \(21, 14, 3\)"):
        hands.hands(of(grid, "nyu"), processed)
    with h5py.File(first, "r+") as file:
        del file["visible"]
    with pytest.raises(InputError, match=r"nyu-.*: expected visible, found none"):
        hands.hands(of(grid, "nyu")[:1], processed)
    (processed / "stb.h5").unlink()
    with pytest.raises(InputError, match=r"stb\.h5: expected the preprocessed dataset"):
        hands.hands(of(grid, "stb", "rgb"), processed)


def test_figure_12_names_its_models_sets_and_the_rule(grid, processed):
    figure = hands.hands([result for result in grid if result.input == "depth"], processed)["fig12"]
    caption = figure.get_supxlabel().split("\n")
    assert caption[0] == (
        "Models: ICVL ResNet-50, variant 1; NYU ResNet-50, variant 1; MSRA ResNet-18, variant 1, 2 of 9 subjects."
    )
    assert caption[1].startswith("Hands at evenly spaced ranks of error, ") and caption[1].endswith(" Near is dark.")
    assert caption[-1].startswith("Data: MSRA: synthetic msra; ") and "42 test frames of 2 subjects" in caption[-1]
    assert [[text.get_text() for text in axes.texts][:1] for axes in figure.axes[::18]] == [["ICVL"], ["NYU"], ["MSRA"]]


def test_truth_is_blue_and_prediction_red():
    truth, prediction = to_rgb(style.TRUTH), to_rgb(style.PREDICTION)
    assert truth[2] == max(truth) > truth[0] and prediction[0] == max(prediction) > prediction[2]
    image, true, pred, both = panels_of(hands.predictions_figure({"": [predicted_hand()]}))
    drawn = [[to_rgb(lines.get_color()[0][:3]) for lines in axes.collections] for axes in (image, true, pred, both)]
    assert drawn == [[], [truth], [prediction], [truth, prediction]]


@pytest.mark.parametrize("name", SKELETONS)
def test_skeletons_are_the_bones_as_the_camera_sees_them(name):
    hand = predicted_hand(skeleton=name)
    _, true, pred, both = panels_of(hands.predictions_figure({"": [hand]}))
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
    picked = [predicted_hand(seed) for seed in range(5)]  # odd: the last place of a row stays empty
    panels = panels_of(hands.predictions_figure({"": picked}))
    assert len(panels) == 4 * 5
    for number in range(0, 20, 4):
        shown = panels[number].images[0].get_array()
        hand = next(hand for hand in picked if np.array_equal(hand.image_u8, shown))
        segments = np.array(panels[number + 1].collections[0].get_segments())
        np.testing.assert_allclose(segments, hand.joints_true_mm[np.array(BONES21)][..., :2])
        assert panels[number + 2].texts[0].get_text() == f"{hand.error_mm:.1f} mm"


def test_the_image_is_shown_round_the_hand_and_never_beyond_its_border():
    hand = predicted_hand()
    image = panels_of(hands.predictions_figure({"": [hand]}))[0]
    (left, right), (bottom, top) = image.get_xlim(), image.get_ylim()
    inside = (hand.uv_px >= -0.5) & (hand.uv_px <= 95.5)
    assert inside.all()
    assert (hand.uv_px >= [left, top]).all() and (hand.uv_px <= [right, bottom]).all()
    assert -0.5 <= left < hand.uv_px[MIDDLE_MCP, 0] < right <= 95.5 and -0.5 <= top < bottom <= 95.5


def test_each_set_begins_a_row_that_bears_its_name():
    sets = {"ICVL": [predicted_hand(seed, "ICVL16") for seed in range(3)], "NYU": [predicted_hand(5, "NYU36")]}
    figure = hands.predictions_figure(sets)
    assert [[text.get_text() for text in axes.texts] for axes in figure.axes[::9]] == [["ICVL"], ["ICVL"], ["NYU"]]
    bones = [len(axes.collections[0].get_segments()) for axes in panels_of(figure) if axes.collections]
    assert bones == [15] * 9 + [35] * 3


def test_a_depth_picture_is_dark_near_and_white_where_nothing_is():
    depth = np.full((4, 4), 1, np.float16)
    assert (hands.depth_picture(depth) == 255).all()  # an empty cube
    depth[1, 1:3] = -0.2, 0.3
    picture = hands.depth_picture(depth)
    assert picture.shape == (4, 4, 3) and picture.dtype == np.uint8
    assert picture[1, 1, 0] < picture[1, 2, 0] < 220 and (picture[0] == 255).all()
    depth[1, 2] = -0.2  # a flat hand
    assert hands.depth_picture(depth)[1, 2, 0] < 100
