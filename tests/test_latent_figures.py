"""Figures of the latent space from fabricated predictions: which are made, what they show, what is refused."""

import re

import h5py
import numpy as np
import pytest
from matplotlib.colors import to_hex

from handvae.base.errors import InputError
from handvae.base.joints import SKELETONS
from handvae.report import hands, latent_claims, latent_figures, style
from handvae.report.predictions import read_arrays
from tests.fabricated import FRAMES, SAMPLED, STEPS, WALKED, hands_mm, latent_columns, predicted, write_processed

BONES = np.array(SKELETONS["HAND21"].bones)
TRUTH, PREDICTION = style.TRUTH.lower(), style.PREDICTION.lower()


def write_all(folder):
    """A grid that fills every figure, and the folder of its preprocessed set."""
    results = [
        predicted(folder, "rhd", "rgb", 7, variant=variant, hidden=False, latent=[latent_columns(variant)])
        for variant in (1, "cross", "separate")
    ]
    return results, write_processed(folder / "processed", "rhd")


def figures_of(results, processed):
    """Figures 1, 6 and 8 to 11, and the coordinates of those by t-SNE."""
    made, tables = latent_figures.latent_figures(results, processed)
    return dict(sorted((made | hands.hands(results, processed)).items())), tables


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    return write_all(tmp_path_factory.mktemp("grid"))


@pytest.fixture(scope="module")
def everything(grid):
    return figures_of(*grid)


@pytest.fixture(scope="module")
def figures(everything):
    return everything[0]


def skeletons(axes):
    """Bones (P, 2, 2) and their colours of every skeleton in a panel."""
    return [(np.array(lines.get_segments()), to_hex(lines.get_color()[0])) for lines in axes.collections]


@pytest.fixture(scope="module")
def again(grid):
    """The figures and coordinates of the cross-trained model alone, made anew."""
    results, processed = grid
    return figures_of(results[1:2], processed)


def test_figures_and_coordinates_are_the_same_twice(everything, again):
    (figures, tables), (figures_again, tables_again) = everything, again
    for name in ("fig01", "fig08a"):
        assert tables_again[name].equals(tables[name])
    for name in ("fig01", "fig06"):  # laid out by hand, and by matplotlib
        assert style.png_bytes(figures_again[name].figure) == style.png_bytes(figures[name].figure)


def test_each_figure_names_its_data_and_one_whose_experiment_is_absent_is_left_out(grid, figures, again):
    assert list(figures) == ["fig01", "fig06", "fig08a", "fig08b", "fig09", "fig10b", "fig11"]
    for name, figure in figures.items():
        assert figure.title.startswith(f"Figure {name[3:].lstrip('0')}: ")
        assert figure.caption.endswith(f"{FRAMES} test frames.")
    results, processed = grid
    assert list(again[0]) == ["fig01", "fig06", "fig08a", "fig09"]
    assert list(figures_of(results[:1], processed)[0]) == ["fig10b", "fig11"]


def test_predictions_without_what_a_figure_shows_are_refused(tmp_path):
    results, processed = write_all(tmp_path)
    with h5py.File(results[1].predictions, "a") as file:
        del file["latent/mu_joints_2d"]
    with pytest.raises(InputError, match=r"cross-.*\.h5: expected latent/mu_joints_2d, found none"):
        figures_of(results, processed)


@pytest.mark.parametrize(("name", "overlaid"), [("fig06", False), ("fig09", True)])
def test_a_walk_is_shown_step_by_step_between_its_two_images(figures, grid, name, overlaid):
    columns, axes_of = latent_columns("cross"), figures[name].figure.axes
    pictures = [axes for axes in axes_of if axes.images]
    poses = [axes for axes in axes_of if axes.collections and not axes.images]
    assert len(pictures) == len(poses) == 2 * (STEPS + 2)
    with h5py.File(grid[1] / "rhd.h5") as file:
        stored, labels = file["test/image_u8"][:, 8:-8, 8:-8], file["test/uv_px"][:] - 8
    true_mm = hands_mm("rhd")
    for walk, (first, last) in enumerate(WALKED):
        panels = slice(walk * (STEPS + 2), (walk + 1) * (STEPS + 2))
        images = [stored[first], *columns["walk_rgb_u8"][walk], stored[last]]
        joints_mm = [true_mm[first], *columns["walk_joints_mm"][walk], true_mm[last]]
        uv_px = [labels[first], *columns["walk_uv_px"][walk], labels[last]]
        colours = [TRUTH, *STEPS * [PREDICTION], TRUTH]
        steps = zip(pictures[panels], poses[panels], images, joints_mm, uv_px, colours, strict=True)
        for picture, pose, image, joints, uv, colour in steps:
            np.testing.assert_array_equal(picture.images[0].get_array(), image)
            ((segments, drawn),) = skeletons(pose)
            assert drawn == colour
            np.testing.assert_allclose(segments, joints[BONES][..., :2], atol=1e-4)
            assert len(picture.collections) == (2 if overlaid else 0)  # the bones and their white edge
            if overlaid:
                segments, drawn = skeletons(picture)[1]
                assert drawn == colour
                np.testing.assert_allclose(segments, uv[BONES], atol=1e-5)
        spans = [np.ptp(pose.get_xlim()) for pose in poses[panels]]
        np.testing.assert_allclose(spans, spans[0])  # one scale: a shrinking hand is seen to shrink


