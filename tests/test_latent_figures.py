"""Figures of the latent space from fabricated predictions: which are made, what they show, what is refused."""

import re

import h5py
import numpy as np
import pytest
from matplotlib.colors import to_hex

from handvae.base.errors import InputError
from handvae.base.joints import SKELETONS
from handvae.preprocessing import store
from handvae.report import hands, latent_claims, style
from handvae.report import latent as latent_room
from tests.fabricated import write_predictions
from tests.test_tables import result

FRAMES, CROP_PX, CONTEXT_PX, STEPS, SAMPLES = 16, 16, 24, 9, 20
BONES = np.array(SKELETONS["HAND21"].bones)


def random(*words):
    return np.random.default_rng(list("".join(map(str, words)).encode()))


def hands_mm(count=FRAMES, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 21, 3)) * 40


def names():
    return [f"evaluation/{frame:05d}" for frame in range(FRAMES)]


def latent_of(variant):
    """Latent columns as the evaluate stage writes them: encodings of one cloud, or of clouds that lie apart."""
    cloud = random("cloud").normal(size=(FRAMES, 30))
    columns = {}
    for place, modality in enumerate(("rgb", "joints_2d", "joints_3d")):
        apart = 20.0 * place if variant == "separate" else 0.0
        columns[f"mu_{modality}"] = (cloud + random(modality).normal(size=cloud.shape) + apart).astype(np.float32)
        columns[f"log_var_{modality}"] = np.full(cloud.shape, -3, np.float32)
        columns[f"decoded_mm_{modality}"] = hands_mm(seed=place + 1)
    columns["posterior_row"] = np.array([2, 5, 9])
    columns["posterior_joints_mm"] = hands_mm()[[2, 5, 9], None] + random("samples").normal(size=(3, SAMPLES, 21, 3))
    columns["posterior_spread_mm"] = np.full((FRAMES, 21), 1.5)
    if variant == "cross":
        columns["walk_row"] = np.array([[0, 4], [3, 1]])
        columns["walk_rgb_u8"] = random("walk").integers(0, 256, (2, STEPS, CROP_PX, CROP_PX, 3), dtype=np.uint8)
        columns["walk_uv_px"] = random("uv").uniform(0, CROP_PX, (2, STEPS, 21, 2))
        columns["walk_joints_mm"] = random("walk 3D").normal(size=(2, STEPS, 21, 3)) * 40
    return columns


def write(path, latent, pred_mm=None, further_seeds=()):
    """Predictions with their latent columns; `further_seeds`: those of further models, which predict the same."""
    true_mm, visible = hands_mm(), np.ones((FRAMES, 21), bool)
    visible[2, 1:5] = False
    pred_mm = true_mm + [0, 0, 7.0] * visible[..., None] if pred_mm is None else pred_mm
    columns = {"visible": visible, "name": names()}
    if len(latent["mu_rgb"]) != FRAMES:  # encodings of other samples, of which no figure is made
        columns["block"] = np.arange(len(latent["mu_rgb"]))
    return write_predictions(
        path, [pred_mm] * (1 + len(further_seeds)), true_mm, None, [latent, *further_seeds], **columns
    )


def write_images(folder):
    images = random("images").integers(0, 256, (FRAMES, CONTEXT_PX, CONTEXT_PX, 3), dtype=np.uint8)
    uv_px = random("labels").uniform(4, 20, (FRAMES, 21, 2))
    rows = (
        store.ColourHand(image, joints_mm, uv, np.ones(21, bool), np.eye(3), 0, 44, True, name, "", "", 0, name)
        for image, joints_mm, uv, name in zip(images, hands_mm(), uv_px, names(), strict=True)
    )
    store.write(folder / "rhd.h5", {"test": rows}, {"crop_px": CROP_PX, "context_px": CONTEXT_PX})
    return folder


def write_grid(folder):
    return [
        result(f"rhd-{name}", "rgb", variant, 30.0, predictions=write(folder / f"{name}.h5", latent_of(variant)))
        for name, variant in (("rgb-v1", 1), ("cross", "cross"), ("separate", "separate"))
    ]


def figures_of(results, processed):
    """Figures 1, 6, 8, 9 and 11, and the coordinates of those by t-SNE."""
    made, tables = latent_room.latent(results, processed)
    return dict(sorted((made | hands.hands(results, processed)).items())), tables


@pytest.fixture
def grid(tmp_path):
    return write_grid(tmp_path)


@pytest.fixture
def processed(tmp_path):
    return write_images(tmp_path / "processed")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def everything(tmp_path_factory, images):
    """Figures and coordinates of a grid that fills them all."""
    return figures_of(write_grid(tmp_path_factory.mktemp("grid")), images)


def shown(axes):
    """Bones (P, 2, 2) and their colours of every skeleton in a panel."""
    return [(np.array(lines.get_segments()), to_hex(lines.get_color()[0])) for lines in axes.collections]


