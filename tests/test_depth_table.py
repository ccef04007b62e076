import h5py
import numpy as np
import pytest

from handvae.base.errors import InputError
from handvae.base.joints import NYU_EVALUATED
from handvae.report import depth_table
from tests.test_tables import numbers, result, seeds


def write(path, errors_mm, names, joints=16, evaluated=None, block=None, further_seeds_mm=()):
    """Predictions that miss every evaluated joint of a frame by that frame's error, and all others by a metre."""
    frames = len(errors_mm)
    true_mm = np.random.default_rng(0).normal(0, 50, (frames, joints, 3)) + [0, 0, 400]
    with h5py.File(path, "w") as file:
        for number, of_seed_mm in enumerate((errors_mm, *further_seeds_mm)):
            offset_mm = np.full((frames, joints), 1000.0)
            offset_mm[:, list(evaluated or range(joints))] = np.array(of_seed_mm)[:, None]
            key = f"seed-{number}/joints_pred_mm" if number else "joints_pred_mm"
            file[key] = true_mm + offset_mm[..., None] * [0, 0, 1]
        file["joints_true_mm"] = true_mm
        file["mean_pose_mm"] = true_mm + [0, 40, 0]
        file["block"] = np.arange(frames) if block is None else block
        file.create_dataset("name", data=np.array(names, object), dtype=h5py.string_dtype())
    return path


def depth_result(path, dataset, encoder="resnet18", test_subject="", **changes):
    settings = {"invariances": "T+H", "encoder": encoder, "test_subject": test_subject, "predictions": path}
    return result(path.stem, "depth", dataset=dataset, **(settings | changes))


def test_icvl_is_reported_on_both_sequences_and_on_the_first_alone(tmp_path):
    names = ["test_seq_1/image_0000", "test_seq_1/image_0001", "test_seq_2/image_0000"]
    one = depth_result(write(tmp_path / "a.h5", [10, 20, 60], names), "icvl")
    other = depth_result(write(tmp_path / "b.h5", [8, 8, 8], names), "icvl", "resnet50")
    table = depth_table.depth_table([one, other]).set_index(["test", "encoder"])
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
            write(tmp_path / f"p{n}.h5", [error] * n, [f"P{n}/1/{i}" for i in range(n)], 21),
            "msra",
            test_subject=f"P{n}",
        )
        for n, error in ((1, 10), (3, 30))
    ]
    (row,) = depth_table.depth_table(folds).to_dict("records")
    assert (row["test"], row["frames"]) == ("MSRA15, 2 folds", 4)
    assert row["epe_mean_mm"] == pytest.approx((10 + 3 * 30) / 4) and row["pcf_20"] == 0.25
    assert np.isnan(row["paper_epe_mean_mm"]) and row["mean_pose_epe_mm"] == pytest.approx(40)


def test_only_nyus_fourteen_joints_count(tmp_path):
    path = write(tmp_path / "n.h5", [12, 14], ["test/1", "test/2"], 36, NYU_EVALUATED)
    (row,) = depth_table.depth_table([depth_result(path, "nyu")]).to_dict("records")
    assert row["epe_mean_mm"] == pytest.approx(13)


def test_a_fold_that_is_there_twice_is_refused(tmp_path):
    path = write(tmp_path / "a.h5", [10], ["P0/1/0"], 21)
    twice = [depth_result(path, "msra", test_subject="P0") for _ in range(2)]
    with pytest.raises(InputError, match="expected one experiment a depth model and fold, found a and a"):
        depth_table.depth_table(twice)


def test_without_depth_the_table_has_its_columns_only(tmp_path):
    empty = depth_table.depth_table([result("rgb")])
    full = depth_table.depth_table([depth_result(write(tmp_path / "a.h5", [10], ["test/1"]), "icvl")])
    assert empty.empty and list(empty.columns) == list(full.columns)


def test_the_papers_means_are_compared_on_the_published_icvl_alone(tmp_path):
    names = [f"test_seq_1/{number}" for number in range(9)]
    facts = {"synthetic": False, "published": True, "source": "ICVL"}
    icvl = write(tmp_path / "a.h5", np.linspace(7.5, 9.5, 9), names)
    rows = depth_table.depth_table(
        [
            depth_result(icvl, "icvl", **facts),
            depth_result(icvl, "icvl", "resnet50"),
            depth_result(write(tmp_path / "b.h5", [8.5], ["test/1"], 36), "nyu", **facts),
        ]
    ).to_dict("records")
    assert [row["test"] for row in rows] == ["ICVL", "ICVL, sequence 1"] * 2 + ["NYU"]
    verdicts = ["inside interval"] * 2 + ["not comparable (synthetic)"] * 2 + ["not printed"]
    assert [row["verdict"] for row in rows] == verdicts
    assert [row["difference_mm"] for row in rows[:4]] == pytest.approx([0, 0, 0.5, 0.5], abs=1e-9)
    assert np.isnan(rows[4]["difference_mm"])


