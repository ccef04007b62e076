"""Paired comparison on fabricated predictions whose errors are known joint by joint."""

import h5py
import numpy as np
import pandas as pd
import pytest

from handvae.base.errors import InputError
from handvae.evaluation import metrics, statistics
from handvae.report import comparison
from tests.test_tables import OTHERS, result

FRAMES = 40


def hard_frames(seed=0, joints=21):
    """Errors (N, J) in mm: some frames are much harder than others, for every model."""
    generator = np.random.default_rng(seed)
    return generator.gamma(2, 15, (FRAMES, 1)) + generator.gamma(4, 1, (FRAMES, joints))


def shown(joints=21):
    return np.random.default_rng(7).random((FRAMES, joints)) < 0.7


def write(path, errors_mm, visible=None, rows=None, names=None):
    """Predictions off by `errors_mm` along z; hidden joints by a mile."""
    visible = np.ones(errors_mm.shape, bool) if visible is None else visible
    true_mm = np.random.default_rng(9).normal(size=(*errors_mm.shape, 3)) * 40
    pred_mm = true_mm.copy()
    pred_mm[..., 2] += np.where(visible, errors_mm, 99_999)
    with h5py.File(path, "w") as file:
        file["joints_pred_mm"], file["joints_true_mm"], file["visible"] = pred_mm, true_mm, visible
        file["row"] = np.arange(len(errors_mm)) if rows is None else rows
        names = [f"frame {number}" for number in range(len(errors_mm))] if names is None else names
        file.create_dataset("name", data=np.array(names, object), dtype=h5py.string_dtype())
    return path


@pytest.fixture
def model(tmp_path):
    """A function that writes an experiment of given errors and returns its result."""

    def make(name, errors_mm, visible=None, rows=None, names=None, **changes):
        return result(name, predictions=write(tmp_path / f"{name}.h5", errors_mm, visible, rows, names), **changes)

    return make


def test_a_constant_difference_is_found_exactly_however_much_frames_differ(model):
    errors_mm = hard_frames()
    results = [model("a", errors_mm, shown()), model("b", errors_mm + 0.5, shown(), variant=2)]
    (row,) = comparison.paired_table(results).to_dict("records")
    assert (row["model_a"], row["model_b"], row["frames"], row["kind"]) == ("a", "b", FRAMES, "synthetic")
    for key in ("difference_mm", "difference_mm_low", "difference_mm_high"):
        assert row[key] == pytest.approx(-0.5)
    assert row["p"] == row["p_holm"] == 1 / (1 + comparison.PERMUTATIONS) and row["verdict"] == "a better"
    (turned,) = comparison.paired_table(results[::-1]).to_dict("records")
    assert turned["difference_mm"] == pytest.approx(0.5) and turned["verdict"] == "b better"
    alone = statistics.bootstrap_intervals(errors_mm, shown(), 0)["epe_mean_mm"]
    assert alone[1] - alone[0] > 10  # each number alone says nothing of half a millimetre


def test_two_models_that_err_alike_cannot_be_told_apart(model):
    results = [model("a", hard_frames()), model("b", hard_frames(), variant=2)]
    (row,) = comparison.paired_table(results).to_dict("records")
    assert (row["difference_mm"], row["p"], row["verdict"]) == (0, 1, "cannot be told apart")


def test_the_interval_is_the_bootstraps_of_the_difference(model):
    errors_mm, other_mm = hard_frames(), hard_frames(1)
    (row,) = comparison.paired_table(
        [model("a", errors_mm, shown()), model("b", other_mm, shown(), variant=2)]
    ).to_dict("records")
    expected = statistics.bootstrap_intervals(errors_mm - other_mm, shown(), comparison.SEED)["epe_mean_mm"]
    assert (row["difference_mm_low"], row["difference_mm_high"]) == pytest.approx(expected)
    difference_mm = metrics.mean_over_joints(errors_mm, shown()) - metrics.mean_over_joints(other_mm, shown())
    assert row["difference_mm"] == pytest.approx(difference_mm)


