import numpy as np
import pytest

from handvae.base.errors import InputError
from handvae.evaluation import metrics, statistics


def simulated(frames, seed, joints=21, shown=0.7):
    generator = np.random.default_rng(seed)
    hand = generator.gamma(6, 1, size=(frames, 1))  # errors of one hand go together
    return generator.gamma(4, 1, size=(frames, joints)) * hand, generator.random((frames, joints)) < shown


def joints_with(errors_mm):
    true_mm = np.random.default_rng(9).normal(size=(*errors_mm.shape, 3)) * 40
    pred_mm = true_mm.copy()
    pred_mm[..., 2] += errors_mm
    return pred_mm, true_mm


def test_resampled_numbers_are_those_of_the_resampled_frames():
    errors_mm, visible = simulated(25, 0)
    counts = np.random.default_rng(1).multinomial(25, [1 / 25] * 25, size=7)
    for name, resampled in [("mean", statistics.resampled_means), ("median", statistics.resampled_medians)]:
        protocol = getattr(metrics, f"{name}_over_joints")
        by_hand = [protocol(errors_mm.repeat(row, axis=0), visible.repeat(row, axis=0)) for row in counts]
        np.testing.assert_allclose(resampled(errors_mm, visible, counts), by_hand, rtol=1e-12)


def test_a_joint_missing_from_a_resample_is_left_out_of_that_resample():
    errors_mm = np.array([[1.0, 5], [3, 999]])
    visible = np.array([[True, True], [True, False]])
    counts = np.array([[0, 2], [1, 1]])
    for resampled in (statistics.resampled_means, statistics.resampled_medians):
        np.testing.assert_allclose(resampled(errors_mm, visible, counts), [3, (2 + 5) / 2])


def test_the_same_seed_gives_the_same_intervals_and_another_seed_others():
    errors_mm, visible = simulated(60, 0)
    first, again, other = (statistics.bootstrap_intervals(errors_mm, visible, seed) for seed in (4, 4, 5))
    assert first == again
    assert all(first[name] != other[name] for name in first)


def test_intervals_hold_the_measured_number_and_order_their_ends():
    errors_mm, visible = simulated(200, 3)
    intervals = statistics.bootstrap_intervals(errors_mm, visible, 0)
    for name, number in [
        ("epe_mean_mm", metrics.mean_over_joints(errors_mm, visible)),
        ("epe_median_mm", metrics.median_over_joints(errors_mm, visible)),
        ("auc_20_50", metrics.auc_exact(errors_mm, visible, 20, 50)),
    ]:
        low, high = intervals[name]
        assert low < number < high


def test_the_interval_covers_the_true_mean_about_95_times_in_100():
    true_mean_mm = 4 * 6  # of the two gamma distributions that `simulated` multiplies
    covered = 0
    for seed in range(200):
        errors_mm, visible = simulated(60, seed, joints=4)
        low, high = statistics.bootstrap_intervals(errors_mm, visible, seed, resamples=300)["epe_mean_mm"]
        covered += low <= true_mean_mm <= high
    assert 0.88 <= covered / 200 <= 0.99


def test_joints_of_one_hand_are_drawn_together():
    """Independent joints would give an interval about 1/sqrt(21) as wide when all joints of a hand err alike."""
    alike_mm = np.repeat(np.random.default_rng(0).gamma(4, 5, size=(100, 1)), 21, axis=1)
    low, high = statistics.bootstrap_intervals(alike_mm, np.ones_like(alike_mm, dtype=bool), 0)["epe_mean_mm"]
    expected_mm = 2 * 1.96 * alike_mm[:, 0].std() / np.sqrt(100)
    assert high - low == pytest.approx(expected_mm, rel=0.15)


def test_more_frames_narrow_the_intervals_by_the_square_root():
    widths = []
    for frames in (100, 1600):
        intervals = statistics.bootstrap_intervals(*simulated(frames, 1), seed=0)
        widths.append({name: high - low for name, (low, high) in intervals.items()})
    for name, width in widths[1].items():
        assert width == pytest.approx(widths[0][name] / 4, rel=0.35)


