"""Figures 3 to 5 from fabricated predictions: which are made and what they show."""

from dataclasses import replace
from functools import partial

import h5py
import numpy as np
import pytest

from handvae.base.joints import SKELETON_OF, SKELETONS
from handvae.evaluation import metrics
from handvae.report import curves, paper, results
from handvae.report import hands as hands_room
from handvae.report.predictions import read_arrays
from tests.fabricated import predicted as write_predicted

MEAN_POSE = "mean pose of the training set"


@pytest.fixture
def predicted(tmp_path):
    return partial(write_predicted, tmp_path)


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """Results by task."""
    made = partial(write_predicted, tmp_path_factory.mktemp("grid"))
    tasks = {
        ("rhd", "rgb"): [made("rhd", "rgb", 25), made("rhd", "rgb", 20, variant=2)],
        ("rhd", "joints_2d"): [made("rhd", "joints_2d", 10, variant=3)],
        ("stb", "rgb"): [made("stb", "rgb", 9, variant=3)],
        ("msra", "depth"): [made("msra", "depth", 10, subject=subject) for subject in ("P0", "P1")],
    }
    tasks["rhd", "rgb"].append(made("rhd", "rgb", 1, invariances="T"))  # better, but not of the figures' kind
    for dataset in ("icvl", "nyu"):
        tasks[dataset, "depth"] = [made(dataset, "depth", 12), made(dataset, "depth", 9, encoder="resnet50")]
    with h5py.File(tasks["nyu", "depth"][0].predictions, "r+") as file:
        file["joints_pred_mm"][:, 1] += 500  # a joint that NYU does not evaluate
    return tasks


@pytest.fixture(scope="module")
def few_labels(tmp_path_factory):
    """Variants 1 and 3 on STB, by share of labels; the errors are lower than those of any model of `grid`."""
    made = partial(write_predicted, tmp_path_factory.mktemp("few"), "stb", "rgb")
    errors_mm = {(1, 0.1): 7, (3, 0.1): 5, (1, 0.3): 6, (3, 0.3): 4}
    models = [made(mm, variant=variant, label_fraction=share) for (variant, share), mm in errors_mm.items()]
    for model in models:
        with h5py.File(model.predictions, "r+") as file:
            file["mean_pose_mm"][:] += 500  # the baseline is that of the most labels
    return models


@pytest.fixture(scope="module")
def figures(grid):
    return curves.curves([model for models in grid.values() for model in models])


def lines(figure):
    return {line.get_label().split(":")[0]: line for line in figure.figure.axes[0].lines}


def share_at(line, threshold_mm):
    return line.get_ydata()[line.get_xdata() == threshold_mm].item()


def share_of_frames(models, key, joints, threshold_mm):
    """The share of frames whose every one of `joints` is within the threshold, by hand."""
    good = []
    for model in models:
        poses = zip(*read_arrays(model, key, "joints_true_mm"), strict=True)
        good += [all(np.linalg.norm(p[j] - t[j]) <= threshold_mm for j in joints) for p, t in poses]
    return sum(good) / len(good)


def test_figures_whose_experiments_are_absent_are_left_out(grid, figures):
    assert sorted(figures) == ["fig04a", "fig04b", "fig05a", "fig05b", "fig05c"]  # none has fewer labels
    for task, expected in (("rhd", "joints_2d"), "fig04a"), (("stb", "rgb"), "fig04b"), (("msra", "depth"), "fig05c"):
        assert list(curves.curves(grid[task])) == [expected]


