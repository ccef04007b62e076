from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from handvae.report import paper, tables
from handvae.report.results import Result


def numbers(epe_mean_mm):
    both = {"epe_mean_mm": epe_mean_mm, "epe_median_mm": epe_mean_mm - 3}
    both |= {"epe_mean_all_joints_mm": epe_mean_mm + 2, "epe_median_all_joints_mm": epe_mean_mm - 2}
    intervals = {
        f"{name}{end}": value + shift for name, value in both.items() for end, shift in (("_low", -0.5), ("_high", 0.5))
    }
    return {
        **both,
        **intervals,
        "auc_20_50": 0.5,
        "auc_21_50": 0.5,
        "auc_0_50": 0.3,
        "mean_pose_epe_mm": 41.25,
        "frames": 2728,
        "blocks": 2728,
    }


def seeds(count=3):
    """What the metrics of a row of several models say besides."""
    deviations = {"epe_mean_mm": 1.246, "epe_median_mm": 0.746}
    deviations |= {"epe_mean_all_joints_mm": 1.5, "epe_median_all_joints_mm": 0.5}
    return {"seeds": count} | {f"{name}_sd": value for name, value in deviations.items()}


def result(experiment, input="rgb", variant=1, epe_mean_mm=25.0, **changes):
    plain = Result(
        *(experiment, "rhd", input, variant, "T+S+H", "resnet18", "", 1.0),
        *("small", "synthetic hands, 2,000 training images"),
        *(True, False, numbers(epe_mean_mm), Path("none.h5")),
    )
    return replace(plain, **changes)


def published(experiment, **changes):
    return result(experiment, **({"source": "RHD", "synthetic": False, "published": True} | changes))


GRID = [
    result(f"rhd-{short}-v{variant}", name, variant, 20 + variant)
    for short, name in (("rgb", "rgb"), ("2d", "joints_2d"))
    for variant in (4, 3, 2, 1)
]
# what no table of joint errors is about
OTHERS = [
    result("stb-cross", variant="cross", epe_mean_mm=1),
    result("stb-separate", variant="separate", epe_mean_mm=1),
    result("rhd-rgb-v1-l10", variant=1, epe_mean_mm=1, label_fraction=0.1),
]


def test_rows_come_in_the_papers_order_with_the_papers_numbers():
    table = tables.joint_table(GRID, paper.TABLE1)
    assert table["experiment"].tolist() == [f"rhd-{task}-v{v}" for task in ("2d", "rgb") for v in (1, 2, 3, 4)]
    assert table["paper_epe_mean_mm"].tolist() == [17.23, 17.82, 17.14, 17.63, 19.73, 19.99, 20.04, 20.35]
    assert table["epe_mean_mm"].tolist() == [21, 22, 23, 24] * 2
    assert set(table["mean_pose_epe_mm"]) == {41.25}
    medians = tables.joint_table(GRID, paper.TABLE5)
    assert medians["paper_epe_median_mm"].tolist() == [14.68, 15.13, 14.46, 14.83, 16.74, 16.97, 16.96, 17.30]
    assert medians["epe_median_mm"].tolist() == [18, 19, 20, 21] * 2


@pytest.mark.parametrize("printed", [paper.TABLE1, paper.TABLE2, paper.TABLE5, paper.TABLE6])
def test_models_of_few_labels_and_of_other_variants_change_no_table(printed):
    with_others = tables.joint_table([*OTHERS, *GRID, *OTHERS], printed)
    pd.testing.assert_frame_equal(with_others, tables.joint_table(GRID, printed))
    assert tables.best([*OTHERS, *GRID], ("rhd", "rgb")).experiment == "rhd-rgb-v1"


def test_a_renamed_experiment_keeps_its_cell_and_a_removed_one_leaves_it():
    renamed = [replace(one, experiment=f"other-{number}") for number, one in enumerate(GRID)]
    plain, other = (tables.joint_table(results, paper.TABLE1) for results in (GRID, renamed))
    assert other["experiment"].tolist() == [f"other-{number}" for number in (7, 6, 5, 4, 3, 2, 1, 0)]
    pd.testing.assert_frame_equal(plain.drop(columns="experiment"), other.drop(columns="experiment"))
    fewer = tables.joint_table([one for one in GRID if one.experiment != "rhd-rgb-v2"], paper.TABLE1)
    assert fewer["experiment"].tolist() == [name for name in plain["experiment"] if name != "rhd-rgb-v2"]
    _, rows = tables.matrix(fewer, paper.TABLE1)
    assert rows[1][3] == "–\npaper 19.99" and rows[1][1].startswith("22.00 [21.50, 22.50]")


def test_two_experiments_of_one_cell_both_stand_in_it_under_their_names():
    twice = [result("seed-0", epe_mean_mm=25), result("seed-1", epe_mean_mm=26)]
    _, rows = tables.matrix(tables.joint_table(twice, paper.TABLE1), paper.TABLE1)
    lines = rows[0][3].split("\n")
    assert (lines[0], lines[1], lines[4], lines[5]) == (
        "seed-0:",
        "25.00 [24.50, 25.50]",
        "seed-1:",
        "26.00 [25.50, 26.50]",
    )


