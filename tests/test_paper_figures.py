"""Figures from fabricated predictions and preprocessed sets: which are made, what they show, what is refused."""

import re
from dataclasses import replace

import h5py
import numpy as np
import pytest

from handvae.base.errors import InputError
from handvae.base.joints import SKELETON_OF, SKELETONS
from handvae.evaluation import metrics, statistics
from handvae.preprocessing import store
from handvae.report import figures, paper, paper_figures
from handvae.report import shown_hands as shown_hands_module
from handvae.report.results import Result

FRAMES, CROP_PX = 11, 24
CENTRE_MM = np.array([30.0, -20, 700])
DEPTH = ("icvl", "nyu", "msra")


def seeded(*words):
    return np.random.default_rng(list("".join(map(str, words)).encode()))


def hands_mm(dataset, group):
    """FRAMES rough hands (N, J, 3): about the origin, or from depth about CENTRE_MM."""
    joints = len(SKELETONS[SKELETON_OF[dataset]])
    return seeded(dataset, group).normal(size=(FRAMES, joints, 3)) * 40 + CENTRE_MM * (dataset in DEPTH)


def names(group):
    return [f"{group}/{frame:05d}" for frame in range(FRAMES)]


def row(dataset, group, frame):
    joints_mm, random = hands_mm(dataset, group)[frame], seeded(dataset, group, frame)
    common = {"joints_mm": joints_mm, "uv_px": random.random((len(joints_mm), 2)) * CROP_PX, "camera": np.eye(3)}
    common |= {
        "side": 0,
        "name": names(group)[frame],
        "subject": "",
        "sequence": "",
        "frame": 0,
        "moment": names(group)[frame],
        "trainable": True,
    }
    if dataset in DEPTH:
        depth = random.uniform(-1, 1, (CROP_PX, CROP_PX))
        return store.DepthHand(depth_f16=depth, centre_mm=CENTRE_MM, cube_mm=250, **common)
    image = random.integers(0, 255, (CROP_PX, CROP_PX, 3), dtype=np.uint8)
    return store.ColourHand(image_u8=image, visible=np.ones(len(joints_mm), bool), scale_bone_mm=44, **common)


@pytest.fixture
def processed(tmp_path):
    folder = tmp_path / "processed"
    for dataset in ("rhd", "stb", *DEPTH):
        groups = ("P0", "P1") if dataset == "msra" else ("test",)
        rows = {group: [row(dataset, group, frame) for frame in range(FRAMES)] for group in groups}
        store.write(folder / f"{dataset}.h5", rows, {"source": "synthetic"})
    return folder


@pytest.fixture
def predicted(tmp_path):
    """A function that writes predictions off by about `error_mm` and returns their result."""

    def write(
        dataset,
        input_,
        error_mm,
        *,
        variant=1,
        invariances="T+S+H",
        encoder="resnet18",
        subject="",
        label_fraction=1.0,
        **changes,
    ):
        group = subject or "test"
        true_mm = hands_mm(dataset, group)
        random = seeded(dataset, variant, encoder, group)
        scale = np.linspace(0.5, 1.5, FRAMES)[:, None, None]
        pred_mm = true_mm + random.normal(size=true_mm.shape) * error_mm / 1.6 * scale
        visible = np.ones(true_mm.shape[:2], bool)
        visible[0, 1:5] = dataset in DEPTH  # hidden joints count in no error
        pred_mm[~visible] = 9999
        path = tmp_path / f"{dataset}-{input_}-{variant}-{invariances}-{encoder}-{group}-{label_fraction}.h5"
        with h5py.File(path, "w") as file:
            file["joints_pred_mm"], file["joints_true_mm"] = pred_mm.astype(np.float32), true_mm.astype(np.float32)
            file["mean_pose_mm"] = np.broadcast_to(true_mm.mean(axis=0), true_mm.shape).astype(np.float32)
            file["visible"], file["row"], file["block"] = visible, np.arange(FRAMES), np.arange(FRAMES)
            file["name"] = np.array(names(group), dtype=h5py.string_dtype())
        numbers = {"epe_mean_mm": float(error_mm), "auc_20_50": 0.5, "auc_21_50": 0.625, "frames": FRAMES}
        numbers |= {
            "epe_median_mm": error_mm - 1,
            "epe_median_mm_low": error_mm - 2,
            "epe_median_mm_high": error_mm + 1,
        }
        settings = [path.stem, dataset, input_, variant, invariances, encoder, subject, label_fraction]
        facts = {"source": f"synthetic {dataset}", "synthetic": True, "published": False} | changes
        return Result(*settings, profile="small", **facts, metrics=numbers, predictions=path)

    return write


