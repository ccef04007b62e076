"""The viewer's data from fabricated predictions and preprocessed sets: which hands and walks, and what of them."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from handvae.base.errors import InputError
from handvae.base.joints import BONES21
from handvae.preprocessing import store
from handvae.report import viewer
from handvae.report.predictions import read_arrays
from tests.fabricated import CONTEXT_PX, CROP_PX, DEPTH, FRAMES, WALKED, latent_columns, predicted, write_processed

CROSS = latent_columns("cross")


def small_grid(folder):
    """A model from RGB, one from depth and, with its walks, a cross-trained one; their preprocessed sets."""
    results = [predicted(folder, "rhd", "rgb", 20, hidden=False), predicted(folder, "icvl", "depth", 10)]
    results.append(predicted(folder, "rhd", "rgb", 25, variant="cross", hidden=False, latent=[CROSS]))
    return results, write_processed(folder / "processed", "rhd", "icvl")


@pytest.fixture(scope="module")
def processed(tmp_path_factory):
    return write_processed(tmp_path_factory.mktemp("processed"), "rhd", "stb", *DEPTH)


def picture(uri):
    head, data = uri.split(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def stored(processed, dataset, key, frame):
    return store.read(processed / f"{dataset}.h5", ["test"], [key])[key][frame]


def test_the_best_model_from_rgb_comes_first_then_those_of_the_depth_sets_then_2d(tmp_path, processed):
    results = [
        *(predicted(tmp_path, dataset, "depth", 10) for dataset in ("nyu", "icvl")),
        *(predicted(tmp_path, "msra", "depth", 10, subject=subject) for subject in ("P0", "P1")),
        *(predicted(tmp_path, "rhd", "rgb", error_mm, variant=variant) for error_mm, variant in ((30, 1), (20, 2))),
        predicted(tmp_path, "rhd", "rgb", 1, variant="cross", latent=[CROSS]),
        predicted(tmp_path, "rhd", "joints_2d", 12, variant=4),
    ]
    models = viewer.viewer_data(results, processed)["predictions"]
    assert [(model["name"], len(model["hands"][0]["truth_mm"])) for model in models] == [
        ("RGB->3D RHD, variant 2", 21),
        ("depth->3D ICVL, ResNet-18, variant 1", 16),
        ("depth->3D NYU, ResNet-18, variant 1", 36),
        ("depth->3D MSRA, ResNet-18, variant 1, 2 of 9 subjects", 21),
        ("2D->3D RHD, variant 4", 21),
    ]
    assert models[0]["note"] == "Mean error on its test images: 20.0 mm; the mean pose has 41.2 mm."
    assert models[4]["note"].endswith("This model sees the 2D joints alone, not the picture.")
    assert all(len(model["hands"]) == 9 and "synthetic" in model["data"] for model in models)
    assert models[0]["bones"] == BONES21 and models[0]["palm"] == (0, 5, 9, 13, 17)
    assert max(map(max, models[2]["bones"])) == 35


def test_hands_are_those_at_evenly_spaced_ranks_of_their_own_error(tmp_path, processed):
    result = predicted(tmp_path, "rhd", "rgb", 20)
    [model] = viewer.viewer_data([result], processed)["predictions"]
    pred_mm, true_mm, visible = read_arrays(result, "joints_pred_mm", "joints_true_mm", "visible")
    frames = [frame for frame in range(FRAMES) if frame != 2]  # of which nothing is visible
    errors_mm = [np.linalg.norm((pred_mm - true_mm)[frame][visible[frame]], axis=1).mean() for frame in frames]
    order = np.argsort(errors_mm)
    picked = [order[round(rank)] for rank in np.linspace(0.1 * 19, 0.9 * 19, 9)]
    assert model["joints"] == "visible"
    for index, hand in zip(picked, model["hands"], strict=True):
        frame = frames[index]
        assert hand["error_mm"] == pytest.approx(errors_mm[index], abs=0.051)
        np.testing.assert_allclose(hand["truth_mm"], true_mm[frame], atol=0.051)
        np.testing.assert_allclose(hand["prediction_mm"], pred_mm[frame], atol=0.051)
        image_u8, uv_px = (stored(processed, "rhd", key, frame) for key in ("image_u8", "uv_px"))
        np.testing.assert_array_equal(picture(hand["image"]), viewer.hand_picture(image_u8, uv_px))


def test_a_walks_steps_and_ends_are_those_of_the_file(tmp_path):
    results, processed = small_grid(tmp_path)
    walks = viewer.viewer_data(results, processed)["walks"]
    assert len(walks["walks"]) == len(WALKED) and walks["bones"] == BONES21
    keys = ("row", "rgb_u8", "joints_mm", "uv_px", "projected_px")
    of_file = read_arrays(results[-1], *(f"latent/walk_{key}" for key in keys))
    margin = (CONTEXT_PX - CROP_PX) // 2
    for walk, rows, *decoded in zip(walks["walks"], *of_file, strict=True):
        for end, frame in zip(("from", "to"), rows, strict=True):
            crop = stored(processed, "rhd", "image_u8", frame)[margin:-margin, margin:-margin]
            np.testing.assert_array_equal(picture(walk[end]), crop)
        for step, image_u8, joints_mm, *points_px in zip(walk["steps"], *decoded, strict=True):
            np.testing.assert_array_equal(picture(step["image"]), image_u8)
            np.testing.assert_allclose(step["joints_mm"], joints_mm, atol=0.051)
            for key, expected in zip(("uv", "projected"), points_px, strict=True):
                # the first pixel's centre is at 0, its left border at -0.5
                np.testing.assert_allclose(np.array(step[key]) * CROP_PX - 0.5, expected, atol=0.01)


def test_large_pictures_are_reduced_and_joints_stay_on_them():
    image_u8 = np.zeros((256, 256, 3), np.uint8)
    image_u8[64:128, 128:192] = 255
    corner = np.array([[127.5, 63.5]])  # the white square's, between four pixels
    step = viewer._step(image_u8, corner, np.zeros((1, 3)), corner)
    assert picture(step["image"]).shape == (128, 128, 3) and step["uv"] == [[0.5, 0.25]]
    assert picture(step["image"])[32 + 4, 64 + 4].min() > 250 > 5 > picture(step["image"])[32 - 4, 64 - 4].max()


def test_a_hands_picture_is_a_square_that_holds_its_joints_where_the_crop_does():
    uv_px = np.array([[20, 4], [27, 7], [24, 10]])
    image_u8 = np.stack(np.broadcast_arrays(*np.ogrid[:48, :48], 0), axis=-1).astype(np.uint8)  # (v, u) itself
    square = viewer.hand_picture(image_u8, uv_px)
    assert square.shape == (9, 9, 3)  # 1.2 x 7, rounded up
    assert set(map(tuple, uv_px.tolist())) <= {(u, v) for v, u, _ in square.reshape(-1, 3).tolist()}
    assert viewer.hand_picture(image_u8, uv_px + 40).shape == (9, 9, 3)  # beyond the border


def test_a_cross_trained_model_without_walks_or_with_broken_ones_is_refused(tmp_path, processed):
    result = predicted(tmp_path, "rhd", "rgb", 25, variant="cross")
    with pytest.raises(InputError, match=r"rhd-rgb-cross-test-.*\.h5: expected latent/walk_row, .* found none"):
        viewer.viewer_data([result], processed)
    broken = CROSS | {"walk_joints_mm": np.full_like(CROSS["walk_joints_mm"], np.nan)}
    result = predicted(tmp_path, "rhd", "rgb", 25, variant="cross", latent=[broken])
    with pytest.raises(InputError, match="expected finite numbers, found others in latent/walk_joints_mm"):
        viewer.viewer_data([result], processed)
