import numpy as np
import pytest

from handvae.base.errors import InputError
from handvae.evaluation import metrics

ALL = np.ones((2, 2), dtype=bool)


def test_errors_are_euclidean_distances_without_recentring():
    true_mm = np.zeros((1, 2, 3))
    pred_mm = true_mm + np.array([3, 4, 12])  # the whole hand is off by 13 mm; re-centring on the root would hide it
    np.testing.assert_allclose(metrics.joint_errors_mm(pred_mm, true_mm), [[13, 13]])


def test_mean_epe_is_the_mean_of_joint_means_not_of_all_errors():
    errors_mm = np.array([[10.0, 2], [30, 999], [50, 999]])
    visible = np.array([[True, True], [True, False], [True, False]])
    assert metrics.mean_over_joints(errors_mm, visible) == pytest.approx((30 + 2) / 2)
    assert errors_mm[visible].mean() == pytest.approx(23)  # the global mean is another number


def test_median_epe_is_the_mean_of_joint_medians_with_hidden_joints_left_out():
    errors_mm = np.array([[10.0, 2], [30, 4], [70, 999], [999, 999]])
    visible = np.array([[True, True], [True, True], [True, False], [False, False]])
    assert metrics.median_over_joints(errors_mm, visible) == pytest.approx((30 + 3) / 2)
    assert np.median(errors_mm[visible]) == 10  # the global median is another number


def test_pck_counts_an_error_equal_to_the_threshold_and_weights_joints_not_samples():
    errors_mm = np.array([[10.0, 40], [20, 999], [30, 999]])
    visible = np.array([[True, True], [True, False], [True, False]])
    np.testing.assert_allclose(metrics.pck(errors_mm, visible, [9.99, 10, 20, 40]), [0, 1 / 6, 2 / 6, 1])


def test_the_reference_range_starts_above_21_mm_and_has_12_of_20_thresholds():
    assert len(metrics.THRESHOLDS_MM) == 20
    np.testing.assert_allclose(metrics.THRESHOLDS_21_50_MM[[0, 1, -1]], [21.0526, 23.6842, 50], atol=1e-4)
    assert len(metrics.THRESHOLDS_21_50_MM) == 12


def test_an_error_between_20_and_21_mm_counts_fully_in_the_reference_auc_and_partly_in_the_true_one():
    errors_mm, visible = np.full((1, 1), 21.0), np.ones((1, 1), bool)
    assert metrics.auc_by_trapezoid(errors_mm, visible, metrics.THRESHOLDS_21_50_MM) == pytest.approx(1)
    assert metrics.area_shares(errors_mm, 20, 50) == pytest.approx(29 / 30)
    at_mm = np.array([35.0, 0, 50, 80])  # steps within [20, 50], before it, at its end, beyond it
    np.testing.assert_allclose(metrics.area_shares(at_mm, 20, 50), [0.5, 1, 0, 0])


def test_trapezoid_auc_by_hand():
    errors_mm, curve_mm = np.array([[10.0, 25]]), np.array([0, 10, 20, 30])  # where PCK is 0, 0.5, 0.5, 1
    assert metrics.auc_by_trapezoid(errors_mm, ALL[:1], curve_mm) == pytest.approx((2.5 + 5 + 7.5) / 30)


def test_pcf_needs_every_joint_of_a_frame_within_the_threshold():
    errors_mm = np.array([[1.0, 9], [5, 5], [20, 1]])
    np.testing.assert_allclose(metrics.pcf(errors_mm, [4, 5, 9, 20]), [0, 1 / 3, 2 / 3, 1])


def test_a_joint_that_no_frame_shows_is_refused_by_number():
    visible = np.array([[True, False], [True, False]])
    for number in (metrics.mean_over_joints, metrics.median_over_joints):
        with pytest.raises(InputError, match=r"joints \[1\] in none of 2 frames"):
            number(np.ones((2, 2)), visible)


def test_integers_in_place_of_a_visibility_mask_are_refused():
    with pytest.raises(InputError, match="expected bool"):  # numbers would index where a mask selects
        metrics.median_over_joints(np.ones((2, 2)), np.ones((2, 2), dtype=int))


@pytest.mark.parametrize(("which", "broken"), [("predicted", np.nan), ("true", np.inf)])
def test_joints_that_are_not_finite_are_refused_with_the_frame(which, broken):
    pred_mm, true_mm = np.ones((5, 21, 3)), np.zeros((5, 21, 3))
    (pred_mm if which == "predicted" else true_mm)[3, 7, 1] = broken
    with pytest.raises(InputError, match=f"{which} joints.*in 1 of 5 frames, first in frame 3"):
        metrics.joint_errors_mm(pred_mm, true_mm)


@pytest.mark.parametrize("shapes", [((4, 21, 3), (4, 1, 3)), ((0, 21, 3), (0, 21, 3))])
def test_joints_that_do_not_pair_up_are_refused_rather_than_broadcast(shapes):
    with pytest.raises(InputError, match="two equal shapes"):
        metrics.joint_errors_mm(*(np.zeros(shape) for shape in shapes))