def test_every_figure_is_made_with_the_same_bytes_and_coordinates_twice(grid, processed, everything):
    made, tables = everything
    assert list(made) == ["fig01", "fig06", "fig08a", "fig08b", "fig09", "fig10b", "fig11"]
    first = {name: style.png_bytes(figure) for name, figure in made.items()}
    made, again = figures_of(grid, processed)
    assert {name: style.png_bytes(figure) for name, figure in made.items()} == first
    assert sorted(tables) == ["fig01", "fig08a", "fig08b"]
    assert all(again[name].equals(tables[name]) for name in tables)
    for name, figure in made.items():
        assert figure.get_suptitle().startswith(f"Figure {name[3:].lstrip('0')}: ")
        assert figure.get_supxlabel().endswith("2,728 test frames.")


@pytest.mark.parametrize(
    ("kept", "expected"),
    [("rhd-cross", "fig01 fig06 fig08a fig09"), ("rhd-separate", "fig08b"), ("rhd-rgb-v1", "fig10b fig11"), ("", "")],
)
def test_a_figure_whose_experiment_is_absent_is_left_out(grid, processed, kept, expected):
    made, tables = figures_of([r for r in grid if r.experiment == kept], processed)
    assert list(made) == expected.split() and set(tables) <= set(made)


def test_predictions_without_what_a_figure_shows_are_refused(grid, processed):
    with h5py.File(grid[1].predictions, "a") as file:
        del file["latent/mu_joints_2d"]
    with pytest.raises(InputError, match=r"cross\.h5: expected latent/mu_joints_2d, found none"):
        figures_of(grid, processed)


def test_images_of_another_set_are_refused(grid, processed):
    with h5py.File(processed / "rhd.h5", "a") as file:
        file["test/name"][0] = "another"
    with pytest.raises(InputError, match=r"expected row 0 of .* to be evaluation/00000, found another"):
        figures_of(grid[1:2], processed)


def test_coordinates_name_each_sample_and_modality(everything):
    table = everything[1]["fig08a"]
    assert list(table) == ["modality", "row", "name", "x", "y"] and len(table) == 3 * FRAMES
    line = table.iloc[FRAMES + 3]
    assert (line["modality"], line["row"], line["name"]) == ("joints_2d", 3, "evaluation/00003")


@pytest.mark.parametrize(("name", "overlaid"), [("fig06", False), ("fig09", True)])
def test_a_walk_is_shown_step_by_step_between_its_two_images(everything, images, name, overlaid):
    figure = everything[0][name]
    latent = latent_of("cross")
    pictures = [axes for axes in figure.axes if axes.images]
    hands = [axes for axes in figure.axes if axes.collections and not axes.images]
    assert len(pictures) == len(hands) == 2 * (STEPS + 2)
    with h5py.File(images / "rhd.h5") as file:
        stored, labels = file["test/image_u8"][:, 4:-4, 4:-4], file["test/uv_px"][:] - 4
    for walk, (first, last) in enumerate(latent["walk_row"]):
        of_walk = slice(walk * (STEPS + 2), (walk + 1) * (STEPS + 2))
        expected = [stored[first], *latent["walk_rgb_u8"][walk], stored[last]]
        for axes, image in zip(pictures[of_walk], expected, strict=True):
            np.testing.assert_array_equal(axes.images[0].get_array(), image)
        blue, red = style.TRUTH.lower(), style.PREDICTION.lower()
        colours = [blue, *STEPS * [red], blue]
        joints_mm = [hands_mm()[first], *latent["walk_joints_mm"][walk], hands_mm()[last]]
        uv_px = [labels[first], *latent["walk_uv_px"][walk], labels[last]]
        for above, below, joints, uv, colour in zip(
            pictures[of_walk], hands[of_walk], joints_mm, uv_px, colours, strict=True
        ):
            ((segments, drawn),) = shown(below)
            assert drawn == colour
            np.testing.assert_allclose(segments, joints[BONES][..., :2])
            assert len(above.collections) == (2 if overlaid else 0)  # the bones and their white edge
            if overlaid:
                segments, drawn = shown(above)[1]
                assert drawn == colour
                np.testing.assert_allclose(segments, uv[BONES], atol=1e-5)
        spans = [np.ptp(axes.get_xlim()) for axes in hands[of_walk]]
        np.testing.assert_allclose(spans, spans[0])  # one scale: a shrinking hand is seen to shrink


def test_figure_11_shows_the_samples_over_the_truth(everything):
    figure = everything[0]["fig11"]
    hands = [axes for axes in figure.axes if axes.collections]
    assert len(hands) == 2 * 3  # from the front and turned
    for place, row in enumerate((2, 5, 9)):
        (truth, blue), (samples, red) = shown(hands[2 * place])
        assert (blue, red) == (style.TRUTH.lower(), style.PREDICTION.lower())
        np.testing.assert_allclose(truth, hands_mm()[row][BONES][..., :2])
        joints_mm = latent_of(1)["posterior_joints_mm"][place]
        np.testing.assert_allclose(samples, joints_mm[:, BONES][..., :2].reshape(-1, 2, 2))
        assert hands[2 * place].get_title() == "spread 1.5 mm, error 7.0 mm"
    assert "rgb-v1" in figure.get_suptitle()


