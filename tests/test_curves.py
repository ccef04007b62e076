"""Figures 3 to 5 from fabricated predictions: which are made and what they show."""

import itertools
from dataclasses import replace

import h5py
import numpy as np
import pytest

from handvae.base.joints import SKELETON_OF, SKELETONS
from handvae.evaluation import metrics
from handvae.report import curves, paper, results, style
from handvae.report import hands as hands_room
from handvae.report.predictions import read_arrays
from tests.fabricated import predicted as write_predicted
from tests.test_style import CURVES


@pytest.fixture
def predicted(tmp_path):
    return lambda *arguments, **changes: write_predicted(tmp_path, *arguments, **changes)


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


def lines(figure):
    return {line.get_label().split(":")[0]: line for line in figure.axes[0].lines}


def share_at(line, threshold_mm):
    return line.get_ydata()[line.get_xdata() == threshold_mm].item()


def share_of_frames(results, key, joints, threshold_mm):
    """The share of frames whose every one of `joints` is within the threshold, by hand."""
    good = []
    for result in results:
        pred, true = read_arrays(result, key, "joints_true_mm")
        good += [
            all(np.linalg.norm(p[j] - t[j]) <= threshold_mm for j in joints) for p, t in zip(pred, true, strict=True)
        ]
    return sum(good) / len(good)


def of(grid, dataset, input_="depth"):
    return [result for result in grid if result.task == (dataset, input_)]


@pytest.mark.parametrize(
    ("dataset", "input_", "expected"),
    [("rhd", "rgb", "fig04a"), ("rhd", "joints_2d", "fig04a"), ("stb", "rgb", "fig04b")]
    + [("nyu", "depth", "fig05a"), ("icvl", "depth", "fig05b"), ("msra", "depth", "fig05c")],
)
def test_figures_whose_experiments_are_absent_are_left_out(grid, dataset, input_, expected):
    assert list(curves.curves(of(grid, dataset, input_))) == [expected]


@pytest.fixture
def few_labels(predicted):
    """Variants 1 and 3 on STB, by share of labels; the errors are lower than those of any model of `grid`."""
    errors_mm = {(1, 0.1): 7, (3, 0.1): 5, (1, 0.3): 6, (3, 0.3): 4}
    return [
        predicted("stb", "rgb", error, variant=variant, label_fraction=share)
        for (variant, share), error in errors_mm.items()
    ]


def test_figure_3_shows_both_variants_by_share_of_labels(grid, few_labels):
    for one in few_labels:
        with h5py.File(one.predictions, "r+") as file:
            file["mean_pose_mm"][:] += 500  # the baseline is that of the most labels
    figure = curves.curves([*grid, *few_labels])["fig03"]
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
    pose, true, visible = read_arrays(of(grid, "stb", "rgb")[0], "mean_pose_mm", "joints_true_mm", "visible")
    still_mm = metrics.median_over_joints(np.linalg.norm(pose - true, axis=2).astype(float), visible)
    (baseline,) = [line for line in axes.lines if line.get_label() == "mean pose of the training set"]
    assert baseline.get_ydata() == pytest.approx([still_mm] * 2)
    assert axes.get_legend().get_texts()[-1].get_text() == "mean pose of the training set"
    assert figure.get_supxlabel().endswith(f"Data: {few_labels[0].data}.")


def test_figure_3_says_of_how_many_seeds_it_is_and_shows_their_spread(few_labels):
    several = [replace(one, metrics=one.metrics | {"seeds": 3, "epe_median_mm_sd": 0.5}) for one in few_labels[:2]]
    figure = curves.curves([*several, *few_labels[2:]])["fig03"]
    assert figure.get_supxlabel().startswith("Points: mean over 1 or 3 seeds. ")
    spreads = [one for one in figure.axes[0].containers if one.get_label().startswith("_")]
    for spread in spreads:  # of the tenth of the labels, not of the three tenths
        (segment,) = [bar for bar in spread[2][0].get_segments() if len(bar)]
        assert np.ptp(segment[:, 1]) == pytest.approx(1.0) and segment[0, 0] == pytest.approx(10, rel=0.05)
    assert len(spreads) == 2
    of_one = curves.curves(few_labels)["fig03"]
    assert "one model each" in of_one.get_supxlabel() and len(of_one.axes[0].containers) == 2


def test_figure_3_needs_fewer_labels_than_all(grid, few_labels):
    assert "fig03" not in curves.curves(grid)
    one_variant = curves.curves(few_labels[:1])
    assert list(one_variant) == ["fig03"] and style.png_bytes(one_variant["fig03"])


def test_the_shares_of_labels_on_figure_3s_axis_do_not_touch(predicted):
    shares = (0.05, 0.1, 0.2, 0.5, 1.0)
    figure = curves.curves([predicted("stb", "rgb", 9, label_fraction=share) for share in shares])["fig03"]
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].get_xticklabels()]
    assert all(left.x1 + 5 < right.x0 for left, right in itertools.pairwise(boxes))
    legend = figure.axes[0].get_legend().get_window_extent()
    assert legend.y0 >= figure.axes[0].get_window_extent().y1 - 1


