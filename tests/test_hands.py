"""Figures 10 to 12 from fabricated predictions and preprocessed sets: which hands, what of them, what is refused."""

import re

import h5py
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from handvae.base.errors import InputError
from handvae.base.joints import BONES21, SKELETON_OF, SKELETONS
from handvae.report import hands, style
from handvae.report.predictions import read_arrays
from tests.fabricated import DEPTH, FRAMES, hands_mm, predicted, predicted_hand, write_processed


@pytest.fixture(scope="module")
def processed(tmp_path_factory):
    return write_processed(tmp_path_factory.mktemp("processed"), "rhd", "stb", *DEPTH)


def depth_models(folder):
    models = [predicted(folder, dataset, "depth", 12) for dataset in ("icvl", "nyu")]
    models += [predicted(folder, dataset, "depth", 9, encoder="resnet50") for dataset in ("icvl", "nyu")]
    return models + [predicted(folder, "msra", "depth", 10, subject=subject) for subject in ("P0", "P1")]


@pytest.fixture(scope="module")
def depth(tmp_path_factory, processed):
    """The depth models and Figure 12 of them."""
    models = depth_models(tmp_path_factory.mktemp("depth"))
    return models, hands.hands(models, processed)["fig12"]


def panels_of(figure):
    """The used panels, four a hand, in rows from the left."""
    return [axes for axes in figure.figure.axes if axes.images or axes.collections]


def segments(axes):
    return np.array(axes.collections[0].get_segments())


def drawn_hands(figure):
    """Picture, true and predicted bones (B, 2, 2), error in mm, of every hand drawn."""
    panels = panels_of(figure)
    for image, true, pred in zip(panels[::4], panels[1::4], panels[2::4], strict=True):
        yield image.images[0].get_array(), segments(true), segments(pred), float(pred.texts[0].get_text().split()[0])


def frame_of(picture, path, key, picture_of=np.asarray):
    """Group and row of the preprocessed set that the picture shows; none where it is of another set."""
    with h5py.File(path) as file:
        for group in file:
            for frame in range(FRAMES):
                if np.array_equal(picture_of(file[group][key][frame]), picture):
                    return group, frame
    return None


def test_figure_10_shows_the_images_that_were_predicted_from(tmp_path, processed):
    models = [predicted(tmp_path, "rhd", "joints_2d", 10 + variant, variant=variant) for variant in (1, 2)]
    drawn = list(drawn_hands(hands.hands(models, processed)["fig10b"]))
    assert len(drawn) == hands.COLOUR_HANDS
    for picture, true, _, error_mm in drawn:
        group, frame = frame_of(picture, processed / "rhd.h5", "image_u8")
        np.testing.assert_allclose(true[0], hands_mm("rhd", group)[frame][[0, 1], :2], atol=1e-3)
        assert error_mm < 100  # hidden joints, 9,999 mm off, do not count