def test_figure_3_shows_both_variants_by_share_of_labels(grid, few_labels):
    (all_labels,) = grid["stb", "rgb"]
    figure = curves.curves([*few_labels, all_labels])["fig03"]
    axes = figure.figure.axes[0]
    assert axes.get_xscale() == "log" and [text.get_text() for text in axes.get_xticklabels()] == ["10", "30", "100"]
    # with all labels there is variant 3 alone in this grid
    expected = {"variant 1": ([10, 30], [4, 3]), "variant 3": ([10, 30, 100], [2, 1, 6])}
    drawn = {container.get_label().split(",")[0]: container for container in axes.containers}
    assert list(drawn) == list(expected)
    for name, (percent, medians_mm) in expected.items():
        line, _, (bars,) = drawn[name]
        np.testing.assert_allclose(line.get_xdata(), percent, rtol=0.05)
        np.testing.assert_array_equal(line.get_ydata(), medians_mm)
        ends = np.array(bars.get_segments())[:, :, 1]
        np.testing.assert_allclose(ends, np.array(medians_mm)[:, None] + [-0.5, 0.5])
    pose, true, visible = read_arrays(all_labels, "mean_pose_mm", "joints_true_mm", "visible")
    still_mm = metrics.median_over_joints(np.linalg.norm(pose - true, axis=2).astype(float), visible)
    assert lines(figure)[MEAN_POSE].get_ydata() == pytest.approx([still_mm] * 2)
    assert figure.caption.endswith(f"Data: {few_labels[0].data}.")


def test_figure_3_says_of_how_many_seeds_it_is_and_shows_their_spread(few_labels):
    seeds = {"seeds": 3, "epe_median_mm_sd": 0.5}
    several = [replace(model, metrics=model.metrics | seeds) for model in few_labels[:2]]
    figure = curves.curves([*several, *few_labels[2:]])["fig03"]
    assert figure.caption.startswith("Points: mean over 1 or 3 seeds. ")
    spreads = [drawn for drawn in figure.figure.axes[0].containers if drawn.get_label().startswith("_")]
    assert len(spreads) == 2
    for spread in spreads:  # of the tenth of the labels, not of the three tenths
        (segment,) = [bar for bar in spread[2][0].get_segments() if len(bar)]
        assert np.ptp(segment[:, 1]) == pytest.approx(1.0) and segment[0, 0] == pytest.approx(10, rel=0.05)
    of_one = curves.curves(few_labels)["fig03"]
    assert "Each point is one model" in of_one.caption and len(of_one.figure.axes[0].containers) == 2


def test_figure_4_shows_the_best_models_and_the_mean_pose_but_not_the_paper(grid, figures):
    best, lifting, stb = grid["rhd", "rgb"][1], grid["rhd", "joints_2d"][0], grid["stb", "rgb"][0]
    drawn = lines(figures["fig04a"])
    assert list(drawn) == [f"RGB->3D, {best.experiment}", f"2D->3D, {lifting.experiment}", MEAN_POSE]
    assert list(lines(figures["fig04b"])) == [f"RGB->3D, {stb.experiment}", MEAN_POSE]
    for key, name in (("joints_pred_mm", f"RGB->3D, {best.experiment}"), ("mean_pose_mm", MEAN_POSE)):
        pred, true, visible = read_arrays(best, key, "joints_true_mm", "visible")
        right = np.linalg.norm(pred - true, axis=2) <= 20
        assert share_at(drawn[name], 20) == pytest.approx(np.mean([right[visible[:, j], j].mean() for j in range(21)]))


def test_figure_4_shows_the_rival_trained_on_the_same_images_dashed(predicted):
    ours, rival = predicted("rhd", "rgb", 9), replace(predicted("rhd", "rgb", 12), experiment="z", variant="zb17")
    drawn = lines(curves.curves([ours, rival])["fig04a"])
    assert list(drawn) == [f"RGB->3D, {ours.experiment}", "RGB->3D, [38], trained here", MEAN_POSE]
    first, second, _ = drawn.values()
    assert (first.get_linestyle(), second.get_linestyle()) == ("-", "--") and first.get_color() == second.get_color()
    assert "fig04a" not in curves.curves([rival])
    captions = [curves.curves(models)["fig04a"].caption for models in ([ours, rival], [ours])]
    assert ["[38]" in caption for caption in captions] == [True, False]


