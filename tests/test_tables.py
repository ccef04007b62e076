"""The paper's tables and its depth results from results whose numbers are known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from handvae.base.errors import InputError
from handvae.base.joints import NYU_EVALUATED
from handvae.report import paper, tables
from handvae.report.results import Result, best
from tests.fabricated import write_predictions


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
    table = tables.joint_table(GRID, paper.TABLES["table1"])
    assert table["experiment"].tolist() == [f"rhd-{task}-v{v}" for task in ("2d", "rgb") for v in (1, 2, 3, 4)]
    assert table["paper_epe_mean_mm"].tolist() == [17.23, 17.82, 17.14, 17.63, 19.73, 19.99, 20.04, 20.35]
    assert table["epe_mean_mm"].tolist() == [21, 22, 23, 24] * 2
    assert set(table["mean_pose_epe_mm"]) == {41.25}
    medians = tables.joint_table(GRID, paper.TABLES["table5"])
    assert medians["paper_epe_median_mm"].tolist() == [14.68, 15.13, 14.46, 14.83, 16.74, 16.97, 16.96, 17.30]
    assert medians["epe_median_mm"].tolist() == [18, 19, 20, 21] * 2


@pytest.mark.parametrize(
    "printed", [paper.TABLES["table1"], paper.TABLES["table2"], paper.TABLES["table5"], paper.TABLES["table6"]]
)
def test_models_of_few_labels_and_of_other_variants_change_no_table(printed):
    with_others = tables.joint_table([*OTHERS, *GRID, *OTHERS], printed)
    pd.testing.assert_frame_equal(with_others, tables.joint_table(GRID, printed))
    assert best([*OTHERS, *GRID], ("rhd", "rgb")).experiment == "rhd-rgb-v1"


def test_a_renamed_experiment_keeps_its_cell_and_a_removed_one_leaves_it():
    renamed = [replace(one, experiment=f"other-{number}") for number, one in enumerate(GRID)]
    plain, other = (tables.joint_table(results, paper.TABLES["table1"]) for results in (GRID, renamed))
    assert other["experiment"].tolist() == [f"other-{number}" for number in (7, 6, 5, 4, 3, 2, 1, 0)]
    pd.testing.assert_frame_equal(plain.drop(columns="experiment"), other.drop(columns="experiment"))
    fewer = tables.joint_table([one for one in GRID if one.experiment != "rhd-rgb-v2"], paper.TABLES["table1"])
    assert fewer["experiment"].tolist() == [name for name in plain["experiment"] if name != "rhd-rgb-v2"]
    _, rows = tables.joint_text(fewer, paper.TABLES["table1"])
    assert rows[1][3] == "–\npaper 19.99" and rows[1][1].startswith("22.00 [21.50, 22.50]")


def test_the_papers_colour_models_have_a_resnet_18():
    deeper = [result("deep", encoder="resnet50"), result("lifting", "joints_2d", encoder="resnet50")]
    assert tables.joint_table(deeper, paper.TABLES["table1"])["experiment"].tolist() == ["lifting"]


def test_several_seeds_are_shown_with_their_spread_and_every_row_has_its_number_of_seeds():
    several = result("rhd-rgb-v1", metrics=numbers(25.0) | seeds())
    of_one = tables.joint_table(GRID, paper.TABLES["table1"])
    assert of_one["seeds"].tolist() == [1] * 8 and "epe_mean_mm_sd" not in of_one
    assert not any("seed" in cell for row in tables.joint_text(of_one, paper.TABLES["table1"])[1] for cell in row)
    table = tables.joint_table([several, *GRID[4:]], paper.TABLES["table1"])
    assert dict(zip(table["experiment"], table["seeds"], strict=True)) == {
        "rhd-rgb-v1": 3,
        **{f"rhd-2d-v{variant}": 1 for variant in (1, 2, 3, 4)},
    }
    row = table[table["experiment"] == "rhd-rgb-v1"].iloc[0]
    assert (row["seeds"], row["epe_mean_mm"], row["epe_mean_mm_sd"]) == (3, 25, 1.246)
    cells = {row[0]: row for row in tables.joint_text(table, paper.TABLES["table1"])[1]}["Var. 1"]
    assert cells[3].split("\n")[:2] == ["25.00 [24.50, 25.50]", "sd 1.25 over 3 seeds"]
    assert cells[1].split("\n")[1] == "1 seed" and "sd" not in cells[1]
    medians = tables.joint_table([several], paper.TABLES["table5"])
    assert "sd 0.75 over 3 seeds" in tables.joint_text(medians, paper.TABLES["table5"])[1][0][3]


@pytest.mark.parametrize(
    "printed", [paper.TABLES["table1"], paper.TABLES["table2"], paper.TABLES["table5"], paper.TABLES["table6"]]
)
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
    header, rows = tables.joint_text(table, printed)
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
    table = tables.joint_table([published("rhd-rgb-v1", epe_mean_mm=epe_mean_mm)], paper.TABLES["table1"])
    assert table["verdict"].tolist() == [expected] and table["kind"].tolist() == ["published"]
    cell = tables.joint_text(table, paper.TABLES["table1"])[1][0][3]
    assert (
        cell.split("\n")[-1] == expected and f"paper 19.73 (ours {epe_mean_mm - 19.73:+.2f})".replace("-", "−") in cell
    )


@pytest.mark.parametrize(("kind", "synthetic"), [("synthetic", True), ("other data", False)])
def test_what_was_measured_on_other_images_is_not_compared(kind, synthetic):
    close = result("rhd-rgb-v1", epe_mean_mm=19.73, synthetic=synthetic)
    table = tables.joint_table([close], paper.TABLES["table1"])
    assert table["verdict"].tolist() == [f"not comparable ({kind})"] and table["kind"].tolist() == [kind]
    _, rows = tables.joint_text(table, paper.TABLES["table1"])
    assert rows[0][3].endswith(f"paper 19.73 (ours +0.00)\nnot comparable ({kind})")
    assert rows[-1] == ["Mean pose of the training set", "–", "", f"41.25 {kind}", "–"]


def test_other_invariances_and_other_datasets_fill_no_cell():
    others = [result("no-side", variant=2, invariances="T+S"), result("own", dataset="icvl")]
    assert all(
        len(tables.joint_table(others, table)) == 0 for table in (paper.TABLES["table1"], paper.TABLES["table2"])
    )
    _, rows = tables.joint_text(tables.joint_table(others, paper.TABLES["table1"]), paper.TABLES["table1"])
    assert all(cell.startswith("–") for row in rows for cell in row[1:] if cell)


def test_fewer_invariances_are_those_of_the_papers_best_variant():
    fewer = [result("a", variant=1, invariances="T"), result("b", "joints_2d", 3, 30, invariances="T+S")]
    fewer += [result("c", variant=3, dataset="stb", invariances="T+H"), result("d", variant=3, invariances="T")]
    table = tables.joint_table(fewer, paper.TABLES["table2"])
    assert table["experiment"].tolist() == ["b", "a", "c"]
    assert table["paper_epe_mean_mm"].tolist() == [18.90, 22.53, 9.59]
    assert table["difference_mm"].tolist() == pytest.approx([11.1, 2.47, 15.41])
    header, rows = tables.joint_text(tables.joint_table(fewer, paper.TABLES["table6"]), paper.TABLES["table6"])
    assert header == ["", "2D->3D RHD", "2D->3D RHD, all joints", "RGB->3D RHD", "RGB->3D STB"]
    assert rows[0] == ["[38], T+S+H", "paper 18.84", "paper 18.84", "paper 24.49", "paper 7.52"]
    assert rows[2][0] == "ours, T+S"


def test_best_is_the_lowest_mean_of_its_task_only():
    models = [result("a", epe_mean_mm=30), result("b", epe_mean_mm=20), result("c", "joints_2d", epe_mean_mm=10)]
    assert best(models, ("rhd", "rgb")).experiment == "b"
    assert best(models, ("stb", "rgb")) is None


def test_the_papers_tables_agree_with_each_other():
    """Tables 2 and 6 repeat the best variant of each column of Tables 1 and 5."""
    for variants, invariances in (
        (paper.TABLES["table1"], paper.TABLES["table2"]),
        (paper.TABLES["table5"], paper.TABLES["table6"]),
    ):
        for task, lowest in zip(paper.TASKS, (3, 1, 3), strict=True):
            assert variants.cell_mm(lowest, task) == invariances.cell_mm("T+S+H", task)
            assert variants.cell_mm(lowest, task) == min(variants.cell_mm(variant, task) for variant in (1, 2, 3, 4))


def test_models_of_two_sets_fill_rows_of_their_own_whatever_their_variant():
    together = {"variant": 1, "invariances": "T", "trained_on": "rhd+stb"}
    both = [result("both", **together), result("both", dataset="stb", epe_mean_mm=31.0, **together)]
    truth = result("truth", dataset="stb", epe_mean_mm=1.0, **together | {"variant": "separate"})
    own = result("own", variant=3, dataset="stb", invariances="T", epe_mean_mm=32.0)
    table = tables.joint_table([*both, own, truth], paper.TABLES["table2"])
    assert table["experiment"].tolist() == ["both", "own", "both"]
    assert table["trained_on"].tolist() == ["rhd+stb", "stb", "rhd+stb"]
    assert table["paper_epe_mean_mm"].tolist() == [22.53, 9.49, 9.49]
    rows = {row[0]: row[1:] for row in tables.joint_text(table, paper.TABLES["table2"])[1]}
    assert rows["ours, T"][3].startswith("32.00") and rows["ours, T"][2].startswith("–")
    assert [text[:5] for text in rows["ours, T, RHD and STB together"]] == ["–", "–", "25.00", "31.00"]
    assert "ours, T+S, RHD and STB together" not in rows
    assert tables.joint_table(both, paper.TABLES["table1"]).empty and best(both, ("rhd", "rgb")) is None
    assert "trained on RHD and STB" in both[0].data and "trained on" not in own.data


def write_depth(path, errors_mm, names, joints=16, evaluated=None, block=None, further_seeds_mm=()):
    """Predictions that miss every evaluated joint of a frame by that frame's error, and all others by a metre."""
    true_mm = np.random.default_rng(0).normal(0, 50, (len(names), joints, 3)) + [0, 0, 400]
    seeds_mm = []
    for of_seed_mm in (errors_mm, *further_seeds_mm):
        offset_mm = np.full((len(names), joints, 1), 1000.0)
        offset_mm[:, list(evaluated or range(joints)), 0] = np.array(of_seed_mm)[:, None]
        seeds_mm.append(true_mm + offset_mm * [0, 0, 1])
    block = np.arange(len(names)) if block is None else block
    return write_predictions(path, seeds_mm, true_mm, mean_pose_mm=true_mm + [0, 40, 0], block=block, name=names)