def test_figure_12_shows_hands_about_their_true_centre_without_aligning(depth, processed):
    models, figure = depth
    every_hand, best = list(drawn_hands(figure)), {"icvl": models[2:3], "nyu": models[3:4], "msra": models[4:]}
    assert len(every_hand) == 3 * hands.DEPTH_HANDS
    for number, (picture, *drawn, error_mm) in enumerate(every_hand):
        dataset = DEPTH[number // hands.DEPTH_HANDS]
        skeleton = SKELETONS[SKELETON_OF[dataset]]
        group, frame = frame_of(picture, processed / f"{dataset}.h5", "depth_f16", hands.depth_picture)
        (model,) = (model for model in best[dataset] if (model.test_subject or "test") == group)
        true_mm, pred_mm = (poses[frame] for poses in read_arrays(model, "joints_true_mm", "joints_pred_mm"))
        for bones, joints_mm in zip(drawn, (true_mm, pred_mm), strict=True):
            moved = joints_mm - true_mm.mean(axis=0)
            np.testing.assert_allclose(bones, moved[np.array(skeleton.bones)][..., :2], atol=1e-3)
        errors_mm = np.linalg.norm(pred_mm - true_mm, axis=1)
        assert error_mm == pytest.approx(errors_mm[list(skeleton.evaluated)].mean(), abs=0.051)


def test_figure_12_names_its_models_sets_and_the_rule(depth):
    _, figure = depth
    words, *_, data = figure.caption.split("\n")
    best = "ICVL ResNet-50, variant 1; NYU ResNet-50, variant 1; MSRA ResNet-18, variant 1, 2 of 9 subjects"
    assert words.startswith(f"Models: {best}. The hands stand at evenly spaced ranks of error, ")
    assert words.endswith(" Near is dark.")
    assert data.startswith("Data: MSRA: synthetic hands, ") and "42 test frames of 2 subjects" in data
    assert [axes.texts[0].get_text() for axes in figure.figure.axes[::18]] == ["ICVL", "NYU", "MSRA"]


def test_predictions_of_other_images_are_refused(tmp_path, processed):
    result = predicted(tmp_path, "msra", "depth", 10, subject="P0")
    with h5py.File(result.predictions, "r+") as file:
        file["row"][:] = np.roll(np.arange(FRAMES), 1)
    with pytest.raises(InputError, match=rf"expected row \d+ of {re.escape(str(processed / 'msra.h5'))} to be P0/"):
        hands.hands([result], processed)


def test_what_does_not_fit_is_named(tmp_path, processed):
    result = predicted(tmp_path, "nyu", "depth", 12)
    with pytest.raises(InputError, match=r"nyu\.h5: expected the preprocessed dataset"):
        hands.hands([result], tmp_path)
    with h5py.File(result.predictions, "r+") as file:
        fewer = file["joints_pred_mm"][:, :14]
        del file["joints_pred_mm"]
        file["joints_pred_mm"] = fewer
    with pytest.raises(InputError, match=r"nyu-.*: expected joints \(21, 36, 3\), found \(21, 14, 3\)"):
        hands.hands([result], processed)


@pytest.mark.parametrize("dataset", ["rhd", "nyu"])
def test_skeletons_are_the_bones_as_the_camera_sees_them_truth_blue_and_prediction_red(dataset):
    hand = predicted_hand(dataset=dataset)
    image, true, pred, both = panels_of(hands.predictions_figure({"": [hand]}))
    blue, red = to_rgb(style.BLUE), to_rgb(style.VERMILION)
    drawn = [[to_rgb(lines.get_color()[0][:3]) for lines in axes.collections] for axes in (image, true, pred, both)]
    assert drawn == [[], [blue], [red], [blue, red]]
    for axes, joints_mm in ((true, hand.joints_true_mm), (pred, hand.joints_pred_mm)):
        np.testing.assert_allclose(segments(axes), joints_mm[np.array(hand.skeleton.bones)][..., :2])
    for axes in (true, pred, both):
        points = np.concatenate([segment for lines in axes.collections for segment in lines.get_segments()])
        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        assert left < right and bottom > top  # x right, y down
        assert (points >= [left, top]).all() and (points <= [right, bottom]).all()
    spans = [np.ptp(axes.get_xlim()) for axes in (true, pred, both)]
    np.testing.assert_allclose(spans, spans[0])  # one scale: a too short prediction looks too short


def test_each_hand_keeps_its_image_its_skeletons_and_its_error_together():
    sets = {"ICVL": [predicted_hand(seed) for seed in range(3)], "NYU": [predicted_hand(5)]}  # an odd number
    figure = hands.predictions_figure(sets)
    assert [[text.get_text() for text in axes.texts] for axes in figure.axes[::9]] == [["ICVL"], ["ICVL"], ["NYU"]]
    picked = [hand for of_set in sets.values() for hand in of_set]
    for (picture, true, _, error_mm), hand in zip(drawn_hands(figure), picked, strict=True):
        np.testing.assert_array_equal(picture, hand.image_u8)
        np.testing.assert_allclose(true, hand.joints_true_mm[np.array(BONES21)][..., :2])
        assert error_mm == pytest.approx(hand.error_mm, abs=0.051)
    (left, right), (bottom, top) = panels_of(figure)[0].get_xlim(), panels_of(figure)[0].get_ylim()
    assert (picked[0].uv_px >= [left, top]).all() and (picked[0].uv_px <= [right, bottom]).all()
    assert -0.5 <= left < right <= 95.5 and -0.5 <= top < bottom <= 95.5  # round the hand, within the picture


def test_a_depth_picture_is_dark_near_and_white_where_nothing_is():
    depth = np.full((4, 4), 1, np.float16)
    assert (hands.depth_picture(depth) == 255).all()  # an empty cube
    depth[1, 1:3] = -0.2, 0.3
    picture = hands.depth_picture(depth)
    assert picture.shape == (4, 4, 3) and picture.dtype == np.uint8
    assert picture[1, 1, 0] < picture[1, 2, 0] < 220 and (picture[0] == 255).all()
    depth[1, 2] = -0.2  # a flat hand
    assert hands.depth_picture(depth)[1, 2, 0] < 100
