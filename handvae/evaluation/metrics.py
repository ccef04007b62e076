"""Errors of predicted joints by the reference protocol: EPE, PCK, AUC and PCF. Arrays in, numbers out.

Protocol: the evaluation code of Zimmermann & Brox, which Spurr et al. use. Each joint is averaged over the samples in
which it is visible, then the joints are averaged; the root counts as one of them. Predictions are never re-centred on
their own root: the distance of the predicted root from the true one is an error like any other.
"""

import numpy as np

from handvae.base.errors import InputError

# The protocol's thresholds: 20 points, so that they are 2.63 mm apart and none lies at 20 mm.
THRESHOLDS_MM = np.linspace(0, 50, 20)

# The protocol's "20-50 mm" is the tail of that list, which starts at 21.05 mm.
THRESHOLDS_21_50_MM = THRESHOLDS_MM[8:]


def joint_errors_mm(joints_pred_mm: np.ndarray, joints_true_mm: np.ndarray) -> np.ndarray:
    """Euclidean distances (N, J) in mm between two sets of joints (N, J, 3) in one frame; no alignment.

    Raises InputError where the shapes differ or a coordinate is not finite: a NaN would compare as a miss and pass as
    a poor but plausible PCK.
    """
    if joints_pred_mm.shape != joints_true_mm.shape or joints_true_mm.ndim != 3 or len(joints_true_mm) == 0:
        raise InputError(
            f"joints: expected two equal shapes (N, J, 3), found {joints_pred_mm.shape}, {joints_true_mm.shape}"
        )
    for name, joints_mm in (("predicted", joints_pred_mm), ("true", joints_true_mm)):
        broken = ~np.isfinite(joints_mm).all(axis=(1, 2))
        if broken.any():
            raise InputError(
                f"{name} joints: expected finite numbers, found NaN or infinity in {broken.sum()} of {len(broken)} "
                f"frames, first in frame {np.flatnonzero(broken)[0]}"
            )
    return np.linalg.norm(joints_pred_mm.astype(np.float64) - joints_true_mm.astype(np.float64), axis=2)


def frame_errors_mm(errors_mm: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Mean error (N,) of each frame's visible joints; NaN where none is; errors (N, J), visible (N, J) bool."""
    with np.errstate(invalid="ignore"):
        return (errors_mm * visible).sum(axis=1) / visible.sum(axis=1)


def mean_over_joints(values: np.ndarray, visible: np.ndarray) -> float:
    """Mean over joints of each joint's mean over the samples that show it; values (N, J), visible (N, J) bool."""
    _require_every_joint_visible(values, visible)
    return float(((values * visible).sum(axis=0) / visible.sum(axis=0)).mean())


def median_over_joints(values: np.ndarray, visible: np.ndarray) -> float:
    """Mean over joints of each joint's median over the samples that show it: the protocol's "median EPE"."""
    _require_every_joint_visible(values, visible)
    return float(np.mean([np.median(values[visible[:, joint], joint]) for joint in range(values.shape[1])]))


def pck(errors_mm: np.ndarray, visible: np.ndarray, thresholds_mm: np.ndarray) -> np.ndarray:
    """Share of correct keypoints (T,): per joint the share of visible errors <= threshold, averaged over joints."""
    return np.array([mean_over_joints(errors_mm <= threshold, visible) for threshold in thresholds_mm])


def auc_by_trapezoid(errors_mm: np.ndarray, visible: np.ndarray, thresholds_mm: np.ndarray) -> float:
    """Area under the PCK curve sampled at `thresholds_mm`, divided by their range, as the reference computes it."""
    curve = pck(errors_mm, visible, thresholds_mm)
    return float(np.trapezoid(curve, thresholds_mm) / (thresholds_mm[-1] - thresholds_mm[0]))


def area_shares(errors_mm: np.ndarray, low_mm: float, high_mm: float) -> np.ndarray:
    """Each error's share of the area under the PCK curve between two thresholds, 0 to 1; same shape.

    PCK is a sum of steps, one at each error, so its integral is exact without a grid: a step at e covers the part of
    [low, high] that lies beyond e.
    """
    return np.clip(high_mm - errors_mm, 0, high_mm - low_mm) / (high_mm - low_mm)


def pcf(errors_mm: np.ndarray, thresholds_mm: np.ndarray) -> np.ndarray:
    """Share of correct frames (T,): frames whose largest joint error is <= threshold; every joint counts (depth)."""
    return (errors_mm.max(axis=1)[:, None] <= thresholds_mm).mean(axis=0)


def _require_every_joint_visible(values: np.ndarray, visible: np.ndarray) -> None:
    # reference: a joint that no sample shows is left out of the mean; here an error, because a mean over fewer joints
    # is another quantity than the one it would be printed beside. It does not happen on the published sets.
    if visible.shape != values.shape or visible.dtype != bool:
        raise InputError(f"visible: expected bool {values.shape}, found {visible.dtype} {visible.shape}")
    hidden = np.flatnonzero(~visible.any(axis=0))
    if len(hidden):
        raise InputError(
            f"visible: expected every joint to be visible somewhere, found joints {hidden.tolist()} in none of "
            f"{len(visible)} frames"
        )