def test_the_papers_colour_models_have_a_resnet_18():
    deeper = [result("deep", encoder="resnet50"), result("lifting", "joints_2d", encoder="resnet50")]
    assert tables.joint_table(deeper, paper.TABLE1)["experiment"].tolist() == ["lifting"]


def test_an_empty_table_has_the_columns_of_a_full_one():
    for printed in (paper.TABLE1, paper.TABLE5):
        full, empty = tables.joint_table(GRID, printed), tables.joint_table([], printed)
        assert list(empty.columns) == list(full.columns) and empty.empty


def test_several_seeds_are_shown_with_their_spread_and_every_row_has_its_number_of_seeds():
    several = result("rhd-rgb-v1", metrics=numbers(25.0) | seeds())
    of_one = tables.joint_table(GRID, paper.TABLE1)
    assert of_one["seeds"].tolist() == [1] * 8 and "epe_mean_mm_sd" not in of_one
    assert not any("seed" in cell for row in tables.matrix(of_one, paper.TABLE1)[1] for cell in row)
    table = tables.joint_table([several, *GRID[4:]], paper.TABLE1)
    assert dict(zip(table["experiment"], table["seeds"], strict=True)) == {
        "rhd-rgb-v1": 3,
        **{f"rhd-2d-v{variant}": 1 for variant in (1, 2, 3, 4)},
    }
    row = table[table["experiment"] == "rhd-rgb-v1"].iloc[0]
    assert (row["seeds"], row["epe_mean_mm"], row["epe_mean_mm_sd"]) == (3, 25, 1.246)
    cells = {row[0]: row for row in tables.matrix(table, paper.TABLE1)[1]}["Var. 1"]
    assert cells[3].split("\n")[:2] == ["25.00 [24.50, 25.50]", "sd 1.25 over 3 seeds"]
    assert cells[1].split("\n")[1] == "1 seed" and "sd" not in cells[1]
    medians = tables.joint_table([several], paper.TABLE5)
    assert "sd 0.75 over 3 seeds" in tables.matrix(medians, paper.TABLE5)[1][0][3]


@pytest.mark.parametrize("printed", [paper.TABLE1, paper.TABLE2, paper.TABLE5, paper.TABLE6])
def test_lifting_stands_over_visible_and_over_all_joints_beside_the_papers_number(printed):
    statistic, (row, paper_mm) = printed.statistic, next(iter(printed.rows_mm.items()))
    (variant, invariances), ours = printed.model(row, ("rhd", "joints_2d")), numbers(17.0) | seeds()
    lifting = published("lifting", input="joints_2d", variant=variant, invariances=invariances, metrics=ours)
    colour = published("colour", variant=printed.model(row, ("rhd", "rgb"))[0])
    table = tables.joint_table([lifting, colour], printed)
    name = statistic.replace("_mm", "_all_joints_mm")
    first, second = table.to_dict("records")
    assert (first[name], first[f"{name}_low"], first[f"{name}_sd"]) == tuple(
        ours[f"{name}{end}"] for end in ("", "_low", "_sd")
    )
    assert first[f"paper_{name}"] == first[f"paper_{statistic}"] == paper_mm[0]
    assert np.isnan(second[name]) and second["all_joints_verdict"] == ""
    header, rows = tables.matrix(table, printed)
    assert header == ["", "2D->3D RHD", "2D->3D RHD, all joints", "RGB->3D RHD", "RGB->3D STB"]
    (line,) = [line for line in rows if line[0] in (f"Var. {row}", f"ours, {row}")]
    text = line[2].split("\n")
    assert text[0].startswith(f"{ours[name]:.2f} [") and text[2].startswith(f"paper {paper_mm[0]:.2f} (ours ")
    assert text[3] == first["all_joints_verdict"] != ""
    if "[38], T+S+H" in rows[0]:
        assert rows[0][1] == rows[0][2] == f"paper {paper.BASELINE_MM[statistic][0]:.2f}"


@pytest.mark.parametrize(
    ("epe_mean_mm", "expected"),
    [
        (19.73, "inside interval"),
        (20.23, "inside interval"),
        (20.24, "within 5 %"),
        (19.23, "inside interval"),
        (19.22, "within 5 %"),
        (20.72, "outside"),
        (18.74, "outside"),
    ],
)
def test_on_the_published_set_the_verdict_is_whether_the_papers_number_is_in_our_interval(epe_mean_mm, expected):
    table = tables.joint_table([published("rhd-rgb-v1", epe_mean_mm=epe_mean_mm)], paper.TABLE1)
    assert table["verdict"].tolist() == [expected] and table["kind"].tolist() == ["published"]
    cell = tables.matrix(table, paper.TABLE1)[1][0][3]
    assert (
        cell.split("\n")[-1] == expected and f"paper 19.73 (ours {epe_mean_mm - 19.73:+.2f})".replace("-", "−") in cell
    )


