import h5py
import numpy as np
import pytest

from handvae import depth_table
from handvae.errors import InputError
from handvae.joints import NYU_EVALUATED
from tests.test_tables import result


def write(path, errors_mm, names, joints=16, evaluated=None):
    """Predictions that miss every evaluated joint of a frame by that frame's error, and all others by a metre."""
    frames = len(errors_mm)
    true_mm = np.random.default_rng(0).normal(0, 50, (frames, joints, 3)) + [0, 0, 400]
    offset_mm = np.full((frames, joints), 1000.0)
    offset_mm[:, list(evaluated or range(joints))] = np.array(errors_mm)[:, None]
    with h5py.File(path, "w") as file:
        file["joints_true_mm"], file["joints_pred_mm"] = true_mm, true_mm + offset_mm[..., None] * [0, 0, 1]
        file["mean_pose_mm"] = true_mm + [0, 40, 0]
        file.create_dataset("name", data=np.array(names, object), dtype=h5py.string_dtype())
    return path


def depth_result(path, dataset, encoder="resnet18", test_subject=""):
    return result(
        path.stem,
        "depth",
        dataset=dataset,
        invariances="T+H",
        encoder=encoder,
        test_subject=test_subject,
        predictions=path,
    )


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


def test_without_depth_there_is_no_table():
    assert depth_table.depth_table([result("rgb")]).empty
