"""Figures of the latent space from fabricated predictions: which are made, what they show, what is refused."""

import re

import h5py
import numpy as np
import pytest
from matplotlib.colors import to_hex

from handvae.base.errors import InputError
from handvae.base.joints import SKELETONS
from handvae.preprocessing import store
from handvae.report import hands, latent_claims, latent_figures, style
from tests.fabricated import write_predictions
from tests.test_tables import result

FRAMES, CROP_PX, CONTEXT_PX, STEPS, SAMPLES = 16, 16, 24, 9, 20
BONES = np.array(SKELETONS["HAND21"].bones)
NAMES = [f"evaluation/{frame:05d}" for frame in range(FRAMES)]
TRUTH, PREDICTION = style.TRUTH.lower(), style.PREDICTION.lower()


def random(*words):
    return np.random.default_rng(list("".join(map(str, words)).encode()))


def hands_mm(count=FRAMES, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 21, 3)) * 40


def latent_of(variant):
    """Latent columns as the evaluate stage writes them: encodings of one cloud, or of clouds that lie apart."""
    cloud, columns = random("cloud").normal(size=(FRAMES, 30)), {}
    for number, modality in enumerate(("rgb", "joints_2d", "joints_3d")):
        apart = 20.0 * number if variant == "separate" else 0.0
        columns[f"mu_{modality}"] = (cloud + random(modality).normal(size=cloud.shape) + apart).astype(np.float32)
        columns[f"log_var_{modality}"] = np.full(cloud.shape, -3, np.float32)
        columns[f"decoded_mm_{modality}"] = hands_mm(seed=number + 1)
    columns["posterior_row"] = np.array([2, 5, 9])
    columns["posterior_joints_mm"] = hands_mm()[[2, 5, 9], None] + random("samples").normal(size=(3, SAMPLES, 21, 3))
    columns["posterior_spread_mm"] = np.full((FRAMES, 21), 1.5)
    if variant == "cross":
        columns["walk_row"] = np.array([[0, 4], [3, 1]])
        columns["walk_rgb_u8"] = random("walk").integers(0, 256, (2, STEPS, CROP_PX, CROP_PX, 3), dtype=np.uint8)
        columns["walk_uv_px"] = random("uv").uniform(0, CROP_PX, (2, STEPS, 21, 2))
        columns["walk_joints_mm"] = random("walk 3D").normal(size=(2, STEPS, 21, 3)) * 40
    return columns


def write(path, columns, further_seeds=()):
    """Predictions with their latent columns; `further_seeds`: those of further models, which predict the same."""
    true_mm, visible = hands_mm(), np.ones((FRAMES, 21), bool)
    visible[2, 1:5] = False
    seeds_mm = [true_mm + [0, 0, 7.0] * visible[..., None]] * (1 + len(further_seeds))
    others = {"visible": visible, "name": NAMES}
    if len(columns["mu_rgb"]) != FRAMES:  # encodings of other samples, of which no figure is made
        others["block"] = np.arange(len(columns["mu_rgb"]))
    return write_predictions(path, seeds_mm, true_mm, None, [columns, *further_seeds], **others)


def write_all(folder):
    """A grid that fills every figure, and the folder of its preprocessed set."""
    images = random("images").integers(0, 256, (FRAMES, CONTEXT_PX, CONTEXT_PX, 3), dtype=np.uint8)
    uv_px = random("labels").uniform(4, 20, (FRAMES, 21, 2))
    same = {"visible": np.ones(21, bool), "scale_bone_mm": 44, "camera": np.eye(3), "side": 0, "trainable": True}
    same |= {"subject": "", "sequence": "", "frame": 0}
    rows = (
        store.ColourHand(image_u8=image, joints_mm=joints_mm, uv_px=uv, name=name, moment=name, **same)
        for image, joints_mm, uv, name in zip(images, hands_mm(), uv_px, NAMES, strict=True)
    )
    store.write(folder / "rhd.h5", {"test": rows}, {"crop_px": CROP_PX, "context_px": CONTEXT_PX})
    return [
        result(f"rhd-{name}", "rgb", variant, 30.0, predictions=write(folder / f"{name}.h5", latent_of(variant)))
        for name, variant in (("rgb-v1", 1), ("cross", "cross"), ("separate", "separate"))
    ], folder


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
        assert figure.caption.endswith("2,728 test frames.")
    results, processed = grid
    assert list(again[0]) == ["fig01", "fig06", "fig08a", "fig09"]
    assert list(figures_of(results[:1], processed)[0]) == ["fig10b", "fig11"]


def test_predictions_without_what_a_figure_shows_and_images_of_another_set_are_refused(tmp_path):
    results, processed = write_all(tmp_path)
    with h5py.File(processed / "rhd.h5", "a") as file:
        file["test/name"][0] = "another"
    with pytest.raises(InputError, match=r"expected row 0 of .* to be evaluation/00000, found another"):
        figures_of(results[1:2], processed)
    with h5py.File(results[1].predictions, "a") as file:
        del file["latent/mu_joints_2d"]
    with pytest.raises(InputError, match=r"cross\.h5: expected latent/mu_joints_2d, found none"):
        figures_of(results, processed)


