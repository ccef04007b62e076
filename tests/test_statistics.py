import numpy as np
import pytest
from scipy import stats

from handvae.evaluation import bootstrap, metrics, statistics, uncertainty
from tests.test_bootstrap import simulated


def joints_with(errors_mm):
    true_mm = np.random.default_rng(9).normal(size=(*errors_mm.shape, 3)) * 40
    return true_mm + errors_mm[..., None] * [0, 0, 1], true_mm


def summary_of(seeds_mm, visible, block=None):
    """The summary of models whose errors are `seeds_mm`, each (N, J); the mean pose is off by 8 mm."""
    true_mm = joints_with(seeds_mm[0])[1]
    block = np.arange(len(visible)) if block is None else block
    return statistics.summarise(
        [joints_with(mm)[0] for mm in seeds_mm], true_mm, visible, true_mm + [0, 0, 8], block, 0
    )


def ends(summary, name):
    return summary[f"{name}_low"], summary[f"{name}_high"]


INTERVALS = ("epe_mean_mm", "epe_median_mm", "auc_20_50", "epe_mean_all_joints_mm", "epe_median_all_joints_mm")


def test_intervals_are_those_of_the_blocks():
    errors_mm, visible = simulated(60, 3)
    single = summary_of([errors_mm], visible)
    twice = summary_of([errors_mm.repeat(2, 0)], visible.repeat(2, 0), np.arange(60).repeat(2))
    assert (twice.pop("frames"), twice.pop("blocks")) == (120, 60)
    assert twice == pytest.approx({key: value for key, value in single.items() if key not in ("frames", "blocks")})
    draws = bootstrap.resampled([bootstrap.median(errors_mm, visible, np.arange(60))], np.arange(60), 0)[0]
    expected = uncertainty.expanded_percentiles(draws, 60)
    assert ends(single, "epe_median_mm") == pytest.approx(expected, abs=1e-4)


def test_a_single_block_has_no_interval():
    errors_mm, visible = simulated(20, 3)
    for seeds_mm in ([errors_mm], [errors_mm, errors_mm + 1, errors_mm + 3]):
        summary = summary_of(seeds_mm, visible, np.zeros(20, int))
        assert {end for name in INTERVALS for end in ends(summary, name)} == {None}
        assert summary["blocks"] == 1 and summary["epe_mean_mm"] > 0


def test_the_numbers_of_several_seeds_are_their_means_with_an_interval_that_holds_their_spread():
    errors_mm, visible = simulated(400, 3, joints=4, shown=2)
    seeds_mm = [errors_mm, errors_mm + 1, errors_mm + 3]
    summary, alone = summary_of(seeds_mm, visible), [summary_of([mm], visible) for mm in seeds_mm]
    for name in (*INTERVALS, "auc_21_50", "auc_0_50"):
        assert summary[name] == pytest.approx(np.mean([of_seed[name] for of_seed in alone]), abs=1e-4)
    assert "seeds" not in alone[0] and not any(name.endswith("_sd") for name in alone[0])
    assert summary["seeds"] == 3 and summary["mean_pose_epe_mm"] == 8
    deviation = np.std([0, 1, 3], ddof=1)
    assert summary["epe_mean_mm_sd"] == pytest.approx(deviation, abs=1e-4)
    parts = [errors_mm.mean(axis=1).var() / 399, deviation**2 / 3]
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / 399 + parts[1] ** 2 / 2)
    half = stats.t.ppf(0.975, freedom) * np.sqrt(sum(parts))
    assert np.diff(ends(summary, "epe_mean_mm")) / 2 == pytest.approx(half, rel=0.1)
    curves = [np.array(statistics.pck_table([joints_with(mm)[0]], joints_with(mm)[1], visible)) for mm in seeds_mm]
    together = statistics.pck_table([joints_with(mm)[0] for mm in seeds_mm], joints_with(errors_mm)[1], visible)
    np.testing.assert_allclose(together, np.mean(curves, axis=0), atol=1e-4)


