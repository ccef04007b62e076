"""The paper's tables and its depth results from results whose numbers are known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from handvae.base.errors import InputError
from handvae.base.joints import NYU_EVALUATED
from handvae.report import paper, tables
from handvae.report.results import best
from tests.fabricated import numbers, published, result, seeds, write_errors, write_predictions

TABLE1, TABLE2, TABLE5, TABLE6 = (paper.TABLES[f"table{number}"] for number in (1, 2, 5, 6))
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


def rows_of(results, printed):
    """The printed table's header and rows as text."""
    return tables.joint_text(tables.joint_table(results, printed), printed)


def test_rows_come_in_the_papers_order_with_the_papers_numbers():
    table = tables.joint_table(GRID, TABLE1)
    assert table["experiment"].tolist() == [f"rhd-{task}-v{v}" for task in ("2d", "rgb") for v in (1, 2, 3, 4)]
    assert table["paper_epe_mean_mm"].tolist() == [17.23, 17.82, 17.14, 17.63, 19.73, 19.99, 20.04, 20.35]
    assert table["epe_mean_mm"].tolist() == [21, 22, 23, 24] * 2 and set(table["mean_pose_epe_mm"]) == {41.25}
    medians = tables.joint_table(GRID, TABLE5)[["paper_epe_median_mm", "epe_median_mm"]].to_numpy().T.tolist()
    assert medians == [[14.68, 15.13, 14.46, 14.83, 16.74, 16.97, 16.96, 17.30], [18, 19, 20, 21] * 2]


def test_models_of_few_labels_and_of_other_variants_change_no_table():
    for printed in paper.TABLES.values():
        with_others = tables.joint_table([*OTHERS, *GRID, *OTHERS], printed)
        pd.testing.assert_frame_equal(with_others, tables.joint_table(GRID, printed))
    assert best([*OTHERS, *GRID], ("rhd", "rgb")).experiment == "rhd-rgb-v1"
    assert best([*OTHERS, *GRID], ("stb", "rgb")) is None


def test_an_experiments_settings_decide_its_cell_and_a_removed_one_leaves_it():
    others = [result("side", variant=2, invariances="T+S"), result("deep", encoder="resnet50")]
    others += [result("own", dataset="icvl"), result("any name", "joints_2d", 2, 22, encoder="resnet50")]
    assert tables.joint_table(others, TABLE1)["experiment"].tolist() == ["any name"]  # joints have no image encoder
    _, rows = rows_of(others, TABLE1)
    assert rows[1][3] == "–\npaper 19.99" and rows[1][1].startswith("22.00 [21.50, 22.50]")
    own = tables.joint_table([result("own", epe_mean_mm=19.73, synthetic=False)], TABLE1)
    assert own[["verdict", "kind"]].to_numpy().tolist() == [["not comparable (other data)", "other data"]]


def test_lifting_stands_over_visible_and_over_all_joints_beside_the_papers_number_and_the_seeds_spread():
    ours = numbers(17.0) | seeds()
    models = [published("lifting", input="joints_2d", metrics=ours), published("colour")]
    first, second = tables.joint_table(models, TABLE1).to_dict("records")
    for key in ("epe_mean_all_joints_mm", "epe_mean_all_joints_mm_low", "epe_mean_all_joints_mm_sd", "epe_mean_mm_sd"):
        assert first[key] == ours[key]
    assert first["paper_epe_mean_all_joints_mm"] == first["paper_epe_mean_mm"] == 17.23
    assert np.isnan(second["epe_mean_all_joints_mm"]) and second["all_joints_verdict"] == ""
    header, rows = rows_of(models, TABLE1)
    columns = [f"{name}, published" for name in ("2D->3D RHD", "2D->3D RHD, all joints", "RGB->3D RHD")]
    assert header == ["", *columns, "RGB->3D STB"]
    visible = "17.00 [16.50, 17.50]\nsd 1.25 over 3 seeds\npaper 17.23 (ours −0.23)\ninside interval"
    every = "19.00 [18.50, 19.50]\nsd 1.50 over 3 seeds\npaper 17.23 (ours +1.77)\noutside"
    assert rows[0][1:3] == [visible, every]
    assert rows[0][3].split("\n")[1] == "1 seed" and "seed" not in str(rows_of(GRID, TABLE1))


@pytest.mark.parametrize(
    ("epe_mean_mm", "expected"),
    [(20.23, "inside interval"), (20.24, "within 5 %"), (20.72, "outside"), (19.22, "within 5 %"), (18.74, "outside")],
)
def test_on_the_published_set_the_verdict_is_whether_the_papers_number_is_in_our_interval(epe_mean_mm, expected):
    model = published("rhd-rgb-v1", epe_mean_mm=epe_mean_mm)
    table = tables.joint_table([model], TABLE1)
    assert table["verdict"].tolist() == [expected] and table["kind"].tolist() == ["published"]
    difference = f"{epe_mean_mm - 19.73:+.2f}".replace("-", "−")
    assert rows_of([model], TABLE1)[1][0][3].endswith(f"\npaper 19.73 (ours {difference})\n{expected}")