def test_figure_11_shows_the_samples_over_the_truth(figures, grid):
    panels = [axes for axes in figures["fig11"].figure.axes if axes.collections]
    assert len(panels) == 2 * 3  # from the front and turned
    samples_mm = latent_columns(1)["posterior_joints_mm"]
    predicted_mm, true_mm = read_arrays(grid[0][0], "joints_pred_mm", "joints_true_mm")
    for number, row in enumerate(SAMPLED):
        (truth, blue), (samples, red) = skeletons(panels[2 * number])
        assert (blue, red) == (TRUTH, PREDICTION)
        np.testing.assert_allclose(truth, true_mm[row][BONES][..., :2])
        np.testing.assert_allclose(samples, samples_mm[number][:, BONES][..., :2].reshape(-1, 2, 2))
        error_mm = np.linalg.norm(predicted_mm[row] - true_mm[row], axis=1).mean()
        assert panels[2 * number].get_title() == f"spread 1.5 mm, error {error_mm:.1f} mm"
    assert grid[0][0].experiment in figures["fig11"].title


def test_figure_1_decodes_hands_from_the_encodings_it_leads_to(everything):
    captioned, table = (by_name["fig01"] for by_name in everything)
    figure = captioned.figure
    thumbnails = [axes for axes in figure.axes if len(axes.collections) == 1]
    assert len(thumbnails) == len(figure.artists) == 16
    decoded = np.concatenate([latent_columns("cross")[f"decoded_mm_{name}"] for name in ("rgb", "joints_3d")])
    for axes, line in zip(thumbnails, figure.artists, strict=True):
        (point,) = np.flatnonzero((table[["x", "y"]].to_numpy() == line.xy1).all(axis=1))
        ((segments, colour),) = skeletons(axes)
        np.testing.assert_allclose(segments, decoded[point][BONES][..., :2])
        assert colour == (style.BLUE if point < FRAMES else style.GREEN).lower()
        assert (decoded[point][:, :2] == line.xy2).all(axis=1).any()  # the line ends at one of its joints


def test_figure_8_has_every_sample_of_every_modality_and_prints_the_purity_of_the_claims(everything, grid):
    (figures, tables), columns = everything, ["modality", "row", "name", "x", "y"]
    assert list(tables["fig08a"]) == columns and len(tables["fig08a"]) == 3 * FRAMES
    assert tables["fig08a"].loc[FRAMES + 3, columns[:3]].tolist() == ["joints_2d", 3, "test/00003"]
    (axes,) = figures["fig08a"].figure.axes
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == [f"{name} ({FRAMES})" for name in ("RGB images", "2D joints", "3D joints")]
    assert sum(len(points.get_offsets()) for points in axes.collections) == 3 * FRAMES
    printed = {
        name: int(re.search(r"10-NN purity: (-?\d+), where 0 means mixed", figures[name].caption)[1])
        for name in ("fig01", "fig08a", "fig08b")
    }
    claimed = next(row for row in latent_claims.mixing_rows(grid[0]) if row["statistic"].startswith("posterior means"))
    assert printed["fig08b"] == 100 and printed["fig08a"] == round(claimed["value"]) < 50 and printed["fig01"] < 50


def test_points_are_spread_out_from_the_middle_by_hand():
    line = np.array([[0.0, 0], [1, 0], [4, 0], [9, 0], [10, 0]])
    assert latent_figures.spread_out(line, 3).tolist() == [2, 4, 0]  # 4 is nearest to the mean 4.8; 10; 0
    assert latent_figures.spread_out(line, 9).tolist() == [2, 4, 0, 1, 3]
    assert sorted(latent_figures.spread_out(np.zeros((4, 2)), 4)) == [0, 1, 2, 3]