def content(figure):
    """What a figure says and shows, without the time that its rendering takes."""
    shown = [(line.get_label(), line.get_xydata().tolist()) for axes in figure.axes for line in axes.lines]
    pictures = [image.get_array().tolist() for axes in figure.axes for image in axes.images]
    return figure.get_suptitle(), figure.get_supxlabel(), shown, pictures


def test_models_of_few_labels_and_of_other_variants_change_no_other_figure(grid, few_labels, predicted):
    others = [predicted("rhd", "rgb", 0.5, variant="cross"), predicted("rhd", "joints_2d", 0.5, variant="separate")]
    others += [predicted("nyu", "depth", 0.5, encoder="resnet18", label_fraction=0.1)]
    plain = curves.curves(grid)
    more = curves.curves([*others, *few_labels, *grid])
    assert set(more) - set(plain) == {"fig03"}
    for name, figure in plain.items():
        assert content(figure) == content(more[name])
    assert results.best_depth_models(others, "nyu") == {}


def test_figure_4_shows_the_best_models_and_the_mean_pose_but_not_the_paper(grid):
    made = curves.curves(grid)
    mean_pose = "mean pose of the training set"
    best = of(grid, "rhd", "rgb")[1]
    lifting, stb = of(grid, "rhd", "joints_2d")[0], of(grid, "stb", "rgb")[0]
    shown = lines(made["fig04a"])
    assert list(shown) == [f"RGB->3D, {best.experiment}", f"2D->3D, {lifting.experiment}", mean_pose]
    assert list(lines(made["fig04b"])) == [f"RGB->3D, {stb.experiment}", mean_pose]
    for key, line in (("joints_pred_mm", shown[f"RGB->3D, {best.experiment}"]), ("mean_pose_mm", shown[mean_pose])):
        pred, true, visible = read_arrays(best, key, "joints_true_mm", "visible")
        right = np.linalg.norm(pred - true, axis=2) <= 20
        assert share_at(line, 20) == pytest.approx(np.mean([right[visible[:, j], j].mean() for j in range(21)]))


def test_figure_4_shows_the_papers_curves_beside_the_published_sets_only(predicted):
    made = curves.curves([predicted(dataset, "rgb", 9, published=True, synthetic=False) for dataset in ("rhd", "stb")])
    shown = lines(made["fig04a"])
    assert list(shown)[2:] == ["the paper, digitised", "[38], digitised"]
    assert shown["the paper, digitised"].get_xydata()[0].tolist() == [21.05, 0.653]
    shown = lines(made["fig04b"])
    assert list(shown)[2:] == [curve["name"] for curve in paper.PCK["stb"]]
    line = shown["the paper"]
    assert line.get_linestyle() == "--" and len(line.get_xdata()) == 12
    np.testing.assert_allclose(line.get_xydata()[[0, -1]], [[8 * 50 / 19, 0.9483], [50, 0.9963]])


def test_figure_4_prints_our_area_by_the_rule_of_the_papers_beside_it(predicted):
    made = curves.curves([predicted("stb", "rgb", 9, published=True, synthetic=False)])
    ours, _, papers, *_ = [line.get_label() for line in made["fig04b"].axes[0].lines]
    assert ours.endswith(": AUC 21.05–50 mm 0.625") and papers == "the paper: AUC 21.05–50 mm 0.983"


def test_the_papers_curves_of_colour_do_not_stand_beside_2d_alone(predicted):
    lifting = predicted("rhd", "joints_2d", 9, published=True, synthetic=False)
    assert len(lines(curves.curves([lifting])["fig04a"])) == 2


def test_figure_5_shows_other_methods_beside_the_published_sets_only(predicted):
    thresholds_mm = np.array([0.0, 40, 80])
    references = {"icvl": [("other: mean 7.0 mm", thresholds_mm, np.array([0, 0.6, 1]))], "nyu": []}
    for published in (True, False):
        models = [predicted(name, "depth", 9, published=published) for name in ("icvl", "nyu")]
        made = curves.curves(models, references)
        assert len(lines(made["fig05a"])) == 2
        assert list(lines(made["fig05b"]))[2:] == ["other"] * published
    line = lines(curves.curves([predicted("icvl", "depth", 9, published=True)], references)["fig05b"])["other"]
    np.testing.assert_array_equal(line.get_xydata(), [[0, 0], [40, 0.6], [80, 1]])