@pytest.mark.parametrize(("name", "overlaid"), [("fig06", False), ("fig09", True)])
def test_a_walk_is_shown_step_by_step_between_its_two_images(figures, grid, name, overlaid):
    columns, axes_of = latent_of("cross"), figures[name].figure.axes
    pictures = [axes for axes in axes_of if axes.images]
    poses = [axes for axes in axes_of if axes.collections and not axes.images]
    assert len(pictures) == len(poses) == 2 * (STEPS + 2)
    with h5py.File(grid[1] / "rhd.h5") as file:
        stored, labels = file["test/image_u8"][:, 4:-4, 4:-4], file["test/uv_px"][:] - 4
    for walk, (first, last) in enumerate(columns["walk_row"]):
        panels = slice(walk * (STEPS + 2), (walk + 1) * (STEPS + 2))
        images = [stored[first], *columns["walk_rgb_u8"][walk], stored[last]]
        joints_mm = [hands_mm()[first], *columns["walk_joints_mm"][walk], hands_mm()[last]]
        uv_px = [labels[first], *columns["walk_uv_px"][walk], labels[last]]
        colours = [TRUTH, *STEPS * [PREDICTION], TRUTH]
        steps = zip(pictures[panels], poses[panels], images, joints_mm, uv_px, colours, strict=True)
        for picture, pose, image, joints, uv, colour in steps:
            np.testing.assert_array_equal(picture.images[0].get_array(), image)
            ((segments, drawn),) = skeletons(pose)
            assert drawn == colour
            np.testing.assert_allclose(segments, joints[BONES][..., :2])
            assert len(picture.collections) == (2 if overlaid else 0)  # the bones and their white edge
            if overlaid:
                segments, drawn = skeletons(picture)[1]
                assert drawn == colour
                np.testing.assert_allclose(segments, uv[BONES], atol=1e-5)
        spans = [np.ptp(pose.get_xlim()) for pose in poses[panels]]
        np.testing.assert_allclose(spans, spans[0])  # one scale: a shrinking hand is seen to shrink


def test_figure_11_shows_the_samples_over_the_truth(figures):
    panels = [axes for axes in figures["fig11"].figure.axes if axes.collections]
    assert len(panels) == 2 * 3  # from the front and turned
    for number, row in enumerate((2, 5, 9)):
        (truth, blue), (samples, red) = skeletons(panels[2 * number])
        assert (blue, red) == (TRUTH, PREDICTION)
        np.testing.assert_allclose(truth, hands_mm()[row][BONES][..., :2])
        joints_mm = latent_of(1)["posterior_joints_mm"][number]
        np.testing.assert_allclose(samples, joints_mm[:, BONES][..., :2].reshape(-1, 2, 2))
        assert panels[2 * number].get_title() == "spread 1.5 mm, error 7.0 mm"
    assert "rgb-v1" in figures["fig11"].title


def test_figure_1_decodes_hands_from_the_encodings_it_leads_to(everything):
    captioned, table = (by_name["fig01"] for by_name in everything)
    figure = captioned.figure
    thumbnails = [axes for axes in figure.axes if len(axes.collections) == 1]
    assert len(thumbnails) == len(figure.artists) == 16
    decoded = np.concatenate([latent_of("cross")[f"decoded_mm_{name}"] for name in ("rgb", "joints_3d")])
    for axes, line in zip(thumbnails, figure.artists, strict=True):
        (point,) = np.flatnonzero((table[["x", "y"]].to_numpy() == line.xy1).all(axis=1))
        ((segments, colour),) = skeletons(axes)
        np.testing.assert_allclose(segments, decoded[point][BONES][..., :2])
        assert colour == (style.BLUE if point < FRAMES else style.GREEN).lower()
        assert (decoded[point][:, :2] == line.xy2).all(axis=1).any()  # the line ends at one of its joints


def test_figure_8_has_every_sample_of_every_modality_and_prints_the_purity_of_the_claims(everything, grid):
    (figures, tables), columns = everything, ["modality", "row", "name", "x", "y"]
    assert list(tables["fig08a"]) == columns and len(tables["fig08a"]) == 3 * FRAMES
    assert tables["fig08a"].loc[FRAMES + 3, columns[:3]].tolist() == ["joints_2d", 3, "evaluation/00003"]
    (axes,) = figures["fig08a"].figure.axes
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["RGB images (16)", "2D joints (16)", "3D joints (16)"]
    assert sum(len(points.get_offsets()) for points in axes.collections) == 3 * FRAMES
    texts = {name: figures[name].caption for name in ("fig01", "fig08a", "fig08b")}
    printed = {
        name: int(re.search(r"10-NN purity: (-?\d+), where 0 means mixed", text)[1]) for name, text in texts.items()
    }
    claimed = next(row for row in latent_claims.mixing_rows(grid[0]) if row["statistic"].startswith("posterior means"))
    assert printed["fig08b"] == 100 and printed["fig08a"] == round(claimed["value"]) < 50 and printed["fig01"] < 50


def test_points_are_spread_out_from_the_middle_by_hand():
    line = np.array([[0.0, 0], [1, 0], [4, 0], [9, 0], [10, 0]])
    assert latent_figures.spread_out(line, 3).tolist() == [2, 4, 0]  # 4 is nearest to the mean 4.8; 10; 0
    assert latent_figures.spread_out(line, 9).tolist() == [2, 4, 0, 1, 3]
    assert sorted(latent_figures.spread_out(np.zeros((4, 2)), 4)) == [0, 1, 2, 3]