def test_fewer_invariances_are_those_of_the_papers_best_variant():
    fewer = [result("a", variant=1, invariances="T"), result("b", "joints_2d", 3, 30, invariances="T+S")]
    fewer += [result("c", variant=3, dataset="stb", invariances="T+H"), result("d", variant=3, invariances="T")]
    table = tables.joint_table(fewer, TABLE2)
    assert table["experiment"].tolist() == ["b", "a", "c"]
    assert table["paper_epe_mean_mm"].tolist() == [18.90, 22.53, 9.59]
    assert table["difference_mm"].tolist() == pytest.approx([11.1, 2.47, 15.41])
    _, rows = rows_of(fewer, TABLE6)
    assert rows[0] == ["[38], T+S+H", *(f"–\npaper {mm}" for mm in ("18.84", "18.84", "24.49", "7.52"))]


def test_the_rival_trained_on_the_same_images_stands_beside_its_printed_numbers_in_tables_2_and_6_alone():
    models = [result("a", variant=1), result("z", variant="zb17", epe_mean_mm=31.0)]
    table = tables.joint_table(models, TABLE2)
    assert table["experiment"].tolist() == ["z", "a"] and table["paper_epe_mean_mm"].tolist() == [30.42, 19.73]
    _, rows = rows_of(models, TABLE2)
    assert rows[0][3].startswith("31.00") and "paper 30.42" in rows[0][3] and rows[0][4] == "–\npaper 8.68"
    assert rows[1][3].startswith("25.00")
    assert tables.joint_table(models, TABLE1)["experiment"].tolist() == ["a"]
    few = result("few", variant="zb17", label_fraction=0.1)
    assert tables.joint_table([few], TABLE2).empty


def test_models_of_two_sets_fill_rows_of_their_own_whatever_their_variant():
    together = {"invariances": "T", "trained_on": "rhd+stb"}
    both = [result("both", **together), result("both", dataset="stb", epe_mean_mm=31.0, **together)]
    truth = result("truth", dataset="stb", epe_mean_mm=1.0, variant="separate", **together)
    own = result("own", variant=3, dataset="stb", invariances="T", epe_mean_mm=32.0)
    table = tables.joint_table([*both, own, truth], TABLE2)
    assert table[["experiment", "trained_on", "paper_epe_mean_mm"]].to_numpy().tolist() == [
        ["both", "rhd+stb", 22.53],
        ["own", "stb", 9.49],
        ["both", "rhd+stb", 9.49],
    ]
    rows = {row[0]: [text[:5] for text in row[3:]] for row in rows_of([*both, own, truth], TABLE2)[1]}
    assert rows["ours, T"] == ["–\npap", "32.00"] and rows["ours, T, RHD and STB together"] == ["25.00", "31.00"]
    assert tables.joint_table(both, TABLE1).empty and best(both, ("rhd", "rgb")) is None
    assert "trained on RHD and STB" in both[0].data and "trained on" not in own.data


def write_depth(path, errors_mm, names, joints=16, **columns):
    """Predictions of one seed (N,), or of several (S, N), that miss every joint of a frame by that frame's error."""
    true_mm = np.random.default_rng(0).normal(0, 50, (len(names), joints, 3)) + [0, 0, 400]
    seeds_mm = [true_mm + np.array(of_seed)[:, None, None] * [0, 0, 1] for of_seed in np.atleast_2d(errors_mm)]
    return write_predictions(path, seeds_mm, true_mm, mean_pose_mm=true_mm + [0, 40, 0], name=names, **columns)


def depth_result(path, dataset, encoder="resnet18", **changes):
    settings = {"invariances": "T+H", "encoder": encoder, "predictions": path}
    return result(path.stem, "depth", dataset=dataset, **(settings | changes))


def icvl(path, errors_mm, encoder="resnet18", sequences=None, **changes):
    """A model of ICVL; `sequences`: that of each frame, the first if it is not said."""
    frames = np.shape(errors_mm)[-1]
    names = [f"test_seq_{sequence}/{number}" for number, sequence in enumerate(sequences or [1] * frames)]
    return depth_result(write_depth(path, errors_mm, names), "icvl", encoder, **changes)


def msra_fold(folder, number, errors_mm, columns=None, **changes):
    names = [f"P{number}/1/{frame}" for frame in range(np.shape(errors_mm)[-1])]
    path = write_depth(folder / f"p{number}.h5", errors_mm, names, 21, **(columns or {}))
    return depth_result(path, "msra", test_subject=f"P{number}", **changes)