@pytest.mark.parametrize(("name", "dataset"), [("fig05a", "nyu"), ("fig05b", "icvl")])
def test_figure_5_counts_frames_by_their_evaluated_joints(grid, name, dataset):
    models = of(grid, dataset)
    joints = SKELETONS[SKELETON_OF[dataset]].evaluated
    with h5py.File(models[0].predictions, "r+") as file:  # a joint that NYU does not evaluate
        file["joints_pred_mm"][:, 1] += 500 if 1 not in joints else 0
    shown = lines(curves.curves(models)[name])
    assert list(shown) == ["ResNet-18, variant 1", "ResNet-50, variant 1", "mean pose of the training set"]
    whose = [(models[0], "joints_pred_mm"), (models[1], "joints_pred_mm"), (models[0], "mean_pose_mm")]
    for line, (result, key) in zip(shown.values(), whose, strict=True):
        for threshold_mm in (10, 20, 30, 80):
            by_hand = share_of_frames([result], key, joints, threshold_mm)
            assert share_at(line, threshold_mm) == pytest.approx(by_hand)
    assert (line.get_xdata()[0], line.get_xdata()[-1]) == (0, 80)


def test_figure_5_pools_the_frames_of_msras_folds_and_says_how_many_there_are(grid, monkeypatch):
    folds = of(grid, "msra")
    figure = curves.curves(folds)["fig05c"]
    line = lines(figure)["ResNet-18, variant 1, 2 of 9 subjects"]
    for threshold_mm in (15, 25, 35):
        shared = share_of_frames(folds, "joints_pred_mm", range(21), threshold_mm)
        assert share_at(line, threshold_mm) == pytest.approx(shared)
    assert "; 42 test frames of 2 subjects" in figure.get_supxlabel()
    assert figure.get_supxlabel().startswith("Data: MSRA: ")
    monkeypatch.setattr(hands_room, "MSRA_SUBJECTS", ("P0", "P1"))
    assert "ResNet-18, variant 1" in lines(curves.curves(folds)["fig05c"])


def test_the_model_of_most_folds_is_shown_then_that_of_the_lowest_error(predicted):
    whole = [predicted("msra", "depth", 20, subject=subject) for subject in ("P1", "P0")]
    part = [predicted("msra", "depth", 5, subject="P0", variant=2)]
    other = [predicted("msra", "depth", 30, subject="P0", encoder="resnet50")]
    assert results.best_depth_models(part + whole + other, "msra") == {"resnet18": whole, "resnet50": other}
    two = [predicted("nyu", "depth", error, variant=variant) for variant, error in ((1, 9), (3, 8))]
    assert results.best_depth_models(two, "nyu") == {"resnet18": [two[1]]}


@pytest.mark.parametrize("dataset", paper.PCK)
def test_the_printed_curves_have_the_areas_that_the_papers_legends_give(dataset):
    for curve in paper.PCK[dataset]:
        thresholds_mm = np.array(curve.get("thresholds_mm", metrics.THRESHOLDS_21_50_MM))
        shares = np.array(curve["shares"])
        # what was read off a printed figure is right to about two thousandths
        accuracy = 2e-3 if "digitised" in curve["name"] else 5e-4
        area = np.trapezoid(shares, thresholds_mm) / np.ptp(thresholds_mm)
        assert area == pytest.approx(curve["auc"], abs=accuracy), curve["name"]
        assert (
            (np.diff(shares) > 0).all()
            and thresholds_mm[0] in (20, 21.05, metrics.THRESHOLDS_MM[8])
            and thresholds_mm[-1] == 50
        )


def test_printed_curves_keep_their_points_and_look_apart():
    drawn = curves.printed("stb")
    assert [curve.label.split(":")[0] for curve in drawn] == [curve["name"] for curve in paper.PCK["stb"]]
    assert drawn[0].label == "the paper: AUC 21.05–50 mm 0.983"
    assert drawn[-1].label == "PSO, stereo depth: AUC 20–50 mm 0.709"  # measured from 20 mm
    np.testing.assert_array_equal(drawn[-1].thresholds_mm, [20, 25, 30, 35, 40, 45, 50])
    assert drawn[-1].shares[0] == 0.3224
    assert len({(curve.colour, curve.line) for curve in drawn}) == 5
    ours = {(style.RED, "-"), (style.BLUE, "-"), (style.GREY, ":")}
    assert not ours & {(curve.colour, curve.line) for curve in drawn}


def test_methods_look_apart_up_to_eight():
    assert len(set(curves.OTHERS)) == 8


def test_curves_hold_the_numbers_they_were_given():
    axes = curves.curves_figure(CURVES, ("error threshold (mm)", "PCK")).axes[0]
    for line, curve in zip(axes.lines, CURVES, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), curve.thresholds_mm)
        np.testing.assert_array_equal(line.get_ydata(), curve.shares)
        assert (line.get_label(), line.get_color(), line.get_linestyle()) == (curve.label, curve.colour, curve.line)
    assert axes.get_xlabel().endswith("(mm)") and axes.get_xlim() == (0, 80) and axes.get_ylim() == (0, 1)


def test_a_long_legend_takes_nothing_from_the_axes():
    few, many = (curves.curves_figure(CURVES[:1] * count, ("x", "y")) for count in (3, 9))
    heights = []
    for figure in (few, many):
        figure.draw_without_rendering()
        axes = figure.axes[0]
        heights.append(axes.get_window_extent().height)
        assert axes.get_legend().get_window_extent().y0 >= axes.get_window_extent().y1 - 1
    assert heights[1] == pytest.approx(heights[0], rel=0.03)