@pytest.fixture
def grid(predicted):
    return [
        *(predicted("rhd", "rgb", 30 - 5 * variant, variant=variant) for variant in (1, 2)),
        predicted("rhd", "joints_2d", 10, variant=3),
        predicted("rhd", "rgb", 1, variant=1, invariances="T"),  # better, but not of the figures' kind
        predicted("stb", "rgb", 9, variant=3),
        *(predicted(dataset, "depth", error, encoder=encoder) for dataset in ("icvl", "nyu")
          for encoder, error in (("resnet18", 12), ("resnet50", 9))),
        *(predicted("msra", "depth", 10, subject=subject) for subject in ("P0", "P1")),
    ]  # fmt: skip


def read(result, *keys):
    with h5py.File(result.predictions) as file:
        return [file[key][:] for key in keys]


def lines(figure):
    return {line.get_label().split(":")[0]: line for line in figure.axes[0].lines}


def share_at(line, threshold_mm):
    return line.get_ydata()[line.get_xdata() == threshold_mm].item()


def share_of_frames(results, key, joints, threshold_mm):
    """The share of frames whose every one of `joints` is within the threshold, by hand."""
    good = []
    for result in results:
        pred, true = read(result, key, "joints_true_mm")
        good += [
            all(np.linalg.norm(p[j] - t[j]) <= threshold_mm for j in joints) for p, t in zip(pred, true, strict=True)
        ]
    return sum(good) / len(good)


def of(grid, dataset, input_="depth"):
    return [result for result in grid if result.task == (dataset, input_)]


def test_every_figure_is_made_and_has_the_same_bytes_twice(grid, processed):
    first = {name: figures.png_bytes(figure) for name, figure in paper_figures.figures_of(grid, processed).items()}
    assert list(first) == ["fig04a", "fig04b", "fig05a", "fig05b", "fig05c", "fig10a", "fig10b", "fig12"]
    again = paper_figures.figures_of(grid, processed)
    assert {name: figures.png_bytes(figure) for name, figure in again.items()} == first


@pytest.mark.parametrize(
    ("dataset", "input_", "expected"),
    [("rhd", "rgb", "fig04a fig10b"), ("rhd", "joints_2d", "fig04a fig10b"), ("stb", "rgb", "fig04b fig10a")]
    + [("nyu", "depth", "fig05a fig12"), ("icvl", "depth", "fig05b fig12"), ("msra", "depth", "fig05c fig12")],
)
def test_figures_whose_experiments_are_absent_are_left_out(grid, processed, dataset, input_, expected):
    for other in processed.iterdir():
        if other.stem != dataset:
            other.unlink()  # what is not shown need not be there
    assert list(paper_figures.figures_of(of(grid, dataset, input_), processed)) == expected.split()


def test_models_that_no_figure_is_of_make_none(predicted, processed):
    assert paper_figures.figures_of([predicted("rhd", "rgb", 5, invariances="T+S")], processed) == {}


@pytest.fixture
def few_labels(predicted):
    """Variants 1 and 3 on STB, by share of labels; the errors are lower than those of any model of `grid`."""
    errors_mm = {(1, 0.1): 7, (3, 0.1): 5, (1, 0.3): 6, (3, 0.3): 4}
    return [
        predicted("stb", "rgb", error, variant=variant, label_fraction=share)
        for (variant, share), error in errors_mm.items()
    ]