@pytest.mark.parametrize(("kind", "synthetic"), [("synthetic", True), ("other data", False)])
def test_what_was_measured_on_other_images_is_not_compared(kind, synthetic):
    close = result("rhd-rgb-v1", epe_mean_mm=19.73, synthetic=synthetic)
    table = tables.joint_table([close], paper.TABLE1)
    assert table["verdict"].tolist() == [f"not comparable ({kind})"] and table["kind"].tolist() == [kind]
    _, rows = tables.matrix(table, paper.TABLE1)
    assert rows[0][3].endswith(f"paper 19.73 (ours +0.00)\nnot comparable ({kind})")
    assert rows[-1] == ["Mean pose of the training set", "–", "", f"41.25 {kind}", "–"]


def test_a_number_that_the_paper_does_not_print_has_no_verdict():
    assert tables.verdict(published("x"), (1.0, 0.5, 1.5), None) == "not printed"


def test_other_invariances_and_other_datasets_fill_no_cell():
    others = [result("no-side", variant=2, invariances="T+S"), result("own", dataset="icvl")]
    assert all(len(tables.joint_table(others, table)) == 0 for table in (paper.TABLE1, paper.TABLE2))
    _, rows = tables.matrix(tables.joint_table(others, paper.TABLE1), paper.TABLE1)
    assert all(cell.startswith("–") for row in rows for cell in row[1:] if cell)


def test_fewer_invariances_are_those_of_the_papers_best_variant():
    fewer = [result("a", variant=1, invariances="T"), result("b", "joints_2d", 3, 30, invariances="T+S")]
    fewer += [result("c", variant=3, dataset="stb", invariances="T+H"), result("d", variant=3, invariances="T")]
    table = tables.joint_table(fewer, paper.TABLE2)
    assert table["experiment"].tolist() == ["b", "a", "c"]
    assert table["paper_epe_mean_mm"].tolist() == [18.90, 22.53, 9.59]
    assert table["difference_mm"].tolist() == pytest.approx([11.1, 2.47, 15.41])
    header, rows = tables.matrix(tables.joint_table(fewer, paper.TABLE6), paper.TABLE6)
    assert header == ["", "2D->3D RHD", "2D->3D RHD, all joints", "RGB->3D RHD", "RGB->3D STB"]
    assert rows[0] == ["[38], T+S+H", "paper 18.84", "paper 18.84", "paper 24.49", "paper 7.52"]
    assert rows[2][0] == "ours, T+S"


def test_best_is_the_lowest_mean_of_its_task_only():
    results = [result("a", epe_mean_mm=30), result("b", epe_mean_mm=20), result("c", "joints_2d", epe_mean_mm=10)]
    assert tables.best(results, ("rhd", "rgb")).experiment == "b"
    assert tables.best(results, ("stb", "rgb")) is None


def test_the_papers_tables_agree_with_each_other():
    """Tables 2 and 6 repeat the best variant of each column of Tables 1 and 5."""
    for variants, invariances in ((paper.TABLE1, paper.TABLE2), (paper.TABLE5, paper.TABLE6)):
        for task, best in zip(paper.TASKS, (3, 1, 3), strict=True):
            assert variants.cell_mm(best, task) == invariances.cell_mm("T+S+H", task)
            assert variants.cell_mm(best, task) == min(variants.cell_mm(variant, task) for variant in (1, 2, 3, 4))


def test_models_of_two_sets_fill_rows_of_their_own_whatever_their_variant():
    together = {"variant": 1, "invariances": "T", "trained_on": "rhd+stb"}
    both = [result("both", **together), result("both", dataset="stb", epe_mean_mm=31.0, **together)]
    truth = result("truth", dataset="stb", epe_mean_mm=1.0, **together | {"variant": "separate"})
    own = result("own", variant=3, dataset="stb", invariances="T", epe_mean_mm=32.0)
    table = tables.joint_table([*both, own, truth], paper.TABLE2)
    assert table["experiment"].tolist() == ["both", "own", "both"]
    assert table["trained_on"].tolist() == ["rhd+stb", "stb", "rhd+stb"]
    assert table["paper_epe_mean_mm"].tolist() == [22.53, 9.49, 9.49]
    rows = {row[0]: row[1:] for row in tables.matrix(table, paper.TABLE2)[1]}
    assert rows["ours, T"][3].startswith("32.00") and rows["ours, T"][2].startswith("–")
    assert [text[:5] for text in rows["ours, T, RHD and STB together"]] == ["–", "–", "25.00", "31.00"]
    assert "ours, T+S, RHD and STB together" not in rows
    assert tables.joint_table(both, paper.TABLE1).empty and tables.best(both, ("rhd", "rgb")) is None
    assert "trained on RHD and STB" in both[0].data and "trained on" not in own.data