def test_a_frames_shares_add_up_to_the_protocols_mean():
    errors_mm, visible = hard_frames(), shown()
    spoilt_mm = np.where(visible, errors_mm, 1e6)
    for given in (errors_mm, spoilt_mm):
        total_mm = comparison.mean_shares(given, visible).sum()
        assert total_mm == pytest.approx(metrics.mean_over_joints(errors_mm, visible))


def test_p_is_that_of_all_sign_flips():
    """Ten frames have 1,024 flips, which can all be tried."""
    differences_mm = np.random.default_rng(3).normal(0.5, 1, (10, 4))
    flips = 2 * (np.arange(1024)[:, None] >> np.arange(10) & 1) - 1
    exact = (np.abs(flips @ differences_mm) >= np.abs(differences_mm.sum(axis=0)) - 1e-9).mean(axis=0)
    found = comparison.sign_flip_p_values(differences_mm)
    np.testing.assert_allclose(found, exact, atol=0.015)
    np.testing.assert_array_equal(found, comparison.sign_flip_p_values(-differences_mm))
    assert np.ptp(found) > 0.1
    # 0.1 + 0.2 + 0.3 - 0.1 is a rounding above -0.1 + 0.2 + 0.3 + 0.1, yet 6 of 16 flips reach it
    tied = comparison.sign_flip_p_values(np.array([[0.1], [0.2], [0.3], [-0.1]]))
    assert tied == pytest.approx(6 / 16, abs=0.02)


def test_where_nothing_differs_one_test_in_twenty_says_so():
    found = comparison.sign_flip_p_values(np.random.default_rng(0).standard_t(3, (60, 500)))
    assert 0.03 < (found < 0.05).mean() < 0.075 and 0.45 < np.median(found) < 0.55