def test_figure_4_shows_the_papers_curves_beside_the_published_sets_only(predicted):
    ours = [predicted(dataset, "rgb", 9, published=True, synthetic=False) for dataset in ("rhd", "stb")]
    made = curves.curves(ours)
    drawn = lines(made["fig04a"])
    assert list(drawn)[2:] == ["the paper, digitised", "[38], digitised"]
    assert drawn["the paper, digitised"].get_xydata()[0].tolist() == [21.05, 0.653]
    drawn = lines(made["fig04b"])
    assert list(drawn)[2:] == [curve["name"] for curve in paper.PCK["stb"]]
    assert next(reversed(drawn.values())).get_label() == "PSO, stereo depth: AUC 20–50 mm 0.709"  # begins at 20 mm
    line = drawn["the paper"]
    np.testing.assert_allclose(line.get_xydata()[[0, -1]], [[8 * 50 / 19, 0.9483], [50, 0.9963]])
    # our area by the rule of the paper's
    labels = [line.get_label() for line in made["fig04b"].figure.axes[0].lines]
    assert labels[0].endswith(": AUC 21.05–50 mm 0.500") and labels[2] == "the paper: AUC 21.05–50 mm 0.983"
    lifting = predicted("rhd", "joints_2d", 9, published=True, synthetic=False)
    assert len(lines(curves.curves([lifting])["fig04a"])) == 2  # the paper's are of colour


def test_figure_5_shows_other_methods_beside_the_published_sets_only(predicted):
    thresholds_mm = np.array([0.0, 40, 80])
    references = {"icvl": [("other: mean 7.0 mm", thresholds_mm, np.array([0, 0.6, 1]))], "nyu": []}
    models = [predicted(name, "depth", 9) for name in ("icvl", "nyu")]
    made = curves.curves([replace(model, published=True) for model in models], references)
    assert len(lines(made["fig05a"])) == 2 and list(lines(made["fig05b"]))[2:] == ["other"]
    np.testing.assert_array_equal(lines(made["fig05b"])["other"].get_xydata(), [[0, 0], [40, 0.6], [80, 1]])
    assert len(lines(curves.curves(models, references)["fig05b"])) == 2


@pytest.mark.parametrize(("name", "dataset"), [("fig05a", "nyu"), ("fig05b", "icvl"), ("fig05c", "msra")])
def test_figure_5_counts_frames_by_their_evaluated_joints_and_pools_folds(grid, figures, name, dataset):
    joints, drawn = SKELETONS[SKELETON_OF[dataset]].evaluated, lines(figures[name])
    if dataset == "msra":
        models = {"ResNet-18, variant 1, 2 of 9 subjects": grid[dataset, "depth"]}
    else:
        models = {f"ResNet-{18 + 32 * deep}, variant 1": [grid[dataset, "depth"][deep]] for deep in (0, 1)}
    assert list(drawn) == [*models, MEAN_POSE]
    whose = [(label, model, "joints_pred_mm") for label, model in models.items()]
    for label, model, key in [*whose, (MEAN_POSE, whose[0][1], "mean_pose_mm")]:
        for threshold_mm in (10, 15, 20, 25, 30, 80):
            by_hand = share_of_frames(model, key, joints, threshold_mm)
            assert share_at(drawn[label], threshold_mm) == pytest.approx(by_hand)


def test_figure_5_says_how_many_frames_and_subjects_are_pooled(grid, figures, monkeypatch):
    caption = figures["fig05c"].caption
    assert caption.startswith("Data: MSRA: ") and "; 42 test frames of 2 subjects" in caption
    monkeypatch.setattr(hands_room, "MSRA_SUBJECTS", ("P0", "P1"))
    assert "ResNet-18, variant 1" in lines(curves.curves(grid["msra", "depth"])["fig05c"])


def test_the_model_of_most_folds_is_shown_then_that_of_the_lowest_error(predicted):
    whole = [predicted("msra", "depth", 20, subject=subject) for subject in ("P1", "P0")]
    part = [predicted("msra", "depth", 5, subject="P0", variant=2)]
    other = [predicted("msra", "depth", 30, subject="P0", encoder="resnet50")]
    assert results.best_depth_models(part + whole + other, "msra") == {"resnet18": whole, "resnet50": other}
    two = [predicted("nyu", "depth", error, variant=variant) for variant, error in ((1, 9), (3, 8))]
    few_labels = predicted("nyu", "depth", 0.5, label_fraction=0.1)
    assert results.best_depth_models([*two, few_labels], "nyu") == {"resnet18": [two[1]]}