def test_figure_1_decodes_hands_from_the_encodings_it_leads_to(everything):
    figure, table = (of_name["fig01"] for of_name in everything)
    assert set(table["modality"]) == {"rgb", "joints_3d"}
    thumbnails = [axes for axes in figure.axes if len(axes.collections) == 1]
    assert len(thumbnails) == len(figure.artists) == 16
    points = table[["x", "y"]].to_numpy()
    decoded = np.concatenate([latent_of("cross")[f"decoded_mm_{name}"] for name in ("rgb", "joints_3d")])
    for axes, line in zip(thumbnails, figure.artists, strict=True):
        (place,) = np.flatnonzero((points == line.xy1).all(axis=1))
        ((segments, colour),) = shown(axes)
        np.testing.assert_allclose(segments, decoded[place][BONES][..., :2])
        assert colour == (style.BLUE if place < FRAMES else style.GREEN).lower()
        assert (decoded[place][:, :2] == line.xy2).all(axis=1).any()  # the line ends at one of its joints


@pytest.mark.parametrize("name", ["fig06", "fig09"])
def test_images_of_a_walk_are_shown_smoothly_at_twice_the_pixels_that_a_small_network_decodes(everything, name):
    figure = everything[0][name]
    style.png_bytes(figure)  # lays it out
    for axes in (axes for axes in figure.axes if axes.images):
        box = axes.get_window_extent()
        assert min(box.width, box.height) >= 2 * 64
        assert axes.images[0].get_interpolation() == "bicubic"


def test_figures_1_and_8_print_the_purity_of_the_claims(everything, grid):
    """Figure 1 that of its two modalities."""
    claimed = next(row for row in latent_claims.mixing_rows(grid) if row["statistic"].startswith("posterior means"))
    texts = {name: everything[0][name].get_supxlabel() for name in ("fig01", "fig08a", "fig08b")}
    printed = {name: int(re.search(r"10-NN purity (-?\d+) \(0: mixed", text)[1]) for name, text in texts.items()}
    assert printed["fig08b"] == 100 and printed["fig08a"] == round(claimed["value"]) < 50 and printed["fig01"] < 50


def test_modalities_are_told_apart_by_colour_and_by_marker(everything):
    axes = everything[0]["fig08a"].axes[0]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["RGB images (16)", "2D joints (16)", "3D joints (16)"]
    looks = [(colour, marker) for _, _, colour, marker in latent_room.LOOKS.values()]
    assert len(set(dict(looks))) == len({marker for _, marker in looks}) == 3
    drawn = sum(len(points.get_offsets()) for points in axes.collections)
    assert drawn == 3 * FRAMES


def test_tsne_keeps_clusters_together_and_does_not_mind_few_points():
    clusters = np.random.default_rng(0).normal(size=(3, 40, 30)) + np.array([-30, 0, 30.0])[:, None, None]
    points = latent_room.tsne(clusters.reshape(-1, 30).astype(np.float32)).reshape(3, 40, 2)
    centres = points.mean(axis=1)
    radius = np.linalg.norm(points - centres[:, None], axis=2).max()
    assert min(np.linalg.norm(centres[a] - centres[b]) for a, b in ((0, 1), (0, 2), (1, 2))) > radius
    assert np.isfinite(latent_room.tsne(np.random.default_rng(0).normal(size=(8, 30)))).all()


def test_points_are_spread_out_from_the_middle_by_hand():
    line = np.array([[0.0, 0], [1, 0], [4, 0], [9, 0], [10, 0]])
    assert latent_room.spread_out(line, 3).tolist() == [2, 4, 0]  # 4 is nearest to the mean 4.8; 10; 0
    assert latent_room.spread_out(line, 9).tolist() == [2, 4, 0, 1, 3]
    assert sorted(latent_room.spread_out(np.zeros((4, 2)), 4)) == [0, 1, 2, 3]


def crosses(a, b, c, d):
    """Whether the lines from a to b and from c to d cross."""

    def side(p, q, r):
        return np.sign((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]))

    return side(a, b, c) != side(a, b, d) and side(c, d, a) != side(c, d, b)


def test_no_two_lines_to_the_ring_cross_and_no_place_is_taken_twice():
    points = np.random.default_rng(0).random((16, 2))
    places = latent_room.ring_places(points)
    assert len(set(places)) == 16 and all({line, column} & {0, 4} for line, column in places)
    ends = [(column + 0.5, 4.5 - line) for line, column in places]
    starts = 1 + 3 * points
    assert not any(crosses(starts[i], ends[i], starts[j], ends[j]) for i in range(16) for j in range(i))
    # one point at the middle of each side, x right and y up
    sides = latent_room.ring_places(np.array([[0.5, 0], [0.5, 1], [0, 0.5], [1, 0.5]]))
    assert sides == [(4, 2), (0, 2), (2, 0), (2, 4)]