def test_holms_correction_by_hand():
    p_values = np.array([0.01, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(comparison.holm(p_values), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(comparison.holm(p_values[::-1]), [0.02, 0.06, 0.06, 0.03])
    np.testing.assert_allclose(comparison.holm(np.array([0.9, 0.6])), [1, 1])
    np.testing.assert_allclose(comparison.holm(np.array([0.02])), [0.02])


def test_verdicts_are_those_after_the_correction_for_all_rows(model):
    generator = np.random.default_rng(1)
    results = [
        model(
            f"m{number}", hard_frames() + 0.25 * number + generator.normal(0, 2, (FRAMES, 1)).clip(-4), variant=number
        )
        for number in range(5)
    ]
    table = comparison.paired_table(results)
    assert len(table) == 10
    np.testing.assert_allclose(table["p_holm"], comparison.holm(table["p"].to_numpy()))
    lost = (table["p"] < comparison.LEVEL) & (table["p_holm"] >= comparison.LEVEL)
    assert lost.any() and set(table.loc[lost, "verdict"]) == {"cannot be told apart"}
    found = table[table["p_holm"] < comparison.LEVEL]
    assert (found["verdict"] == np.where(found["difference_mm"] < 0, "a better", "b better")).all()
    pd.testing.assert_frame_equal(table, comparison.paired_table(results))


def test_pairs_are_of_one_task_and_of_the_models_that_the_tables_show(model):
    errors_mm = hard_frames()
    results = [model(f"rhd-{v}", errors_mm + v, variant=v) for v in (1, 2, 3)]
    results += [model(f"lifting-{v}", errors_mm + v, variant=v, input="joints_2d") for v in (1, 2)]
    results += [model("stb", errors_mm, dataset="stb")]
    table = comparison.paired_table([*OTHERS, *results, *OTHERS])
    assert table[["task", "model_a", "model_b"]].to_numpy().tolist() == [
        ["RGB->3D RHD", "rhd-1", "rhd-2"],
        ["RGB->3D RHD", "rhd-1", "rhd-3"],
        ["RGB->3D RHD", "rhd-2", "rhd-3"],
        ["2D->3D RHD", "lifting-1", "lifting-2"],
    ]


def test_folds_are_compared_with_the_same_fold_only(model):
    def fold(name, subject, encoder):
        names = [f"{subject}/{number}" for number in range(FRAMES)]
        changes = {"dataset": "msra", "input": "depth", "invariances": "T+H", "encoder": encoder}
        return model(name, hard_frames(), names=names, test_subject=subject, **changes)

    results = [fold(f"{s}-{e}", s, e) for s in ("P0", "P1") for e in ("resnet18", "resnet50")]
    table = comparison.paired_table(results)
    assert table["task"].tolist() == ["depth->3D MSRA, P0", "depth->3D MSRA, P1"]
    assert table["paper_difference_mm"].isna().all()


def test_the_papers_difference_stands_where_it_prints_both(model):
    errors_mm = hard_frames()
    results = [
        *(model("v1", errors_mm), model("v2", errors_mm, variant=2), model("v1-t", errors_mm, invariances="T")),
        *(model("v2-t", errors_mm, variant=2, invariances="T"), model("v1-deep", errors_mm, encoder="resnet50")),
    ]
    depth = {"dataset": "icvl", "input": "depth", "invariances": "T+H"}
    icvl_mm = hard_frames(joints=16)
    results += [model("r50", icvl_mm, encoder="resnet50", **depth), model("r18", icvl_mm, **depth)]
    table = comparison.paired_table(results).set_index(["model_a", "model_b"])["paper_difference_mm"]
    printed = {("v1", "v2"): 19.73 - 19.99, ("v1", "v1-t"): 19.73 - 22.53, ("v2", "v1-t"): 19.99 - 22.53}
    assert table.dropna().to_dict() == pytest.approx(printed | {("r50", "r18"): 8.0 - 8.5})


def test_from_depth_all_evaluated_joints_count_and_no_others(model, tmp_path):
    errors_mm = hard_frames(joints=36)
    others = np.setdiff1d(np.arange(36), (0, 3, 6, 9, 12, 15, 18, 21, 24, 25, 27, 30, 31, 32))
    depth = {"dataset": "nyu", "input": "depth", "invariances": "T+H"}
    results = [model("a", errors_mm, **depth), model("b", errors_mm, variant=2, **depth)]
    with h5py.File(tmp_path / "b.h5", "r+") as file:
        file["joints_pred_mm"][:, others] += 700
        file["joints_pred_mm"][: FRAMES // 2, 3, 2] += 28
    for one in results:
        with h5py.File(one.predictions, "r+") as file:
            file["visible"][: FRAMES // 2, 3] = False
    (row,) = comparison.paired_table(results).to_dict("records")
    assert row["difference_mm"] == pytest.approx(-14 / 14)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"names": [f"image {number}" for number in range(FRAMES)]}, "names"),
        ({"rows": np.arange(FRAMES)[::-1]}, "rows"),
        ({"visible": ~shown()}, "visible"),
    ],
)
def test_models_tested_on_other_frames_are_refused(model, change, what):
    first = model("a", hard_frames(), shown())
    second = model("b", hard_frames(), **({"visible": shown()} | change), variant=2)
    with pytest.raises(InputError, match=rf"b\.h5: expected the 40 test frames of .*a\.h5, found other {what}$"):
        comparison.paired_table([first, second])


def test_an_empty_table_has_the_columns_of_a_full_one(model):
    full = comparison.paired_table([model("a", hard_frames()), model("b", hard_frames(1), variant=2)])
    assert list(comparison.paired_table([]).columns) == list(full.columns) == list(comparison.COLUMNS)
    assert len(comparison.paired_table([model("c", hard_frames())])) == 0


def test_the_text_names_task_and_data_above_its_rows(model):
    results = [model("a", hard_frames()), model("b", hard_frames() + 0.5, variant=2)]
    results += [model("c", hard_frames(), dataset="stb"), model("d", hard_frames(), dataset="stb", invariances="T+S")]
    header, rows = comparison.as_text(comparison.paired_table(results))
    assert [row[0] for row in rows] == ["**RGB->3D RHD, synthetic**", "a", "**RGB->3D STB, synthetic**", "c"]
    assert {len(row) for row in rows} == {len(header)}
    assert rows[1] == ["a", "b", "−0.50 [−0.50, −0.50]", "0.0001", "0.0002", "−0.26", "a better"]
    assert rows[3][2:] == ["+0.00 [+0.00, +0.00]", "1.0000", "1.0000", "–", "cannot be told apart"]