def depth_result(path, dataset, encoder="resnet18", test_subject="", **changes):
    settings = {"invariances": "T+H", "encoder": encoder, "test_subject": test_subject, "predictions": path}
    return result(path.stem, "depth", dataset=dataset, **(settings | changes))


def test_icvl_is_reported_on_both_sequences_and_on_the_first_alone(tmp_path):
    names = ["test_seq_1/image_0000", "test_seq_1/image_0001", "test_seq_2/image_0000"]
    one = depth_result(write_depth(tmp_path / "a.h5", [10, 20, 60], names), "icvl")
    other = depth_result(write_depth(tmp_path / "b.h5", [8, 8, 8], names), "icvl", "resnet50")
    table = tables.depth_table([one, other]).set_index(["test", "encoder"])
    assert table["epe_mean_mm"].to_dict() == pytest.approx(
        {
            ("ICVL", "ResNet-18"): 30.0,
            ("ICVL, sequence 1", "ResNet-18"): 15.0,
            ("ICVL", "ResNet-50"): 8.0,
            ("ICVL, sequence 1", "ResNet-50"): 8.0,
        }
    )
    assert table["paper_epe_mean_mm"].tolist() == [8.5, 8.5, 8.0, 8.0] and set(table["kind"]) == {"synthetic"}