def test_figure_3_shows_both_variants_by_share_of_labels(grid, few_labels, processed):
    for one in few_labels:
        with h5py.File(one.predictions, "r+") as file:
            file["mean_pose_mm"][:] += 500  # the baseline is that of the most labels
    figure = paper_figures.figures_of([*grid, *few_labels], processed)["fig03"]
    axes = figure.axes[0]
    assert axes.get_xscale() == "log" and [text.get_text() for text in axes.get_xticklabels()] == ["10", "30", "100"]
    assert axes.get_ylabel() == "median EPE (mm)"
    # with all labels there is variant 3 alone in this grid
    expected = {"variant 1": ([10, 30], [6, 5]), "variant 3": ([10, 30, 100], [4, 3, 8])}
    drawn = {container.get_label().split(",")[0]: container for container in axes.containers}
    assert list(drawn) == list(expected)
    for name, (percent, medians_mm) in expected.items():
        line, _, (bars,) = drawn[name]
        np.testing.assert_allclose(line.get_xdata(), percent, rtol=0.05)
        np.testing.assert_array_equal(line.get_ydata(), medians_mm)
        ends = np.array(bars.get_segments())[:, :, 1]
        np.testing.assert_allclose(ends, np.array(medians_mm)[:, None] + [-1, 2])
    pose, true, visible = read(of(grid, "stb", "rgb")[0], "mean_pose_mm", "joints_true_mm", "visible")
    still_mm = metrics.median_over_joints(np.linalg.norm(pose - true, axis=2).astype(float), visible)
    (baseline,) = [line for line in axes.lines if line.get_label() == "mean pose of the training set"]
    assert baseline.get_ydata() == pytest.approx([still_mm] * 2)
    assert axes.get_legend().get_texts()[-1].get_text() == "mean pose of the training set"
    assert figure.get_supxlabel().endswith(f"Data: {few_labels[0].data}.")


def test_figure_3_says_of_how_many_seeds_it_is_and_shows_their_spread(few_labels, processed):
    several = [replace(one, metrics=one.metrics | {"seeds": 3, "epe_median_mm_sd": 0.5}) for one in few_labels[:2]]
    figure = paper_figures.figures_of([*several, *few_labels[2:]], processed)["fig03"]
    assert figure.get_supxlabel().startswith("Points: mean over 1 or 3 seeds. ")
    spreads = [one for one in figure.axes[0].containers if one.get_label().startswith("_")]
    for spread in spreads:  # of the tenth of the labels, not of the three tenths
        (segment,) = [bar for bar in spread[2][0].get_segments() if len(bar)]
        assert np.ptp(segment[:, 1]) == pytest.approx(1.0) and segment[0, 0] == pytest.approx(10, rel=0.05)
    assert len(spreads) == 2
    of_one = paper_figures.figures_of(few_labels, processed)["fig03"]
    assert "one model each" in of_one.get_supxlabel() and len(of_one.axes[0].containers) == 2


def test_figure_3_needs_fewer_labels_than_all(grid, few_labels, processed):
    assert "fig03" not in paper_figures.figures_of(grid, processed)
    one_variant = paper_figures.figures_of(few_labels[:1], processed)
    assert list(one_variant) == ["fig03"] and figures.png_bytes(one_variant["fig03"])


def content(figure):
    """What a figure says and shows, without the time that its rendering takes."""
    shown = [(line.get_label(), line.get_xydata().tolist()) for axes in figure.axes for line in axes.lines]
    pictures = [image.get_array().tolist() for axes in figure.axes for image in axes.images]
    return figure.get_suptitle(), figure.get_supxlabel(), shown, pictures


def test_models_of_few_labels_and_of_other_variants_change_no_other_figure(grid, few_labels, predicted, processed):
    others = [predicted("rhd", "rgb", 0.5, variant="cross"), predicted("rhd", "joints_2d", 0.5, variant="separate")]
    others += [predicted("nyu", "depth", 0.5, encoder="resnet18", label_fraction=0.1)]
    plain = paper_figures.figures_of(grid, processed)
    more = paper_figures.figures_of([*others, *few_labels, *grid], processed)
    assert set(more) - set(plain) == {"fig03"}
    for name, figure in plain.items():
        assert content(figure) == content(more[name])
    assert paper_figures.depth_models(others, "nyu") == []