def test_icvl_is_reported_on_both_sequences_and_on_the_first_alone(tmp_path):
    models = [icvl(tmp_path / "a.h5", [10, 20, 60], sequences=[1, 1, 2])]
    models.append(icvl(tmp_path / "b.h5", [8, 8, 8], "resnet50", sequences=[1, 1, 2]))
    others = [replace(models[0], label_fraction=0.1), replace(models[0], variant="separate")]
    table = tables.depth_table([*others, *models])
    assert table[["test", "encoder"]].to_numpy().tolist() == [
        [test, encoder] for encoder in ("ResNet-18", "ResNet-50") for test in ("ICVL", "ICVL, sequence 1")
    ]
    assert table["epe_mean_mm"].tolist() == pytest.approx([30, 15, 8, 8])
    assert table["paper_epe_mean_mm"].tolist() == [8.5, 8.5, 8.0, 8.0] and set(table["kind"]) == {"synthetic"}
    _, rows = tables.depth_text(table)
    cell = rows[0][1].split("\n")
    assert cell[0].startswith("30.00 [") and cell[1:] == ["paper 8.5"]  # of other images: no difference, no verdict
    # median, frames within 20 and within 40 mm, mean pose
    assert rows[0][0] == "ICVL, ResNet-18, synthetic" and rows[0][2:] == ["20.00", "66.7", "66.7", "40.00"]


def test_folds_are_pooled_frame_by_frame_and_none_may_be_there_twice(tmp_path):
    folds = [msra_fold(tmp_path, 1, [10]), msra_fold(tmp_path, 3, [30, 30, 30], {"block": [0, 0, 1]})]
    (row,) = tables.depth_table(folds).to_dict("records")
    assert (row["test"], row["frames"], row["blocks"]) == ("MSRA15, 2 folds", 4, 1 + 2)
    assert row["epe_mean_mm"] == pytest.approx((10 + 3 * 30) / 4) and row["pcf_20"] == 0.25
    assert np.isnan(row["paper_epe_mean_mm"]) and row["mean_pose_epe_mm"] == pytest.approx(40)
    with pytest.raises(InputError, match="expected one experiment a depth model and fold, found p1 and p1"):
        tables.depth_table([*folds, folds[0]])


def test_only_nyus_fourteen_joints_count(tmp_path):
    errors_mm = np.full((2, 36), 1000.0)
    errors_mm[:, NYU_EVALUATED] = [[12], [14]]
    path = write_errors(tmp_path / "n.h5", errors_mm)
    (row,) = tables.depth_table([depth_result(path, "nyu")]).to_dict("records")
    assert row["epe_mean_mm"] == pytest.approx(13)


def test_the_papers_means_are_compared_on_the_published_icvl_alone(tmp_path):
    facts = {"synthetic": False, "published": True, "source": "ICVL"}
    nyu = write_depth(tmp_path / "b.h5", [8.5], ["test/1"], 36)
    first = icvl(tmp_path / "a.h5", np.linspace(7.5, 9.5, 9), **facts)
    synthetic = replace(first, encoder="resnet50", published=False, synthetic=True)
    table = tables.depth_table([first, synthetic, depth_result(nyu, "nyu", **facts)])
    assert table["test"].tolist() == ["ICVL", "ICVL, sequence 1"] * 2 + ["NYU"]
    verdicts = ["inside interval"] * 2 + ["not comparable (synthetic)"] * 2 + ["not printed"]
    assert table["verdict"].tolist() == verdicts
    assert table["difference_mm"].tolist() == pytest.approx([0, 0, 0.5, 0.5, np.nan], abs=1e-9, nan_ok=True)


def test_seeds_are_the_mean_of_pooled_folds_and_of_parts_as_well(tmp_path):
    several = {"metrics": numbers(10.0) | seeds()}
    models = [icvl(tmp_path / "a.h5", [[10, 20], [12, 20], [14, 26]], sequences=[1, 2], **several)]
    models += [msra_fold(tmp_path, n, [[10 + n], [20], [30]], **several) for n in (0, 1)]
    table = tables.depth_table(models)
    assert table["test"].tolist() == ["ICVL", "ICVL, sequence 1", "MSRA15, 2 folds"]
    assert table["seeds"].tolist() == [3, 3, 3]
    assert table["epe_mean_mm"].tolist() == pytest.approx([17, 12, 60.5 / 3], abs=1e-4)
    assert table["epe_mean_mm_sd"].tolist() == pytest.approx([2.6458, 2, np.std([10.5, 20, 30], ddof=1)], abs=1e-4)
    assert table["pcf_20"].tolist() == pytest.approx([5 / 6, 1, 2 / 3], abs=1e-4)
    _, rows = tables.depth_text(table)
    assert "sd 2.65 over 3 seeds" in rows[0][1] and "1 block of frames: no interval" in rows[1][1]