def test_folds_are_pooled_frame_by_frame(tmp_path):
    folds = [
        depth_result(
            write_depth(tmp_path / f"p{n}.h5", [error] * n, [f"P{n}/1/{i}" for i in range(n)], 21),
            "msra",
            test_subject=f"P{n}",
        )
        for n, error in ((1, 10), (3, 30))
    ]
    (row,) = tables.depth_table(folds).to_dict("records")
    assert (row["test"], row["frames"]) == ("MSRA15, 2 folds", 4)
    assert row["epe_mean_mm"] == pytest.approx((10 + 3 * 30) / 4) and row["pcf_20"] == 0.25
    assert np.isnan(row["paper_epe_mean_mm"]) and row["mean_pose_epe_mm"] == pytest.approx(40)


def test_only_nyus_fourteen_joints_count(tmp_path):
    path = write_depth(tmp_path / "n.h5", [12, 14], ["test/1", "test/2"], 36, NYU_EVALUATED)
    (row,) = tables.depth_table([depth_result(path, "nyu")]).to_dict("records")
    assert row["epe_mean_mm"] == pytest.approx(13)


def test_a_fold_that_is_there_twice_is_refused(tmp_path):
    path = write_depth(tmp_path / "a.h5", [10], ["P0/1/0"], 21)
    twice = [depth_result(path, "msra", test_subject="P0") for _ in range(2)]
    with pytest.raises(InputError, match="expected one experiment a depth model and fold, found a and a"):
        tables.depth_table(twice)


def test_the_papers_means_are_compared_on_the_published_icvl_alone(tmp_path):
    names = [f"test_seq_1/{number}" for number in range(9)]
    facts = {"synthetic": False, "published": True, "source": "ICVL"}
    icvl = write_depth(tmp_path / "a.h5", np.linspace(7.5, 9.5, 9), names)
    rows = tables.depth_table(
        [
            depth_result(icvl, "icvl", **facts),
            depth_result(icvl, "icvl", "resnet50"),
            depth_result(write_depth(tmp_path / "b.h5", [8.5], ["test/1"], 36), "nyu", **facts),
        ]
    ).to_dict("records")
    assert [row["test"] for row in rows] == ["ICVL", "ICVL, sequence 1"] * 2 + ["NYU"]
    verdicts = ["inside interval"] * 2 + ["not comparable (synthetic)"] * 2 + ["not printed"]
    assert [row["verdict"] for row in rows] == verdicts
    assert [row["difference_mm"] for row in rows[:4]] == pytest.approx([0, 0, 0.5, 0.5], abs=1e-9)
    assert np.isnan(rows[4]["difference_mm"])