def test_figure_4_shows_the_best_models_and_the_mean_pose_but_not_the_paper(grid, processed):
    made = paper_figures.figures_of(grid, processed)
    mean_pose = "mean pose of the training set"
    best = of(grid, "rhd", "rgb")[1]
    lifting, stb = of(grid, "rhd", "joints_2d")[0], of(grid, "stb", "rgb")[0]
    shown = lines(made["fig04a"])
    assert list(shown) == [f"RGB->3D, {best.experiment}", f"2D->3D, {lifting.experiment}", mean_pose]
    assert list(lines(made["fig04b"])) == [f"RGB->3D, {stb.experiment}", mean_pose]
    for key, line in (("joints_pred_mm", shown[f"RGB->3D, {best.experiment}"]), ("mean_pose_mm", shown[mean_pose])):
        pred, true, visible = read(best, key, "joints_true_mm", "visible")
        right = np.linalg.norm(pred - true, axis=2) <= 20
        assert share_at(line, 20) == pytest.approx(np.mean([right[visible[:, j], j].mean() for j in range(21)]))


def test_figure_4_shows_the_papers_curves_beside_the_published_sets_only(predicted, processed):
    results = [predicted(dataset, "rgb", 9, published=True, synthetic=False) for dataset in ("rhd", "stb")]
    made = paper_figures.figures_of(results, processed)
    shown = lines(made["fig04a"])
    assert list(shown)[2:] == ["the paper, digitised", "[38], digitised"]
    assert shown["the paper, digitised"].get_xydata()[0].tolist() == [21.05, 0.653]
    shown = lines(made["fig04b"])
    assert list(shown)[2:] == [curve.name for curve in paper.FIGURE_4["stb"]]
    line = shown["the paper"]
    assert line.get_linestyle() == "--" and len(line.get_xdata()) == 12
    np.testing.assert_allclose(line.get_xydata()[[0, -1]], [[8 * 50 / 19, 0.9483], [50, 0.9963]])


def test_figure_4_prints_our_area_by_the_rule_of_the_papers_beside_it(predicted, processed):
    made = paper_figures.figures_of([predicted("stb", "rgb", 9, published=True, synthetic=False)], processed)
    ours, _, papers, *_ = [line.get_label() for line in made["fig04b"].axes[0].lines]
    assert ours.endswith(": AUC 21.05–50 mm 0.625") and papers == "the paper: AUC 21.05–50 mm 0.983"


def test_the_papers_curves_of_colour_do_not_stand_beside_2d_alone(predicted, processed):
    lifting = predicted("rhd", "joints_2d", 9, published=True, synthetic=False)
    assert len(lines(paper_figures.figures_of([lifting], processed)["fig04a"])) == 2


def test_figure_5_shows_other_methods_beside_the_published_sets_only(predicted, processed):
    thresholds_mm = np.array([0.0, 40, 80])
    references = {"icvl": [("other: mean 7.0 mm", thresholds_mm, np.array([0, 0.6, 1]))], "nyu": []}
    for published in (True, False):
        results = [predicted(name, "depth", 9, published=published) for name in ("icvl", "nyu")]
        made = paper_figures.figures_of(results, processed, references)
        assert len(lines(made["fig05a"])) == 2
        assert list(lines(made["fig05b"]))[2:] == ["other"] * published
    results = [predicted("icvl", "depth", 9, published=True)]
    line = lines(paper_figures.figures_of(results, processed, references)["fig05b"])["other"]
    np.testing.assert_array_equal(line.get_xydata(), [[0, 0], [40, 0.6], [80, 1]])


@pytest.mark.parametrize(("name", "dataset"), [("fig05a", "nyu"), ("fig05b", "icvl")])
def test_figure_5_counts_frames_by_their_evaluated_joints(grid, processed, name, dataset):
    results = of(grid, dataset)
    joints = SKELETONS[SKELETON_OF[dataset]].evaluated
    with h5py.File(results[0].predictions, "r+") as file:  # a joint that NYU does not evaluate
        file["joints_pred_mm"][:, 1] += 500 if 1 not in joints else 0
    shown = lines(paper_figures.figures_of(results, processed)[name])
    assert list(shown) == ["ResNet-18, variant 1", "ResNet-50, variant 1", "mean pose of the training set"]
    whose = [(results[0], "joints_pred_mm"), (results[1], "joints_pred_mm"), (results[0], "mean_pose_mm")]
    for line, (result, key) in zip(shown.values(), whose, strict=True):
        for threshold_mm in (10, 20, 30, 80):
            by_hand = share_of_frames([result], key, joints, threshold_mm)
            assert share_at(line, threshold_mm) == pytest.approx(by_hand)
    assert (line.get_xdata()[0], line.get_xdata()[-1]) == (0, 80)