def test_the_summary_names_every_number_in_order_and_hides_what_is_hidden():
    errors_mm, visible = simulated(40, 2)
    pred_mm, true_mm = joints_with(errors_mm)
    spoilt_mm = np.where(visible[..., None], pred_mm, 999)
    summary, spoilt = (
        statistics.summarise(p, true_mm, visible, np.zeros_like(true_mm), 0) for p in (pred_mm, spoilt_mm)
    )
    assert list(summary) == [
        *("epe_mean_mm", "epe_mean_mm_low", "epe_mean_mm_high"),
        *("epe_median_mm", "epe_median_mm_low", "epe_median_mm_high"),
        *("auc_20_50", "auc_20_50_low", "auc_20_50_high", "auc_21_50", "auc_0_50"),
        *("epe_mean_all_joints_mm", "mean_pose_epe_mm", "epe_share_of_mean_pose", "frames"),
    ]
    assert {name for name in summary if summary[name] != spoilt[name]} == {"epe_mean_all_joints_mm"}


def test_the_summary_agrees_with_the_metrics():
    errors_mm, visible = simulated(40, 2)
    pred_mm, true_mm = joints_with(errors_mm)
    summary = statistics.summarise(pred_mm, true_mm, visible, true_mm + np.array([0, 0, 8]), 0)
    assert summary["epe_mean_mm"] == pytest.approx(metrics.mean_over_joints(errors_mm, visible), abs=1e-4)
    assert summary["epe_mean_all_joints_mm"] == pytest.approx(errors_mm.mean(), abs=1e-4)
    assert summary["mean_pose_epe_mm"] == 8
    assert summary["epe_share_of_mean_pose"] == pytest.approx(summary["epe_mean_mm"] / 8, abs=1e-4)
    assert summary["frames"] == 40 and isinstance(summary["frames"], int)


def test_a_summary_of_nan_joints_is_refused():
    pred_mm, true_mm = joints_with(np.ones((4, 21)))
    visible = np.ones((4, 21), dtype=bool)
    pred_mm[1, 2] = np.nan
    with pytest.raises(InputError, match="predicted joints"):
        statistics.summarise(pred_mm, true_mm, visible, true_mm, 0)
    with pytest.raises(InputError, match="predicted joints"):
        statistics.pck_table(pred_mm, true_mm, visible)


def test_the_pck_table_has_the_protocols_thresholds_and_a_rising_curve():
    errors_mm, visible = simulated(40, 2)
    rows = np.array(statistics.pck_table(*joints_with(errors_mm), visible))
    np.testing.assert_allclose(rows[:, 0], metrics.THRESHOLDS_MM, atol=1e-4)
    np.testing.assert_allclose(rows[:, 1], metrics.pck(errors_mm, visible, metrics.THRESHOLDS_MM), atol=1e-4)
    assert (np.diff(rows[:, 1]) >= 0).all()


def test_depth_is_scored_over_all_joints_at_once_and_by_whole_frames():
    true_mm = np.zeros((4, 2, 3))
    pred_mm = true_mm.copy()
    pred_mm[:, 0, 0], pred_mm[:, 1, 2] = [1, 2, 3, 100], [5, 15, 25, 7]
    mean_pose_mm = true_mm + [0, 30, 0]
    found = statistics.summarise_depth(pred_mm, true_mm, mean_pose_mm, seed=0)
    assert found["epe_mean_mm"] == pytest.approx((1 + 2 + 3 + 100 + 5 + 15 + 25 + 7) / 8, abs=1e-3)
    assert found["epe_median_mm"] == 6.0 and found["mean_pose_epe_mm"] == 30.0 and found["frames"] == 4
    assert [found[f"pcf_{mm}"] for mm in (10, 20, 30, 80)] == [0.25, 0.5, 0.75, 0.75]
    assert found["epe_mean_mm_low"] <= found["epe_mean_mm"] <= found["epe_mean_mm_high"]
    table = dict(statistics.pcf_table(pred_mm, true_mm))
    assert len(table) == 81 and (table[4.0], table[5.0], table[25.0], table[80.0]) == (0.0, 0.25, 0.75, 0.75)


def test_the_previous_frames_pose_is_a_baseline_where_it_is_known():
    true_mm = np.zeros((4, 2, 3))
    true_mm[:, :, 0] = np.array([0, 3, 3, 9])[:, None]
    visible = np.ones((4, 2), bool)
    found = statistics.previous_frame(true_mm, visible, np.array([-1, 0, -1, 2]))
    assert found == {"previous_frame_epe_mm": 4.5, "previous_frame_frames": 2}
    assert statistics.previous_frame(true_mm, visible, np.full(4, -1)) == {}