def test_depth_models_of_few_labels_and_of_other_variants_are_left_out(tmp_path):
    path = write_depth(tmp_path / "a.h5", [10], ["test/1"])
    others = [depth_result(path, "icvl", label_fraction=0.1), depth_result(path, "icvl", variant="separate")]
    table = tables.depth_table([*others, depth_result(path, "icvl")])
    assert len(table) == 1 and table["variant"].tolist() == [1] and tables.depth_table(others).empty


def test_seeds_are_the_mean_of_pooled_folds_and_of_parts_as_well(tmp_path):
    several = {"metrics": numbers(10.0) | seeds()}
    names = ["test_seq_1/0", "test_seq_2/0"]
    icvl = write_depth(tmp_path / "a.h5", [10, 20], names, further_seeds_mm=([12, 20], [14, 26]))
    folds = [
        depth_result(
            write_depth(tmp_path / f"p{n}.h5", [10 + n], [f"P{n}/1/0"], 21, further_seeds_mm=([20], [30])),
            "msra",
            test_subject=f"P{n}",
            **several,
        )
        for n in (0, 1)
    ]
    table = tables.depth_table([depth_result(icvl, "icvl", **several), *folds])
    assert table["test"].tolist() == ["ICVL", "ICVL, sequence 1", "MSRA15, 2 folds"]
    assert table["seeds"].tolist() == [3, 3, 3]
    assert table["epe_mean_mm"].tolist() == pytest.approx([17, 12, 60.5 / 3], abs=1e-4)
    assert table["epe_mean_mm_sd"].tolist() == pytest.approx([2.6458, 2, np.std([10.5, 20, 30], ddof=1)], abs=1e-4)
    assert table["pcf_20"].tolist() == pytest.approx([5 / 6, 1, 2 / 3], abs=1e-4)
    _, rows = tables.depth_text(table)
    assert "sd 2.65 over 3 seeds" in rows[0][1] and "sd 2.65 over 3 seeds" in rows[0][2]
    assert "1 block of frames: no interval" in rows[1][1]
    alone = tables.depth_table([depth_result(write_depth(tmp_path / "b.h5", [10, 20], names), "icvl")])
    assert alone["seeds"].tolist() == [1, 1] and "epe_mean_mm_sd" not in alone
    assert not any("seed" in cell for row in tables.depth_text(alone)[1] for cell in row)


def test_intervals_stand_on_the_blocks_of_all_folds(tmp_path):
    errors_mm = np.random.default_rng(0).gamma(4, 4, 40)
    pairs = np.arange(40) // 2
    names = [f"test_seq_1/{number}" for number in range(40)]
    rows = [
        tables.depth_table(
            [depth_result(write_depth(tmp_path / name, mm, names[: len(mm)], block=block), "icvl")]
        ).iloc[0]
        for name, mm, block in (("a.h5", errors_mm[::2], None), ("b.h5", errors_mm[::2].repeat(2), pairs))
    ]
    for key in ("epe_mean_mm", "epe_mean_mm_low", "epe_mean_mm_high"):
        assert rows[0][key] == rows[1][key]
    assert [(row["frames"], row["blocks"]) for row in rows] == [(20, 20), (40, 20)]
    folds = [
        depth_result(
            write_depth(tmp_path / f"{n}.h5", errors_mm, [f"P{n}/1/{i}" for i in range(40)], 21, block=pairs),
            "msra",
            test_subject=f"P{n}",
        )
        for n in range(3)
    ]
    assert tables.depth_table(folds)["blocks"].tolist() == [60]


def test_the_text_gives_shares_in_percent_and_the_papers_number_as_printed(tmp_path):
    path = write_depth(tmp_path / "a.h5", [10, 30, 30, 30], [f"test/{number}" for number in range(4)])
    header, rows = tables.depth_text(tables.depth_table([depth_result(path, "icvl")]))
    assert len(header) == len(rows[0])
    cell = rows[0][1].split("\n")
    assert cell[0].startswith("25.00 [") and cell[1:] == ["paper 8.5 (ours +16.50)", "not comparable (synthetic)"]
    assert rows[0][0] == "ICVL, ResNet-18" and rows[0][2:] == ["30.00", "25.0", "100.0", "40.00"]