def test_figure_5_pools_the_frames_of_msras_folds_and_says_how_many_there_are(grid, processed, monkeypatch):
    folds = of(grid, "msra")
    figure = paper_figures.figures_of(folds, processed)["fig05c"]
    line = lines(figure)["ResNet-18, variant 1, 2 of 9 subjects"]
    for threshold_mm in (15, 25, 35):
        shared = share_of_frames(folds, "joints_pred_mm", range(21), threshold_mm)
        assert share_at(line, threshold_mm) == pytest.approx(shared)
    assert "; 22 test frames of 2 subjects" in figure.get_supxlabel()
    assert figure.get_supxlabel().startswith("Data: MSRA: ")
    monkeypatch.setattr(shown_hands_module, "MSRA_SUBJECTS", ("P0", "P1"))
    assert "ResNet-18, variant 1" in lines(paper_figures.figures_of(folds, processed)["fig05c"])


def test_the_model_of_most_folds_is_shown_then_that_of_the_lowest_error(predicted):
    whole = [predicted("msra", "depth", 20, subject=subject) for subject in ("P1", "P0")]
    part = [predicted("msra", "depth", 5, subject="P0", variant=2)]
    other = [predicted("msra", "depth", 30, subject="P0", encoder="resnet50")]
    assert paper_figures.depth_models(part + whole + other, "msra") == [whole[::-1], other]
    two = [predicted("nyu", "depth", error, variant=variant) for variant, error in ((1, 9), (3, 8))]
    assert paper_figures.depth_models(two, "nyu") == [[two[1]]]


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
    figure = paper_figures.figures_of(of(grid, dataset, "rgb"), processed)[name]
    best = of(grid, dataset, "rgb")[:2][-1]
    assert best.experiment in figure.get_suptitle() and figure.get_supxlabel().endswith(f"Data: {best.data}.")
    hands = list(shown_hands(figure))
    assert len(hands) == paper_figures.HANDS_SHOWN
    for picture, true, _, error_mm in hands:
        group, frame = frame_of(picture, processed / f"{dataset}.h5", "image_u8")
        np.testing.assert_allclose(true[0], hands_mm(dataset, group)[frame][[0, 1], :2], atol=1e-3)
        assert error_mm < 100  # hidden joints, 9,999 mm off, do not count


@pytest.mark.parametrize("dataset", DEPTH)
def test_figure_12_shows_hands_about_their_true_centre_without_aligning(grid, processed, dataset):
    skeleton = SKELETONS[SKELETON_OF[dataset]]
    results = {result.test_subject or "test": result for result in of(grid, dataset)}  # the last: ResNet-50, the best
    hands = list(shown_hands(paper_figures.figures_of(of(grid, dataset), processed)["fig12"]))
    assert len(hands) == paper_figures.HANDS_SHOWN_OF_DEPTH
    for picture, *drawn, error_mm in hands:
        group, frame = frame_of(picture, processed / f"{dataset}.h5", "depth_f16", figures.depth_picture)
        true_mm, pred_mm = (joints_mm[frame] for joints_mm in read(results[group], "joints_true_mm", "joints_pred_mm"))
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
        paper_figures.figures_of(of(grid, dataset, input_), processed)


def test_what_does_not_fit_is_named(grid, processed):
    with h5py.File(of(grid, "nyu")[0].predictions, "r+") as file:
        for key in ("joints_pred_mm", "joints_true_mm"):
            values = file[key][:, :14]
            del file[key]
            file[key] = values
    with pytest.raises(InputError, match=r"nyu-.*: expected joints_pred_mm \(N, 36, 3\), found \(11, 14, 3\)"):
        paper_figures.figures_of(of(grid, "nyu"), processed)
    with h5py.File(of(grid, "nyu")[0].predictions, "r+") as file:
        del file["visible"]
    with pytest.raises(InputError, match=r"nyu-.*missing: \['visible'\]"):
        paper_figures.figures_of(of(grid, "nyu"), processed)
    (processed / "stb.h5").unlink()
    with pytest.raises(InputError, match=r"stb\.h5: expected the preprocessed dataset"):
        paper_figures.figures_of(of(grid, "stb", "rgb"), processed)