def test_depth_over_seeds_is_the_mean_as_well():
    errors_mm, _ = simulated(50, 3, joints=4)
    seeds_mm = [errors_mm, errors_mm + 12]
    true_mm = joints_with(errors_mm)[1]
    summary, *alone = (
        statistics.summarise_depth([joints_with(mm)[0] for mm in some], true_mm, true_mm + 1, np.arange(50), 0)
        for some in (seeds_mm, seeds_mm[:1], seeds_mm[1:])
    )
    for name in ("epe_mean_mm", "epe_median_mm", "pcf_20", "pcf_40"):
        assert summary[name] == pytest.approx(np.mean([of_seed[name] for of_seed in alone]), abs=1e-4)
    assert summary["epe_mean_mm_sd"] == summary["epe_median_mm_sd"] == pytest.approx(np.sqrt(72), abs=1e-4)
    assert summary["seeds"] == 2 and "epe_median_mm_sd" not in alone[0]
    assert summary["epe_mean_mm_low"] < alone[0]["epe_mean_mm_low"]  # two seeds say little


def test_summary_and_curve_agree_with_the_metrics():
    errors_mm, visible = simulated(40, 2)
    summary, (pred_mm, true_mm) = summary_of([errors_mm], visible), joints_with(errors_mm)
    assert summary["epe_mean_mm"] == pytest.approx(metrics.mean_over_joints(errors_mm, visible), abs=1e-4)
    assert summary["epe_median_mm"] == pytest.approx(metrics.median_over_joints(errors_mm, visible), abs=1e-4)
    auc = metrics.mean_over_joints(metrics.area_shares(errors_mm, 20, 50), visible)
    assert summary["auc_20_50"] == pytest.approx(auc, abs=1e-4)
    assert summary["epe_mean_all_joints_mm"] == pytest.approx(errors_mm.mean(), abs=1e-4)
    assert summary["epe_median_all_joints_mm"] == pytest.approx(np.median(errors_mm, axis=0).mean(), abs=1e-4)
    spoilt = summary_of([np.where(visible, errors_mm, 999)], visible)  # hidden joints count among all joints alone
    assert {name for name in summary if summary[name] != spoilt[name]} == {
        name for name in summary if "all_joints" in name
    }
    assert summary["mean_pose_epe_mm"] == 8
    assert summary["epe_share_of_mean_pose"] == pytest.approx(summary["epe_mean_mm"] / 8, abs=1e-4)
    assert all(summary[f"{name}_low"] < summary[name] < summary[f"{name}_high"] for name in INTERVALS)
    curve = np.column_stack([metrics.THRESHOLDS_MM, metrics.pck(errors_mm, visible, metrics.THRESHOLDS_MM)])
    np.testing.assert_allclose(statistics.pck_table([pred_mm], true_mm, visible), curve, atol=1e-4)


def test_depth_is_scored_over_all_joints_at_once_and_by_whole_frames():
    true_mm = np.zeros((4, 2, 3))
    pred_mm = true_mm.copy()
    pred_mm[:, 0, 0], pred_mm[:, 1, 2] = [1, 2, 3, 100], [5, 15, 25, 7]
    mean_pose_mm = true_mm + [0, 30, 0]
    summary = statistics.summarise_depth([pred_mm], true_mm, mean_pose_mm, np.arange(4), seed=0)
    assert summary["epe_mean_mm"] == pytest.approx((1 + 2 + 3 + 100 + 5 + 15 + 25 + 7) / 8, abs=1e-3)
    assert summary["epe_median_mm"] == 6.0 and summary["mean_pose_epe_mm"] == 30.0 and summary["frames"] == 4
    assert [summary[f"pcf_{mm}"] for mm in (10, 20, 30, 80)] == [0.25, 0.5, 0.75, 0.75]
    assert summary["epe_mean_mm_low"] <= summary["epe_mean_mm"] <= summary["epe_mean_mm_high"]
    table = dict(statistics.pcf_table([pred_mm], true_mm))
    assert len(table) == 81 and (table[4.0], table[5.0], table[25.0], table[80.0]) == (0.0, 0.25, 0.75, 0.75)


def test_the_previous_frames_pose_is_a_baseline_where_it_is_known():
    true_mm = np.zeros((4, 2, 3))
    true_mm[:, :, 0] = np.array([0, 3, 3, 9])[:, None]
    visible = np.ones((4, 2), bool)
    summary = statistics.previous_frame(true_mm, visible, np.array([-1, 0, -1, 2]))
    assert summary == {"previous_frame_epe_mm": 4.5, "previous_frame_frames": 2}
    assert statistics.previous_frame(true_mm, visible, np.full(4, -1)) == {}