def test_models_of_few_labels_and_of_other_variants_are_left_out(tmp_path):
    path = write(tmp_path / "a.h5", [10], ["test/1"])
    others = [depth_result(path, "icvl", label_fraction=0.1), depth_result(path, "icvl", variant="separate")]
    table = depth_table.depth_table([*others, depth_result(path, "icvl")])
    assert len(table) == 1 and table["variant"].tolist() == [1] and depth_table.depth_table(others).empty


def test_seeds_are_the_mean_of_pooled_folds_and_of_parts_as_well(tmp_path):
    several = {"metrics": numbers(10.0) | seeds()}
    names = ["test_seq_1/0", "test_seq_2/0"]
    icvl = write(tmp_path / "a.h5", [10, 20], names, further_seeds_mm=([12, 20], [14, 26]))
    folds = [
        depth_result(
            write(tmp_path / f"p{n}.h5", [10 + n], [f"P{n}/1/0"], 21, further_seeds_mm=([20], [30])),
            "msra",
            test_subject=f"P{n}",
            **several,
        )
        for n in (0, 1)
    ]
    table = depth_table.depth_table([depth_result(icvl, "icvl", **several), *folds])
    assert table["test"].tolist() == ["ICVL", "ICVL, sequence 1", "MSRA15, 2 folds"]
    assert table["seeds"].tolist() == [3, 3, 3]
    assert table["epe_mean_mm"].tolist() == pytest.approx([17, 12, 60.5 / 3], abs=1e-4)
    assert table["epe_mean_mm_sd"].tolist() == pytest.approx([2.6458, 2, np.std([10.5, 20, 30], ddof=1)], abs=1e-4)
    assert table["pcf_20"].tolist() == pytest.approx([5 / 6, 1, 2 / 3], abs=1e-4)
    _, rows = depth_table.as_text(table)
    assert "sd 2.65 over 3 seeds" in rows[0][1] and "sd 2.65 over 3 seeds" in rows[0][2]
    assert "1 block of frames: no interval" in rows[1][1]
    alone = depth_table.depth_table([depth_result(write(tmp_path / "b.h5", [10, 20], names), "icvl")])
    assert alone["seeds"].tolist() == [1, 1] and "epe_mean_mm_sd" not in alone
    assert not any("seed" in cell for row in depth_table.as_text(alone)[1] for cell in row)


def test_intervals_stand_on_the_blocks_of_all_folds(tmp_path):
    errors_mm = np.random.default_rng(0).gamma(4, 4, 40)
    pairs = np.arange(40) // 2
    names = [f"test_seq_1/{number}" for number in range(40)]
    rows = [
        depth_table.depth_table([depth_result(write(tmp_path / name, mm, names[: len(mm)], block=block), "icvl")]).iloc[
            0
        ]
        for name, mm, block in (("a.h5", errors_mm[::2], None), ("b.h5", errors_mm[::2].repeat(2), pairs))
    ]
    for key in ("epe_mean_mm", "epe_mean_mm_low", "epe_mean_mm_high"):
        assert rows[0][key] == rows[1][key]
    assert [(row["frames"], row["blocks"]) for row in rows] == [(20, 20), (40, 20)]
    folds = [
        depth_result(
            write(tmp_path / f"{n}.h5", errors_mm, [f"P{n}/1/{i}" for i in range(40)], 21, block=pairs),
            "msra",
            test_subject=f"P{n}",
        )
        for n in range(3)
    ]
    assert depth_table.depth_table(folds)["blocks"].tolist() == [60]


def test_the_text_gives_shares_in_percent_and_the_papers_number_as_printed(tmp_path):
    path = write(tmp_path / "a.h5", [10, 30, 30, 30], [f"test/{number}" for number in range(4)])
    header, rows = depth_table.as_text(depth_table.depth_table([depth_result(path, "icvl")]))
    assert len(header) == len(rows[0])
    cell = rows[0][1].split("\n")
    assert cell[0].startswith("25.00 [") and cell[1:] == ["paper 8.5 (ours +16.50)", "not comparable (synthetic)"]
    assert rows[0][0] == "ICVL, ResNet-18" and rows[0][2:] == ["30.00", "25.0", "100.0", "40.00"]
